# SPDX-License-Identifier: GPL-3.0-or-later
"""Joins vertices that a file doubles along seams and hard edges, as glTF does, so that a skin is
one again; numpy only."""

import numpy as np

from ..regions import pieces
from .surface import Surface

_SAME = 1e-6  # of a mesh's size: vertices so near each other are at one place
# cosine of the normals beside an edge at which a surface folds back on itself: only where so many
# of all edges are open, as those of a mesh that is shaded flat, and nothing else is there
_FOLD, _APART = -0.7, 0.9


def open_seams(points: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where open edges of a mesh run against each other at one place and its surface goes on:
    vertices [S, 2, 2] of the edges, of one and of the other, and their triangles [S, 2]."""
    size = np.ptp(points, axis=0).max() * _SAME
    spot = np.unique(np.round(points / size), axis=0, return_inverse=True)[1].ravel()
    start, end = triangles.ravel(), triangles[:, [1, 2, 0]].ravel()
    count = len(points)
    is_open = ~np.isin(start * count + end, end * count + start) & (spot[start] != spot[end])
    edges = np.stack([start, end], 1)[is_open]
    triangle = np.flatnonzero(is_open) // 3
    normals = _unit(Surface(points, triangles).corner_normals[triangle])
    # from an edge into its triangle
    inward = np.cross(normals, _unit(points[edges[:, 1]] - points[edges[:, 0]]))
    fold = np.inf if len(edges) < _APART * triangles.size else 2 * np.pi
    code, back = (spot[one] * count + spot[other] for one, other in (edges.T, edges.T[::-1]))
    order = code.argsort(kind="stable")
    first, last = (np.searchsorted(code[order], back, side) for side in ("left", "right"))
    least, partner = np.full(len(edges), np.inf), np.full(len(edges), -1)
    for step in range((last - first).max(initial=0)):
        has = np.flatnonzero(first + step < last)
        other = order[first[has] + step]
        ahead, in_ = ((each[has] * inward[other]).sum(1) for each in (inward, -normals))
        # through what the skin encloses: where shut lips touch, each joins its own inside
        angle = np.arctan2(in_, ahead) % (2 * np.pi) + np.where(-ahead < _FOLD, fold, 0.0)
        better = angle < least[has]
        least[has[better]], partner[has[better]] = angle[better], other[better]
    one = np.flatnonzero(partner >= 0)
    one = one[(partner[partner[one]] == one) & (one < partner[one])]
    both = np.stack([one, partner[one]], 1)
    return edges[both], triangle[both]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)


def join(count: int, seams: np.ndarray) -> np.ndarray:
    """Of count vertices those that they become where seams [S, 2, 2] are joined, [V]."""
    start, end = seams[:, 0].T
    other, another = seams[:, 1].T
    pairs = np.stack([np.r_[start, end], np.r_[another, other]], 1)
    return pieces(count, pairs[:, [0, 1, 1]])
