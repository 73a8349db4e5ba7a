# SPDX-License-Identifier: GPL-3.0-or-later
"""Joints of the sculpted head: skinning weights, joint regressor, regions; millimetres as in
form.py."""

import numpy as np
from scipy.optimize import nnls

from .form import EYE
from .mesh import bump, smooth_step
from .muzzle import lip_line

# FLAME's order: root, neck, jaw, left eye, right eye.
JOINTS = np.array([[0, -172, -32], [0, -100, -30], [0, -14, -2], EYE, EYE * [-1, 1, 1]], float)
PARENTS = np.array([[-1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.int64)
ROOT, NECK, JAW, EYE_LEFT, EYE_RIGHT = range(5)
REGIONS = ("mouth", "jaw", "upper_face", "eyes", "head")


def corner_fade(u, power=0.45):
    """1 in the middle of the lips, 0 at the corners; u from −1 to 1."""
    return np.maximum(1 - np.asarray(u) ** 2, 0.0) ** power


def lip_fade(clay):
    """corner_fade [V] of the mouth rings, softer on skin and red than where the lips meet: the
    opening closes to its corners."""
    return corner_fade(clay.u, np.interp(clay.ring, (2, 4, 6.5, 7), (0.85, 0.65, 0.65, 0.45)))


def jaw_weights(clay):
    """The jaw's weight on every vertex, [V] 0..1 before smoothing."""
    p = clay.points
    x = np.abs(p[:, 0])
    j = JOINTS[JAW]
    angle = np.degrees(np.arctan2(p[:, 1] - j[1], p[:, 2] - j[2]))
    line = np.degrees(
        np.arctan2(lip_line(x) - j[1], 91.0 - 10 * np.minimum(x / 25, 1.6) ** 2 - j[2])
    )
    half = 1.6 + 15.0 * smooth_step(8, 52, x)
    w = smooth_step(-half, half, line - angle)
    reach = np.hypot(p[:, 1] - j[1], p[:, 2] - j[2])
    w *= smooth_step(22, 62, reach)
    # the throat stays with the neck: fade from the chin's underside backwards and down
    w *= smooth_step(12, 74, p[:, 2] + 0.55 * np.maximum(p[:, 1] + 118, -40))
    w *= smooth_step(-178, -114, p[:, 1])
    return np.where(clay.ring >= 2, 0.5 - 0.5 * clay.up * lip_fade(clay), w)


def skin_weights(clay):
    """FLAME skinning weights [V, 5], rows sum to 1."""
    jaw = jaw_weights(clay)
    jaw[clay.part == "ear"] = 0.0
    free = np.isin(clay.part, ("skin",))
    for _ in range(12):
        mean = clay.neighbour_mean(jaw)
        jaw = np.where(free, 0.5 * jaw + 0.5 * mean, jaw)
    t = clay.along_tongue
    jaw = np.where(clay.part == "tongue", 1.0 - 0.6 * smooth_step(0.6, 1.0, t), jaw)
    jaw[clay.part == "teeth_lower"] = 1.0
    for part in ("teeth_upper", "brow", "eye_left", "eye_right", "lid", "lash", "tear", "ear"):
        jaw[clay.part == part] = 0.0
    jaw[jaw < 1e-3] = 0.0
    p = clay.points
    neck = smooth_step(-172, -112, p[:, 1] + 0.15 * (p[:, 2] - 30) * (p[:, 2] < 30))
    neck[clay.part != "skin"] = 1.0
    w = np.zeros((len(p), 5))
    w[:, JAW] = jaw
    w[:, NECK] = (1 - jaw) * neck
    w[:, ROOT] = (1 - jaw) * (1 - neck)
    for part, joint in (("eye_left", EYE_LEFT), ("eye_right", EYE_RIGHT)):
        w[clay.part == part] = np.eye(5)[joint]
    return w


def joint_regressor(clay, moved):
    """Non-negative weights [5, V] whose rows sum to 1 and give JOINTS from the template.

    moved: [V] bool, vertices that some expression moves; they are not used, so joints stay put.
    """
    regressor = np.zeros((5, len(clay.points)))
    mirror = clay.mirror
    for joint, part in ((EYE_LEFT, "eye_left"), (EYE_RIGHT, "eye_right")):
        ids = np.flatnonzero(clay.part == part)
        regressor[joint, ids] = _barycentre(clay.points[ids], JOINTS[joint], 400.0)
    still = np.flatnonzero((clay.part == "skin") & ~moved)
    for joint, reach in ((ROOT, 75.0), (NECK, 125.0), (JAW, 95.0)):
        ids = still[np.linalg.norm(clay.points[still] - JOINTS[joint], axis=1) < reach]
        weights = _barycentre(clay.points[ids], JOINTS[joint], 40.0)
        regressor[joint, ids] += 0.5 * weights
        regressor[joint, mirror[ids]] += 0.5 * weights
    return regressor


def _barycentre(points, target, softness):
    """Smooth non-negative weights of points that sum to 1 and meet the target exactly."""
    near = np.exp(-0.5 * (np.linalg.norm(points - target, axis=1) / softness) ** 2)
    system = np.concatenate([(points - target).T / 50.0, np.ones((1, len(points)))])
    rhs = np.array([0, 0, 0, 1.0])
    # least-norm correction of an even start; fall back to a sparse non-negative solution
    start = near / near.sum()
    scaled = system * start
    weights = start * (1 + system.T @ np.linalg.solve(scaled @ system.T, rhs - system @ start))
    if weights.min() < 0:
        weights, _ = nnls(system, rhs)
    return weights / weights.sum()


def regions(clay):
    """Smooth region weights [5, V] that sum to 1 per vertex, in the order of REGIONS."""
    p, part = clay.points, clay.part
    front = smooth_step(10, 50, p[:, 2])
    mouth = bump(p, (0, -70, 86), (52, 36, 60)) ** 0.5 * 1.6
    jaw = smooth_step(-78, -100, p[:, 1]) * front * (1 - smooth_step(-122, -140, p[:, 1]))
    eyes = (
        np.maximum(bump(p, EYE, (26, 22, 40)), bump(p, EYE * [-1, 1, 1], (26, 22, 40))) ** 0.5 * 2
    )
    upper = smooth_step(-45, -12, p[:, 1]) * front * (1 - smooth_step(58, 90, p[:, 1]))
    head = 0.05 + (1 - front)
    raw = np.stack([mouth, jaw, upper, eyes, head])
    for names, index in (
        (("lips", "bag", "tongue", "teeth_upper"), 0),
        (("teeth_lower",), 1),
        (("eye_left", "eye_right", "tear"), 3),
        (("brow",), 2),
    ):
        raw[:, np.isin(part, names)] = np.eye(5)[index][:, None]
    return raw / raw.sum(0)
