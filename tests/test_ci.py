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


FIRST_TRY = "Window tests that failed at their first try: "
NAMED = ["  tests/gui/test_x.py::test_click[two words]", "  tests/gui/test_y.py::test_key"]


@pytest.mark.parametrize(
    "broken, again, ends",
    [
        ("", False, [f"{FIRST_TRY}0", "All parts passed"]),
        ("test-window", False, [f"{FIRST_TRY}2", *NAMED, "All parts passed"]),
        ("test-window", True, [f"{FIRST_TRY}2", *NAMED, "FAILED: window"]),
        *(
            (part.split()[0], False, [f"FAILED: make {part}"])
            for part in ("lint", "test ALSO=test-blender-oldest", "weight")
        ),
    ],
)
def test_all_parts_are_run_and_what_failed_is_named(run, broken, again, ends):
    """Window tests are run once more, and named also where they pass then."""
    code, lines, calls = run(broken, again)
    assert code == ends[-1].startswith("FAILED") and lines[-len(ends) :] == ends
    parts = [call.split()[1] for call in calls if "--last-failed" not in call]
    assert parts == ["lint", "test", "test-window", "weight"]
    assert ("make test-window [--last-failed]" in calls) == (broken == "test-window")


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
