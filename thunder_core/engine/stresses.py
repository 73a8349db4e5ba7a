# SPDX-License-Identifier: GPL-3.0-or-later
"""Which words a motion stresses, estimated from its mouth opening if it is not known how it was sampled: keys of animators, mixed takes."""

from __future__ import annotations

import numpy as np

from ..direction import AXES, DIRECTION_NAMES
from .readings import CLEARER, moved

_NEAR = 31  # frames (1.2 s) over which the opening is compared with the expected one
_LEAST_MM = 1.0  # added to both, so that a nearly shut mouth stresses nothing
_MOST = 0.5  # largest estimate of a log energy, before _SCALE
_SCALE = 1.4  # slope of a line through the stresses of takes of validation voices at *Spread* .5 against their estimates (r .75)
_SPEAKERS = AXES[DIRECTION_NAMES.index("energy")].speakers  # standard deviation of log energy between speakers


def stresses(opening: np.ndarray, expected: np.ndarray, loud: np.ndarray) -> np.ndarray:
    """Log energy [T] of the stresses of a mouth opening [T] mm against the opening expected without any.

    loud: bool [T], frames that sound: others do not count, and over them the mean is 0.
    """
    window = np.hanning(_NEAR + 2)[1:-1]

    def size(curve: np.ndarray) -> np.ndarray:
        near = [
            np.convolve(np.pad(x, _NEAR // 2, mode="edge"), window, "valid") for x in (loud * np.maximum(curve, 0) ** 2, loud.astype(float))
        ]
        return np.sqrt(near[0] / np.maximum(near[1], 1e-3)) + _LEAST_MM

    by = np.log(size(opening) / size(expected))
    return _SCALE * np.clip(by - by[loud].mean(), -_MOST, _MOST) if loud.any() else np.zeros(len(opening))


def stressed(direction: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """A direction [DIRECTION_NAMES] with a log energy [T] added, as takes stress words: float32 [T, DIRECTION_NAMES]."""
    played = np.repeat(direction[None], len(energy), axis=0).astype(np.float32)
    return moved(played, {"energy": energy / _SPEAKERS, "articulation": CLEARER * energy / _SPEAKERS})
