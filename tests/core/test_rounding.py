# SPDX-License-Identifier: GPL-3.0-or-later
"""Lips come forward on w, oo, oh, aw and r that the encoder hears, in time, as far as directed, and open no further for it."""

import numpy as np
import pytest
from made_voice import made_voice

from thunder_core.direction import Direction, Style
from thunder_core.engine.pipeline import _lips_of, boost_pucker, Pipeline, round_lips
from thunder_core.engine.speech.cues import believed_rounding, unrounded
from thunder_core.engine.speech.phones import PHONES
from thunder_core.face.articulators import bundled_articulators
from thunder_core.face.lips import bundled_lips, width_mm
from thunder_core.face.mechanics import Sounds
from thunder_core.types import Motion

FRAMES = 50
ARTICULATORS = bundled_articulators()
NAMES = list(ARTICULATORS.names)
PUCKER = NAMES.index("mouthPucker")


def heard(phone: str, probability: float, start: int, end: int) -> np.ndarray:
    """Phone probabilities [2 FRAMES, 40]: silence, and a phone over frames start … end."""
    belief = np.zeros((2 * FRAMES, len(PHONES)))
    belief[2 * start : 2 * end, PHONES.index(phone)] = probability
    belief[:, PHONES.index("SIL")] = 1 - belief.sum(1)
    return belief


def spoken(values: dict[str, float], rounding=None, rounder: float = 1.0) -> Motion:
    """A motion of constant channels over a slightly open jaw, as it is articulated."""
    nothing, expression, jaw = np.zeros(FRAMES), np.zeros((FRAMES, len(NAMES))), np.zeros((FRAMES, 3))
    for name, value in values.items():
        expression[:, NAMES.index(name)] = value
    jaw[:, 0] = 0.08
    sounds = Sounds(np.ones(FRAMES), nothing, nothing, nothing)
    return Motion(
        *Pipeline(NAMES, ARTICULATORS).articulate(
            expression, jaw, made_voice(sounds, rounding=None if rounding is None else rounding.times(rounder))
        )
    )


def test_rounding_follows_the_sound_without_a_jump():
    heard_at = believed_rounding(heard("UW", 0.9, 20, 28), FRAMES).heard
    assert heard_at.shape == (FRAMES,) and heard_at[23:25].min() > 0.85 and max(heard_at[:16].max(), heard_at[32:].max()) < 0.01
    assert abs(np.flatnonzero(heard_at > 0.45).mean() - 23.5) <= 0.5 and np.abs(np.diff(heard_at)).max() < 0.5


def test_corners_come_boost_pucker_on_rounded_sounds_alone():
    plain, more = (spoken({"mouthPucker": 0.4}, rounding) for rounding in (None, believed_rounding(heard("UW", 1.0, 20, 28), FRAMES)))
    narrower = width_mm(plain) - width_mm(more)
    assert 2.0 < narrower[24] < 4.0 and np.abs(narrower[:15]).max() < 0.01


def test_slightly_rounded_lips_come_boost_pucker_than_far_rounded_ones_and_none_change_places():
    pucker = np.linspace(0, 1.2, FRAMES)
    expression = np.zeros((FRAMES, len(NAMES)))
    expression[:, PUCKER] = pucker
    after = boost_pucker(expression, NAMES, np.ones(FRAMES))[:, PUCKER]
    assert np.interp(0.25, pucker, after) > 0.38 and np.interp(0.8, pucker, after) < 0.96
    assert (np.diff(after) > 0).all() and (after >= pucker).all() and (after[pucker >= 1] == pucker[pucker >= 1]).all()


@pytest.mark.parametrize("phone, least", [("W", 0.20), ("UW", 0.20), ("AO", 0.20), ("UH", 0.12), ("R", 0.10), ("ER", 0.0), ("IY", 0.0)])
def test_flat_lips_come_forward_as_far_as_a_sound_needs(phone, least):
    pucker = spoken({}, believed_rounding(heard(phone, 0.6, 20, 24), FRAMES)).expression[:, PUCKER]
    assert pucker.max() == pytest.approx(least, abs=1e-6) and np.abs(np.diff(pucker)).max() <= 0.1


def test_lips_come_forward_before_the_sound_and_let_go_after_it():
    least = believed_rounding(heard("W", 0.9, 20, 22), FRAMES).least
    assert 0.02 < least[18] < least[19] < least[20] and least[20] > 0.15 and least[24] > 0
    assert least[:16].max() == 0 and least[27:].max() == 0


def test_a_sound_that_the_encoder_doubts_does_not_round_the_lips():
    assert believed_rounding(heard("W", 0.35, 20, 24), FRAMES).least.max() == 0


def test_lips_that_come_forward_open_no_further_and_rounder_lips_stay():
    rounding = believed_rounding(heard("W", 0.6, 20, 24), FRAMES)
    flat, forward = spoken({}, unrounded(FRAMES)), spoken({}, rounding)
    lips = bundled_lips()
    assert lips.opening(forward) == pytest.approx(lips.opening(flat), abs=0.05)
    assert width_mm(flat)[22] - width_mm(forward)[22] > 2.5
    expression = np.full((FRAMES, len(NAMES)), 0.5)
    kept = round_lips(expression, NAMES, rounding.least)
    assert (kept[:, PUCKER] == 0.5).all() and kept[21, NAMES.index("mouthStretchLeft")] < 0.01 < expression[21, 0]
    assert (kept[:15] == expression[:15]).all()


def test_how_far_follows_the_direction():
    rounding = believed_rounding(heard("W", 0.9, 20, 24), FRAMES)
    half, usual, most = (spoken({}, rounding, rounder).expression[:, PUCKER].max() for rounder in (0.5, 1.0, 1.7))
    assert (half, usual, most) == pytest.approx((0.10, 0.20, 0.34))


def test_who_articulates_more_brings_lips_further_forward():
    forward = [_lips_of(Direction(Style(articulation=share)).vector()[None])[1] for share in (0.7, 1.0, 1.4)]
    assert forward == sorted(forward) and forward[2] > 1.2 * forward[0]
