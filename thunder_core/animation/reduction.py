# SPDX-License-Identifier: GPL-3.0-or-later
"""Reduces a rig's values on every frame to few keys, with an error that the animator chooses, in
millimetres at the lips."""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from ..face import displacement
from ..face.lips import CLOSED_MM
from ..filters import split_at_gaps
from ..progress import rescale
from .keys import Keys, reduce, SAMPLES, times_of

_STRIDE = 2  # step through the samples while keys are chosen; the final check uses every sample
_LOOK = 0.5  # share of the worst linear error above which the face itself is measured
# On closed lips, where little errors are visible: share of the allowed error, and its maximum in mm
# (half of TOUCH_MM).
_CLOSED_SHARE, _CLOSED_MM = 1 / 3, 0.15
_SHARE = 0.7  # share of the error that one track alone may use; the sum is measured
_SHRINK = 0.85  # of that share around samples where the sum is too large, in each round
_ROUNDS = 20
_LINEAR = 0.92  # share of the limits while errors are summed linearly over tracks
_TRIES = 12


@dataclass(frozen=True)
class Fit:
    """Reduced keys of every track of a rig, on whole frames.

    keys: one Keys for each track, its index counted in whole frames.  error: millimetres at the
    lips, the most at any part of a frame.
    """

    keys: tuple[Keys, ...]
    error: float


def fit(
    meter: displacement.RigMeter, frames: np.ndarray, values: np.ndarray, error: float
) -> Generator[float, None, Fit]:
    """Reduce a rig's values [S, tracks] at times_of(frames) to keys on whole scene frames [T].
    Returns the Fit.

    error: millimetres that the lips may be off at any of these times.
    """
    yield from rescale(meter.prepare(), 0.0, 0.0)
    slow = meter.driver.is_slow  # lips are then measured on whole frames only
    # samples per frame while keys are chosen; the final check uses all samples
    every = SAMPLES // _STRIDE
    coarse, times = values[::_STRIDE], times_of(frames)
    gap = yield from rescale(meter.lip_gap(coarse[::every] if slow else coarse), 0.0, 0.15)
    if slow:
        gap = np.interp(times[::_STRIDE], frames, gap)
    closed = gap < CLOSED_MM
    meeting = closures(gap[::every])
    pull, per_unit = yield from rescale(meter.pulls(), 0.15, 0.25)
    values = without_noise(values, per_unit)
    coarse = values[::_STRIDE]
    needs = (per_unit / displacement.ALLOWED).max(1) / error
    lips = per_unit[:, 0] * np.ptp(values, axis=0) > 0.02
    limit = _limits(error, closed)
    count_of_tracks = values.shape[1]
    curves: dict[int, Keys] = {}
    reduced = np.empty(coarse.shape)
    # share of the limits that a single track may use at each sample
    share = np.full(len(coarse), _SHARE)
    for attempt in range(_TRIES):
        # of the progress: where this attempt begins, is measured, and ends
        begins, measured, ends = 0.25 + 0.75 * (attempt + np.array([0.0, 0.7, 1.0])) / _TRIES
        for turn in range(_ROUNDS):
            for place in range(count_of_tracks):
                still = 1e-3 * float(np.ptp(values[:, place])) + 1e-6
                allowed = share / needs[place] if needs[place] > 0 else np.full(len(coarse), still)
                exact = np.zeros(0, int)
                if lips[place]:
                    allowed = np.where(closed, allowed * share_at_closed_lips(error), allowed)
                    exact = meeting * every
                curves[place] = reduce(times[::_STRIDE], coarse[:, place], allowed, exact, every)
                reduced[:, place] = curves[place].at(times[::_STRIDE])
                done = begins + (measured - begins) * (turn + place / count_of_tracks) / _ROUNDS
                yield done
            added = yield from rescale(_sum_of_errors(reduced - coarse, pull), done, done)
            wrong = (added / (limit * _LINEAR)).max(1)
            if wrong.max() <= 1.0:
                break
            share[_widen(np.flatnonzero(wrong > 1.0), every, len(share))] *= _SHRINK
        whole = [Keys(keys.index // every, keys.value, keys.slope) for keys in curves.values()]
        measuring = _measure(meter, values, whole, pull, _limits(error, _expand_mask(closed)))
        off, beyond = yield from rescale(measuring, measured, ends)
        if slow or not len(beyond):
            break
        share[_widen(beyond // _STRIDE, every, len(share))] *= (
            _SHRINK  # its error measured on the face is too large
        )
    return Fit(tuple(whole), off)


def without_noise(values: np.ndarray, per_unit: np.ndarray) -> np.ndarray:
    """Values [S, tracks]; tracks whose movement is too small to be seen go straight from the first
    to the last.

    per_unit [tracks, 4]: millimetres that a unit of each moves.
    """
    moved = per_unit.max(1) * np.ptp(values, axis=0)
    line = np.linspace(values[0], values[-1], len(values))
    return np.where((moved > 0) & (moved < displacement.UNSEEN_MM), line, values)


def _expand_mask(closed: np.ndarray) -> np.ndarray:
    """Expand a mask of every _STRIDE-th sample to all samples; samples in between are closed if
    either neighbour is."""
    fine = np.repeat(closed, _STRIDE)[: (len(closed) - 1) * _STRIDE + 1]
    fine[:-1] |= np.repeat(closed[1:], _STRIDE)
    return fine


def _measure(
    meter: displacement.RigMeter,
    values: np.ndarray,
    reduced: list[Keys],
    pull: np.ndarray,
    limit: np.ndarray,
) -> Generator[float, None, tuple[float, np.ndarray]]:
    """Error of keys on whole frames against values [S, tracks]. Returns (largest lip error in mm,
    mask [S, 4] of samples beyond the limits). Errors are summed linearly over tracks; samples near
    the worst are measured on the face, unless that is slow."""
    samples = np.arange(len(values)) / SAMPLES
    off = (
        np.stack(
            [Keys(keys.index * SAMPLES, keys.value, keys.slope).at(samples) for keys in reduced], 1
        )
        - values
    )
    yield 0.0
    added = yield from rescale(_sum_of_errors(off, pull), 0.0, 0.5)
    parts = (added / limit).max(1)
    look = np.flatnonzero(parts >= _LOOK * parts.max())
    if not meter.driver.is_slow:
        measuring = displacement.in_pieces(
            len(look),
            lambda rows: displacement.group_distances(
                meter.displacements(values[look[rows]], off[look[rows]])
            ),
        )
        added[look] = yield from rescale(measuring, 0.5, 1.0)
    return float(added[look, 0].max()), look[(added[look] > limit[look]).any(1)]


def _widen(samples: np.ndarray, every: int, count: int) -> np.ndarray:
    """Samples and all within a frame of them; every: samples in a frame."""
    return np.unique(np.clip(samples[:, None] + np.arange(-every, every + 1), 0, count - 1))


def closures(gap: np.ndarray) -> np.ndarray:
    """The frames that define the closures of a gap [T] in mm: of each the first, the last and the
    closest."""
    closed = split_at_gaps(np.flatnonzero(gap < CLOSED_MM))
    return np.unique(
        np.array(
            [frame for run in closed for frame in (run[0], run[-1], run[gap[run].argmin()])], int
        )
    )


def _sum_of_errors(off: np.ndarray, pull: np.ndarray) -> Generator[float, None, np.ndarray]:
    """Sum of the errors of all tracks [T, tracks], [T, 4] mm."""
    flat = pull.reshape(len(pull), -1)

    def add(rows: slice) -> np.ndarray:
        return displacement.group_distances((off[rows] @ flat).reshape(-1, pull.shape[1], 3))

    return (yield from displacement.in_pieces(len(off), add))


def _limits(error: float, closed: np.ndarray) -> np.ndarray:
    """Millimetres [S, 4] that each group may be off; closed [S]: where lips meet."""
    limit = np.tile(error * displacement.ALLOWED, (len(closed), 1))
    limit[closed, 0] *= share_at_closed_lips(error)
    return limit


def share_at_closed_lips(error: float) -> float:
    """The part of the error, millimetres, that is allowed where lips are closed."""
    return min(_CLOSED_SHARE, _CLOSED_MM / error)
