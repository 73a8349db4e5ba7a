# SPDX-License-Identifier: GPL-3.0-or-later
"""The package an animator installs: built by this Blender's own tool, small, complete, and it works
unpacked."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from thunder.panels import sidebar
from thunder.scene.engine import connection
from thunder.scene.heads import head
from thunder.thunder_core import engine_python

pytestmark = pytest.mark.one_blender

ROOT = Path(__file__).resolve().parents[2]
PYTHON = "{}.{}".format(*sys.version_info)

NEEDED = {
    "blender_manifest.toml",
    "__init__.py",
    "LICENSE",
    "bake.py",
    "cli/bake.py",
    "cli/script.py",
    "cli/batch.py",
    "requirements/engine.txt",
    "requirements/card.txt",
    "requirements/recognise.txt",
    "requirements/kanji.txt",
    "requirements/tracker.txt",
    "requirements/cluster.txt",
    "thunder_core/engine/worker.py",
    "thunder_core/client.py",
    "thunder_core/habits.json",
    "thunder_core/emotions.json",
    "thunder_core/moods/sad.json",
    "thunder_core/engine/engine.py",
    "weights/README.md",
    "weights/head.npz",
    "weights/head_woman.npz",
    "vendor/made_for.json",
    "vendor/LICENCES.txt",
    "vendor/onnxruntime/LICENSE",
    "weights/encoder.safetensors",
    "weights/encoder.onnx",
    "weights/m2s.safetensors",
    "weights/denoiser.safetensors",
    "guide/takes.html",
    "guide/takes.the-list.html",
    "guide/panel.webp",
    "assets/sample.wav",
}
UNWANTED = {
    "tests",
    "research",
    "docs",
    "setup",
    "out",
    "cache",
    "runs",
    "Makefile",
    "pyproject.toml",
}


def test_the_manifest_is_valid_for_this_blender(tool):
    done = subprocess.run(
        [*tool, "validate", str(ROOT)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and "Success" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
def test_the_package_is_small_and_holds_what_is_needed_and_nothing_else(package):
    names = set(zipfile.ZipFile(package).namelist())
    assert NEEDED <= names, NEEDED - names
    assert package.stat().st_size < 110e6
    tops = {name.split("/")[0] for name in names}
    assert not tops & UNWANTED, tops & UNWANTED
    assert not [
        name for name in names if name.split("/")[0].startswith(".") or "__pycache__" in name
    ]
    assert not [
        name
        for name in names
        if name.startswith("requirements/") and name not in NEEDED | {"requirements/"}
    ]
    languages = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("assets/languages/*.po")}
    assert len(languages) >= 5
    assert {name for name in names if name.startswith("assets/") and not name.endswith("/")} == {
        "assets/sample.wav", "assets/drawing.json", *languages
    }  # fmt: skip
    assert not [
        name
        for name in names - {"assets/sample.wav"}
        if name.endswith((".wav", ".mp3", ".flac", ".pt", ".ckpt", ".pkl"))
    ]


# a module that the engine loads → what its Python may call it, best first
MODULES = (
    "onnxruntime/capi/onnxruntime_pybind11_state",
    "soxr/soxr_ext",
    "safetensors/_safetensors_rust",
    "_cffi_backend",
    "_miniaudio",
)
ENDINGS = {
    "linux-x64": (".cpython-{}-x86_64-linux-gnu.so", ".abi3.so"),
    "linux-arm64": (".cpython-{}-aarch64-linux-gnu.so", ".abi3.so"),
    "windows-x64": (".cp{}-win_amd64.pyd", ".pyd"),
    "macos-arm64": (".cpython-{}-darwin.so", ".abi3.so"),
}


def check_modules(names, platform, pythons):
    """Each Python finds each module: under its own tag, or as one that keeps to the stable
    interface."""
    for python in pythons:
        endings = [each.format(python.replace(".", "")) for each in ENDINGS[platform]]
        for module in MODULES:
            if module == "_miniaudio" and platform == "linux-arm64":
                continue
            found = [module + ending for ending in endings if module + ending in names]
            assert found, (platform, python, module)
            if module.startswith(("onnx", "_cffi")):  # never of the stable interface
                assert found[0].endswith(endings[0]), (platform, python, found)


@pytest.mark.slow
def test_one_package_serves_every_python_of_its_platforms_blenders(packaging, package):
    with zipfile.ZipFile(package) as archive:
        manifest = archive.read("blender_manifest.toml").decode()
        about = json.loads(archive.read("vendor/made_for.json"))
        names = {name.removeprefix("vendor/") for name in archive.namelist()}
    platform = packaging.this_platform()
    assert about["platform"] == platform and package.stem.endswith(f"-{platform}")
    assert f'\nplatforms = ["{platform}"]\n' in manifest
    assert "wheels" not in manifest and "blender_version_max" not in manifest
    assert PYTHON in about["pythons"] and {"3.11", "3.13"} <= set(about["pythons"])
    check_modules(names, platform, about["pythons"])


DRAGGED_IN = """
import os, sys, zipfile
os.environ["BLENDER_USER_RESOURCES"] = {user!r}
import bpy, addon_utils
place = os.path.join(bpy.utils.user_resource("EXTENSIONS", path="user_default", create=True), "thunder")
zipfile.ZipFile({package!r}).extractall(place)
before = list(sys.path)
module = addon_utils.enable("bl_ext.user_default.thunder", default_set=True)
assert module.__file__.startswith(place), module.__file__
assert bpy.ops.thunder.add_head() == {{"FINISHED"}}
print("keys", sum(len(key.key_blocks) for key in bpy.data.shape_keys))
assert bpy.ops.thunder.sample_voice() == {{"FINISHED"}}
assert bpy.ops.thunder.generate() == {{"FINISHED"}}
from bl_ext.user_default.thunder.scene.engine import connection
info = connection.client().request("hello").wait(timeout=60)
context = bpy.context.scene.thunder
context.source, context.sound_file = "FILE", "/nowhere.wav"
try:
    bpy.ops.thunder.generate()
except RuntimeError as error:
    assert "nowhere.wav" in str(error) and "Traceback" not in str(error), error
else:
    raise AssertionError("a missing voice was not refused")
versions = sorted(name for name, version in info["versions"].items() if version)
print("takes", len(bpy.context.scene.thunder.takes), "on", info["device"], *versions)
assert sys.path == before and not {{"onnxruntime", "safetensors", "soxr"}} & set(sys.modules), "the libraries are the worker's alone"
"""


@pytest.mark.slow
def test_dragged_in_it_performs_without_anything_installed(package, tmp_path):
    """No network is in reach, and no engine but that of the package."""
    offline = {
        name: "http://127.0.0.1:9"
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    }
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "THUNDER_PYTHON")
    }
    done = subprocess.run(
        [sys.executable, "-c", DRAGGED_IN.format(user=str(tmp_path), package=str(package))],
        cwd=tmp_path,
        env={**kept, **offline},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # beside the channels: the basis and correctives, of joints, of two keys each and of the bust
    assert f"keys {len(head.channel_names()) + 18}" in done.stdout
    assert (
        "takes 8 on cpu" in done.stdout
        and "onnxruntime" in done.stdout
        and "torch" not in done.stdout
    ), done.stdout


@pytest.mark.slow
def test_every_package_holds_binaries_of_its_platform_alone(packaging, tmp_path):
    """The wheels of each are fetched, or taken from out/wheels/."""
    vendor = packaging.vendor
    for platform, pythons in vendor.PYTHONS.items():
        folder = tmp_path / platform
        try:
            vendor.fetch(platform, folder)
        except packaging.Missing as error:
            pytest.skip(str(error)[:300])
        names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
        check_modules(names, platform, pythons)


def test_modules_of_several_pythons_lie_side_by_side(packaging, tmp_path):
    """Wheels for Windows and macOS name the Python only in their own names; of a module with the
    stable interface the oldest Python's stays; nothing else may differ."""
    vendor, binary = packaging.vendor, b"\xcf\xfa\xed\xfe\x0c\x00\x00\x01"
    files = [made(tmp_path, python, binary) for python in ("311", "313")]
    with pytest.raises(packaging.Missing, match="licence texts of soundfile"):  # the last check
        vendor.unpack(files, tmp_path / "vendor", "macos-arm64")
    names = {path.name: path for path in (tmp_path / "vendor" / "x").iterdir()}
    assert names.pop("y.cpython-311-darwin.so").read_bytes() == binary + b"311"
    assert names.pop("y.cpython-313-darwin.so").read_bytes() == binary + b"313"
    assert names.pop("z.abi3.so").read_bytes() == binary + b"311"
    assert names.keys() == {"__init__.py"}
    for name, wheel, expected in (
        ("x/y.pyd", "x-1-cp313-cp313-win_amd64.whl", "x/y.cp313-win_amd64.pyd"),
        ("x/y.cp313-win_amd64.pyd", "x-1-cp313-cp313-win_amd64.whl", "x/y.cp313-win_amd64.pyd"),
        ("x/y.pyd", "x-1-cp312-abi3-win_amd64.whl", "x/y.pyd"),
        ("x/y.dll", "x-1-cp313-cp313-win_amd64.whl", "x/y.dll"),
    ):
        assert vendor.tagged(name, wheel, "windows-x64") == expected
    files.append(made(tmp_path, "314", binary, code="changed = True"))
    with pytest.raises(packaging.Missing, match=r"cp314.*holds another “x/__init__\.py”"):
        vendor.unpack(files, tmp_path / "again", "macos-arm64")


def made(folder, python, binary, code=""):
    """A wheel for macOS and one Python."""
    path = folder / f"x-1-cp{python}-cp{python}-macosx_14_0_arm64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/__init__.py", code)
        for name in ("x/y.so", "x/z.abi3.so"):
            archive.writestr(name, binary + python.encode())
        archive.writestr(
            "x-1.dist-info/METADATA", "Name: numpy\nVersion: 1\nLicense-Expression: MIT\n\n"
        )
        archive.writestr("x-1.dist-info/WHEEL", f"Tag: cp{python}")
    return path


def test_a_python_that_the_package_does_not_serve_is_told_what_to_do(
    blender, monkeypatch, tmp_path
):
    """Blender refuses no package for its Python; so the panel tells, and what generates."""
    made_for = tmp_path / "made_for.json"
    made_for.write_text('{"pythons": ["3.98", "3.99"]}')
    monkeypatch.setattr(engine_python, "MADE_FOR", made_for)
    monkeypatch.delenv("THUNDER_PYTHON", raising=False)
    problem = (
        f"This package of Thunder is for Python 3.98, 3.99 and this Blender has Python {PYTHON}: "
        f"use a Blender from blender.org, or install the engine in the preferences"
    )
    assert connection.current_python() == (None, problem)
    layout, preferences = MagicMock(), SimpleNamespace(system=SimpleNamespace(ui_scale=1))
    context = SimpleNamespace(
        scene=blender.context.scene, preferences=preferences, region=SimpleNamespace(width=10_000)
    )
    sidebar.draw_missing_engine(layout, context)
    assert layout.column().label.call_args.kwargs["text"] == problem
    assert layout.operator.call_args.kwargs["text"] == "Install the Engine"
