# SPDX-License-Identifier: GPL-3.0-or-later
"""The nose: its bridge, tip, wings and nostrils as a small table over the skin's grid."""

from __future__ import annotations

import numpy as np

from .form import distance

# Row of the grid → points (x, y, z) of columns 0 to 6: 0 is the nose's middle, 4 the wing, 5 the
# crease behind it. The bridge, rows up to 16, lies on the form, the rest is as drawn here.
_TABLE = {
    10: ((0, 12.0, 90.0), (4.8, 12.0, 89.2)),
    11: ((0, 6.5, 87.8), (4.8, 6.5, 86.5)),
    12: ((0, 1.0, 88.9), (4.0, 1.0, 86.9)),
    13: ((0, -4.5, 91.8), (4.0, -4.5, 89.4)),
    14: ((0, -10.0, 95.2), (4.6, -10.0, 92.7)),
    15: ((0, -15.5, 98.8), (4.7, -15.4, 96.2)),
    16: ((0, -21.0, 102.3), (4.3, -20.8, 99.8), (9.0, -20.4, 93.5)),
    17: ((0, -24.9, 105.1), (4.2, -24.5, 102.7), (8.3, -24.2, 96.2), (12.7, -23.9, 90.6)),
    17.5: (
        (0, -26.8, 106.4),
        (4.4, -26.5, 104.3),
        (8.5, -26.2, 98.2),
        (12.0, -25.8, 92.6),
        (15.9, -25.4, 87.0),
    ),
    18: (
        (0, -28.8, 107.4),
        (4.6, -28.4, 105.5),
        (8.7, -28.2, 99.5),
        (11.4, -27.6, 94.2),
        (14.2, -27.0, 89.8),
        (17.6, -27.2, 85.0),
    ),
    18.5: (
        (0, -31.5, 108.8),
        (4.8, -31.0, 107.2),
        (8.8, -30.7, 101.3),
        (11.2, -29.8, 95.6),
        (13.6, -29.6, 91.0),
        (16.4, -29.6, 85.6),
    ),
    19: (
        (0, -33.9, 109.7),
        (4.8, -33.5, 108.3),
        (8.7, -33.0, 102.5),
        (11.8, -31.8, 96.6),
        (14.6, -31.4, 90.9),
        (16.1, -31.4, 84.9),
        (21.0, -31.8, 83.4),
    ),
    19.5: (
        (0, -36.7, 109.7),
        (4.6, -36.1, 108.4),
        (8.3, -35.4, 102.9),
        (12.9, -33.9, 98.2),
        (16.1, -33.6, 91.0),
        (16.4, -33.6, 84.0),
        (21.3, -34.8, 83.4),
    ),
    20: (
        (0, -39.9, 109.1),
        (4.3, -38.9, 107.7),
        (7.8, -37.7, 102.9),
        (13.3, -36.0, 98.6),
        (17.4, -36.4, 91.2),
        (17.0, -36.6, 82.9),
        (21.9, -37.8, 83.8),
    ),
    20.5: (
        (0, -42.9, 107.5),
        (3.9, -41.9, 106.1),
        (7.2, -39.7, 102.5),
        (13.1, -38.0, 98.6),
        (17.6, -39.4, 91.6),
        (17.2, -39.8, 82.7),
        (22.2, -40.8, 84.0),
    ),
    21: (
        (0, -45.5, 104.8),
        (3.6, -45.1, 103.4),
        (6.8, -41.9, 102.2),
        (11.6, -41.2, 98.6),
        (17.2, -43.0, 91.8),
        (17.0, -43.0, 82.9),
        (22.1, -43.8, 84.2),
    ),
    22: (
        (0, -46.9, 100.4),
        (3.6, -46.6, 99.0),
        (6.8, -28.0, 94.5),
        (13.2, -43.7, 94.6),
        (16.2, -46.3, 91.0),
        (16.4, -46.2, 83.5),
        (21.9, -47.0, 85.0),
    ),
    23: (
        (0, -47.8, 95.6),
        (4.6, -47.5, 94.9),
        (7.4, -47.2, 93.0),
        (11.0, -46.0, 91.4),
        (12.5, -47.2, 85.4),
        (16.3, -48.2, 84.5),
        (24.2, -51.4, 86.0),
    ),
}
BETWEEN = (17.5, 18.5, 19.5, 20.5)  # rows in the middle between two others
_LAST_ON_FORM = 16
_MIDDLE = 80.0  # depth of the line in the bridge's middle, millimetres
POLE = (22, 2)  # row and column of the nostril's end
_RIM = ((21, 1), (21, 2), (21, 3), (22, 3), (23, 3), (23, 2), (23, 1), (22, 1))
# the nostril's rings: share of the way from its rim to its middle, how far up and back [mm]
_INSIDE = ((0.1, 1.6, 0.3), (0.2, 8.5, 2.0))


def add_nostrils(mesh):
    """Add the rings between the rim of each nostril and its end, after the skin has its final
    points."""
    for side in (1, -1):
        rim = [("g", row, side * column) for row, column in _RIM]
        points = np.array([mesh.points[mesh.index[key]] for key in rim])
        rings = [rim]
        for ring, (share, up, back) in enumerate(_INSIDE):
            rings.append([("nostril", side, ring, k) for k in range(len(rim))])
            for key, point in zip(
                rings[-1], points + share * (points.mean(0) - points) + [0, up, -back]
            ):
                mesh.add(key, point, "skin")
        mesh.rings([ring[::-1] for ring in rings] if side > 0 else rings, "Skin")
        inner, end = rings[-1], ("g", POLE[0], side * POLE[1])
        for k in range(0, len(inner), 2):
            quad = (end, inner[k - 1], inner[k], inner[k + 1])
            mesh.face(quad[::-1] if side > 0 else quad, "Skin")


def points():
    """Grid key → point [3], millimetres, of every vertex of the nose, both sides."""
    found = {
        ("g", row, column): np.array(point, float)
        for row, columns in _TABLE.items()
        for column, point in enumerate(columns)
    }
    bridge = [key for key in found if key[1] <= _LAST_ON_FORM]
    found |= dict(zip(bridge, _away_from_the_middle(np.array([found[key] for key in bridge]))))
    found = {key: point * [key[2] != 0, 1, 1] for key, point in found.items()}
    return found | {
        ("g", row, -column): point * [-1, 1, 1]
        for (_, row, column), point in found.items()
        if column
    }


def _away_from_the_middle(seeds):
    """Points [n, 3] of the form at the seeds' heights, in their directions from the line in the
    nose's middle."""
    middle = seeds * [0, 1, 0] + [0, 0, _MIDDLE]
    away = (seeds - middle) / np.linalg.norm(seeds - middle, axis=1)[:, None]
    reach = np.arange(44.0, 0.0, -0.25)
    outside = distance((middle[:, None] + reach[:, None] * away[:, None]).reshape(-1, 3)).reshape(
        len(seeds), -1
    )
    first = (outside < 0).argmax(1)
    row = np.arange(len(seeds))
    a, b = outside[row, first - 1], outside[row, first]
    return middle + (reach[first - 1] - 0.25 * a / (a - b))[:, None] * away
