# SPDX-License-Identifier: GPL-3.0-or-later
"""Corrective shapes for pairs of keys that combine badly, weighted by the product of both values;
millimetres per product.

A key is a channel (0 … 1) or a joint (sine of its turn about x). The lips' contact line does not
move, so lip closing can ignore these shapes.
"""

from __future__ import annotations

import numpy as np

from .form import fold
from .mesh import bump, smooth_step
from .mouth import outside, red_in, turned_rings
from .shapes import lids_follow, on_edges, tongue_stays_up

# same as in mouth.py
_ROUND_CHIN = (
    (1, 1.5, 0),
    (2, 3.0, 0.5),
    (3, 5.0, 1.5),
    (4, 6.0, 2.0),
    (5, 3.5, 2.0),
    (6, 0.8, 0.8),
    (7, 0, 0),
)
_THINNER = (
    (1, 0, 0),
    (2, -0.2, -0.1),
    (3, -0.4, -0.3),
    (4, -0.5, -0.6),
    (5, -0.3, -1.0),
    (6, -0.1, -0.7),
    (7, 0, 0),
)


def correctives(clay) -> dict[tuple[str, str], np.ndarray]:
    """(key, key) → displacements [V, 3]."""
    p, depth, a = clay.points, outside(clay), np.abs(clay.u)
    skin = (
        depth
        * np.isin(clay.part, ("skin",))
        * np.where(clay.ring >= 0, np.interp(clay.ring, (0, 2), (1.0, 0.0)), 1.0)
    )
    groove, beside = fold(p)
    # next to the middle, where a dropped and drawn lip forms a point
    lower = (clay.up < 0) * (4 * a * (1 - a))
    made = {("jaw", "mouthPucker"): turned_rings(clay, _ROUND_CHIN, lower)}
    for side, tag in ((1, "Left"), (-1, "Right")):
        half = smooth_step(-9, 9, side * p[:, 0])
        mirrored = p * [side, 1, 1]
        # cheeks fall in between the jaws
        hollow = bump(mirrored, (47, -62, 56), (24, 30, 44)) * skin
        made["jaw", "mouthPucker"] += hollow[:, None] * np.array([-6.0 * side, 0.0, -2.0])
        tight = bump(mirrored, (42, -82, 62), (26, 28, 46)) * skin
        made["jaw", "mouthSmile" + tag] = tight[:, None] * np.array([-4.0 * side, 0.0, -1.5])
        made["jaw", "mouthSmile" + tag][:, 2] += half * skin * (9.0 * beside - 13.0 * groove)
        relaxed = turned_rings(clay, _THINNER, 1 - clay.u**2) * half[:, None]
        relaxed[:, 2] += half * skin * (0.8 * groove - 0.9 * beside)
        made["mouthSmile" + tag, "mouthPucker"] = relaxed
    made["mouthRollLower", "mouthRollLower"] = red_in(clay)
    made = {pair: clay.fair_finely.field(field) for pair, field in made.items()}
    made |= {("jaw", channel): field for channel, field in tongue_stays_up(clay).items()}
    follow = lids_follow(clay)
    for side, tag, joint in ((1, "Left", "eye_left"), (-1, "Right", "eye_right")):
        made["eyeBlink" + tag, joint] = _shut(clay, side, follow[side])
    return made


def _shut(clay, side, follow):
    """A closed upper lid goes along with the lower one and no further."""
    field = np.zeros(follow.shape)
    for key, i in clay.index.items():
        if key[0] == "e" and key[1] == side and 0 < key[3] < 16:
            across = clay.index["e", side, key[2], 32 - key[3]]
            field[i] = follow[across] - follow[i]
    for i, k in on_edges(clay, side):
        if k < 16:
            field[i] = follow[clay.index["e", side, 4, 32 - round(k)]] - follow[i]
    return field
