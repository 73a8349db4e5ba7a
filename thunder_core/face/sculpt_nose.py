# SPDX-License-Identifier: GPL-3.0-or-later
"""The nose: its midline, bridge, tip, wings and nostrils as a small table over the skin's grid."""

from __future__ import annotations

import numpy as np

from .sculpt_form import surface_z

# Row of the grid → points (x, y, z) of columns 0, 1, 2, 3, 4; z None lies on the face without a nose.
_TABLE = {
    10: ((0, 12.0, 88.4), (4.4, 12.0, 87.6)),
    11: ((0, 6.5, 87.3), (4.3, 6.5, 86.1)),
    12: ((0, 1.0, 87.5), (4.2, 1.0, 85.8)),
    13: ((0, -4.5, 89.0), (4.1, -4.5, 87.0)),
    14: ((0, -10.0, 91.6), (4.1, -10.0, 89.6)),
    15: ((0, -15.3, 94.7), (4.1, -15.2, 92.8)),
    16: ((0, -20.6, 98.1), (4.1, -20.4, 96.3), (8.0, -20.2, 91.4)),
    17: ((0, -26.0, 101.5), (4.2, -25.7, 99.7), (8.2, -25.2, 94.6), (12.3, -25.0, 88.6), (17.6, -25.0, None)),
    18: ((0, -31.3, 104.7), (4.6, -31.0, 103.0), (8.7, -30.4, 97.6), (12.8, -30.0, 91.2), (17.8, -30.3, None)),
    19: ((0, -36.2, 106.8), (5.0, -35.8, 105.2), (9.4, -35.0, 99.8), (14.2, -34.6, 93.4), (18.2, -35.4, None)),
    20: ((0, -40.6, 107.0), (5.3, -40.2, 105.2), (10.2, -39.6, 99.6), (15.8, -39.2, 93.4), (18.7, -40.6, None)),
    21: ((0, -44.4, 104.2), (5.0, -44.2, 102.6), (10.6, -44.0, 98.4), (16.3, -43.6, 92.8), (18.8, -44.6, None)),
    22: ((0, -46.4, 99.6), (3.6, -46.2, 98.8), (8.2, -44.2, 95.0), (14.8, -46.2, 91.6), (18.0, -47.4, None)),
    23: ((0, -48.0, 95.2), (3.5, -47.8, 94.8), (8.4, -46.4, 92.4), (13.2, -47.9, 90.0), (16.4, -49.4, None)),
}


def points():
    """Grid key → point [3], millimetres, of every vertex of the nose, both sides."""
    table = {}
    for row, columns in _TABLE.items():
        for column, (x, y, z) in enumerate(columns):
            if z is None:
                z = surface_z(np.array([float(x)]), np.array([float(y)]), nose=False)[0] + 0.4
            table[("g", row, column)] = np.array([x, y, z], float)
            table[("g", row, -column)] = np.array([-x, y, z], float)
    return table
