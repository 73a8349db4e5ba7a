# SPDX-License-Identifier: GPL-3.0-or-later
"""The shape of a lip closure over animation frames, from the sounds that require it."""

from __future__ import annotations

import numpy as np

from ...easing import smoothstep
from ...types import FPS

LABELS_PER_SECOND = 100


def segments(mask: np.ndarray) -> list[tuple[int, int]]:
    """(first, behind last) of every run of True in [N]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(mask).astype(int), [0]])))
    return list(zip(edges[::2], edges[1::2]))


def closure(demanded: np.ndarray, frames: int, before: float = 0.07, after: float = 0.06) -> np.ndarray:
    """Required lip closure [frames], 0 … 1 at 25 fps, from `demanded` [M] at 100 Hz: 1 where a sound needs closed lips.

    Lips lead the sound: closing starts `before` s ahead, holds for the sound, opens within `after` s. Every closure
    reaches 1 on at least one animation frame, however short it is.
    """
    shut = np.zeros(frames)
    for a, b in segments(demanded):
        start, end = a / LABELS_PER_SECOND - 0.01, max(b / LABELS_PER_SECOND - 0.02, a / LABELS_PER_SECOND + 0.02)
        nearest = int(np.clip(round((start + end) / 2 * FPS), 0, frames - 1))
        # Frames that it reaches, and one more on either side: of a long sound all others would cost more than these.
        first, last = max(0, int((start - before) * FPS) - 1), min(frames, int((end + after) * FPS) + 2)
        t = np.arange(first, last) / FPS
        ramp = np.where(t < start, 1 - (start - t) / before, np.where(t > end, 1 - (t - end) / after, 1.0))
        shut[first:last] = np.maximum(shut[first:last], smoothstep(np.clip(ramp, 0, 1)))
        shut[nearest] = 1.0
    return shut
