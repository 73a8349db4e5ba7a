# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a performer carries the brows: a height of its own for each take, over the whole line.

The model sampled in four steps carries brows at more similar heights from take to take than in the paper's 1000
(`docs/speed.md`); this brings the difference between takes back, without making brows move more.
"""

from __future__ import annotations

import math

import numpy as np

from ...direction import AXES
from .layer import blurred, Layer

_APART = 0.22  # standard deviation of the height between takes at a *Spread* of 1, channel values
_STEP = 0.6180339887498949  # the golden section: heights of consecutive seeds differ, and any few of them are spread evenly
_EASE = 6.0  # standard deviation of the blur where a mood comes or goes, frames


def height_of(seed: int, spread: float) -> float:
    """Height of a take's brows against usual ones, channel value: 0 at a spread of 0, within ± √3 deviations."""
    return spread * _APART * math.sqrt(3) * (2 * ((seed % (1 << 32)) * _STEP % 1) - 1)


def carried(layer: Layer, seed: int, spread: float, styles: np.ndarray | None) -> None:
    """Add the height at which a take carries the brows to a layer, alike on both sides. A mood places brows itself: the height
    gives way to it, by the square of its strength.

    styles: [1 or T, DIRECTION_NAMES], the take's direction; None: the usual one.
    """
    height, frames = height_of(seed, spread), layer.frames
    free = np.ones((frames, 1))
    if styles is not None:
        mood = np.asarray(styles, float)[:, len(AXES) :].sum(1).clip(0, 1) ** 2
        free = 1 - blurred(mood[np.minimum(np.arange(frames), len(mood) - 1), None], _EASE)
    layer.brows += free * height
