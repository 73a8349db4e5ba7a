# SPDX-License-Identifier: GPL-3.0-or-later
"""The clay: the head's outer form as one implicit function, blended from ellipsoids and capsules.

Millimetres throughout; x to the head's left, y up, z out of the face, origin between the ears at eye
height. Sizes are adult means of anthropometry (head 152 mm wide, 195 mm long, face 120 mm from nasion to
chin, pupils 63 mm apart, outer eye corners 90 mm apart, mouth 50 mm wide).
"""

from __future__ import annotations

import numpy as np

EYE = np.array([31.5, 0.0, 61.0])  # centre of the left eyeball
EYE_RADIUS = 12.6
LID_RADIUS = 14.4  # outside of the lids, over the eyeball


def smooth_min(a, b, k):
    """Union of two distances blended over k millimetres."""
    h = np.maximum(k - np.abs(a - b), 0.0) / k
    return np.minimum(a, b) - h * h * k * 0.25


def smooth_max(a, b, k):
    return -smooth_min(-a, -b, k)


def ellipsoid(p, centre, radii):
    """Approximate signed distance to an axis-aligned ellipsoid; p [n, 3]."""
    q = (p - np.asarray(centre, float)) / np.asarray(radii, float)
    k0 = np.sqrt((q * q).sum(1)) + 1e-9
    g = q / np.asarray(radii, float)
    k1 = np.sqrt((g * g).sum(1)) + 1e-9
    return k0 * (k0 - 1.0) / k1


def capsule(p, a, b, ra, rb, squash=(1.0, 1.0, 1.0)):
    """Approximate signed distance to a capsule from a (radius ra) to b (radius rb), squashed per axis."""
    s = 1.0 / np.asarray(squash, float)
    p, a, b = p * s, np.asarray(a, float) * s, np.asarray(b, float) * s
    ab = b - a
    t = np.clip(((p - a) @ ab) / (ab @ ab), 0.0, 1.0)
    d = np.sqrt(((p - a - t[:, None] * ab) ** 2).sum(1))
    return (d - (ra + (rb - ra) * t)) * min(squash)


def distance(p, nose=True):
    """Signed distance [n] of points [n, 3] to the skin, negative inside; symmetric in x."""
    p = p.copy()
    p[:, 0] = np.sqrt(p[:, 0] ** 2 + 1e-6)
    d = ellipsoid(p, (0, 34, -14), (76, 77, 91))
    d = smooth_min(d, ellipsoid(p, (0, 34, 26), (63, 54, 59)), 30)
    d = smooth_min(d, ellipsoid(p, (0, -10, -40), (62, 52, 61)), 24)  # back of the head
    d = smooth_min(d, ellipsoid(p, (0, -34, 12), (69, 62, 52)), 24)  # side of the face
    d = smooth_min(d, ellipsoid(p, (0, -34, 36), (58, 62, 48)), 24)
    d = smooth_min(d, ellipsoid(p, (37, -27, 50), (27, 20, 21)), 30)  # cheekbone
    d = smooth_min(d, ellipsoid(p, (0, -76, 28), (54, 33, 48)), 24)  # jaw
    d = smooth_min(d, capsule(p, (38, -76, 8), (14, -104, 60), 12, 12), 24)  # jaw line
    d = smooth_min(d, ellipsoid(p, (0, -105, 68), (21, 12, 18)), 24)  # chin
    d = smooth_min(d, capsule(p, (0, -60, -27), (0, -230, -38), 51, 54), 22)  # neck
    d = smooth_min(d, capsule(p, (14, 21, 78), (44, 19, 62), 8, 7), 14)  # brow ridge
    d = smooth_min(d, ellipsoid(p, (0, -68, 62), (34, 27, 29)), 18)  # dental arch
    socket = ellipsoid(p, (31, 0, 84), (21, 12, 14))
    d = smooth_max(d, -socket, 12)
    if nose:
        d = smooth_min(d, capsule(p, (0, 8, 79.5), (0, -36, 99), 6.5, 8.0), 12)  # bridge; the rest is in sculpt_nose
    ball = np.sqrt(((p - EYE) ** 2).sum(1)) - LID_RADIUS
    d = smooth_min(d, ball, 6)
    return d


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
