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
    17: ((0, -24.9, 105.0), (4.4, -24.5, 103.0), (9.4, -24.2, 96.4), (14.0, -23.9, 89.6)),
    17.5: (
        (0, -26.8, 106.3),
        (4.8, -26.5, 104.6),
        (9.6, -26.2, 97.8),
        (13.4, -25.8, 90.6),
        (17.2, -25.4, 84.8),
    ),
    18: (
        (0, -28.8, 107.8),
        (5.2, -28.4, 106.3),
        (10.0, -28.2, 99.5),
        (13.0, -27.6, 91.9),
        (16.4, -27.0, 85.4),
        (20.6, -27.2, 81.8),
    ),
    18.5: (
        (0, -30.9, 109.4),
        (5.5, -30.4, 107.8),
        (10.4, -30.2, 101.2),
        (12.6, -29.6, 93.0),
        (15.2, -29.2, 85.8),
        (19.0, -29.2, 82.6),
    ),
    19: (
        (0, -33.2, 110.1),
        (5.6, -32.8, 108.9),
        (10.7, -32.4, 102.4),
        (12.9, -31.6, 94.6),
        (15.6, -31.2, 86.6),
        (17.8, -31.2, 83.6),
        (21.0, -31.8, 82.2),
    ),
    19.5: (
        (0, -35.8, 110.0),
        (5.6, -35.2, 109.0),
        (10.8, -34.8, 103.0),
        (14.5, -33.6, 96.8),
        (17.4, -33.8, 89.8),
        (16.4, -33.8, 84.4),
        (21.4, -34.8, 82.4),
    ),
    20: (
        (0, -38.6, 109.6),
        (5.3, -37.7, 108.3),
        (10.2, -37.4, 103.3),
        (15.1, -36.2, 97.4),
        (19.0, -36.4, 90.0),
        (16.4, -36.6, 83.4),
        (21.8, -37.8, 82.2),
    ),
    20.5: (
        (0, -41.2, 108.1),
        (4.9, -40.3, 106.9),
        (9.2, -39.9, 103.2),
        (14.8, -38.4, 98.0),
        (18.8, -39.4, 90.6),
        (16.0, -39.8, 83.2),
        (22.0, -40.8, 82.4),
    ),
    21: (
        (0, -43.5, 105.6),
        (4.4, -43.2, 103.6),
        (7.4, -41.8, 102.2),
        (11.6, -41.0, 98.4),
        (17.4, -43.0, 91.2),
        (16.0, -42.8, 85.0),
        (22.0, -43.8, 82.8),
    ),
    22: (
        (0, -45.4, 101.2),
        (3.6, -45.4, 99.6),
        (7.0, -28.0, 94.5),
        (13.3, -43.2, 94.6),
        (15.4, -46.2, 92.2),
        (15.4, -46.0, 86.0),
        (21.6, -47.0, 84.2),
    ),
    23: (
        (0, -46.8, 96.8),
        (4.6, -46.6, 96.0),
        (7.6, -46.8, 93.6),
        (11.9, -45.2, 92.6),
        (14.0, -47.8, 86.6),
        (18.2, -49.0, 85.4),
        (24.9, -51.4, 84.4),
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
