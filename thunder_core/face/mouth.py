# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a motion opens the bundled head's mouth, and how wide it is; numpy only, so that Blender's process can ask."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..rotation import rotvec_to_matrix
from ..types import Motion
from .head import load_head
from .retarget import Points


def opening_mm(motion: Motion) -> np.ndarray:
    """Gap of the inner lips, float32 [T], millimetres above its value at rest, never negative: the engine's own measure.

    The motion's expression columns are the bundled head's channels, in their order.
    """
    placed, rest = _placed(motion), _points().rest
    gap = placed[:, 1, 1] - placed[:, 0, 1]
    return np.maximum(1e3 * (gap - (rest[1, 1] - rest[0, 1])), 0.0).astype(np.float32)


def width_mm(motion: Motion) -> np.ndarray:
    """Distance of the mouth corners, float32 [T], millimetres."""
    placed = _placed(motion)
    return (1e3 * np.linalg.norm(placed[:, 3] - placed[:, 2], axis=1)).astype(np.float32)


def _placed(motion: Motion) -> np.ndarray:
    """Positions [T, 4, 3] of lower and upper inner lip and of the corners, metres, neck still."""
    turn = rotvec_to_matrix(np.asarray(motion.jaw, np.float64))
    return _points().place(np.asarray(motion.expression, np.float64), turn)


@lru_cache(maxsize=1)
def _points() -> Points:
    head = load_head()
    ids = [head.inner_lip_lower_mid, head.inner_lip_upper_mid, head.mouth_corner_left, head.mouth_corner_right]
    return Points.of(head, lambda values: values[ids])
