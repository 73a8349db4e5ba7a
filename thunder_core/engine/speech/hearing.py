# SPDX-License-Identifier: GPL-3.0-or-later
"""What a take hears: where the encoder doubts which phone is spoken, every take draws one, by the encoder's probabilities.

So takes differ where the sound leaves a choice, and a closure or a vowel that the likeliest reading misses is in some of them.
"""

from __future__ import annotations

import numpy as np

from .cues import SURE
from .encoder import softmax
from .phones import BILABIALS, PHONES, SILENCE

_DRAWS = 11  # part of the seed of what a take hears; another value changes all takes
_ROWS = 5  # of 20 ms from one draw to the next, interpolated in between: draws change about as often as sounds do
# Exponent of the probabilities in the draw: above 1, unlikely phones are drawn more rarely, below 1 more often. It is high for m, b and p:
# at a probability of .1 only 6 % of them are real (validation voices), and each would close lips that people leave open.
_TRUST = np.where(np.isin(np.arange(len(PHONES)), BILABIALS), 1.5, 1.0).astype(np.float32)
_FREELY = np.float32(0.8)  # the same where somebody asked for other readings of a word
_CLEAR = 0.9  # probability given to a drawn phone, about that of a clear one


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
    result[rows, phones] += np.log(_CLEAR / (1 - _CLEAR) * (1 - share) / np.maximum(share, 1e-9))
    return result
