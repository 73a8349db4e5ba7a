# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures in millimetres how a motion moves the lips and the rest of the bundled head's face, and
what the values of any rig show, by the motion that is read from them; numpy only."""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import cast

import numpy as np

from ...errors import BadHead
from ...progress import rescale, result
from ...types import JAW_OPEN_RADIANS, Motion
from ..head import Head, HEAD_FILE
from ..points import SkinnedPoints
from .driving import Driver
from .lips import height_gap

NECK_LEVER_MM = 120.0  # distance from the neck's joint to the lips
# invisible movement: a fifth of a pixel if a face of 20 cm fills a picture of 2160 lines
UNSEEN_MM = 0.02
EYE_LEVER_MM = 12.0  # distance from an eyeball's centre to its pupil
# rings of lip vertices measured (skin's border, red, contact), and vertices per ring
_LIP_RINGS, _AROUND = ((2, 4, 5), 40)
# error allowed at lips, rest of the face, head and eyes, relative to the lips'
ALLOWED = np.array([1.0, 2.0, 3.0, 1.0])
_SCALES = 0.2, 5.0  # of faces beside the bundled head's
_EVERY = 2  # stride along a ring: every second vertex is measured
SLICE_SECONDS = 0.015  # length of one slice of measuring; Blender stays responsive in between
_LEAST_ROWS = 4  # smallest number of samples measured in one call
_PROBE = 0.25  # share of a track's range by which it is moved to measure its effect
# radians by which jaw, and head and eyes, are turned to measure what they move
_JAW, _TURN = 0.15, 0.1


@dataclass(frozen=True)
class FaceMeter:
    """The points of the bundled head at which motion is measured; its expression columns are the
    head's.

    skinned: V points.  lips: how many of the points, the first ones, are lips.  upper, lower:
    places of the inner lips' middles.
    """

    skinned: SkinnedPoints
    lips: int
    upper: int
    lower: int

    def points(self, motion: Motion) -> np.ndarray:
        """Positions of the points over a motion, [T, V, 3] millimetres, with neck and eyes
        still."""
        return 1e3 * self.skinned.of_motion(motion)

    def gap(self, points: np.ndarray) -> np.ndarray:
        """Distance of the inner lips over points [T, V, 3] along the face's height, [T] mm above
        rest; negative: crossed."""
        rest = self.skinned.rest
        return height_gap(points[:, self.upper], points[:, self.lower]) - 1e3 * height_gap(
            rest[self.upper], rest[self.lower]
        )


_cached: list[FaceMeter] = []
_NEEDED = (
    "expression_names",
    "v_template",
    "mouth_vertices",
    "mouth_parts",
    "inner_lip_upper_mid",
    "inner_lip_lower_mid",
    "weights",
    "J_regressor",
    "shapedirs",
    "posedirs",
    "corrective_pairs",
    "correctives",
)


def prepare() -> Generator[float, None, FaceMeter]:
    """Read the bundled head, an array at a time: reading all at once would block a window too long.
    Returns the meter.

    Raises BadHead.
    """
    if _cached:
        return _cached[0]
    arrays = {}
    try:
        with np.load(HEAD_FILE, allow_pickle=False) as archive:
            for place, name in enumerate(_NEEDED):
                arrays[name] = archive[name]
                yield (place + 1) / len(_NEEDED)
    except (OSError, ValueError, KeyError) as error:
        raise BadHead(
            f"The bundled head cannot be read ({HEAD_FILE.name}): reinstall the add-on"
        ) from error
    if not _cached:
        _cached.append(_build(SimpleNamespace(**arrays)))
    return _cached[0]


def face_meter() -> FaceMeter:
    """The meter of the bundled head. Raises BadHead if that cannot be read."""
    return result(prepare())


def _build(head: SimpleNamespace) -> FaceMeter:
    """The meter of a head given as its arrays (_NEEDED)."""
    skin = head.mouth_vertices[head.mouth_parts == 0].reshape(-1, _AROUND)
    lips = np.concatenate([skin[ring, ::_EVERY] for ring in _LIP_RINGS])
    middles = np.array(
        [int(vertex) for vertex in (head.inner_lip_upper_mid, head.inner_lip_lower_mid)]
    )
    lips = np.setdiff1d(lips, middles)
    # Elsewhere each channel is measured where it moves most.
    most = (head.shapedirs**2).sum(1).argmax(0)
    ids = np.concatenate([middles, lips, np.setdiff1d(most, np.concatenate([lips, middles]))])
    return FaceMeter(SkinnedPoints.of(cast(Head, head), ids), 2 + len(lips), upper=0, lower=1)


def positions(motion: Motion) -> np.ndarray:
    """Positions of all that a motion moves, [T, V + 2, 3] mm: the meter's points, and two for the
    turns of the head and of the eyes at their levers."""
    turns = np.stack(motion.turns, 1) * [[NECK_LEVER_MM], [EYE_LEVER_MM]]
    return np.concatenate([face_meter().points(motion), turns], 1)


def group_distances(off: np.ndarray) -> np.ndarray:
    """Differences of places [T, V + 2, 3] as millimetres [T, 4]: at the lips, elsewhere on the
    face, head, eyes."""
    far, lips = np.linalg.norm(off, axis=2), face_meter().lips
    return np.stack([far[:, :lips].max(1), far[:, lips:-2].max(1), far[:, -2], far[:, -1]], 1)


# ---- rigs


@dataclass(frozen=True)
class RigMeter:
    """What a rig's values do to the face.

    driver: of the rig.  channels: the bundled head's, the columns of motions read.  rotations: the
    indices of the tracks that are the components of one rotation each.  opens: millimetres by which
    an open jaw parts the lips of the rig's own face; 0: as the bundled head's.
    """

    driver: Driver
    channels: tuple[str, ...]
    rotations: tuple[tuple[int, ...], ...] = ()
    opens: float = 0.0

    @cached_property
    def scale(self) -> float:
        """Millimetres of the rig's own face in one of the bundled head's, by their open jaws."""
        if not self.opens:
            return 1.0
        still = np.zeros((1, 3))
        jaw = Motion(np.zeros((1, len(self.channels))), np.array([[JAW_OPEN_RADIANS, 0, 0]]), still)
        meter = face_meter()
        return float(np.clip(self.opens / meter.gap(meter.points(jaw))[0], *_SCALES))

    def prepare(self) -> Generator[float, None, None]:
        """Load what measuring needs, in steps."""
        yield from rescale(self.driver.prepare(), 0.0, 0.0)
        yield from rescale(prepare(), 0.0, 0.0)

    def read(self, values: np.ndarray) -> Motion:
        """The motion that values [T, tracks] show."""
        return self.driver.read(values, self.channels)

    def places(self, values: np.ndarray) -> np.ndarray:
        """Positions of all that values [T, tracks] move, [T, places, 3] mm."""
        return self.scale * positions(self.read(values))

    def lip_gap(self, values: np.ndarray) -> Generator[float, None, np.ndarray]:
        """Returns the gap of the lips, [S] mm, that values [S, tracks] show; yields progress."""
        meter = face_meter()
        return (
            yield from in_pieces(
                len(values),
                lambda rows: self.scale * meter.gap(meter.points(self.read(values[rows]))),
            )
        )

    def displacements(self, values: np.ndarray, off: np.ndarray) -> np.ndarray:
        """How far errors [T, tracks] in values [T, tracks] move everything, [T, places, 3] mm."""
        return self.places(values + off) - self.places(values)

    def pulls(self) -> Generator[float, None, tuple[np.ndarray, np.ndarray]]:
        """Returns the movement of each point by a unit of each track, [tracks, places, 3] mm, and
        the largest in each group, [tracks, 4]; yields progress."""
        each, still, driven = yield from rescale(self._drive_each(), 0.0, 0.5)
        span = driven.max(0)
        step = np.where(span > 1e-9, _PROBE * span, 1.0)
        rest = np.array([track.rest for track in self.driver.tracks], float)
        values = np.concatenate([rest[None], rest + np.diag(step)])
        probed = yield from rescale(
            in_pieces(len(values), lambda rows: self.places(values[rows])), 0.5, 1.0
        )
        pull = (probed[1:] - probed[:1]) / step[:, None, None]
        per_unit = group_distances(pull)
        silent = ~per_unit.any(1) & (span > 1e-9)
        if silent.any():  # derived from others: at least the effect of the channels that drive it
            done = group_distances(positions(each) - positions(still))
            per_unit[silent] = (driven[:, silent].T[:, :, None] * done[None]).max(1) / (
                span[silent, None] ** 2
            )
        for tracks in self.rotations:  # which are one movement
            per_unit[list(tracks)] = per_unit[list(tracks)].max(0)
        return pull, per_unit

    def sources(self) -> Generator[float, None, list[str]]:
        """Returns of each track the channel or joint that moves it most, in millimetres; yields
        progress."""
        each, still, driven = yield from self._drive_each()
        moved = group_distances(positions(each) - positions(still)).max(1)
        names = [*self.channels, *["jaw"] * 3, *["neck"] * 3, *["eye"] * 3]
        return [
            names[source]
            for source in (driven / np.maximum(driven.max(0), 1e-9) * moved[:, None]).argmax(0)
        ]

    def _drive_each(self) -> Generator[float, None, tuple[Motion, Motion, np.ndarray]]:
        """Returns a motion with one channel, or one turn of a joint, on each frame; one at rest;
        and how far the first drives each track away from the second, [frames, tracks]."""
        count = len(self.channels)
        turns = np.concatenate([np.zeros((count, 9)), np.diag([_JAW] * 3 + [_TURN] * 6)])
        each = Motion(
            np.concatenate([np.eye(count), np.zeros((9, count))]),
            turns[:, :3],
            turns[:, 3:6],
            turns[:, 6:],
        )
        still = Motion(np.zeros((1, count)), np.zeros((1, 3)), np.zeros((1, 3)), np.zeros((1, 3)))
        at_rest = self.driver.drive(still, self.channels)
        steps = in_pieces(
            len(turns),
            lambda rows: np.abs(self.driver.drive(each.part(rows), self.channels) - at_rest),
        )
        return each, still, (yield from steps)


def in_pieces(count: int, do: Callable[[slice], np.ndarray]) -> Generator[float, None, np.ndarray]:
    """Call `do` for rows 0 … count in pieces that each take about SLICE_SECONDS. Returns all rows
    of the result."""
    parts, start, size = [], 0, _LEAST_ROWS
    while start < count:
        began = time.thread_time()
        parts.append(do(slice(start, start + size)))
        spent = time.thread_time() - began
        start += size
        size = max(_LEAST_ROWS, int(size * min(4.0, max(0.5, SLICE_SECONDS / max(spent, 1e-6)))))
        yield min(1.0, start / count)
    return np.concatenate(parts)
