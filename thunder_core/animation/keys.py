# SPDX-License-Identifier: GPL-3.0-or-later
"""Reduces a curve with a value on every frame to the few keys, with handles, that an animator would
set; numpy only.

Between keys the curve is a cubic Hermite polynomial: a Bézier segment with handles at a third of
its length, which Blender evaluates identically. Slopes are one per key (handles stay aligned) and
solved by least squares for the whole curve at once, within limits around those that keep every
segment monotone (Fritsch and Carlson 1980): between two keys the curve exceeds their values by at
most 2 % of its range, and never exceeds its range. Keys are added until the error is within the
limit everywhere. Keys of poses (`PoseKeys`) have a slope on either side, and share their frames.
"""

from dataclasses import dataclass

import numpy as np

from ..filters import hermite

# samples per frame at which a take is read and its error measured, for motion blur and retiming
SAMPLES = 8
# length of a handle without effect, frames: beyond the outer keys and on holds
LONGEST_HANDLE = 3.0
_ROUNDS = 24  # most rounds of adding keys where the curve is off
_RIDGE = 1e-9  # added to the diagonal, and lower bound of what is divided by
# multiple of a segment's mean slope; with both end slopes between 0 and that it is monotone
_STEEPEST = 3.0
# share of a curve's range by which slopes may carry it past the values of the neighbouring keys
_BEYOND = 0.01
_BULGE = 4 / 27  # largest bulge of an otherwise level segment, as a share of length times slope
# share of the tolerance: a curve that moves less in its first or last frame is level there
_BEGINS_LEVEL = 0.25
_SWEEPS = 8  # sweeps that solve for slopes within their limits, after the unlimited solution


def times_of(frames: np.ndarray) -> np.ndarray:
    """The times at which a take on whole scene frames [T] is read: [(T - 1) · SAMPLES + 1]."""
    return frames[0] + np.arange((len(frames) - 1) * SAMPLES + 1) / SAMPLES


@dataclass(frozen=True)
class PoseKeys:
    """Keys of one curve on whole frames.

    index [K] of the frames; value [K]; left, right [K]: slopes per frame on either side. Between
    two keys the curve is a cubic Hermite polynomial: a Bézier segment with its handles at a third.
    Beyond the outer keys it is level.
    """

    index: np.ndarray
    value: np.ndarray
    left: np.ndarray
    right: np.ndarray

    def at(self, frames: np.ndarray) -> np.ndarray:
        """The curve at frames [N], any numbers."""
        t = np.asarray(frames, float)
        if len(self.index) == 1:
            return np.full(len(t), float(self.value[0]))
        knots = self.index.astype(float)
        k = np.clip(np.searchsorted(knots, t, side="right") - 1, 0, len(knots) - 2)
        h = knots[k + 1] - knots[k]
        a, b, c, d = hermite(np.clip((t - knots[k]) / h, 0.0, 1.0))
        return (
            a * self.value[k]
            + b * self.value[k + 1]
            + h * (c * self.right[k] + d * self.left[k + 1])
        )

    def handles(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Left and right handles [K, 2] (frame, value) for keys on scene frames [T].

        Between keys they are a third of the way long, which makes the curve a Hermite polynomial;
        no longer than LONGEST_HANDLE where the curve holds and beyond the outer keys, where they
        are level.
        """
        times, value = np.asarray(frames, float)[self.index], self.value
        gap = np.diff(times) / 3
        holds = (np.diff(value) == 0) & (self.right[:-1] == 0) & (self.left[1:] == 0)
        gap = np.where(holds, np.minimum(gap, LONGEST_HANDLE), gap)
        outer = np.minimum(gap[[0, -1]], LONGEST_HANDLE) if len(gap) else np.full(2, 1 / 3)
        before, after = np.append(outer[0], gap), np.append(gap, outer[1])
        left, right = np.append(0.0, self.left[1:]), np.append(self.right[:-1], 0.0)
        return np.stack([times - before, value - left * before], 1), np.stack(
            [times + after, value + right * after], 1
        )

    @property
    def aligned(self) -> np.ndarray:
        """True for keys with the same slope on either side, bool [K]."""
        return np.abs(self.left - self.right) <= 1e-9 + 1e-6 * np.abs(self.right)


def steepest(rise: np.ndarray | float, run: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """The least and greatest slope at the ends of segments that stay between the values of their
    keys."""
    limit = _STEEPEST * np.asarray(rise, float) / run
    return np.minimum(limit, 0.0), np.maximum(limit, 0.0)


def _basis(times: np.ndarray, index: np.ndarray):
    """Segment k [T] of every sample, and the weights [T] of the values and slopes of keys k and k +
    1 in it; flat beyond the outer keys. Needs at least two keys."""
    t = times.astype(float)
    knots = t[index]
    lengths = np.diff(index)
    lengths[0] += index[0]
    lengths[-1] += len(t) - index[-1]
    k = np.repeat(np.arange(len(index) - 1), lengths)
    h = np.diff(knots)[k]
    x = np.clip((t - knots[k]) / h, 0.0, 1.0)
    before, after, slope_before, slope_after = hermite(x)
    return k, before, after, h * slope_before, h * slope_after


def fit_slopes(
    times: np.ndarray, curve: np.ndarray, index: np.ndarray, level: tuple[bool, bool]
) -> tuple[PoseKeys, np.ndarray]:
    """Keys on the samples `index` with the monotone slopes that come nearest to the curve [T], the
    same on either side, and the error [T].

    level: whether it begins and ends level.
    """
    if len(index) == 1:
        return PoseKeys(index, curve[index], np.zeros(1), np.zeros(1)), curve - curve[index]
    value = curve[index]
    k, a, b, c, d = _basis(times, index)
    left = curve - a * value[k] - b * value[k + 1]
    count = len(index)
    # A slope reaches no further than its two neighbours: the normal matrix is tridiagonal.
    diagonal = np.bincount(k, c * c, count) + np.bincount(k + 1, d * d, count) + _RIDGE
    beside = np.bincount(k, c * d, count)[:-1]
    right = np.bincount(k, c * left, count) + np.bincount(k + 1, d * left, count)
    least, most = float(curve.min()), float(curve.max())
    # as a share of the range of the keys
    beyond = _BEYOND * float(np.ptp(value)) / max(most - least, _RIDGE)
    limits = _slope_limits(times[index], value, least, most, beyond)
    for end, is_level in zip((0, -1), level):
        if is_level:
            limits[0][end] = limits[1][end] = 0.0
    slope = _solve_within(diagonal, beside, right, *limits)
    return PoseKeys(index, value, slope, slope), left - c * slope[k] - d * slope[k + 1]


def _slope_limits(
    times: np.ndarray, value: np.ndarray, least: float, most: float, beyond: float = _BEYOND
) -> tuple[np.ndarray, np.ndarray]:
    """The least and greatest slope [K] at keys, so that both segments beside each stay within the
    curve's range least … most, and between the values of their keys but for the part `beyond` of
    that range."""
    run, beyond = np.diff(times), beyond * (most - least)
    low, high = steepest(np.diff(value), run)
    # Each end of a segment may use half of the distance between its keys and the limits of the
    # range.
    below = np.minimum(beyond, (np.minimum(value[:-1], value[1:]) - least) / 2) / (_BULGE * run)
    above = np.minimum(beyond, (most - np.maximum(value[:-1], value[1:])) / 2) / (_BULGE * run)
    # A segment dips below its keys where it leaves too steeply downward or arrives too steeply
    # upward, and the reverse.
    starts, ends = (low - below, high + above), (low - above, high + below)
    least_slope, most_slope = np.full(len(value), -np.inf), np.full(len(value), np.inf)
    least_slope[1:], most_slope[1:] = ends
    np.maximum(least_slope[:-1], starts[0], out=least_slope[:-1])
    np.minimum(most_slope[:-1], starts[1], out=most_slope[:-1])
    return least_slope, most_slope


def _solve_within(
    diagonal: np.ndarray, beside: np.ndarray, right: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Least-squares solution of a symmetric tridiagonal system with low ≤ x ≤ high: without limits,
    and where that leaves them, by coordinate descent within them (even and odd unknowns in
    turn)."""
    x = _tridiagonal(diagonal, beside, right)
    if ((x >= low) & (x <= high)).all():
        return x
    padded = np.zeros(len(x) + 2)
    inner = padded[1:-1]
    inner[:] = np.minimum(np.maximum(x, low), high)
    before, after = np.zeros(len(x)), np.zeros(len(x))
    before[1:] = after[:-1] = beside
    # Views of every other unknown, its equation and its neighbours.
    halves = [
        [
            view[first::2]
            for view in (right, before, padded[:-2], after, padded[2:], diagonal, low, high, inner)
        ]
        for first in (0, 1)
    ]
    for _ in range(_SWEEPS):
        for goal, pull_before, x_before, pull_after, x_after, weight, least, most, result in halves:
            free = goal - pull_before * x_before
            free -= pull_after * x_after
            free /= weight
            np.maximum(free, least, out=free)
            np.minimum(free, most, out=result)
    return inner.copy()


def _tridiagonal(diagonal: np.ndarray, beside: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solution of a symmetric tridiagonal system."""
    # Plain floats: several times faster than arrays for single values.
    d, e, r = diagonal.tolist(), beside.tolist(), right.tolist()
    pivot, value = d[0], r[0]
    for i, b in enumerate(e, 1):
        w = b / pivot
        d[i] = pivot = d[i] - w * b
        r[i] = value = r[i] - w * value
    x = r[-1] = value / pivot
    for i in range(len(e) - 1, -1, -1):
        r[i] = x = (r[i] - e[i] * x) / d[i]
    return np.array(r)


def turning_points(curve: np.ndarray, least: float) -> np.ndarray:
    """Samples where a curve [T] turns by more than `least`: the extremes an animator would key, and
    both ends."""
    curve = np.asarray(curve, float)
    result, high, low, rising = [0], 0, 0, None
    highest = lowest = float(curve[0])
    for i, value in enumerate(curve.tolist()):
        if value > highest:
            high, highest = i, value
        if value < lowest:
            low, lowest = i, value
        if rising is not False and highest - value > least:
            if rising is not None or high > 0:
                result.append(high)
            rising = False
        elif rising is not True and value - lowest > least:
            if rising is not None or low > 0:
                result.append(low)
            rising = True
        else:
            continue
        high = low = i
        highest = lowest = value
    result.append(len(curve) - 1)
    return np.unique(result)


def smooth_between(values: np.ndarray, every: int) -> np.ndarray:
    """The smooth curve through values [T] that stays between neighbours, at `every` parts of each
    frame: [(T - 1) · every + 1]."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return values.copy()
    low, high = _slope_limits(
        np.arange(len(values)), values, values.min(), values.max(), beyond=0.0
    )
    index, slope = every * np.arange(len(values)), np.clip(np.gradient(values), low, high)
    k, a, b, c, d = _basis(np.arange(index[-1] + 1) / every, index)
    return a * values[k] + b * values[k + 1] + c * slope[k] + d * slope[k + 1]


def reduce(times: np.ndarray, curve: np.ndarray, tolerance: float) -> PoseKeys:
    """The few keys whose curve stays within a tolerance of curve [T] at all of times [T] (frames,
    ascending).

    A curve that stays within the tolerance is a line from its first value to its last: one key if
    they are equal.
    """
    curve = np.asarray(curve, float)
    if len(curve) == 1 or np.ptp(curve) <= tolerance:
        ends = np.array([0]) if curve[0] == curve[-1] else np.array([0, len(curve) - 1])
        rise = (curve[-1] - curve[0]) / max(float(times[-1] - times[0]), 1e-9)
        slope = np.full(len(ends), rise)
        return PoseKeys(ends, curve[ends], slope, slope)
    index = turning_points(curve, 2 * tolerance)
    level = (
        abs(curve[1] - curve[0]) <= _BEGINS_LEVEL * tolerance,
        abs(curve[-2] - curve[-1]) <= _BEGINS_LEVEL * tolerance,
    )
    keys, error = fit_slopes(times, curve, index, level)
    for _ in range(_ROUNDS):
        off = np.abs(error) / tolerance
        wrong = np.flatnonzero(off > 1.0)
        if not len(wrong):
            return keys
        more = np.union1d(index, _more_keys(index, wrong, off[wrong], len(curve)))
        if len(more) == len(index):
            return keys
        index = more
        keys, error = fit_slopes(times, curve, index, level)
    wrong = np.flatnonzero(np.abs(error) > tolerance)
    if len(wrong):  # rough curves: every sample where it still fails
        keys, _ = fit_slopes(times, curve, np.union1d(index, wrong), level)
    return keys


def _more_keys(index: np.ndarray, wrong: np.ndarray, off: np.ndarray, count: int) -> np.ndarray:
    """Samples for new keys in addition to `index` of `count`: near the worst sample of every
    segment.

    wrong: samples whose error is too large, ascending; off: their errors. Between adjacent keys
    there is no room: the neighbouring segments get a key, so that long segments no longer determine
    the slopes.
    """
    segment = np.searchsorted(index, wrong, side="right") - 1
    order = np.lexsort((-off, segment))
    in_order = segment[order]
    first = np.ones(len(order), bool)
    first[1:] = in_order[1:] > in_order[:-1]
    worst = order[first]
    segment, sample = segment[worst], wrong[worst]
    start, end = index[segment], index[np.minimum(segment + 1, len(index) - 1)]
    has_space = end - start > 1
    inside = np.clip(sample, start + 1, end - 1)[has_space]
    beside = np.concatenate([start[~has_space] - 1, end[~has_space] + 1])
    return np.concatenate([inside, beside[(beside >= 0) & (beside < count)]])


# ---- keys of poses, and how far curves are off in millimetres

HOLD_SHARE = 0.2  # share of the allowed error: a region that moves by less holds
# a slope beyond its limit by s (times a third of the segment) makes the curve leave its range by
# less than this
BULGE = 0.75
SHIFT = 0.5  # frames by which movement other than speech may be early or late without being noticed
LEAST = 1e-9  # lower bound of what is divided by
ROWS = 1000  # samples measured at once


@dataclass(frozen=True)
class Measure:
    """The effect of channel values in millimetres, and the allowed errors.

    pull [C, P, 3]: millimetres that a unit of each channel moves each point.  allowed [P]: allowed
    error of each point, mm. gap [C]: millimetres that a unit of each channel opens the lips.
    """

    pull: np.ndarray
    allowed: np.ndarray
    gap: np.ndarray

    def flat(self, chosen: np.ndarray) -> np.ndarray:
        """[chosen, 3 (P + 1)]: displacement of the points that these channels move, in allowed
        errors; the last is the lips' gap in mm. Single precision, since most time is spent with
        it."""
        scaled = self.pull[chosen] / self.allowed[:, None]
        most = np.linalg.norm(scaled, axis=2).max(0)
        scaled = scaled[:, most > 0.01 * most.max()]
        gap = np.zeros((len(scaled), 1, 3))
        gap[:, 0, 0] = self.gap[chosen]
        return np.concatenate([scaled, gap], 1).reshape(len(scaled), -1).astype(np.float32)


def relative_error(error: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Error of each sample [N], from displacements [N, 3 (P + 1)]; 1 is the allowed error.

    weight [N, P + 1], or [N, 2] where all points count the same: weight of errors at each sample,
    of the points (usually 1) and of the lips' gap (1 / allowed error in mm, 0 where lips are
    apart).
    """
    by_point = error.reshape(len(error), -1, 3)
    squares = np.einsum("npi,npi->np", by_point[:, :-1], by_point[:, :-1])
    if weight.shape[1] == 2:
        far = np.sqrt(squares.max(1)) * weight[:, 0]
    else:
        far = (np.sqrt(squares) * weight[:, :-1]).max(1)
    return np.maximum(far, np.abs(by_point[:, -1, 0]) * weight[:, 1])


def shift_distances(places: np.ndarray) -> np.ndarray:
    """Largest distance [S, P] of each point of places [S, P, 3] from where it is up to `SHIFT`
    frames earlier or later."""
    furthest = round(SHIFT * SAMPLES)
    moved = np.zeros(places.shape[:2])
    for samples in (furthest // 2, furthest):
        far = np.linalg.norm(places[samples:] - places[:-samples], axis=2)
        moved[samples:], moved[:-samples] = (
            np.maximum(moved[samples:], far),
            np.maximum(moved[:-samples], far),
        )
    return moved
