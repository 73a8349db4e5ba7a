# SPDX-License-Identifier: GPL-3.0-or-later
"""Fairing: the skin and what moves it without bumps and creases, by the smallest bending that stays
near what was sculpted.

Lips, lids and the rest stay where they are; the skin bends into them without a crease. Ears are
faired finely at rest, most where they have grown to the cheek, and stay where they are in keys.
"""

import numpy as np
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import splu

from . import ears
from .form import EYE
from .mesh import bump, smooth_step, triangulate

_FACE, _HEAD = 6.0, 9.0  # size of the bumps that are taken out, millimetres
_TRACE = 0.04  # movement that is none, millimetres
# Where finer forms stay, left side: centre, radii, size.
_FINE = (
    ((0, -39, 104), (20, 17, 26), 0.8),  # tip of the nose
    ((0, -8, 92), (18, 34, 30), 3.4),  # its bridge
    ((31, 2, 70), (24, 15, 40), 2.5),  # about the eyes
    ((74, -18, -4), (20, 46, 34), 8.0),  # before the ears
    ((0, -54, 97), (9, 8, 20), 2.8),  # philtrum
    ((31, -54, 82), (16, 12, 22), 14.0),  # not between the wing and the lip
    ((42, -74, 72), (18, 17, 26), 12.0),  # nor behind the corner of the mouth
    ((31, -40, 82), (13, 23, 24), 12.0),  # nor beside the wing
    ((17, -38, 88), (13, 16, 20), 0.8),  # its wing and the crease about it
    ((0, -111, 78), (34, 18, 50), 8.0),  # the chin is round
)  # fmt: skip


class Fairing:
    """Smooths positions or displacements [V, 3] of a mesh's skin; built once for a mesh, whose
    points give the distances.

    sizes, a number or [V]: how coarse it is, relative to the sculptor's.  with_ears: ears too.
    """

    def __init__(self, clay, sizes=1.0, with_ears=False):
        p, n = clay.points, len(clay.points)
        skin = np.isin(clay.part, ("skin", "lid", "lips", "ear"))
        rim = np.zeros(n, bool)
        rim[[i for key, i in clay.index.items() if key[0] == "g" and key[1] >= 58]] = True
        self.free = np.flatnonzero(
            np.isin(clay.part, ("skin", "lid", "ear") if with_ears else ("skin", "lid"))
            & (clay.ring < 2)
            & _may_bend_at_the_eye(clay)
            & ~rim
        )
        triangles = triangulate(np.array(clay.polygons))
        quads = np.array([polygon for polygon in clay.polygons if polygon[3] >= 0])
        other = np.concatenate([quads[:, [1, 2, 3]], quads[:, [1, 3, 0]]])
        triangles = np.concatenate([triangles, other])
        triangles = triangles[skin[triangles].all(1)]
        bend, area = _bending(p, triangles)
        own = np.zeros(n, bool)
        own[self.free] = True
        own |= (clay.ring >= 2) & (clay.ring < 3)  # the lips' border continues the skin
        rows = diags(np.where(own, 1 / np.sqrt(np.maximum(area, 1e-6)), 0.0))
        energy = (bend.T @ rows @ rows @ bend).tocsr()
        self.near = np.maximum(area, 1e-6)[self.free] / (sizes * _size(clay))[self.free] ** 4
        held = np.setdiff1d(np.arange(n), self.free)
        self.held = held[skin[held]]
        of_free = energy[self.free]
        self.towards = of_free[:, self.held]
        self.solve = splu((of_free[:, self.free] + diags(self.near)).tocsc()).solve

    def __call__(self, values):
        """Values [V, 3] with the free skin's made smooth."""
        values = values.copy()
        values[self.free] = self.solve(
            self.near[:, None] * values[self.free] - self.towards @ values[self.held]
        )
        return values

    def field(self, moved):
        """Displacements [V, 3] made smooth, and still where only traces are left."""
        smooth = self(moved)
        smooth[self.free] *= smooth_step(
            _TRACE, 2 * _TRACE, np.linalg.norm(smooth[self.free], axis=1)
        )[:, None]
        return smooth


def _may_bend_at_the_eye(clay):
    """The skin about the eyes, under them up to the lid's own."""
    return clay.lid_ring < np.where(clay.points[:, 1] < EYE[1] - 1.5, 3.0, 1.5)


def _size(clay):
    """Size [V] of the bumps that are taken out."""
    p = clay.points
    sides = p * [[[1, 1, 1]], [[-1, 1, 1]]]
    size = _HEAD + (_FACE - _HEAD) * np.clip((p[:, 2] - 10) / 40, 0, 1)
    for centre, radii, fine in _FINE:
        share = np.minimum(2.5 * bump(sides.reshape(-1, 3), centre, radii).reshape(2, -1).max(0), 1)
        size = size + share * (fine - size)
    return np.where(clay.part == "ear", ears.softness(clay.index, len(p)), size)


def _bending(p, triangles):
    """The cotangent Laplacian of the triangles as a sparse matrix [V, V], and the area of every
    vertex [V]."""
    n, rows, columns, values = len(p), [], [], []
    area = np.zeros(n)
    for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        i, j, k = triangles[:, a], triangles[:, b], triangles[:, c]
        left, right = p[i] - p[k], p[j] - p[k]
        twice = np.linalg.norm(np.cross(left, right), axis=1)
        cot = 0.25 * np.clip((left * right).sum(1) / np.maximum(twice, 1e-9), -1.0, 4.0)
        rows += [i, j, i, j]
        columns += [j, i, i, j]
        values += [cot, cot, -cot, -cot]
        np.add.at(area, i, twice / 12)
    matrix = coo_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (n, n)
    )
    return matrix.tocsr(), area


def faired(clay):
    """Points [V, 3] of the whole mesh with its skin made smooth."""
    p = Fairing(clay, with_ears=True)(clay.points)
    return 0.5 * (p + p[clay.mirror] * [-1, 1, 1])
