# SPDX-License-Identifier: GPL-3.0-or-later
"""An animator at a real window: clicks Generate Takes, sees what the engine answered, cancels."""

from pathlib import Path

import numpy as np
import pytest
from processes import is_alive
from timing import keeps, until

from thunder_core.client import Client
from thunder_core.direction import Direction

pytestmark = [pytest.mark.window, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def answer():
    """What the engine itself answers for the sound, count and seed of the scenario, where nobody
    asks for a direction."""
    with Client() as client:
        asked = {"direction": client.put_array(Direction().vector()[None]), "spread": 0.5}
        yield client.request(
            "generate", sound=str(ROOT / "assets" / "sample.wav"), takes=8, seed=11, **asked
        ).wait(timeout=400)


@pytest.fixture(scope="module")
def seen(real_blender):
    return real_blender.act("generates_takes")


def test_the_panel_lists_the_engines_answer(windowed, seen, answer):
    listed = seen["takes"]
    assert len(listed) == len(answer["takes"]) == 8
    scores = [take["score"] for take in listed]
    assert scores == sorted(scores, reverse=True)
    by_seed = {take["seed"]: take["score"] for take in answer["takes"]}
    assert {take["seed"] for take in listed} == set(by_seed) == set(range(11, 19))
    for take in listed:
        # The strip is mixed down by Blender, the file is read by the engine: the same sound but for
        # the last bit.
        assert take["score"] == pytest.approx(by_seed[take["seed"]], abs=1.0)


def test_every_listed_take_is_keyed_and_can_be_made_again(windowed, seen):
    assert all(take["action"] for take in seen["takes"])
    assert len({take["action"] for take in seen["takes"]}) == 8
    for take, provenance in zip(seen["takes"], seen["provenance"]):
        assert provenance["seed"] == take["seed"]
        assert {"engine", "weights", "audio", "score"} <= set(provenance)


def test_the_best_take_moves_the_head_and_another_moves_it_otherwise(windowed, seen):
    best, third = np.array(seen["best"]), np.array(seen["third"])
    assert seen["shown"] == 0
    for take in (best, third):
        assert take[:, 0].std() > 0.01 and np.ptp(take[:, 0]) > 0.05  # the jaw, radians
    assert np.abs(best - third).max() > 0.02


def test_progress_was_told(windowed, seen):
    # What is soon over may be so before anybody looks: each part of the engine's work, and on a
    # fast machine one take's keying.
    assert "Loading the engine" in seen["messages"], seen["messages"]
    parts = ("Analyzing the voice", "Sampling 8 takes", "Ranking by lip-sync")
    assert any(
        message in parts or message.endswith("of 8 takes sampled") for message in seen["messages"]
    ), seen["messages"]
    assert any(message.startswith(("Writing keys", "Keyed")) for _, message in seen["held"]), seen[
        "held"
    ]


def test_no_slice_of_ours_holds_the_window(windowed, seen):
    assert len(seen["held"]) > 20
    keeps(0.05, seen["held"], "slices of generating")


def test_the_engine_goes_with_the_window(windowed, seen):
    until(lambda: not is_alive(seen["pid"]), 5)
    assert windowed.left_behind() == []


def test_escape_cancels_and_leaves_the_scene_as_it_was(windowed):
    seen = windowed.act("cancels_with_escape")
    keeps(0.5, seen["seconds_to_stop"], "Escape")
    assert seen["takes"] == []
    assert set(seen["left"].values()) == {0}, seen["left"]
    until(lambda: not is_alive(seen["pid"]), 5)


def test_generate_works_after_esc_was_pressed_anywhere(windowed):
    seen = windowed.act("generates_after_escape", simulated=False)
    assert seen["takes"] == [1, 1, 1] and seen["by_blender"] == 2, seen["log"][-2000:]
    assert abs(seen["lengths"][0] - seen["lengths"][1]) <= 2 and seen["alike"] > 0.98
