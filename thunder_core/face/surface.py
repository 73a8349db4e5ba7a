# SPDX-License-Identifier: GPL-3.0-or-later
"""Triangle meshes as surfaces: what is visible from the front, nearest points, connected parts;
numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# pixel and triangle pairs of a front view; a face at a third of a millimetre has a tenth
_MOST_CANDIDATES = 6_000_000


@dataclass(frozen=True)
class Spots:
    """Points on a mesh: vertices [K, 3] of their triangles and barycentric shares [K, 3], rows sum
    to 1."""

    vertices: np.ndarray
    shares: np.ndarray

    def of(self, values: np.ndarray) -> np.ndarray:
        """Values [V, …] of the vertices at the points, [K, …]."""
        shares = self.shares.reshape(self.shares.shape + (1,) * (values.ndim - 1))
        return (values[self.vertices] * shares).sum(1)

    def at(self, index) -> Spots:
        """Some of the points."""
        return Spots(self.vertices[index], self.shares[index])


@dataclass(frozen=True)
class FrontView:
    """The surface visible from the front (along −z), on a grid; rows from top to bottom.

    triangle: [H, W] number of the triangle, −1 for none.  x: [W], y: [H] of the pixels' middles,
    metres.
    """

    triangle: np.ndarray
    x: np.ndarray
    y: np.ndarray


def front_view(
    points: np.ndarray, triangles: np.ndarray, low: np.ndarray, high: np.ndarray, step: float
) -> FrontView:
    """The front of a mesh between the corners low and high ([2], x and y in metres) with pixels of
    a step.

    points [V, 3] · triangles [F, 3]. Raises ValueError if the window is far too fine for the mesh.
    """
    x = np.arange(low[0] + step / 2, high[0], step)
    y = np.arange(high[1] - step / 2, low[1], -step)
    numbers = np.flatnonzero(_overlaps(points[:, :2], triangles, low, high))
    corners = points[triangles[numbers]]  # [F', 3, 3]
    first = np.floor((corners[:, :, 0].min(1) - low[0]) / step).astype(np.int64).clip(0, len(x))
    last = np.ceil((corners[:, :, 0].max(1) - low[0]) / step).astype(np.int64).clip(0, len(x))
    top = np.floor((high[1] - corners[:, :, 1].max(1)) / step).astype(np.int64).clip(0, len(y))
    bottom = np.ceil((high[1] - corners[:, :, 1].min(1)) / step).astype(np.int64).clip(0, len(y))
    wide = last - first
    count = wide * (bottom - top)
    if count.sum() > _MOST_CANDIDATES:
        raise ValueError("the window is too fine for the mesh")
    which = np.repeat(np.arange(len(numbers)), count)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    column = first[which] + place % np.maximum(wide[which], 1)
    row = top[which] + place // np.maximum(wide[which], 1)
    a, b, c = (corners[which, i] for i in range(3))
    px, py = x[column], y[row]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    sound = np.abs(area) > 1e-14
    area = np.where(sound, area, 1.0)
    v = ((px - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (py - a[:, 1])) / area
    w = ((b[:, 0] - a[:, 0]) * (py - a[:, 1]) - (px - a[:, 0]) * (b[:, 1] - a[:, 1])) / area
    inside = sound & (v >= -1e-9) & (w >= -1e-9) & (v + w <= 1 + 1e-9)
    depth = (a[:, 2] + v * (b[:, 2] - a[:, 2]) + w * (c[:, 2] - a[:, 2]))[inside]
    order = np.argsort(depth, kind="stable")  # the nearest is written last and stays
    ids = np.full(len(x) * len(y), -1, np.int64)
    ids[(row * len(x) + column)[inside][order]] = numbers[which[inside][order]]
    return FrontView(ids.reshape(len(y), len(x)), x, y)


def _overlaps(points, triangles, low, high):
    """True for triangles whose box meets the box from low to high, [F]."""
    below, above = (points < low).any(1), (points > high).any(1)
    if not (below.any() or above.any()):
        return np.ones(len(triangles), bool)
    out = np.zeros(len(triangles), bool)
    for axis in range(points.shape[1]):  # outside if all corners lie beyond one side
        out |= (points[:, axis] < low[axis])[triangles].all(1) | (points[:, axis] > high[axis])[
            triangles
        ].all(1)
    return ~out


def spots_seen(
    points: np.ndarray, triangles: np.ndarray, which: np.ndarray, x: np.ndarray, y: np.ndarray
) -> Spots:
    """The points of the triangles `which` [K] that lie at x, y [K] in the front view."""
    a, b, c = (points[triangles[which, i], :2] for i in range(3))
    area = (b - a)[:, 0] * (c - a)[:, 1] - (c - a)[:, 0] * (b - a)[:, 1]
    area = np.where(np.abs(area) > 1e-14, area, 1e-14)
    v = ((x - a[:, 0]) * (c - a)[:, 1] - (c - a)[:, 0] * (y - a[:, 1])) / area
    w = ((b - a)[:, 0] * (y - a[:, 1]) - (x - a[:, 0]) * (b - a)[:, 1]) / area
    shares = np.clip(np.stack([1 - v - w, v, w], 1), 0, 1)
    return Spots(triangles[which], shares / shares.sum(1, keepdims=True))


def nearest_spots(
    queries: np.ndarray, points: np.ndarray, triangles: np.ndarray, tries: int = 24
) -> tuple[Spots, np.ndarray]:
    """The nearest point of a mesh to each of the queries [K, 3], and its distance [K] in metres.

    Exact among the `tries` triangles whose middles are nearest.
    """
    low, high = queries.min(0), queries.max(0)
    margin = 0.25 * np.linalg.norm(high - low)  # mesh points beyond it are nearest to no query
    close = triangles[_overlaps(points, triangles, low - margin, high + margin)]
    triangles = close if len(close) >= tries else triangles
    middles = points[triangles].mean(1).astype(np.float32)
    queries32 = queries.astype(np.float32)
    tries = min(tries, len(triangles))
    near = np.empty((len(queries), tries), np.int64)
    for start in range(0, len(queries), 512):
        block = slice(start, start + 512)
        distance = distances(queries32[block], middles)
        near[block] = np.argpartition(distance, tries - 1, axis=1)[:, :tries]
    corners = points[triangles[near]]  # [K, tries, 3 corners, 3]
    shares = _nearest_shares(queries[:, None], corners)
    points_on = (shares[..., None] * corners).sum(2)
    distance = np.linalg.norm(points_on - queries[:, None], axis=2)
    best = distance.argmin(1)
    rows = np.arange(len(queries))
    return Spots(triangles[near[rows, best]], shares[rows, best]), distance[rows, best]


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances [A, B] of points [A, 3] and [B, 3]."""
    middle = b.mean(0)  # about a common middle no digits are lost
    a, b = a - middle, b - middle
    return (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T


def _nearest_shares(query, corners):
    """Barycentric shares of the points of triangles [..., 3, 3] that are nearest to queries [...,
    3]."""
    a, b, c = (corners[..., i, :] for i in range(3))
    ab, ac, aq = b - a, c - a, query - a
    d00, d01, d11 = (ab * ab).sum(-1), (ab * ac).sum(-1), (ac * ac).sum(-1)
    d20, d21 = (aq * ab).sum(-1), (aq * ac).sum(-1)
    det = d00 * d11 - d01 * d01
    sound = det > 1e-20
    det = np.where(sound, det, 1.0)
    v, w = (d11 * d20 - d01 * d21) / det, (d00 * d21 - d01 * d20) / det
    inside = sound & (v >= 0) & (w >= 0) & (v + w <= 1)
    best = np.stack([1 - v - w, v, w], -1)
    least = np.where(
        inside, ((best[..., None] * corners).sum(-2) - query).__pow__(2).sum(-1), np.inf
    )
    for i, j in ((0, 1), (1, 2), (2, 0)):
        start, side = corners[..., i, :], corners[..., j, :] - corners[..., i, :]
        length = (side * side).sum(-1)
        t = np.clip(((query - start) * side).sum(-1) / np.where(length > 0, length, 1.0), 0, 1)
        squared = ((start + t[..., None] * side - query) ** 2).sum(-1)
        closer = squared < least
        shares = np.zeros(best.shape)
        shares[..., i], shares[..., j] = 1 - t, t
        best, least = np.where(closer[..., None], shares, best), np.where(closer, squared, least)
    return best


def pieces(count: int, triangles: np.ndarray) -> np.ndarray:
    """Number of the connected piece that each of count vertices belongs to, [V]."""
    label = np.arange(count)
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]]])
    while True:  # labels run to the smallest of their piece, in doubling steps
        low = np.minimum(label[edges[:, 0]], label[edges[:, 1]])
        new = label.copy()
        np.minimum.at(new, edges[:, 0], low)
        np.minimum.at(new, edges[:, 1], low)
        new = new[new]
        if np.array_equal(new, label):
            return label
        label = new


def normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Outward unit normals of the vertices, [V, 3]; zero where a vertex has no triangle."""
    corners = points[triangles]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros(points.shape)
    for i in range(3):
        np.add.at(total, triangles[:, i], face)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-20)
