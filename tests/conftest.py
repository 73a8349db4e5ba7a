# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share: an ffmpeg; at the end the measured times are shown, and how many faults of
the table were tried and went right; CI is told which tests were skipped."""

import importlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

# As the worker is started: results do not depend on the number of cores. numpy reads it once.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest  # noqa: E402
import timing  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
SETUP = ROOT / "setup"
_FFMPEG = pytest.StashKey[str]()


def pytest_configure(config):
    """Lets tests find the ffmpeg that requirements/test.txt brings, where the machine has none."""
    if shutil.which("ffmpeg") or (brought := _ffmpeg_of_the_engine()) is None:
        return
    folder = config.stash[_FFMPEG] = tempfile.mkdtemp(prefix="thunder_ffmpeg_")
    if os.name == "nt":
        shutil.copy(brought, Path(folder) / "ffmpeg.exe")
    else:
        (Path(folder) / "ffmpeg").symlink_to(brought)
    os.environ["PATH"] += os.pathsep + folder


def pytest_unconfigure(config):
    shutil.rmtree(config.stash.get(_FFMPEG, ""), ignore_errors=True)


def _ffmpeg_of_the_engine() -> Path | None:
    """The program in the package imageio-ffmpeg of the engine's environment."""
    engine = os.environ.get("THUNDER_PYTHON") or ROOT / ".venv" / "engine" / "bin" / "python"
    for folder in ("lib/python3.*", "Lib"):
        program = f"{folder}/site-packages/imageio_ffmpeg/binaries/ffmpeg-*"
        for path in Path(engine).parents[1].glob(program):
            return path
    return None


def pytest_runtest_logreport(report):
    """Adds to the file that THUNDER_TRIED names, a line of JSON each, every test with the reason
    why it was skipped, "" for one that was not: .ci/skipped reads it."""
    if report.skipped or report.when == "call":
        _tell(report)


def pytest_collectreport(report):
    if report.skipped:
        _tell(report)


def _tell(report):
    if path := os.environ.get("THUNDER_TRIED"):
        is_skipped = report.skipped and not hasattr(report, "wasxfail")
        reason = str(report.longrepr[2]).removeprefix("Skipped: ") if is_skipped else ""
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps([report.nodeid, reason]) + "\n")


@pytest.fixture(scope="session")
def setup_script():
    """`setup_script(name)` imports a script of setup/, which is no package."""

    def imported(name):
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(SETUP)
            return importlib.import_module(name)

    return imported


@pytest.fixture(scope="session")
def packaging(setup_script):
    return setup_script("package")


def pytest_terminal_summary(terminalreporter):
    if timing.measured:
        terminalreporter.section("measured times")
        for line in timing.measured:
            terminalreporter.write_line(line)
    harness = sys.modules.get("harness")  # of tests/faults, where its rows were tried
    if harness is not None and harness.outcomes:
        terminalreporter.section("faults")
        for line in harness.summary([outcome.line() for outcome in harness.outcomes]):
            terminalreporter.write_line(line)
