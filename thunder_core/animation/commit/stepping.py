# SPDX-License-Identifier: GPL-3.0-or-later
"""Commits on twos or threes: poses that are held for some frames, each the most important pose of
those frames."""

from collections.abc import Generator, Sequence
from dataclasses import replace

import numpy as np

from ...face.moving import displacement
from ...filters import split_at_gaps
from ...grid import Grid
from ...progress import rescale
from ...types import BLINKS, CLOSED_MM, in_group
from .. import poses, posing
from ..keys import PoseKeys, SAMPLES
from .before import CommittedTake, StateBefore, UNMOVED

_UNSEEN = 0.1  # share of the error below which a change of one curve is not keyed


def with_even_leads(take: CommittedTake, grid: Grid) -> CommittedTake:
    """A take whose leads begin and end on the grid; they grow by a few frames of rest."""
    first, last = take.first - take.lead_in, take.last + take.lead_out
    return replace(
        take, lead_in=take.lead_in + grid.since(first), lead_out=take.lead_out + grid.until(last)
    )


# ---- the poses


def hold(
    before: StateBefore, frames: np.ndarray, values: np.ndarray, step: int
) -> Generator[float, None, np.ndarray]:
    """Returns values [S, tracks] at times_of(frames) with each pose held for `step` frames.

    Of these frames the mouth takes its closure, else its widest or narrowest opening where that
    turns, and the eyes their blink; everything else is taken from the middle.
    """
    every = 1 if before.meter.driver.is_slow else SAMPLES  # samples measured per frame
    measured = values[:: SAMPLES // every]
    gap, lids = (
        yield from displacement.in_pieces(
            len(measured), lambda rows: _gap_and_lids(before, measured[rows])
        )
    ).T
    count, length = (len(frames) - 1) // step + 1, step * every
    middle = np.minimum(np.arange(count) * length + length // 2, len(measured) - 1)
    middle[-1] = len(measured) - 1
    mouth, eyes = _turns(gap, middle, length), middle.copy()
    for chosen, peaks in ((mouth, _peaks(-gap, -CLOSED_MM)), (eyes, _peaks(lids, posing.BLINK))):
        chosen[peaks // length] = peaks
    held, windows = np.empty_like(values), np.arange(len(values)) // (step * SAMPLES)
    for place, region in enumerate(before.regions):
        chosen = mouth if region in poses.TOGETHER[0] else eyes if region == "Eyes" else middle
        held[:, place] = values[chosen[windows] * (SAMPLES // every), place]
    return held


def _gap_and_lids(before: StateBefore, values: np.ndarray) -> np.ndarray:
    """Gap of the lips, mm, and closing of the lids, 0 … 1, that values [T, tracks] show, [T, 2]."""
    motion, face = before.meter.read(values), displacement.face_meter()
    lids = motion.expression[:, in_group(before.meter.channels, BLINKS)].mean(axis=1)
    return np.stack([face.gap(face.points(motion)), lids], axis=1)


def _peaks(values: np.ndarray, least: float) -> np.ndarray:
    """The sample with the largest value of each run of values [S] above the least."""
    return np.array(
        [run[values[run].argmax()] for run in split_at_gaps(np.flatnonzero(values > least))], int
    )


def _turns(gap: np.ndarray, middle: np.ndarray, length: int) -> np.ndarray:
    """Of each window of `length` samples the one with the widest or narrowest gap where the gap
    turns there, else its middle."""
    windows = np.pad(gap, (0, len(middle) * length - len(gap)), mode="edge").reshape(
        len(middle), length
    )
    chosen = middle.copy()
    for sign in (-1, 1):
        most = np.pad((sign * windows).max(axis=1), 1, mode="edge")
        turning = np.flatnonzero((most[1:-1] > most[:-2]) & (most[1:-1] >= most[2:]))
        chosen[turning] = np.minimum(
            turning * length + (sign * windows[turning]).argmax(axis=1), len(gap) - 1
        )
    return chosen


# ---- the keys


def fit(
    before: StateBefore,
    frames: np.ndarray,
    held: np.ndarray,
    moved: np.ndarray,
    step: int,
    error: float,
) -> Generator[float, None, posing.PoseFit]:
    """Key held poses [S, tracks]. Returns the PoseFit, its keys to be constant.

    moved [tracks]: those that get keys.  error: as of `CommitChoice`. A region keeps its pose while
    the next one is within the error; a curve has no key where it would not be seen. Closed lips and
    blinks always have their keys.
    """
    meter, values = before.meter, held[:: step * SAMPLES]
    pull, per_unit = yield from rescale(meter.pulls(), 0.0, 0.5)
    marks = yield from rescale(
        displacement.in_pieces(len(values), lambda rows: _gap_and_lids(before, values[rows])),
        0.5,
        1.0,
    )
    closed, shut = marks[:, 0] < CLOSED_MM, marks[:, 1] >= posing.BLINK
    curves: list[PoseKeys | None] = [None] * len(moved)
    columns = []
    for together in poses.TOGETHER:
        places = [
            place for place in np.flatnonzero(moved).tolist() if before.regions[place] in together
        ]
        forced = closed if "Mouth" in together else shut & ("Eyes" in together)
        chosen = list(range(len(values)))
        if places:
            flat = pull[places].reshape(len(places), -1)
            chosen = _changes(values[:, places], chosen, forced, flat, error * displacement.ALLOWED)
        for place in places:
            unit = np.array([[per_unit[place].max(), 0.0, 0.0]])
            index = np.array(
                _changes(values[:, [place]], chosen, forced, unit, np.array([_UNSEEN * error]))
            )
            if np.ptp(values[index, place]) > UNMOVED:
                curves[place] = PoseKeys(
                    index * step, values[index, place], np.zeros(len(index)), np.zeros(len(index))
                )
        columns.append(
            _columns(chosen if places else [], closed, step) if "Mouth" in together else ()
        )
    return posing.PoseFit(tuple(curves), tuple(columns), None, per_unit)


def _changes(
    values: np.ndarray,
    chosen: Sequence[int],
    forced: np.ndarray,
    flat: np.ndarray,
    limit: np.ndarray,
) -> list[int]:
    """Of the chosen poses among values [K, n] those that differ visibly from the last one so far;
    the first, the last and forced ones too.

    flat [n, 3 P]: millimetres that a unit of each value moves each point.  limit: error allowed at
    all points, or in each group of `group_distances`.
    """
    kept = [chosen[0]]
    for pose in chosen[1:]:
        off = ((values[pose] - values[kept[-1]]) @ flat).reshape(1, -1, 3)
        far = (
            displacement.group_distances(off)[0]
            if len(limit) > 1
            else np.linalg.norm(off, axis=2).max()
        )
        if forced[pose] or pose == chosen[-1] or (far > limit).any():
            kept.append(pose)
    return kept


def _columns(chosen: Sequence[int], closed: np.ndarray, step: int) -> tuple[poses.Column, ...]:
    """The poses of the mouth; neighbours with closed lips are one."""
    columns: list[poses.Column] = []
    for pose in chosen:
        kind = "CLOSURE" if closed[pose] else "EXTREME"
        is_same = bool(columns) and columns[-1].kind == kind == "CLOSURE"
        columns.append(
            poses.Column(pose * step, kind, columns[-1].pose if is_same else len(columns))
        )
    return tuple(columns)
