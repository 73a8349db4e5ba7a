# SPDX-License-Identifier: GPL-3.0-or-later
"""How the rest of the face moves with a channel: no muscle moves lips, lids or brows alone.

A rider is a smooth hill (centre, radii, displacement at its middle), millimetres, given for the
left side; both sides are added if a channel has no side. Hills fade to zero, overlap, and add up. A
gate selects a part of the face: "skin" all skin up to the border of the red · "face" the lips too ·
"upper", "lower" one lip and its side of the face · "above" the upper side without the lip, "curl"
with its outer half · "brow" the part above the eyes' crease.
"""

import numpy as np

from .form import fold
from .mesh import bump, smooth_step

# Channel → (gate, hills). Names without Left or Right are both sides' if the channel has sides.
RIDERS = {
    # zygomaticus: the cheek bunches up and forward over the fold, the wings of the nose widen, the
    # jaw's skin is drawn up
    "mouthSmile": (
        (
            "skin",
            (
                ((44, -34, 66), (38, 36, 50), (1.2, 5.9, 6.0)),
                ((40, -44, 68), (34, 34, 44), (0.9, 1.8, 2.4)),
                ((31, -20, 74), (28, 16, 36), (0.2, 2.2, 1.1)),
                ((56, -64, 44), (34, 42, 54), (1.6, 2.2, 0.8)),
                ((16, -40, 92), (12, 14, 24), (1.0, 0.5, -0.2)),
            ),
        ),
    ),
    "mouthStretch": (
        (
            "skin",
            (
                ((52, -74, 46), (38, 40, 60), (2.2, 0.3, 0.2)),
                ((34, -112, 44), (36, 40, 60), (1.2, -1.6, 0.4)),
                ((0, -94, 92), (30, 22, 50), (0.0, 1.0, -0.3)),
            ),
        ),
    ),
    "mouthDimple": (
        ("face", (((28, -74, 80), (30, 26, 60), (0.3, 1.6, -3.4)),)),
        (
            "skin",
            (
                ((42, -44, 70), (33, 35, 50), (1.0, 1.5, 2.5)),
                ((50, -62, 56), (25, 34, 48), (1.6, 0.3, 2.4)),
                ((27, -88, 80), (26, 22, 44), (0.8, 2.8, -0.8)),
                ((0, -87, 92), (26, 18, 50), (0.0, 0.9, -3.4)),
                ((0, -56, 96), (18, 15, 40), (0.0, 1.7, 1.6)),
            ),
        ),
    ),
    "mouthFrown": (
        ("face", (((33, -77, 76), (22, 24, 46), (1.7, 0.5, -1.2)),)),
        (
            "skin",
            (
                ((28, -50, 80), (26, 28, 44), (0.0, -2.0, -1.0)),
                ((50, -70, 60), (34, 38, 54), (0.6, -2.0, 0.6)),
                ((24, -94, 80), (26, 24, 44), (0.6, -0.8, 1.4)),
                ((0, -97, 92), (26, 20, 50), (0.0, 1.2, 1.4)),
            ),
        ),
    ),
    # levator of the upper lip and of the nose's wing: fold, cheek, lower lid and corner go up with
    # the lip
    "mouthUpperUp": (
        (
            "above",
            (
                ((27, -48, 82), (30, 38, 46), (0.7, 4.4, -0.3)),
                ((40, -36, 72), (40, 40, 56), (0.6, 2.6, 1.5)),
                ((0, -57, 97), (26, 15, 40), (0.0, 0.0, -3.6)),
                ((16, -38, 94), (14, 16, 24), (0.5, 1.6, 0.2)),
            ),
        ),
        ("face", (((35, -68, 76), (30, 30, 50), (0.0, 2.7, 0.2)),)),
        ("skin", (((52, -66, 56), (38, 44, 56), (-0.2, 1.7, 1.2)),)),
    ),
    "mouthLowerDown": (
        ("face", (((26, -72, 82), (15, 15, 40), (0.0, -0.9, -0.2)),)),
        (
            "skin",
            (
                ((0, -95, 92), (34, 26, 56), (0.0, -1.4, 0.4)),
                ((30, -88, 78), (28, 26, 46), (0.6, -1.4, 0.2)),
            ),
        ),
    ),
    "noseSneer": (  # the lips stay shut: the upper one thickens
        (
            "above",
            (
                ((22, -48, 86), (36, 40, 52), (-0.4, 6.9, 0.5)),
                ((40, -34, 70), (42, 44, 60), (-0.6, 4.6, 2.6)),
            ),
        ),
        (
            "curl",
            (
                ((0, -56, 96), (30, 23, 44), (0.0, 5.2, -0.2)),
                ((17, -60, 92), (15, 22, 40), (0.0, 2.0, 0.6)),
            ),
        ),
        (
            "face",
            (
                ((34, -70, 74), (34, 32, 54), (-1.2, 4.0, 0.0)),
                # over the canine, both lips alike: they stay shut
                ((16, -68, 88), (17, 24, 50), (0.0, 4.4, 0.0)),
            ),
        ),
        (
            "skin",
            (
                ((50, -64, 54), (44, 48, 60), (-1.2, 3.0, 2.0)),
                ((31, -20, 74), (30, 18, 36), (-0.3, 1.8, 0.5)),
                ((3, -36, 102), (16, 18, 28), (0.0, 2.4, 0.4)),
                ((10, -8, 84), (16, 20, 30), (-1.0, 2.4, 1.4)),
                ((0, 3, 88), (13, 7, 26), (0.0, 0.0, -1.6)),
            ),
        ),
        (
            "brow",
            (
                ((20, 20, 82), (46, 34, 60), (-0.9, -3.4, 0.3)),
                ((0, 10, 88), (14, 14, 26), (0.0, -0.6, 1.2)),
                ((18, 48, 78), (46, 36, 54), (-0.2, -1.6, 0.5)),
            ),
        ),
    ),
    # mentalis: the chin's pad goes up and forward
    "mouthShrugLower": (
        (
            "skin",
            (
                ((0, -94, 92), (46, 30, 62), (0.0, 4.4, 2.4)),
                ((30, -90, 78), (34, 28, 50), (0.2, 2.4, 1.8)),
            ),
        ),
        ("face", (((26, -76, 82), (28, 26, 50), (0.5, 1.5, 1.3)),)),
    ),
    "mouthPress": (
        (
            "skin",
            (
                ((0, -90, 92), (42, 28, 60), (0.0, 3.0, 2.3)),
                ((28, -87, 80), (34, 26, 46), (0.0, 1.6, 1.6)),
                ((35, -67, 76), (30, 32, 46), (-0.2, 0.7, 0.8)),
                ((28, -50, 82), (30, 28, 44), (0.3, 0.5, 1.9)),
                ((48, -52, 62), (44, 48, 58), (0.9, 1.6, 1.1)),
            ),
        ),
    ),
    "mouthRollLower": (
        (
            "skin",
            (
                ((0, -93, 92), (34, 22, 56), (0.0, 3.6, 3.2)),
                ((24, -87, 82), (26, 20, 40), (0.2, 1.0, 1.6)),
                ((0, -84, 92), (20, 9, 40), (0.0, 0.6, -1.8)),  # the dimple under the lip
            ),
        ),
        ("face", (((31, -77, 78), (18, 18, 40), (0.2, -0.9, -3.2)),)),
        ("above", (((0, -60, 96), (18, 13, 30), (0.0, -0.9, 0.0)),)),
    ),
    "mouthRollUpper": (
        (
            "above",
            (
                ((0, -55, 96), (30, 16, 40), (0.0, -2.4, -1.0)),
                ((22, -56, 88), (24, 18, 40), (0.4, -1.4, -0.9)),
            ),
        ),
        ("face", (((31, -72, 78), (22, 22, 44), (0.8, 0.7, -3.6)),)),
    ),
    # buccinator lets go: cheeks, lips and chin fill
    "cheekPuff": (
        (
            "face",
            (
                ((0, -70, 92), (58, 42, 74), (0.0, 0.0, 5.6)),
                ((36, -70, 72), (40, 40, 66), (-1.6, 1.6, 6.4)),
            ),
        ),
        (
            "skin",
            (
                ((54, -62, 46), (34, 46, 56), (5.6, 0.6, 2.6)),
                ((48, -86, 54), (34, 32, 52), (2.6, 0.0, 3.0)),
                ((30, -50, 78), (26, 24, 40), (0.0, 1.2, 2.6)),
                ((36, -30, 70), (42, 30, 52), (0.0, 1.9, 0.9)),
            ),
        ),
    ),
    "mouthPucker": (
        (
            "face",
            (
                ((31, -73, 79), (32, 32, 52), (0.3, 1.8, 5.4)),
                ((0, -54, 95), (22, 14, 40), (0.0, 1.2, 0.8)),
            ),
        ),
        (
            "skin",
            (
                ((30, -50, 80), (24, 26, 40), (0.6, 0.6, 2.6)),
                ((48, -78, 60), (36, 38, 58), (-1.6, 1.6, 3.0)),
                ((33, -73, 79), (14, 12, 24), (-0.25, 0.0, 0.0)),  # the corner leads
                ((24, -90, 80), (26, 20, 44), (0.0, 1.6, 2.2)),
                ((14, -40, 96), (16, 14, 26), (-0.5, -0.4, -1.0)),
                ((56, -62, 44), (30, 40, 50), (-1.8, 0.3, 0.8)),
            ),
        ),
    ),
    "mouthFunnel": (
        ("face", (((31, -73, 79), (30, 30, 52), (0.0, 0.9, 3.6)),)),
        ("upper", (((14, -53, 93), (26, 16, 40), (0.0, 2.0, 0.8)),)),
        ("lower", (((0, -88, 92), (30, 17.5, 50), (0.0, -3.0, -0.4)),)),
        (
            "skin",
            (
                ((30, -48, 80), (28, 28, 44), (0.6, 0.9, 1.9)),
                ((46, -78, 62), (42, 44, 64), (-1.6, 1.2, 2.4)),
                ((56, -62, 44), (34, 44, 54), (-2.2, 0.3, 0.9)),
            ),
        ),
    ),
    "cheekSquint": (
        (
            "skin",
            (
                ((46, -34, 66), (50, 54, 66), (-0.4, 6.4, 3.0)),
                ((33, -20, 74), (32, 18, 38), (-0.5, 1.6, 0.5)),
                ((54, -62, 52), (44, 46, 60), (0.8, 3.2, 1.3)),
                ((30, -67, 80), (24, 26, 40), (0.8, 0.5, -1.3)),
            ),
        ),
        ("brow", (((48, 16, 68), (32, 22, 46), (-0.2, -1.2, 0.2)),)),
    ),
    "eyeSquint": (
        (
            "skin",
            (
                ((35, -19, 72), (38, 24, 44), (-1.0, 2.3, 0.6)),
                ((50, -24, 62), (30, 26, 40), (-0.8, 1.0, 0.3)),
            ),
        ),
        ("brow", (((40, 16, 74), (30, 18, 40), (0.0, -1.0, 0.2)),)),
    ),
    # frontalis lifts brow and forehead, corrugator and procerus draw them in and down
    "browInnerUp": (
        (
            "brow",
            (
                ((12, 22, 84), (39, 42, 62), (0.2, 7.0, -0.5)),
                ((26, 28, 80), (46, 54, 64), (0.2, 2.6, -0.2)),
                ((0, 0, 88), (16, 18, 30), (0.0, 1.4, -0.3)),
            ),
        ),
    ),
    "browOuterUp": (
        (
            "brow",
            (
                ((46, 22, 70), (38, 42, 64), (0.5, 8.0, -1.7)),
                ((24, 26, 80), (38, 44, 60), (0.2, 2.6, -0.3)),
            ),
        ),
    ),
    "browDown": (
        (
            "brow",
            (
                ((16, 18, 84), (32, 26, 56), (-2.1, -5.2, 1.3)),
                ((36, 20, 76), (40, 32, 60), (-1.6, -3.9, 1.3)),
                ((18, 46, 78), (54, 44, 60), (-0.3, -2.4, 0.8)),
                ((58, 10, 52), (26, 28, 44), (-1.2, -0.4, 1.2)),
                ((0, 6, 88), (14, 16, 28), (0.0, -1.2, 1.0)),
                # the furrow between the brows, and the pad next to it
                ((5.5, 17, 86), (5.5, 14, 24), (0.0, 0.0, -2.2)),
                ((13, 16, 84), (10, 11, 24), (0.0, 0.0, 1.9)),
            ),
        ),
    ),
    "jawForward": (("face", (((27, -71, 80), (24, 20, 44), (0.3, 0.0, 1.6)),)),),
}
# Channel → movement of the nasolabial fold's groove and of the adjacent cheek, each (sideways, up,
# forward) mm
FOLDS = {
    "mouthSmile": ((-0.2, 0.2, -5.2), (0.8, 0.4, 3.6)),
    "mouthUpperUp": ((0.0, 0.4, -1.8), (0.3, 0.2, 1.2)),
    "noseSneer": ((0.0, 0.6, -8.0), (0.2, 0.4, 4.0)),
    "mouthStretch": ((-0.2, 0.0, -0.9), (0.4, 0.0, 0.5)),
    "mouthDimple": ((-0.2, 0.0, -0.8), (0.4, 0.0, 0.9)),
    "cheekSquint": ((0.0, 0.2, -0.7), (0.0, 0.2, 0.7)),
}
# The same for its crease, which is laid on last: what makes a field even would fill it.
CREASES = {"mouthSmile": ((0.2, 0.2, -2.6), (-0.6, -0.3, 2.8))}
# Channels that fold the forehead, and the depth [mm]
_FURROWS = {"browInnerUp": 0.7, "browOuterUp": 0.55}
SIDED = (
    "mouthSmile mouthStretch mouthDimple mouthFrown mouthUpperUp mouthLowerDown noseSneer "
    "mouthPress cheekSquint eyeSquint "
    "browOuterUp browDown"
).split()
# mouth rings, and the share of a "skin" rider that remains on each
_ON_RING = ((1, 2, 3, 4, 5), (1.0, 0.85, 0.5, 0.2, 0.0))
_CURLED = ((2, 3, 4, 5, 6), (1.0, 0.85, 0.4, 0.1, 0.0))
_ON_LID = ((1, 2, 3, 4), (1.0, 0.55, 0.2, 0.0))  # the same for lid rings


def riders(clay, outside, upper, lower) -> dict[str, np.ndarray]:
    """Channel → displacements [V, 3] of its riders.

    outside [V]: 1 on the face, fading into the mouth.  upper, lower [V]: which lip's side a vertex
    is on.
    """
    gates = _gates(clay, outside, upper, lower)
    groove, cheek = (share * gates["skin"] for share in fold(clay.points))
    fields: dict[str, np.ndarray] = {}
    for name, parts in RIDERS.items():
        sides = {
            tag: _ridden(clay, side, parts, gates) for side, tag in ((1, "Left"), (-1, "Right"))
        }
        if name in FOLDS:
            for side, tag in ((1, "Left"), (-1, "Right")):
                half = smooth_step(-9, 9, side * clay.points[:, 0])
                for share, vector in zip((groove, cheek), FOLDS[name]):
                    sides[tag] += (share * half)[:, None] * (np.array(vector) * [side, 1, 1])
        if name in _FURROWS:
            for side, tag in ((1, "Left"), (-1, "Right")):
                sides[tag][:, 2] += (
                    _FURROWS[name]
                    * _furrows(clay.points, side, name == "browInnerUp")
                    * gates["brow"]
                )
        if name in SIDED:
            fields |= {name + tag: field for tag, field in sides.items()}
        else:
            fields[name] = sides["Left"] + sides["Right"]
    return fields


def creases(clay) -> dict[str, np.ndarray]:
    """Channel → displacements [V, 3] of the crease of its nasolabial fold."""
    on_mouth = np.where(clay.ring >= 0, np.interp(clay.ring, *_ON_RING), 1.0)
    shares = [share * on_mouth * (clay.part == "skin") for share in fold(clay.points)]
    return {
        name + tag: sum(
            (share * smooth_step(-9, 9, side * clay.points[:, 0]))[:, None]
            * (np.array(vector) * [side, 1, 1])
            for share, vector in zip(shares, vectors)
        )
        for name, vectors in CREASES.items()
        for side, tag in ((1, "Left"), (-1, "Right"))
    }


def _ridden(clay, side, parts, gates):
    p = clay.points * [side, 1, 1]
    field = np.zeros(p.shape)
    for gate, hills in parts:
        half = smooth_step(-6, 6, p[:, 0]) if gate == "brow" else smooth_step(-9, 9, p[:, 0])
        for centre, radii, vector in hills:
            field += (bump(p, centre, radii) * gates[gate] * half)[:, None] * (
                np.array(vector) * [side, 1, 1]
            )
    return field


def _furrows(p, side, inner):
    """Waves across one side of the forehead, [V] −1..1: over the brow's head, or over its tail."""
    x = side * p[:, 0]
    wide = bump(
        np.stack([x, p[:, 1]], 1), (12, 45) if inner else (40, 42), (40, 30) if inner else (30, 28)
    )
    return wide * smooth_step(-6, 6, x) * np.sin(2 * np.pi * (p[:, 1] + 0.004 * x**2 - 32.0) / 12.0)


def _gates(clay, outside, upper, lower):
    """Gate → share [V]."""
    p, part = clay.points, clay.part
    on_mouth = np.where(clay.ring >= 0, np.interp(clay.ring, *_ON_RING), 1.0)
    curled = np.where(clay.ring >= 0, np.interp(clay.ring, *_CURLED), 1.0)
    on_lid = np.where(clay.lid_ring >= 0, np.interp(clay.lid_ring, *_ON_LID), 1.0)
    above = p[:, 1] > 0
    skin = (
        np.isin(part, ("skin", "lips", "bag", "lid"))
        * on_mouth
        * np.where(part == "lid", on_lid * ~above, 1.0)
    )
    # between the eyes the brow's muscles extend down the nose; at its sides they end at the upper
    # lid's crease
    low = np.interp(np.abs(p[:, 0]), (10, 18), (-14, 4))
    high = smooth_step(low, low + 10, p[:, 1]) * np.isin(part, ("skin", "brow", "lid"))
    high = np.where(part == "lid", high * smooth_step(4, 14, p[:, 1]), high)
    return {
        "face": outside,
        "skin": skin,
        "upper": upper * on_lid,
        "lower": lower,
        "above": upper * on_lid * on_mouth,
        "curl": upper * curled,
        "brow": high,
    }
