# SPDX-License-Identifier: GPL-3.0-or-later
"""Corrects what the model has not learned, step by step after sampling: lips that round too little, high vowels that open too far, heads
that wander in pauses or jerk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..channels import in_group
from ..face.articulators import Shape
from ..filters import slowed, smooth
from ..steps import CONSTRAINT, step, UNTAUGHT
from ..types import FPS
from .speech.cues import MOST_ROUNDED, segments, Vowels

_STRETCHES = ("mouthStretch",)  # channels that draw the corners apart
# Share by which slightly rounded lips come further in than the model, which stays short of its teacher there, has them; the further in, the
# less, so that a strong rounder's do not go beyond what lips do. On w, oo and oh of validation voices the mouth is then 7.1 mm narrower
# than at rest, the teacher's 6.6 (`research/sounds.py`).
_ROUNDER = 0.75
_LIKELY = 0.4  # probability above which the encoder hears a low vowel
# Opening of high vowels relative to the low ones nearby above which it is compressed, and the share that remains of what is above.
# Chosen on validation voices, where their mean is then people's.
_KNEE, _REMAINS = 0.6, 0.5
_MOST_BACK = 1.15  # most by which all openings grow in return
_NEARBY = 75.0  # standard deviation of the weight of low vowels by their distance, frames
_OF_SPEECH = 2.2  # opening of low vowels relative to that of all speech, in takes
_SPARSE = 0.01  # weight of a frame of speech beside that of a low vowel: what is known before there are some
_LEFT = 0.12  # share of its movement that remains
_RETURN = 1.2  # seconds of speech after which 1/e of the offset remains
_FAST, _JERK = 70.0, 130.0  # degrees per second at which a turn begins to be slowed down, and is slowed down most
_NEAR, _SLOWS = 4, 2.6  # frames around such a turn that are smoothed with it, and deviation of the smoothing
_BROW_FAST, _BROW_JERK = 0.1, 0.2  # change of a brow channel from frame to frame, likewise: people's brows take three to six frames
_BROW_NEAR, _BROW_SLOWS = 3, 1.5


@step(UNTAUGHT, "expression", {"heard": "a rounded sound"})
def boost_pucker(expression: np.ndarray, channels: Sequence[str], heard: np.ndarray) -> np.ndarray:
    """Expression [T, n] whose corners come further in on rounded sounds, `heard` [T] (`Rounding`), as the teacher has them."""
    x, pucker = expression.copy(), list(channels).index("mouthPucker")
    x[:, pucker] *= 1 + (_ROUNDER * heard).astype(x.dtype) * np.maximum(1 - x[:, pucker], 0)
    return x


@step(UNTAUGHT, "expression", {"least": "a rounded sound"})
def round_lips(expression: np.ndarray, channels: Sequence[str], least: np.ndarray) -> np.ndarray:
    """Expression [T, n] whose corners come in at least by `least` [T] (`Rounding`), and are not drawn apart where it asks for much."""
    x, pucker = expression.copy(), list(channels).index("mouthPucker")
    x[:, pucker] = np.maximum(x[:, pucker], least)
    x[:, in_group(channels, _STRETCHES)] *= (1 - np.clip(least / MOST_ROUNDED, 0.0, 1.0))[:, None]
    return x


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


@step(UNTAUGHT, "head", {"still": "a pause"})
def hold_head_in_pauses(head: np.ndarray, still: np.ndarray) -> np.ndarray:
    """A head's rotation vectors [T, 3] with `still` [T] of its movement held back; in speech it returns to where it would be."""
    first = int(np.argmax(still > 0)) if (still > 0).any() else len(head)  # before it nothing is held back
    first = max(1, first)
    if first >= len(head):
        return head.copy()
    keep = (1 - (1 - still[first:]) / (_RETURN * FPS)).tolist()
    more = ((1 - _LEFT) * still[first:, None] * np.diff(head[first - 1 :], axis=0)).tolist()
    held_back, every = [0.0] * head.shape[1], []
    for share, change in zip(keep, more):  # in Python's own numbers: three at a time are too few for numpy
        held_back = [held * share - by for held, by in zip(held_back, change)]
        every.append(held_back)
    return np.concatenate([head[:first], (head[first:] + np.array(every)).astype(head.dtype)])


@step(UNTAUGHT, "head")
def limit_head_speed(head: np.ndarray) -> np.ndarray:
    """A head's rotation vectors [T, 3] whose fastest turns are smoothed: necks do not jerk on a stressed syllable."""
    return slowed(head, (np.radians(_FAST) / FPS, np.radians(_JERK) / FPS), _NEAR, _SLOWS)


@step(UNTAUGHT, "brows")
def limit_brow_speed(brows: np.ndarray) -> np.ndarray:
    """Brow channels [T, c] whose fastest movements are smoothed: brows do not jump within a frame or two."""
    return slowed(brows, (_BROW_FAST, _BROW_JERK), _BROW_NEAR, _BROW_SLOWS)


@step(CONSTRAINT, "eyes")
def keep_gaze(eyes: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Rotation vectors of the eyes [T, 3] that look where they looked with the head at `before` [T, 3] when it is at `after`.

    Small angles, which add; eyes do not roll.
    """
    return eyes + (before - after) * np.array([1, 1, 0], eyes.dtype)
