# SPDX-License-Identifier: GPL-3.0-or-later
"""What a take hears: where the encoder doubts which phone is spoken, every take draws one, by the encoder's probabilities.

So takes differ where the sound leaves a choice, and a closure or a vowel that the likeliest reading misses is in some of them.
"""

from __future__ import annotations

import numpy as np

from .encoder import softmax
from .phones import BILABIALS, PHONES, SILENCE

_DRAWS = 11  # part of the seed of what a take hears; another value changes all takes
_SLOW = 5  # rows of 20 ms from one draw to the next, between which what is drawn changes evenly: about as often as sounds do
# Power of the probabilities that are drawn by: above 1, what is unlikely is drawn more rarely; most so m, b and p, which are true in 6 % of
# places of validation voices where their probability is .1, and which would close lips that people leave open.
_TRUST = np.where(np.isin(np.arange(len(PHONES)), BILABIALS), 1.5, 1.3).astype(np.float32)
_CLOSED = 0.4  # probability of m, b and p from which on lips close in every take: a closure that lacks is noticed first
_SURE = 0.9  # probability that a drawn phone gets, about that of one that is clearly heard


def drawn_phones(logits: np.ndarray, seed: int) -> np.ndarray:
    """The phone that the take of a seed hears in each row, int [N], of phone logits [N, 40].

    Each phone waits for an exponentially distributed time, divided by its probability; the first to come is drawn, which is each with its
    probability. The times change as slowly as sounds do, so whole sounds are drawn instead of rows. What is certain stays.
    """
    rng, count = np.random.default_rng([_DRAWS, seed % (1 << 32)]), len(logits)
    drawn = rng.standard_normal((count // _SLOW + 2, 2, len(PHONES)), np.float32)
    before, share = np.divmod(np.arange(count), _SLOW)
    share = (share / np.float32(_SLOW)).astype(np.float32)[:, None, None]
    # Two normal variables, squared and added, are exponentially distributed; between draws all phones have equally smaller ones.
    waits = ((1 - share) * drawn[before] + share * drawn[before + 1]) ** 2
    return (waits.sum(1) / np.maximum(softmax(logits), 1e-6) ** _TRUST).argmin(-1)


def heard(logits: np.ndarray, seed: int) -> np.ndarray:
    """Phone logits [N, 40] as the take of a seed hears them: where it draws another phone than the likeliest, that one is raised until it
    is sure. Sounds and silence are not exchanged, and closures that are likely stay."""
    belief, drawn = softmax(logits), drawn_phones(logits, seed)
    likeliest, closed = belief.argmax(-1), belief[:, BILABIALS].sum(-1) > _CLOSED
    rows = np.flatnonzero((drawn != likeliest) & (drawn != SILENCE) & (likeliest != SILENCE) & ~closed)
    result, phones = logits.copy(), drawn[rows]
    share = belief[rows, phones]
    result[rows, phones] += np.log(_SURE / (1 - _SURE) * (1 - share) / np.maximum(share, 1e-9))
    return result
