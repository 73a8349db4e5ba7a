# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads in a real window: it plays the bundled one fluently, and a character is found and mapped."""

import pytest

pytestmark = [pytest.mark.window, pytest.mark.timeout(400)]


@pytest.mark.slow
def test_the_window_plays_the_head(windowed):
    seen = windowed.act("plays")
    # Drawing in software takes most of a frame; the head must not cost a multiple of it. Processor
    # time: the machine may be busy.
    assert seen["head"]["fps"] > 0
    assert seen["head_solid"]["processor_ms"] < 3 * seen["empty"]["processor_ms"], seen


def test_a_character_is_found_previewed_and_mapped_by_hand(windowed):
    seen = windowed.act("maps_a_character")
    assert seen["channels"] == 44 - 4  # no sneers, no tip and blade of the tongue
    assert "Reallusion CC4" in seen["plan"] and len(seen["meshes"]) > 3
    rows = {source: (kind, target) for source, kind, target in seen["rows"]}
    assert rows["mouthSmileLeft"] == ("KEY", "Mouth_Smile_L") and rows["jaw"] == (
        "JOINT",
        "CC_Base_JawRoot",
    )
    assert rows["noseSneerLeft"][0] == "NONE"
    assert seen["previewed_mm"] > 3
    assert seen["halved_mm"] == pytest.approx(seen["previewed_mm"] / 2, rel=0.05)
    assert seen["rest_mm"] < 1e-3
    assert seen["kept"] == [0.5]
