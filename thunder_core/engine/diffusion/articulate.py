# SPDX-License-Identifier: GPL-3.0-or-later
"""Corrects articulation after sampling: closed lips on m, b and p, an open jaw, visible teeth on f and v, tongue on th."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...channels import JAW_OPEN_RADIANS, LIP_CLOSE
from ...easing import smoothstep
from ...face.articulators import Articulators, Shape
from ...face.lip_closures import press_together
from ...face.lips import CLOSED_MM
from ...face.mechanics import highest, Mechanics, Sounds, USUAL_GAP_MM
from ...face.smoothing import let_go, lower_peaks, reached_in_time
from ...types import FPS
from ..speech.belief import likely
from ..speech.closure_envelope import closure
from ..speech.encoder import ENCODER_RATE
from ..speech.phones import BILABIALS, DENTALS, LABIODENTALS, SIBILANTS, SILENCE
from .rounding import further_in, rounded, Rounding
from .vowels import less_open, Vowels

# Probability above which a sound is a bilabial: .4 demands 90 % of the m, b and p of validation voices and .6 83 %, with as few others
# (12 and 10 of 120, by hand); between .4 and .8 real lips close equally often.
SURE = 0.4
_SILENT = 0.25  # probability of silence below which there is a sound
_LIKELY = 0.4  # the same for f, v, th and sibilants
_UNROLLED = 0.45  # most by which the lower lip rolls in or out from frame to frame on its way to and from the teeth
_TONGUE_STEP = 0.35  # most by which a channel that raises the tongue changes from frame to frame: tip and palate meet in two frames or more
_OUT = 0.02  # tongueOut above which a tongue that is raised would come through the upper teeth
_PARTS = 1  # frames around one of a closure's onset or release in which the opening that it leads from or to is looked for
# Most by which the opening of one frame is above that of both its neighbours, mm, where lips open by USUAL_GAP_MM on average; and the range
# of the factor for performances that open less or more. Measured people rarely exceed it and never by more than half.
_PEAK_MM, _PEAK_SIZES = 4.0, (0.6, 1.3)
_TONGUE_BEFORE, _TONGUE_AFTER = 0.11, 0.10  # seconds in which jaw and tongue reach and leave a th
_BEFORE, _AFTER = 0.08, 0.07  # the same for lips and teeth on f, v and sibilants, which must not open or shut their neighbours
_TONGUE_FITS = (0.02, 0.06)  # jaw angles (radians) at which the tongue begins to fit and fully fits between the teeth


def demanded_closures(belief: np.ndarray, frames: int, sure: float = SURE) -> np.ndarray:
    """Required lip closure [frames], 0 … 1, from phone probabilities [N, 40] at 50 Hz."""
    return closure(likely(belief, BILABIALS, sure), frames)


def believed_sounds(belief: np.ndarray, spoken: np.ndarray) -> Sounds:
    """The sounds that jaw, lips and tongue follow, from phone probabilities [N, 40] at 50 Hz and whether somebody speaks [frames]."""
    return sounds_of(spoken, *(likely(belief, phones, _LIKELY) for phones in (SIBILANTS, LABIODENTALS, DENTALS, BILABIALS)))


def sounds_of(
    speech: np.ndarray, sibilant: np.ndarray, labiodental: np.ndarray, dental: np.ndarray, bilabial: np.ndarray
) -> Sounds:  # fmt: skip
    """Sounds over animation frames: speech [frames]; bool [M] at 100 Hz of each kind of sound.

    Lips that close win over lips at the teeth, teeth together over teeth apart.
    """
    shut = closure(bilabial, len(speech))
    s, f = (closure(labels, len(speech), _BEFORE, _AFTER) for labels in (sibilant, labiodental))
    th = closure(dental, len(speech), _TONGUE_BEFORE, _TONGUE_AFTER)
    s = s * (1 - shut)
    return Sounds(np.asarray(speech, np.float64), s, f * (1 - shut), th * (1 - shut) * (1 - s))


def last_sound(belief: np.ndarray, frames: int) -> int:
    """First animation frame after the last sound, of phone probabilities [N, 40] at 50 Hz; `frames` where there is none.

    The encoder doubts silence where a file ends, and the model opens the mouth for what might come.
    """
    spoken = np.flatnonzero(belief[:, SILENCE] < _SILENT)
    return min(frames, int(spoken[-1] * FPS / ENCODER_RATE) + 1) if len(spoken) else frames


def closing(aim: Shape, end: int) -> Shape:
    """The mouth's target, which from frame `end` on opens no further than before it, beyond what counts as closed."""
    gap, incisors, last = aim.gap.copy(), aim.incisors.copy(), max(end - 1, 0)
    for curve in (gap, incisors):
        curve[last:] = np.minimum(curve[last:], np.maximum(np.minimum.accumulate(curve[last:]), CLOSED_MM))
    return Shape(gap, aim.rise, incisors)


class Articulation:
    """Corrects jaw, lips and tongue of motions in a head's channels; everything else is unchanged."""

    def __init__(self, channels: Sequence[str], articulators: Articulators):
        """channels: names of the expression's columns."""
        self.mechanics = Mechanics(articulators)
        self.channels = tuple(channels)
        self.close = self.channels.index(LIP_CLOSE)
        self.tongue_out = self.channels.index("tongueOut")
        self.roll = self.channels.index("mouthRollLower")

    def perform(
        self, expression: np.ndarray, jaw: np.ndarray, shut: np.ndarray, sounds: Sounds, lips: float = 1.0,
        rounding: Rounding | None = None, vowels: Vowels | None = None, end: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """Expression [T, n] and jaw [T, 3] of a speaking face: lips shut where `shut` [T] is 1, the rest by `sounds`.

        lips: strength of their movement (`face.mechanics.lips_of`).  rounding: where and how far they come forward.
        vowels: high and low ones.  end: first frame after the last sound, from which on lips only close.
        """
        held = self.hold_tongue(expression, jaw)
        x = self.close_lips(held, jaw, shut)
        if rounding is not None:
            x = further_in(x, self.channels, rounding.heard * (1 - sounds.labiodental))
        aim = self._aim(held, x, jaw, shut, sounds.speech, vowels)
        if end is not None:
            aim = closing(aim, end)
        if rounding is not None:  # after the aim: lips that come forward for themselves would open the mouth
            x = rounded(x, self.channels, rounding.least * sounds.speech * (1 - sounds.labiodental))
        x, jaw = self.mechanics.speak(x, jaw, sounds, aim, lips)
        x[:, self.roll] = let_go(x[:, self.roll], _UNROLLED)
        out = x[:, self.tongue_out] > _OUT
        for column in self.mechanics.raised:
            x[:, column] = reached_in_time(x[:, column], _TONGUE_STEP, out)
        return x, jaw

    def _aim(
        self, before: np.ndarray, closed: np.ndarray, jaw: np.ndarray, shut: np.ndarray, speech: np.ndarray, vowels: Vowels | None
    ) -> Shape:
        """The mouth's target without peaks of a single frame. before, closed: expression [T, n] before and after `close_lips`.

        The model opens and closes lips around a closure itself. Its opening is lowered there to the share that `shut` [T] leaves of the
        widest opening nearby, not of itself: otherwise a short vowel between two closures would be left with its loudest frame alone.
        """
        shape_of = self.mechanics.articulators.shape
        shape = shape_of(closed.astype(np.float64), jaw.astype(np.float64))
        gap, spoken = shape.gap.copy(), speech.sum()
        rows = np.flatnonzero(highest(shut, _PARTS) > 0)
        if len(rows):
            own = gap.copy()
            own[rows] = shape_of(before[rows].astype(np.float64), jaw[rows].astype(np.float64)).gap
            gap = np.where(shut > 0, np.maximum(gap, np.minimum(own, (1 - shut) * highest(own, _PARTS))), gap)
        incisors = shape.incisors
        if vowels is not None:
            less = less_open(gap, speech, vowels)
            gap, incisors = less * gap, less * incisors
        size = float(np.clip((gap * speech).sum() / spoken / USUAL_GAP_MM, *_PEAK_SIZES)) if spoken > 0 else 1.0
        return Shape(lower_peaks(gap, _PEAK_MM * size), shape.rise, lower_peaks(incisors, _PEAK_MM * size))

    def close_lips(self, expression: np.ndarray, jaw: np.ndarray, shut: np.ndarray) -> np.ndarray:
        """Expression [T, n] whose lips meet where `shut` [T] is 1, whatever the jaw [T, 3] does; the rest blends."""
        x = expression.copy()
        shut = shut.astype(x.dtype)
        press_together(x, self.channels, shut)
        covers = (jaw[:, 0] * (1 / JAW_OPEN_RADIANS)).clip(0, 1)  # mouthClose that keeps lips together over an open jaw
        x[:, self.close] += shut * (covers - x[:, self.close])
        return x

    def hold_tongue(self, expression: np.ndarray, jaw: np.ndarray) -> np.ndarray:
        """Expression [T, n] whose tongue comes out only where the jaw [T, 3] is open enough."""
        x = expression.copy()
        free = ((jaw[:, 0] - _TONGUE_FITS[0]) / (_TONGUE_FITS[1] - _TONGUE_FITS[0])).clip(0, 1)
        x[:, self.tongue_out] *= smoothstep(free)
        return x
