# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of curves in numpy: easing, weights between keys, smoothing, largest neighbours, gaps;
and how curves are worked on in parts, and values found by halving.

Those that scipy has give the same results (tests/core/test_filters.py); users do not install scipy,
which would add 0.14 GB for these few.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Values = Any  # a float, a numpy array or a torch tensor


def smoothstep(x: Values) -> Values:
    """0 … 1 eased: the cubic 3x² − 2x³, level at both ends. x must lie within 0 … 1; the caller
    clips."""
    return x * x * (3 - 2 * x)


def ease(x: Values, start: float = 0.0, end: float = 1.0) -> Values:
    """0 … 1 from start to end, eased, and level beyond them."""
    return smoothstep(np.clip((x - start) / (end - start), 0.0, 1.0))


def bend(values: Values, knee: float, limit: float) -> Values:
    """Values that go on moving above a knee, and stay below the limit."""
    span = limit - knee
    return np.minimum(values, knee) + span * np.tanh(np.maximum(values - knee, 0.0) / span)


def hermite(x: Values) -> tuple[Values, Values, Values, Values]:
    """Weights of (value before, value after, slope before, slope after) in the cubic at x (0 … 1)
    between two keys.

    Slopes are per length of the segment: a slope per frame is to be multiplied by the segment's
    frames.
    """
    y = 1 - x
    return (1 + 2 * x) * y * y, smoothstep(x), x * y * y, -x * x * y


def extend(values: np.ndarray, before: int, after: int, mode: str) -> np.ndarray:
    """Values [T > 0, …] that go on before and after, by modes of `gaussian`: in a third of the time
    of `np.pad`."""
    count = len(values)
    at = np.arange(-before, count + after)
    if mode == "nearest":
        return values[at.clip(0, count - 1)]
    at %= 2 * count
    return values[np.minimum(at, 2 * count - 1 - at)]


def gaussian(
    values: np.ndarray, deviation: float, mode: str = "reflect", reach: int | None = None
) -> np.ndarray:
    """Values [T] or [T, c] smoothed by a Gaussian of a standard deviation in samples.

    mode: "reflect" mirrors the ends, "nearest" repeats the last value.  reach: samples to either
    side that count; None: four deviations.
    """
    values = np.asarray(values, float)
    reach = int(4 * deviation + 0.5) if reach is None else reach
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    kernel /= kernel.sum()
    extended = extend(values, reach, reach, mode)
    if values.ndim == 1:
        return np.convolve(extended, kernel, "valid")
    return np.stack([np.convolve(column, kernel, "valid") for column in extended.T], 1)


def smooth(values: np.ndarray, deviation: float) -> np.ndarray:
    """Curves [T] or [T, c] of a face smoothed by a Gaussian of a deviation in frames, cut at three
    deviations; ends are held."""
    return gaussian(values, deviation, "nearest", int(np.ceil(3 * deviation)))


def split_at_gaps(numbers: np.ndarray, gap: int = 1) -> list[np.ndarray]:
    """Ascending whole numbers [k], divided where neighbours are more than `gap` apart; [] for
    none."""
    return np.split(numbers, np.flatnonzero(np.diff(numbers) > gap) + 1) if len(numbers) else []


def slices(count: int, size: int) -> list[slice]:
    """So many rows in parts of a size, the last of which may be shorter."""
    return [slice(start, start + size) for start in range(0, count, size)]


def halve(
    is_below: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray, rounds: int
) -> tuple[np.ndarray, np.ndarray]:
    """Intervals low … high [n] halved so many times about the values up to which `is_below`."""
    for _ in range(rounds):
        middle = (low + high) / 2
        below = is_below(middle)
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return low, high


def highest(values: np.ndarray, size: int, origin: int = 0) -> np.ndarray:
    """The largest of `size` neighbours of each value [T] or [T, c], ends mirrored.

    origin: shift of the window into the past, in samples.
    """
    left = size // 2 + origin
    return np.lib.stride_tricks.sliding_window_view(
        extend(values, left, size - 1 - left, "reflect"), size, 0
    ).max(-1)


def widen(values: np.ndarray, reach: int, deviation: float) -> np.ndarray:
    """A curve [T] that rises `reach` frames before its peaks and falls as late behind them,
    smoothed by a deviation in frames."""
    return smooth(highest(values, 2 * reach + 1), deviation)
