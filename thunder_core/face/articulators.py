# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures articulation in millimetres: a head's inner lips, the edges of its incisors and its
tongue's tip; numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from ..errors import BadHead
from ..rotation import rotvec_to_matrix
from . import regions
from .head import Head, JAW, load_head
from .skinning import SkinnedPoints

LIPS, TONGUE = 0, 3  # values of Head.mouth_parts
INCISORS_MM = 9.0  # distance from the midline that covers a row's four front teeth
_EDGE_MM = 0.35  # distance from a row's lowest (highest) point that belongs to the biting edge
_GRID_MM = 0.5  # cell size of the height map of the upper teeth's front
_FRONT_MM = 12.0  # height of that map above the upper row's edges
_NEAR_MM = 8.0  # distance from the midline within which the lower lip meets the incisors
# subdivisions per edge of the lip's quads, so that distances to its surface are measured
_SPLIT = 4


@dataclass(frozen=True)
class Shape:
    """Positions of the articulators, each [T] millimetres above rest; rest is the head with closed
    mouth.

    gap: height between the inner lips' middles.  rise: height of the upper lip.  incisors: height
    between the incisors' edges, more than at rest.  The rest of the gap is what the lower lip bares
    of the lower teeth.
    """

    gap: np.ndarray
    rise: np.ndarray
    incisors: np.ndarray


@dataclass(frozen=True)
class Articulators:
    """Points of a head at which articulation is measured.

    points: of the head; in their order the upper and the lower inner lip, the tongue's tip, the
    edges of the upper and of the lower incisors, and the surface of the lower lip's middle.  names:
    the head's channels.  upper_edge, lower_edge, lip: their indices among the points.  overlap:
    millimetres by which the incisors' edges pass each other at rest. front [X + 2, Y + 2]: depth
    map of the upper incisors (millimetres, −inf outside) over `corner` [2] in steps of 0.5, with a
    margin for points outside.
    """

    points: SkinnedPoints
    names: tuple[str, ...]
    upper_edge: slice
    lower_edge: slice
    lip: slice
    overlap: float
    front: np.ndarray
    corner: np.ndarray

    @classmethod
    def of(cls, head: Head) -> Articulators:
        """The articulators of a head in our layout. Raises BadHead if it has no teeth."""
        v = 1e3 * head.v_template.astype(np.float64)
        upper, lower = _incisors(head, v)
        edges = [
            upper[v[upper, 1] < v[upper, 1].min() + _EDGE_MM],
            lower[v[lower, 1] > v[lower, 1].max() - _EDGE_MM],
        ]
        tongue = head.mouth_vertices[head.mouth_parts == TONGUE]
        if not len(tongue):
            raise BadHead("This head has no tongue to speak with: use the bundled one")
        singles = np.array(
            [head.inner_lip_upper_mid, head.inner_lip_lower_mid, tongue[np.argmax(v[tongue, 2])]]
        )
        lip = _lower_lip(head, v)
        ids = np.concatenate([singles, *edges])
        points = SkinnedPoints.of(
            head,
            lambda values: np.concatenate(
                [values[ids], np.einsum("kq,kq...->k...", lip[1], values[lip[0]])]
            ),
        )
        ends = len(singles) + np.cumsum([0, len(edges[0]), len(edges[1])])
        overlap = v[edges[1], 1].mean() - v[edges[0], 1].mean()
        return cls(
            points,
            head.expression_names,
            slice(ends[0], ends[1]),
            slice(ends[1], ends[2]),
            slice(ends[2], None),
            float(overlap),
            *_front(head, v, upper),
        )

    def shape(self, expression: np.ndarray, jaw: np.ndarray) -> Shape:
        """The mouth's shape over a motion, expression columns in the head's order."""
        return self.shape_at(np.asarray(expression, np.float64), rotvec_to_matrix(jaw))

    def shape_at(self, expression: np.ndarray, turn: np.ndarray) -> Shape:
        """The same for the jaw's rotation matrices [T, 3, 3]."""
        points, upper, lower = self._measured
        height = 1e3 * (points.heights(expression, turn) - points.rest[:, 1])
        return Shape(
            height[:, 0] - height[:, 1],
            height[:, 0],
            height[:, upper].mean(1) - height[:, lower].mean(1),
        )

    @cached_property
    def _measured(self) -> tuple[SkinnedPoints, slice, slice]:
        """The few points that `shape` needs, since it is called dozens of times per take: the lips'
        middles, and the edge of each row of teeth; and the indices of the edges among them."""
        rows = [
            np.eye(2, len(self.points.rest)),
            self._shares_of(self.upper_edge),
            self._shares_of(self.lower_edge),
        ]
        ends = np.cumsum([len(part) for part in rows])
        return (
            self.points.average(np.concatenate(rows)),
            slice(ends[0], ends[1]),
            slice(ends[1], ends[2]),
        )

    def _shares_of(self, edge: slice) -> np.ndarray:
        """Shares [k, K] of the points in an edge of teeth, which is one point if it moves rigidly
        with the jaw."""
        shares = np.eye(len(self.points.rest))[edge]
        return (
            shares.mean(0, keepdims=True) if np.ptp(self.points.jaw_weight[edge]) == 0 else shares
        )

    def gap_and_rise_slopes(self, channel: int, turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives of `Shape`'s gap and rise by a channel, each [T] mm, at the jaw's rotation
        matrices [T, 3, 3]; they are the same at every value of the channels, but for shapes of key
        pairs, which move nothing where the lips meet."""
        upper, lower = 1e3 * self._measured[0].height_slope(channel, turn)[:, :2].T
        return upper - lower, upper

    @cached_property
    def _tongue_tip(self) -> SkinnedPoints:
        """The tongue's tip and the upper edge."""
        return self.points.average(
            np.concatenate([np.eye(3, len(self.points.rest))[2:], self._shares_of(self.upper_edge)])
        )

    def tongue_tip(self, expression: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """Height and depth of the tongue's tip beyond the upper incisors' edges, [T, 2] mm, at the
        jaw's rotation matrices [T, 3, 3]."""
        placed = 1e3 * self._tongue_tip.place(np.asarray(expression, np.float64), turn)[..., 1:]
        return placed[:, 0] - placed[:, 1:].mean(1)

    @cached_property
    def _lip(self) -> SkinnedPoints:
        """The surface of the lower lip."""
        return self.points.part(self.lip)

    def moves_lip_straight(self, channel: int) -> bool:
        """Whether the lower lip's surface moves straight over the whole range of a channel: shapes
        of two keys end at 1."""
        return not (self._lip.pairs == channel).any()

    def lip_surface(self, expression: np.ndarray, jaw: np.ndarray) -> np.ndarray:
        """Positions [T, K, 3] of the lower lip's surface in millimetres."""
        return 1e3 * self._lip.place(np.asarray(expression, np.float64), rotvec_to_matrix(jaw))

    def lip_distance(self, lip: np.ndarray) -> np.ndarray:
        """Distance of a lower lip's surface [T, K, 3] from the upper incisors, [T] millimetres;
        negative where it intersects them.

        Above their edges the lip is measured from their front, below from the edges.
        """
        column, row = (
            (np.floor((lip[..., axis] - self.corner[axis]) / _GRID_MM) + 1)
            .clip(0, self.front.shape[axis] - 1)
            .astype(int)
            for axis in (0, 1)
        )
        distance = lip[..., 2] - self.front.ravel().take(column * self.front.shape[1] + row)
        beside = np.isinf(distance)
        points, edges = lip[beside], 1e3 * self.points.rest[self.upper_edge]
        # One row for each edge: numpy finds the least of long columns many times faster than of
        # short rows.
        squared = edges @ (2 * points).T
        np.subtract(np.einsum("kc,kc->k", points, points), squared, out=squared)
        squared += (edges**2).sum(-1)[:, None]
        distance[beside] = np.sqrt(np.maximum(squared.min(0), 0.0))
        return distance.min(1)


def _incisors(head: Head, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids of the vertices of the upper and the lower front teeth."""
    if "Teeth" not in head.material_names:
        raise BadHead("This head has no teeth to speak with: use the bundled one")
    ids = np.unique(head.polygons[head.polygon_material == head.material_names.index("Teeth")])
    ids = ids[ids >= 0]
    front = ids[(np.abs(v[ids, 0]) < INCISORS_MM) & (v[ids, 2] > v[ids, 2].max() - 2 * INCISORS_MM)]
    moved = head.weights[front, JAW] > 0.5
    return front[~moved], front[moved]


def _lower_lip(head: Head, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Surface points of the lower lip's middle, red to inside: vertex ids [K, 4] of the quad each
    lies in, and shares [K, 4]."""
    rings = head.mouth_vertices[head.mouth_parts == LIPS].reshape(
        regions.LIP_RINGS, regions.LIP_AROUND
    )
    lower = rings[regions.CONTACT_RING - 1 :, regions.LOWER]
    lower = lower[:, np.abs(v[lower[1], 0]) < _NEAR_MM]
    quads = np.stack([lower[:-1, :-1], lower[1:, :-1], lower[1:, 1:], lower[:-1, 1:]], -1).reshape(
        -1, 4
    )
    s, t = (x.ravel() for x in np.meshgrid(*2 * [np.arange(_SPLIT) / _SPLIT]))
    shares = np.stack([(1 - s) * (1 - t), s * (1 - t), s * t, (1 - s) * t], 1)
    return np.repeat(quads, len(shares), 0), np.tile(shares, (len(quads), 1))


def _front(head: Head, v: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(front [X + 2, Y + 2], corner [2]) of the upper incisors: the foremost of their surface over
    a grid of x and y, millimetres."""
    low = v[upper].min(0)[:2]
    shape = (int(2 * INCISORS_MM / _GRID_MM) + 2, int(_FRONT_MM / _GRID_MM))
    front = np.full(shape, -np.inf)
    of_them = np.isin(head.f, upper).all(1)
    a, b = np.meshgrid(*2 * [np.linspace(0, 1, 25)])
    a, b = a[a + b <= 1 + 1e-9], b[a + b <= 1 + 1e-9]
    corners = v[head.f[of_them]]
    spread = np.einsum("kq,fqc->fkc", np.stack([1 - a - b, a, b], 1), corners).reshape(-1, 3)
    cell = np.floor((spread[:, :2] - low) / _GRID_MM).astype(int)
    inside = ((cell >= 0) & (cell < shape)).all(1)
    np.maximum.at(front, tuple(cell[inside].T), spread[inside, 2])
    return np.pad(front, 1, constant_values=-np.inf), low


@lru_cache(maxsize=1)
def bundled_articulators() -> Articulators:
    """The articulators of the bundled head."""
    return Articulators.of(load_head())
