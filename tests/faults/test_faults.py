# SPDX-License-Identifier: GPL-3.0-or-later
"""Tries every row of the table of faults that needs no Blender; tests/blender/test_faults.py tries
the others."""

import harness
import pytest
import rows_disk
import rows_heads
import rows_installer
import rows_sounds
import rows_weights
import rows_worker

ROWS = [
    *rows_sounds.ROWS,
    *rows_weights.ROWS,
    *rows_heads.ROWS,
    *rows_worker.ROWS,
    *rows_installer.ROWS,
    *rows_disk.ROWS,
]


@pytest.fixture(scope="module")
def session():
    session = harness.Session()
    yield session
    session.close()


def test_no_two_rows_have_the_same_name():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row.name, marks=[pytest.mark.slow] * row.slow) for row in ROWS]
)
def test_fault(row, tmp_path, session):
    try:
        outcome = harness.attempt(row, tmp_path, session)
    finally:
        rows_disk.unmount(tmp_path)
    assert outcome.right, "; ".join(outcome.wrong)
