# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures, in millimetres, how a motion moves the lips and the rest of the bundled head's face; numpy only."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from ..errors import BadHead
from ..progress import result
from ..types import Motion
from .head import HEAD_FILE
from .lips import height_gap
from .skinning import SkinnedPoints

NECK_LEVER_MM = 120.0  # distance from the neck's joint to the lips
UNSEEN_MM = 0.02  # invisible movement: a fifth of a pixel if a face of 20 cm fills a picture of 2160 lines
EYE_LEVER_MM = 12.0  # distance from an eyeball's centre to its pupil
_LIP_RINGS, _AROUND = (2, 4, 5), 40  # rings of lip vertices measured (skin's border, red, contact), and vertices per ring
ALLOWED = np.array([1.0, 2.0, 3.0, 1.0])  # error allowed at lips, rest of the face, head and eyes, relative to the lips'
_EVERY = 2  # stride along a ring: every second vertex is measured


@dataclass(frozen=True)
class FaceMeter:
    """The points of the bundled head at which motion is measured; its expression columns are the head's.

    skinned: V points.  lips: how many of the points, the first ones, are lips.  upper, lower: places of the inner lips' middles.
    """

    skinned: SkinnedPoints
    lips: int
    upper: int
    lower: int

    def points(self, motion: Motion) -> np.ndarray:
        """Positions of the points over a motion, [T, V, 3] millimetres, with neck and eyes still."""
        return 1e3 * self.skinned.of_motion(motion)

    def gap(self, points: np.ndarray) -> np.ndarray:
        """Distance of the inner lips over points [T, V, 3] along the face's height, [T] mm above rest; negative: crossed."""
        rest = self.skinned.rest
        return height_gap(points[:, self.upper], points[:, self.lower]) - 1e3 * height_gap(rest[self.upper], rest[self.lower])


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
    """Read the bundled head, an array at a time: all at once is more than a window may be held. Returns the meter.

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
        raise BadHead(f"The bundled head cannot be read ({HEAD_FILE.name}): reinstall the add-on") from error
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
    middles = np.array([int(vertex) for vertex in (head.inner_lip_upper_mid, head.inner_lip_lower_mid)])
    lips = np.setdiff1d(lips, middles)
    # Elsewhere each channel is measured where it moves most.
    most = (head.shapedirs**2).sum(1).argmax(0)
    ids = np.concatenate([middles, lips, np.setdiff1d(most, np.concatenate([lips, middles]))])
    return FaceMeter(SkinnedPoints.of(head, lambda values: values[ids]), 2 + len(lips), upper=0, lower=1)


def places(motion: Motion) -> np.ndarray:
    """Positions of all that a motion moves, [T, V + 2, 3] mm: the meter's points, and two for the turns of the head and of
    the eyes at their levers."""
    points = face_meter().points(motion)
    still = np.zeros((len(points), 3))
    head, eyes = (still if turns is None else np.asarray(turns, np.float64) for turns in (motion.head, motion.eyes))
    return np.concatenate([points, np.stack([NECK_LEVER_MM * head, EYE_LEVER_MM * eyes], 1)], 1)


def grouped(off: np.ndarray) -> np.ndarray:
    """Differences of places [T, V + 2, 3] as millimetres [T, 4]: at the lips, elsewhere on the face, head, eyes."""
    far, lips = np.linalg.norm(off, axis=2), face_meter().lips
    return np.stack([far[:, :lips].max(1), far[:, lips:-2].max(1), far[:, -2], far[:, -1]], 1)


def apart(first: Motion, second: Motion) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Distances between two motions of equal length, each [T] in millimetres.

    (at the lips, elsewhere on the face, head turns at the lips' distance, eyes at the pupil.)
    """
    return tuple(grouped(places(first) - places(second)).T)
