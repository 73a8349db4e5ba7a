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
    "requirements/flame.txt",
    "requirements/waveform.txt",
    "requirements/cluster.txt",
    "thunder_core/engine/worker.py",
    "thunder_core/client.py",
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
    "demo.py",
}


def test_the_manifest_is_valid_for_this_blender(tool):
    done = subprocess.run(
        [*tool, "validate", str(ROOT)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and "Success" in done.stdout, done.stdout + done.stderr


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
    assert {name for name in names if name.startswith("assets/") and not name.endswith("/")} == {
        "assets/sample.wav"
    }
    assert not [
        name
        for name in names - {"assets/sample.wav"}
        if name.endswith((".wav", ".mp3", ".flac", ".pt", ".ckpt", ".pkl"))
    ]


def test_it_names_its_platform_and_the_blenders_of_its_python(package):
    with zipfile.ZipFile(package) as archive:
        manifest = archive.read("blender_manifest.toml").decode()
        about = json.loads(archive.read("vendor/made_for.json"))
    assert f'platforms = ["{about["platform"]}"]' in manifest and "wheels" not in manifest
    assert package.stem.endswith(f"{about['platform']}-py{about['python'].replace('.', '')}")


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
versions = sorted(name for name, version in info["versions"].items() if version)
print("takes", len(bpy.context.scene.thunder.takes), "on", info["device"], *versions)
assert sys.path == before and not {{"onnxruntime", "safetensors", "soxr"}} & set(sys.modules), "the libraries are the worker's alone"
"""


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
    # 44 channels, the basis, correctives: three of joints, seven of two keys each, three of the
    # bust
    assert "keys 58" in done.stdout
    assert (
        "takes 8 on cpu" in done.stdout
        and "onnxruntime" in done.stdout
        and "torch" not in done.stdout
    ), done.stdout


@pytest.mark.slow
def test_every_package_holds_binaries_of_its_platform_alone(packaging, tmp_path):
    """The wheels of each are fetched, or taken from out/wheels/."""
    vendor = packaging.vendor
    for platform, python in vendor.TARGETS:
        folder = tmp_path / vendor.name_of(platform, python)
        try:
            vendor.fetch(platform, python, folder)
        except packaging.Missing as error:
            pytest.skip(str(error)[:300])
        assert vendor.check_binaries(folder, platform, python) == (
            5 if platform in vendor.WITHOUT else 6
        ), platform
        for other in [each for each in vendor.PLATFORMS if each != platform]:
            with pytest.raises(packaging.Missing, match=f"is for {platform}, not for {other}"):
                vendor.check_binaries(folder, other, python)


def test_a_binary_of_another_platform_or_python_is_refused(packaging, tmp_path):
    vendor, missing = packaging.vendor, packaging.Missing
    (tmp_path / "notes.txt").write_text("MZ, as a text may begin")
    with pytest.raises(missing, match="nothing that was compiled"):
        vendor.check_binaries(tmp_path, "linux-x64", "3.11")
    library = tmp_path / "x.cpython-311-x86_64-linux-gnu.so"
    library.write_bytes(b"\x7fELF" + bytes(14) + b"\x3e\x00" + bytes(100))
    assert vendor.check_binaries(tmp_path, "linux-x64", "3.11") == 1
    with pytest.raises(missing, match="is for linux-x64, not for windows-x64"):
        vendor.check_binaries(tmp_path, "windows-x64", "3.11")
    with pytest.raises(missing, match=r"is for Python 3\.11, not 3\.13"):
        vendor.check_binaries(tmp_path, "linux-x64", "3.13")
    library.write_bytes(b"\xca\xfe\xba\xbe" + bytes(100))
    with pytest.raises(missing, match="another machine"):
        vendor.check_binaries(tmp_path, "macos-arm64", "3.11")


def test_a_package_for_another_python_says_which_one_to_install(blender, monkeypatch, tmp_path):
    """Blender refuses no package for its Python; so the panel tells, and what generates."""
    made_for = tmp_path / "made_for.json"
    made_for.write_text('{"python": "3.99"}')
    monkeypatch.setattr(engine_python, "MADE_FOR", made_for)
    monkeypatch.delenv("THUNDER_PYTHON", raising=False)
    wanted = (
        f"install the package whose name ends with py{sys.version_info[0]}{sys.version_info[1]}"
    )
    assert connection.current_python() == (
        None,
        f"This package of Thunder is for Python 3.99 and this Blender has Python {PYTHON}: {wanted}",
    )
    layout, preferences = MagicMock(), SimpleNamespace(system=SimpleNamespace(ui_scale=1))
    context = SimpleNamespace(
        scene=blender.context.scene, preferences=preferences, region=SimpleNamespace(width=10_000)
    )
    sidebar.draw_missing_engine(layout, context)
    assert wanted in layout.column().label.call_args.kwargs["text"]
