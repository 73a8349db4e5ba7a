# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sound asks of a face, frame by frame, from phone probabilities: lips that close, lips at the teeth, teeth together, a tongue
between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...face.mechanics import Sounds
from ...filters import smoothstep
from ...types import FPS
from .encoder import ENCODER_RATE
from .phones import BILABIALS, DENTALS, LABIODENTALS, SIBILANTS
from .phrasing import runs

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


def segments(mask: np.ndarray) -> list[tuple[int, int]]:
    """(first, behind last) of every run of True in [N]."""
    return [(start, end) for start, end in runs(np.asarray(mask, bool))]


def closure(demanded: np.ndarray, frames: int, before: float = 0.07, after: float = 0.06) -> np.ndarray:
    """Required lip closure [frames], 0 … 1 at 25 fps, from `demanded` [M] at 100 Hz: 1 where a sound needs closed lips.

    Lips lead the sound: closing starts `before` s ahead, holds for the sound, opens within `after` s. Every closure
    reaches 1 on at least one animation frame, however short it is.
    """
    shut = np.zeros(frames)
    for a, b in segments(demanded):
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
