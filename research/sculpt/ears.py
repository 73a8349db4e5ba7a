# SPDX-License-Identifier: GPL-3.0-or-later
"""Two ears: rings whose relief is drawn with ridges (helix, antihelix with its two legs, tragus,
concha, lobe), grown out of a hole in the skin's grid.

In front, from the helix's root past the tragus to the lobe, an ear's outline lies on the cheek and
goes on as skin; elsewhere it turns about the rim to the ear's back and down to the skull.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicSpline

from .form import drop_onto
from .mesh import smooth_step

AROUND = 40
ROWS, COLUMNS = (12, 24), (15, 19)  # of the skin's grid, where the left ear replaces it
# share of the outline
_FRONT = (0.0, 0.14, 0.26, 0.35, 0.42, 0.48, 0.54, 0.60, 0.66, 0.72, 0.78, 0.84, 0.89, 0.94, 0.975,
    1.0)
OUTLINE = len(_FRONT) - 1  # its ring
# share, height: the ear's back
_BACK = ((0.985, -2.0), (0.93, -3.6), (0.80, -5.5), (0.66, -9.0))
_ON_CHEEK = 0.05  # share of the outline by which each of these rings goes on where it is attached
_BRIDGE = (0.0, 0.35, 0.7)  # rings on the skull: share of the way from the root to the hole's edge
_ATTACHED = (112.5, 256.5)  # angles between which the ear is attached to the cheek
_CENTRE = np.array([75.0, -21.0, -12.0])  # centre of the left ear's base
_TILT = 0.09  # how far its top leans out
_POLE = np.array([-2.0, -3.0])  # centre of the rings in the ear's plane

# The ear's plane: first number backwards, second up, millimetres.
_OUTLINE = ((-11.5, 15), (-6, 26), (3, 31), (12, 29), (18, 21), (19.5, 9), (17.5, -5), (13.5, -16),
    (8.5, -25), (2, -31),
            (-5, -30.5), (-10, -23), (-12.5, -11), (-13.5, 0), (-13, 8))
_HELIX = ((0, -2.5), (-5, -0.5), (-9.2, 4), (-10.4, 11), (-8, 20), (-1, 26.8), (7, 27.6),
    (14, 22.5), (16.8, 12), (15.4, 0), (12, -11), (8, -19))
_SCAPHA = ((-7, 8), (-6.6, 15), (-2, 22.5), (5, 24), (11.2, 19.5), (13.4, 11), (12.2, 1), (9.5, -8))
_ANTIHELIX = ((-0.5, -17), (4.5, -13), (7.4, -7), (8.2, 0), (7.6, 6.5), (6.6, 13), (5.0, 18))
_INNER_LEG = ((6.8, 7), (2.0, 10.8), (-4, 12.0))
_ROOT = ((-3.0, -3.0), (9.0, 22.0))  # ellipse where its back meets the skull: centre, radii
_HOLE = ((-3.0, -1.5), (18.0, 30.0))  # ellipse of the hole's edge


@lru_cache(maxsize=1)
def _edge():
    points = np.array(_OUTLINE) - _POLE
    angle = np.unwrap(np.arctan2(points[::-1, 1], points[::-1, 0]))
    radius = np.hypot(*points[::-1].T)
    return CubicSpline(np.append(angle, angle[0] + 2 * np.pi), np.append(radius, radius[0]),
        bc_type="periodic")


def _place(share, angle):
    """Points [n, 2] of the ear's plane at a share of the outline's radius."""
    r = share * _edge()(angle)
    return _POLE + np.stack([r * np.cos(angle), r * np.sin(angle)], -1)


def _ridge(at, line, width, fade=(0.0, 0.0)):
    """Height [n] 0..1 of a ridge along a polyline; fade: share of its length over which its ends
    rise."""
    line = np.array(line, float)
    a, b = line[:-1], line[1:]
    span = b - a
    t = np.clip(((at[:, None] - a) * span).sum(2) / (span * span).sum(1), 0, 1)
    apart = np.linalg.norm(at[:, None] - (a + t[..., None] * span), axis=2)
    length = np.concatenate([[0], np.cumsum(np.hypot(*span.T))])
    nearest = apart.argmin(1)
    row = np.arange(len(at))
    along = (length[nearest] + t[row, nearest] * np.diff(length)[nearest]) / length[-1]
    rise = np.clip(along / max(fade[0], 1e-6), 0, 1) * np.clip((1 - along) / max(fade[1], 1e-6), 0,
        1)
    return np.exp(-((apart[row, nearest] / width) ** 2)) * rise


def _hill(at, centre, widths):
    return np.exp(-(((at - np.array(centre, float)) / np.array(widths, float)) ** 2).sum(1))


def _relief(at):
    """Height [n] over the ear's plane."""
    h = 6.4 * _ridge(at, _HELIX, 2.2, (0.3, 0.2)) - 3.0 * _ridge(at, _SCAPHA, 1.7, (0.2, 0.3))
    h += 4.8 * _ridge(at, _ANTIHELIX, 4.0, (0.05, 0.45))
    h += 2.6 * _ridge(at, _INNER_LEG, 2.2, (0.0, 0.4))
    bowl = ((at[:, 0] + 0.6) / 6.0) ** 2 + ((at[:, 1] + 6.5) / 9.4) ** 2
    h -= 10.5 * np.exp(-(bowl**2))
    h -= 4.0 * _hill(at, (-3.6, 6.0), (5.0, 3.2))
    h += 5.2 * _hill(at, (-8.6, -7), (3.4, 4.6)) + 3.0 * _hill(at, (0.5, -17.5), (4.2, 2.6))
    # the notches under and over the tragus
    h -= 3.0 * _hill(at, (-6.5, -16), (2.2, 3.4)) + 1.6 * _hill(at, (-9.5, 0.5), (4.0, 2.2))
    h += 2.0 * _hill(at, (-1, -25.5), (8, 4.5))
    return h


def _point(at, height=0.0):
    """Points [n, 3] in the head's axes of places [n, 2] in the left ear's plane."""
    lean, flare = np.radians(16.0), np.radians(21.5)
    back, up = at.T
    back, up = back * np.cos(lean) + up * np.sin(lean), up * np.cos(lean) - back * np.sin(lean)
    # the plane swings out behind its front edge
    out = (back + 13.0) * np.sin(flare) + height * np.cos(flare) + _TILT * up
    depth = -(back * np.cos(flare)) + height * np.sin(flare) * 0.6
    return _CENTRE + np.stack([out - 2.5, up, depth], -1)


def _on_head(ellipse, angle):
    """Points [n, 3] of the form at an ellipse of the ear's plane."""
    centre, radii = np.array(ellipse)
    at = centre + radii * np.stack([np.cos(angle), np.sin(angle)], -1)
    return drop_onto(_point(at))


def hole(grid_rows):
    """(row, column) of the grid about the left ear's hole, in the rings' order, and their points
    [AROUND, 3]."""
    rows = [row for row in grid_rows if ROWS[0] <= row <= ROWS[1]]
    front, back = COLUMNS
    middle = len(rows) // 2
    keys = [(row, back) for row in rows[middle:0:-1]]
    keys += [(rows[0], column) for column in range(back, front, -1)]
    keys += [(row, front) for row in rows[:-1]]
    keys += [(rows[-1], column) for column in range(front, back)]
    keys += [(row, back) for row in rows[:middle:-1]]
    return keys, _on_head(_HOLE, 2 * np.pi * np.arange(AROUND) / AROUND)


def add_ears(mesh, grid_rows):
    """Add both ears into their holes; the part is "ear", which follows the head alone, and "skin"
    where it has become cheek and skull."""
    angle = 2 * np.pi * np.arange(AROUND) / AROUND
    degrees = np.degrees(angle)
    attached = smooth_step(-4, 4, np.minimum(degrees - _ATTACHED[0], _ATTACHED[1] - degrees))
    starts = np.interp(degrees, (170, 205, 250), (0.58, 0.45, 0.3))  # share of the outline
    rings, cheek = [], []
    for share in _FRONT:
        at = _place(share, angle)
        points = _point(at, _relief(at))
        here = (attached * smooth_step(starts, 1.0, share))[:, None]
        rings.append(points + here * (drop_onto(_point(at)) - points))
        cheek.append(attached * (share == 1) > 0.99)
    rim = _relief(_place(1.0, angle))
    root = _on_head(_ROOT, angle)
    for ring, (share, height) in enumerate(_BACK, 1):
        points = _point(_place(share, angle), height + 0.6 * rim)
        ahead = drop_onto(_point(_place(1 + _ON_CHEEK * ring, angle)))
        rings.append(points + attached[:, None] * (ahead - points))
        cheek.append(attached > 0.99)
    ahead = drop_onto(_point(_place(1 + _ON_CHEEK * (len(_BACK) + 1), angle)))
    root = root + attached[:, None] * (ahead - root)
    edge, edge_points = hole(grid_rows)
    for share in _BRIDGE:
        rings.append(drop_onto(root + share * (edge_points - root)))
        cheek.append(np.ones(AROUND, bool))
    for side in (1, -1):
        keys = [[("ear", side, r, k) if r else ("ear", side,
            0) for k in range(AROUND)] for r in range(len(rings))]
        for r, points in enumerate(rings):
            for k in range(AROUND if r else 1):
                mesh.add(keys[r][k], points[k] * [side, 1, 1], "skin" if cheek[r][k] else "ear")
        keys.append([("g", row, side * column) for row, column in edge])
        mesh.rings([ring[::-1] if side > 0 else ring for ring in keys], "Skin")
