# SPDX-License-Identifier: GPL-3.0-or-later
"""Ee, i, oo and u open less than ah nearby, softly, and everything a little further in return."""

import numpy as np
import pytest
from made_voice import made_voice

from thunder_core.engine.pipeline import closing_of_high_vowels, Pipeline
from thunder_core.engine.speech.cues import believed_vowels, no_vowels
from thunder_core.engine.speech.phones import PHONES
from thunder_core.face.articulators import bundled_articulators
from thunder_core.face.lips import bundled_lips
from thunder_core.face.mechanics import Sounds
from thunder_core.types import Motion

FRAMES = 120
SPEECH = np.ones(FRAMES)


def heard(*spoken: tuple[str, float, int, int]) -> np.ndarray:
    """Phone probabilities [2 FRAMES, 40]: silence, and phones (name, probability, start, end) over frames."""
    belief = np.zeros((2 * FRAMES, len(PHONES)))
    for phone, probability, start, end in spoken:
        belief[2 * start : 2 * end, PHONES.index(phone)] = probability
    belief[:, PHONES.index("SIL")] = 1 - belief.sum(1)
    return belief


def opening(high: str = "IY", low: float = 14.0, wide: float = 20.0) -> tuple[np.ndarray, np.ndarray]:
    """An opening [FRAMES] mm with low vowels and a wide one of another kind, and its factor [FRAMES]."""
    gap = np.full(FRAMES, 3.0)
    gap[18:24], gap[78:84], gap[48:56] = low, low, wide
    vowels = believed_vowels(heard(("AA", 0.9, 18, 24), (high, 0.9, 48, 56), ("AE", 0.9, 78, 84)), FRAMES)
    return gap, closing_of_high_vowels(gap, SPEECH, vowels)


@pytest.mark.parametrize("phone", ["IY", "IH", "UW", "UH"])
def test_a_high_vowel_opens_hardly_further_than_low_ones(phone):
    gap, factor = opening(phone)
    made = factor * gap
    assert 0.9 < made[51:53].mean() / made[18:24].mean() < 1.1
    assert (factor[:44] >= 1).all() and (factor[60:] >= 1).all()


def test_the_mouth_moves_as_much_as_before():
    gap, factor = opening()
    moved, before = (np.abs(np.diff(x)).sum() for x in (factor * gap, gap))
    assert factor[[20, 80]].min() > 1.02 and factor.max() <= 1.15
    assert moved / before == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("phone", ["AH", "EH", "EY", "AA"])
def test_other_vowels_stay(phone):
    assert opening(phone)[1] == pytest.approx(1.0)


@pytest.mark.parametrize("wide", [4.0, 6.5])
def test_a_high_vowel_that_opens_no_further_stays(wide):
    assert opening(wide=wide)[1] == pytest.approx(1.0)


def test_wider_stays_wider_and_differs_less():
    widths = np.array([15.0, 18.0, 21.0, 24.0])
    made = np.array([(np.prod(opening(wide=width), axis=0))[51] for width in widths])
    assert (np.diff(made) > 0.6).all() and (np.diff(made) < 0.9 * np.diff(widths)).all() and made[-1] < 19.0


def test_without_low_vowels_the_opening_of_speech_decides():
    gap = np.full(FRAMES, 4.0)
    gap[48:56] = 14.0
    factor = closing_of_high_vowels(gap, SPEECH, believed_vowels(heard(("IY", 0.9, 48, 56)), FRAMES))
    assert 0.4 < factor[51] < 0.9 and (factor[:44] >= 1).all()


def test_silence_and_a_face_that_does_not_speak_stay():
    gap = np.zeros(FRAMES)
    assert (closing_of_high_vowels(gap, np.zeros(FRAMES), no_vowels(FRAMES)) == 1).all()
    assert np.isfinite(closing_of_high_vowels(gap, np.zeros(FRAMES), believed_vowels(heard(("IY", 1.0, 48, 56)), FRAMES))).all()


def test_the_mouth_follows_jaw_and_lips():
    articulators, nothing = bundled_articulators(), np.zeros(FRAMES)
    expression, jaw = np.zeros((FRAMES, len(articulators.names))), np.zeros((FRAMES, 3))
    jaw[:, 0], jaw[15:27, 0], jaw[45:59, 0] = 0.03, 0.14, 0.22
    sounds = Sounds(SPEECH, nothing, nothing, nothing)
    vowels = believed_vowels(heard(("AA", 0.9, 18, 24), ("IY", 0.9, 46, 58)), FRAMES)
    plain, made = (
        Motion(*Pipeline(articulators.names, articulators).articulate(expression, jaw, made_voice(sounds, vowels=some)))
        for some in (None, vowels)
    )
    before, after = (bundled_lips().opening(motion) for motion in (plain, made))
    assert before[52] > 1.4 * before[21] and after[52] < 1.3 * after[21]
    assert made.jaw[52, 0] < 0.9 * plain.jaw[52, 0]
    assert (after[:40] >= before[:40] - 0.1).all() and (after[:40] <= 1.16 * before[:40] + 0.1).all()
