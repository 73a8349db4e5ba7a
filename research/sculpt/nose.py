# SPDX-License-Identifier: GPL-3.0-or-later
"""The nose: its midline, bridge, tip, wings and nostrils as a small table over the skin's grid."""

from __future__ import annotations

import numpy as np

from .form import distance, drop_onto

# Row of the grid → points (x, y, z) of columns 0 to 6, over the crease beside the wing.
_TABLE = {
    10: ((0, 12.0, 90.0), (4.8, 12.0, 89.2)),
    11: ((0, 6.5, 87.8), (5.0, 6.5, 86.5)),
    12: ((0, 1.0, 88.9), (4.9, 1.0, 86.9)),
    13: ((0, -4.5, 91.8), (5.0, -4.5, 89.4)),
    14: ((0, -10.0, 94.9), (5.2, -10.0, 92.4)),
    15: ((0, -15.5, 98.3), (5.3, -15.4, 95.7)),
    16: ((0, -21.0, 101.8), (5.2, -20.8, 99.3), (9.2, -20.4, 93.5)),
    17: ((0, -24.6, 105.2), (5.4, -24.4, 102.8), (9.6, -24.2, 97.0), (13.8, -24.0, 89.0)),
    18: (
        (0, -28.4, 108.6),
        (5.4, -28.3, 107.0),
        (9.4, -28.1, 101.0),
        (12.4, -27.9, 92.0),
        (17.0, -27.9, 85.0),
    ),
    19: (
        (0, -32.6, 111.2),
        (5.2, -32.2, 109.6),
        (9.6, -31.6, 101.5),
        (13.6, -33.0, 95.5),
        (17.2, -32.8, 90.4),
        (16.2, -32.2, 85.4),
        (21.4, -32.2, 83.2),
    ),
    20: (
        (0, -37.2, 110.4),
        (4.8, -37.0, 108.6),
        (9.8, -36.2, 101.5),
        (15.0, -37.0, 96.5),
        (19.0, -37.2, 90.2),
        (17.0, -37.6, 85.0),
        (22.9, -38.0, 83.6),
    ),
    21: (
        (0, -41.6, 107.2),
        (3.9, -41.0, 105.6),
        (8.0, -40.8, 101.6),
        (13.2, -40.0, 96.2),
        (17.8, -40.6, 90.6),
        (16.8, -42.0, 84.6),
        (23.2, -43.4, 84.2),
    ),
    22: (
        (0, -44.8, 102.0),
        (3.5, -44.2, 100.6),
        (7.0, -24.1, 93.5),
        (13.2, -41.4, 92.0),
        (15.2, -43.0, 90.4),
        (16.6, -44.4, 86.2),
        (23.8, -47.4, 84.6),
    ),
    23: (
        (0, -46.6, 97.0),
        (4.0, -46.6, 95.4),
        (8.0, -46.0, 93.4),
        (12.0, -45.6, 91.2),
        (15.0, -47.4, 88.4),
        (20.6, -50.0, 85.4),
        (26.0, -51.6, 84.2),
    ),
}
BETWEEN = (17.5, 18.5, 19.5, 20.5)  # rows in the middle between two of the table
# the last row over the nose's underside; depth of the line in its middle, millimetres
_LAST_ROUND, _MIDDLE = 20.5, 80.0
_CREASE = 5  # column in the crease beside the wing
_AS_DRAWN = ((21, 3), (21, 5), (22, 4), (22, 5), (23, 4))  # under the wing: not on the form
POLE = (22, 2)  # row and column of the nostril's end
_RIM = ((21, 1), (21, 2), (21, 3), (22, 3), (23, 3), (23, 2), (23, 1), (22, 1))
# the nostril's rings: share of the way from its rim to its middle, how far up and back [mm]
_INSIDE = ((0.04, 0.8, 0.3), (0.2, 7.0, 2.0))


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
    table = {row: np.array(columns, float) for row, columns in _TABLE.items()}
    for row in BETWEEN:
        above, below = table[row - 0.5], table[row + 0.5]
        count = min(len(above), len(below))
        table[row] = 0.5 * (above[:count] + below[:count])
    seeds = {
        ("g", row, column): point
        for row, columns in table.items()
        for column, point in enumerate(columns)
    }
    # the table says where along the form: under the nose and on the cheek by its slope, elsewhere
    # straight away from its middle line
    round_it = [key for key in seeds if key[1] <= _LAST_ROUND and key[2] <= _CREASE]
    under = [key for key in seeds if key not in round_it and key[1:] != POLE]
    found = dict(zip(under, drop_onto(np.array([seeds[key] for key in under]))))
    found |= dict(zip(round_it, _away_from_the_middle(np.array([seeds[key] for key in round_it]))))
    for place in (POLE, *_AS_DRAWN):
        found[("g", *place)] = seeds[("g", *place)]
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
