# SPDX-License-Identifier: GPL-3.0-or-later
"""A small mesh under construction: vertices found by key, so that left and right are exact
mirrors."""

import numpy as np

from thunder_core.filters import smoothstep

MATERIALS = (
    "Skin",
    "Lips",
    "Mouth",
    "Gums",
    "Teeth",
    "Tongue",
    "Eye White",
    "Iris",
    "Pupil",
    "Brows",
    "Limbus",
    "Mouth Lining",
    "Back Teeth",
    "Back Tongue",
    "Eye White Above",
    "Eye Tear",
    "Side Teeth",
)
COLORS = (
    (0.76, 0.48, 0.36, 1.0),
    (0.58, 0.25, 0.22, 1.0),
    (0.17, 0.045, 0.04, 1.0),
    (0.46, 0.16, 0.15, 1.0),
    (0.70, 0.65, 0.54, 1.0),
    (0.58, 0.185, 0.19, 1.0),
    (0.70, 0.68, 0.655, 1.0),
    (0.10, 0.19, 0.21, 1.0),
    (0.004, 0.004, 0.004, 1.0),
    (0.095, 0.058, 0.040, 1.0),
    (0.050, 0.066, 0.072, 1.0),
    (0.58, 0.23, 0.21, 1.0),
    # in the shade of the lips and the mouth, which the solid view does not cast
    (0.113, 0.088, 0.069, 1.0),
    (0.26, 0.07, 0.07, 1.0),
    (0.44, 0.42, 0.41, 1.0),  # in the shade of the lid
    (0.74, 0.62, 0.58, 1.0),
    (0.48, 0.425, 0.34, 1.0),
)


class Mesh:
    """Vertices by key, polygons by keys; every key carries its part ("skin", "teeth_upper", …)."""

    def __init__(self):
        self.index, self.keys, self.points, self.parts = {}, [], [], []
        self.polygons, self.materials = [], []

    def add(self, key, point, part):
        self.index[key] = len(self.keys)
        self.keys.append(key)
        self.points.append(np.asarray(point, float))
        self.parts.append(part)

    def face(self, keys, material):
        """One quad or triangle, counter-clockwise seen from outside; repeated vertices are
        dropped."""
        ids = []
        for key in keys:
            i = self.index[key]
            if i not in ids:
                ids.append(i)
        self.polygons.append(ids if len(ids) == 4 else ids + [-1])
        self.materials.append(MATERIALS.index(material))

    def rings(self, ring_keys, material, closed=True):
        """Quads between consecutive rings of keys (lists of equal length), outermost ring first."""
        for a, b in zip(ring_keys[:-1], ring_keys[1:]):
            n = len(a)
            for k in range(n if closed else n - 1):
                m = (k + 1) % n
                self.face((a[k], a[m], b[m], b[k]), material)


def around(rows, first, last):
    """(row, column) of the grid's vertices about a block of it, from the middle of its last column
    over its first row, back to the first column and under it."""
    middle = len(rows) // 2
    places = [(row, last) for row in rows[middle:0:-1]]
    places += [(rows[0], column) for column in range(last, first, -1)]
    places += [(row, first) for row in rows[:-1]]
    places += [(rows[-1], column) for column in range(first, last)]
    return places + [(row, last) for row in rows[:middle:-1]]


def edges(polygons):
    """Edges of quads-or-triangles, each both ways, in order: two arrays of vertex ids."""
    pairs = set()
    for polygon in polygons:
        ids = [i for i in polygon if i >= 0]
        for a, b in zip(ids, ids[1:] + ids[:1]):
            pairs |= {(a, b), (b, a)}
    return np.array(sorted(pairs)).T


def triangulate(polygons):
    """Triangles [F, 3] of quads-or-triangles [P, 4]."""
    quads = polygons[:, 3] >= 0
    first = polygons[:, :3]
    second = polygons[quads][:, [0, 2, 3]]
    return np.concatenate([first, second]).astype(np.int32)


def smooth_step(a, b, x):
    """0 up to a, 1 from b on, eased between."""
    return smoothstep(np.clip((x - a) / (b - a), 0.0, 1.0))


def bump(p, centre, radii):
    """Smooth compact hill [n] of height 1: (1 − d²)³ inside the ellipsoid, exactly 0 outside."""
    q = (p - np.asarray(centre, float)) / np.asarray(radii, float)
    return np.maximum(1.0 - (q * q).sum(1), 0.0) ** 3
