# SPDX-License-Identifier: GPL-3.0-or-later
"""Reduces a rig's values on every frame to few keys, with an error that the animator chooses, in millimetres at the lips."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np

from ...thunder_core.animation.keys import Keys, reduce
from ...thunder_core.face import displacement
from ...thunder_core.face.lips import CLOSED_MM
from ...thunder_core.progress import scaled
from ...thunder_core.types import Motion
from ..heads import head, rna_paths

SUBFRAMES = 8  # samples per frame at which a take is read and its error measured, for motion blur and retiming
_STRIDE = 2  # step through the samples while keys are chosen; the final check uses every sample
_LOOK = 0.5  # share of the worst linear error above which the face itself is measured
SLICE_SECONDS = 0.015  # length of one slice of measuring; Blender stays responsive in between
# On closed lips, where little errors are visible: share of the allowed error, and its maximum in mm (half of TOUCH_MM).
_CLOSED_SHARE, _CLOSED_MM = 1 / 3, 0.15
_SHARE = 0.7  # share of the error that one track alone may use; the sum is measured
_SHRINK = 0.6
_ROUNDS = 12
_LINEAR = 0.92  # share of the limits while errors are summed linearly over tracks
_LEAST_ROWS = 4  # smallest number of samples measured in one call
_TRIES = 6
_MOST_BLAMED = 5  # tracks that get another key where the summed error is too large
_PROBE = 0.25  # share of a track's range by which it is moved to measure its effect


@dataclass(frozen=True)
class Fit:
    """Reduced keys of every track of a rig, on whole frames.

    keys: one Keys for each track, its index counted in whole frames.  error: millimetres at the lips, the most at any part
    of a frame.  closures: frames on which lips meet, all of them keys of what moves the lips.
    """

    keys: tuple[Keys, ...]
    error: float
    closures: np.ndarray

    @property
    def count(self) -> int:
        """Number of keys in all."""
        return sum(len(keys.index) for keys in self.keys)


def times_of(frames: np.ndarray) -> np.ndarray:
    """The times at which a take on whole scene frames [T] is read: [(T - 1) · SUBFRAMES + 1]."""
    return frames[0] + np.arange((len(frames) - 1) * SUBFRAMES + 1) / SUBFRAMES


def fit(rig: head.Rig, frames: np.ndarray, values: np.ndarray, error: float) -> Generator[float, None, Fit]:
    """Reduce a rig's values [S, tracks] at times_of(frames) to keys on whole scene frames [T]. Returns the Fit.

    error: millimetres that the lips may be off at any of these times.
    """
    yield from scaled(rig.driver.prepare(), 0.0, 0.0)
    yield from scaled(displacement.prepare(), 0.0, 0.0)
    slow = rig.driver.is_slow  # lips are then measured on whole frames only
    every = SUBFRAMES // _STRIDE  # samples per frame while keys are chosen; the final check uses all samples
    coarse, times = values[::_STRIDE], times_of(frames)
    gap = yield from scaled(lip_gap(rig, coarse[::every] if slow else coarse), 0.0, 0.15)
    if slow:
        gap = np.interp(times[::_STRIDE], frames, gap)
    closed = gap < CLOSED_MM
    meeting = closures(gap[::every])
    pull, per_unit = yield from scaled(pulls(rig), 0.15, 0.25)
    values = without_noise(values, per_unit)
    coarse = values[::_STRIDE]
    needs = (per_unit / displacement.ALLOWED).max(1) / error
    lips = per_unit[:, 0] * np.ptp(values, axis=0) > 0.02
    limit = _limits(error, closed)
    curves, reduced = [None] * values.shape[1], np.empty(coarse.shape)
    share = np.full(len(coarse), _SHARE)  # share of the limits that a single track may use at each sample
    exact = [set((meeting * every).tolist()) if on_lips else set() for on_lips in lips]
    for attempt in range(_TRIES):
        waiting, count = set(range(values.shape[1])), 0
        for turn in range(_ROUNDS):
            for place in sorted(waiting):
                still = 1e-3 * float(np.ptp(values[:, place])) + 1e-6
                allowed = share / needs[place] if needs[place] > 0 else np.full(len(coarse), still)
                tolerance = np.where(closed, allowed * share_at_closed_lips(error), allowed) if lips[place] else allowed
                curves[place] = reduce(times[::_STRIDE], coarse[:, place], tolerance, np.array(sorted(exact[place]), int), every)
                reduced[:, place] = curves[place].at(times[::_STRIDE])
                yield 0.25 + 0.5 * (attempt + (turn + place / len(curves)) / _ROUNDS) / _TRIES
            done = 0.3 + 0.5 * (attempt + turn / _ROUNDS) / _TRIES
            added = yield from scaled(_sum_of_errors(reduced - coarse, pull), done, done)
            wrong = (added / (limit * _LINEAR)).max(1)
            before, count = count, sum(len(keys.index) for keys in curves)
            if wrong.max() <= 1.0 or (turn > _ROUNDS // 2 and count == before):  # no more keys to be had
                break
            waiting = _blame(wrong, np.abs(reduced - coarse) * needs, exact, every)
            if turn >= _ROUNDS // 2 or not waiting:
                share[_around(np.flatnonzero(wrong > 1.0), every, len(share))] *= _SHRINK
                waiting = set(range(len(curves)))
        whole = [Keys(keys.index // every, keys.value, keys.slope) for keys in curves]
        measuring = _measured(rig, values, whole, pull, _limits(error, _beside(closed)), slow)
        off, beyond = yield from scaled(measuring, 0.8 + 0.2 * attempt / _TRIES, 0.8 + 0.2 * (attempt + 1) / _TRIES)
        if slow or not len(beyond):
            break
        share[_around(beyond // _STRIDE, every, len(share))] *= _SHRINK  # its error measured on the face is too large
    return Fit(tuple(whole), off, meeting)


def without_noise(values: np.ndarray, per_unit: np.ndarray) -> np.ndarray:
    """Values [S, tracks]; tracks whose movement is too small to be seen go straight from the first to the last.

    per_unit [tracks, 4]: millimetres that a unit of each moves.
    """
    moved = per_unit.max(1) * np.ptp(values, axis=0)
    line = np.linspace(values[0], values[-1], len(values))
    return np.where((moved > 0) & (moved < displacement.UNSEEN_MM), line, values)


def lip_gap(rig: head.Rig, values: np.ndarray) -> Generator[float, None, np.ndarray]:
    """Returns the gap of the lips, [S] mm, that a rig's values [S, tracks] show on the bundled head; yields progress."""
    channels, meter = head.channel_names(), displacement.face_meter()
    return (yield from in_pieces(len(values), lambda rows: meter.gap(meter.points(rig.driver.read(values[rows], channels)))))


def _beside(closed: np.ndarray) -> np.ndarray:
    """Expand a mask of every _STRIDE-th sample to all samples; samples in between are closed if either neighbour is."""
    fine = np.repeat(closed, _STRIDE)[: (len(closed) - 1) * _STRIDE + 1]
    fine[:-1] |= np.repeat(closed[1:], _STRIDE)
    return fine


def _measured(
    rig: head.Rig, values: np.ndarray, whole: list[Keys], pull: np.ndarray, limit: np.ndarray, slow: bool
) -> Generator[float, None, tuple[float, np.ndarray]]:
    """Error of keys on whole frames against values [S, tracks]. Returns (largest lip error in mm, mask [S, 4] of samples beyond the
    limits). Errors are summed linearly over tracks; samples near the worst are measured on the face, unless that is slow."""
    samples = np.arange(len(values)) / SUBFRAMES
    off = np.stack([Keys(keys.index * SUBFRAMES, keys.value, keys.slope).at(samples) for keys in whole], 1) - values
    yield 0.0
    added = yield from scaled(_sum_of_errors(off, pull), 0.0, 0.5)
    parts = (added / limit).max(1)
    look = np.flatnonzero(parts >= _LOOK * parts.max())
    if not slow:
        added[look] = yield from scaled(_moved_by(rig, values[look], off[look]), 0.5, 1.0)
    return float(added[look, 0].max()), look[(added[look] > limit[look]).any(1)]


def _around(samples: np.ndarray, every: int, count: int) -> np.ndarray:
    """Samples and all within a frame of them; every: samples in a frame."""
    return np.unique(np.clip(samples[:, None] + np.arange(-every, every + 1), 0, count - 1))


def closures(gap: np.ndarray) -> np.ndarray:
    """Of a gap [T] in mm, the frames that make its closures: the first and last that are closed, and the closest one."""
    closed = np.flatnonzero(gap < CLOSED_MM)
    frames = []
    for run in np.split(closed, np.flatnonzero(np.diff(closed) > 1) + 1):
        if len(run):
            frames += [run[0], run[-1], run[gap[run].argmin()]]
    return np.unique(np.array(frames, int))


def pulls(rig: head.Rig) -> Generator[float, None, tuple[np.ndarray, np.ndarray]]:
    """Returns the movement of each point by a unit of each track, [tracks, places, 3] mm, and the largest in each group, [tracks, 4];
    yields progress.

    A track's effect is the motion that the rig's driver reads from it, measured on the bundled head, so it is valid for any character.
    """
    channels = head.channel_names()
    count = len(channels)
    expression = np.concatenate([np.eye(count), np.zeros((9, count))])
    turns = np.concatenate([np.zeros((count, 9)), np.diag([0.15] * 3 + [0.1] * 6)])
    each = Motion(expression, turns[:, :3], turns[:, 3:6], turns[:, 6:])
    rest = np.array([track.rest for track in rig.driver.tracks], float)
    still = Motion(np.zeros((1, count)), *(np.zeros((1, 3)) for _ in range(3)))
    base = rig.driver.drive(still, channels)
    steps = in_pieces(len(turns), lambda rows: np.abs(rig.driver.drive(each.part(rows), channels) - base))
    driven = yield from scaled(steps, 0.0, 0.5)
    span = driven.max(0)
    step = np.where(span > 1e-9, _PROBE * span, 1.0)
    probed = yield from scaled(_places(rig, np.concatenate([rest[None], rest + np.diag(step)])), 0.5, 1.0)
    pull = (probed[1:] - probed[:1]) / step[:, None, None]
    per_unit = displacement.grouped(pull)
    silent = ~per_unit.any(1) & (span > 1e-9)
    if silent.any():  # derived from others: at least the effect of the channels that drive it
        done = displacement.grouped(displacement.places(each) - displacement.places(still))
        per_unit[silent] = (driven[:, silent].T[:, :, None] * done[None]).max(1) / (span[silent, None] ** 2)
    alike: dict = {}  # movement → its tracks; all tracks of a rotation are one movement
    for place, track in enumerate(rig.driver.tracks):
        bone = rna_paths.bone_of(track.path)
        turns_bone = bone is not None and bone[1].startswith("rotation")
        alike.setdefault((track.block, track.path) if turns_bone else place, []).append(place)
    for group in alike.values():
        per_unit[group] = per_unit[group].max(0)
    return pull, per_unit


def in_pieces(count: int, do: Callable[[slice], np.ndarray]) -> Generator[float, None, np.ndarray]:
    """Call `do` for rows 0 … count in pieces that each take about SLICE_SECONDS. Returns all rows of the result."""
    parts, start, size = [], 0, _LEAST_ROWS
    while start < count:
        began = time.thread_time()
        parts.append(do(slice(start, start + size)))
        spent = time.thread_time() - began
        start += size
        size = max(_LEAST_ROWS, int(size * min(4.0, max(0.5, SLICE_SECONDS / max(spent, 1e-6)))))
        yield min(1.0, start / count)
    return np.concatenate(parts)


def _places(rig: head.Rig, values: np.ndarray) -> Generator[float, None, np.ndarray]:
    """Positions of all that a rig's values [T, tracks] move, [T, places, 3] mm, on the bundled head."""
    channels = head.channel_names()
    return (yield from in_pieces(len(values), lambda rows: displacement.places(rig.driver.read(values[rows], channels))))


def _moved_by(rig: head.Rig, values: np.ndarray, off: np.ndarray) -> Generator[float, None, np.ndarray]:
    """Movement of the face by errors [S, tracks] in a rig's values [S, tracks]: [S, 4] mm."""
    channels = head.channel_names()

    def measure(rows: slice) -> np.ndarray:
        now, wanted = (displacement.places(rig.driver.read(part, channels)) for part in (values[rows] + off[rows], values[rows]))
        return displacement.grouped(now - wanted)

    return (yield from in_pieces(len(values), measure))


def _sum_of_errors(off: np.ndarray, pull: np.ndarray) -> Generator[float, None, np.ndarray]:
    """Sum of the errors of all tracks [T, tracks], [T, 4] mm."""
    flat = pull.reshape(len(pull), -1)

    def add(rows: slice) -> np.ndarray:
        return displacement.grouped((off[rows] @ flat).reshape(-1, pull.shape[1], 3))

    return (yield from in_pieces(len(off), add))


def _limits(error: float, closed: np.ndarray) -> np.ndarray:
    """Millimetres [S, 4] that each group may be off; closed [S]: where lips meet."""
    limit = np.tile(error * displacement.ALLOWED, (len(closed), 1))
    limit[closed, 0] *= share_at_closed_lips(error)
    return limit


def share_at_closed_lips(error: float) -> float:
    """The part of the error, millimetres, that is allowed where lips are closed."""
    return min(_CLOSED_SHARE, _CLOSED_MM / error)


def _blame(wrong: np.ndarray, parts: np.ndarray, exact: list[set], every: int) -> set[int]:
    """Give keys, on the frame nearest to the worst sample of every stretch that is too far off, to the tracks that are most
    to blame.

    wrong [S]: over 1 where too far off.  parts [S, tracks]: each track's share.  exact: samples on which each track has
    keys.  every: samples in a frame.  Returns the tracks that got some.
    """
    off, blamed = np.flatnonzero(wrong > 1.0), set()
    for run in np.split(off, np.flatnonzero(np.diff(off) > 1) + 1):
        worst = int(run[wrong[run].argmax()])
        frame = (worst + every // 2) // every * every
        for place in np.argsort(-parts[worst])[:_MOST_BLAMED]:
            if parts[worst, place] > 0.05 and frame not in exact[place]:
                exact[place].add(frame)
                blamed.add(int(place))
    return blamed
