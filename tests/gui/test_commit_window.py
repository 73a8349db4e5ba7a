# SPDX-License-Identifier: GPL-3.0-or-later
"""An animator at a real window edits a key, sees the score follow, listens, and commits with a
click."""

import pytest
from timing import keeps

pytestmark = [pytest.mark.window, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def rescored(real_blender):
    return real_blender.act("commit_scenarios.rescores", timeout=1100)


@pytest.fixture(scope="module")
def drawn(real_blender):
    return real_blender.act("commit_scenarios.draws_curves", timeout=500)


def test_commit_is_one_undo_step_in_small_slices(windowed):
    seen = windowed.act("commit_scenarios.choices", timeout=500)
    assert len(seen["made"]) == 1 and seen["undone"] and seen["shown"] == 0
    keeps(0.05, seen["held"], "slices of a commit")
    assert 50 < sum(seen["curves"].values()) < 0.6 * 200 * len(seen["curves"])


def test_the_curves_are_drawn_and_go_with_their_switch_and_the_add_on(windowed, drawn):
    # pixels of the mouth's line
    assert drawn["plain"] - drawn["off"] > 500 and drawn["on"] - drawn["off"] > 500
    assert drawn["gone"] == drawn["off"]


def test_a_redraw_of_the_curves_takes_less_than_2_ms(windowed, drawn):
    assert {name for name, _ in drawn["spent"]} == {"SpaceDopeSheetEditor", "SpaceSequenceEditor"}
    spent = sorted(seconds for _, seconds in drawn["spent"])
    assert len(spent) > 20
    keeps(0.002, spent[len(spent) // 2], "a redraw of the curves, median")


def test_an_edit_is_scored_by_itself_without_holding_the_window(windowed, rescored):
    assert rescored["after"] != rescored["before"]
    keeps(0.05, rescored["held"], "slices of scoring an edit")


def test_an_edit_drifts(windowed, rescored):
    assert rescored["drifts"] > 0


def test_listen_speaks_the_edited_frames_and_one_button_flips(windowed, rescored):
    first, last, heard_mute, voice_mute = rescored["heard"]
    assert 45 <= first <= 60 and 72 <= last <= 90
    assert (heard_mute, voice_mute) == (True, False)
    assert rescored["flipped"] == [False, True] and rescored["flipped_back"] == [True, False]
