# SPDX-License-Identifier: GPL-3.0-or-later
"""Accents: peaks of loudness in speech, about those that the teacher of the training motion moves
on."""

import numpy as np
import pytest

from thunder_core.engine.speech.acoustics import semitones
from thunder_core.engine.speech.cues import accent_curve, accents
from thunder_core.train.teacher_timing import prosody


def voice(peaks, frames=250):
    """Loudness [T, 2] of a voice that stresses some frames, and whether it speaks [T]."""
    t = np.arange(frames)
    loud = -0.2 + 0.02 * np.sin(t / 3) + sum(0.8 * np.exp(-0.5 * ((t - p) / 3) ** 2) for p in peaks)
    speaking = (t > 15) & (t < frames - 15)
    return np.stack([np.where(speaking, loud, -1), np.where(speaking, 0.5, -2)], 1).astype(
        np.float32
    ), speaking.astype(float)


def test_accents_are_where_the_voice_is_loud():
    loud, speaking = voice([40, 90, 160])
    frames, weights = accents(loud[:, 0], speaking)
    assert (
        frames == pytest.approx([40, 90, 160], abs=2) and ((weights > 0.2) & (weights <= 1)).all()
    )


def test_and_where_it_is_high():
    loud, speaking = voice([40, 160])
    t = np.arange(250)
    high = 5 * np.exp(-0.5 * ((t - 100) / 3) ** 2)
    assert accents(loud[:, 0], speaking, high)[0] == pytest.approx([40, 100, 160], abs=2)


@pytest.mark.parametrize("pitch", [None, 6 * np.sin(np.arange(250) / 9)])
def test_they_are_those_of_the_prosody_that_the_teacher_plays(pitch):
    loud, speaking = voice([40, 90, 160, 200])
    labels = np.repeat(np.where(speaking > 0, 5, 0), 4)
    frames, weights = accents(loud[:, 0], speaking, pitch)
    theirs = prosody(labels, loud, pitch)
    assert frames == pytest.approx(25 * theirs.accents, abs=1)
    assert len(weights) == len(frames) and weights.min() >= 0 and weights.max() <= 1


def test_silence_and_an_even_voice_have_none():
    loud, speaking = voice([])
    assert not len(accents(loud[:, 0], 0 * speaking)[0])
    assert (
        not len(accents(np.zeros(100), np.ones(100))[0])
        and not accent_curve(np.zeros(0, int), 100).any()
    )


def test_the_curve_is_high_at_accents_and_low_between():
    curve = accent_curve(np.array([40, 90]), 250)
    assert curve.shape == (250,) and curve.max() <= 1
    assert curve[41] > 0.9 and curve[91] > 0.9 and curve[65] < 0.05 and curve[200] == 0


def test_an_accent_at_the_very_end_is_kept_within_the_line():
    curve = accent_curve(np.array([0, 59]), 60)
    assert curve.shape == (60,) and np.isfinite(curve).all()


def test_the_pitch_of_a_gliding_tone_is_followed_and_silence_has_none():
    t = np.arange(3 * 16000) / 16000
    hertz = 150 * 2 ** (0.5 * np.sin(2 * np.pi * t))  # six semitones up and down
    sound = np.sin(2 * np.pi * np.cumsum(hertz) / 16000) + 0.5 * np.sin(
        4 * np.pi * np.cumsum(hertz) / 16000
    )
    got = semitones(0.3 * sound.astype(np.float32), 75)
    wanted = 6 * np.sin(2 * np.pi * (np.arange(75) + 0.5) / 25)
    assert got.shape == (75,) and np.abs(got - wanted)[3:-3].max() < 1.5
    assert not semitones(np.zeros(16000, np.float32), 25).any() and semitones(
        np.zeros(100, np.float32), 1
    ).shape == (1,)
