# SPDX-License-Identifier: GPL-3.0-or-later
"""The channels of both lips together, millimetres at value 1: rings of the lips turn in, out, up and down.

A field of position alone keeps touching lips touching; fields that part the lips fade to zero at the mouth
corners, where the lips are attached. Ring tables give (ring, away from the lip line, forward) per mouth ring of
sculpt_skin: 2 near skin, 4 border of the red, 5 bulge, 7 contact, 8 inner contact, 9 and more inside the mouth.
"""

from __future__ import annotations

import numpy as np

from .sculpt_mesh import bump, smooth_step
from .sculpt_rig import JAW, JOINTS, corner_fade
from .sculpt_skin import CONTACT, MOUTH_WIDTH, lip_line

CLOSE_ANGLE = 0.30  # jaw angle [rad] that mouthClose = 1 stands for

_PLUMP = ((2, 0.4, 0), (4, 1.0, 0.6), (5, 0.6, 1.4), (6, 0, 1.0), (7, 0, 0))
_FLARE = ((0, 0.2, 0.3), (1, 0.6, 0.8), (2, 1.1, 1.6), (4, 2.2, 3.6), (5, 2.6, 4.3), (6, 2.9, 4.2), (7, 3.0, 3.6),
          (8, 3.0, 2.6), (9, 2.4, 1.5), (10, 0.8, 0.6), (11, 0, 0))
_ROLL = ((0, 0.2, -0.2), (1, -0.5, -0.6), (2, -1.4, -1.4), (3, -2.8, -2.6), (4, -4.0, -4.2), (5, -2.6, -5.8),
         (6, -0.6, -6.3), (7, 0.2, -5.6), (8, 1.6, -4.0), (9, 1.8, -2.2), (10, 0.6, -0.6), (11, 0, 0))
_POUT_LOWER = ((2, 0.4, 0.6), (4, 0.2, 1.8), (5, -0.1, 2.0), (6, 0, 1.2), (7, 0, 0))
_POUT_UPPER = ((2, 0.3, 0.8), (4, 0.4, 2.0), (5, 0.2, 2.2), (6, 0, 1.4), (7, 0, 0))
_PUFF = ((0, 0, 0.6), (1, 0, 1.6), (2, 0, 2.2), (4, -0.3, 1.6), (5, -0.4, 1.0), (6, 0, 0.4), (7, 0, 0))
_PRESS = ((0, -0.2, 0.2), (1, -0.8, 0.0), (2, -1.4, -0.4), (3, -1.9, -0.8), (4, -2.3, -1.4), (5, -1.7, -2.3),
          (6, -0.7, -2.6), (7, 0, -1.6), (8, 0, -0.8), (9, 0, 0))


def mouth_shapes(clay, jaw):
    """Name → displacements [V, 3] of the channels that move both lips; jaw [V]: the jaw's skinning weights."""
    depth = outside(clay)
    shapes = _round(clay, depth) | _sideways(clay, depth) | _shrug(clay, depth) | _part(clay)
    across = _across(clay)
    shapes["mouthRollLower"] = _turn(clay, _ROLL, across * (clay.up < 0))
    shapes["mouthRollUpper"] = _turn(clay, np.array(_ROLL) * [1, 0.75, 0.75], across * (clay.up > 0))
    for side, tag in ((1, "Left"), (-1, "Right")):
        share = smooth_step(-9, 9, side * clay.points[:, 0])
        shapes["mouthPress" + tag] = _turn(clay, _PRESS, across) * share[:, None]
    shapes["cheekPuff"] = _puff(clay, depth)
    shapes["mouthClose"] = _close(clay, jaw)
    return shapes


def outside(clay):
    """1 on the face [V], fading to 0 from the lips into the mouth, 0 on teeth, tongue and eyeballs."""
    face = np.isin(clay.part, ("skin", "lips", "bag", "lid", "brow"))
    return np.where(clay.part == "bag", np.interp(clay.ring, (8, 9, 10, 11), (0.9, 0.7, 0.35, 0.0)), 1.0) * face


def _gates(clay):
    """(upper, lower) [V]: which lip a vertex belongs to, 0 at the mouth corners and away from the face."""
    p, x = clay.points, np.abs(clay.points[:, 0])
    above = p[:, 1] - lip_line(x)
    blur = 1.5 + 0.5 * np.maximum(x - 16, 0)
    fade = corner_fade(clay.u * np.interp(clay.ring, (2, 3, 4, 5), (0.86, 0.94, 0.985, 1.0)))
    skin = clay.part == "skin"
    on_ring = clay.ring >= 2
    inside = np.interp(clay.ring, (7, 8, 9, 10, 11), (1, 0.9, 0.7, 0.3, 0.0))
    upper = np.where(on_ring, fade * (clay.up > 0) * inside, skin * smooth_step(-blur, blur, above))
    lower = np.where(on_ring, fade * (clay.up < 0) * inside, skin * smooth_step(-blur, blur, -above))
    return upper, lower


def _fade(clay):
    return corner_fade(clay.u) * (clay.ring >= 2)


def _across(clay):
    """Fade towards the corners that also reaches the two skin rings around the lips."""
    return np.where(clay.ring >= 2, _fade(clay), 1 - clay.u**2)


def _turn(clay, table, share):
    """Displacements [V, 3] of a ring table, times a share [V]; 0 off the rings."""
    rows = np.array(table, float)
    away, ahead = (np.interp(clay.ring, rows[:, 0], rows[:, i], left=0, right=0) for i in (1, 2))
    on = share * (clay.ring >= 0)
    return np.stack([np.zeros(len(on)), away * clay.up * on, ahead * on], 1)


def _scaled(field, vertex, axis, value):
    """The field scaled so that its component at one vertex has the value."""
    return field * (value / field[vertex, axis])


def _along(axis, amount):
    """Displacements [V, 3] by an amount [V] along one axis."""
    return amount[:, None] * np.eye(3)[axis]


def _round(clay, depth):
    """Pucker and funnel: the corners come together, the lips come forward; the funnel also parts them."""
    p = clay.points
    mid, corner = clay.index["m", CONTACT, 10], clay.index["m", CONTACT, 0]
    flat = (1 - smooth_step(23, 62, np.abs(p[:, 0]))) * (1 - smooth_step(14, 46, np.abs(p[:, 1] + 71)))
    narrow = _along(0, -p[:, 0] * flat * depth * (p[:, 2] > 30))
    ahead = _along(2, bump(p, (0, -70, 90), (38, 30, 60)) * depth)
    flare = np.where(clay.ring >= 2, _fade(clay), 1 - np.abs(clay.u))
    plump = _turn(clay, _PLUMP, _fade(clay))
    return {
        "mouthPucker": _scaled(narrow, corner, 0, -8.0) + _scaled(ahead, mid, 2, 6.0) + plump,
        "mouthFunnel": _scaled(narrow, corner, 0, -4.0) + _scaled(ahead, mid, 2, 2.0) + _turn(clay, _FLARE, flare),
    }


def _sideways(clay, depth):
    p = clay.points
    shapes = {}
    for name, sign in (("mouthLeft", 1), ("mouthRight", -1)):
        field = _along(0, sign * bump(p, (0, -72, 84), (62, 44, 64)) * depth)
        field[:, 2] = -0.25 * field[:, 0] * np.sign(p[:, 0]) * np.minimum(np.abs(p[:, 0]) / 20, 1)
        shapes[name] = _scaled(field, clay.index["m", CONTACT, 10], 0, sign * 7.5)
    return shapes


def _shrug(clay, depth):
    """The chin pushes both lips up; the upper lip lifts and pouts, the lower follows to stay in touch."""
    p, fade = clay.points, _fade(clay)
    push = _along(1, bump(p, (0, -86, 88), (34, 30, 60)) * depth)
    push[:, 2] = 0.35 * push[:, 1]
    lift = _along(1, bump(p, (0, -62, 92), (30, 24, 60)) * depth)
    return {
        "mouthShrugLower": push * (4.6 / push[:, 1].max()) + _turn(clay, _POUT_LOWER, fade * (clay.up < 0)),
        "mouthShrugUpper": lift * (3.2 / lift[:, 1].max()) + _turn(clay, _POUT_UPPER, fade * (clay.up > 0)),
    }


def _part(clay):
    """One lip moves, the other stays: upper up, lower down, left and right shares that sum to the whole."""
    p = clay.points
    upper, lower = _gates(clay)
    up = _along(1, upper * bump(p, (0, -66, 90), (42, 30, 60)))
    up[:, 2] = 0.15 * up[:, 1]
    up = _scaled(up, clay.index["m", CONTACT, 10], 1, 7.0)
    down = _along(1, -lower * bump(p, (0, -76, 90), (44, 40, 60)))
    down[:, 2] = 0.2 * down[:, 1]
    down = _scaled(down, clay.index["m", CONTACT, 30], 1, -8.0)
    shapes = {}
    for side, tag in ((1, "Left"), (-1, "Right")):
        share = smooth_step(-9, 9, side * p[:, 0])[:, None]
        shapes["mouthUpperUp" + tag], shapes["mouthLowerDown" + tag] = up * share, down * share
    return shapes


def _puff(clay, depth):
    """Air in the cheeks: outwards at the sides, a little forward around the lips."""
    p = clay.points
    hill = sum(bump(p, (s * 44, -62, 62), (32, 38, 46)) for s in (1, -1)) * depth * (clay.part != "bag")
    out = (p[:, 2] > 0)[:, None] * np.stack([np.sign(p[:, 0]) * 0.8, 0 * p[:, 0], 0 * p[:, 0] + 0.6], 1)
    around = np.where(clay.ring >= 2, 0.4 + 0.6 * _fade(clay), 1.0)
    return out * (9.0 * hill / hill.max())[:, None] + _turn(clay, _PUFF, around)


def _close(clay, jaw):
    """mouthClose: with value θ / 0.30 it brings the lips together again at jaw angle θ.

    A shape is linear and a rotation is not, so per vertex the displacement is fitted over θ in (0, 0.15]:
    skinned with the jaw's weight, the vertex shall lie where a common point of both lips, with a weight
    between the two, would lie.
    """
    p = clay.points
    fade = corner_fade(np.clip(p[:, 0] / (MOUTH_WIDTH + 8), -1, 1))
    goal = 0.5 - 0.16 * np.where(clay.ring >= 2, corner_fade(clay.u), fade)
    near = bump(p, (0, -72, 88), (46, 38, 60)) ** 0.4
    rings = np.interp(clay.ring, (2, 3, 4, 8, 9, 10, 11), (0.86, 0.95, 1, 1, 0.9, 0.5, 0))
    near = np.where(clay.ring >= 2, rings, near) * np.isin(clay.part, ("skin", "lips", "bag"))
    offset = p - JOINTS[JAW]
    angles = CLOSE_ANGLE * 0.5 * (0.5 - 0.5 * np.cos(np.pi * (np.arange(24) + 0.5) / 24))
    lhs, rhs = np.zeros((len(p), 3, 3)), np.zeros((len(p), 3))
    for a in angles:
        turn = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]) - np.eye(3)
        skinned = np.eye(3) + jaw[:, None, None] * turn  # blended matrix about the joint
        wanted = (goal - jaw)[:, None] * (offset @ turn.T)
        step = skinned * (a / CLOSE_ANGLE)
        lhs += np.einsum("vji,vjk->vik", step, step)
        rhs += np.einsum("vji,vj->vi", step, wanted)
    solved = np.linalg.solve(lhs, rhs[:, :, None])[:, :, 0]
    solved[:, 0] = 0.0
    return solved * near[:, None]
