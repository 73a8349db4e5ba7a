# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults: tries every row of the table, lets every single call fail, kills processes at random
moments, and counts the results.

`python -m research faults [--kills 200] [--skip calls,kills]` in the engine's environment (`make
faults`) writes research/results/faults.txt and faults.json (the rows with attempts and successes)
and kills.txt. BPY_PYTHON names the Python that has Blender as a module; BLENDER a real one, if
there is one.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path

from research.harness import add_shared, RESULTS as FOLDER, ROOT, use_tests, write_json, write_table
from research.kills import blender_python

use_tests("faults")

from harness import RESULTS, summary


def tests(python: str, *arguments: str, **environment: str) -> int:
    """Run tests with a Python; the exit code."""
    command = [python, "-m", "pytest", "-q", "--tb=short", "-p", "no:warnings", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment).returncode


def table(folder: Path) -> int:
    """Try all rows, including slow ones, and write the results; returns 0 if all passed."""
    with tempfile.TemporaryDirectory() as scratch:
        lines = Path(scratch) / "rows.jsonl"
        lines.touch()
        for python, path in (
            (sys.executable, "tests/faults/test_faults.py"),
            (blender_python(), "tests/blender/test_faults.py"),
        ):
            tests(python, path, **{RESULTS: str(lines), "THUNDER_PYTHON": sys.executable})
        rows = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    return keep_rows(rows, folder)


def keep_rows(rows: list[dict], folder: Path) -> int:
    """Write the results of all rows; returns 0 if all passed."""
    for row in rows:
        for name in ("sentence", "wrong"):  # paths of this machine are removed
            text_of_row = re.sub(
                r"/[^ “”]*/pytest-of-[^/]*/pytest-\d+/[^/ “”]*",
                "…",
                json.dumps(row[name], ensure_ascii=False),
            )
            row[name] = json.loads(
                text_of_row.replace(str(ROOT), "…").replace(tempfile.gettempdir(), "…")
            )
    if not rows:
        raise SystemExit("No row was tried, see above. research/results is as it was.")
    print(write_table(folder / "faults.txt", summary(rows)), end="")
    write_json(folder / "faults.json", rows)
    return int(any(not row["right"] for row in rows))


def calls() -> int:
    """Let every single call fail; 0 if all went right."""
    every = {"THUNDER_ALL_CALLS": "1", "THUNDER_PYTHON": sys.executable}
    return max(
        tests(sys.executable, "tests/faults/test_failing_calls.py", "--timeout", "7200", **every),
        tests(
            blender_python(), "tests/blender/test_failing_calls.py", "--timeout", "7200", **every
        ),
    )


def kills(count: int, folder: Path) -> int:
    """Kill processes at random moments; 0 if all went right."""
    return subprocess.run(
        [sys.executable, "-m", "research.kills", "--kills", str(count), "--results", str(folder)],
        cwd=ROOT,
    ).returncode


def add_arguments(parser: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(parser, results=FOLDER)
    parser.add_argument("--kills", type=int, default=200, help="how many processes to kill (200)")
    parser.add_argument("--skip", default="", help="parts to leave out: table, calls, kills")


def run(options: Namespace) -> int:
    """Run the requested parts; returns 0 if all passed."""
    parts = {
        "table": lambda: table(options.results),
        "calls": calls,
        "kills": lambda: kills(options.kills, options.results),
    }
    codes = {name: part() for name, part in parts.items() if name not in options.skip.split(",")}
    print(", ".join(f"{name}: {'right' if code == 0 else 'WRONG'}" for name, code in codes.items()))
    return max(codes.values(), default=0)
