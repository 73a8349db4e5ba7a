# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns dense curves of a face into poses: keys on frames that all curves of a region share, as an
animator sets them; numpy only.

The mouth (lips, jaw, cheeks, tongue) is keyed on the sounds: where lips close and open again, at
extremes, at both ends of holds, and on as many breakdowns between them as the allowed error needs.
Brows, eyes and head have separate frames, shared with the mouth or each other where the error
allows it; since they do not speak, they may be half a frame early or late. Frames are chosen by
dynamic programming over the longest segments that stay within the error, in millimetres of
displacement; frames that are not needed are then removed. Values and slopes are fitted together, so
that no curve leaves the range of two neighbouring keys by more than `SLACK` of the range it moves
through. A curve has no key on a frame where it needs none.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..face.moving.displacement import UNSEEN_MM
from ..filters import split_at_gaps
from ..progress import in_turn, rescale
from .keys import BULGE, HOLD_SHARE, Measure, PoseKeys, SAMPLES, shift_distances
from .pose_fit import find_extremes, find_holds, find_segments, fit_piece, Region, RegionKeys
from .pose_thinning import ThinnedCurve, Thinning

REGIONS = ("Brows", "Eyes", "Cheeks & Nose", "Mouth", "Jaw", "Tongue", "Head")
# Regions that are keyed on the same frames, the most important first: later ones prefer frames of
# earlier ones.
TOGETHER = (("Mouth", "Jaw", "Cheeks & Nose", "Tongue"), ("Head",), ("Eyes",), ("Brows",))
SLACK = 0.02  # share of a curve's range by which it may leave the range of two neighbouring keys
_LONGEST_SEGMENT = 24  # frames of the longest segment that is not a hold
_ONE_POSE = 2  # frames within which turning points of several curves form one pose
_USED_COST = 0.05  # of a frame that another region uses; any other frame costs 1
_EXTREME_COST = 0.8  # of a frame with an extreme
# shares of the allowed error by which the removal of a key may increase it, one for each round
_THINNING_GROWTH = (0.02, 0.1)
_SHUT_WEIGHT = 5.0  # weight of errors on frames with shut lids
# A frame whose error was too large is weighted by this factor and power of the error.
_MEND_FACTOR, _MEND_POWER = 1.05, 3
_MEND_FRAMES = 2  # frames around such errors that get more weight
_THIN_FRAMES = 3  # frames around them whose keys are thinned again
# summed error at a frame, relative to the allowed one, above which the frame gets exact keys
_EXACT_ABOVE = 0.01
# frames by which a frame without keys of the region must be nearer than one with keys to be chosen
_NEW_FRAME_HANDICAP = 0.75
_GAP_SHARE = 0.8  # share of the remaining distance to the gap at which lips count as apart


@dataclass(frozen=True)
class Column:
    """A frame on which the curves of some regions have keys.

    kind: CLOSURE, HOLD, EXTREME or BREAKDOWN, the purpose of the pose.  pose: its number; both ends
    of a closure or a hold are one pose, and a breakdown between poses is none (−1).
    """

    index: int
    kind: str
    pose: int


def poses_in(columns: Sequence[Column]) -> int:
    """Number of poses in columns, without breakdowns."""
    return len({column.pose for column in columns} - {-1})


@dataclass(frozen=True)
class Poses:
    """A motion as poses.

    curves: keys of each channel, None if it never moves.  columns: for each entry of TOGETHER its
    frames, ascending.
    parts: for each entry of TOGETHER the channels that move, how they are keyed and their thinning;
    None if none moves.
    """

    curves: tuple[PoseKeys | None, ...]
    columns: tuple[tuple[Column, ...], ...]
    parts: list[_Part | None] = field(compare=False, repr=False)

    def mend(
        self, off: np.ndarray, apart: Sequence[int] | np.ndarray = ()
    ) -> Generator[float, None, Poses]:
        """Poses with smaller errors where these exceed the limit. Returns the new poses; do not
        mend the old ones again.

        The regions that are furthest off there get more keys, and errors count more; and the mouth
        where lips are apart. off [S]: error at each sample, in allowed errors; apart: frames on
        which lips should meet but do not; both measured by the caller.
        """
        of_part: dict[int, list[np.ndarray]] = (
            {0: []} if len(apart) and self.parts[0] is not None else {}
        )
        for stretch in split_at_gaps(np.flatnonzero(off > 1.0), SAMPLES):
            worst = stretch[off[stretch].argmax()]
            far = {
                place: part[2].off[worst]
                for place, part in enumerate(self.parts)
                if part is not None
            }
            of_part.setdefault(max(far, key=far.get), []).append(stretch)
        mends = [
            _mend(*self.parts[place][1:], off, some, apart if place == 0 else ())
            for place, some in of_part.items()
        ]
        yield from in_turn(mends, 0.0, 1.0)
        return _current_poses(len(self.curves), self.parts)


@dataclass
class _PosePlan:
    """The key frames of regions that are keyed together, while they are chosen.

    columns: frames with values and slopes.  level: closed frames.  stay: frames that keep a key.
    closures, holds: their first and last frames.  extremes: frames on which the largest movements
    turn.
    """

    region: Region
    columns: RegionKeys
    level: set[int]
    stay: set[int]
    closures: list[tuple[int, int]]
    holds: list[tuple[int, int]]
    extremes: list[int]


_Part = tuple[np.ndarray, _PosePlan, Thinning]  # channels, how they are keyed, their curves


def _plan(region: Region, closed: np.ndarray, used: set[int]) -> Generator[float, None, _PosePlan]:
    """Choose the key frames of a region, preferring those that are used already. Returns the
    plan."""
    frames = (len(region.curves) - 1) // SAMPLES + 1
    cost = yield from rescale(
        find_segments(region.curves, region.flat, region.weight, region.slack, _LONGEST_SEGMENT),
        0.0,
        0.12,
    )
    extremes = set(find_extremes(region.curves, region.flat).tolist())
    holds = find_holds(region.curves, region.flat)
    closures = [(int(run[0]), int(run[-1])) for run in split_at_gaps(closed)]
    level = set(closed.tolist())
    ends = {0, frames - 1, *(frame for closure in closures for frame in closure)}
    price = np.ones(frames)
    price[sorted(extremes)] = _EXTREME_COST
    price[sorted(used)] *= _USED_COST
    stay = ends | {frame for hold in holds for frame in hold}
    pins = sorted(stay)
    keys, value, out, into = [0], [region.curves[0]], [], []
    for first, last in zip(pins[:-1], pins[1:]):
        done = 0.12 + 0.13 * first / frames
        more, fitted = yield from rescale(
            fit_piece(region, cost, price, first, last, level), done, done
        )
        keys += more[1:]
        value += list(fitted.value[1:])
        out += list(fitted.out)
        into += list(fitted.into)
    columns = RegionKeys(keys, value, out, into)
    yield from rescale(columns.remove_spare(region, cost, price, level, stay), 0.25, 0.83)
    yield from rescale(columns.snap(region, used, level, ends), 0.83, 1.0)
    return _PosePlan(region, columns, level, stay, closures, holds, sorted(extremes))


def _current_poses(count: int, parts: list[_Part | None]) -> Poses:
    """The poses of `count` channels as they are keyed now."""
    curves: list[PoseKeys | None] = [None] * count
    columns: list[tuple[Column, ...]] = []
    for part in parts:
        if part is None:
            columns.append(())
            continue
        channels, plan, thinning = part
        used_frames = np.unique(np.concatenate([curve.frames for curve in thinning.curves]))
        columns.append(_kinds(used_frames, plan.closures, plan.holds, plan.extremes))
        for channel, curve in zip(channels, thinning.curves):
            keys = curve.keys()
            curves[channel] = keys if np.ptp(keys.value) > 0 else None
    return Poses(tuple(curves), tuple(columns), parts)


def _mend(
    plan: _PosePlan,
    thinning: Thinning,
    off: np.ndarray,
    stretches: list[np.ndarray],
    apart: Sequence[int],
) -> Generator[float, None, None]:
    """Give the curves of a region exact keys on one more frame of each stretch of samples, and thin
    them again around it; and exact keys that stay on the frames `apart`. Yields progress."""
    region, curves = thinning.region, thinning.curves
    frames = (len(off) - 1) // SAMPLES + 1
    more, near = np.ones(len(off)), np.zeros(frames, bool)
    used = set().union(*(curve.frames for curve in curves))
    for stretch in stretches:
        for sample in stretch:
            around = slice(
                max(sample - _MEND_FRAMES * SAMPLES, 0), sample + _MEND_FRAMES * SAMPLES + 1
            )
            more[around] = np.maximum(more[around], _MEND_FACTOR * off[sample] ** _MEND_POWER)
        middle = stretch[off[stretch].argmax()] / SAMPLES
        near[max(round(middle) - _THIN_FRAMES, 0) : round(middle) + _THIN_FRAMES + 1] = True
        for frame in sorted(
            range(
                max(round(middle) - _MEND_FRAMES, 1),
                min(round(middle) + _MEND_FRAMES, frames - 2) + 1,
            ),
            key=lambda frame: abs(frame - middle) + (0.0 if frame in used else _NEW_FRAME_HANDICAP),
        ):
            if (thinning.errors_on(frame) * thinning.strength).sum() > _EXACT_ABOVE:
                yield from thinning.set_keys(frame)
                break
    for frame in apart:
        if 0 < frame < frames - 1:
            yield from thinning.set_keys(frame)
    near[list(apart)] = False
    region.weight[:, :-1] *= more[:, None]
    yield from rescale(thinning.measure(), 0.2, 0.3)
    order = _least_seen_first(thinning)
    yield from in_turn(
        [thinning.thin(channel, growth, near) for channel in order for growth in _THINNING_GROWTH],
        0.3,
        0.8,
    )
    ends = [
        step
        for channel in order
        for step in (thinning.join(channel, plan.stay, near), thinning.align(channel, near))
    ]
    yield from in_turn(ends, 0.8, 0.9)
    yield from rescale(thinning.measure(), 0.9, 1.0)


def _least_seen_first(thinning: Thinning) -> np.ndarray:
    """Channels of a region in order of how far they move anything."""
    return np.argsort(thinning.strength * np.ptp(thinning.region.curves, axis=0))


def _key_curves(plan: _PosePlan) -> Generator[float, None, Thinning]:
    """Give each curve the keys it needs of those that are planned. Returns the thinning."""
    region, columns = plan.region, plan.columns
    value, out, into = (
        np.array(part).reshape(-1, region.curves.shape[1])
        for part in (columns.value, columns.out, columns.into)
    )
    curves = [
        ThinnedCurve(columns.keys, value[:, c].tolist(), out[:, c].tolist(), into[:, c].tolist())
        for c in range(value.shape[1])
    ]
    thinning = Thinning(region, curves, plan.level)
    yield from rescale(thinning.measure(), 0.0, 0.0)
    order = _least_seen_first(thinning)
    yield from in_turn([thinning.even_out(channel) for channel in order], 0.0, 0.25)
    yield from in_turn(
        [thinning.thin(channel, growth) for growth in _THINNING_GROWTH for channel in order],
        0.25,
        0.75,
    )
    yield from in_turn([thinning.join(channel, plan.stay) for channel in order], 0.75, 0.75)
    yield from in_turn([thinning.align(channel) for channel in order], 0.75, 1.0)
    yield from rescale(thinning.measure(), 1.0, 1.0)
    return thinning


def _kinds(
    frames: np.ndarray,
    closures: list[tuple[int, int]],
    holds: list[tuple[int, int]],
    extremes: list[int],
) -> tuple[Column, ...]:
    """The purpose of each key frame. Extremes that follow each other within `_ONE_POSE` frames are
    one pose, on the key frame nearest to the middle one of them, if that is near."""
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


def _where_lips_meet(gap: np.ndarray, closed_mm: float) -> np.ndarray:
    """True for samples on frames where lips meet, or between two such frames."""
    closed = gap[::SAMPLES] < closed_mm
    met = np.append(np.repeat(closed[:-1] & closed[1:], SAMPLES), False)
    met[::SAMPLES] |= closed
    return met


def _weight(curves: np.ndarray, flat: np.ndarray, shut: np.ndarray) -> np.ndarray:
    """Weight of errors of points that do not speak, [S, P + 1]: less where they move, so that they
    may be slightly early or late, and more on the frames `shut`."""
    places = (curves @ flat.astype(float)).reshape(len(curves), -1, 3)
    weight = 1.0 / (1.0 + shift_distances(places))
    weight[shut * SAMPLES] = _SHUT_WEIGHT
    weight[:, -1] = 0.0
    return weight


def fit(
    curves: np.ndarray,
    regions: Sequence[str],
    measure: Measure,
    gap: np.ndarray,
    closed_mm: float,
    closed_off: float,
    shut: np.ndarray | None = None,
) -> Generator[float, None, Poses]:
    """Turn curves [S, C] into poses. Returns the Poses.

    S = (T − 1) · SAMPLES + 1 samples of T frames.  regions [C]: one of REGIONS for each channel.
    gap [S]: the lips' gap in mm; lips nearer than closed_mm meet, and there the gap's error is at
    most closed_off mm.  shut: frames on which lids are shut furthest, where only a part of the
    usual error is allowed.
    """
    curves = np.asarray(curves, float)
    frames = (len(curves) - 1) // SAMPLES + 1
    low, high = curves.min(0), curves.max(0)
    # On a frame where lips just meet, hardly any error is allowed; part of it is reserved for the
    # error of summing channels linearly.
    strict = np.where(
        _where_lips_meet(gap, closed_mm),
        1.0 / np.clip(_GAP_SHARE * (closed_mm - gap), 0.03 * closed_off, closed_off),
        0.0,
    )
    strength = np.linalg.norm(measure.pull / measure.allowed[:, None], axis=2).max(1)
    most = np.linalg.norm(measure.pull, axis=2).max(1)
    moves = ((high - low) * strength > HOLD_SHARE / 4) & ((high - low) * most > UNSEEN_MM)
    parts: list[_Part | None] = []
    used: set[int] = set()
    progress = [0.0, *np.linspace(0.87, 1.0, len(TOGETHER))]  # most of it is the mouth's
    for number, together in enumerate(TOGETHER):
        chosen = np.flatnonzero(
            [moving and region in together for moving, region in zip(moves, regions)]
        )
        if not len(chosen) or frames < 2:
            parts.append(None)
            continue
        mouth = "Mouth" in together
        flat = measure.flat(chosen)
        if mouth:
            weight = np.stack([np.ones(len(curves)), strict], 1)
        else:
            weight = _weight(
                curves[:, chosen],
                flat,
                shut if shut is not None and "Eyes" in together else np.zeros(0, int),
            )
        region = Region(
            curves[:, chosen],
            flat,
            weight,
            SLACK * (high - low)[chosen] / BULGE,
            low[chosen],
            high[chosen],
        )
        closed = np.flatnonzero(gap[::SAMPLES] < closed_mm) if mouth else np.zeros(0, int)
        plan, thinning = yield from rescale(
            _fit_region(region, closed, used), *progress[number : number + 2]
        )
        parts.append((chosen, plan, thinning))
        used |= set(plan.columns.keys)
    return _current_poses(curves.shape[1], parts)


def _fit_region(
    region: Region, closed: np.ndarray, used: set[int]
) -> Generator[float, None, tuple[_PosePlan, Thinning]]:
    """Returns the plan of a region, which prefers frames that are used already, and its curves."""
    plan = yield from rescale(_plan(region, closed, used), 0.0, 0.61)
    return plan, (yield from rescale(_key_curves(plan), 0.61, 1.0))
