# SPDX-License-Identifier: GPL-3.0-or-later
"""The nose: its midline, bridge, tip, wings and nostrils as a small table over the skin's grid."""

from __future__ import annotations

import numpy as np

from .form import surface_z

# Row of the grid → points (x, y, z) of columns 0, 1, 2, 3, 4; z None: in the crease next to it.
_TABLE = {
    10: ((0, 12.0, 88.7), (4.6, 12.0, 87.9)),
    11: ((0, 6.5, 88.1), (4.2, 6.5, 86.7)),
    12: ((0, 1.0, 88.8), (4.0, 1.0, 86.6)),
    13: ((0, -4.5, 91.0), (4.0, -4.5, 88.5)),
    14: ((0, -10.0, 94.1), (4.1, -10.0, 91.4)),
    15: ((0, -15.5, 97.7), (4.2, -15.4, 94.9)),
    16: ((0, -21.0, 101.5), (4.5, -20.8, 98.8), (8.4, -20.4, 92.8)),
    17: ((0, -26.5, 105.2), (4.9, -26.0, 102.8), (9.0, -25.4, 96.2), (13.0, -25.0, 89.6)),
    18: ((0, -31.4, 108.8), (5.4, -30.8, 107.0), (9.9, -29.8, 99.6), (15.4, -29.4, 93.2), (18.8, -29.8, None)),
    19: ((0, -35.8, 110.8), (6.1, -35.2, 109.2), (10.6, -34.0, 101.6), (18.0, -33.8, 97.2), (20.6, -34.4, None)),
    20: ((0, -39.6, 110.0), (6.1, -39.2, 108.2), (11.0, -37.4, 102.4), (19.2, -38.8, 97.6), (21.4, -39.6, None)),
    21: ((0, -42.6, 106.8), (4.8, -42.4, 105.2), (11.4, -39.8, 102.4), (18.6, -43.2, 96.4), (20.8, -44.6, None)),
    22: ((0, -44.8, 101.8), (3.0, -44.4, 100.8), (9.0, -34.0, 95.4), (15.4, -46.0, 93.8), (18.6, -47.6, None)),
    23: ((0, -46.8, 97.0), (3.6, -46.4, 96.6), (8.4, -45.6, 94.6), (13.0, -48.2, 91.6), (16.4, -49.8, None)),
}


def points():
    """Grid key → point [3], millimetres, of every vertex of the nose, both sides."""
    table = {}
    for row, columns in _TABLE.items():
        for column, (x, y, z) in enumerate(columns):
            if z is None:
                z = surface_z(np.array([float(x)]), np.array([float(y)]))[0] - 2.2
            table[("g", row, column)] = np.array([x, y, z], float)
            table[("g", row, -column)] = np.array([-x, y, z], float)
    return table
