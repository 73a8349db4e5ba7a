# SPDX-License-Identifier: GPL-3.0-or-later
"""Voices without a chosen seed: each has one of its own, which stays."""

import pytest

from thunder_core.direction import Direction
from thunder_core.engine.readings import reading
from thunder_core.engine.sobol import POINTS
from thunder_core.request import seed_of_voice

USUAL = Direction().vector()[None]


def test_a_voice_has_the_same_seed_everywhere():
    assert (
        seed_of_voice("dialogue_03")
        == seed_of_voice("dialogue_03.wav")
        == seed_of_voice("Dialogue_03.WAV")
        == 30648
    )


def test_lines_of_a_scene_are_played_by_different_people():
    names = [f"line_{i:02d}.wav" for i in range(20)] + ["rec.001.wav", "rec.002.wav", "rec"]
    seeds = [seed_of_voice(name) for name in names]
    assert len(set(seeds)) == len(names) and all(
        0 <= seed <= POINTS - 8 and seed % 8 == 0 for seed in seeds
    )
    one, other = (reading(USUAL, seed + 1, 0.5) for seed in seeds[:2])
    assert abs(one - other).max() > 0.3


def test_both_parts_of_a_line_that_was_cut_are_played_by_the_same_people():
    assert (
        seed_of_voice("rec.wav.001")
        == seed_of_voice("rec.001")
        == seed_of_voice("rec.wav")
        == seed_of_voice("rec")
    )
    assert (
        seed_of_voice("rec.001.wav.002") == seed_of_voice("rec.001.wav") != seed_of_voice("rec.wav")
    )


def test_characters_who_speak_in_one_sound_have_other_seeds():
    seeds = [seed_of_voice("scene_3.wav", character) for character in range(20)]
    assert (
        len(set(seeds)) == 20
        and seeds[0] == seed_of_voice("scene_3")
        and seed_of_voice("scene_3.wav.001", 1) == seeds[1]
    )


@pytest.mark.parametrize("name", ["", ".wav", "日本語.wav", "a\ud800", "x" * 300])
def test_any_name_has_a_seed(name):
    assert seed_of_voice(name) >= 0
