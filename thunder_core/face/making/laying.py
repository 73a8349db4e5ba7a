# SPDX-License-Identifier: GPL-3.0-or-later
"""Lays the skin of the bundled head over another face: a thin-plate warp by the marked places, then
steps towards its surface, each smoothed over neighbours; numpy only."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from ...rotation import rotvec_to_matrix
from ...types import (
    EYE_DOWN_RADIANS,
    EYE_SIDE_RADIANS,
    EYE_UP_RADIANS,
    JAW_OPEN_RADIANS,
    JAW_SIDE_RADIANS,
    LIP_CLOSE,
)
from ..head import EYE_LEFT, EYE_RIGHT, Head, JAW, LIPS, load_head
from ..points import SkinnedPoints
from ..regions import LIP_AROUND, LIP_RINGS, pieces, Warp
from . import dots
from .eyes import Eye, eye_of
from .surface import Surface

BALL_MM = 12.5  # radius of the bundled head's eyes
_STILL_MM = 0.02  # a channel that moves a vertex less leaves it where it is
_MARGIN = 4  # rings of vertices round those that move or are marked
_INSIDE = ("Mouth", "Mouth Lining")  # materials of the skin that no one sees from outside
_FAINT = 1e-6  # weight of staying where nothing is near
# (rounds of smoothing, farthest mm) of each step
_STEPS = (
    (200, 25.0), (100, 20.0), (50, 15.0), (25, 12.0), (12, 8.0), (8, 6.0), *3 * ((8, 5.0),),
)  # fmt: skip
_COARSE = 9000  # vertices of a face among which the nearest are looked for
_SOFT = 2.0  # of the warp at marked places: those of the lips are near each other
_DOTS = 3.0  # weight of a marked place
NORMALS_MM = 8.0  # distance that a right angle between two surfaces counts as, over √2
_ANGLES = {
    "jawOpen": (JAW_OPEN_RADIANS, 0.0), "jawLeft": (0.0, JAW_SIDE_RADIANS),
    "jawRight": (0.0, -JAW_SIDE_RADIANS),
}  # fmt: skip
JAWS = tuple(_ANGLES)
# keys are straight and add up, a jaw turns what lies on it: so keys are right at this share of its
# turn, where people speak and lips meet
SPOKEN = 0.35
SPOKEN_TURNS = rotvec_to_matrix(SPOKEN * np.array([[a, b, 0.0] for a, b in _ANGLES.values()]))
GAZE = {
    "eyeLookUp": (-EYE_UP_RADIANS, 0), "eyeLookDown": (EYE_DOWN_RADIANS, 0),
    "eyeLookIn": (0, -EYE_SIDE_RADIANS), "eyeLookOut": (0, EYE_SIDE_RADIANS),
}  # fmt: skip


@dataclass(frozen=True)
class Model:
    """The bundled head as shapes are made from it; millimetres.

    points [V, 3] of the whole head.  names: of n channels and the jaw's.  moves [n, V, 3]: how far
    each moves every vertex at 1.  skin: the part of its skin that moves.  ids [K]: the skin's
    vertices in the head.  outside [K]: those that are seen.  dots [24]: marked vertices among
    them.  lips [7, 40]: rings of the lips among them.  eyes [2, 3].
    kind [V]: 1 upper teeth and gums, 2 lower ones, 3 tongue, 0 all else.
    """

    points: np.ndarray
    names: tuple[str, ...]
    moves: np.ndarray
    skin: Surface
    ids: np.ndarray
    outside: np.ndarray
    dots: np.ndarray
    lips: np.ndarray
    eyes: np.ndarray
    kind: np.ndarray

    @classmethod
    def of(cls, head: Head) -> "Model":
        """The bundled head, or one of its family."""
        points, whole = (
            1e3 * head.v_template.astype(np.float64),
            SkinnedPoints.of(head, slice(None)),
        )
        piece = pieces(len(points), head.f)
        still = np.zeros((len(JAWS), head.channels))
        places = whole.place(still, SPOKEN_TURNS)
        moves = np.concatenate([whole.directions, (places - whole.rest) / SPOKEN])
        # this one is seen over an open jaw alone
        number = head.channel(LIP_CLOSE)
        shut = np.eye(head.channels)[number : number + 1] * SPOKEN
        moves[number] = (whole.place(shut, SPOKEN_TURNS[:1])[0] - places[0]) / SPOKEN
        moves = 1e3 * moves.astype(np.float32)
        marked = dots.vertices_of(head)
        on_skin = piece == piece[marked[0]]
        keep = on_skin & (np.linalg.norm(moves, axis=2).max(0) > _STILL_MM)
        surface = Surface(points, head.f)
        keep[marked] = True  # a marked temple may be far from what moves
        for _ in range(_MARGIN):
            keep |= on_skin & (surface.around(keep.astype(float)) > 0)
        skin, ids = surface.part(keep)
        kind = np.zeros(len(points), int)
        for number, names in enumerate((("Teeth", "Gums"), ("Tongue",)), 1):
            used = [i for i, name in enumerate(head.material_names) if name.endswith(names)]
            kind[np.unique(head.polygons[np.isin(head.polygon_material, used)][:, :3])] = number
        kind[kind == 2] = 3
        kind[(kind == 1) & (head.weights[:, JAW] > 0.5)] = 2
        inside = [
            head.material_names.index(name) for name in _INSIDE if name in head.material_names
        ]
        lining = np.unique(head.polygons[np.isin(head.polygon_material, inside)])
        place = np.full(len(points), -1)
        place[ids] = np.arange(len(ids))
        return cls(
            points,
            (*head.expression_names, *_ANGLES),
            moves,
            skin,
            ids,
            ~np.isin(ids, lining),
            place[marked],
            place[head.mouth_vertices[head.mouth_parts == LIPS]].reshape(LIP_RINGS, LIP_AROUND),
            1e3 * head.joints[[EYE_LEFT, EYE_RIGHT]],
            kind,
        )

    @cached_property
    def lids(self) -> list[Eye | None]:
        """The left and the right eye."""
        marks = self.skin.points[self.dots][dots.LIDS]
        return [eye_of(self.skin, marks[side], self.eyes[side], BALL_MM) for side in (0, 1)]

    @cached_property
    def moved(self) -> np.ndarray:
        """How far each channel moves the vertices of the skin, [n, K, 3]."""
        return self.moves[:, self.ids]


@lru_cache(maxsize=1)
def model() -> Model:
    """The bundled head."""
    return Model.of(load_head())


def lay(source: Model, target: Surface, marks: np.ndarray, say=lambda _: None) -> np.ndarray:
    """The vertices of the source's skin on the target, [K, 3]; marks [24, 3]: its marked places."""
    every = 1 + len(target.points) // _COARSE
    skin, places = source.skin, source.skin.points[source.dots]
    warp = Warp.rigid(places, marks).bend(places, marks, np.full(len(places), _SOFT))
    points = warp(skin.points)
    pulled = np.zeros((len(points), 1))
    pulled[source.dots] = _DOTS
    goal = np.zeros_like(points)
    goal[source.dots] = marks
    for number, (rounds, far) in enumerate(_STEPS):
        say(number / len(_STEPS))
        now = Surface(points, skin.triangles)
        spots = target.nearest(points, NORMALS_MM * now.normals, NORMALS_MM * target.normals, every)
        there, normals = spots.of(target.points), spots.of(target.normals)
        agree = np.maximum((normals * now.normals).sum(1), 0.0) ** 2
        near = np.linalg.norm(there - points, axis=1) < far
        weight = (agree * near * source.outside)[:, None]
        by = weight * (there - points) + pulled * (goal - points)
        # where nothing is near, as its neighbours
        even = skin.smoothed(np.c_[by, weight + pulled + _FAINT], rounds)
        points = points + even[:, :3] / even[:, 3:]
    return points
