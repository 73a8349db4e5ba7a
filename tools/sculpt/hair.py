# SPDX-License-Identifier: GPL-3.0-or-later
"""Short hair: a shell over the scalp whose edge sinks into the skin, so that the hairline is where the two meet."""

from __future__ import annotations

import numpy as np

from .form import gradient
from .mesh import bump, smooth_step

# Depth z → height y of the hairline: forehead, temple, sideburn, over the ear, behind it, nape.
_LINE_Z = (-110, -88, -66, -46, -38, -30, -16, -8, -2, 6, 14, 28, 44, 60, 74, 90)
_LINE_Y = (-76, -72, -58, -30, -4, 14, 17, 4, -12, -10, 16, 34, 45, 56, 62, 66)
_BELOW = 13.0  # mm under the hairline that the shell reaches, within the head
_SUNK = 1.6  # mm under the skin there
_BALD = 3.0  # mm under the skin where a person has none


def over_line(p: np.ndarray) -> np.ndarray:
    """Height [n] of points [n, 3] over the hairline, mm."""
    return p[:, 1] - np.interp(p[:, 2], _LINE_Z, _LINE_Y)


def add_hair(mesh) -> None:
    """Add the shell: a vertex ("hair", *key) for each of the scalp's, at its place, and the scalp's polygons."""
    keys = [key for key in mesh.keys if key[0] in ("g", "c")]
    points = np.array([mesh.points[mesh.index[key]] for key in keys])
    scalp = {key for key, high in zip(keys, over_line(points)) if high > -_BELOW}
    ids = {mesh.index[key] for key in scalp}
    polygons = [polygon for polygon in mesh.polygons if all(i in ids for i in polygon if i >= 0)]
    used = sorted({i for polygon in polygons for i in polygon if i >= 0})
    for i in used:
        mesh.add(("hair", *mesh.keys[i]), mesh.points[i], "hair")
    for polygon in polygons:
        mesh.face([("hair", *mesh.keys[i]) for i in polygon if i >= 0], "Hair")


def grown(person, clay, points: np.ndarray) -> np.ndarray:
    """Points [V, 3] of a person with the shell at the height of the person's hair."""
    pairs = np.array([(i, clay.index[key[1:]]) for key, i in clay.index.items() if key[0] == "hair"])
    p = clay.points[pairs[:, 1]]
    grows = smooth_step(-2.0, 34.0, over_line(p)) ** 0.8
    if not person.crown:
        grows *= 1 - smooth_step(14.0, 52.0, p[:, 1] + 0.35 * p[:, 2])
    height = person.hair + person.bun * bump(p, (0, 24, -100), (46, 44, 60)) ** 0.7
    out = (height + _SUNK) * grows - _SUNK if person.hair else np.full(len(p), -_BALD)
    if not person.crown:
        out -= (_BALD - _SUNK) * (1 - grows)
    normal = gradient(p)
    points = points.copy()
    points[pairs[:, 0]] = points[pairs[:, 1]] + out[:, None] * normal / np.linalg.norm(normal, axis=1, keepdims=True)
    return points
