# SPDX-License-Identifier: GPL-3.0-or-later
"""A curve with a value on every frame becomes the few keys, with handles, that an animator would have set; numpy only.

Between keys the curve is a cubic Hermite polynomial: a Bézier segment whose handles lie at a third of its length, which
Blender evaluates exactly so. Keys sit on samples; slopes are one per key (handles stay aligned) and solved by least
squares for the whole curve at once; where the curve is further off than allowed a key is added, until none is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ROUNDS = 24  # keys are added where the curve is off, at most so often
_RIDGE = 1e-9


@dataclass(frozen=True)
class Keys:
    """Keys of one curve: indices [K] of the samples they sit on, values [K], slopes [K] per frame of the time axis.

    Handles in Blender's sense: right of key k at (t_k + h/3, v_k + slope_k · h/3) with h the distance to the next key.
    """

    index: np.ndarray
    value: np.ndarray
    slope: np.ndarray

    def handles(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Left and right handles [K, 2] (time, value); the outer ones mirror the inner."""
        t = times[self.index].astype(float)
        gap = np.diff(t) / 3 if len(t) > 1 else np.array([1 / 3])
        left = np.concatenate([gap[:1], gap])[: len(t)]
        right = np.concatenate([gap, gap[-1:]])[: len(t)]
        return (
            np.stack([t - left, self.value - self.slope * left], 1),
            np.stack([t + right, self.value + self.slope * right], 1),
        )

    def at(self, times: np.ndarray) -> np.ndarray:
        """The curve through the keys at all sample times [T]."""
        if len(self.index) == 1:
            return np.full(len(times), float(self.value[0]))
        k, a, b, c, d = _basis(times, self.index)
        return a * self.value[k] + b * self.value[k + 1] + c * self.slope[k] + d * self.slope[k + 1]


def _basis(times: np.ndarray, index: np.ndarray):
    """Of every sample its segment k [T], and what the values and slopes of keys k and k + 1 add to it, each [T]; flat
    beyond the outer keys. Needs two keys at least."""
    t = times.astype(float)
    knots = t[index]
    k = np.clip(np.searchsorted(knots, t, side="right") - 1, 0, len(index) - 2)
    h = knots[k + 1] - knots[k]
    x = np.clip((t - knots[k]) / h, 0.0, 1.0)
    y = 1 - x
    return k, (1 + 2 * x) * y * y, x * x * (3 - 2 * x), h * x * y * y, -h * x * x * y


def _fit(times: np.ndarray, curve: np.ndarray, index: np.ndarray, weight: np.ndarray) -> tuple[Keys, np.ndarray]:
    """Keys on the samples `index` with the slopes that come nearest to the curve [T], and the error [T]."""
    if len(index) == 1:
        return Keys(index, curve[index], np.zeros(1)), curve - curve[index]
    k, a, b, c, d = _basis(times, index)
    left = curve - a * curve[index][k] - b * curve[index][k + 1]
    count = len(index)
    wc, wd = weight * c, weight * d
    # A slope reaches no further than its two neighbours: the normal matrix is tridiagonal.
    diagonal = np.bincount(k, wc * c, count) + np.bincount(k + 1, wd * d, count) + _RIDGE
    beside = np.bincount(k, wc * d, count)[:-1]
    right = np.bincount(k, wc * left, count) + np.bincount(k + 1, wd * left, count)
    slope = _tridiagonal(diagonal, beside, right)
    return Keys(index, curve[index], slope), left - c * slope[k] - d * slope[k + 1]


def _tridiagonal(diagonal: np.ndarray, beside: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solution of a symmetric tridiagonal system."""
    d, e, r = diagonal.tolist(), beside.tolist(), right.tolist()  # plain numbers: several times faster one by one
    n = len(d)
    for i in range(1, n):
        w = e[i - 1] / d[i - 1]
        d[i] -= w * e[i - 1]
        r[i] -= w * r[i - 1]
    x = [0.0] * n
    x[-1] = r[-1] / d[-1]
    for i in range(n - 2, -1, -1):
        x[i] = (r[i] - e[i] * x[i + 1]) / d[i]
    return np.array(x)


def turning_points(curve: np.ndarray, least: float) -> np.ndarray:
    """Samples where a curve [T] turns by more than `least`: the extremes an animator would key, both ends included."""
    curve = np.asarray(curve, float).tolist()
    found = [0]
    high = low = 0
    rising = None
    for i in range(1, len(curve)):
        if curve[i] > curve[high]:
            high = i
        if curve[i] < curve[low]:
            low = i
        if rising is not False and curve[high] - curve[i] > least:
            if rising is not None or high > 0:
                found.append(high)
            rising, low = False, i
            high = i
        elif rising is not True and curve[i] - curve[low] > least:
            if rising is not None or low > 0:
                found.append(low)
            rising, high = True, i
            low = i
    found.append(len(curve) - 1)
    return np.unique(found)


def reduce(times: np.ndarray, curve: np.ndarray, tolerance: float | np.ndarray, exact: np.ndarray | None = None) -> Keys:
    """The few keys whose curve stays within `tolerance` of curve [T] at all of times [T] (frames, ascending).

    tolerance: one for all samples, or of each [T]. exact: indices of samples that must be keys, such as the frames on
    which lips touch. One key if nothing moves.
    """
    curve = np.asarray(curve, float)
    allowed = np.broadcast_to(np.asarray(tolerance, float), curve.shape)
    least = float(allowed.min())
    exact = np.zeros(0, int) if exact is None else np.asarray(exact, int)
    if len(curve) == 1 or (np.ptp(curve) <= least and not len(exact)):
        middle = int(np.argmin(np.abs(curve - (curve.max() + curve.min()) / 2)))
        return Keys(np.array([middle]), curve[[middle]], np.zeros(1))
    weight = (least / allowed) ** 2
    index = np.union1d(turning_points(curve, 2 * least), exact).astype(int)
    keys, error = _fit(times, curve, index, weight)
    for _ in range(_ROUNDS):
        off = np.abs(error) / allowed
        if off.max() <= 1.0:
            return keys
        wrong = np.flatnonzero(off > 1.0)
        # the worst sample of every segment
        segment = np.searchsorted(index, wrong, side="right")
        order = np.lexsort((-off[wrong], segment))
        first = np.r_[True, np.diff(segment[order]) > 0]
        index = np.union1d(index, wrong[order][first])
        keys, error = _fit(times, curve, index, weight)
    if (np.abs(error) > allowed).any():  # rough curves: every sample where it still fails
        index = np.union1d(index, np.flatnonzero(np.abs(error) > allowed))
        keys, error = _fit(times, curve, index, weight)
    return keys
