# SPDX-License-Identifier: GPL-3.0-or-later
"""Slows the fastest movements of curves; numpy only."""

from __future__ import annotations

import numpy as np

from ..filters import highest, smooth


def slowed(values: np.ndarray, changes: tuple[float, float], near: int, deviation: float) -> np.ndarray:
    """Curves [T, c] that are smoothed by a Gaussian of a deviation in frames, fully `near` frames around changes from frame to frame of
    the second of `changes`, and not at all where they are below the first."""
    if len(values) < 2:
        return values
    speed = np.abs(np.diff(values, axis=0, prepend=values[:1])).max(1)
    share = smooth(highest(np.clip((speed - changes[0]) / (changes[1] - changes[0]), 0.0, 1.0), 2 * near + 1), near / 2)[:, None]
    return (values + share * (smooth(values, deviation) - values)).astype(values.dtype)


def limit_release(values: np.ndarray, most: float) -> np.ndarray:
    """A curve [T] that is reached and left by steps of at most `most` from frame to frame: raised around its peaks, lowered nowhere."""
    result = np.array(values)
    for _ in range(int(np.ceil(np.ptp(values) / most)) if len(values) else 0):
        result[1:] = np.maximum(result[1:], result[:-1] - most)
        result[:-1] = np.maximum(result[:-1], result[1:] - most)
    return result


def limit_rate(values: np.ndarray, most: float, kept_low: np.ndarray) -> np.ndarray:
    """A curve [T] that changes by at most `most` from frame to frame: raised around its peaks, but not where `kept_low`, bool [T], whose
    values it leaves and reaches by coming down in time."""
    if not len(values):
        return values
    ceiling = -limit_release(-np.where(kept_low, values, values.max()), most)
    return np.minimum(limit_release(values, most), ceiling)


def lower_peaks(values: np.ndarray, most: float) -> np.ndarray:
    """A curve [T] whose peaks of a single frame are lowered to at most `most` above the higher of their neighbours."""
    if len(values) < 3:
        return values
    result = values.copy()
    result[1:-1] = np.minimum(values[1:-1], np.maximum(values[:-2], values[2:]) + most)
    return result
