# SPDX-License-Identifier: GPL-3.0-or-later
"""A newcomer's first day at a real window, from the cube to a committed line, and back by undo."""

import pytest
from timing import keeps

pytestmark = [pytest.mark.window, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def day(real_blender):
    return real_blender.act("day_scenarios.a_day", timeout=800)


def test_three_clicks_from_nothing_to_a_moving_face(windowed, day):
    # radians of the jaw
    assert day["started"] and len(day["generated"]) == 4 and day["moved"] > 0.03


def test_takes_are_starred_mixed_resampled_and_shaped(windowed, day):
    assert day["starred"] == [False, True, False, False]
    assert sorted(day["kinds"]) == ["MIXED", "RESAMPLED"] + ["SAMPLED"] * 4
    keeps(0.1, day["slider"], "a slider")


def test_a_commit_is_listened_to(windowed, day):
    assert len(day["committed"]) == 1 and day["heard"]  # the commit is an action of its own


def test_undo_after_commit_brings_the_takes_back(windowed, day):
    assert day["uncommitted"] == day["before_commit"] and day["uncommitted"][1] >= 0


def test_nothing_of_the_day_holds_the_window(windowed, day):
    keeps(0.05, day["held"], "slices of a day")


def test_nothing_goes_wrong_behind_the_animator(windowed, day):
    assert "Traceback" not in day["log"] and "Error" not in day["log"], day["log"][-3000:]


def test_the_whole_day_is_undone_and_done_again(windowed, day):
    names, actions = day["undone"]
    assert names == [] and actions == 0
    assert day["redone"]
