# SPDX-License-Identifier: GPL-3.0-or-later
"""An animator at a real window directs a head, with the weights that are distributed."""

import numpy as np
import pytest
from timing import keeps

CORES = 2  # that the engine works on at once where the promise was measured

pytestmark = [pytest.mark.window, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def seen(real_blender):
    return real_blender.act("direction_scenarios.directs", timeout=1000)


def test_takes_are_generated_in_the_direction_and_say_how_they_are_played(windowed, seen):
    words = dict(seen["takes"])
    assert len(words) == 3 and words[min(words)] == "as asked"
    assert all(words.values()) and len(set(words.values())) > 1
    assert seen["asked"] == pytest.approx([np.log(1.4) / 0.25] * 3, abs=1e-3)


def test_a_copy_of_the_shown_take_follows_a_slider(windowed, seen):
    source, copy = seen["names"]
    assert copy == f"{source}b"
    assert seen["draft"][1] in ("draft", "normal") and seen["final"][1] == "normal"
    assert seen["final"][0] < 0.9 * seen["before"][0]  # less energy, a smaller mouth
    assert not seen["edited"] and seen["sentence"] == ""
    keeps(0.05, seen["held"], "steps of a take that follows, in the window")
    engine, window = seen["draft_seconds"]
    keeps(
        0.5, engine / CORES + window, "from a slider to keys, seconds of the processor on two cores"
    )


def test_undo_takes_back_the_slider_and_the_take_in_one_step(windowed, seen):
    assert seen["slider_undone"] == pytest.approx(1.3)
    assert seen["undone"] == seen["before"]


def test_more_like_this_is_one_undo_step(windowed, seen):
    before = sorted([seen["seed"], *(seed for seed, _ in seen["takes"])])  # with the copy
    assert seen["more"] == ["RUNNING_MODAL"]
    assert sorted(seed for seed, _ in seen["with_more"]) == [
        *before,
        *range(max(before) + 1, max(before) + 5),
    ]
    assert sorted(seen["without_more"]) == before
