# SPDX-License-Identifier: GPL-3.0-or-later
"""Dense curves of a face become poses: keys on frames that all curves of a region share, as an animator sets them; numpy only.

The mouth (lips, jaw, cheeks, tongue) is keyed on the sounds: where lips close and open again, at extremes, at both ends of
holds, and on as many breakdowns between them as the allowed error needs. Brows, eyes and head have frames of their own, on
frames of the mouth where that costs nothing. Frames are chosen by dynamic programming over the longest segments that stay
within the error, in millimetres of what the curves move. Values and slopes are then fitted together, so that no curve
leaves the range of two neighbouring keys by more than `SLACK` of the range it moves through. A curve that does not need a key of
its region's frames has none there.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from ..easing import hermite
from ..face.displacement import UNSEEN_MM
from ..progress import scaled
from .keys import handles, turning_points

REGIONS = ("Brows", "Eyes", "Cheeks & Nose", "Mouth", "Jaw", "Tongue", "Head")
# Regions that are keyed on the same frames, the most important first: later ones prefer frames of earlier ones.
TOGETHER = (("Mouth", "Jaw", "Cheeks & Nose", "Tongue"), ("Head",), ("Eyes",), ("Brows",))
KINDS = ("CLOSURE", "HOLD", "EXTREME", "BREAKDOWN")
SAMPLES = 8  # of a frame, at which curves are fitted
SLACK = 0.02  # of the range a curve moves through, by which it may leave the range of two neighbouring keys

_LONGEST = 24  # frames of a segment that is no hold
_SHORTEST_HOLD = 5  # frames
_SNAP = 4  # frames by which a hold may be shorter to begin or end on a frame that has keys
_STILL = 0.2  # a region that moves by less than this part of the error holds
_ONE_POSE = 2  # frames within which several movements turn in one pose
_EXTREME_MOVE = 2.0  # times the allowed error by which a movement turns back at an extreme
_MOST_KEYS = 16  # fitted at once: where there are more, one in their middle keeps the value it has
_FIRST_TOLERANCE = 1.3  # times the allowed error with values as they are: fitted values come nearer
_ADDING, _REMOVING = 10, 2  # rounds
_HOPELESS = 1.5  # times the allowed error: no fit mends that
_USED, _EXTREME = 0.05, 0.8  # price of a frame that another region uses, of an extreme; any other costs 1
_BULGE = 0.75  # a slope beyond its limit by s (times a third of the segment) makes the curve leave its range by less than this
_REWEIGHTED, _ITERATIONS, _PENALTY = 4, 20, 0.3  # of the fit
_BETTERED = (1.25, 1.1, 1.05, 0.0)  # times the allowed error from which on no further round brings a fit within it
_GOOD = 0.9  # of the allowed error: a fit that is nearer is good enough
_SETTLED = 1e-3  # of a curve's range: a fit whose values and slopes are this near to their limits has settled
_BEGINS_LEVEL = 0.25  # of the allowed error a frame: curves that are slower than this at an end are level there
_ALIGNED = 0.02  # price of a kink at a key
_THINNED = (0.02, 0.1)  # of the allowed error that a key may be worth which its curve then does without, one round each
_KINK_WORTH = 0.5  # of the allowed error that a curve without a kink is worth
_LEVEL = 0.05  # of the allowed error: keys next to each other that differ less have one value
_ROOM = 0.8  # of what is left until lips count as apart
_LEAST = 1e-9
_ROWS = 1000  # samples that are measured in one go


@dataclass(frozen=True)
class PoseKeys:
    """Keys of one curve on whole frames.

    index [K] of the frames; value [K]; left, right [K]: slopes per frame on either side. Between two keys the curve is a
    cubic Hermite polynomial: a Bézier segment with its handles at a third. Beyond the outer keys it is level.
    """

    index: np.ndarray
    value: np.ndarray
    left: np.ndarray
    right: np.ndarray

    def __len__(self) -> int:
        return len(self.index)

    @property
    def holds(self) -> np.ndarray:
        """Whether the curve stands still from each key to the next, bool [K]; the last one's is False."""
        level = (np.diff(self.value) == 0) & (self.right[:-1] == 0) & (self.left[1:] == 0)
        return np.append(level, False)

    def at(self, frames: np.ndarray) -> np.ndarray:
        """The curve at frames [N], any numbers."""
        t = np.asarray(frames, float)
        if len(self.index) == 1:
            return np.full(len(t), float(self.value[0]))
        knots = self.index.astype(float)
        k = np.clip(np.searchsorted(knots, t, side="right") - 1, 0, len(knots) - 2)
        h = knots[k + 1] - knots[k]
        a, b, c, d = hermite(np.clip((t - knots[k]) / h, 0.0, 1.0))
        return a * self.value[k] + b * self.value[k + 1] + h * (c * self.right[k] + d * self.left[k + 1])

    def handles(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Left and right handles [K, 2] (frame, value) for keys on scene frames [T]; the outer ones are level."""
        return handles(np.asarray(frames, float)[self.index], self.value, self.left, self.right)

    @property
    def aligned(self) -> np.ndarray:
        """Which keys have the same slope on either side, bool [K]."""
        return np.abs(self.left - self.right) <= 1e-9 + 1e-6 * np.abs(self.right)


@dataclass(frozen=True)
class Column:
    """A frame on which the curves of some regions have keys.

    kind: one of KINDS, what the pose is there for.  pose: its number; both ends of a closure or a hold are one pose, and a
    breakdown between poses is none (−1).
    """

    index: int
    kind: str
    pose: int


def poses_in(columns: Sequence[Column]) -> int:
    """How many poses columns make, breakdowns between them not counted."""
    return len({column.pose for column in columns} - {-1})


@dataclass(frozen=True)
class Poses:
    """What a motion comes to as poses.

    curves: keys of each channel, None where it never moves.  columns: for each entry of TOGETHER its frames, ascending.
    off: the most that any point is off, in units of what is allowed, errors of channels added up.
    """

    curves: tuple[PoseKeys | None, ...]
    columns: tuple[tuple[Column, ...], ...]
    off: float

    @property
    def count(self) -> int:
        """Number of keys in all."""
        return sum(len(curve) for curve in self.curves if curve is not None)

    @property
    def frames(self) -> np.ndarray:
        """Indices of all frames that carry a key of any curve."""
        used = [curve.index for curve in self.curves if curve is not None]
        return np.unique(np.concatenate(used)) if used else np.zeros(0, int)


@dataclass(frozen=True)
class Measure:
    """What values of channels come to in millimetres, and how far off they may be.

    pull [C, P, 3]: millimetres that a unit of each channel moves each point.  allowed [P]: millimetres a point may be off.
    gap [C]: millimetres that a unit of each channel opens the lips.
    """

    pull: np.ndarray
    allowed: np.ndarray
    gap: np.ndarray

    def flat(self, chosen: np.ndarray) -> np.ndarray:
        """[chosen, 3 (P + 1)]: displacement of the points that these channels move, in units of what is allowed; the last
        is the lips' gap in mm. Single precision, as it is what takes the time."""
        scaled = self.pull[chosen] / self.allowed[:, None]
        most = np.linalg.norm(scaled, axis=2).max(0)
        scaled = scaled[:, most > 0.01 * most.max()]
        gap = np.zeros((len(scaled), 1, 3))
        gap[:, 0, 0] = self.gap[chosen]
        return np.concatenate([scaled, gap], 1).reshape(len(scaled), -1).astype(np.float32)


def _off(error: np.ndarray, strict: np.ndarray) -> np.ndarray:
    """How far off each sample is, [N], from displacements [N, 3 (P + 1)]; 1 is just allowed.

    strict [N]: 1 / mm of what the lips' gap may be off at each sample, 0 where lips are apart.
    """
    by_point = error.reshape(len(error), -1, 3)
    far = np.sqrt(np.einsum("npi,npi->np", by_point[:, :-1], by_point[:, :-1]).max(1))
    return np.maximum(far, np.abs(by_point[:, -1, 0]) * strict)


# ---- which frames


def _segments(
    curves: np.ndarray, flat: np.ndarray, strict: np.ndarray, slack: np.ndarray, longest: int
) -> Generator[float, None, np.ndarray]:
    """How far off a segment between each two frames is at best, its ends as they are; at last [longest + 1, T].

    Row l, column i: of the segment from frame i to frame i + l. Slopes at both ends are the best that keep every curve
    within its ends' range.
    """
    step = SAMPLES // 2  # two samples of a frame tell as much, in single precision too
    curves, strict = curves[::step].astype(np.float32), strict[::step]
    frames = (len(curves) - 1) // 2 + 1
    cost = np.full((longest + 1, frames), np.inf)
    cost[1] = 0.0
    for length in range(2, min(longest, frames - 1) + 1):
        count = 2 * length
        a, b, c, d = hermite(np.arange(1, count) / count)
        a, b = a.astype(np.float32), b.astype(np.float32)
        slopes = 3 * np.stack([c, d], 1).astype(np.float32)  # of slopes in units of a third of the segment
        gram = slopes.T @ slopes
        windows = np.lib.stride_tricks.sliding_window_view(curves, count + 1, axis=0)[::2]  # [T - l, C, samples]
        closed = np.lib.stride_tricks.sliding_window_view(strict, count + 1)[::2]
        rows = max(1, 400_000 // (count * flat.shape[1]))
        for start in range(0, len(windows), rows):
            part = windows[start : start + rows]
            first, last = part[..., 0], part[..., -1]
            left = part[..., 1:-1] - a * first[..., None] - b * last[..., None]
            low, high = np.minimum(last - first, 0) - slack, np.maximum(last - first, 0) + slack
            p, q = np.moveaxis(left @ slopes, -1, 0)
            into = np.zeros_like(p)
            for _ in range(3):
                out = np.clip((p - gram[0, 1] * into) / gram[0, 0], low, high)
                into = np.clip((q - gram[0, 1] * out) / gram[1, 1], low, high)
            left -= out[..., None] * slopes[:, 0] + into[..., None] * slopes[:, 1]
            off = np.moveaxis(left, 1, 2).reshape(-1, left.shape[1]) @ flat
            off = _off(off, closed[start : start + rows, 1:-1].ravel())
            cost[length, start : start + len(part)] = off.reshape(len(part), -1).max(1)
            yield length / longest
    return cost


def _cheapest(cost: np.ndarray, price: np.ndarray, first: int, last: int, tolerance: float) -> Generator[float, None, list[int]]:
    """Returns the cheapest frames from first to last (both among them) between which no segment is off by more than the tolerance."""
    longest = len(cost) - 1
    best, back = {first: 0.0}, {}
    for end in range(first + 1, last + 1):
        if (end - first) % 200 == 0:
            yield (end - first) / (last - first)
        least, source = np.inf, end - 1
        for start in range(max(first, end - longest), end):
            off = cost[end - start, start]
            if off <= tolerance or end - start == 1:
                total = best[start] + price[end] + 0.02 * off  # of two ways that cost the same the nearer
                if total < least:
                    least, source = total, start
        best[end], back[end] = least, source
    frames = [last]
    while frames[-1] > first:
        frames.append(back[frames[-1]])
    return frames[::-1]


def _holds(curves: np.ndarray, flat: np.ndarray) -> Generator[float, None, list[tuple[int, int]]]:
    """Returns the stretches of frames (first, last) in which nothing of a region moves by more than `_STILL`."""
    places = (curves[::SAMPLES] @ flat.astype(float))[:, :-3].reshape(len(curves[::SAMPLES]), -1, 3)
    found, first = [], 0
    low = high = places[0]
    for frame in range(1, len(places) + 1):
        if frame % 200 == 0:
            yield frame / len(places)
        if frame < len(places):
            lower, higher = np.minimum(low, places[frame]), np.maximum(high, places[frame])
            if np.linalg.norm(higher - lower, axis=1).max() <= _STILL:
                low, high = lower, higher
                continue
        if frame - 1 - first >= _SHORTEST_HOLD:
            found.append((first, frame - 1))
        # A run that ends may share its last frames with the next one: go back as far as they agree.
        if frame < len(places):
            first = frame
            low = high = places[frame]
            while first > (found[-1][1] + 1 if found else 0):
                lower, higher = np.minimum(low, places[first - 1]), np.maximum(high, places[first - 1])
                if np.linalg.norm(higher - lower, axis=1).max() > _STILL:
                    break
                first, low, high = first - 1, lower, higher
    return found


def _on_used(hold: tuple[int, int], used: set[int]) -> tuple[int, int]:
    """A hold that begins and ends on frames that have keys already, if it gets shorter by a few frames only."""
    first, last = hold
    later = next((frame for frame in range(first, min(first + _SNAP, last - 1) + 1) if frame in used), first)
    earlier = next((frame for frame in range(last, max(last - _SNAP, later + 1) - 1, -1) if frame in used), last)
    return later, earlier


def _extremes(curves: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Frames on which a region's largest movements turn back."""
    values = curves[::SAMPLES] - curves[::SAMPLES].mean(0)
    moved = flat[:, :-3].astype(float)
    # Principal movements of the points, found among the channels: there are far fewer of these.
    size, turn = np.linalg.eigh(moved @ moved.T)
    root = (turn * np.sqrt(np.maximum(size, 0.0))) @ turn.T
    _, axes = np.linalg.eigh(root @ (values.T @ values) @ root)
    found = [np.array([0, len(values) - 1])]
    for axis in axes.T[:-4:-1]:
        shape = np.linalg.lstsq(root, axis, rcond=1e-6)[0] @ moved  # the axis as displacements of points
        most = np.linalg.norm(shape.reshape(-1, 3), axis=1).max()
        found.append(turning_points(values @ root @ axis * most, _EXTREME_MOVE))
    return np.unique(np.concatenate(found))


# ---- values and slopes on chosen frames


def _within(wanted: np.ndarray, slack: np.ndarray) -> np.ndarray:
    """The nearest segments (change of value, slopes at both ends in units of a third, [3, …]) that keep within their ends' range."""
    both = np.stack([wanted, -wanted])  # as they rise and as they fall
    d, slopes = both[:, 0], both[:, 1:]
    more, less = slopes.max(1) - slack, slopes.min(1) - slack
    near = np.where(more > d, (d + more) / 2, d)
    near = np.where((more > d) & (less > near), (d + more + less) / 3, near)
    near = np.maximum(near, 0.0)
    result = np.concatenate([near[:, None], np.minimum(np.maximum(slopes, -slack), (near + slack)[:, None])], 1)
    far = np.square(result - both).sum(1)
    return np.where(far[0] <= far[1], result[0], -result[1])


@dataclass(frozen=True)
class _Fitted:
    """Values [n, C] on n frames, slopes out of and into each segment [n − 1, C] in units of a third of it, how far off [N]."""

    value: np.ndarray
    out: np.ndarray
    into: np.ndarray
    off: np.ndarray


def _bounded(value, out, into, slack, low, high):
    """Slopes so that no curve leaves the range of its segments' ends by more than slack, nor low … high."""
    change = np.diff(value, axis=0)
    up = change >= 0
    sign = np.where(up, 1.0, -1.0)
    behind = np.where(up, value[:-1] - low, high - value[:-1]) / _BULGE
    ahead = np.where(up, high - value[1:], value[1:] - low) / _BULGE
    behind, ahead = (np.minimum(slack, np.maximum(room, 0.0)) for room in (behind, ahead))
    size = np.abs(change)
    return sign * np.clip(sign * out, -behind, size + ahead), sign * np.clip(sign * into, -ahead, size + behind)


def _fit(
    curves: np.ndarray,
    keys: np.ndarray,
    level: tuple[bool, bool],
    flat: np.ndarray,
    strict: np.ndarray,
    slack: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    last_try: bool = False,
) -> Generator[float, None, _Fitted]:
    """Values and slopes on keys [n] (frames of this piece) nearest to curves [N, C] at their worst sample.

    The outer keys keep the curves' values.  level: whether the curves leave the first key and reach the last level.  slack
    [n − 1, C] in units of a third.  last_try: nothing is asked but whether it comes within what is allowed.  Alternating direction
    method of multipliers (Boyd et al. 2011), least squares reweighted towards the worst sample (Lawson 1961).
    """
    count, parts = len(keys), len(keys) - 1
    time = np.arange(len(curves)) / SAMPLES
    k = np.clip(np.searchsorted(keys, time, side="right") - 1, 0, parts - 1)
    h = np.diff(keys).astype(float)
    a, b, c, d = hermite((time - keys[k]) / h[k])
    rows = np.arange(len(curves))
    basis = np.zeros((len(curves), count + 2 * parts))
    basis[rows, k] += a
    basis[rows, k + 1] += b
    basis[rows, count + k] += 3 * c
    basis[rows, count + parts + k] += 3 * d
    each = np.arange(parts)
    limits = np.zeros((3 * parts, count + 2 * parts))
    limits[each, each], limits[each, each + 1] = -1, 1
    limits[parts + each, count + each] = limits[2 * parts + each, count + parts + each] = 1
    kinks = np.zeros((max(parts - 1, 0), count + 2 * parts))
    inner = np.arange(parts - 1)
    kinks[inner, count + parts + inner], kinks[inner, count + inner + 1] = 1, -h[:-1] / h[1:]
    scale = np.maximum(high - low, _LEAST)
    wanted, slack_scaled = curves / scale, slack / scale
    is_free = np.ones(count + 2 * parts, bool)
    is_free[[0, count - 1]] = False
    is_free[[count, -1]] = np.logical_not(level)
    free = np.flatnonzero(is_free)
    fixed = np.zeros((count + 2 * parts, curves.shape[1]))
    fixed[0], fixed[count - 1] = wanted[0], wanted[-1]
    wanted = wanted - basis @ fixed
    still = limits @ fixed
    basis_free, limits_free, kinks_free = basis[:, free], limits[:, free], kinks[:, free]
    weight, penalty = np.ones(len(curves)), _PENALTY * SAMPLES
    smooth = _ALIGNED * SAMPLES * kinks_free.T @ kinks_free + 1e-6 * np.eye(len(free))
    best, x, dual = None, None, 0.0
    for turn in range(_REWEIGHTED):
        weighted = basis_free.T * weight
        normal = weighted @ basis_free + smooth
        right = weighted @ wanted
        if x is None:
            x = np.linalg.solve(normal, right)
        inverse = np.linalg.inv(normal + penalty * (limits_free.T @ limits_free))
        for _ in range(_ITERATIONS):
            raw = limits_free @ x + still + dual
            near = _within(raw.reshape(3, parts, -1), slack_scaled).reshape(raw.shape)
            before, dual = dual, raw - near
            x = inverse @ (right + penalty * (limits_free.T @ (near - dual - still)))
            if np.abs(dual - before).max() < _SETTLED:
                break
        whole = fixed.copy()
        whole[free] += x
        value = np.clip(whole[:count] * scale, low, high)
        value[0], value[-1] = curves[0], curves[-1]
        out, into = _bounded(value, whole[count : count + parts] * scale, whole[count + parts :] * scale, slack, low, high)
        yield turn / _REWEIGHTED
        apart = (basis @ np.concatenate([value, out, into]) - curves).astype(np.float32)
        off = np.empty(len(apart))
        for start in range(0, len(apart), _ROWS):
            some = slice(start, start + _ROWS)
            off[some] = _off(apart[some] @ flat, strict[some])
            yield (turn + min(1.0, (start + _ROWS) / len(apart))) / _REWEIGHTED
        if best is None or off.max() < best.off.max():
            best = _Fitted(value, out, into, off)
        worst = best.off.max()
        if worst <= (1.0 if last_try else _GOOD) or (last_try and worst > _BETTERED[turn]):
            break
        weight = weight * (off / max(off.max(), _LEAST) + 0.03)
        weight /= weight.mean()
    return best


# ---- a region's frames and keys


@dataclass(frozen=True)
class _Region:
    """What the regions that are keyed together come to.

    curves [S, C] of their channels that move; flat [C, 3 (P + 1)]; strict [S]; slack, low, high [C].
    """

    curves: np.ndarray
    flat: np.ndarray
    strict: np.ndarray
    slack: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @cached_property
    def level_ends(self) -> tuple[bool, bool]:
        """Whether the curves begin and end level."""
        rises = np.stack([self.curves[1] - self.curves[0], self.curves[-1] - self.curves[-2]]) * SAMPLES
        begins, ends = (_off(rises @ self.flat, np.zeros(2)) < _BEGINS_LEVEL).tolist()
        return begins, ends

    def fit(self, keys: list[int], level: set[int], last_try: bool = False) -> Generator[float, None, _Fitted]:
        """The best values and slopes on frames `keys`, of which the outer ones keep their values.

        level: closed frames, beside which no curve may leave the range of its keys.  last_try: see _fit.
        """
        first, last = keys[0], keys[-1]
        rows = slice(first * SAMPLES, last * SAMPLES + 1)
        near = np.array([a in level or b in level for a, b in zip(keys[:-1], keys[1:])])
        slack = np.where(near[:, None], 0.0, self.slack)
        begins, ends = self.level_ends
        flat_ends = begins and first == 0, ends and rows.stop == len(self.curves)
        return _fit(
            self.curves[rows], np.array(keys) - first, flat_ends, self.flat, self.strict[rows], slack, self.low, self.high, last_try
        )


def _more(keys: list[int], off: np.ndarray) -> set[int]:
    """Further frames for keys between which samples are too far off, one for each stretch."""
    local = np.array(keys) - keys[0]
    segment = np.clip(np.searchsorted(local, np.arange(len(off)) / SAMPLES, side="right") - 1, 0, len(keys) - 2)
    found = set()
    for wrong in np.unique(segment[off > 1.0]):
        worst = np.where(segment == wrong, off, 0.0).argmax() / SAMPLES
        for beside in (wrong, wrong - 1, wrong + 1):
            if 0 <= beside < len(local) - 1 and local[beside + 1] - local[beside] > 1:
                found.add(int(np.clip(round(worst), local[beside] + 1, local[beside + 1] - 1)) + keys[0])
                break
    return found


def _piece(
    region: _Region, cost: np.ndarray, price: np.ndarray, first: int, last: int, level: set[int]
) -> Generator[float, None, tuple[list[int], _Fitted]]:
    """Returns keys from frame first to last, whose values stay as they are, and their fit: as few as the error allows."""
    keys = yield from _cheapest(cost, price, first, last, _FIRST_TOLERANCE)
    if len(keys) > _MOST_KEYS:
        middle = keys[len(keys) // 2]
        parts = []
        for start, end in ((first, middle), (middle, last)):
            parts.append((yield from _piece(region, cost, price, start, end, level)))
        (keys, one), (more, other) = parts
        return keys + more[1:], _Fitted(
            np.concatenate([one.value, other.value[1:]]),
            np.concatenate([one.out, other.out]),
            np.concatenate([one.into, other.into]),
            np.concatenate([one.off, other.off[1:]]),
        )
    fitted = yield from region.fit(keys, level)
    for _ in range(_ADDING):
        if fitted.off.max() <= 1.0:
            break
        wanted = sorted({*keys, *_more(keys, fitted.off)})
        if len(wanted) == len(keys):
            break
        keys, fitted = wanted, (yield from region.fit(wanted, level))
    for turn in range(_REMOVING):
        before = len(keys)
        for key in sorted(keys[1:-1], key=lambda frame: -price[frame]):
            if key not in keys:
                continue
            place = keys.index(key)
            a, b = keys[place - 1], keys[place + 1]
            if b - a >= len(cost) or cost[b - a, a] > _HOPELESS:
                continue
            fewer = [frame for frame in keys if frame != key]
            tries = [fewer]
            if turn:  # and with the key before or after it moved towards the gap
                tries += [sorted({*fewer, to} - {frame}) for frame, to in ((a, a + 1), (b, b - 1)) if frame not in (first, last)]
            for wanted in tries:
                if len(wanted) != len(fewer):
                    continue
                found = yield from region.fit(wanted, level, last_try=True)
                if found.off.max() <= 1.0:
                    keys, fitted = wanted, found
                    break
        if turn and len(keys) == before:
            break
    return keys, fitted


class _Curve:
    """Keys of one channel of a region while some are taken away: frames, values, slopes out of and into segments (thirds)."""

    def __init__(self, frames: list[int], value: np.ndarray, out: np.ndarray, into: np.ndarray):
        self.frames, self.value, self.out, self.into = list(frames), list(value), list(out), list(into)

    def segment(self, place: int) -> np.ndarray:
        """Samples of the curve from key `place` to the next, both included."""
        a, b, slopes, _ = _of_length((self.frames[place + 1] - self.frames[place]) * SAMPLES + 1)
        return a * self.value[place] + b * self.value[place + 1] + slopes @ (self.out[place], self.into[place])

    def samples(self) -> np.ndarray:
        """The whole curve."""
        return np.concatenate([*(self.segment(place)[:-1] for place in range(len(self.frames) - 1)), self.value[-1:]])

    def keys(self) -> PoseKeys:
        """As a curve's keys, level at both ends."""
        gaps = np.diff(self.frames) / 3
        right, left = np.append(np.array(self.out) / gaps, 0.0), np.append(0.0, np.array(self.into) / gaps)
        return PoseKeys(np.array(self.frames), np.array(self.value, float), left, right)


@lru_cache(maxsize=256)
def _of_length(count: int):
    """Of a segment of so many samples: what its ends' values add, what its slopes (in thirds) add, their normal matrix."""
    a, b, c, d = hermite(np.arange(count) / (count - 1))
    slopes = 3 * np.stack([c, d], 1)
    return a, b, slopes, (slopes.T @ slopes).tolist()


def _slopes(
    wanted: np.ndarray, start: float, end: float, slack: float, low: float, high: float, level: tuple[bool, bool]
) -> tuple[float, float]:
    """Slopes, in thirds, of the segment from start to end nearest to samples wanted [N] that keeps within its range. It holds
    where both are one value. level: whether it leaves and arrives level."""
    if start == end:
        return 0.0, 0.0
    a, b, slopes, ((g, e), (_, f)) = _of_length(len(wanted))
    p, q = ((wanted - a * start - b * end) @ slopes).tolist()
    out, into = (p * f - q * e) / (g * f - e * e), (q * g - p * e) / (g * f - e * e)
    (least_out, most_out), (least_into, most_into) = _slope_limits(start, end, slack, low, high)
    if level[0]:
        out = least_out = most_out = 0.0
    if level[1]:
        into = least_into = most_into = 0.0
    for _ in range(3):
        out = min(max(out, least_out), most_out)
        into = min(max((q - e * out) / f, least_into), most_into)
        out = min(max((p - e * into) / g, least_out), most_out)
    return out, into


def _slope_limits(start: float, end: float, slack: float, low: float, high: float):
    """Least and most slope out of and into a segment, in thirds: `_bounded` for one."""
    up = end >= start
    behind, ahead = (start - low, high - end) if up else (high - start, end - low)
    behind, ahead = (min(slack, max(room, 0.0) / _BULGE) for room in (behind, ahead))
    size = abs(end - start)
    return ((-behind, size + ahead), (-ahead, size + behind)) if up else ((-size - ahead, behind), (-size - behind, ahead))


class _Thinning:
    """A region's curves, and how far off everything is while their keys change."""

    def __init__(self, region: _Region, curves: list[_Curve], level: set[int]):
        self.region, self.curves = region, curves
        closed = np.zeros(len(region.curves) // SAMPLES + 1, int)
        closed[list(level)] = 1
        self.closed_before = np.append(0, np.cumsum(closed)).tolist()
        self.strength = np.linalg.norm(region.flat.reshape(len(region.flat), -1, 3)[:, :-1], axis=2).max(1)
        self.apart = np.empty((len(region.curves), region.flat.shape[1]), np.float32)
        self.off = np.empty(len(region.curves))
        self.shown = np.empty(region.curves.shape)

    def measure(self) -> Generator[float, None, None]:
        """Find how far off the curves are as they stand."""
        for channel, curve in enumerate(self.curves):
            self.shown[:, channel] = curve.samples()
            yield 0.5 * (channel + 1) / len(self.curves)
        for start in range(0, len(self.shown), _ROWS):
            rows = slice(start, start + _ROWS)
            self.apart[rows] = (self.shown[rows] - self.region.curves[rows]).astype(np.float32) @ self.region.flat
            self.off[rows] = _off(self.apart[rows], self.region.strict[rows])
            yield 0.5 + 0.5 * min(1.0, (start + _ROWS) / len(self.shown))

    def slack(self, channel: int, first: int, last: int) -> float:
        """How far a channel may leave the range of its keys on these frames."""
        touched = self.closed_before[last + 1] > self.closed_before[first]
        return 0.0 if touched else float(self.region.slack[channel])

    def try_keys(
        self,
        channel: int,
        start: int,
        end: int,
        frames: list[int],
        value: list[float],
        worth: float,
        slopes: tuple[list[float], list[float]] | None = None,
    ) -> bool:
        """Put other keys in place of those from number start to end, if that makes nothing worse by more than `worth`.

        slopes: out of and into each segment, in thirds; the best ones if none are given.
        """
        curve, region = self.curves[channel], self.region
        first, last = frames[0], frames[-1]
        rows = slice(first * SAMPLES, last * SAMPLES + 1)
        low, high = region.low[channel], region.high[channel]
        if slopes is None:
            begins, ends = region.level_ends
            pairs = [
                _slopes(
                    region.curves[a * SAMPLES : b * SAMPLES + 1, channel],
                    v,
                    w,
                    self.slack(channel, a, b),
                    low,
                    high,
                    (begins and a == 0, ends and b == curve.frames[-1]),
                )
                for a, b, v, w in zip(frames[:-1], frames[1:], value[:-1], value[1:])
            ]
            slopes = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        new = _Curve(frames, value, *slopes)
        samples = new.samples()
        change = (samples - self.shown[rows, channel]).astype(np.float32)
        worst = int(np.abs(change).argmax())
        for some in (slice(first * SAMPLES + worst, first * SAMPLES + worst + 1), rows):  # where it changes most tells enough, mostly
            here = change[worst : worst + 1] if some is not rows else change
            apart = self.apart[some] + here[:, None] * region.flat[channel]
            off, before = _off(apart, region.strict[some]), self.off[some]
            if (off > np.maximum(1.0, before)).any() or (off - before).max() > worth:
                return False
        self.apart[rows], self.off[rows], self.shown[rows, channel] = apart, off, samples
        curve.frames[start : end + 1], curve.value[start : end + 1] = new.frames, new.value
        curve.out[start:end], curve.into[start:end] = new.out, new.into
        return True

    def even_out(self, channel: int, holds: list[tuple[int, int]]) -> Generator[float, None, None]:
        """Give neighbouring keys that hardly differ one value: the curve holds there. The outer keys keep theirs. Within holds of
        the region they may differ by more."""
        curve, near = self.curves[channel], _LEVEL / max(self.strength[channel], _LEAST)
        start, final = 0, len(curve.frames) - 1
        while start < final:
            hold = next((hold for hold in holds if hold[0] <= curve.frames[start] < hold[1]), (0, -1))
            end = start
            while end < final and (one := abs(curve.value[end + 1] - curve.value[start])) < near * (
                1 if curve.frames[end + 1] > hold[1] else _STILL / _LEVEL
            ):
                end += 1
            if end > start and (start > 0 or end < final or one == 0.0):
                a, b = max(start - 1, 0), min(end + 1, final)
                same = curve.value[end if end == final else start]
                value = curve.value[a:start] + [same] * (end - start + 1) + curve.value[end + 1 : b + 1]
                self.try_keys(channel, a, b, curve.frames[a : b + 1], value, np.inf)
                yield end / final
            start = end + 1 if end > start else start + 1

    def settle(self, channel: int) -> None:
        """Bound slopes by the range the curve moves through now: fewer keys may have made that smaller."""
        curve, before = self.curves[channel], self.region.slack[channel]
        slack = before * np.ptp(curve.value) / max(self.region.high[channel] - self.region.low[channel], _LEAST)
        for place in range(len(curve.frames) - 1):
            room = min(slack, self.slack(channel, *curve.frames[place : place + 2]))
            out, into = _slope_limits(*curve.value[place : place + 2], room, self.region.low[channel], self.region.high[channel])
            curve.out[place] = min(max(curve.out[place], out[0]), out[1])
            curve.into[place] = min(max(curve.into[place], into[0]), into[1])

    def thin(self, channel: int, worth: float) -> Generator[float, None, None]:
        """Take away the keys a curve can do without."""
        curve, place = self.curves[channel], 1
        while place < len(curve.frames) - 1:
            frames, value = [[part[place - 1], part[place + 1]] for part in (curve.frames, curve.value)]
            if not self.try_keys(channel, place - 1, place + 1, frames, value, worth):
                place += 1
            yield min(1.0, place / len(curve.frames))

    def align(self, channel: int) -> Generator[float, None, None]:
        """Let curves pass through keys without a kink where the error allows it."""
        curve, region = self.curves[channel], self.region
        for place in range(1, len(curve.frames) - 1):
            before, after = (curve.frames[i + 1] - curve.frames[i] for i in (place - 1, place))
            left, right = curve.into[place - 1] / before, curve.out[place] / after
            if left == right:
                continue
            three = slice(place - 1, place + 2)
            frames, value = curve.frames[three], curve.value[three]
            holds = curve.value[place] in (curve.value[place - 1], curve.value[place + 1])
            slope = 0.0 if holds else (left * after + right * before) / (before + after)  # the shorter side counts more
            room = (region.low[channel], region.high[channel])
            _, (least_before, most_before) = _slope_limits(*value[:2], self.slack(channel, *frames[:2]), *room)
            slope = min(max(slope, least_before / before), most_before / before)
            (least, most), _ = _slope_limits(*value[1:], self.slack(channel, *frames[1:]), *room)
            slope = min(max(slope, least / after), most / after)
            if least_before > slope * before or slope * before > most_before:
                continue
            self.try_keys(
                channel,
                place - 1,
                place + 1,
                frames,
                value,
                _KINK_WORTH,
                ([curve.out[place - 1], slope * after], [slope * before, curve.into[place]]),
            )
            yield place / len(curve.frames)


def _columns(
    region: _Region, closed: np.ndarray, used: set[int]
) -> Generator[float, None, tuple[tuple[Column, ...], list[PoseKeys], float]]:
    """Choose the key frames of a region. Returns its columns, its curves' keys and how far off they are, in parts of what is
    allowed."""
    frames = (len(region.curves) - 1) // SAMPLES + 1
    cost = yield from scaled(_segments(region.curves, region.flat, region.strict, region.slack, _LONGEST), 0.0, 0.3)
    extremes = set(_extremes(region.curves, region.flat).tolist())
    holds = yield from scaled(_holds(region.curves, region.flat), 0.3, 0.3)
    holds = [_on_used(hold, used) for hold in holds]
    runs = [(int(run[0]), int(run[-1])) for run in np.split(closed, np.flatnonzero(np.diff(closed) > 1) + 1) if len(run)]
    level = {frame for run in runs for frame in run}
    price = np.ones(frames)
    price[sorted(extremes)] = _EXTREME
    price[sorted(used)] *= _USED
    pins = sorted({0, frames - 1, *level, *(frame for hold in holds for frame in hold)})
    keys, value, out, into = [0], [region.curves[0]], [], []
    for first, last in zip(pins[:-1], pins[1:]):
        done = 0.3 + 0.5 * first / frames
        more, fitted = yield from scaled(_piece(region, cost, price, first, last, level), done, done)
        keys += more[1:]
        value += list(fitted.value[1:])
        out += list(fitted.out)
        into += list(fitted.into)
    value, out, into = (np.array(part).reshape(-1, region.curves.shape[1]) for part in (value, out, into))
    curves = [_Curve(keys, value[:, c].tolist(), out[:, c].tolist(), into[:, c].tolist()) for c in range(value.shape[1])]
    thinning = _Thinning(region, curves, level)
    yield from scaled(thinning.measure(), 0.8, 0.8)
    order = np.argsort(thinning.strength * np.ptp(region.curves, axis=0))
    for number, channel in enumerate(order):
        yield from scaled(thinning.even_out(channel, holds), 0.8 + 0.05 * number / len(order), 0.8 + 0.05 * (number + 1) / len(order))
    for turn, worth in enumerate(_THINNED):
        for number, channel in enumerate(order):
            start, end = ((turn + part / len(order)) / len(_THINNED) for part in (number, number + 1))
            yield from scaled(thinning.thin(channel, worth), 0.85 + 0.1 * start, 0.85 + 0.1 * end)
    for number, channel in enumerate(order):
        yield from scaled(thinning.align(channel), 0.95 + 0.05 * number / len(order), 0.95 + 0.05 * (number + 1) / len(order))
        thinning.settle(channel)
    yield from scaled(thinning.measure(), 1.0, 1.0)
    used_frames = np.unique(np.concatenate([curve.frames for curve in curves]))
    return _kinds(used_frames, runs, holds, sorted(extremes)), [curve.keys() for curve in curves], float(thinning.off.max())


def _kinds(frames: np.ndarray, closures: list[tuple[int, int]], holds: list[tuple[int, int]], extremes: list[int]) -> tuple[Column, ...]:
    """What each key frame is there for. Extremes that follow each other within `_ONE_POSE` frames are one pose, on the key frame
    nearest to the middle one of them, if that is near."""
    kind = {frame: ("BREAKDOWN", -1) for frame in frames.tolist()}
    together: list[list[int]] = []
    for extreme in extremes:
        if together and extreme - together[-1][0] <= _ONE_POSE:
            together[-1].append(extreme)
        else:
            together.append([extreme])
    number = 0
    for one in together:
        middle = one[len(one) // 2]
        nearest = int(frames[np.abs(frames - middle).argmin()])
        if abs(nearest - middle) <= _ONE_POSE:
            kind[nearest], number = ("EXTREME", number), number + 1
    for pairs, name in ((holds, "HOLD"), (closures, "CLOSURE")):
        for pair in pairs:
            kind |= {frame: (name, number) for frame in pair if frame in kind}
            number += 1
    return tuple(Column(frame, *kind[frame]) for frame in sorted(kind))


def _met(gap: np.ndarray, closed_mm: float) -> np.ndarray:
    """Which samples lie on frames where lips meet, or between two such frames."""
    closed = gap[::SAMPLES] < closed_mm
    between = np.repeat(closed[:-1] & closed[1:], SAMPLES)
    met = np.append(between, False)
    met[::SAMPLES] |= closed
    return met


def fit(
    curves: np.ndarray, regions: Sequence[str], measure: Measure, gap: np.ndarray, closed_mm: float, closed_off: float
) -> Generator[float, None, Poses]:
    """Turn curves [S, C] into poses. Returns the Poses.

    S = (T − 1) · SAMPLES + 1 samples of T frames.  regions [C]: one of REGIONS for each channel.  gap [S]: the lips' gap in
    mm; lips nearer than closed_mm meet, and there the gap is off by closed_off mm at most.
    """
    curves = np.asarray(curves, float)
    frames = (len(curves) - 1) // SAMPLES + 1
    low, high = curves.min(0), curves.max(0)
    # A frame on which lips just meet leaves hardly any room; a part of that stays for what adding channels up in lines misses.
    strict = np.where(_met(gap, closed_mm), 1.0 / np.clip(_ROOM * (closed_mm - gap), 0.03 * closed_off, closed_off), 0.0)
    strength = np.linalg.norm(measure.pull / measure.allowed[:, None], axis=2).max(1)
    most = np.linalg.norm(measure.pull, axis=2).max(1)
    moves = ((high - low) * strength > _STILL / 4) & ((high - low) * most > UNSEEN_MM)
    found: list[PoseKeys | None] = [None] * curves.shape[1]
    all_columns, used, off = [], set(), 0.0
    for number, together in enumerate(TOGETHER):
        chosen = np.flatnonzero([moving and region in together for moving, region in zip(moves, regions)])
        if not len(chosen) or frames < 2:
            all_columns.append(())
            continue
        mouth = "Mouth" in together
        region = _Region(
            curves[:, chosen],
            measure.flat(chosen),
            strict if mouth else np.zeros(len(curves)),
            SLACK * (high - low)[chosen] / _BULGE,
            low[chosen],
            high[chosen],
        )
        closed = np.flatnonzero(gap[::SAMPLES] < closed_mm) if mouth else np.zeros(0, int)
        rest = 0.2 / (len(TOGETHER) - 1)
        start, end = (0.0, 0.8) if mouth else (0.8 + rest * (number - 1), 0.8 + rest * number)
        columns, keys, worst = yield from scaled(_columns(region, closed, used), start, end)
        all_columns.append(columns)
        used |= {column.index for column in columns}
        off = max(off, worst)
        for channel, one in zip(chosen, keys):
            found[channel] = one if np.ptp(one.value) > 0 else None
    return Poses(tuple(found), tuple(all_columns), off)
