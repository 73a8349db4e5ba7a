# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sound asks of a face, frame by frame, from phone probabilities: lips that close, lips at the teeth, teeth together, a tongue
between them; and what a take hears where the encoder doubts which phone is spoken.

Every take draws one there, by the encoder's probabilities. So takes differ where the sound leaves a choice, and a closure or a vowel that
the likeliest reading misses is in some of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...face.mechanics import Sounds
from ...filters import smoothstep
from ...types import FPS
from .encoder import ENCODER_RATE, softmax
from .phones import BILABIALS, DENTALS, LABIODENTALS, PHONES, SIBILANTS, SILENCE
from .prosody import runs

LABELS_PER_SECOND = 100
# Probability above which a sound is a bilabial: .4 demands 90 % of the m, b and p of validation voices and .6 83 %, with as few others
# (12 and 10 of 120, by hand); between .4 and .8 real lips close equally often.
SURE = 0.4
_CLEAR = 0.4  # the same for f, v, th and sibilants
_TONGUE_BEFORE, _TONGUE_AFTER = 0.11, 0.10  # seconds in which jaw and tongue reach and leave a th
_TEETH_BEFORE, _TEETH_AFTER = 0.08, 0.07  # the same for lips and teeth on f, v and sibilants, which must not open or shut their neighbours


def likely(belief: np.ndarray, phones: Sequence[int], above: float) -> np.ndarray:
    """Where some phones are more probable than `above`, bool [2N] at LABELS_PER_SECOND, from phone probabilities [N, 40] at 50 Hz."""
    return np.repeat(belief[:, list(phones)].sum(1) > above, int(LABELS_PER_SECOND / ENCODER_RATE))


def closure(demanded: np.ndarray, frames: int, before: float = 0.07, after: float = 0.06) -> np.ndarray:
    """Required lip closure [frames], 0 … 1 at 25 fps, from `demanded` [M] at 100 Hz: 1 where a sound needs closed lips.

    Lips lead the sound: closing starts `before` s ahead, holds for the sound, opens within `after` s. Every closure
    reaches 1 on at least one animation frame, however short it is.
    """
    shut = np.zeros(frames)
    for a, b in runs(np.asarray(demanded, bool)):
        start, end = a / LABELS_PER_SECOND - 0.01, max(b / LABELS_PER_SECOND - 0.02, a / LABELS_PER_SECOND + 0.02)
        nearest = int(np.clip(round((start + end) / 2 * FPS), 0, frames - 1))
        # Frames that it reaches, and one more on either side: of a long sound all others would cost more than these.
        first, last = max(0, int((start - before) * FPS) - 1), min(frames, int((end + after) * FPS) + 2)
        t = np.arange(first, last) / FPS
        ramp = np.where(t < start, 1 - (start - t) / before, np.where(t > end, 1 - (t - end) / after, 1.0))
        shut[first:last] = np.maximum(shut[first:last], smoothstep(np.clip(ramp, 0, 1)))
        shut[nearest] = 1.0
    return shut


def demanded_closures(belief: np.ndarray, frames: int, sure: float = SURE) -> np.ndarray:
    """Required lip closure [frames], 0 … 1, from phone probabilities [N, 40] at 50 Hz."""
    return closure(likely(belief, BILABIALS, sure), frames)


def believed_sounds(belief: np.ndarray, spoken: np.ndarray) -> Sounds:
    """The sounds that jaw, lips and tongue follow, from phone probabilities [N, 40] at 50 Hz and whether somebody speaks [frames]."""
    return sounds_of(spoken, *(likely(belief, phones, _CLEAR) for phones in (SIBILANTS, LABIODENTALS, DENTALS, BILABIALS)))


def sounds_of(
    speech: np.ndarray, sibilant: np.ndarray, labiodental: np.ndarray, dental: np.ndarray, bilabial: np.ndarray
) -> Sounds:  # fmt: skip
    """Sounds over animation frames: speech [frames]; bool [M] at 100 Hz of each kind of sound.

    Lips that close win over lips at the teeth, teeth together over teeth apart.
    """
    shut = closure(bilabial, len(speech))
    s, f = (closure(labels, len(speech), _TEETH_BEFORE, _TEETH_AFTER) for labels in (sibilant, labiodental))
    th = closure(dental, len(speech), _TONGUE_BEFORE, _TONGUE_AFTER)
    s = s * (1 - shut)
    return Sounds(np.asarray(speech, np.float64), s, f * (1 - shut), th * (1 - shut) * (1 - s))


# ---- what a take hears

_DRAWS = 11  # part of the seed of what a take hears; another value changes all takes
_ROWS = 5  # of 20 ms from one draw to the next, interpolated in between: draws change about as often as sounds do
# Exponent of the probabilities in the draw: above 1, unlikely phones are drawn more rarely, below 1 more often. It is high for m, b and p:
# at a probability of .1 only 6 % of them are real (validation voices), and each would close lips that people leave open.
_TRUST = np.where(np.isin(np.arange(len(PHONES)), BILABIALS), 1.5, 1.0).astype(np.float32)
_FREELY = np.float32(0.8)  # the same where somebody asked for other readings of a word
_AS_CLEAR = 0.9  # probability given to a drawn phone, about that of a clear one


def draw_phones(logits: np.ndarray, seed: int, freely: bool = False) -> np.ndarray:
    """The phone that the take of a seed hears in each row, int [N], of phone logits [N, 40]. freely: unlikely ones more often.

    Each phone waits for an exponentially distributed time, divided by its probability; the first to arrive is drawn, so each is drawn
    with its probability. The times change as slowly as sounds do, so whole sounds are drawn instead of rows. What is certain stays.
    """
    rng, count = np.random.default_rng([_DRAWS, seed % (1 << 32)]), len(logits)
    drawn = rng.standard_normal((count // _ROWS + 2, 2, len(PHONES)), np.float32)
    before, share = np.divmod(np.arange(count), _ROWS)
    share = (share / np.float32(_ROWS)).astype(np.float32)[:, None, None]
    # Two normal variables, squared and added, are exponentially distributed; between draws all phones have equally smaller ones.
    waits = ((1 - share) * drawn[before] + share * drawn[before + 1]) ** 2
    return (waits.sum(1) / np.maximum(softmax(logits), 1e-6) ** (_FREELY if freely else _TRUST)).argmin(-1)


def hear_phones(logits: np.ndarray, seed: int, freely: bool = False) -> np.ndarray:
    """Phone logits [N, 40] as the take of a seed hears them: where it draws another phone than the likeliest, that one is raised until it
    is sure. Sounds and silence are not exchanged, and likely closures stay: a missing one is noticed first."""
    belief, drawn = softmax(logits), draw_phones(logits, seed, freely)
    likeliest, closed = belief.argmax(-1), belief[:, BILABIALS].sum(-1) > SURE
    rows = np.flatnonzero((drawn != likeliest) & (drawn != SILENCE) & (likeliest != SILENCE) & ~closed)
    result, phones = logits.copy(), drawn[rows]
    share = belief[rows, phones]
    result[rows, phones] += np.log(_AS_CLEAR / (1 - _AS_CLEAR) * (1 - share) / np.maximum(share, 1e-9))
    return result
