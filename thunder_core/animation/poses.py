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

import numpy as np

from ..face.displacement import UNSEEN_MM
from ..progress import scaled
from .pose_frames import find_extremes, find_holds, find_segments, snap_to_used
from .pose_keys import BULGE, Measure, PoseKeys, SAMPLES, STILL
from .pose_thinning import Curve, fit_piece, Region, Thinning

REGIONS = ("Brows", "Eyes", "Cheeks & Nose", "Mouth", "Jaw", "Tongue", "Head")
# Regions that are keyed on the same frames, the most important first: later ones prefer frames of earlier ones.
TOGETHER = (("Mouth", "Jaw", "Cheeks & Nose", "Tongue"), ("Head",), ("Eyes",), ("Brows",))
KINDS = ("CLOSURE", "HOLD", "EXTREME", "BREAKDOWN")
SLACK = 0.02  # of the range a curve moves through, by which it may leave the range of two neighbouring keys
_LONGEST = 24  # frames of a segment that is no hold
_ONE_POSE = 2  # frames within which several movements turn in one pose
_USED, _EXTREME = 0.05, 0.8  # price of a frame that another region uses, of an extreme; any other costs 1
_THINNED = (0.02, 0.1)  # of the allowed error that a key may be worth which its curve then does without, one round each
_GAP_SHARE = 0.8  # of what is left until lips count as apart


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


def _columns(
    region: Region, closed: np.ndarray, used: set[int]
) -> Generator[float, None, tuple[tuple[Column, ...], list[PoseKeys], float]]:
    """Choose the key frames of a region. Returns its columns, its curves' keys and how far off they are, in parts of what is
    allowed."""
    frames = (len(region.curves) - 1) // SAMPLES + 1
    cost = yield from scaled(find_segments(region.curves, region.flat, region.strict, region.slack, _LONGEST), 0.0, 0.3)
    extremes = set(find_extremes(region.curves, region.flat).tolist())
    holds = yield from scaled(find_holds(region.curves, region.flat), 0.3, 0.3)
    holds = [snap_to_used(hold, used) for hold in holds]
    runs = [(int(run[0]), int(run[-1])) for run in np.split(closed, np.flatnonzero(np.diff(closed) > 1) + 1) if len(run)]
    level = {frame for run in runs for frame in run}
    price = np.ones(frames)
    price[sorted(extremes)] = _EXTREME
    price[sorted(used)] *= _USED
    pins = sorted({0, frames - 1, *level, *(frame for hold in holds for frame in hold)})
    keys, value, out, into = [0], [region.curves[0]], [], []
    for first, last in zip(pins[:-1], pins[1:]):
        done = 0.3 + 0.5 * first / frames
        more, fitted = yield from scaled(fit_piece(region, cost, price, first, last, level), done, done)
        keys += more[1:]
        value += list(fitted.value[1:])
        out += list(fitted.out)
        into += list(fitted.into)
    value, out, into = (np.array(part).reshape(-1, region.curves.shape[1]) for part in (value, out, into))
    curves = [Curve(keys, value[:, c].tolist(), out[:, c].tolist(), into[:, c].tolist()) for c in range(value.shape[1])]
    thinning = Thinning(region, curves, level)
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
    # On a frame where lips just meet hardly any error is allowed; part of it is reserved for what summing channels linearly misses.
    strict = np.where(_met(gap, closed_mm), 1.0 / np.clip(_GAP_SHARE * (closed_mm - gap), 0.03 * closed_off, closed_off), 0.0)
    strength = np.linalg.norm(measure.pull / measure.allowed[:, None], axis=2).max(1)
    most = np.linalg.norm(measure.pull, axis=2).max(1)
    moves = ((high - low) * strength > STILL / 4) & ((high - low) * most > UNSEEN_MM)
    curve_keys: list[PoseKeys | None] = [None] * curves.shape[1]
    all_columns, used, off = [], set(), 0.0
    for number, together in enumerate(TOGETHER):
        chosen = np.flatnonzero([moving and region in together for moving, region in zip(moves, regions)])
        if not len(chosen) or frames < 2:
            all_columns.append(())
            continue
        mouth = "Mouth" in together
        region = Region(
            curves[:, chosen],
            measure.flat(chosen),
            strict if mouth else np.zeros(len(curves)),
            SLACK * (high - low)[chosen] / BULGE,
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
            curve_keys[channel] = one if np.ptp(one.value) > 0 else None
    return Poses(tuple(curve_keys), tuple(all_columns), off)
