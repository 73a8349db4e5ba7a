# SPDX-License-Identifier: GPL-3.0-or-later
"""Tries every row of the table of faults that needs Blender; tests/faults/test_faults.py tries the
others."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))  # harness.py, rows_blender.py

import harness
import rows_blender

pytestmark = pytest.mark.one_blender


def test_no_two_rows_have_the_same_name():
    names = [row.name for row in rows_blender.ROWS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=row.name, marks=[pytest.mark.slow] * row.slow)
        for row in rows_blender.ROWS
    ],
)
def test_fault(row, tmp_path, blender):
    outcome = harness.attempt(row, tmp_path, harness.Session())
    assert outcome.right, "; ".join(outcome.wrong)
