# SPDX-License-Identifier: GPL-3.0-or-later
"""The nose: its midline, bridge, tip, wings and nostrils as a small table over the skin's grid."""

from __future__ import annotations

import numpy as np

from .form import surface_z

# Row of the grid → points (x, y, z) of columns 0, 1, 2, 3, 4; z None lies in the crease beside it.
_TABLE = {
    10: ((0, 12.0, 88.7), (4.6, 12.0, 87.9)),
    11: ((0, 6.5, 88.1), (4.2, 6.5, 86.7)),
    12: ((0, 1.0, 88.8), (4.0, 1.0, 86.6)),
    13: ((0, -4.5, 91.0), (4.0, -4.5, 88.5)),
    14: ((0, -10.0, 94.1), (4.1, -10.0, 91.4)),
    15: ((0, -15.5, 97.7), (4.2, -15.4, 94.9)),
    16: ((0, -21.0, 101.5), (4.5, -20.8, 98.8), (8.4, -20.4, 92.8)),
    17: ((0, -26.5, 105.2), (4.9, -26.0, 102.8), (9.0, -25.4, 96.2), (13.0, -25.0, 89.6)),
    18: ((0, -31.6, 108.6), (5.4, -31.0, 106.8), (9.9, -30.0, 99.6), (15.0, -29.6, 92.8), (18.6, -30.2, None)),
    19: ((0, -36.2, 110.4), (5.9, -35.8, 108.8), (10.2, -34.6, 101.2), (17.2, -34.0, 96.2), (19.9, -34.4, None)),
    20: ((0, -40.4, 109.6), (5.9, -40.2, 108.0), (10.6, -38.4, 101.8), (18.2, -38.4, 96.6), (20.6, -39.6, None)),
    21: ((0, -44.0, 106.4), (5.0, -43.8, 104.6), (10.6, -41.0, 102.0), (17.8, -42.2, 95.8), (20.2, -44.0, None)),
    22: ((0, -46.2, 101.6), (3.2, -45.8, 100.4), (9.2, -36.4, 95.0), (15.2, -44.2, 93.2), (18.2, -47.0, None)),
    23: ((0, -47.6, 97.2), (3.8, -47.2, 96.6), (8.6, -45.2, 94.6), (13.2, -47.6, 91.6), (16.6, -49.2, None)),
}


def points():
    """Grid key → point [3], millimetres, of every vertex of the nose, both sides."""
    table = {}
    for row, columns in _TABLE.items():
        for column, (x, y, z) in enumerate(columns):
            if z is None:
                z = surface_z(np.array([float(x)]), np.array([float(y)]))[0] - 1.8
            table[("g", row, column)] = np.array([x, y, z], float)
            table[("g", row, -column)] = np.array([-x, y, z], float)
    return table
