# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a performer carries the brows: drawn together or apart as directed, and at a height of its own for each take.

The model follows *Frown* too faintly to be seen, and below 0 not at all. Sampled in four steps it carries brows at more similar heights
from take to take than in the paper's 1000 (`docs/speed.md`); a height for each take brings the difference back, without making brows
move more.
"""

from __future__ import annotations

import math

import numpy as np

from ...direction import AXES
from .layer import blurred, Layer

_APART = 0.22  # standard deviation of the height between takes at a *Spread* of 1, channel values
_STEP = 0.6180339887498949  # the golden section: heights of consecutive seeds differ, and any few of them are spread evenly
_EASE = 6.0  # standard deviation of the blur where a mood or a frown comes or goes, frames
_DRAWN = 0.4  # lowering of both brows at a *Frown* of 1, besides the model's
_APART_UP, _APART_DOWN = np.array([0.12, 0.16, 0.16]), -0.1  # inner and outer brows raised at a *Frown* of −1, and change of browDown
_FROWN = next(i for i, axis in enumerate(AXES) if axis.name == "frown")


def height_of(seed: int, spread: float) -> float:
    """Height of a take's brows against usual ones, channel value: 0 at a spread of 0, within ± √3 deviations."""
    return spread * _APART * math.sqrt(3) * (2 * ((seed % (1 << 32)) * _STEP % 1) - 1)


def carried(layer: Layer, seed: int, spread: float, styles: np.ndarray | None) -> None:
    """Add to a layer how a take carries the brows, alike on both sides. A mood places brows itself: the take's own height gives way to
    it, by the square of its strength, and a low one gives way to brows that are asked to be apart.

    styles: [1 or T, DIRECTION_NAMES], the take's direction; None: the usual one.
    """
    height, frames = height_of(seed, spread), layer.frames
    free = np.ones((frames, 1))
    if styles is not None:
        styles = np.asarray(styles, float)[np.minimum(np.arange(frames), len(styles) - 1)]
        frown = blurred(np.clip(AXES[_FROWN].speakers * styles[:, _FROWN], -1, 1)[:, None], _EASE)
        together, apart = np.maximum(frown, 0), np.maximum(-frown, 0)
        layer.knit += _DRAWN * together + _APART_DOWN * apart
        layer.brows += _APART_UP * apart
        free = 1 - blurred(styles[:, len(AXES) :].sum(1).clip(0, 1)[:, None] ** 2, _EASE)
        if height < 0:
            free = free * (1 - apart)
    layer.brows += free * height
