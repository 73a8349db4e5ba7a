# SPDX-License-Identifier: GPL-3.0-or-later
"""A rig's numbers on every frame become few keys, as far off as the animator allows, in millimetres at the lips."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..thunder_core.face import reach
from ..thunder_core.face.keys import Keys, reduce
from ..thunder_core.types import Motion
from . import head, tracks
from .resample import CLOSED_MM

SLICE_SECONDS = 0.015  # of measuring in one go: the window stays alive in between
# What is allowed at the lips, elsewhere on the face, of the head's turn at the lips' distance and of the eyes: in parts
# of what the animator chose for the lips.
_ALLOWED = np.array([1.0, 2.0, 3.0, 1.0])
_CLOSED_SHARE, _CLOSED_MM = 1 / 3, 0.1  # and at closed lips, where a little is seen at once: in parts, and at most
_SHARE = 0.7  # of the error that one track alone may make; what they add up to is measured
_SHRINK = 0.6
_ROUNDS = 12
_LINEAR = 0.92  # of the limits, while errors are added up as if each track moved the face in a line
_LEAST_ROWS = 4  # measured in one go
_TRIES = 3
_MOST_BLAMED = 5  # tracks that get a key where all together are too far off
_PROBE = 0.25  # of a track's range, by which it is moved to see what it does


@dataclass(frozen=True)
class Fit:
    """Reduced keys of every track of a rig, on samples at whole frames.

    keys: one Keys for each track.  error: millimetres at the lips, the most on any frame.  closures: frames on which lips
    meet, all of them keys of what moves the lips.
    """

    keys: tuple[Keys, ...]
    error: float
    closures: np.ndarray

    @property
    def count(self) -> int:
        """Number of keys in all."""
        return sum(len(keys.index) for keys in self.keys)


def fit(rig: head.Rig, frames: np.ndarray, values: np.ndarray, error: float) -> Iterator[Fit | float]:
    """Reduce values [T, tracks] of a rig on whole scene frames [T]; a generator of the fraction done and at last the Fit.

    error: millimetres that the lips may be off on any frame.
    """
    for _ in getattr(rig.driver, "prepare", tuple)():
        yield 0.0
    for _ in reach.prepare():
        yield 0.0
    slow = hasattr(rig.driver, "prepare")  # it solves every frame anew: what adds up is not looked at once more
    whole = None
    for told in _places(rig, values):
        if isinstance(told, float):
            yield 0.15 * told
        else:
            whole = told
    gap = reach.ruler().gap(whole)
    closed = gap < CLOSED_MM
    meeting = closures(gap)
    pull = None  # [tracks, places, 3] mm that a unit of each track moves each place
    for told in _pulls(rig):
        if isinstance(told, float):
            yield 0.15 + 0.1 * told
        else:
            pull, per_unit = told
    needs = (per_unit / _ALLOWED).max(1) / error
    lips = per_unit[:, 0] * np.ptp(values, axis=0) > 0.02
    limit = _limits(error, closed)
    share, found, reduced = _SHARE, [None] * values.shape[1], np.empty(values.shape)
    for attempt in range(_TRIES):
        exact = [set(meeting.tolist()) if on_lips else set() for on_lips in lips]
        waiting = set(range(values.shape[1]))
        for turn in range(_ROUNDS):
            for place in sorted(waiting):
                still = 1e-3 * float(np.ptp(values[:, place])) + 1e-6
                allowed = share / needs[place] if needs[place] > 0 else still
                tolerance = np.where(closed, allowed * _tighter(error), allowed) if lips[place] else allowed
                found[place] = reduce(frames, values[:, place], tolerance, np.array(sorted(exact[place]), int))
                reduced[:, place] = found[place].at(frames)
                yield 0.25 + 0.5 * (attempt + (turn + place / len(found)) / _ROUNDS) / _TRIES
            for told in _added_up(reduced - values, pull):
                if isinstance(told, float):
                    yield 0.3 + 0.5 * (attempt + turn / _ROUNDS) / _TRIES
                else:
                    wrong = (told / (limit * _LINEAR)).max(1)
            if wrong.max() <= 1.0:
                break
            waiting = _blame(wrong, np.abs(reduced - values) * needs, exact)
            if turn >= _ROUNDS // 2 or not waiting:
                share *= _SHRINK
                waiting = set(range(len(found)))
        for told in _added_up(reduced - values, pull) if slow else _apart(rig, reduced, whole):
            if isinstance(told, float):
                yield 0.8 + 0.2 * (attempt + told) / _TRIES
            else:
                off = told
        if slow or (off <= limit).all():
            break
        share *= _SHRINK  # as it is really seen it is too far off
    yield Fit(tuple(found), float(off[:, 0].max()), meeting)


def closures(gap: np.ndarray) -> np.ndarray:
    """Of a gap [T] in mm, the frames that make its closures: the first and last that are closed, and the closest one."""
    closed = np.flatnonzero(gap < CLOSED_MM)
    found = []
    for run in np.split(closed, np.flatnonzero(np.diff(closed) > 1) + 1):
        if len(run):
            found += [run[0], run[-1], run[gap[run].argmin()]]
    return np.unique(np.array(found, int))


def reach_of(rig: head.Rig) -> np.ndarray:
    """Millimetres that a unit of each track moves the lips, the rest of the face, the head and the eyes, [tracks, 4]."""
    *_, (_, per_unit) = _pulls(rig)
    return per_unit


def _pulls(rig: head.Rig) -> Iterator[float | tuple[np.ndarray, np.ndarray]]:
    """How a unit of each track moves each place, [tracks, places, 3] mm, and the most it moves each group, [tracks, 4].

    What a track does is what the rig's driver reads from it, shown on the bundled head, so it holds for any character.
    """
    channels = head.channel_names()
    count = len(channels)
    expression = np.concatenate([np.eye(count), np.zeros((9, count))])
    turns = np.concatenate([np.zeros((count, 9)), np.diag([0.15] * 3 + [0.1] * 6)])
    each = Motion(expression, turns[:, :3], turns[:, 3:6], turns[:, 6:])
    rest = np.array([track.rest for track in rig.driver.tracks], float)
    still = Motion(np.zeros((1, count)), *(np.zeros((1, 3)) for _ in range(3)))
    base = rig.driver.drive(still, channels)
    driven = yield from _in_pieces(len(turns), lambda rows: np.abs(rig.driver.drive(each.part(rows), channels) - base))
    span = driven.max(0)
    step = np.where(span > 1e-9, _PROBE * span, 1.0)
    probed = None
    for told in _places(rig, np.concatenate([rest[None], rest + np.diag(step)])):
        if isinstance(told, float):
            yield told
        else:
            probed = told
    pull = (probed[1:] - probed[:1]) / step[:, None, None]
    per_unit = reach.grouped(pull)
    silent = ~per_unit.any(1) & (span > 1e-9)
    if silent.any():  # read from others: at least what the channels that drive it do
        done = reach.grouped(reach.places(each) - reach.places(still))
        per_unit[silent] = (driven[:, silent].T[:, :, None] * done[None]).max(1) / (span[silent, None] ** 2)
    alike: dict = {}  # the numbers of one rotation are one movement
    for place, track in enumerate(rig.driver.tracks):
        bone = tracks.bone_of(track.path)
        turns_bone = bone is not None and bone[1].startswith("rotation")
        alike.setdefault((track.block, track.path) if turns_bone else place, []).append(place)
    for group in alike.values():
        per_unit[group] = per_unit[group].max(0)
    yield pull, per_unit


def _in_pieces(count: int, do) -> Iterator[float]:
    """Do something with rows 0 … count in pieces of about a slice each, whatever it costs; the value is what came of it."""
    parts, start, size = [], 0, _LEAST_ROWS
    while start < count:
        began = time.thread_time()
        parts.append(do(slice(start, start + size)))
        spent = time.thread_time() - began
        start += size
        size = max(_LEAST_ROWS, 2 * size if spent < SLICE_SECONDS / 2 else size // 2 if spent > SLICE_SECONDS else size)
        yield min(1.0, start / count)
    return np.concatenate(parts)


def _places(rig: head.Rig, values: np.ndarray) -> Iterator[float | np.ndarray]:
    """Where everything is that a rig's numbers [T, tracks] move, [T, places, 3] mm, on the bundled head."""
    channels = head.channel_names()
    yield (yield from _in_pieces(len(values), lambda rows: reach.places(rig.driver.read(values[rows], channels))))


def _apart(rig: head.Rig, values: np.ndarray, whole: np.ndarray) -> Iterator[float | np.ndarray]:
    """How far a rig's numbers [T, tracks] are from places [T, places, 3], [T, 4] mm."""
    channels = head.channel_names()

    def measure(rows: slice) -> np.ndarray:
        return reach.grouped(reach.places(rig.driver.read(values[rows], channels)) - whole[rows])

    yield (yield from _in_pieces(len(values), measure))


def _added_up(off: np.ndarray, pull: np.ndarray) -> Iterator[float | np.ndarray]:
    """What errors of all tracks together [T, tracks] come to, [T, 4] mm."""
    flat = pull.reshape(len(pull), -1)

    def add(rows: slice) -> np.ndarray:
        return reach.grouped((off[rows] @ flat).reshape(-1, pull.shape[1], 3))

    yield (yield from _in_pieces(len(off), add))


def _limits(error: float, closed: np.ndarray) -> np.ndarray:
    limit = np.tile(error * _ALLOWED, (len(closed), 1))
    limit[closed, 0] *= _tighter(error)
    return limit


def _tighter(error: float) -> float:
    """What is left of the error at closed lips, in parts."""
    return min(_CLOSED_SHARE, _CLOSED_MM / error)


def _blame(wrong: np.ndarray, parts: np.ndarray, exact: list[set]) -> set[int]:
    """Give keys, on the worst frame of every stretch that is too far off, to the tracks that are most to blame.

    wrong [T]: over 1 where too far off.  parts [T, tracks]: each track's share.  Returns the tracks that got some.
    """
    off, blamed = np.flatnonzero(wrong > 1.0), set()
    for run in np.split(off, np.flatnonzero(np.diff(off) > 1) + 1):
        frame = int(run[wrong[run].argmax()])
        for place in np.argsort(-parts[frame])[:_MOST_BLAMED]:
            if parts[frame, place] > 0.05 and frame not in exact[place]:
                exact[place].add(frame)
                blamed.add(int(place))
    return blamed
