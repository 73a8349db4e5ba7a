# SPDX-License-Identifier: GPL-3.0-or-later
"""`pip install .` in a new environment makes the package thunder_takes: all of thunder_core with
weights, found from anywhere, no torch."""

import os
import re
import shutil
import subprocess
import sys
import tomllib

import numpy as np
import pytest

from research.harness import ROOT

FIVE = """
voice = thunder.load("line.wav")
takes = thunder.perform(voice, takes=8, mood="warm", seed=1)
takes.best.save("line.npz")
takes.best.curves["jawOpen"]
thunder.score(takes.best, voice)
thunder.speak(takes.best)
"""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The packages' folder of a new virtual environment, into which pip installed this one from a
    copy of what it is made of."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("thunder_core", "weights", "assets", "setup"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "LICENSE", "requirements/engine.in", "docs/reference/python.md"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", target], check=True, timeout=120)
    pip = [sys.executable, "-m", "pip", "--python", python_of(target)]
    done = subprocess.run(
        [*pip, "install", "--quiet", "--no-compile", source],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (packages,) = target.glob("lib/python*/site-packages")
    return packages


def python_of(environment):
    return environment / "bin" / "python"


def run(installed, folder, code):
    """Run code with the installed package in a folder outside the repository."""
    done = subprocess.run(
        [
            python_of(installed.parents[2]),
            "-W",
            "error::UserWarning",
            "-c",
            "import thunder_takes as thunder\n" + code,
        ],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
        | {"PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_lines_of_the_pages_run_outside_the_repository(installed, tmp_path):
    import soundfile

    samples, rate = soundfile.read(ROOT / "assets" / "sample.wav")
    soundfile.write(tmp_path / "line.wav", samples[8000 : 8000 + 2 * rate], rate)
    for page in ("README.md", "docs/reference/python.md"):
        block = (
            (ROOT / page)
            .read_text(encoding="utf-8")
            .partition("```python\n")[2]
            .partition("```")[0]
        )
        lines = [line.partition("#")[0].strip() for line in block.splitlines()]
        assert [line for line in lines if line] == [
            "import thunder_takes as thunder",
            *FIVE.strip().splitlines(),
        ], page
    told = run(
        installed,
        tmp_path,
        FIVE + "import os\nprint(thunder.__file__, [take.seed for take in takes], "
        "takes.best.provenance['weights_origin'], os.environ['OPENBLAS_NUM_THREADS'])",
    )
    assert (
        str(installed) in told
        and "shipped" in told
        and set(re.findall(r"\d+", told.partition("[")[2])) == set("12345678")
    )
    with np.load(tmp_path / "line.npz") as saved:
        assert {"expression", "jaw", "head", "eyes", "channels", "score", "seed", "mood"} <= set(
            saved
        )
        assert saved["jaw"].shape == (50, 3) and str(saved["mood"]) == "warm"


def test_every_file_of_the_core_and_of_the_weights_is_in_the_package(installed):
    package = installed / "thunder_takes"

    def files(folder):
        return {
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }

    wanted = files(ROOT / "thunder_core") | {
        f"{name}/{file}" for name in ("weights", "assets") for file in files(ROOT / name)
    }
    wanted = {file for file in wanted if not file.startswith("assets/languages/")}  # Blender's
    assert files(package) == wanted
    ours = {path.name for path in installed.iterdir() if path.name.startswith("thunder")}
    assert ours == {"thunder_takes", f"thunder_takes-{PROJECT['project']['version']}.dist-info"}


def test_it_performs_without_torch(installed, tmp_path):
    there = {path.name.partition("-")[0] for path in installed.glob("*.dist-info")}
    assert "onnxruntime" in there and not there & {"torch", "torchaudio", "scipy", "transformers"}
    size = sum(path.stat().st_size for path in installed.rglob("*") if path.is_file())
    assert size < 400e6, "bytes, the weights included"


def test_the_worker_runs_from_the_installed_package(installed, tmp_path):
    told = run(installed, tmp_path,
        "import sys\nfrom thunder_takes.client import Client\nwith Client(sys.executable) as "
        "client:\n"
               "    print(client.request('hello').wait(timeout=120)['weights_origin'])")  # fmt: skip
    assert told == "shipped\n"


def test_the_package_has_the_extensions_version_and_needs_the_engines_packages(installed):
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    assert PROJECT["project"]["version"] == manifest["version"]
    (about,) = installed.glob("thunder_takes-*.dist-info/METADATA")
    text = about.read_text(encoding="utf-8")

    def named(name):
        lines = (ROOT / "requirements" / f"{name}.in").read_text(encoding="utf-8").splitlines()
        return [line for line in lines if line[0] not in "#-"]

    assert re.findall(r"^Requires-Dist: ([^;\n]+(?:; platform.*)?)$", text, re.M) == named("engine")
    assert re.findall(r'^Requires-Dist: (\S+); extra == "card"$', text, re.M) == named("card")
