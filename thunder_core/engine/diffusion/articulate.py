# SPDX-License-Identifier: GPL-3.0-or-later
"""What no sampled performance may miss: lips that meet on m, b and p wherever the voice says one, a tongue that stays behind shut teeth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..speech.closures import closure, LABELS_PER_SECOND
from ..speech.encoder import ENCODER_RATE
from ..speech.phones import BILABIALS

CLOSE_PER_RADIAN = 1 / 0.30  # mouthClose that keeps the default head's lips together over an open jaw
SURE = 0.6  # share of the encoder's belief above which a sound counts as a bilabial; real lips are met as often from 0.4 to 0.8
_OPENING = ("mouthLowerDown", "mouthUpperUp", "mouthFunnel", "mouthShrugUpper", "tongueOut")
_PRESS = 0.3
_TONGUE_ROOM = (0.02, 0.06)  # radians of jaw at which a tongue begins to fit through the teeth, and fits


def demanded_closures(belief: np.ndarray, frames: int, sure: float = SURE) -> np.ndarray:
    """How closed the lips must be [frames], 0 … 1, from phone probabilities [N, 40] at 50 Hz."""
    bilabial = belief[:, list(BILABIALS)].sum(1)
    return closure(np.repeat(bilabial > sure, int(LABELS_PER_SECOND / ENCODER_RATE)), frames)


class Articulation:
    """Corrects motions in the default head's channels where lips and tongue may not be; everything else about them stays."""

    def __init__(self, channels: Sequence[str]):
        self.opening = np.array([n.startswith(_OPENING) for n in channels])
        self.close = list(channels).index("mouthClose")
        self.tongue_out = list(channels).index("tongueOut")
        self.press = [i for i, n in enumerate(channels) if n.startswith("mouthPress")]

    def close_lips(self, expression: np.ndarray, jaw: np.ndarray, shut: np.ndarray) -> np.ndarray:
        """Expression [T, n] whose lips meet where `shut` [T] is 1, whatever the jaw [T, 3] does; the rest blends."""
        x = expression.copy()
        shut = shut[:, None].astype(x.dtype)
        x[:, self.opening] *= 1 - shut
        covers = (jaw[:, 0] * CLOSE_PER_RADIAN).clip(0, 1)
        x[:, self.close] += shut[:, 0] * (covers - x[:, self.close])
        for i in self.press:
            x[:, i] = np.maximum(x[:, i], _PRESS * shut[:, 0])
        return x

    def hold_tongue(self, expression: np.ndarray, jaw: np.ndarray) -> np.ndarray:
        """Expression [T, n] whose tongue comes out only where the jaw [T, 3] gives it room."""
        x = expression.copy()
        room = ((jaw[:, 0] - _TONGUE_ROOM[0]) / (_TONGUE_ROOM[1] - _TONGUE_ROOM[0])).clip(0, 1)
        x[:, self.tongue_out] *= room * room * (3 - 2 * room)
        return x
