# SPDX-License-Identifier: GPL-3.0-or-later
"""An animator at a real window goes through takes: by keys, marks them, compares them side by
side."""

import pytest
from timing import keeps

pytestmark = [pytest.mark.window, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def browsed(real_blender):
    return real_blender.act("take_scenarios.browses", timeout=800)


def test_a_click_on_a_row_shows_its_take_and_is_one_undo_step(windowed, browsed):
    assert browsed["clicked"] == 7302 and browsed["click_undone"] == 7301


def test_keys_go_through_the_list_and_back(windowed, browsed):
    assert browsed["visited"][:5] == [7302, 7303, 7302, 7303, 7302]


def test_a_key_gives_a_star_and_undo_takes_it_away(windowed, browsed):
    assert browsed["starred"] == [7302] and browsed["star_undone"] == []


@pytest.fixture(scope="module")
def played(real_blender):
    return real_blender.act("take_scenarios.plays_all", timeout=800)


def test_the_clicked_head_of_the_grid_is_the_take_that_is_shown(windowed, played):
    assert played["heads"] == 6 and played["shown_chosen"] == 7303


@pytest.mark.parametrize("ended_by", ["chosen", "undone"])
def test_nothing_of_the_grid_is_left_and_the_view_is_as_before(windowed, played, ended_by):
    assert played[f"debris_{ended_by}"] == [] and not played[f"local_{ended_by}"]
    assert played[f"view_{ended_by}"] < 1e-4


def test_play_all_repeats_the_line_and_gives_the_preview_range_back(windowed, played):
    first, last = played["line"]
    assert (
        all(first <= frame <= last for frame in played["frames"])
        and min(played["frames"]) < last - 3
    ), played["frames"]
    assert not played["preview_chosen"] and not played["preview_undone"]


def test_setting_the_grid_up_does_not_hold_the_window(windowed, played):
    keeps(0.05, played["held"], "slices of setting a grid up")


def test_the_sheet_opens_and_nothing_else_has_changed(windowed):
    seen = windowed.act("take_scenarios.draws_a_sheet", timeout=800)
    assert seen["files"] == ["dialogue_takes.png"] and seen["editors"] == ["dialogue_takes"]
    assert seen["debris"] == [] and seen["frame"] == 33 and seen["shown"] == 7302
    # a row is rendered in one go: with a graphics card in some ten milliseconds, without one in
    # less than an operator's time
    keeps(0.3, max(seen["held"])[0], "a row of the contact sheet")
