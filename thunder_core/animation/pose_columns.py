# SPDX-License-Identifier: GPL-3.0-or-later
"""Key frames of a region that can go when the keys around them may change their values and move by a frame."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from ..progress import scaled
from .pose_thinning import Region

_AROUND = 3  # keys on either side of a removed one whose values are refitted
_ROUNDS = 3
_HOPELESS = 2.0  # factor of the allowed error above which refitting cannot help
_SNAP = 3  # distance that a key may move to a frame already in use, frames
_MOVES = ((0, 0), (1, 0), (0, 1), (1, 1))  # shifts of the keys before and after towards the gap, frames


class Columns:
    """Key frames of a region, and the values and slopes of its curves there.

    keys: n frames.  value: n rows [C].  out, into: n − 1 rows [C], slopes out of and into each segment in thirds.
    """

    def __init__(self, keys: list[int], value: np.ndarray, out: np.ndarray, into: np.ndarray):
        self.keys, self.value, self.out, self.into = list(keys), list(value), list(out), list(into)

    def remove_spare(
        self, region: Region, cost: np.ndarray, price: np.ndarray, level: set[int], stay: set[int]
    ) -> Generator[float, None, None]:
        """Remove as many key frames as the allowed error lets go, the dearest first. Yields progress.

        cost: see find_segments.  price [T] of a key on each frame.  level: closed frames.  stay: frames that keep their keys.
        """
        for turn in range(_ROUNDS):
            before = len(self.keys)
            order = sorted(set(self.keys) - stay, key=lambda frame: -price[frame])
            for number, frame in enumerate(order):
                yield (done := (turn + number / len(order)) / _ROUNDS)
                if frame in self.keys:
                    yield from scaled(self._remove(region, cost, level, stay, frame, _MOVES if turn else _MOVES[:1]), done, done)
            if turn and len(self.keys) == before:
                return

    def snap(self, region: Region, used: set[int], level: set[int], stay: set[int]) -> Generator[float, None, None]:
        """Move key frames to frames near by that are used already, where the allowed error lets them. Yields progress."""
        own = sorted(set(self.keys) - used - stay)
        for number, frame in enumerate(own):
            yield (done := number / len(own))
            place = self.keys.index(frame)
            for target in sorted(used.intersection(range(frame - _SNAP, frame + _SNAP + 1)), key=lambda to: abs(to - frame)):
                if self.keys[place - 1] < target < self.keys[place + 1]:
                    part = slice(max(place - _AROUND, 0), place + _AROUND + 1)
                    moved = [target if key == frame else key for key in self.keys[part]]
                    if (yield from scaled(self._replace(region, level, part, moved), done, done)):
                        break

    def _replace(self, region: Region, level: set[int], part: slice, frames: list[int]) -> Generator[float, None, bool]:
        """Replace the frames of a part of the keys, whose outer values stay, if the curves then meet the allowed error.
        Returns whether they did."""
        first, last = part.start, min(part.stop, len(self.keys)) - 1
        fitted = yield from region.fit(frames, level, True, np.stack([self.value[first], self.value[last]]))
        if fitted.off.max() > 1.0:
            return False
        self.keys[first : last + 1], self.value[first : last + 1] = frames, list(fitted.value)
        self.out[first:last], self.into[first:last] = list(fitted.out), list(fitted.into)
        return True

    def _remove(
        self, region: Region, cost: np.ndarray, level: set[int], stay: set[int], frame: int, moves: tuple
    ) -> Generator[float, None, None]:
        """Remove a key frame if the curves around it come within the allowed error without it. Yields progress."""
        place = self.keys.index(frame)
        before, after = self.keys[place - 1], self.keys[place + 1]
        part = slice(max(place - _AROUND, 0), place + _AROUND + 1)
        keys = self.keys[part]
        outer = {keys[0], keys[-1]} | stay
        for earlier, later in moves:
            a, b = before + earlier, after - later
            if (earlier and before in outer) or (later and after in outer) or a >= b:
                continue
            if b - a >= len(cost) or cost[b - a, a] > _HOPELESS:
                continue
            moved = {before: a, after: b}
            if (yield from self._replace(region, level, part, [moved.get(key, key) for key in keys if key != frame])):
                return
