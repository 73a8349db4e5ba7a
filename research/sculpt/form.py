# SPDX-License-Identifier: GPL-3.0-or-later
"""The clay: the head's outer form as one implicit function, blended from ellipsoids and capsules.

Millimetres throughout; x to the head's left, y up, z out of the face, origin between the ears at
eye height. Sizes are adult means of anthropometry (head 152 mm wide, 195 mm long, face 120 mm from
nasion to chin, pupils 63 mm apart, outer eye corners 90 mm apart, mouth 50 mm wide).
"""

from functools import reduce

import numpy as np

from .mesh import bump, smooth_step
from .muzzle import ground

EYE = np.array([31.5, 0.0, 61.0])  # centre of the left eyeball
EYE_RADIUS = 12.6


def smooth_min(a, b, k):
    """Union of two distances blended over k millimetres."""
    h = np.maximum(k - np.abs(a - b), 0.0) / k
    return np.minimum(a, b) - h * h * k * 0.25


def smooth_max(a, b, k):
    return -smooth_min(-a, -b, k)


def ellipsoid(p, centre, radii, power=2.0):
    """Approximate signed distance to an axis-aligned ellipsoid, more of a box for a power above 2;
    p [n, 3]."""
    q = np.abs((p - np.asarray(centre, float)) / np.asarray(radii, float)) + 1e-9
    k = (q**power).sum(1) ** (1 / power)
    slope = (q / k[:, None]) ** (power - 1) / np.asarray(radii, float)
    return (k - 1.0) / np.sqrt((slope * slope).sum(1))


def capsule(p, a, b, ra, rb, squash=(1.0, 1.0, 1.0)):
    """Approximate signed distance to a capsule from a (radius ra) to b (radius rb), squashed per
    axis."""
    s = 1.0 / np.asarray(squash, float)
    p, a, b = p * s, np.asarray(a, float) * s, np.asarray(b, float) * s
    ab = b - a
    t = np.clip(((p - a) @ ab) / (ab @ ab), 0.0, 1.0)
    d = np.sqrt(((p - a - t[:, None] * ab) ** 2).sum(1))
    return (d - (ra + (rb - ra) * t)) * min(squash)


def chain(p, nodes, k, squash=(1.0, 1.0, 1.0)):
    """Approximate signed distance to capsules end to end, blended over k; nodes of x, y, z,
    radius."""
    parts = [capsule(p, a[:3], b[:3], a[3], b[3], squash) for a, b in zip(nodes, nodes[1:])]
    return reduce(lambda d, part: smooth_min(d, part, k), parts)


_NECK = ((0, -60, -24, 51), (0, -118, -27, 53), (0, -240, -66, 60))
# the muscle from behind the ear to the breastbone
_STERNOMASTOID = (
    (62, -44, -32, 7.0),
    (53, -84, -18, 8.0),
    (39, -124, 3, 9.0),
    (23, -164, 7, 7.5),
    (8, -200, 13, 5.0),
)
# the nose's bridge, from its root to the tip
_BRIDGE = ((0, 7, 82.6, 1.2), (0, -8, 90.2, 1.6), (0, -18, 95.4, 2.4), (0, -27.2, 97.4, 6.6))
# the brow ridge, from its middle outwards
_BROW = ((5, 11.5, 82.2, 5.8), (19, 15, 77.8, 6.0), (34, 19.4, 70.4, 6.2), (49, 16, 58.4, 6.2))


# What the head is blended from after its skull, in this order: shape, its measures, and over how
# many millimetres.
_FORM = (
    (ellipsoid, ((0, 30, 23.0), (57, 55, 59), 2.05), 30),  # forehead
    (ellipsoid, ((0, -8, -40), (62, 51, 60)), 24),  # back of the head
    (ellipsoid, ((0, -24, 6), (69, 58, 50)), 24),  # side of the face
    (ellipsoid, ((0, -34, 38), (53, 58, 46)), 24),
    (ellipsoid, ((39, -25, 44), (23, 16, 20)), 26),  # cheekbone
    (ellipsoid, ((33, -42, 57), (19, 24, 17)), 26),  # cheek beside the nose
    (ellipsoid, ((0, -74, 22), (50, 38, 48)), 26),  # jaw
    (capsule, ((52, -24, -2), (39, -74, 2), 9, 9), 30),  # its branch, up to the ear
    (capsule, ((48, -77, 0), (18.5, -103, 58), 9.5, 10), 20),  # its edge
    (ellipsoid, ((0, -104, 64), (20, 12, 19)), 20),  # chin
    (chain, (_NECK, 8, (1.03, 1.0, 1.0)), 20),
    (capsule, ((0, -94, 65), (0, -108.5, 27), 14, 18.5), 16),  # floor of the mouth
    (capsule, ((0, -121, 25), (0, -190, -18), 17, 20), 9),  # throat, from the bone of the tongue
    (chain, (_STERNOMASTOID, 8), 14),
    (ellipsoid, ((0, -256, -48), (122, 64, 66)), 40),  # chest
    (capsule, ((20, -168, -62), (98, -199, -54), 18, 25), 40),  # shoulders
    (capsule, ((12, -200, 12), (96, -190, -22), 2.5, 4), 24),  # collar bones
    (chain, (_BROW, 8), 20),
    (ellipsoid, ((0, -68, 62), (34, 27, 29)), 18),  # dental arch
)


def distance(p, nose=True):
    """Signed distance [n] of points [n, 3] to the skin, negative inside; symmetric in x."""
    p = p.copy()
    p[:, 0] = np.sqrt(p[:, 0] ** 2 + 1e-6)
    d = ellipsoid(p, (0, 33, -16), (77.5, 75.5, 90), 2.05)
    for shape, measures, blend in _FORM:
        d = smooth_min(d, shape(p, *measures), blend)
    socket = ellipsoid(p, (30.5, 2.8, 88), (21, 13, 17))
    d = smooth_max(d, -socket, 18)
    drawn = _muzzle_share(p)
    near = drawn > 0
    if near.any():
        d[near] += drawn[near] * (0.85 * (p[near, 2] - ground(p[near, 0], p[near, 1])) - d[near])
    groove, cheek = fold(p)
    d = d + 0.2 * groove - 0.25 * cheek - _relief(p)
    return _with_nose(d, p) if nose else d


def _with_nose(d, p):
    """Distances d [n] of points of the left side to the face, joined with the bridge of its nose;
    tip and wings are drawn in nose.py."""
    d = smooth_min(d, capsule(p, (0, 4, 63.4), (0, -27, 77), 8.6, 17.0), 12)  # its sides
    return smooth_min(d, chain(p, _BRIDGE, 4), 12)


# What bone and muscle raise or hollow: centre, radii, height [mm]; the lips' rings, above −90 near
# the middle, lie outside of all.
_RELIEF = (
    ((62, 40, 48), (34, 38, 48), -0.4),  # temple
    ((0, 38, 84), (58, 14, 46), -1.4),  # above the brows
    ((0, 72, 70), (64, 34, 44), -1.6),  # the forehead leans back
    ((63, 4, 48), (22, 24, 36), 1.0),  # beside the eye's outer corner
    ((52, -4, 62), (10, 9, 16), 0.9),  # outer corner of the eye
    ((76, 10, 16), (24, 34, 50), 1.2),  # the arch from there to the ear
    ((76, 36, 22), (24, 24, 40), 0.4),  # the temple behind
    ((58, -38, 58), (34, 32, 36), -1.0),  # the cheekbone is round
    ((64, -50, 28), (30, 34, 42), 2.6),  # and the cheek under it
    ((0, 24, 88), (20, 16, 40), 0.5),  # between the brows
    ((0, 6, 90), (11, 11, 24), -9.6),  # root of the nose
    ((9, -2, 88), (8, 15, 14), -0.9),  # its sides are hollow there
    ((13, -1, 80), (9, 14, 18), -1.0),  # inner corner of the eye
    ((20, 6, 72), (10, 10, 18), 1.2),  # over it
    ((32, -26, 78), (32, 28, 32), -1.1),  # under the eye
    ((34, 9, 74), (21, 9, 26), 2.9),  # over its lid
    ((30, 12.8, 80), (20, 7, 26), -1.9),  # the hollow between lid and brow
    ((24, 18, 80), (26, 12, 28), 2.2),  # the bone under the brow
    ((49, 18, 62), (26, 18, 34), 2.8),
    ((44, 8, 66), (17, 11, 24), 1.5),  # skin hangs over the lid's outer half
    ((56, -62, 22), (32, 44, 46), 1.6),  # chewing muscle
    ((42, -90, 52), (26, 26, 36), 0.3),  # the cheek beside the chin
    ((30, -119, 36), (28, 17, 46), -1.4),  # beneath the jaw
    ((48, -106, 8), (32, 22, 50), -2.0),
    ((66, -64, -24), (20, 36, 24), -0.9),  # behind its branch
    ((58, -78, 2), (24, 24, 34), 1.2),  # its angle
    ((73, -30, -18), (16, 24, 18), -1.5),  # beneath the ear
    ((0, -106, 90), (38, 22, 36), 2.8),  # chin
    ((16, -110, 80), (17, 14, 28), 1.8),
    ((0, 14, -104), (60, 50, 44), 1.5),  # back of the skull
    ((0, -58, -83), (50, 38, 42), 5.0),  # nape
    ((0, -145, 26), (13, 18, 24), 2.0),  # larynx
    ((0, -52.5, 97), (16, 8.5, 22), 2.2),  # under the nose
    ((0, -58, 97), (4.5, 7, 20), -1.0),  # philtrum
    ((5.5, -57, 97), (3.5, 8, 20), 0.7),
    ((42, -26, 72), (34, 32, 36), -1.8),  # cheek under the eye
    ((52, -74, 44), (30, 34, 42), 1.8),  # lower cheek
)


def _relief(p):
    """Height [n] of the reliefs at points p of the left side."""
    return sum(height * bump(p, centre, radii) for centre, radii, height in _RELIEF)


_FOLD = np.array(((18.6, -43.0), (26.0, -51.0), (33.0, -60.0), (38.5, -70.0), (41.0, -82.0)))


def fold(p):
    """Position of points [n, 3] relative to the left nasolabial fold, from the nose's wing past the
    mouth corner: (in its groove, on its cheek side), each [n] 0..1; x is taken as positive."""
    at = np.stack([np.abs(p[:, 0]), p[:, 1]], 1)
    a, b = _FOLD[:-1], _FOLD[1:]
    span = b - a
    t = np.clip(((at[:, None] - a) * span).sum(2) / (span * span).sum(1), 0, 1)
    away = at[:, None] - (a + t[..., None] * span)
    far = np.linalg.norm(away, axis=2)
    row, nearest = np.arange(len(at)), far.argmin(1)
    outwards = away[row, nearest, 0] * -span[nearest, 1] + away[row, nearest, 1] * span[nearest, 0]
    side = np.copysign(far[row, nearest], outwards)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(span, axis=1))])
    along = (length[nearest] + t[row, nearest] * np.diff(length)[nearest]) / length[-1]
    here = (
        smooth_step(0.0, 0.18, along)
        * (1 - smooth_step(0.62, 1.0, along))
        * smooth_step(40, 60, p[:, 2])
    )
    return here * np.exp(-((side / 2.8) ** 2)), here * np.exp(-(((side - 7.0) / 5.0) ** 2))


def furrows(p):
    """Waves [n] across the forehead, −1 … 1, at points [n, 3]."""
    return bump(p, (0, 46, 84), (56, 25, 64)) * np.sin(
        2 * np.pi * (p[:, 1] - 0.004 * p[:, 0] ** 2) / 13.0
    )


def _muzzle_share(p):
    """Weight of muzzle.py's drawn surface at points [n, 3]."""
    narrow = np.interp(p[:, 1], (-106, -84), (14, 30))  # the chin is drawn, the jaw's sides are not
    share = (1 - smooth_step(0, 18, np.abs(p[:, 0]) - narrow)) * smooth_step(45, 65, p[:, 2])
    return share * (1 - smooth_step(-54, -42, p[:, 1])) * smooth_step(-114, -104, p[:, 1])


def gradient(p, step=0.05):
    g = np.empty_like(p)
    for axis in range(3):
        e = np.zeros(3)
        e[axis] = step
        g[:, axis] = (distance(p + e) - distance(p - e)) / (2 * step)
    return g


def drop_onto(p, rounds=6, longest=8.0):
    """Move points [n, 3] along the gradient until they lie on the skin."""
    p = p.copy()
    for _ in range(rounds):
        d = np.clip(distance(p), -longest, longest)
        g = gradient(p)
        p -= (d / np.maximum((g * g).sum(1), 0.05))[:, None] * g
    return p


def surface_z(x, y, nose=True):
    """Depth z [n] of the skin in front of (x, y), by marching inwards along −z."""
    p = np.stack([x, y, np.full_like(x, 125.0)], 1)
    for _ in range(60):
        p[:, 2] -= 0.8 * distance(p, nose)
    return p[:, 2]
