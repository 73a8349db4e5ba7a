# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps ee, i, oo and u less open than ah nearby, after sampling, and opens everything a little further in return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...face.articulators import Shape
from ...filters import highest, smooth
from ...steps import step, UNTAUGHT
from ..speech.belief import over_frames
from ..speech.closure_envelope import segments
from ..speech.phones import HIGH_VOWELS, LOW_VOWELS

_LIKELY = 0.4  # probability above which the encoder hears a low vowel
_REACH, _EASE = 1, 0.8  # frames beside a high vowel that count as it, and deviation of the smoothing
# Opening of high vowels relative to the low ones nearby above which it is compressed, and the share that remains of what is above.
# Chosen on validation voices, where their mean is then people's.
_KNEE, _REMAINS = 0.6, 0.5
_MOST_BACK = 1.15  # most by which all openings grow in return
_NEARBY = 75.0  # standard deviation of the weight of low vowels by their distance, frames
_OF_SPEECH = 2.2  # opening of low vowels relative to that of all speech, in takes
_SPARSE = 0.01  # weight of a frame of speech beside that of a low vowel: what is known before there are some


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
    return Vowels(smooth(highest(high, 2 * _REACH + 1), _EASE), low)


def no_vowels(frames: int) -> Vowels:
    """Those of a face that does not speak."""
    return Vowels(np.zeros(frames), np.zeros(frames))


def closing_of_high_vowels(gap: np.ndarray, speech: np.ndarray, vowels: Vowels) -> np.ndarray:
    """Factor [T] of an opening [T] mm of speech [T] by which high vowels open less than low ones nearby.

    In return everything opens a little further, so that the mouth moves as much as before within some seconds: otherwise takes would
    move less than people do, and loud ones differ less from quiet ones.
    """
    value, count = np.zeros(len(gap)), np.zeros(len(gap))
    for start, end in segments(vowels.low > _LIKELY):
        middle = (start + end) // 2
        value[middle] += gap[start:end].max()
        count[middle] += 1
    count += _SPARSE * speech
    value += _SPARSE * speech * _OF_SPEECH * gap
    usual = smooth(value, _NEARBY) / np.maximum(smooth(count, _NEARBY), 1e-9)
    share = gap / np.maximum(usual, 1e-3)
    less = 1 - (1 - _REMAINS) * vowels.high * np.maximum(share - _KNEE, 0.0) / np.maximum(share, _KNEE)
    moved, left = (smooth(np.abs(np.gradient(speech * x * gap)), _NEARBY) for x in (1.0, less))
    return less * np.clip(moved / np.maximum(left, 1e-9), 1.0, _MOST_BACK)


@step(UNTAUGHT, "aim", {"vowels.high": "ee, i, oo or u"})
def compress_high_vowels(aim: Shape, speech: np.ndarray, vowels: Vowels) -> Shape:
    """The mouth's target, by the factor of `closing_of_high_vowels`."""
    less = closing_of_high_vowels(aim.gap, speech, vowels)
    return Shape(less * aim.gap, aim.rise, less * aim.incisors)
