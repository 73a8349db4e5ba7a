# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes hear: phones drawn by their probabilities where these are doubtful, whole sounds at a
time, and nothing else changed."""

import numpy as np
import pytest

from thunder_core.engine.speech import cues
from thunder_core.engine.speech.encoder import softmax
from thunder_core.engine.speech.phones import PHONES, SILENCE

A, B, EE, S = (PHONES.index(name) for name in ("AA", "B", "IY", "S"))


def logits_of(frames, **shares):
    """Phone logits [frames, 40] of these probabilities in every frame; the rest share what is
    left."""
    rest = (1 - sum(shares.values())) / (len(PHONES) - len(shares))
    return np.tile(np.log([shares.get(name, rest) for name in PHONES]), (frames, 1)).astype(
        np.float32
    )


def test_phones_are_drawn_by_their_probabilities():
    drawn = np.concatenate(
        [cues.draw_phones(logits_of(400, AA=0.6, IY=0.3, S=0.06), seed) for seed in range(60)]
    )
    for phone, share in ((A, 0.6), (EE, 0.3), (S, 0.06)):
        assert (drawn == phone).mean() == pytest.approx(share, abs=0.03)


def test_what_is_unlikely_is_drawn_more_rarely_than_its_probability():
    drawn = np.concatenate(
        [cues.draw_phones(logits_of(400, AA=0.9, B=0.05), seed) for seed in range(60)]
    )
    assert 0 < (drawn == B).mean() < 0.04


def test_whole_sounds_are_drawn():
    drawn = cues.draw_phones(logits_of(5000, AA=0.5, B=0.49), 1)
    changes = np.flatnonzero(np.diff(drawn)) + 1
    assert 4 < np.diff(changes).mean() < 25  # 20 ms each: 80 to 500 ms


def test_what_is_certain_stays_and_what_is_drawn_is_sure():
    logits = np.concatenate([logits_of(200, AA=0.999), logits_of(200, AA=0.5, S=0.45)])
    result = cues.hear_phones(logits, 3)
    assert np.array_equal(result[:190], logits[:190])
    changed = (result != logits).any(1)
    assert changed.any() and (softmax(result)[changed].max(1) == pytest.approx(0.9, abs=1e-4))
    assert (result != logits).sum(1).max() == 1, (
        "one phone is raised, the others keep their proportions"
    )


def test_sounds_and_silence_are_not_exchanged():
    pause, sound = logits_of(2000, SIL=0.6, B=0.3), logits_of(2000, SIL=0.3, B=0.6)
    assert np.array_equal(cues.hear_phones(pause, 5), pause)
    assert np.array_equal(cues.hear_phones(sound, 5)[:, SILENCE], sound[:, SILENCE])


def test_closures_that_are_likely_stay():
    assert np.array_equal(
        cues.hear_phones(logits_of(500, B=0.5, AA=0.45), 3), logits_of(500, B=0.5, AA=0.45)
    )


def test_every_seed_hears_the_same_again_and_others_otherwise():
    logits = logits_of(300, AA=0.5, S=0.45)
    assert np.array_equal(cues.hear_phones(logits, 7), cues.hear_phones(logits, 7))
    assert not np.array_equal(cues.hear_phones(logits, 7), cues.hear_phones(logits, 8))


def test_the_start_of_a_sound_is_heard_as_in_the_whole():
    logits = logits_of(300, AA=0.5, S=0.45)
    assert np.array_equal(
        cues.hear_phones(logits[:200], 7)[:180], cues.hear_phones(logits, 7)[:180]
    )


def test_other_readings_of_a_word_draw_unlikely_phones_more_often():
    logits = logits_of(400, AA=0.7, B=0.1, IY=0.1)
    usual, freely = (
        np.concatenate([cues.draw_phones(logits, seed, how) for seed in range(40)])
        for how in (False, True)
    )
    assert all((freely == phone).mean() > (usual == phone).mean() for phone in (B, EE))
