# SPDX-License-Identifier: GPL-3.0-or-later
"""Two ears: rings about the concha, up over the antihelix, through the scapha and about the rim,
grown out of a hole in the skin's grid. Lines drawn along crests and hollows give their heights.

In front, from the helix's root past the tragus to the lobe, an ear has no outline: the rings go on
over the crest onto the cheek. Elsewhere they turn about the rim to the ear's back and the skull.
"""

from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator, RBFInterpolator

from .form import drop_onto, gradient
from .mesh import around, smooth_step

AROUND = 40
ROWS, COLUMNS = (12, 24), (15, 19)  # of the skin's grid, where the left ear replaces it
_BRIDGE = (0.35, 0.7)  # rings on the skull: share of the way from the root to the hole's edge
_CENTRE = np.array([71.0, -27.8, -17.0])  # centre of the left ear's base
_LEAN, _FLARE = np.radians(16.0), np.radians(24.0)  # its top back, its back edge out
_BROAD = 1.07  # its breadth, as a share of what is drawn
_TILT = 0.12  # how far its top leans out
_POLE = np.array([0.8, -4.5])  # centre of the rings in the ear's plane
_CURL = 0.6  # how far it leans inwards, as a share of its height
_UNDER = 0.65  # how far the canal runs forward under the tragus, as a share of its depth
_FIRM, _GROWN = 0.6, 3.0  # size of the bumps that fairing takes out: free, at the cheek
_ABOUT = 5.0  # how far about a place light comes to it from
_STEP, _SOFT = 1.2, 0.05  # between the points of a line that is drawn; how softly they are met

# The ear's plane: first number backwards, second up, millimetres.
# the rim; in front a line on the cheek before helix and tragus, and where the lobe begins
_EDGE = (
    (18.3, 2.1), (18.3, 11.3), (15.8, 20.6), (9.7, 27.4), (2.2, 30.3), (-4.2, 28.6), (-8.4, 24.2),
    (-10.6, 18.6), (-11.8, 12.4), (-13.0, 5.9), (-13.6, -1), (-13.6, -7), (-13.8, -12.4),
    (-13.6, -18.0), (-12.6, -23.4), (-8.8, -28.4), (-3.2, -31.8), (3.6, -29.0), (10.2, -20.6),
    (15.2, -9.6),
)  # fmt: skip
# Lines along what rises and along what lies between, with their heights.
_LINES = (
    # the helix, from its root in the concha up in front and round to the lobe
    ((4.8, -2.6, -6.8), (1.6, -1.0, -2.4), (-1.6, 0.4, 0.6), (-4.6, 2.4, 2.4), (-7.2, 6.4, 3.2),
     (-8.4, 12.2, 4.2), (-7.2, 18.2, 5.2), (-3.2, 23.6, 5.8), (2.8, 26.9, 6.0), (8.8, 24.9, 6.2),
     (13.8, 19.1, 6.2), (16.4, 10.5, 5.8), (16.4, 2.0, 5.0), (14.0, -8.0, 4.0),
     (9.3, -17.6, 3.4), (3.2, -24.6, 3.5), (-2.6, -27.6, 3.3)),
    # behind and within it
    ((-4.8, 11.6, -4.2), (-4.6, 15.2, -4.4), (-2.6, 19.4, -3.6), (1.2, 22.6, -1.6),
     (5.2, 22.9, 0.2), (9.2, 20.3, 0.6), (12.0, 14.6, 1.0), (13.3, 7.4, 1.4),
     (13.4, -1.0, 2.2), (12.0, -8.6, 2.7), (8.8, -14.8, 2.8)),
    # its edge behind
    ((-4.2, 28.6, 2.0), (2.2, 30.3, 2.8), (9.7, 27.4, 3.0), (15.8, 20.6, 2.4), (18.3, 11.3, 1.8),
     (18.3, 2.1, 1.6), (15.4, -9.3, 1.4), (10.4, -20.2, 1.5), (3.8, -28.8, 1.6),
     (-3.2, -31.8, 1.3), (-8.8, -28.4, 0.7), (-12.6, -23.4, 0.5)),
    # the cheek before it
    ((-8.8, 24.4, 0.6), (-11.1, 18.6, -1.6), (-12.2, 12.4, -1.8), (-13.2, 5.9, -0.6),
     (-13.6, 0.0, 0.4)),
    # the antihelix, from behind the notch, and its upper leg
    ((-2.8, -14.8, 2.4), (-0.2, -14.8, 3.6), (3.6, -13.6, 2.6), (6.9, -10.8, 2.7),
     (9.1, -6.6, 3.6), (10.2, -1.8, 4.2),
     (10.0, 3.4, 4.6), (8.8, 9.4, 4.8), (7.4, 14.6, 4.4), (6.0, 18.6, 3.2), (4.6, 21.4, 0.6)),
    # its lower leg
    ((10.0, 3.4, 4.6), (8.2, 6.9, 4.6), (5.6, 9.2, 4.2), (2.4, 10.7, 3.2), (-0.6, 11.4, 1.2),
     (-3.4, 11.4, -2.6)),
    # the concha: under the antihelix and above the root of the helix, beneath it
    ((0.6, -10.8, -4.4), (3.2, -9.0, -4.8), (5.6, -5.8, -6.0), (6.2, -1.0, -6.6),
     (4.6, 2.8, -7.4), (1.6, 5.0, -8.2), (-1.4, 6.4, -8.0), (-4.0, 8.2, -5.8)),
    ((-2.2, -2.6, -8.0), (1.0, -3.8, -8.6), (2.4, -7.0, -8.4), (-1.0, -8.0, -9.0)),
    # the canal
    ((-4.6, -3.0, -10.0), (-4.2, -5.6, -13.0), (-4.2, -8.6, -10.0)),
    ((-2.4, -5.4, -10.8),),
    # between the legs
    ((5.0, 13.4, 2.2), (3.0, 14.4, -0.4), (0.2, 15.4, -2.8), (-2.2, 15.6, -4.0)),
    ((3.4, 18.2, 0.0), (0.6, 19.6, -1.8)),
    # the tragus: its edge, before and within it, and on the cheek
    ((-9.8, 1.4, 1.0), (-7.4, -1.0, 2.1), (-6.3, -3.6, 2.7), (-6.1, -6.4, 2.8),
     (-6.5, -9.4, 2.5), (-7.5, -12.0, 1.8), (-8.8, -14.4, 1.0)),
    ((-10.2, -1.8, 1.5), (-9.2, -5.0, 2.5), (-9.0, -7.8, 2.6), (-9.6, -10.6, 2.0)),
    ((-7.4, -2.6, 2.8), (-7.1, -6.4, 3.1), (-7.7, -9.8, 2.7)),
    ((-13.6, -3.0, 0.6), (-13.6, -7.5, 0.8), (-13.8, -12.4, 0.5)),
    # the notch under it
    ((-7.2, -16.6, 0.2), (-5.6, -14.4, -2.4), (-3.4, -11.8, -5.4)),
    # the notch above it, before the root of the helix
    ((-11.0, 2.4, 0.3), (-8.4, 2.2, 0.2), (-6.4, 0.6, -1.2)),
    # the lobe
    ((-13.6, -18.0, 0.6), (-9.6, -19.4, 0.9), (-4.0, -19.8, 1.3), (1.0, -19.6, 1.5)),
    ((-11.0, -22.6, 0.9), (-7.0, -25.0, 2.4), (-2.0, -24.4, 3.5)),
)  # fmt: skip
_ROOT = ((-3.0, -3.0), (9.0, 22.0))  # ellipse where its back meets the skull: centre, radii
_HOLE = ((-5.0, -3.0), (23.0, 35.0))  # ellipse of the hole's edge

# By angle about the pole, 0 backwards, 90 up: millimetres.
_ANGLES = (0, 40, 78, 104, 129, 154, 178, 199, 217, 243, 261, 300, 332)
_CONCHA = (7.9, 10.0, 13.2, 13.8, 12.0, 9.2, 7.4, 7.2, 8.4, 9.6, 9.4, 8.6, 7.8)  # radius
_THICK = (4.7, 4.7, 4.8, 5.8, 7.2, 7.0, 6.6, 7.6, 7.6, 6.5, 6.5, 5.6, 4.9)  # the rim
# height from which it leans inwards
_LEVEL = (1.2, 1.2, 1.2, 0.6, 0, 0, 1, 1, 0.6, 1, 1.2, 1.2, 1.2)
_ATTACHED = (0, 0, 0.02, 0.3, 1, 1, 1, 1, 1, 0.92, 0.4, 0.05, 0)  # to the cheek
_CHEEK_REACH = (1, 1, 0.8, 0.7, 0.8, 0.88, 0.88, 0.88, 0.82, 0.55, 0.4, 1, 1)  # the cheek's rings
_CANAL = np.array([-4.2, -5.6])  # centre of the concha's rings
_BOWL = (0.0, 0.14, 0.3, 0.48, 0.74, 1.0)  # the rings: shares of the way to the concha's edge,
_FLOOR = (0.2, 0.42, 0.64, 0.84)  # of the way to the rim,
_RIM = (1.00, 0.72, 0.42, 0.14, 0.00)  # and of the rim's thickness, from within
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


@lru_cache(maxsize=1)
def _relief():
    """Places [n, 2] of the ear's plane → heights [n], by the least bent sheet over the lines."""
    pieces = []
    for line in map(np.array, _LINES):
        span = np.linalg.norm(np.diff(line[:, :2], axis=0), axis=1)
        length = np.append(0, np.cumsum(span))
        at = np.linspace(0, length[-1], 1 + int(np.ceil(length[-1] / _STEP)))
        pieces.append(PchipInterpolator(length, line)(at) if len(line) > 1 else line)
    drawn = np.concatenate(pieces)
    _, once = np.unique(np.round(drawn[:, :2], 2), axis=0, return_index=True)  # where lines meet
    drawn = drawn[np.sort(once)]
    return RBFInterpolator(drawn[:, :2], drawn[:, 2], smoothing=_SOFT)


def _point(at, height=0.0):
    """Points [n, 3] in the head's axes of places [n, 2] in the left ear's plane."""
    back, up = at.T * [[_BROAD], [1]]
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


def _rings_of_the_plane(angle):
    """(places [AROUND, 2], heights [AROUND]) in the ear's plane of the rings up to the rim."""
    edge, concha, thick = _edge(angle), _by_angle(_CONCHA, angle), _by_angle(_THICK, angle)
    concha = np.minimum(concha, edge - thick - 1.0)
    rings = [(share, share * concha) for share in _BOWL]
    rings += [(1, concha + share * (edge - thick - concha)) for share in _FLOOR]
    rings += [(1, edge - share * thick) for share in _RIM]
    for share, radius in rings:
        centre = _CANAL + share * (_POLE - _CANAL)
        at = centre + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1)
        yield at, _relief()(at)


def _rings(angle):
    """(points [AROUND, 3], whether they are the cheek's [AROUND]) of every ring up to the root."""
    towards = np.stack([np.cos(angle), np.sin(angle)], -1)
    edge, level, attached, near = (
        _edge(angle),
        *(_by_angle(values, angle) for values in (_LEVEL, _ATTACHED, _CHEEK_REACH)),
    )
    for at, height in _rings_of_the_plane(angle):
        # what stands up leans inwards
        over = at - _CURL * np.maximum(height - level, 0)[:, None] * towards
        over[:, 0] -= _UNDER * np.maximum(-6 - height, 0)
        yield _surface(over, height, attached), np.zeros(AROUND, bool)
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
    soft = np.full((len(rings), AROUND, 1), 0.2)
    soft[rim] *= _by_angle(_ATTACHED, 2 * np.pi * np.arange(AROUND) / AROUND)[:, None]
    soft[[0, -1]] = 0
    mean = 0.25 * (
        np.roll(rings, 1, 0) + np.roll(rings, -1, 0) + np.roll(rings, 1, 1) + np.roll(rings, -1, 1)
    )
    return rings + soft * (mean - rings)


def depth(index, count):
    """Share [count] of depth of the ears' vertices below what surrounds them: 0 on crests, 1 in
    the canal."""
    angle = 2 * np.pi * np.arange(AROUND) / AROUND
    about = _ABOUT * np.stack([np.cos(angle), np.sin(angle)], -1)
    deep = [
        smooth_step(0.5, -6.0, height)
        * smooth_step(
            0.8,
            -5.2,
            height - _relief()((at[:, None] + about).reshape(-1, 2)).reshape(AROUND, -1).mean(1),
        )
        for at, height in _rings_of_the_plane(angle)
    ]
    share = np.zeros(count)
    for key, i in index.items():
        if key[0] == "ear" and key[2] < len(deep):
            share[i] = deep[key[2]][key[3] if key[2] else 0]
    return share


def softness(index, count):
    """Size [count] of the bumps that are taken out at the ears' vertices, mm: small but where they
    are grown to the cheek. index: key → vertex."""
    size = np.full(count, _FIRM)
    attached = _by_angle(_ATTACHED, 2 * np.pi * np.arange(AROUND) / AROUND)
    for key, i in index.items():
        if key[0] == "ear" and len(key) == 4:
            outwards = smooth_step(OUTLINE - 3, OUTLINE + 3, key[2])
            size[i] += (_GROWN - _FIRM) * attached[key[3]] * outwards
    return size


def _on_head(ellipse, angle):
    """Points [n, 3] of the form at an ellipse of the ear's plane."""
    centre, radii = np.array(ellipse)
    at = centre + radii * np.stack([np.cos(angle), np.sin(angle)], -1)
    return drop_onto(_point(at))


def hole(grid_rows):
    """(row, column) of the grid about the left ear's hole, in the rings' order, and their points
    [AROUND, 3]."""
    rows = [row for row in grid_rows if ROWS[0] <= row <= ROWS[1]]
    return around(rows, *COLUMNS), _on_head(_HOLE, 2 * np.pi * np.arange(AROUND) / AROUND)


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
