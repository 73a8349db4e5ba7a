# SPDX-License-Identifier: GPL-3.0-or-later
"""What is heard of a voice: accents, about those that the teacher of the training motion moves on, and
phones, drawn by their probabilities where these are doubtful."""

import numpy as np
import pytest

from research.train.teacher import prosody
from thunder_core.acoustics import semitones
from thunder_core.engine.speech import cues
from thunder_core.engine.speech.cues import accent_curve, accents, closure
from thunder_core.engine.speech.encoder import softmax
from thunder_core.spoken import PHONES, SILENCE


def voice(peaks, frames=250):
    """Loudness [T, 2] of a voice that stresses some frames, and whether it speaks [T]."""
    t = np.arange(frames)
    loud = -0.2 + 0.02 * np.sin(t / 3) + sum(0.8 * np.exp(-0.5 * ((t - p) / 3) ** 2) for p in peaks)
    speaking = (t > 15) & (t < frames - 15)
    return np.stack([np.where(speaking, loud, -1), np.where(speaking, 0.5, -2)], 1).astype(
        np.float32
    ), speaking.astype(float)


def test_accents_are_where_the_voice_is_loud_or_high():
    loud, speaking = voice([40, 160])
    frames, weights = accents(loud[:, 0], speaking)
    assert frames == pytest.approx([40, 160], abs=2) and ((weights > 0.2) & (weights <= 1)).all()
    high = 5 * np.exp(-0.5 * ((np.arange(250) - 100) / 3) ** 2)
    assert accents(loud[:, 0], speaking, high)[0] == pytest.approx([40, 100, 160], abs=2)


@pytest.mark.parametrize("pitch", [None, 6 * np.sin(np.arange(250) / 9)])
def test_they_are_those_of_the_prosody_that_the_teacher_plays(pitch):
    loud, speaking = voice([40, 90, 160, 200])
    labels = np.repeat(np.where(speaking > 0, 5, 0), 4)
    frames, weights = accents(loud[:, 0], speaking, pitch)
    assert frames == pytest.approx(25 * prosody(labels, loud, pitch).accents, abs=1)
    assert len(weights) == len(frames) and weights.min() >= 0 and weights.max() <= 1


def test_the_curve_is_high_at_accents_and_silence_has_none():
    curve = accent_curve(np.array([40, 90]), 250)
    assert curve.shape == (250,) and curve.max() <= 1
    assert curve[41] > 0.9 and curve[91] > 0.9 and curve[65] < 0.05 and curve[200] == 0
    ends = accent_curve(np.array([0, 59]), 60)
    assert ends.shape == (60,) and np.isfinite(ends).all()
    loud, speaking = voice([])
    assert not len(accents(loud[:, 0], 0 * speaking)[0])
    assert (
        not len(accents(np.zeros(100), np.ones(100))[0])
        and not accent_curve(np.zeros(0, int), 100).any()
    )


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


A, B, EE, S = (PHONES.index(name) for name in ("AA", "B", "IY", "S"))


def logits_of(frames, **shares):
    """Phone logits [frames, 40] of these probabilities in every frame; the rest share what is
    left."""
    rest = (1 - sum(shares.values())) / (len(PHONES) - len(shares))
    return np.tile(np.log([shares.get(name, rest) for name in PHONES]), (frames, 1)).astype(
        np.float32
    )


def drawn_of(logits, freely=False):
    """Phones that sixty seeds draw."""
    return np.concatenate([cues.draw_phones(logits, seed, freely) for seed in range(60)])


def test_phones_are_drawn_by_their_probabilities_and_unlikely_ones_more_rarely():
    drawn = drawn_of(logits_of(400, AA=0.6, IY=0.3, L=0.06))
    for phone, share in ((A, 0.6), (EE, 0.3), (PHONES.index("L"), 0.06)):
        assert (drawn == phone).mean() == pytest.approx(share, abs=0.03)
    for contact in ("B", "F", "TH", "S"):
        often = (
            drawn_of(logits_of(400, AA=0.9, **{contact: 0.05})) == PHONES.index(contact)
        ).mean()
        assert 0 < often < 0.04


def test_whole_sounds_are_drawn_and_what_is_certain_stays():
    changes = np.flatnonzero(np.diff(cues.draw_phones(logits_of(5000, AA=0.5, B=0.49), 1))) + 1
    assert 4 < np.diff(changes).mean() < 25  # 20 ms each: 80 to 500 ms
    logits = np.concatenate([logits_of(200, AA=0.999), logits_of(200, AA=0.5, S=0.45)])
    result = cues.sample_phones(logits, 3)
    assert np.array_equal(result[:190], logits[:190])
    changed = (result != logits).any(1)
    assert changed.any() and (softmax(result)[changed].max(1) == pytest.approx(0.9, abs=1e-4))
    assert (result != logits).sum(1).max() == 1, (
        "one phone is raised, the others keep their proportions"
    )


def test_sounds_and_silence_are_not_exchanged_and_closures_that_are_likely_stay():
    pause, sound = logits_of(2000, SIL=0.6, B=0.3), logits_of(2000, SIL=0.3, B=0.6)
    closure = logits_of(500, B=0.5, AA=0.45)
    assert np.array_equal(cues.sample_phones(pause, 5), pause)
    assert np.array_equal(cues.sample_phones(sound, 5)[:, SILENCE], sound[:, SILENCE])
    assert np.array_equal(cues.sample_phones(closure, 3), closure)


def test_every_seed_hears_the_same_again_also_of_the_start_and_others_otherwise():
    logits = logits_of(300, AA=0.5, S=0.45)
    once, again, other = (cues.sample_phones(logits, seed) for seed in (7, 7, 8))
    assert np.array_equal(once, again) and not np.array_equal(once, other)
    assert np.array_equal(cues.sample_phones(logits[:200], 7)[:180], once[:180])


def test_other_readings_of_a_word_draw_unlikely_phones_more_often():
    logits = logits_of(400, AA=0.7, B=0.1, IY=0.1)
    usual, freely = (drawn_of(logits, how) for how in (False, True))
    assert all((freely == phone).mean() > (usual == phone).mean() for phone in (B, EE))


def test_lips_close_ahead_of_a_sound_hold_for_it_and_open_behind_it():
    """A sound from 0.4 to 0.6 s: shut from 0.39 to 0.58 s, eased over 0.08 s before and 0.2 s
    behind; one of a single label, of 0.02 s, on the nearest frame."""
    demanded = np.zeros(200, bool)
    demanded[40:60], demanded[150] = True, True
    shut, t = closure(demanded, 50, 0.08, 0.2), np.arange(50) / 25
    ramp = np.where(t < 0.39, 1 - (0.39 - t) / 0.08, 1 - (t - 0.58).clip(0) / 0.2).clip(0, 1)
    expected = ramp * ramp * (3 - 2 * ramp)
    assert shut[:30] == pytest.approx(expected[:30])
    assert shut[38] == 1 and shut[30:37].max() < 1
    assert closure(demanded[:80], 16, 0.08, 0.2) == pytest.approx(expected[:16]), "cut off in it"
