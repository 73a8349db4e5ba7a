# SPDX-License-Identifier: GPL-3.0-or-later
"""The expression basis: 44 smooth displacement fields with ARKit's names, millimetres at value
1."""

import numpy as np

from .form import EYE
from .mesh import bump, smooth_step
from .mouth import lip_gates, mouth_shapes, outside, turned_rings
from .muzzle import CONTACT
from .parts import across_tongue, place_on_lid
from .riders import creases, riders
from .rig import lip_fade
from .skin import corner_flesh, EYE_RING, MARGIN

CHANNELS = tuple(
    "browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff "
    "cheekSquintLeft "
    "cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeSquintLeft eyeSquintRight eyeWideLeft "
    "eyeWideRight jawForward "
    "mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft mouthFrownRight mouthFunnel "
    "mouthLeft "
    "mouthLowerDownLeft mouthLowerDownRight mouthPressLeft mouthPressRight mouthPucker mouthRight "
    "mouthRollLower "
    "mouthRollUpper mouthShrugLower mouthShrugUpper mouthSmileLeft mouthSmileRight "
    "mouthStretchLeft "
    "mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft noseSneerRight tongueOut "
    "tongueTipUp "
    "tongueBladeUp tongueBack".split()
)


def expression_basis(clay, jaw):
    """Displacements [44, V, 3] in millimetres at value 1, in the order of CHANNELS.

    clay: the sculpted mesh with its attributes.  jaw: [V] jaw skinning weights, which mouthClose
    undoes.
    """
    shapes = mouth_shapes(clay, jaw) | _corners(clay) | lids(clay) | _tongue(clay)
    lower = _lower_lids(clay)
    for tag in ("Left", "Right"):
        shapes["mouthSmile" + tag] += _LIDS_SMILE * lower * shapes["eyeSquint" + tag]
    shapes["jawForward"] = jaw[:, None] * np.array([0, -0.6, 6.5])
    carried = riders(clay, outside(clay), *lip_gates(clay))
    nothing = np.zeros(clay.points.shape)
    basis = np.stack([shapes.get(name, nothing) + carried.get(name, nothing) for name in CHANNELS])
    fair, sharp = (clay.fair_finely.field(_even(clay, field)) for field in basis), creases(clay)
    return np.stack(
        [clay.brows.carry(field + sharp.get(name, 0.0)) for name, field in zip(CHANNELS, fair)]
    )


def _even(clay, field, rounds=5):
    """A field [V, 3] smoothed over the skin that it moves; lips, lids and other parts are
    unchanged."""
    free = ((clay.part == "skin") & (clay.ring < 2) & field.any(1))[:, None]
    for _ in range(rounds):
        mean = np.stack([clay.neighbour_mean(field[:, i]) for i in range(3)], 1)
        field = np.where(free, 0.5 * (field + mean), field)
    return field


def _moved(clay, side, hills, share):
    """Sum of hills (centre, radii, displacement), given for the left side, mirrored for side −1;
    times share [V]."""
    field = np.zeros((len(clay.points), 3))
    for centre, radii, vector in hills:
        hill = bump(clay.points * [side, 1, 1], centre, radii) * share
        field += hill[:, None] * (np.array(vector) * [side, 1, 1])
    return field


_THIN = (
    (1, -0.2, 0),
    (2, -0.5, -0.2),
    (3, -0.8, -0.4),
    (4, -1.0, -0.7),
    (5, -0.6, -1.2),
    (6, -0.2, -0.9),
    (7, 0, 0),
)


def _corners(clay):
    """Smile, stretch, dimple and frown: fields of position alone around a mouth corner."""
    p, depth = clay.points, outside(clay)
    at = (25, -71, 81)
    shapes = {}
    for side, tag in ((1, "Left"), (-1, "Right")):
        share = smooth_step(-9, 9, side * p[:, 0]) * depth
        corner = clay.index["m", CONTACT, 0 if side > 0 else 20]
        pull = _pulled(p, side)[:, None] * share[:, None]
        x = np.minimum(np.abs(p[:, 0]) / 25, 1.25)
        # the cheek slides over the teeth, not into them
        back = 1 - 0.75 * smooth_step(32, 62, np.abs(p[:, 0]))
        bow = 0.39 + 0.61 * np.minimum(x, 1.0) ** 2.1  # the line of the lips bends up as one arc
        thin = (
            turned_rings(clay, _THIN, lip_fade(clay)) * smooth_step(-9, 9, side * p[:, 0])[:, None]
        )
        smile = (
            pull * np.stack([side * x, 9.0 * bow, (-0.9 - 4.4 * np.minimum(x, 1.1) ** 2) * back], 1)
            + thin
        )
        stretch = pull * np.stack(
            [side * x, -1.8 * np.minimum(x, 1) ** 2, (-0.8 - 3.5 * np.minimum(x, 1.1) ** 2) * back],
            1,
        )
        stretch += 0.6 * thin
        dimple = _moved(clay, side, [(at, (30, 28, 60), (2.0, 0.6, -2.6))], share)
        frown = [(at, (38, 34, 60), (0.4, -5.7, -0.6))]
        shapes["mouthSmile" + tag] = _with_width(smile, corner, side * 5.0)
        shapes["mouthStretch" + tag] = _with_width(stretch, corner, side * 4.5)
        shapes["mouthDimple" + tag] = _with_width(dimple, corner, side * 1.5)
        shapes["mouthFrown" + tag] = _moved(clay, side, frown, share)
    return shapes


def _pulled(p, side):
    """Weight of a pull on one mouth corner at points p, [V]: full on the lips, fading over cheek,
    jaw and chin."""
    x, y = side * p[:, 0], p[:, 1] + 71
    over = 1 - smooth_step(6, 46, y)
    under = 1 - smooth_step(8, 56, -y)
    return (1 - smooth_step(26, 78, x)) * over * under * smooth_step(5, 45, p[:, 2])


def _with_width(field, corner, value):
    """Scale the lateral part so that the mouth corner moves sideways by the value."""
    field = field.copy()
    field[:, 0] *= value / field[corner, 0]
    return field


# share of the lid margin's turn for each lid ring, from the skin over the crease, which unfolds, to
# the fold behind the lid (6)
_LID_SLIDE = {
    0: 0.0,
    0.5: 0.03,
    1: 0.10,
    1.5: 0.2,
    2: 0.4,
    2.5: 0.6,
    3: 0.78,
    3.5: 0.92,
    4: 1.0,
    5: 1.0,
    6: 0.9,
}
# ring of a shut upper lid → how far it lies behind where it was: the hollow over the ball's dome
_HOLLOW = {0: 0.5, 0.5: 1.6, 1: 2.4, 1.5: -1.0}
_DOME = (2, 2.5, 3, 3.5), 0.095  # rings of a shut lid over the cornea; their curve, 1/mm
_LID_LIFT = {1.5: 0.3, 2: 0.5, 2.5: 0.7, 3: 0.85, 3.5: 0.95, 4: 1.0, 5: 1.0, 6: 1.0}
_CORNER_FALLS = (((47, 0, 64), (13, 11, 15), (0, -1.2, 0)),)  # in a blink, both lids there alike
_LIDS_SMILE = 0.4  # share of the lower lid's squint that is in a smile
_LOWER_RISE = 0.26  # share of the gap that the lower lid closes in a blink


def _slides(k):
    """Lid ring → slide at ring position k: less on the lower lid, none of the corners' flesh."""
    return {
        ring: slide
        for ring, slide in _LID_SLIDE.items()
        if (k < 16 or ring > 2) and not (ring == 6 and corner_flesh(k))
    }


def _lower_lids(clay):
    """1 on lower lids and their tears [V, 1], else 0."""
    on = (clay.part == "tear").astype(float)
    for key, i in clay.index.items():
        on[i] += key[0] == "e" and key[3] > 16
    return on[:, None]


def on_edges(clay, side):
    """(vertex, its position k along the lids) of what grows on the lids' edges."""
    return [
        (i, place_on_lid(key))
        for key, i in clay.index.items()
        if key[0] in ("lash", "tear") and key[1] == side
    ]


def lids(clay):
    """Blink, squint and wide: lids turn about the eye's lateral axis, so that they slide over the
    ball."""
    p, n = clay.points, len(clay.points)
    shapes = {}
    for side, tag in ((1, "Left"), (-1, "Right")):
        centre = EYE * [side, 1, 1]
        blink, squint, wide = (np.zeros((n, 3)) for _ in range(3))
        gaps = np.zeros(EYE_RING)
        for k in range(EYE_RING):
            if k % 16 == 0:
                continue  # the corners stay
            own, other = (p[clay.index["e", side, MARGIN, i]] for i in (k, EYE_RING - k))
            gap = _pitch(other - centre) - _pitch(own - centre)
            upper = k < 16
            for ring, slide in _slides(k).items():
                i = clay.index["e", side, ring, k]
                lift = _LID_LIFT.get(ring, 0.0) if upper else slide
                share = 1 - _LOWER_RISE if upper else _LOWER_RISE
                blink[i] = _turned(p[i] - centre, gap * slide * share)
                if upper and ring in _HOLLOW:
                    blink[i, 2] = -_HOLLOW[ring] * np.interp(
                        k, (0, 4, 8, 12, 16), (0, 0.75, 1, 0.5, 0)
                    )
                squint[i] = _turned(p[i] - centre, gap * slide * (0.11 if upper else 0.41))
                wide[i] = _turned(p[i] - centre, gap * lift * (-0.31 if upper else -0.08))
            if upper:
                _round_shut_lid(clay, side, k, blink)
            gaps[k] = gap
        for i, k in on_edges(clay, side):  # lashes and tears follow the lid's edge
            gap = np.interp(k, range(EYE_RING), gaps)
            turns = (1 - _LOWER_RISE, 0.11, -0.31) if k < 16 else (_LOWER_RISE, 0.41, -0.08)
            for shape, turn in zip((blink, squint, wide), turns):
                shape[i] = _turned(p[i] - centre, gap * turn)
        soft = np.isin(clay.part, ("skin",))
        corner = np.isin(clay.part, ("skin", "lid", "lash", "tear"))[:, None]
        blink += corner * _moved(clay, side, _CORNER_FALLS, 1)
        crease = bump(p[soft], (side * 31, 14, 76), (28, 13, 30))
        wide[soft] += crease[:, None] * np.array([0, 1.2, 0.3])
        shapes["eyeBlink" + tag], shapes["eyeSquint" + tag], shapes["eyeWide" + tag] = (
            blink,
            squint,
            wide,
        )
    return shapes


def _round_shut_lid(clay, side, k, blink):
    """Make the shut upper lid one dome from its crease to its edge at ring position k; less towards
    the inner corner, where it falls back."""
    rings, curve = _DOME
    ids = [clay.index["e", side, ring, k] for ring in (1.5, *rings, MARGIN)]
    y, z = (clay.points[ids] + blink[ids])[:, 1:].T
    along = (y[0] - y[1:-1]) / (y[0] - y[-1])
    dome = z[0] + along * (z[-1] - z[0]) + curve * (y[0] - y[1:-1]) * (y[1:-1] - y[-1])
    blink[ids[1:-1], 2] += np.interp(k, (8, 12, 14), (1, 0.6, 0.4)) * (dome - z[1:-1])


# eye angle at which the lids touch the eyeball again [rad]: the shape moves in a line, the lid on a
# curve
_LOOK = 0.35
_FOLLOWS = {1: 0.75, -1: 0.32}  # share of the eye's turn that the upper and the lower lid take


def lids_follow(clay):
    """Displacements [V, 3] per sine of an eye's turn down, mm, by side (+1 left, −1 right): lids go
    where the eye looks."""
    p, follow = clay.points, {}
    for side in (1, -1):
        centre, field = EYE * [side, 1, 1], np.zeros((len(clay.points), 3))
        moving = [
            (clay.index["e", side, ring, k], k, slide)
            for k in range(EYE_RING)
            for ring, slide in _slides(k).items()
        ]
        for i, k, slide in moving + [(*place, 1.0) for place in on_edges(clay, side)]:
            at = 1 - (k if k <= 16 else EYE_RING - k) / 8.0
            turn = -_LOOK * _FOLLOWS[1 if 0 < k < 16 else -1] * (1 - at**2) ** 0.5
            field[i] = _turned(p[i] - centre, turn * slide) / np.sin(_LOOK)
        follow[side] = _even(clay, field)
    return follow


def _pitch(offset):
    """Height angle of a point seen from the eye's centre, radians."""
    return np.arctan2(offset[1], offset[2])


def _turned(offset, angle):
    """Movement of a point at an offset from the eye's centre when its elevation angle grows by the
    angle."""
    c, s = np.cos(angle), np.sin(angle)
    y, z = offset[1], offset[2]
    return np.array([0.0, y * c + z * s - y, z * c - y * s - z])


# share of the tongue's length at which its blade and its back rise most
_BLADE, _BACK = 0.27, 0.65


def above_middle(clay):
    """Height [V] above the middle of the tongue's thickness, mm, negative below it."""
    return clay.points[:, 1] - np.interp(
        clay.along_tongue, (0, 0.18, 0.5, 1.0), (-77.3, -77.8, -79.0, -81.2)
    )


def _tongue(clay):
    """Out, tip up, blade up and back; 0 at the root. What goes out thins, to pass between the
    teeth, and swells before them."""
    n, t = len(clay.points), clay.along_tongue
    on = (clay.part == "tongue").astype(float)
    front = on * np.maximum(1 - t, 0)
    above = above_middle(clay)
    shapes = {
        name: np.zeros((n, 3))
        for name in ("tongueOut", "tongueTipUp", "tongueBladeUp", "tongueBack")
    }
    out = 1 - smooth_step(0.3, 0.8, t)
    # its upper side slides ahead of its underside, so that the tip bends down
    leans = np.where(
        above > 0,
        5.625 * (1 - (1 - np.clip(above / 1.25, 0, 1)) ** 1.6),
        2.0 * np.maximum(above, -2.2),
    )
    shapes["tongueOut"][:, 2] = 28.6 * front**0.9 + on * np.interp(t, (0, 0.3), (1, 0)) * leans
    swells = np.interp(t, (0, 0.014, 0.038, 0.075, 0.122, 0.2), (1.8, 1.2, 0.25, -0.5, -0.65, -0.3))
    swells = np.where(above > 0, swells, np.interp(t, (0.014, 0.075, 0.2), (-0.1, 0.0, -0.2)))
    shapes["tongueOut"][:, 1] = on * out * (12.4 + 2.6 * np.minimum(t / 0.12, 1) + swells * above)
    shapes["tongueOut"][:, 0] = -0.36 * on * out * clay.points[:, 0]
    tip = on * np.maximum(1 - t / 0.58, 0) ** 1.4
    under = np.interp(above, (-1.2, 0), (1, 0))  # its underside hangs behind, most in the middle
    hangs = 0.35 * under * (1 - across_tongue(clay.points, t) ** 2) * np.minimum(t / 0.12, 1)
    shapes["tongueTipUp"][:, 1] = 13.0 * tip * _raised(clay, 0.3) * (1 - hangs)
    shapes["tongueTipUp"][:, 2] = 4.2 * tip * (1 - 0.5 * under)
    blade = on * np.exp(-(((t - _BLADE) / 0.22) ** 2))
    shapes["tongueBladeUp"][:, 1] = 11.0 * blade * _raised(clay, 0.25)
    shapes["tongueBladeUp"][:, 2] = -1.0 * front
    shapes["tongueBladeUp"][:, 0] = 0.15 * blade * clay.points[:, 0]
    back = on * np.exp(-(((t - _BACK) / 0.2) ** 2))
    shapes["tongueBack"][:, 1] = 15.0 * back * _raised(clay, 0.45) - 0.5 * tip
    shapes["tongueBack"][:, 2] = -6.0 * front**0.7
    shapes["tongueBack"][:, 0] = 0.2 * back * clay.points[:, 0]
    return shapes


def _raised(clay, sides):
    """Share [V] of its rise that a part of the tongue takes: less at its sides, by up to
    `sides`, so that it is a dome and no block."""
    t = clay.along_tongue
    droops = sides * np.interp(t, (0.0, 0.3), (0.2, 1.0))
    return 1 - droops * across_tongue(clay.points, t) ** 2


def tongue_stays_up(clay):
    """Channel of the tongue → displacements [V, 3] per product of its value and the sine of the
    jaw's turn: what touches the palate goes on touching it as the jaw drops."""
    t = clay.along_tongue
    on = (clay.part == "tongue") * _raised(clay, 0.35)
    tip = on * np.maximum(1 - t / 0.9, 0) ** 1.3
    blade = on * np.exp(-(((t - _BLADE) / 0.3) ** 2))
    back = on * np.exp(-(((t - _BACK) / 0.25) ** 2))
    return {
        "tongueTipUp": tip[:, None] * np.array([0.0, 92.0, 46.0]),
        "tongueBladeUp": blade[:, None] * np.array([0.0, 66.0, 30.0]),
        "tongueBack": back[:, None] * np.array([0.0, 52.0, 20.0]),
    }
