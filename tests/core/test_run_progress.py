# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run of many bakes shows its progress."""

import pytest

from thunder_core.batch import baker as run_progress
from thunder_core.batch.baker import RunProgress


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless the test moves it: [seconds]."""
    now = [1000.0]
    monkeypatch.setattr(run_progress.time, "monotonic", lambda: now[0])
    return now


def made(count):
    said = []
    return RunProgress(count, said.append), said


def test_a_line_is_said_now_and_then(clock):
    progress, lines = made(140)
    for number in range(120):  # two minutes of two machines, an event a second of each
        progress.update("shot 12", number / 120, f"Sampled {number}", "anna")
        progress.update("shot 13", 0.5, "Writing the scene", "bert")
        clock[0] += 1.0
    assert len(lines) == 120 // run_progress.LOG_EVERY - 1
    assert lines[0].strip() == (
        "0 of 140 done, 93 min left; now shot 12: 25%, sampled 30, for 30 s (on anna); shot 13: "
        "50%, writing the scene, for 30 s (on bert)"
    )


def test_the_time_left_counts_jobs_that_were_baked_not_those_that_failed(clock):
    progress, _ = made(10)
    progress.update("a", 0.0, "")
    assert progress.summary() == "0 of 10 done"  # too early to know
    clock[0] += 60.0
    progress.end("a", True)
    for name in "bcd":
        progress.update(name, 0.0, "")
        progress.end(name, False)
    assert progress.summary() == "4 of 10 done, 6 min left"
    progress.update("e", 0.5, "")
    clock[0] += 30.0
    assert progress.summary() == "4 of 10 done, 6 min left"  # a minute for each of 5.5
