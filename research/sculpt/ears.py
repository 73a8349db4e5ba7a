# SPDX-License-Identifier: GPL-3.0-or-later
"""Two ears: a bowl of rings whose relief is drawn with ridges: helix, antihelix with its two legs,
tragus, concha, lobe."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicSpline

AROUND = 36
# shares of the outline
_FRONT = (0.0, 0.15, 0.28, 0.39, 0.49, 0.58, 0.66, 0.73, 0.79, 0.85, 0.90, 0.95, 0.985, 1.0)
# share, height: the ear's back
_BACK = ((0.985, -2.0), (0.93, -3.6), (0.82, -5.0), (0.62, -9.0), (0.5, -20.0))
_CENTRE = np.array([75.0, -21.0, -12.0])  # centre of the left ear's base
_TILT = 0.09  # how far its top leans out
_POLE = np.array([-2.0, -3.0])  # centre of the rings in the ear's plane

# The ear's plane: first number backwards, second up, millimetres.
_OUTLINE = ((-11.5, 15), (-6, 26), (3, 31), (12, 29), (18, 21), (19.5, 9), (16.5, -5), (11, -17),
    (5, -26), (-2, -31),
            (-7.5, -28.5), (-11, -21), (-12.5, -11), (-13.5, 0), (-13, 8))
_HELIX = ((-5, -1), (-10, 4), (-11, 12), (-8, 21), (-1, 27.3), (7, 28), (14, 22.5), (16.6, 12),
    (14.8, 0), (10.5, -11), (6.5, -19))
_ANTIHELIX = ((-2, -17), (4, -13.5), (8.2, -5), (8.6, 4), (6, 12), (4, 20))
_CRUS = ((7.6, 8), (2.5, 12.5), (-4.5, 14))


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
    h = 5.6 * _ridge(at, _HELIX, 2.4, (0.10, 0.16)) + 4.8 * _ridge(at, _ANTIHELIX, 3.3, (0.05, 0.3))
    h += 2.6 * _ridge(at, _CRUS, 2.6, (0.0, 0.3))
    h -= 8.5 * np.exp(-((((at[:, 0] + 2.5) / 7.5) ** 2 + ((at[:, 1] + 5) / 9.5) ** 2) ** 1.5))
    h -= 2.0 * _hill(at, (-3, 8), (6, 5))
    h += 8.0 * _hill(at, (-9.6, -6), (3.4, 5.0)) + 3.6 * _hill(at, (-1.0, -16.5), (4.2, 3.2))
    h += 1.4 * _hill(at, (-3, -25), (6, 5))
    ahead = -9.0 - at[:, 0] + 0.55 * np.clip(-18.0 - at[:, 1], 0, 12)
    # the front edge and the lobe's corner sink into the cheek
    return h - 6.5 * np.clip(ahead / 5.0, 0, 1) ** 1.5


def _point(at, height):
    """Points [n, 3] in the head's axes of places [n, 2] in the left ear's plane."""
    lean, flare = np.radians(16.0), np.radians(18.0)
    back, up = at.T
    back, up = back * np.cos(lean) + up * np.sin(lean), up * np.cos(lean) - back * np.sin(lean)
    # the plane swings out behind its front edge
    out = (back + 13.0) * np.sin(flare) + height * np.cos(flare) + _TILT * up
    depth = -(back * np.cos(flare)) + height * np.sin(flare) * 0.6
    return _CENTRE + np.stack([out - 2.5, up, depth], -1)


def add_ears(mesh):
    """Add both ears; the part is "ear", which follows the head alone."""
    angle = 2 * np.pi * np.arange(AROUND) / AROUND
    rings = []
    for share in _FRONT:
        at = _place(share, angle)
        rings.append(_point(at, _relief(at)))
    rim = _relief(_place(1.0, angle))
    for share, height in _BACK:
        rings.append(_point(_place(share, angle), height + 0.6 * rim))
    for side in (1, -1):
        keys = [[("ear", side, r, k) if r else ("ear", side,
            0) for k in range(AROUND)] for r in range(len(rings))]
        for r, points in enumerate(rings):
            for k in range(AROUND if r else 1):
                mesh.add(keys[r][k], points[k] * [side, 1, 1], "ear")
        mesh.rings([ring if side > 0 else ring[::-1] for ring in keys], "Skin")
