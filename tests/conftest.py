# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share: at the end the measured times are shown, and how many faults of the table
were tried and went right."""

import importlib
import sys
from pathlib import Path

import pytest
import timing

SETUP = Path(__file__).resolve().parents[1] / "setup"


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
