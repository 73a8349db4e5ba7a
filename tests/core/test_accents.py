# SPDX-License-Identifier: GPL-3.0-or-later
"""Accents: peaks of loudness in speech, about those that the teacher of the training motion moves on."""

import numpy as np
import pytest

from thunder_core.engine.speech.accents import accent_curve, accents
from thunder_core.train.prosody import prosody


def voice(peaks, frames=250):
    """Loudness [T, 2] of a voice that stresses some frames, and whether it speaks [T]."""
    t = np.arange(frames)
    loud = -0.2 + 0.02 * np.sin(t / 3) + sum(0.8 * np.exp(-0.5 * ((t - p) / 3) ** 2) for p in peaks)
    speaking = (t > 15) & (t < frames - 15)
    return np.stack([np.where(speaking, loud, -1), np.where(speaking, 0.5, -2)], 1).astype(np.float32), speaking.astype(float)


def test_accents_are_where_the_voice_is_loud():
    loud, speaking = voice([40, 90, 160])
    assert accents(loud[:, 0], speaking) == pytest.approx([40, 90, 160], abs=2)


def test_they_are_those_of_the_prosody_that_the_teacher_plays():
    loud, speaking = voice([40, 90, 160, 200])
    labels = np.repeat(np.where(speaking > 0, 5, 0), 4)
    assert accents(loud[:, 0], speaking) == pytest.approx(25 * prosody(labels, loud).accents, abs=1)


def test_silence_and_an_even_voice_have_none():
    loud, speaking = voice([])
    assert not len(accents(loud[:, 0], 0 * speaking)) and not accent_curve(loud[:, 0], 0 * speaking).any()
    assert not len(accents(np.zeros(100), np.ones(100)))


def test_the_curve_is_high_at_accents_and_low_between():
    loud, speaking = voice([40, 90])
    curve = accent_curve(loud[:, 0], speaking)
    assert curve.shape == (250,) and curve.max() <= 1
    assert curve[41] > 0.9 and curve[91] > 0.9 and curve[65] < 0.05 and curve[200] == 0


def test_an_accent_at_the_very_end_is_kept_within_the_line():
    curve = accent_curve(np.linspace(-1, 1, 60), np.ones(60))
    assert curve.shape == (60,) and np.isfinite(curve).all()
