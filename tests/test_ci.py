# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that checks a clean clone names what failed, also what passed when it was run once
more."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(
    shutil.which("bash") is None or os.name == "nt", reason="a script for bash"
)

MAKE = """#!/usr/bin/env bash
echo "make $* [${PYTEST_ADDOPTS-}]" >> "$CALLS"
echo "2 tests - 1 a minute"
case " $* " in
  *" $BROKEN "*) echo "FAILED tests/gui/test_x.py::test_click[two words] - lost"; echo "ERROR tests/gui/test_y.py::test_key - no window"
    [ "$TWICE" = yes ] || [ -z "${PYTEST_ADDOPTS-}" ] && exit 2;;
esac
exit 0
"""


@pytest.fixture
def run(tmp_path):
    """The script beside a `make` that only notes its calls: run(what fails, whether again) gives
    exit code, lines, calls."""
    for path, text in (
        (".ci/run", (ROOT / ".ci" / "run").read_text(encoding="utf-8")),
        ("bin/make", MAKE),
        ("setup/python.sh", "#!/bin/sh\ntrue\n"),
        # which the script waits for before it installs the Blenders
        (".venv/engine/bin/python", "#!/bin/sh\ntrue\n"),
    ):
        (tmp_path / "clone" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clone" / path).write_text(text)
        (tmp_path / "clone" / path).chmod(0o755)

    def call(broken="", again=False):
        calls = tmp_path / "calls"
        environment = os.environ | {
            "PATH": f"{tmp_path / 'clone' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "CALLS": str(calls),
            "BROKEN": broken or "nothing",
            "TWICE": "yes" if again else "no",
        }
        environment.pop("PYTEST_ADDOPTS", None)
        script = str(tmp_path / "clone" / ".ci" / "run")
        done = subprocess.run(
            ["bash", script], env=environment, capture_output=True, text=True, timeout=60
        )
        return done.returncode, done.stdout.splitlines(), calls.read_text().splitlines()

    return call


def test_all_parts_are_run_and_nothing_failed(run):
    code, lines, calls = run()
    assert code == 0 and lines[-2:] == [
        "Window tests that failed at their first try: 0",
        "All parts passed",
    ]
    assert [call.split()[1] for call in calls] == ["lint", "test", "test-window", "weight"]


def test_a_window_test_that_failed_once_is_counted_and_named(run):
    code, lines, calls = run("test-window")
    assert code == 0 and "make test-window [--last-failed]" in calls
    assert lines[-4:] == [
        "Window tests that failed at their first try: 2",
        "  tests/gui/test_x.py::test_click[two words]",
        "  tests/gui/test_y.py::test_key",
        "All parts passed",
    ]


def test_a_window_part_that_ended_without_a_result_is_counted_too(run, tmp_path):
    make = tmp_path / "clone" / "bin" / "make"
    make.write_text(
        make.read_text()
        .replace('echo "FAILED', 'true "FAILED')
        .replace('echo "ERROR', 'true "ERROR')
    )
    code, lines, _ = run("test-window")
    assert code == 0 and lines[-3:-1] == [
        "Window tests that failed at their first try: 1",
        "  all of them: no test was named",
    ]


def test_a_window_test_that_fails_twice_fails_the_check(run):
    code, lines, _ = run("test-window", again=True)
    assert (
        code == 1
        and lines[-1] == "FAILED: window"
        and "  tests/gui/test_x.py::test_click[two words]" in lines
    )


@pytest.mark.parametrize("part", ["lint", "test", "weight"])
def test_a_part_that_fails_fails_the_check_and_the_others_run(run, part):
    code, lines, calls = run(part)
    assert code == 1 and lines[-1].startswith(f"FAILED: make {part}") and len(calls) == 4
