# SPDX-License-Identifier: GPL-3.0-or-later
"""Two ears: rings about the concha, up over the antihelix, through the scapha and about the rim,
grown out of a hole in the skin's grid. Tables give every ring's height by its angle.

In front, from the helix's root past the tragus to the lobe, an ear has no outline: the rings go on
over the crest onto the cheek. Elsewhere they turn about the rim to the ear's back and the skull.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator

from .form import drop_onto, gradient
from .mesh import smooth_step

AROUND = 40
ROWS, COLUMNS = (12, 24), (15, 19)  # of the skin's grid, where the left ear replaces it
_BRIDGE = (0.35, 0.7)  # rings on the skull: share of the way from the root to the hole's edge
_CENTRE = np.array([70.4, -27.8, -17.0])  # centre of the left ear's base
_LEAN, _FLARE = np.radians(12.0), np.radians(26.0)  # its top back, its back edge out
_TILT = 0.09  # how far its top leans out
_POLE = np.array([0.8, -4.5])  # centre of the rings in the ear's plane

# The ear's plane: first number backwards, second up, millimetres.
# the rim; in front the crest of helix and tragus, and where the lobe begins
_EDGE = (
    (18.3, 2.1), (18.1, 11.3), (15, 20.6), (8.9, 27.4), (0.8, 30.5), (-6.6, 29), (-11.9, 24.5),
    (-13.2, 18.1), (-10.9, 11.3), (-10.3, 5.7), (-12.4, -1), (-9.9, -7), (-12.6, -12.4),
    (-13.8, -19.6), (-13, -26.3), (-8.2, -30.9), (-2.1, -31.9), (5.2, -28.2), (11.5, -19.6),
    (16.2, -9.3),
)  # fmt: skip
_CRUS = ((-16, 7.5), (-9.5, 5.2), (-5, 2.6), (0, 1.2))  # its height falls inwards
_UPPER_LEG = ((6.0, 3), (5.0, 10), (2.0, 18), (-1, 23))
_ROOT = ((-3.0, -3.0), (9.0, 22.0))  # ellipse where its back meets the skull: centre, radii
_HOLE = ((-5.0, -1.0), (23.0, 33.0))  # ellipse of the hole's edge

# By angle about the pole, 0 backwards, 90 up: millimetres.
_ANGLES = (0, 40, 78, 104, 129, 154, 178, 199, 217, 239, 267, 300, 332)
_CONCHA = (6.0, 9.2, 12.0, 12.4, 11.2, 9.0, 7.4, 7.2, 8.6, 10.0, 9.8, 8.2, 6.4)  # radius
_THICK = (4.4, 4.6, 4.8, 4.8, 4.6, 4.0, 3.6, 3.6, 4.2, 5.5, 6.5, 5.5, 4.6)  # the rim
_ATTACHED = (0, 0, 0.1, 0.6, 1, 1, 1, 1, 1, 1, 0.1, 0, 0)  # to the cheek
_NEAR = (1, 1, 0.8, 0.7, 0.85, 1, 1, 1, 0.9, 0.5, 0.35, 1, 1)  # the cheek's rings
# share of the concha's radius, heights
_BOWL = (
    (0.00, (-9,) * 13),
    (0.28, (-9, -9, -8.6, -8.4, -8.4, -8.8, -9.2, -9.2, -9, -9, -9, -9, -9)),
    (0.52, (-8, -8, -7.4, -7, -7, -8, -8.8, -8.6, -8.2, -8, -8, -8, -8)),
    (0.74, (-5.6, -5.6, -5, -5, -5.5, -7, -7.8, -7.6, -6.6, -5.6, -5.2, -5.4, -5.6)),
    (0.89, (-1.6, -1.8, -2, -2.4, -3.6, -6, -7.0, -6.8, -5.2, -2.6, -1.6, -1.4, -1.4)),
    (1.00, (2.2, 2.2, 2.0, 1.2, 0.2, -4, -6.2, -6.0, -3.8, 0.2, 1.6, 2.4, 2.4)),
)
# share of the way to the rim
_FLOOR = (
    (0.22, (3.2, 2.8, 1.8, 0.6, -1.2, -3.6, -5.2, -5.0, -2.6, 0.9, 2.2, 3.0, 3.0)),
    (0.52, (1.2, 0.6, -1.4, -3.0, -3.2, -3.6, -4.0, -3.8, -1.4, 1.2, 1.8, 1.6, 1.4)),
    (0.80, (-1.2, -1.4, -2.2, -3.2, -3.4, -3.0, -2.6, -2.4, -0.4, 1.3, 1.8, 0.6, -0.6)),
)
# depth inside the rim as a share of its thickness
_RIM = (
    (1.00, (-1.2, -1.2, -1.6, -2.2, -2.8, -2.0, -2.0, -1.6, 0.0, 1.3, 1.8, 0.6, -0.4)),
    (0.80, (0.6, 0.8, 0.8, 0.4, 0.0, -0.4, -0.6, -0.4, 0.4, 1.2, 1.8, 1.0, 0.8)),
    (0.58, (2.6, 3.0, 3.2, 3.0, 1.5, 0.4, 0.6, 0.8, 1.0, 1.2, 1.6, 1.6, 2.2)),
    (0.34, (3.5, 4.0, 4.2, 4.2, 2.8, 1.4, 2.2, 2.2, 1.3, 1.1, 1.2, 1.8, 2.9)),
    (0.12, (2.8, 3.2, 3.5, 3.9, 3.3, 1.9, 3.2, 3.0, 1.4, 0.9, 0.4, 1.0, 2.2)),
    (0.00, (1.4, 1.7, 2.0, 3.0, 3.2, 2.0, 3.4, 3.0, 1.4, 0.8, -0.8, -0.2, 0.9)),
)
OUTLINE = len(_BOWL) + len(_FLOOR) + len(_RIM) - 1  # the rim's ring
# the back: depth inside the rim and height; on the cheek: way ahead and share of the crest's height
_BACK = (
    (0.2, -0.2, 2.0, 0.86), (1.4, -1.6, 4.6, 0.54), (3.4, -2.8, 7.6, 0.22), (6.0, -5.5, 10.6, 0.04),
)  # fmt: skip


def _by_angle(values, angle):
    at = np.radians(np.array(_ANGLES))
    around = np.concatenate([at - 2 * np.pi, at, at + 2 * np.pi])
    return PchipInterpolator(around, np.tile(values, 3))(angle)


def _edge(angle):
    """Radius [n] of the rim."""
    points = np.array(_EDGE) - _POLE
    at, radius = np.unwrap(np.arctan2(*points.T[::-1])), np.hypot(*points.T)
    return CubicSpline(
        np.append(at, at[0] + 2 * np.pi), np.append(radius, radius[0]), bc_type="periodic"
    )(angle)


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
    rise = np.clip(along / max(fade[0], 1e-6), 0, 1) * np.clip(
        (1 - along) / max(fade[1], 1e-6), 0, 1
    )
    return np.exp(-((apart[row, nearest] / width) ** 2)) * rise


def _point(at, height=0.0):
    """Points [n, 3] in the head's axes of places [n, 2] in the left ear's plane."""
    back, up = at.T
    back, up = (
        back * np.cos(_LEAN) + up * np.sin(_LEAN),
        up * np.cos(_LEAN) - back * np.sin(_LEAN),
    )
    # the plane swings out behind its front edge
    out = (back + 13.0) * np.sin(_FLARE) + height * np.cos(_FLARE) + _TILT * up
    depth = -(back * np.cos(_FLARE)) + height * np.sin(_FLARE) * 0.6
    return _CENTRE + np.stack([out, up, depth], -1)


def _surface(at, height, attached):
    """Points [n, 3] over places [n, 2] of the ear's plane, which bends onto the cheek in front and,
    where attached [n], above and below."""
    flat = _point(at, height)
    cheek = drop_onto(_point(at))
    normal = gradient(cheek)
    cheek += height[:, None] * normal / np.linalg.norm(normal, axis=1, keepdims=True)
    ends = attached * smooth_step(14, 27, np.abs(at[:, 1] + 1))
    share = np.maximum(smooth_step(-10, -19, at[:, 0]), ends)
    return flat + share[:, None] * (cheek - flat)


def _rings(angle):
    """(points [AROUND, 3], whether they are the cheek's [AROUND]) of every ring up to the root."""
    towards = np.stack([np.cos(angle), np.sin(angle)], -1)
    edge, concha, thick, attached = (
        _edge(angle),
        *(_by_angle(values, angle) for values in (_CONCHA, _THICK, _ATTACHED)),
    )
    near = _by_angle(_NEAR, angle)
    concha = np.minimum(concha, edge - thick - 1.0)
    rings = [(share * concha, heights) for share, heights in _BOWL]
    rings += [(concha + share * (edge - thick - concha), heights) for share, heights in _FLOOR]
    rings += [(edge - share * thick, heights) for share, heights in _RIM]
    for radius, heights in rings:
        at = _POLE + radius[:, None] * towards
        height = _by_angle(heights, angle)
        height = height + 1.8 * _ridge(at, _UPPER_LEG, 3.6, (0.3, 0.5))
        crus = np.interp(at[:, 0], (-13, -8, 0), (2.2, 0.2, -6.5))
        height = height + _ridge(at, _CRUS, 2.8, (0.0, 0.3)) * (crus - height)
        yield _surface(at, height, attached), np.zeros(AROUND, bool)
    crest = height
    for inside, height, ahead, share in _BACK:
        back = _point(_POLE + (edge - inside)[:, None] * towards, height + 0.3 * crest)
        cheek = _surface(_POLE + (edge + near * ahead)[:, None] * towards, share * crest, attached)
        yield back + attached[:, None] * (cheek - back), (attached > 0.99) & (share < 0.3)
    ahead = drop_onto(_point(_POLE + (edge + 13.4 * near)[:, None] * towards))
    root = _on_head(_ROOT, angle)
    yield root + attached[:, None] * (ahead - root), np.ones(AROUND, bool)


def _smoothed(rings):
    """Rings [R, AROUND, 3] without what is sharp, but for the rim where it is free."""
    rim = np.arange(OUTLINE - len(_RIM) + 1, OUTLINE)
    soft = np.full((len(rings), AROUND, 1), 0.5)
    soft[rim] *= _by_angle(_ATTACHED, 2 * np.pi * np.arange(AROUND) / AROUND)[:, None]
    soft[[0, -1]] = 0
    for _ in range(3):
        mean = 0.25 * (
            np.roll(rings, 1, 0)
            + np.roll(rings, -1, 0)
            + np.roll(rings, 1, 1)
            + np.roll(rings, -1, 1)
        )
        rings = rings + soft * (mean - rings)
    return rings


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
    sculpted, on_cheek = zip(*_rings(2 * np.pi * np.arange(AROUND) / AROUND))
    rings, cheek = list(_smoothed(np.array(sculpted))), list(on_cheek)
    edge, edge_points = hole(grid_rows)
    root = rings[-1]
    for share in _BRIDGE:
        rings.append(drop_onto(root + share * (edge_points - root)))
        cheek.append(np.ones(AROUND, bool))
    for side in (1, -1):
        keys = [
            [("ear", side, r, k) if r else ("ear", side, 0) for k in range(AROUND)]
            for r in range(len(rings))
        ]
        for r, points in enumerate(rings):
            for k in range(AROUND if r else 1):
                mesh.add(keys[r][k], points[k] * [side, 1, 1], "skin" if cheek[r][k] else "ear")
        keys.append([("g", row, side * column) for row, column in edge])
        mesh.rings([ring[::-1] if side > 0 else ring for ring in keys], "Skin")
