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
    14: ((0, -10.0, 94.9), (4.6, -10.0, 92.4)),
    15: ((0, -15.5, 98.3), (4.7, -15.4, 95.7)),
    16: ((0, -21.0, 101.8), (4.3, -20.8, 99.3), (9.0, -20.4, 93.5)),
    17: ((0, -24.9, 105.0), (4.2, -24.5, 103.0), (8.6, -24.2, 95.8), (13.4, -23.9, 89.0)),
    17.5: (
        (0, -26.8, 106.4),
        (4.4, -26.5, 104.7),
        (8.6, -26.2, 97.2),
        (12.4, -25.8, 90.2),
        (16.8, -25.4, 84.6),
    ),
    18: (
        (0, -28.8, 108.0),
        (4.6, -28.4, 106.6),
        (8.8, -28.2, 98.6),
        (11.6, -27.6, 91.0),
        (15.4, -27.0, 84.6),
        (20.6, -27.2, 81.6),
    ),
    18.5: (
        (0, -31.0, 109.5),
        (4.9, -30.5, 108.2),
        (9.0, -30.2, 100.2),
        (10.8, -29.8, 92.0),
        (13.8, -29.4, 84.4),
        (18.6, -29.2, 81.4),
    ),
    19: (
        (0, -33.4, 110.3),
        (5.0, -33.0, 109.4),
        (9.2, -32.5, 101.8),
        (11.7, -31.8, 94.6),
        (14.6, -31.2, 85.6),
        (16.8, -31.0, 81.8),
        (21.6, -31.8, 81.8),
    ),
    19.5: (
        (0, -36.2, 110.2),
        (5.0, -35.6, 109.4),
        (9.2, -34.9, 102.4),
        (14.6, -33.9, 97.6),
        (17.3, -33.6, 89.8),
        (17.0, -33.6, 81.4),
        (22.0, -34.8, 82.2),
    ),
    20: (
        (0, -39.2, 109.7),
        (4.7, -38.3, 108.6),
        (8.8, -37.6, 102.6),
        (15.3, -36.4, 98.2),
        (18.8, -36.6, 90.6),
        (17.7, -36.6, 80.9),
        (22.6, -37.8, 82.6),
    ),
    20.5: (
        (0, -41.9, 108.2),
        (4.2, -41.2, 107.1),
        (8.2, -40.2, 102.6),
        (14.8, -39.2, 98.6),
        (19.2, -40.2, 91.4),
        (18.0, -39.8, 80.8),
        (22.9, -40.8, 82.8),
    ),
    21: (
        (0, -44.5, 105.6),
        (3.7, -44.1, 104.0),
        (7.0, -42.1, 102.4),
        (11.6, -42.4, 98.8),
        (18.4, -44.2, 91.8),
        (17.7, -43.2, 81.2),
        (22.8, -43.8, 83.0),
    ),
    22: (
        (0, -46.3, 101.2),
        (3.4, -46.0, 99.6),
        (7.0, -28.0, 94.5),
        (13.2, -45.0, 94.8),
        (16.6, -48.4, 91.6),
        (17.0, -46.8, 82.0),
        (22.6, -47.0, 83.8),
    ),
    23: (
        (0, -47.3, 96.8),
        (4.6, -47.1, 96.0),
        (7.6, -47.2, 93.4),
        (11.4, -46.4, 91.6),
        (12.8, -48.2, 85.0),
        (17.0, -49.4, 83.0),
        (24.9, -51.4, 84.8),
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
