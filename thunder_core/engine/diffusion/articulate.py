# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sounds ask for closed lips, lips at the teeth, teeth together or a tongue between them, from phone probabilities."""

from __future__ import annotations

import numpy as np

from ...face.mechanics import Sounds
from ...types import FPS
from ..speech.belief import likely
from ..speech.closure_envelope import closure
from ..speech.encoder import ENCODER_RATE
from ..speech.phones import BILABIALS, DENTALS, LABIODENTALS, SIBILANTS, SILENCE

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
