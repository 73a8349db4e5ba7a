# SPDX-License-Identifier: GPL-3.0-or-later
"""A pytest plugin that tells which lines of thunder_core and of training each test runs, for
`research/mutations.py`: `-p lines_run` with LINES_RUN=folder.

Writes a JSON file for each file of tests: {"of": {file: SHA-256 of the tests' file and of each that
they ran}, "tests": {name: {"seconds": …, "alone": seconds with all its fixtures, "passed": …,
"lines": {file: [line, …]}}}}. Lines that a fixture of a module or session runs count for every test
that uses it. Other processes are not watched. Tests of timings are left out: they would notice a changed line by chance.
"""

import hashlib
import inspect
import json
import os
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import CodeType, FrameType

import pytest

ROOT = str(Path(__file__).resolve().parents[1]) + os.sep
WATCHED = ROOT + "thunder_core" + os.sep, os.path.join(ROOT, "research", "train") + os.sep
TIMINGS = ("keeps(", "perf_counter", "monotonic(", "time.time(")

# lines of each function that the present test or fixture has not run yet
left: dict[CodeType, set[int]] = {}
of_fixtures: dict[object, dict[CodeType, set[int]]] = {}
seconds_of: dict[object, float] = {}  # of each fixture
tests: dict[str, dict] = {}


def trace_call(frame: FrameType, event: str, arg: object):
    """A trace function: watches the lines of a function of the core until it has run all of
    them."""
    code = frame.f_code
    if not code.co_filename.startswith(WATCHED) or code.co_name == "<module>":
        return None
    if code not in left:
        left[code] = {line for _, _, line in code.co_lines() if line}
        left[code].discard(code.co_firstlineno)
    lines = left[code]

    def trace_line(frame: FrameType, event: str, arg: object):
        if event == "line":
            lines.discard(frame.f_lineno)
        if not lines:
            frame.f_trace_lines = False
        return trace_line

    return trace_line if lines else None


def lines_of(runs: list[dict[CodeType, set[int]]]) -> dict[str, list[int]]:
    """File → lines that were run."""
    result = defaultdict(set)
    for run in runs:
        for code, missing in run.items():
            result[code.co_filename.removeprefix(ROOT)] |= {
                line for _, _, line in code.co_lines() if line
            } - missing
    return {name: sorted(lines) for name, lines in result.items()}


@pytest.hookimpl(hookwrapper=True)
def pytest_fixture_setup(fixturedef, request):
    global left
    if fixturedef.scope == "function":
        yield
        return
    before, left, began = left, {}, time.perf_counter()
    yield
    of_fixtures[fixturedef], left = left, before
    seconds_of[fixturedef] = time.perf_counter() - began


def pytest_collection_modifyitems(items):
    items[:] = [
        item
        for item in items
        if not any(word in inspect.getsource(item.function) for word in TIMINGS)
    ]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    left.clear()
    made_before = set(seconds_of)
    tests[item.nodeid] = {"seconds": 0.0, "passed": True}
    threading.settrace(trace_call)
    sys.settrace(trace_call)
    yield
    sys.settrace(None)
    threading.settrace(None)
    used = [
        each
        for defs in item._fixtureinfo.name2fixturedefs.values()
        for each in defs
        if each in of_fixtures
    ]
    tests[item.nodeid]["lines"] = lines_of([left, *(of_fixtures[each] for each in used)])
    made = sum(seconds_of[each] for each in used if each in made_before)
    tests[item.nodeid]["alone"] = tests[item.nodeid]["seconds"] + made
    left.clear()


def pytest_runtest_logreport(report):
    test = tests[report.nodeid]
    test["seconds"] += report.duration
    test["passed"] &= report.passed


def pytest_sessionfinish():
    files = defaultdict(dict)
    for name, test in tests.items():
        files[name.split("::")[0]][name] = test
    for file, those in files.items():
        ran = {file}.union(*(test["lines"] for test in those.values()))
        of = {
            name: hashlib.sha256(Path(ROOT, name).read_bytes()).hexdigest() for name in sorted(ran)
        }
        Path(os.environ["LINES_RUN"], file.replace("/", "_") + ".json").write_text(
            json.dumps({"of": of, "tests": those})
        )
