# SPDX-License-Identifier: GPL-3.0-or-later
"""The nose: its bridge, tip, wings and nostrils as a small table over the skin's grid."""

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
    16: ((0, -21.0, 102.0), (4.6, -20.8, 100.2), (9.6, -20.4, 94.3)),
    17: ((0, -24.9, 104.9), (4.7, -24.5, 103.2), (9.0, -24.2, 97.6), (13.4, -23.9, 90.8)),
    17.5: (
        (0, -26.8, 106.1),
        (4.9, -26.5, 104.7),
        (9.2, -26.2, 99.6),
        (12.8, -25.8, 93.4),
        (16.6, -25.4, 87.2),
    ),
    18: (
        (0, -28.8, 107.2),
        (5.1, -28.4, 105.9),
        (9.4, -28.2, 100.9),
        (12.6, -27.6, 95.2),
        (15.3, -27.0, 89.9),
        (18.6, -27.2, 85.9),
    ),
    18.5: (
        (0, -31.3, 108.6),
        (5.3, -30.8, 107.4),
        (9.6, -30.5, 102.5),
        (12.6, -29.8, 96.9),
        (15.2, -29.6, 91.6),
        (18.5, -29.6, 86.4),
    ),
    19: (
        (0, -33.7, 109.6),
        (5.3, -33.3, 108.5),
        (9.5, -32.8, 103.6),
        (13.1, -32.0, 98.0),
        (16.0, -31.8, 92.0),
        (18.4, -32.0, 86.1),
        (22.4, -32.2, 84.4),
    ),
    19.5: (
        (0, -36.3, 109.7),
        (5.1, -35.9, 108.5),
        (9.0, -35.4, 104.0),
        (13.6, -34.5, 98.8),
        (17.0, -34.4, 92.2),
        (18.4, -34.4, 85.0),
        (22.4, -35.2, 84.8),
    ),
    20: (
        (0, -39.1, 109.0),
        (4.8, -38.6, 107.8),
        (8.4, -37.8, 103.8),
        (13.7, -36.9, 99.0),
        (17.8, -37.2, 92.2),
        (18.3, -37.4, 83.4),
        (22.6, -38.2, 85.2),
    ),
    20.5: (
        (0, -41.8, 107.3),
        (4.2, -41.3, 106.1),
        (7.6, -40.0, 102.9),
        (13.3, -39.2, 98.8),
        (17.9, -40.2, 92.2),
        (18.0, -40.4, 82.4),
        (22.6, -41.2, 85.3),
    ),
    21: (
        (0, -44.2, 104.6),
        (3.7, -44.0, 103.3),
        (7.0, -41.6, 102.4),
        (12.0, -41.4, 98.6),
        (17.5, -43.5, 92.0),
        (17.6, -43.6, 82.6),
        (22.4, -44.2, 85.3),
    ),
    22: (
        (0, -46.0, 100.3),
        (3.6, -45.9, 99.0),
        (6.8, -28.0, 94.5),
        (13.4, -44.2, 94.5),
        (16.6, -46.6, 91.0),
        (16.8, -46.6, 83.8),
        (22.0, -47.2, 85.4),
    ),
    23: (
        (0, -47.4, 95.6),
        (4.6, -47.2, 94.9),
        (7.6, -46.9, 93.0),
        (11.2, -46.2, 91.4),
        (12.8, -47.6, 85.6),
        (16.5, -48.4, 84.7),
        (24.2, -51.4, 86.0),
    ),
}
BETWEEN = (17.5, 18.5, 19.5, 20.5)  # rows in the middle between two others
_LAST_ON_FORM = 16
_MIDDLE = 80.0  # depth of the line in the bridge's middle, millimetres
POLE = (22, 2)  # row and column of the nostril's end
_RIM = ((21, 1), (21, 2), (21, 3), (22, 3), (23, 3), (23, 2), (23, 1), (22, 1))
# the nostril's rings: share of the way from its rim to its middle, how far up and back [mm]
_INSIDE = ((0.08, 1.0, 0.2), (0.2, 8.5, 2.0))


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
