# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures in millimetres what the values of a rig show, whatever the character: the motion read from them, on the bundled head."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np

from ..progress import scaled
from ..types import Motion
from . import displacement
from .mapping import Driver

SLICE_SECONDS = 0.015  # length of one slice of measuring; Blender stays responsive in between
_LEAST_ROWS = 4  # smallest number of samples measured in one call
_PROBE = 0.25  # share of a track's range by which it is moved to measure its effect
_JAW, _TURN = 0.15, 0.1  # radians by which jaw, and head and eyes, are turned to measure what they move


@dataclass(frozen=True)
class RigMeter:
    """What a rig's values do to the face.

    driver: of the rig.  channels: the bundled head's, the columns of motions read.  rotations: the indices of the tracks that are the
    components of one rotation each.
    """

    driver: Driver
    channels: tuple[str, ...]
    rotations: tuple[tuple[int, ...], ...] = ()

    def prepare(self) -> Generator[float, None, None]:
        """Load what measuring needs, in steps."""
        yield from scaled(self.driver.prepare(), 0.0, 0.0)
        yield from scaled(displacement.prepare(), 0.0, 0.0)

    def read(self, values: np.ndarray) -> Motion:
        """The motion that values [T, tracks] show."""
        return self.driver.read(values, self.channels)

    def places(self, values: np.ndarray) -> np.ndarray:
        """Positions of all that values [T, tracks] move, [T, places, 3] mm."""
        return displacement.places(self.read(values))

    def lip_gap(self, values: np.ndarray) -> Generator[float, None, np.ndarray]:
        """Returns the gap of the lips, [S] mm, that values [S, tracks] show; yields progress."""
        meter = displacement.face_meter()
        return (yield from in_pieces(len(values), lambda rows: meter.gap(meter.points(self.read(values[rows])))))

    def moved_by(self, values: np.ndarray, off: np.ndarray) -> Generator[float, None, np.ndarray]:
        """Returns how far errors [S, tracks] in values [S, tracks] move the face, [S, 4] mm; yields progress."""

        def measure(rows: slice) -> np.ndarray:
            now, wanted = (self.places(part) for part in (values[rows] + off[rows], values[rows]))
            return displacement.grouped(now - wanted)

        return (yield from in_pieces(len(values), measure))

    def pulls(self) -> Generator[float, None, tuple[np.ndarray, np.ndarray]]:
        """Returns the movement of each point by a unit of each track, [tracks, places, 3] mm, and the largest in each group,
        [tracks, 4]; yields progress."""
        each, still, driven = yield from scaled(self._driven(), 0.0, 0.5)
        span = driven.max(0)
        step = np.where(span > 1e-9, _PROBE * span, 1.0)
        rest = np.array([track.rest for track in self.driver.tracks], float)
        values = np.concatenate([rest[None], rest + np.diag(step)])
        probed = yield from scaled(in_pieces(len(values), lambda rows: self.places(values[rows])), 0.5, 1.0)
        pull = (probed[1:] - probed[:1]) / step[:, None, None]
        per_unit = displacement.grouped(pull)
        silent = ~per_unit.any(1) & (span > 1e-9)
        if silent.any():  # derived from others: at least the effect of the channels that drive it
            done = displacement.grouped(displacement.places(each) - displacement.places(still))
            per_unit[silent] = (driven[:, silent].T[:, :, None] * done[None]).max(1) / (span[silent, None] ** 2)
        for tracks in self.rotations:  # which are one movement
            per_unit[list(tracks)] = per_unit[list(tracks)].max(0)
        return pull, per_unit

    def sources(self) -> Generator[float, None, list[str]]:
        """Returns of each track the channel or joint that moves it most, in millimetres; yields progress."""
        each, still, driven = yield from self._driven()
        moved = displacement.grouped(displacement.places(each) - displacement.places(still)).max(1)
        names = [*self.channels, *["jaw"] * 3, *["neck"] * 3, *["eye"] * 3]
        return [names[source] for source in (driven / np.maximum(driven.max(0), 1e-9) * moved[:, None]).argmax(0)]

    def _driven(self) -> Generator[float, None, tuple[Motion, Motion, np.ndarray]]:
        """Returns a motion with each channel, and each turn of the joints, on a frame of its own; one at rest; and by how much the
        first drives each track away from the second, [frames, tracks]."""
        count = len(self.channels)
        turns = np.concatenate([np.zeros((count, 9)), np.diag([_JAW] * 3 + [_TURN] * 6)])
        each = Motion(np.concatenate([np.eye(count), np.zeros((9, count))]), turns[:, :3], turns[:, 3:6], turns[:, 6:])
        still = Motion(np.zeros((1, count)), *(np.zeros((1, 3)) for _ in range(3)))
        at_rest = self.driver.drive(still, self.channels)
        steps = in_pieces(len(turns), lambda rows: np.abs(self.driver.drive(each.part(rows), self.channels) - at_rest))
        return each, still, (yield from steps)


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
