# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the corners of the mouth together on w, oo, oh, aw and r, after sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...channels import in_group
from ...filters import highest, smooth
from ...steps import step, UNTAUGHT
from ..speech.belief import likely, over_frames
from ..speech.closure_envelope import closure
from ..speech.phones import PHONES

# Sounds that round the lips, with the least mouthPucker on them at usual Rounding and Articulation: what the teacher has on all but the
# least rounded quarter of these sounds of validation voices, where the model has up to a half less. People narrow the mouth as far (1 is
# 18 mm); on er, sh, ch and j not. On those named first, not on those named last, slightly rounded lips come further in (`boost_pucker`).
_ROUNDED = ((0.20, "UW OW W", "OY AO"), (0.12, "UH", ""), (0.10, "R", ""))
_MOST = max(least for least, _, _ in _ROUNDED)
_STRETCHES = ("mouthStretch",)  # channels that draw the corners apart
_LIKELY = 0.4  # probability above which the encoder hears one of them
_BEFORE, _AFTER = 0.15, 0.12  # seconds in which lips come forward ahead of a sound, and go back after it
# Share by which slightly rounded lips come further in than the model, which stays short of its teacher there, has them; the further in, the
# less, so that a strong rounder's do not go beyond what lips do. On w, oo and oh of validation voices the mouth is then 7.1 mm narrower
# than at rest, the teacher's 6.6 (`research/sounds.py`).
_ROUNDER = 0.75
_ROUND_REACH, _ROUND_EASE = 1, 1.0  # frames beside a sound that count as it, and standard deviation of its smoothing, frames


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
    x[:, in_group(channels, _STRETCHES)] *= (1 - np.clip(least / _MOST, 0.0, 1.0))[:, None]
    return x
