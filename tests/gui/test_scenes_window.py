# SPDX-License-Identifier: GPL-3.0-or-later
"""Around takes in a real window: long work that never holds it, dialogue, a voice that moves, the
engine's setup."""

import pytest
from timing import keeps

pytestmark = [pytest.mark.window, pytest.mark.timeout(2400)]


@pytest.mark.parametrize(
    "scenario, count, name",
    [
        ("works_a_while", 6, "six takes of fifteen seconds"),
        pytest.param("works_long", 16, "sixteen takes of a minute", marks=pytest.mark.slow),
    ],
)
def test_takes_of_a_long_voice_leave_the_window_to_the_animator(windowed, scenario, count, name):
    seen = windowed.act(f"scene_scenarios.{scenario}", timeout=2000)
    keeps(0.05, seen["held"], f"slices of {name}")
    assert len(seen["arrivals"]) == count
    # one after the other, not all at the end
    assert len(set(seen["arrivals"])) >= 3, seen["arrivals"]
    assert seen["scores"] == sorted(seen["scores"], reverse=True)
    assert seen["scrubbed"] > 5
    assert seen["left"] and all(text.endswith("left") for text in seen["left"])
    keeps(0.5, seen["seconds_to_stop"], "Cancel")
    assert seen["kept"] >= 2
    # The window's own drawing lies between two ticks as well: while takes are made it may not take
    # much longer than without.
    assert seen["gaps"]["processor_median"] < 1.5 * seen["idle_gaps"]["processor_median"] + 0.05, (
        seen["idle_gaps"],
        seen["gaps"],
    )


def test_the_dialogue_of_two_heads_is_generated_in_one_go(windowed):
    seen = windowed.act("scene_scenarios.casts_dialogue", timeout=900)
    assert seen["takes"] == [["Anna asks", "Anna"]] * 2 + [["Ben answers", "Ben"]] * 2


def test_takes_follow_their_voice(windowed):
    seen = windowed.act("scene_scenarios.moves_a_voice")
    assert seen["before"] == [["MOVED", 1]] * 3 and seen["after"] == [13] * 3 and seen["stale"] == 0
    assert seen["undone"] == [1] * 3


def test_the_preferences_tell_how_the_engine_is(windowed):
    seen = windowed.act("scene_scenarios.sets_up_the_engine", timeout=600)
    assert seen["refused_meanwhile"] and seen["kind"] == "READY" and seen["nothing_installed"]
    assert seen["told"]["device"].startswith(("cpu", "cuda")) and seen["memory"] > 5e7
