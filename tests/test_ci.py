# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that checks a clean clone names what failed, also what passed when it was run once
more, and fails where a test was skipped."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(
    shutil.which("bash") is None or os.name == "nt", reason="a script for bash"
)

MAKE = """#!/usr/bin/env bash
echo "make $* [${PYTEST_ADDOPTS-}]" >> "$CALLS"
[ "$1" != test ] || printf '%s' "$TRIED" >> "$THUNDER_TRIED"
echo "2 tests - 1 a minute"
case " $* " in
  *" $BROKEN "*) echo "FAILED tests/gui/test_x.py::test_click[two words] - lost"; echo "ERROR tests/gui/test_y.py::test_key - no window"
    echo "make[1]: *** [Makefile:99: test-core] Segmentation fault"; echo "a line of what went well"
    [ "$TWICE" = yes ] || [ -z "${PYTEST_ADDOPTS-}" ] && exit 2;;
esac
exit 0
"""


@pytest.fixture
def run(tmp_path):
    """The script beside a `make` that only notes its calls: run(what fails, whether again, what was
    tried, **environment) gives exit code, lines, calls."""
    for path, text in (
        *((f".ci/{name}", (ROOT / ".ci" / name).read_text("utf-8")) for name in ("run", "skipped")),
        ("bin/make", MAKE),
        ("setup/python.sh", "#!/bin/sh\ntrue\n"),
        # which the script waits for before it installs the Blenders
        (".venv/engine/bin/python", "#!/bin/sh\ntrue\n"),
    ):
        (tmp_path / "clone" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clone" / path).write_text(text)
        (tmp_path / "clone" / path).chmod(0o755)

    def call(broken="", again=False, tried=(["a test", ""],), **more):
        calls = tmp_path / "calls"
        environment = os.environ | {
            "PATH": f"{tmp_path / 'clone' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "CALLS": str(calls),
            "BROKEN": broken or "nothing",
            "TWICE": "yes" if again else "no",
            "TRIED": "".join(f"{json.dumps(each)}\n" for each in tried),
        }
        for name in ("PYTEST_ADDOPTS", "THUNDER_DATA", "BLENDER"):
            environment.pop(name, None)
        script = str(tmp_path / "clone" / ".ci" / "run")
        done = subprocess.run(
            ["bash", script], env=environment | more, capture_output=True, text=True, timeout=60
        )
        return done.returncode, done.stdout.splitlines(), calls.read_text().splitlines()

    return call


FIRST_TRY = "Window tests that failed at their first try: "
CRASHED = "make[1]: *** [Makefile:99: test-core]"
NAMED = ["  tests/gui/test_x.py::test_click[two words]", "  tests/gui/test_y.py::test_key"]


@pytest.mark.parametrize(
    "broken, again, ends",
    [
        ("", False, [f"{FIRST_TRY}0", "All parts passed"]),
        ("test-window", False, [f"{FIRST_TRY}2", *NAMED, "All parts passed"]),
        ("test-window", True, [f"{FIRST_TRY}2", *NAMED, "FAILED: window"]),
        ("lint", False, ["FAILED: make lint"]),
        ("test", False, [f"{CRASHED} Segmentation fault", "FAILED: tests"]),
        ("weight", False, ["FAILED: make weight"]),
    ],
)
def test_all_parts_are_run_and_what_failed_is_named(run, broken, again, ends):
    """Window tests are run once more, and named also where they pass then."""
    code, lines, calls = run(broken, again)
    assert code == ends[-1].startswith("FAILED") and lines[-len(ends) :] == ends
    parts = [call.split()[1] for call in calls if "--last-failed" not in call]
    assert parts == ["lint", "test", "test-window", "weight"]
    assert ("make test-window [--last-failed]" in calls) == (broken == "test-window")


NO_DATA, NO_FFMPEG = "THUNDER_DATA names no folder of recordings", "no ffmpeg on PATH"
OLD = "from 5.0 on Blender offers no path beside the file here"


@pytest.mark.parametrize(
    "tried, environment, ran, skipped, is_right",
    [
        ([["a", ""], ["b", OLD], ["b", ""]], {}, 2, 0, True),  # another Blender ran it
        ([["a", ""], ["b", NO_DATA]], {}, 1, 1, True),
        ([["a", ""], ["b", NO_DATA]], {"THUNDER_DATA": "named"}, 1, 1, False),
        ([["a", ""], ["b", NO_FFMPEG]], {}, 1, 1, False),
        ([], {}, 0, 0, False),
    ],
)
def test_a_skipped_test_fails_unless_ci_cannot_bring_what_it_needs(
    run, tried, environment, ran, skipped, is_right
):
    code, lines, _ = run(tried=tried, **environment)
    assert f"{ran} tests ran, {skipped} were skipped" in lines
    assert (code, lines[-1]) == ((0, "All parts passed") if is_right else (1, "FAILED: skipped"))
    assert ("    b" in lines) == (skipped and not is_right)


TESTS = """
import pytest

def test_that_runs(): pass
def test_that_fails(): assert False
@pytest.mark.skipif(True, reason="of a mark")
def test_of_a_mark(): pass
def test_of_a_call(): pytest.skip("of a call")
@pytest.fixture
def lacking(): pytest.importorskip("no_such_module", reason="of a fixture")
def test_of_a_fixture(lacking): pass
@pytest.mark.xfail
def test_expected_to_fail(): assert False
"""


def test_ci_is_told_of_every_test(tmp_path):
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text("utf-8"))
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "test_module.py").write_text(
        'import pytest\npytest.skip("of a module", allow_module_level=True)\n'
    )
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT / 'tests'}\n")
    environment = os.environ | {"THUNDER_TRIED": str(tmp_path / "tried")}
    subprocess.run([sys.executable, "-m", "pytest"], cwd=tmp_path, env=environment, timeout=120)
    told = [json.loads(line) for line in (tmp_path / "tried").read_text().splitlines()]
    assert sorted((test.rpartition("::")[2], reason) for test, reason in told) == [
        ("test_expected_to_fail", ""),
        ("test_module.py", "of a module"),
        ("test_of_a_call", "of a call"),
        ("test_of_a_fixture", "of a fixture"),
        ("test_of_a_mark", "of a mark"),
        ("test_that_fails", ""),
        ("test_that_runs", ""),
    ]
