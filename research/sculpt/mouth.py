# SPDX-License-Identifier: GPL-3.0-or-later
"""The channels of both lips together, millimetres at value 1: rings of the lips turn in, out, up
and down.

A field of position alone keeps touching lips touching; fields that part the lips fade to zero at
the mouth corners, where the lips are attached. Ring tables give (ring, away from the lip line,
forward) per mouth ring of skin.py: 2 near skin, 4 border of the red, 5 bulge, 7 contact, 8 inner
contact, 9 and more inside the mouth.
"""

import numpy as np

from .mesh import bump, smooth_step
from .muzzle import CONTACT, LINE, lip_line, MOUTH_WIDTH, red_height, RING
from .rig import corner_fade, JAW, JOINTS, lip_fade

CLOSE_ANGLE = 0.30  # jaw angle that mouthClose = 1 compensates [rad]

_PLUMP = (
    (0, 0, 0),
    (1, 0.1, 0),
    (2, 0.3, 0.2),
    (3, 0.7, 0.7),
    (4, 1.0, 1.5),
    (5, 0.4, 2.6),
    (6, -0.6, 2.1),
    (6.5, -0.45, 1.25),
    (7, 0, 0.4),
    (8, 0, 0),
)
# ring, share of the red's new height
_ROUNDER = ((0, 0.05), (1, 0.3), (2, 0.55), (3, 0.85), (4, 1.0), (5, 0.62), (6, 0.25), (7, 0.0))
# height of the red of rounded lips, upper and lower, in the middle [mm]
_ROUND_RED = {1: 8.8, -1: 9.6}
_FLARE = (
    (0, 0.4, 0.2),
    (1, 0.9, 0.3),
    (2, 1.8, 1.0),
    (4, 3.8, 3.1),
    (5, 3.4, 3.5),
    (6, 2.8, 3.1),
    (6.5, 2.6, 2.7),
    (7, 3.0, 2.2),
    (8, 3.0, 1.3),
    (9, 2.4, 0.7),
    (10, 0.8, 0.3),
    (11, 0, 0),
)
_FLARE_LOWER = (
    (0, 0.8, 0.3),
    (1, 1.3, 0.4),
    (2, 2.2, 0.4),
    (4, 4.4, 3.2),
    (5, 3.8, 3.7),
    (6, 2.9, 3.2),
    (6.5, 2.6, 2.8),
    (7, 3.0, 2.2),
    # its red turns out further
    (8, 3.0, 1.3),
    (9, 2.4, 0.7),
    (10, 0.8, 0.3),
    (11, 0, 0),
)
# the lower lip's red moves in under the upper teeth, and the skin below it follows as a wall with a
# hollow
_ROLL = (
    (0, 0.0, 0.0),
    (1, -1.4, -0.6),
    (2, -4.2, -1.7),
    (3, -6.8, -4.3),
    (4, -7.4, -5.4),
    (5, -3.8, -7.3),
    (6, -1.2, -8.6),
    (6.5, -0.8, -7.9),
    (7, -0.1, -7.2),
    (8, -0.2, -3.3),
    (9, 0.5, -2.8),
    (10, 0.2, -2.4),
    (11, 0, 0),
)
# part of its red's way up that comes with the square of the roll; the rest is linear
_TURNS_LATER = 1.4
_ROLL_UPPER = (
    (0, -0.2, 0.0),
    (1, -0.9, -0.6),
    (2, -2.0, -1.2),
    (3, -3.4, -2.2),
    (4, -4.6, -3.4),
    (5, -3.1, -6.2),
    (6, -0.5, -8.0),
    (7, -0.1, -6.9),
    (8, 2.6, -1.8),
    (9, 1.2, -1.2),
    (10, 0.2, -0.2),
    (11, 0, 0),
)
_POUT_LOWER = ((2, 0.4, 0.6), (4, 0.2, 1.8), (5, -0.1, 2.0), (6, 0, 1.2), (7, 0, 0))
_POUT_UPPER = ((2, 0.3, 0.8), (4, 0.4, 2.0), (5, 0.2, 2.2), (6, 0, 1.4), (7, 0, 0))
_PUFF = (
    (0, 0.5, 0.4),
    (1, 0.6, 0.8),
    (2, 0.8, 1.2),
    (4, 0.2, 1.4),
    (5, -0.2, 1.2),
    (6, 0, 1.0),
    (7, 0, 0.8),
    (8, 0, 0.6),
    (9, 0, 0.3),
    (10, 0, 0),
)
_PRESS = (
    (0, -0.2, 0.4),
    (1, -0.8, 0.6),
    (2, -1.4, 1.0),
    (3, -2.2, 0.8),
    (4, -2.4, -0.8),
    (5, -1.9, -1.8),
    (6, -0.4, -1.7),
    (7, 0, -1.6),
    (8, 0, -0.8),
    (9, 0, 0),
)
# mouthLeft beyond the lips: its own corner rises; cheek, nose and chin follow
_SIDEWAYS = (
    ((30, -64, 78), (42, 42, 60), (-0.6, 3.4, -1.2)),
    ((40, -38, 70), (36, 32, 46), (0.6, 1.6, 1.4)),
    ((46, -34, 66), (38, 32, 50), (0.8, 0.9, 0.2)),
    ((-46, -34, 66), (38, 32, 50), (2.0, -0.6, 0.0)),
    ((0, -38, 102), (22, 24, 36), (2.0, 0.5, 0.0)),
    ((0, -93, 90), (40, 30, 54), (2.6, 0.4, -1.8)),
    ((-46, -62, 58), (48, 50, 62), (2.6, 0.3, 0.4)),
    ((54, -72, 48), (42, 46, 60), (2.4, 1.6, 0.3)),
)
# ring → share of the way that a rising upper lip's red loses; and how far it goes back [mm]
_THINS = (
    (0, -0.1, 0),
    (1, -0.3, 0),
    (2, -0.6, -0.2),
    (3, -0.9, -0.4),
    (4, -1.0, -0.7),
    (5, -0.62, -1.1),
    (6, -0.08, -0.5),
    (6.5, 0, -0.2),
    (7, 0, 0),
)
_THINNER = 0.45  # share of the height of its red that an upper lip loses at mouthUpperUp
_JAW_NARROWS = 10.0  # inward movement of each corner per sine of the jaw's angle, mm


def drawn_in(clay):
    """Displacements [V, 3] per sine of the jaw's turn, mm: an opening mouth draws its corners
    in, the jaw's sides stay as wide as they were, and the chin pushes the skin of the throat
    before it."""
    p = clay.points
    narrow = _along(0, -_JAW_NARROWS / MOUTH_WIDTH * p[:, 0] * _around_mouth(p) * outside(clay))
    wide = np.sign(p[:, 0]) * bump(np.abs(p), (42, 94, 36), (26, 30, 44)) * (p[:, 1] < 0)
    throat = bump(p, (0, -124, 38), (40, 28, 34)) * (clay.part == "skin")
    return narrow + throat[:, None] * [0.0, -16.0, 14.0] + _along(0, 12.0 * wide * outside(clay))


def _around_mouth(p):
    """1 about the mouth, 0 on the sides of the face and far above and below it, [V]."""
    near = (1 - smooth_step(23, 62, np.abs(p[:, 0]))) * (
        1 - smooth_step(14, 46, np.abs(p[:, 1] + 71))
    )
    return near * (p[:, 2] > 30)


def mouth_shapes(clay, jaw):
    """Name → displacements [V, 3] of the channels that move both lips; jaw [V]: the jaw's skinning
    weights."""
    depth = outside(clay)
    shapes = _round(clay, depth) | _sideways(clay, depth) | _shrug(clay, depth) | _part(clay)
    across = _across(clay)
    shapes["mouthRollLower"] = turned_rings(clay, _ROLL, across * (clay.up < 0)) - red_in(clay)
    shapes["mouthRollUpper"] = turned_rings(clay, _ROLL_UPPER, across * (clay.up > 0))
    for side, tag in ((1, "Left"), (-1, "Right")):
        share = smooth_step(-9, 9, side * clay.points[:, 0])
        shapes["mouthPress" + tag] = turned_rings(clay, _PRESS, across) * share[:, None]
    shapes["cheekPuff"] = turned_rings(
        clay, _PUFF, np.where(clay.ring >= 2, 0.5 + 0.5 * _fade(clay), 1.0)
    )
    shapes["mouthClose"] = _close(clay, jaw)
    return shapes


def red_in(clay):
    """Displacements [V, 3] per squared value of mouthRollLower: a lower lip goes back first, and
    its red turns in later, so that f and v keep it in sight."""
    red = (clay.up < 0) & (clay.ring < CONTACT)
    return turned_rings(clay, _ROLL, _TURNS_LATER * _across(clay) * red) * [0.0, 1.0, 0.0]


def outside(clay):
    """1 on the face [V], fading to 0 from the lips into the mouth, 0 on teeth, tongue and
    eyeballs."""
    face = np.isin(clay.part, ("skin", "lips", "bag", "lid", "brow"))
    return (
        np.where(
            clay.part == "bag", np.interp(clay.ring, (8, 9, 10, 11), (0.9, 0.7, 0.35, 0.0)), 1.0
        )
        * face
    )


def lip_gates(clay):
    """(upper, lower) [V]: which lip a vertex belongs to, 0 at the mouth corners and away from the
    face."""
    p, x = clay.points, np.abs(clay.points[:, 0])
    above = p[:, 1] - lip_line(x)
    blur = 1.5 + 0.5 * np.maximum(x - 16, 0)
    fade = lip_fade(clay)
    skin = clay.part == "skin"
    on_ring = clay.ring >= 2
    inside = np.interp(clay.ring, (7, 8, 9, 10, 11), (1, 1, 0.8, 0.4, 0.0))
    upper = np.where(on_ring, fade * (clay.up > 0) * inside, skin * smooth_step(-blur, blur, above))
    lower = np.where(
        on_ring, fade * (clay.up < 0) * inside, skin * smooth_step(-blur, blur, -above)
    )
    return upper, lower


def _fade(clay):
    return corner_fade(clay.u) * (clay.ring >= 2)


def _across(clay):
    """Fade towards the corners that also reaches the two skin rings around the lips."""
    return np.where(clay.ring >= 2, corner_fade(clay.u, 0.65), 1 - clay.u**2)


def turned_rings(clay, table, share):
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
    """Pucker and funnel: the corners come together, the lips come forward; the funnel also parts
    them."""
    p = clay.points
    mid, corner = clay.index["m", CONTACT, 10], clay.index["m", CONTACT, 0]
    # in proportion between the corners, where it is most, and less beyond them
    drawn = p[:, 0] / (1 + (p[:, 0] / 24) ** 4) ** 0.25 / (1 + ((p[:, 1] - LINE) / 30) ** 2)
    narrow = _along(0, -drawn * _around_mouth(p) * depth)
    ahead = _along(2, bump(p, (0, -70, 90), (56, 34, 70)) * depth)
    round_ahead = _along(2, bump(p, (0, -70, 90), (50, 18, 70)) * depth)
    # the red's outline round; where the lips meet as every channel parts them, so that they can be
    # closed again
    outline = np.maximum(
        1 - np.abs(clay.u) ** np.interp(clay.ring, (5, 6.5, 7), (3.0, 2.0, 2.0)), 0
    ) ** np.interp(clay.ring, (4, 5, 6, 6.5, 7), (0.5, 0.6, 1.1, 1.5, 0.45))
    flare = np.where(clay.ring >= 2, outline, 1 - clay.u**2)
    plump = turned_rings(clay, _PLUMP, corner_fade(clay.u, 0.25))
    round_red = _rounded(clay)
    return {
        "mouthPucker": _scaled(narrow, corner, 0, -8.0)
        + _scaled(ahead, mid, 2, 6.0)
        + plump
        + round_red,
        "mouthFunnel": _scaled(narrow, corner, 0, -4.0)
        + _scaled(round_ahead, mid, 2, 3.4)
        + turned_rings(clay, _FLARE, flare * (clay.up > 0))
        + turned_rings(clay, _FLARE_LOWER, flare * (clay.up < 0))
        + 0.6 * round_red,
    }


def _rounded(clay):
    """The red's outline from two arcs that meet in a point at the corners to one round of even
    height, [V, 3]."""
    rows = np.array(_ROUNDER)
    share = np.interp(clay.ring, rows[:, 0], rows[:, 1], left=0, right=0) * (clay.ring >= 0)
    a = np.abs(clay.u)
    high = np.where(
        clay.up > 0,
        _ROUND_RED[1] * np.maximum(1 - a**2.4, 0) ** 0.62,
        _ROUND_RED[-1] * np.maximum(1 - a**3.4, 0) ** 0.62,
    )
    return _along(1, clay.up * share * (high - red_height(clay.u, clay.up)))


def _sideways(clay, depth):
    p = clay.points
    shapes = {}
    for name, sign in (("mouthLeft", 1), ("mouthRight", -1)):
        lead = smooth_step(-34, 34, sign * p[:, 0])  # the side that leads is pushed together
        field = _along(0, sign * bump(p, (0, -70, 84), (80, 56, 70)) * (1.35 - 0.7 * lead) * depth)
        trails = np.sign(p[:, 0]) * sign < 0  # the side over the teeth
        field[:, 2] -= (
            np.where(trails, 0.45, 0.25)
            * field[:, 0]
            * np.sign(p[:, 0])
            * np.minimum(np.abs(p[:, 0]) / 16, 1)
        )
        field = _scaled(field, clay.index["m", CONTACT, 10], 0, sign * 7.5)
        # along the teeth's arch, less at the contact line: moving that backwards would open the
        # lips when the jaw is down
        field[:, 2] -= (
            2.7
            * bump(p, (0, -70, 92), (30, 24, 50))
            * depth
            * np.interp(clay.ring, (4, 7), (1.0, 0.25))
        )
        for centre, radii, vector in _SIDEWAYS:
            field += (bump(p * [sign, 1, 1], centre, radii) * depth)[:, None] * (
                np.array(vector) * [sign, 1, 1]
            )
        shapes[name] = field
    return shapes


def _shrug(clay, depth):
    """The chin pushes both lips up; the upper lip lifts and pouts, the lower follows to stay in
    touch."""
    p, fade = clay.points, _fade(clay)
    push = _along(1, bump(p, (0, -86, 88), (38, 31, 60)) * depth)
    push[:, 2] = 0.4 * push[:, 1]
    lift = _along(1, bump(p, (0, -61, 92), (32, 26, 60)) * depth)
    return {
        "mouthShrugLower": push * 4.8 + turned_rings(clay, _POUT_LOWER, fade * (clay.up < 0)),
        "mouthShrugUpper": lift * 3.6 + turned_rings(clay, _POUT_UPPER, fade * (clay.up > 0)),
    }


def _part(clay):
    """One lip moves, the other stays: upper up, lower down, left and right shares that sum to the
    whole."""
    p = clay.points
    upper, lower = lip_gates(clay)
    up = _along(1, upper * bump(p, (0, -66, 90), (54, 34, 70)))
    up[:, 2] = 0.11 * up[:, 1]
    up = _scaled(up, clay.index["m", CONTACT, 10], 1, 7.0) + _thinned(clay)
    down = _along(1, -lower * bump(p, (0, -76, 90), (56, 42, 70)))
    down[:, 2] = 0.2 * down[:, 1]
    down = _scaled(down, clay.index["m", CONTACT, 30], 1, -8.0)
    shapes = {}
    for side, tag in ((1, "Left"), (-1, "Right")):
        share = smooth_step(-9, 9, side * p[:, 0])[:, None]
        shapes["mouthUpperUp" + tag], shapes["mouthLowerDown" + tag] = up * share, down * share
    return shapes


def _thinned(clay):
    """Displacements [V, 3] by which the red of a raised upper lip gets lower, in proportion to its
    height: its border rises less than its edge, which stays where it was."""
    high = np.zeros(len(clay.points))
    for key, i in clay.index.items():
        if key[0] == "m" and 0 < key[2] < RING // 2:
            border, edge = (clay.index["m", ring, key[2]] for ring in (4, CONTACT))
            high[i] = clay.points[border, 1] - clay.points[edge, 1]
    lower = turned_rings(clay, _THINS, np.ones(len(high))) * (high > 0)[:, None]
    lower[:, 1] *= _THINNER * high
    lower[:, 2] *= np.maximum(1 - clay.u**2, 0)
    return lower


def _close(clay, jaw):
    """mouthClose: with value θ / 0.30 it brings the lips together again at jaw angle θ.

    A shape is linear and a rotation is not, so per vertex the displacement is fitted over θ in (0,
    0.25]: skinned with the jaw's weight, the vertex shall lie where a common point of both lips,
    with a weight between the two, would lie. That point drops with the jaw but hardly goes back
    with it: teeth are behind.
    """
    p = clay.points
    fade = np.where(
        clay.ring >= 2,
        corner_fade(clay.u),
        corner_fade(np.clip(p[:, 0] / (MOUTH_WIDTH + 8), -1, 1)),
    )
    goal = 0.5 - 0.08 * fade
    stays = np.array([1.0, 1.0, 0.38])
    near = bump(p, (0, -72, 88), (46, 38, 60)) ** 0.4
    rings = np.interp(clay.ring, (2, 3, 4, 8, 9, 10, 11), (0.86, 0.95, 1, 1, 0.9, 0.5, 0))
    near = np.where(clay.ring >= 2, rings, near) * np.isin(clay.part, ("skin", "lips", "bag"))
    offset = p - JOINTS[JAW]
    angles = 0.245 * (0.5 - 0.5 * np.cos(np.pi * (np.arange(24) + 0.5) / 24))
    lhs, rhs = np.zeros((len(p), 3, 3)), np.zeros((len(p), 3))
    for a in angles:
        turn = np.array(
            [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
        ) - np.eye(3)
        skinned = np.eye(3) + jaw[:, None, None] * turn  # blended matrix about the joint
        moved = offset @ turn.T
        wanted = (goal[:, None] * stays - jaw[:, None]) * moved
        step = skinned * (a / CLOSE_ANGLE)
        lhs += np.einsum("vji,vjk->vik", step, step)
        rhs += np.einsum("vji,vj->vi", step, wanted)
    solved = np.linalg.solve(lhs, rhs[:, :, None])[:, :, 0]
    solved[:, 0] = 0.0
    return solved * near[:, None]
