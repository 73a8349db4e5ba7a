# SPDX-License-Identifier: GPL-3.0-or-later
"""An animator at a real window commits with a click and sees curves over the editors."""

import pytest
from timing import keeps

pytestmark = [pytest.mark.window, pytest.mark.timeout(1200)]


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
