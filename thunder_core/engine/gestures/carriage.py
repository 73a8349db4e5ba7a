# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a performer carries the brows: drawn together or apart as directed, and at a height of its own for each take.

The model follows *Frown* too faintly to be seen, and below 0 not at all. Sampled in four steps it carries brows at more similar heights
from take to take than in the paper's 1000 (`research/notebook/2026-11-22.md`); a height for each take brings the difference back, without
making brows move more.
"""

from __future__ import annotations

import math

import numpy as np

from ...direction import AXES, DIRECTION_NAMES, over_frames
from .layer import blurred, Layer

_APART = 0.22  # standard deviation of the height between takes at a *Spread* of 1, channel values
_STEP = 0.6180339887498949  # the golden section: heights of consecutive seeds differ, and any few of them are spread evenly
_EASE = 6.0  # standard deviation of the blur where a mood or a frown comes or goes, frames
_DRAWN = 0.4  # lowering of both brows at a *Frown* of 1, besides the model's
_APART_UP, _APART_DOWN = np.array([0.12, 0.16, 0.16]), -0.1  # inner and outer brows raised at a *Frown* of −1, and change of browDown
_FROWN = DIRECTION_NAMES.index("frown")


def height_of(seed: int, spread: float) -> float:
    """Height of a take's brows against usual ones, channel value: 0 at a spread of 0, within ± √3 deviations."""
    return spread * _APART * math.sqrt(3) * (2 * ((seed % (1 << 32)) * _STEP % 1) - 1)


def carried(layer: Layer, seed: int, spread: float, styles: np.ndarray | None) -> None:
    """Add the height at which a take carries the brows to a layer, alike on both sides. A mood places brows itself: the height
    gives way to it, by the square of its strength.

    styles: [1 or T, DIRECTION_NAMES], the take's direction; None: the usual one.
    """
    height, free = height_of(seed, spread), np.ones((layer.frames, 1))
    if styles is not None:
        free = 1 - _eased(np.asarray(styles, float)[:, len(AXES) :].sum(1).clip(0, 1) ** 2, layer.frames)
    layer.brows += free * height


def drawn_together(layer: Layer, styles: np.ndarray | None) -> None:
    """Draw the brows of a layer together or apart, as *Frown* asks. Where they are to be apart nothing else lowers them.

    styles: as of `carried`, after which this comes.
    """
    if styles is None:
        return
    frown = _eased(np.clip(AXES[_FROWN].speakers * np.asarray(styles, float)[:, _FROWN], -1, 1), layer.frames)
    together, apart = np.maximum(frown, 0), np.maximum(-frown, 0)
    layer.brows += apart * (_APART_UP - np.minimum(layer.brows, 0))
    layer.knit += _DRAWN * together + _APART_DOWN * apart


def _eased(values: np.ndarray, frames: int) -> np.ndarray:
    """Values [1 or T] for `frames` frames without jumps, [frames, 1]."""
    return blurred(np.broadcast_to(over_frames(values[:, None], frames), (frames, 1)), _EASE)
