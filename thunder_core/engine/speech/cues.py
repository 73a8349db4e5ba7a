# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sound asks of a face, frame by frame, from phone probabilities: lips that close, round or open little, lips at the teeth, teeth
together, a tongue between them, and a head that is still in pauses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...face.mechanics import Sounds
from ...filters import highest, smooth, smoothstep
from ...types import FPS
from .encoder import ENCODER_RATE
from .phones import BILABIALS, DENTALS, HIGH_VOWELS, LABIODENTALS, LOW_VOWELS, PHONES, SIBILANTS, SILENCE
from .phrasing import runs

LABELS_PER_SECOND = 100
# Probability above which a sound is a bilabial: .4 demands 90 % of the m, b and p of validation voices and .6 83 %, with as few others
# (12 and 10 of 120, by hand); between .4 and .8 real lips close equally often.
SURE = 0.4
_SILENT = 0.25  # probability of silence below which there is a sound
_CLEAR = 0.4  # the same for f, v, th and sibilants
_TONGUE_BEFORE, _TONGUE_AFTER = 0.11, 0.10  # seconds in which jaw and tongue reach and leave a th
_TEETH_BEFORE, _TEETH_AFTER = 0.08, 0.07  # the same for lips and teeth on f, v and sibilants, which must not open or shut their neighbours
# Sounds that round the lips, with the least mouthPucker on them at usual Rounding and Articulation: what the teacher has on all but the
# least rounded quarter of these sounds of validation voices, where the model has up to a half less. People narrow the mouth as far (1 is
# 18 mm); on er, sh, ch and j not. On those named first, not on those named last, slightly rounded lips come further in (`boost_pucker`).
_ROUNDED = ((0.20, "UW OW W", "OY AO"), (0.12, "UH", ""), (0.10, "R", ""))
MOST_ROUNDED = max(least for least, _, _ in _ROUNDED)
_LIKELY = 0.4  # probability above which the encoder hears one of them
_BEFORE, _AFTER = 0.15, 0.12  # seconds in which lips come forward ahead of a sound, and go back after it
_ROUND_REACH, _ROUND_EASE = 1, 1.0  # frames beside a sound that count as it, and standard deviation of its smoothing, frames
_HIGH_REACH, _HIGH_EASE = 1, 0.8  # frames beside a high vowel that count as it, and deviation of the smoothing
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.32, 2.2  # seconds of silence between phrases in which the head is held; in longer ones the face is idle
_STILL_EASE = 5  # frames over which the head comes to rest and starts again


def over_frames(belief: np.ndarray, phones: Sequence[int], frames: int) -> np.ndarray:
    """Probability [frames] of some phones at animation frames, from phone probabilities [N, 40] at 50 Hz."""
    at = np.arange(frames) * (ENCODER_RATE / FPS) + 0.5
    return np.interp(at, np.arange(len(belief)), belief[:, list(phones)].sum(1))


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


def last_sound(belief: np.ndarray, frames: int) -> int:
    """First animation frame after the last sound, of phone probabilities [N, 40] at 50 Hz; `frames` where there is none.

    The encoder doubts silence where a file ends, and the model opens the mouth for what might come.
    """
    spoken = np.flatnonzero(belief[:, SILENCE] < _SILENT)
    return min(frames, int(spoken[-1] * FPS / ENCODER_RATE) + 1) if len(spoken) else frames


@dataclass(frozen=True)
class Rounding:
    """How lips come forward in speech.

    heard: [T] 0 … 1, how surely a sound is one that rounds the lips.  least: [T], mouthPucker that it needs at least at usual Rounding.
    """

    heard: np.ndarray
    least: np.ndarray

    def at(self, rows) -> Rounding:
        """Some of the frames."""
        return Rounding(self.heard[rows], self.least[rows])

    def times(self, strength: float) -> Rounding:
        """That of a person who rounds the lips so much, 1 as most do."""
        return Rounding(self.heard, strength * self.least)


def believed_rounding(belief: np.ndarray, frames: int) -> Rounding:
    """Rounding over animation frames, from phone probabilities [N, 40] at 50 Hz."""
    least, boosted = np.zeros(frames), []
    for value, *names in _ROUNDED:
        further, as_far = ([PHONES.index(name) for name in each.split()] for each in names)
        least = np.maximum(least, value * closure(likely(belief, further + as_far, _LIKELY), frames, _BEFORE, _AFTER))
        boosted += further
    heard = smooth(highest(over_frames(belief, boosted, frames), 2 * _ROUND_REACH + 1), _ROUND_EASE)
    return Rounding(heard, least)


def unrounded(frames: int) -> Rounding:
    """That of a face that does not speak."""
    return Rounding(np.zeros(frames), np.zeros(frames))


@dataclass(frozen=True)
class Vowels:
    """Vowels over animation frames, each [T] 0 … 1: ee, i, oo and u, of which a mouth opens little, and middles of ah and its like."""

    high: np.ndarray
    low: np.ndarray

    def at(self, rows) -> Vowels:
        """Some of the frames."""
        return Vowels(self.high[rows], self.low[rows])


def believed_vowels(belief: np.ndarray, frames: int) -> Vowels:
    """Vowels over animation frames, from phone probabilities [N, 40] at 50 Hz."""
    high, low = (over_frames(belief, phones, frames) for phones in (HIGH_VOWELS, LOW_VOWELS))
    return Vowels(smooth(highest(high, 2 * _HIGH_REACH + 1), _HIGH_EASE), low)


def no_vowels(frames: int) -> Vowels:
    """Those of a face that does not speak."""
    return Vowels(np.zeros(frames), np.zeros(frames))
