# SPDX-License-Identifier: GPL-3.0-or-later
"""The key frames of a region: values and slopes on them that come nearest to its curves; as few
frames as the error allows."""

from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..filters import hermite, slices, split_at_gaps
from ..progress import rescale
from .keys import BULGE, HOLD_SHARE, LEAST, relative_error, ROWS, SAMPLES, turning_points

# ---- which frames get keys

_SHORTEST_HOLD = 5  # frames
_EXTREME_MOVE = 2.0  # movement, in allowed errors, after which a turning point is an extreme


def find_segments(
    curves: np.ndarray, flat: np.ndarray, weight: np.ndarray, slack: np.ndarray, longest: int
) -> Generator[float, None, np.ndarray]:
    """Returns the least error of a segment between any two frames with fixed ends: [longest + 1,
    T].

    Row l, column i: of the segment from frame i to frame i + l. Slopes at both ends are the best
    that keep every curve within its ends' range.
    """
    step = SAMPLES // 2  # two samples per frame suffice, also in single precision
    curves, weight = curves[::step].astype(np.float32), weight[::step]
    frames = (len(curves) - 1) // 2 + 1
    cost = np.full((longest + 1, frames), np.inf)
    cost[1] = 0.0
    for length in range(2, min(longest, frames - 1) + 1):
        count = 2 * length
        a, b, c, d = hermite(np.arange(1, count) / count)
        a, b = a.astype(np.float32), b.astype(np.float32)
        # for slopes in units of a third of the segment
        slopes = 3 * np.stack([c, d], 1).astype(np.float32)
        gram = slopes.T @ slopes
        # [T - l, C, samples]
        windows = np.lib.stride_tricks.sliding_window_view(curves, count + 1, axis=0)[::2]
        # [T - l, P + 1 or 2, samples]
        weights = np.lib.stride_tricks.sliding_window_view(weight, count + 1, axis=0)[::2]
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
            off = relative_error(
                off,
                np.moveaxis(weights[start : start + rows, :, 1:-1], 1, 2).reshape(
                    -1, weight.shape[1]
                ),
            )
            cost[length, start : start + len(part)] = off.reshape(len(part), -1).max(1)
            yield length / longest
    return cost


def cheapest_path(
    cost: np.ndarray, price: np.ndarray, first: int, last: int, tolerance: float
) -> Generator[float, None, list[int]]:
    """Returns the cheapest frames from first to last (both among them) between which no segment is
    off by more than the tolerance."""
    longest = len(cost) - 1
    best, back = {first: 0.0}, {}
    for end in range(first + 1, last + 1):
        if (end - first) % 200 == 0:
            yield (end - first) / (last - first)
        least, source = np.inf, end - 1
        for start in range(max(first, end - longest), end):
            off = cost[end - start, start]
            if off <= tolerance or end - start == 1:
                # of two paths with the same cost the nearer one
                total = best[start] + price[end] + 0.02 * off
                if total < least:
                    least, source = total, start
        best[end], back[end] = least, source
    frames = [last]
    while frames[-1] > first:
        frames.append(back[frames[-1]])
    return frames[::-1]


def find_holds(curves: np.ndarray, flat: np.ndarray) -> list[tuple[int, int]]:
    """The stretches of frames (first, last) in which nothing of a region moves visibly from frame
    to frame."""
    places = (curves[::SAMPLES] @ flat.astype(float))[:, :-3]
    steps = np.diff(places, axis=0).reshape(len(places) - 1, -1, 3)
    still = np.flatnonzero(np.linalg.norm(steps, axis=2).max(1) <= HOLD_SHARE / _SHORTEST_HOLD)
    return [
        (int(run[0]), int(run[-1]) + 1)
        for run in split_at_gaps(still)
        if len(run) >= _SHORTEST_HOLD
    ]


def find_extremes(curves: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Frames on which a region's largest movements turn back."""
    values = curves[::SAMPLES] - curves[::SAMPLES].mean(0)
    moved = flat[:, :-3].astype(float)
    # Principal movements of the points, found among the channels: there are far fewer of these.
    size, turn = np.linalg.eigh(moved @ moved.T)
    root = (turn * np.sqrt(np.maximum(size, 0.0))) @ turn.T
    _, axes = np.linalg.eigh(root @ (values.T @ values) @ root)
    frames = [np.array([0, len(values) - 1])]
    for axis in axes.T[:-4:-1]:
        # the axis as displacements of points
        shape = np.linalg.lstsq(root, axis, rcond=1e-6)[0] @ moved
        most = np.linalg.norm(shape.reshape(-1, 3), axis=1).max()
        frames.append(turning_points(values @ root @ axis * most, _EXTREME_MOVE))
    return np.unique(np.concatenate(frames))


# ---- values and slopes on them

_REWEIGHTING_ROUNDS = 10
_ITERATIONS = 15  # of the solver, in each of these rounds
_PENALTY = 0.3  # of the solver
# multiples of the allowed error above which another round does not help, for each round
_HOPELESS_AFTER = (2.0, 1.8, 1.6, 1.4, 1.3, 1.2, 1.15, 1.1, 1.05, 0.0)
_GOOD = 0.9  # share of the allowed error at which a fit is good enough
_SETTLED = 1e-3  # share of a curve's range: a fit has settled once values and slopes change by less
_ALIGNED = 0.02  # penalty for a kink at a key
# most keys fitted at once; a longer curve is split at a middle key that keeps its value
_MOST_KEYS = 16
# factor of the allowed error before values are fitted, since fitting reduces the error
_FIRST_TOLERANCE = 1.3
_ADDING_ROUNDS = 10  # that add keys to a piece
_SPARING_ROUNDS = 3  # that remove key frames of a region
# factor of the allowed error above which no fit of a few keys around a removed one can help
_SPARE_HOPELESS = 2.0
_BEGINS_LEVEL = 0.25  # share of the allowed error per frame: slower curves start or end level
_REFITTED_AROUND = 3  # keys on either side of a removed one whose values are refitted
_SNAP = 3  # distance that a key may move to a frame already in use, frames
# shifts of the keys before and after towards the gap, frames
_MOVES = ((0, 0), (1, 0), (0, 1), (1, 1))


def _nearest_segments(wanted: np.ndarray, slack: np.ndarray) -> np.ndarray:
    """The nearest segments (change of value, slopes at both ends in units of a third, [3, …]) that
    keep within their ends' range."""
    both = np.stack([wanted, -wanted])  # as they rise and as they fall
    d, slopes = both[:, 0], both[:, 1:]
    # twice the nearest change if only the steeper slope limits it
    twice = d + slopes.max(1) - slack
    near = np.maximum(
        np.maximum(d, twice / 2), np.maximum((twice + slopes.min(1) - slack) / 3, 0.0)
    )
    bounded = np.minimum(np.maximum(slopes, -slack), (near + slack)[:, None])
    far = np.square(near - d) + np.square(bounded - slopes).sum(1)
    rises, falls = (np.concatenate([change[None], steep]) for change, steep in zip(near, bounded))
    return np.where(far[0] <= far[1], rises, -falls)


@dataclass(frozen=True)
class Fitted:
    """Values [n, C] on n frames, slopes out of and into each segment [n − 1, C] in units of a third
    of it, how far off [N]."""

    value: np.ndarray
    out: np.ndarray
    into: np.ndarray
    off: np.ndarray


def bound_slopes(value, out, into, slack, low, high):
    """Slopes bounded so that no curve leaves the range of its segments' ends by more than slack, or
    the range low … high."""
    change = np.diff(value, axis=0)
    up = change >= 0
    sign = np.where(up, 1.0, -1.0)
    behind = np.where(up, value[:-1] - low, high - value[:-1]) / BULGE
    ahead = np.where(up, high - value[1:], value[1:] - low) / BULGE
    behind, ahead = (np.minimum(slack, np.maximum(distance, 0.0)) for distance in (behind, ahead))
    size = np.abs(change)
    return sign * np.clip(sign * out, -behind, size + ahead), sign * np.clip(
        sign * into, -ahead, size + behind
    )


def _matrices(samples: int, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matrices to multiply with values at keys [n] and slopes out of and into the segments between
    them: basis [samples, 3n − 2] gives the curve, limits [3n − 3, 3n − 2] each segment's change of
    value and slopes, and the last [n − 2, 3n − 2] the kinks at inner keys."""
    count, parts = len(keys), len(keys) - 1
    time = np.arange(samples) / SAMPLES
    k = np.clip(np.searchsorted(keys, time, side="right") - 1, 0, parts - 1)
    h = np.diff(keys).astype(float)
    a, b, c, d = hermite((time - keys[k]) / h[k])
    rows = np.arange(samples)
    basis = np.zeros((samples, count + 2 * parts))
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
    return basis, limits, kinks


def fit_values(
    curves: np.ndarray,
    keys: np.ndarray,
    level: tuple[bool, bool],
    flat: np.ndarray,
    weight: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray, np.ndarray],
    last_try: bool = False,
    ends: np.ndarray | None = None,
) -> Generator[float, None, Fitted]:
    """Values and slopes on keys [n] (frames of this piece) nearest to curves [N, C] at their worst
    sample.

    level: whether the curves leave the first key and reach the last level.  weight: see
    relative_error.  bounds: slack [n − 1, C] in units of a third, lowest and highest value [C].
    last_try: only whether it meets the allowed error matters.  ends [2, C]: values of the outer
    keys; None: the curves'.  Alternating direction method of multipliers (Boyd et al. 2011), least
    squares reweighted towards the worst sample (Lawson 1961).
    """
    count, parts = len(keys), len(keys) - 1
    slack, low, high = bounds
    ends = curves[[0, -1]] if ends is None else ends
    basis, limits, kinks = _matrices(len(curves), keys)
    scale = np.maximum(high - low, LEAST)
    wanted, slack_scaled = curves / scale, slack / scale
    is_free = np.ones(count + 2 * parts, bool)
    is_free[[0, count - 1]] = False
    is_free[[count, -1]] = np.logical_not(level)
    free = np.flatnonzero(is_free)
    fixed = np.zeros((count + 2 * parts, curves.shape[1]))
    fixed[[0, count - 1]] = ends / scale
    wanted = wanted - basis @ fixed
    still = limits @ fixed
    basis_free, limits_free, kinks_free = basis[:, free], limits[:, free], kinks[:, free]
    attention, penalty = np.ones(len(curves)), _PENALTY * SAMPLES
    smooth = _ALIGNED * SAMPLES * kinks_free.T @ kinks_free + 1e-6 * np.eye(len(free))
    best, x, dual = None, None, 0.0
    for turn in range(_REWEIGHTING_ROUNDS):
        weighted = basis_free.T * attention
        normal = weighted @ basis_free + smooth
        right = weighted @ wanted
        if x is None:
            x = np.linalg.solve(normal, right)
        inverse = np.linalg.inv(normal + penalty * (limits_free.T @ limits_free))
        for _ in range(_ITERATIONS):
            raw = limits_free @ x + still + dual
            near = _nearest_segments(raw.reshape(3, parts, -1), slack_scaled).reshape(raw.shape)
            before, dual = dual, raw - near
            x = inverse @ (right + penalty * (limits_free.T @ (near - dual - still)))
            if np.abs(dual - before).max() < _SETTLED:
                break
        whole = fixed.copy()
        whole[free] += x
        value = np.clip(whole[:count] * scale, low, high)
        value[[0, -1]] = ends
        out, into = bound_slopes(
            value,
            whole[count : count + parts] * scale,
            whole[count + parts :] * scale,
            slack,
            low,
            high,
        )
        yield turn / _REWEIGHTING_ROUNDS
        error = (basis @ np.concatenate([value, out, into]) - curves).astype(np.float32)
        off = np.empty(len(error))
        for some in slices(len(error), ROWS):
            off[some] = relative_error(error[some] @ flat, weight[some])
            yield (turn + min(1.0, some.stop / len(error))) / _REWEIGHTING_ROUNDS
        if best is None or off.max() < best.off.max():
            best = Fitted(value, out, into, off)
        worst = best.off.max()
        if worst <= (1.0 if last_try else _GOOD) or (last_try and worst > _HOPELESS_AFTER[turn]):
            break
        attention = attention * (off / max(off.max(), LEAST) + 0.03)
        attention /= attention.mean()
    return best


@dataclass(frozen=True)
class Region:
    """The curves of regions that are keyed together, and their limits.

    curves [S, C] of their channels that move; flat [C, 3 (P + 1)]; weight: see relative_error;
    slack, low, high [C].
    """

    curves: np.ndarray
    flat: np.ndarray
    weight: np.ndarray
    slack: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @cached_property
    def level_ends(self) -> tuple[bool, bool]:
        """Whether the curves begin and end level."""
        rises = (
            np.stack([self.curves[1] - self.curves[0], self.curves[-1] - self.curves[-2]]) * SAMPLES
        )
        begins, ends = (
            relative_error(rises @ self.flat, np.array([[1.0, 0.0]] * 2)) < _BEGINS_LEVEL
        ).tolist()
        return begins, ends

    def fit(
        self,
        keys: list[int],
        level: set[int],
        last_try: bool = False,
        ends: np.ndarray | None = None,
    ) -> Generator[float, None, Fitted]:
        """The best values and slopes on frames `keys`, of which the outer ones keep their values.

        level: closed frames, beside which no curve may leave the range of its keys.  last_try,
        ends: see fit_values.
        """
        first, last = keys[0], keys[-1]
        rows = slice(first * SAMPLES, last * SAMPLES + 1)
        near = np.array([a in level or b in level for a, b in zip(keys[:-1], keys[1:])])
        slack = np.where(near[:, None], 0.0, self.slack)
        begins_level, ends_level = self.level_ends
        flat_ends = begins_level and first == 0, ends_level and rows.stop == len(self.curves)
        bounds = slack, self.low, self.high
        return (
            yield from fit_values(
                self.curves[rows],
                np.array(keys) - first,
                flat_ends,
                self.flat,
                self.weight[rows],
                bounds,
                last_try,
                ends,
            )
        )


def _more(keys: list[int], off: np.ndarray) -> set[int]:
    """Further frames for keys between which samples are too far off, one for each stretch."""
    local = np.array(keys) - keys[0]
    segment = np.clip(
        np.searchsorted(local, np.arange(len(off)) / SAMPLES, side="right") - 1, 0, len(keys) - 2
    )
    added = set()
    for wrong in np.unique(segment[off > 1.0]):
        worst = np.where(segment == wrong, off, 0.0).argmax() / SAMPLES
        for beside in (wrong, wrong - 1, wrong + 1):
            if 0 <= beside < len(local) - 1 and local[beside + 1] - local[beside] > 1:
                added.add(
                    int(np.clip(round(worst), local[beside] + 1, local[beside + 1] - 1)) + keys[0]
                )
                break
    return added


def fit_piece(
    region: Region, cost: np.ndarray, price: np.ndarray, first: int, last: int, level: set[int]
) -> Generator[float, None, tuple[list[int], Fitted]]:
    """Returns keys from frame first to last, whose values are kept, and their fit within the
    error."""
    keys = yield from cheapest_path(cost, price, first, last, _FIRST_TOLERANCE)
    if len(keys) > _MOST_KEYS:
        middle = keys[len(keys) // 2]
        parts = []
        for start, end in ((first, middle), (middle, last)):
            parts.append((yield from fit_piece(region, cost, price, start, end, level)))
        (keys, first_fit), (more, second_fit) = parts
        return keys + more[1:], Fitted(
            np.concatenate([first_fit.value, second_fit.value[1:]]),
            np.concatenate([first_fit.out, second_fit.out]),
            np.concatenate([first_fit.into, second_fit.into]),
            np.concatenate([first_fit.off, second_fit.off[1:]]),
        )
    fitted = yield from region.fit(keys, level)
    for _ in range(_ADDING_ROUNDS):
        if fitted.off.max() <= 1.0:
            break
        wanted = sorted({*keys, *_more(keys, fitted.off)})
        if len(wanted) == len(keys):
            break
        keys, fitted = wanted, (yield from region.fit(wanted, level))
    return keys, fitted


class RegionKeys:
    """Key frames of a region, and the values and slopes of its curves there.

    keys: n frames.  value: n rows [C].  out, into: n − 1 rows [C], slopes out of and into each
    segment in thirds.
    """

    def __init__(self, keys: list[int], value: np.ndarray, out: np.ndarray, into: np.ndarray):
        self.keys, self.value, self.out, self.into = list(keys), list(value), list(out), list(into)

    def remove_spare(
        self, region: Region, cost: np.ndarray, price: np.ndarray, level: set[int], stay: set[int]
    ) -> Generator[float, None, None]:
        """Remove as many key frames as the allowed error permits, the most expensive first. Yields
        progress.

        cost: see find_segments.  price [T] of a key on each frame.  level: closed frames.  stay:
        frames that keep their keys.
        """
        for turn in range(_SPARING_ROUNDS):
            before = len(self.keys)
            order = sorted(set(self.keys) - stay, key=lambda frame: -price[frame])
            for number, frame in enumerate(order):
                yield (done := (turn + number / len(order)) / _SPARING_ROUNDS)
                if frame in self.keys:
                    yield from rescale(
                        self._remove(
                            region, cost, level, stay, frame, _MOVES if turn else _MOVES[:1]
                        ),
                        done,
                        done,
                    )
            if turn and len(self.keys) == before:
                return

    def snap(
        self, region: Region, used: set[int], level: set[int], stay: set[int]
    ) -> Generator[float, None, None]:
        """Move key frames to nearby frames that are used already, where the allowed error permits.
        Yields progress."""
        unused = sorted(set(self.keys) - used - stay)
        for number, frame in enumerate(unused):
            yield (done := number / len(unused))
            place = self.keys.index(frame)
            for target in sorted(
                used.intersection(range(frame - _SNAP, frame + _SNAP + 1)),
                key=lambda to: abs(to - frame),
            ):
                if self.keys[place - 1] < target < self.keys[place + 1]:
                    part = slice(max(place - _REFITTED_AROUND, 0), place + _REFITTED_AROUND + 1)
                    moved = [target if key == frame else key for key in self.keys[part]]
                    if (yield from rescale(self._replace(region, level, part, moved), done, done)):
                        break

    def _replace(
        self, region: Region, level: set[int], part: slice, frames: list[int]
    ) -> Generator[float, None, bool]:
        """Replace the frames of a part of the keys, whose outer values stay, if the curves then
        meet the allowed error. Returns whether they did."""
        first, last = part.start, min(part.stop, len(self.keys)) - 1
        fitted = yield from region.fit(
            frames, level, True, np.stack([self.value[first], self.value[last]])
        )
        if fitted.off.max() > 1.0:
            return False
        self.keys[first : last + 1], self.value[first : last + 1] = frames, list(fitted.value)
        self.out[first:last], self.into[first:last] = list(fitted.out), list(fitted.into)
        return True

    def _remove(
        self,
        region: Region,
        cost: np.ndarray,
        level: set[int],
        stay: set[int],
        frame: int,
        moves: tuple,
    ) -> Generator[float, None, None]:
        """Remove a key frame if the curves around it come within the allowed error without it.
        Yields progress."""
        place = self.keys.index(frame)
        before, after = self.keys[place - 1], self.keys[place + 1]
        part = slice(max(place - _REFITTED_AROUND, 0), place + _REFITTED_AROUND + 1)
        keys = self.keys[part]
        outer = {keys[0], keys[-1]} | stay
        for earlier, later in moves:
            a, b = before + earlier, after - later
            stays = (earlier and before in outer) or (later and after in outer)
            if stays or not 0 < b - a < len(cost) or cost[b - a, a] > _SPARE_HOPELESS:
                continue
            moved = {before: a, after: b}
            if (
                yield from self._replace(
                    region, level, part, [moved.get(key, key) for key in keys if key != frame]
                )
            ):
                return
