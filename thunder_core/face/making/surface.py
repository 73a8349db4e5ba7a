# SPDX-License-Identifier: GPL-3.0-or-later
"""A triangle mesh on which values are looked up, smoothed and filled in; numpy only."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...filters import slices
from ..regions import _nearest_shares, Spots

_BLOCK = 2_000_000  # distances that are computed at once
_ROUNDS = 80  # by which what is known spreads to what is filled in


@dataclass(frozen=True)
class Surface:
    """A mesh. points [V, 3] · triangles [F, 3]."""

    points: np.ndarray
    triangles: np.ndarray

    @cached_property
    def corner_normals(self) -> np.ndarray:
        """Normals of the triangles, as long as twice their areas, [F, 3]."""
        a, b, c = (self.points[self.triangles[:, i]] for i in range(3))
        return np.cross(b - a, c - a)

    @cached_property
    def normals(self) -> np.ndarray:
        """Unit normals of the vertices, [V, 3]."""
        total = np.zeros_like(self.points)
        np.add.at(total, self.triangles, self.corner_normals[:, None])
        return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)

    @cached_property
    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """Each edge in both directions, sorted by its first vertex: (from, to), [2·E] each."""
        t = self.triangles
        both = np.concatenate([t[:, [0, 1]], t[:, [1, 2]], t[:, [2, 0]]])
        both = np.concatenate([both, both[:, ::-1]])
        codes = np.unique(both[:, 0].astype(np.int64) * len(self.points) + both[:, 1])
        return codes // len(self.points), codes % len(self.points)

    @cached_property
    def fans(self) -> np.ndarray:
        """Triangles at each vertex, [V, most], a vertex's first again where it has fewer."""
        order = np.argsort(self.triangles.ravel(), kind="stable")
        count = np.bincount(self.triangles.ravel(), minlength=len(self.points))
        start = np.cumsum(count) - count
        place = np.minimum(np.arange(max(count.max(), 1)), np.maximum(count - 1, 0)[:, None])
        return order[np.minimum(start[:, None] + place, len(order) - 1)] // 3

    def around(self, values: np.ndarray, nearer: bool = False) -> np.ndarray:
        """The mean of each vertex's neighbours, [V, …], where `nearer` by one over their distance;
        its own value if it has none."""
        start, end = self.edges
        count = np.bincount(start, minlength=len(self.points))
        has, share = count > 0, np.ones(len(start), values.dtype)
        if nearer:
            share /= np.linalg.norm(self.points[start] - self.points[end], axis=1) + 1e-3
        first, share = (np.cumsum(count) - count)[has], share.reshape(-1, *[1] * (values.ndim - 1))
        result = values.copy()
        result[has] = np.add.reduceat(share * values[end], first) / np.add.reduceat(share, first)
        return result

    def smoothed(self, values: np.ndarray, times: int) -> np.ndarray:
        """Values [V, …] after so many rounds in which each is averaged with its neighbours."""
        for _ in range(times):
            values = 0.5 * (values + self.around(values))
        return values

    def filled(self, values: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Values [V, …] where known [V], elsewhere the smoothest between them."""
        if known.all() or not known.any():
            return values
        near, ids = self.part(~known | (self.around(1.0 * ~known) > 0))
        held, flat = known[ids, None], values[ids].reshape(len(ids), -1)
        start = np.c_[flat, np.ones(len(ids))] * held
        spread = start
        for _ in range(_ROUNDS):
            spread = np.where(held, start, near.around(spread))
        result = values.astype(np.float64)
        # what touches nothing known becomes 0
        even = spread[:, :-1] / np.maximum(spread[:, -1:], 1e-9)
        result[ids] = even.reshape(len(ids), *values.shape[1:])
        return result

    def nearest(
        self, queries: np.ndarray, facing: np.ndarray, of: np.ndarray, every: int = 1
    ) -> Spots:
        """The spot nearest to each query [Q, 3]: of the triangles round the vertex whose place and
        features `of` [V, …] are nearest to the query's, `facing` [Q, …]; of vertices every so many
        are looked at."""
        wanted = np.concatenate([queries, facing], 1).astype(np.float32)
        have = np.concatenate([self.points, of], 1)[::every].astype(np.float32)
        middle = have.mean(0)
        wanted, have = wanted - middle, have - middle
        square, vertex = (have**2).sum(1), np.empty(len(wanted), np.int64)
        step = max(1, _BLOCK // max(len(have), 1))
        for block in slices(len(wanted), step):
            vertex[block] = (square - 2 * (wanted[block] @ have.T)).argmin(1)
        vertex, rows = every * vertex, np.arange(len(queries))
        for _ in range(every):  # where some are passed over, it is a few steps from there
            fans = self.fans[vertex]
            corners = self.points[self.triangles[fans]]
            shares = _nearest_shares(queries[:, None], corners)
            far = ((shares[..., None] * corners).sum(2) - queries[:, None]) ** 2
            best = far.sum(2).argmin(1)
            found, share = self.triangles[fans[rows, best]], shares[rows, best]
            vertex = found[rows, share.argmax(1)]
        return Spots(found, share)

    def part(self, keep: np.ndarray) -> tuple["Surface", np.ndarray]:
        """The triangles all of whose vertices are kept [V], and the vertices that they have."""
        triangles = self.triangles[keep[self.triangles].all(1)]
        ids, places = np.unique(triangles, return_inverse=True)
        return Surface(self.points[ids], places.reshape(-1, 3)), ids
