# SPDX-License-Identifier: GPL-3.0-or-later
"""What a take shows of smile, brows, head and eyes, in deviations from usual takes."""

import numpy as np
import pytest

from thunder_core.animation.played import Played
from thunder_core.animation.shown import shown, USUAL
from thunder_core.direction_words import MEASURES
from thunder_core.face.head import load_head
from thunder_core.types import FPS, Motion

FRAMES = 200


@pytest.fixture(scope="module")
def played():
    return Played.of(load_head())


def motion(played, degrees=0.0, looks=0, smile=0.0):
    """A face that nods by so many degrees once a second, shifts its gaze so many times and smiles."""
    t = np.arange(FRAMES)
    expression, turns = np.zeros((FRAMES, played.head.channels)), np.zeros((3, FRAMES, 3))
    expression[:, [played.head.channel("mouthSmile" + side) for side in ("Left", "Right")]] = smile
    turns[1, :, 0] = np.radians(degrees) * np.sin(2 * np.pi * t / FPS)
    for look in np.linspace(10, FRAMES - 20, looks).astype(int):
        turns[2, look : look + 6, 1] = 0.2
    return Motion(expression, *turns)


def test_every_measure_that_words_are_compared_with_is_measured(played):
    result = shown(played, motion(played), np.ones(FRAMES, bool))
    assert set(result) == set(USUAL) == {name for names in MEASURES.values() for name in names}


@pytest.mark.parametrize("name, less, more", [("head", {}, {"degrees": 10.0}), ("gaze", {}, {"looks": 8}), ("smile", {}, {"smile": 0.5})])
def test_a_still_face_shows_less_than_usual_and_a_lively_one_more(played, name, less, more):
    speaks = np.ones(FRAMES, bool)
    low, high = (shown(played, motion(played, **how), speaks)[name] for how in (less, more))
    assert low < 0.05 < 0.7 < high


def test_nothing_is_known_of_a_face_that_does_not_speak(played):
    assert shown(played, motion(played), np.zeros(FRAMES, bool)) == {}
