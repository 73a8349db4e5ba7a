# SPDX-License-Identifier: GPL-3.0-or-later
"""The nose: its midline, bridge, tip, wings and nostrils as a small table over the skin's grid."""

from __future__ import annotations

import numpy as np

# Row of the grid → points (x, y, z) of columns 0, 1, 2, 3 and 4, which is in the crease beside the wing.
_TABLE = {
    10: ((0, 12.0, 90.0), (4.8, 12.0, 89.2)),
    11: ((0, 6.5, 87.8), (5.0, 6.5, 86.5)),
    12: ((0, 1.0, 88.9), (4.9, 1.0, 86.9)),
    13: ((0, -4.5, 91.8), (5.0, -4.5, 89.4)),
    14: ((0, -10.0, 94.9), (5.2, -10.0, 92.4)),
    15: ((0, -15.5, 98.3), (5.3, -15.4, 95.7)),
    16: ((0, -21.0, 101.8), (5.2, -20.8, 99.3), (8.6, -20.4, 92.4)),
    17: ((0, -26.5, 105.2), (5.1, -26.1, 102.8), (8.6, -25.6, 95.6), (13.2, -25.2, 88.6)),
    18: ((0, -31.6, 108.6), (5.0, -31.2, 106.8), (8.6, -30.2, 99.4), (13.0, -29.8, 90.0), (17.6, -29.6, 85.0)),
    19: ((0, -36.0, 111.2), (4.4, -35.6, 109.6), (8.7, -34.8, 101.8), (15.8, -34.8, 93.8), (18.8, -35.2, 86.0)),
    20: ((0, -40.2, 110.4), (4.2, -39.8, 108.6), (9.2, -38.4, 102.8), (17.6, -39.0, 96.0), (19.8, -40.4, 86.6)),
    21: ((0, -44.2, 107.2), (3.7, -43.6, 105.6), (7.8, -41.4, 102.8), (16.4, -43.4, 95.2), (19.4, -45.0, 87.0)),
    22: ((0, -46.6, 102.4), (3.0, -46.0, 101.6), (7.4, -33.5, 97.0), (14.6, -46.8, 93.0), (17.8, -48.2, 88.2)),
    23: ((0, -47.8, 97.2), (3.6, -47.4, 96.8), (7.8, -47.4, 95.2), (11.8, -48.4, 92.4), (15.6, -50.2, 89.8)),
}
POLE = (22, 2)  # row and column of the nostril's end
_RIM = ((21, 1), (21, 2), (21, 3), (22, 3), (23, 3), (23, 2), (23, 1), (22, 1))
_INSIDE = ((0.27, 0.5), (0.36, 4.5))  # the nostril's rings: share of the way from its rim to its middle, and how far up [mm]


def add_nostrils(mesh):
    """Add the rings between the rim of each nostril and its end, after the skin has its final points."""
    for side in (1, -1):
        rim = [("g", row, side * column) for row, column in _RIM]
        points = np.array([mesh.points[mesh.index[key]] for key in rim])
        rings = [rim]
        for ring, (share, up) in enumerate(_INSIDE):
            rings.append([("nostril", side, ring, k) for k in range(len(rim))])
            for key, point in zip(rings[-1], points + share * (points.mean(0) - points) + [0, up, 0]):
                mesh.add(key, point, "skin")
        mesh.rings([ring[::-1] for ring in rings] if side > 0 else rings, "Skin")
        inner, end = rings[-1], ("g", POLE[0], side * POLE[1])
        for k in range(0, len(inner), 2):
            quad = (end, inner[k - 1], inner[k], inner[k + 1])
            mesh.face(quad[::-1] if side > 0 else quad, "Skin")


def points():
    """Grid key → point [3], millimetres, of every vertex of the nose, both sides."""
    table = {}
    for row, columns in _TABLE.items():
        for column, (x, y, z) in enumerate(columns):
            table[("g", row, column)] = np.array([x, y, z], float)
            table[("g", row, -column)] = np.array([-x, y, z], float)
    return table
