# SPDX-License-Identifier: GPL-3.0-or-later
"""People derived from the bundled head by a few measures.

A person is a field of displacements, applied to the finished mesh before its rig and shapes are
made: number and order of vertices, keys and their meaning stay, eyeballs stay round, touching lips
keep touching. Measures are millimetres or shares.
"""

from dataclasses import dataclass

import numpy as np

from .form import EYE, fold, furrows
from .hair import Cut
from .mesh import bump, COLORS, MATERIALS, smooth_step
from .muzzle import red_height
from .shapes import lids


@dataclass(frozen=True)
class Person:
    """One person; the defaults are the bundled head's, a young man of about 25.

    jaw: additional width of each side · chin: additional length and width · brow: protrusion of its
    ridge · forehead, cheekbone: protrusion · cheek: fullness (below 0: hollow) · nose: size, and
    tip: lowering · lips: share of the red's height · neck: share of its width ·
    throat: the larynx · ears: size · brows: thickness · eyes: how wide they are open, as a share of
    eyeWide · lashes: their length ·
    skull: its size · stubble: how dark the beard's shadow is · fold: depth of the nasolabial fold,
    with jowls and bags under the eyes, as age brings · hills: what else differs, each a centre,
    radii and a displacement of the left side, none of it on the lips ·
    hair: its cut · colours: part → linear RGB.
    """

    name: str
    jaw: float = 0.0
    chin: tuple[float, float] = (0.0, 0.0)
    brow: float = 0.0
    forehead: float = 0.0
    cheekbone: float = 0.0
    cheek: float = 0.0
    nose: float = 1.0
    tip: float = 0.0
    lips: float = 1.0
    neck: float = 1.0
    throat: float = 0.0
    ears: float = 1.0
    brows: float = 1.3
    fold: float = 0.0
    eyes: float = 0.0
    lashes: float = 1.0
    skull: float = 1.0
    stubble: float = 0.16
    hills: tuple[tuple[tuple[float, float, float], ...], ...] = ()
    hair: Cut = Cut(1150, 4, (38.0, 34.0, 9.0), lift=0.26, width=5.4, height=8.0, parting=30.0)
    colours: tuple[tuple[str, tuple[float, float, float]], ...] = ()


PEOPLE = (
    Person("head"),
    Person(
        "head_woman", jaw=-3.6, chin=(-2.2, -2.6), brow=-2.0, forehead=0.4, cheekbone=0.2,
        cheek=0.8, nose=0.88, tip=-1.2, lips=1.16,
        neck=0.86, throat=-2.0, ears=0.92, brows=0.85, eyes=0.18, lashes=1.3, skull=0.955,
        stubble=0.0,
        hills=(
            ((26, 17, 84), (32, 12, 30), (0, 1.0, -1.0)), ((33, 11, 74), (20, 9, 24), (0, 0, 1.0)),
            # no ridge of the brow
            ((34, 22, 78), (36, 15, 40), (0, 1.5, 0)), ((44, 20, 72), (20, 14, 34), (0, 0.7, 0)),
            # arched brows
            ((0, -44, 98), (30, 22, 40), (0, -1.6, 0)), ((0, -15, 98), (16, 22, 24), (0, 0, -1.2)),
            # a short upper lip, a soft bridge
            ((0, 4, 90), (15, 14, 24), (0, -1.6, -2.0)), ((17, -40, 92), (12, 13, 24), (-1.5, 0,
            0)),
            ((0, -42, 106), (14, 10, 18), (0, 0.6, 0)),
            ((44, -34, 60), (32, 30, 46), (0.4, 0.8, 1.2)), ((50, -56, 44), (32, 34, 50), (0.6, 0.2,
            1.4)),  # cheeks
            ((54, -78, 8), (36, 46, 60), (-4.5, 0, 0)), ((0, -122, 56), (64, 36, 90), (0, 5.0,
            1.4)),  # jaw
            ((34, -104, 58), (36, 38, 64), (-3.8, 0, 0)), ((0, -108, 88), (26, 22, 36), (0, 0,
            2.4)),
            ((15, -113, 82), (17, 15, 32), (-0.8, 0.6, -1.8)),
        ),
        hair=Cut(800, 6, (60.0, 50.0, 30.0), lift=0.02, width=13.0, height=11.0, curl=0.12,
                 parting=16.0, ends=-112.0),
        colours=(("Skin", (0.66, 0.42, 0.31)), ("Lips", (0.58, 0.22, 0.20)),
                 ("Brows", (0.035, 0.018, 0.012)), ("Hair", (0.045, 0.020, 0.012)),
                 ("Iris", (0.11, 0.06, 0.03))),
    ),
    Person(
        "head_man", jaw=3.6, chin=(3.0, 3.2), brow=1.4, forehead=-0.6, cheekbone=0.8, cheek=-1.4,
        nose=1.08, tip=0.6, lips=0.86,
        neck=1.1, throat=2.4, ears=1.03, eyes=-0.15, stubble=0.6,
        hills=(
            ((20, 15, 86), (34, 11, 30), (0, -0.8, 0.4)), ((17, -40, 92), (12, 13, 24), (-0.6, 0, 0)),
            ((0, 5, 88), (18, 14, 26), (0, 0, 0.6)),
            ((30, 20, 80), (44, 16, 44), (0, -1.4, 0)),
            ((52, -76, 10), (40, 48, 70), (-2.2, 0, 0)), ((46, -58, 52), (34, 36, 54), (1.0, 0,
            1.4)),
            ((22, -108, 70), (26, 26, 50), (-0.6, 0.6, -0.6)),  # a soft jaw
        ),
        hair=Cut(2200, 2, (8.0, 6.0, 5.0), lift=0.5, width=7.0, height=2.5, curl=1.5),
        colours=(("Skin", (0.36, 0.19, 0.12)), ("Lips", (0.30, 0.13, 0.11)),
                 ("Brows", (0.010, 0.007, 0.006)), ("Hair", (0.010, 0.007, 0.006)),
                 ("Iris", (0.05, 0.025, 0.012))),
    ),
    Person(
        "head_older_man", jaw=2.6, chin=(1.6, 2.2), brow=2.0, forehead=-0.8, cheekbone=1.6,
        cheek=-3.4, nose=1.1, tip=2.2, lips=0.72,
        neck=1.0, throat=2.4, ears=1.14, fold=1.0, eyes=-0.3, lashes=0.7, stubble=0.3,
        hills=(
            ((30, 18, 80), (46, 16, 44), (0, -2.0, 0.6)), ((40, 10, 72), (20, 10, 26), (0, -1.2,
            1.0)),  # low brows, hoods
            ((36, -104, 46), (22, 16, 44), (1.6, -2.6, 0)), ((54, -82, 4), (30, 28, 44), (2.0, -1.0,
            0)),  # jowls
            ((37, -48, 74), (15, 20, 30), (0.6, -1.8, 2.4)), ((26, -54, 84), (10, 15, 24), (0, 0,
            -1.8)),  # folds
            ((0, -30, 106), (14, 16, 22), (0, 0, 0.8)), ((0, 5, 88), (18, 14, 26), (0, 0, 0.4)),
            ((54, -80, 6), (36, 44, 60), (-2.6, 0, 0)),
            ((17, -40, 96), (11, 11, 22), (0.8, -0.4, 0)),
        ),
        hair=Cut(1300, 3, (22.0, 12.0, 13.0), lift=0.22, width=4.6, height=4.5, crown=False),
        colours=(("Skin", (0.70, 0.45, 0.36)), ("Lips", (0.54, 0.29, 0.25)),
                 ("Brows", (0.32, 0.30, 0.28)), ("Hair", (0.38, 0.36, 0.34)),
                 ("Iris", (0.16, 0.22, 0.20))),
    ),
)  # fmt: skip


def shaped(person: Person, clay) -> np.ndarray:
    """Points [V, 3] of the mesh `clay` as the person has them."""
    p = clay.points
    sign, far = np.sign(p[:, 0]), np.abs(p)
    moved = np.zeros(p.shape)
    on_skin = np.isin(clay.part, ("skin", "lid", "brow", "lips", "bag")).astype(float)
    eyes = np.ones(len(p))
    for side in (1, -1):
        away = np.linalg.norm((p - EYE * [side, 1, 1]) / [1.0, 0.9, 1.0], axis=1)
        eyes *= smooth_step(15.0, 26.0, away)
    # the mouth keeps its place and width
    lips = smooth_step(7.0, 19.0, np.hypot(0.5 * p[:, 0], p[:, 1] + 71))
    free = on_skin * eyes * lips

    def push(hills, gate=free):
        """Add hills: centre, radii and displacement of each, and of its mirror image."""
        nonlocal moved
        for centre, radii, vector in hills:
            for side in (1, -1) if centre[0] else (1,):
                moved += (bump(p, np.array(centre) * [side, 1, 1], radii) * gate)[:, None] * (
                    np.array(vector) * [side, 1, 1]
                )

    side_on = (
        smooth_step(12, 48, far[:, 0])
        * smooth_step(-30, -78, p[:, 1])
        * (1 - smooth_step(112, 140, -p[:, 1]))
    )
    moved[:, 0] += person.jaw * sign * side_on * free * smooth_step(-60, -10, p[:, 2])
    long, wide = person.chin
    push((
        ((0, -108, 78), (46, 30, 60), (0, -1.5 * long, 0.5 * long)),
        ((17, -106, 74), (24, 24, 46), (0.9 * wide, 0, 0.25 * wide)),
        ((18, 19, 82), (42, 18, 44), (0, -0.25 * person.brow, 1.1 * person.brow)),
        ((0, 50, 78), (70, 44, 70), (0, 0, person.forehead)),
        ((46, -24, 56), (30, 24, 50), (0.8 * person.cheekbone, 0, 0.9 * person.cheekbone)),
        ((46, -58, 52), (30, 32, 54), (0.8 * person.cheek, 0, 0.9 * person.cheek)),
    ))  # fmt: skip
    base = np.array([0.0, -24.0, 84.0])
    nose = on_skin * bump(p, (0, -32, 100), (29, 38, 36)) ** 0.5 * smooth_step(-56, -48, p[:, 1])
    moved += (person.nose - 1) * nose[:, None] * (p - base)
    push((((0, -38, 108), (14, 15, 22), (0, -person.tip, 0)),), on_skin)
    # the red of the lips, from the line where they meet
    share = np.interp(clay.ring, (0, 2, 3, 4, 5, 6, 7), (0, 0.35, 0.8, 1.0, 0.58, 0.22, 0)) * (
        clay.ring >= 0
    )
    moved[:, 1] += (person.lips - 1) * share * clay.up * red_height(clay.u, clay.up)
    full = (
        np.interp(clay.ring, (2, 3, 4, 5, 6, 7), (0, 0.3, 0.7, 1.0, 0.8, 0))
        * (clay.ring >= 2)
        * np.maximum(1 - clay.u**2, 0)
    )
    moved[:, 2] += 4.0 * (person.lips - 1) * full
    low = (
        smooth_step(-104, -158, p[:, 1])
        * (1 - smooth_step(-158, -196, p[:, 1]))
        * (clay.part == "skin")
    )
    moved += (person.neck - 1) * low[:, None] * (p - [0, 0, -36]) * [1, 0, 1]
    push((((0, -141, 26), (13, 17, 30), (0, 0, person.throat)),), on_skin)
    for side in (1, -1):
        own = (clay.part == "ear") & (side * p[:, 0] > 0)
        from_root = p - [side * 73.0, -23.0, -7.0]
        far_off = np.hypot(from_root[:, 1] / 36.0, (from_root[:, 2] + 8.0) / 24.0)
        with_ear = (1 - smooth_step(1.0, 1.7, far_off)) * (clay.part == "skin")
        with_ear = np.where(own, 1.0, with_ear * smooth_step(45.0, 60.0, side * p[:, 0]))
        moved += ((person.ears - 1) * with_ear)[:, None] * from_root * [0.4, 1, 1]
        moved[own] += (person.skull - 1) * np.array([side * 69.0, 0, -22.0])
    for key, i in clay.index.items():
        if key[0] == "lash" and key[3] > 1:
            roots = [clay.index["lash", key[1], key[2] + beside, 0] for beside in (0, 1)]
            moved[i] += (person.lashes - 1) * (p[i] - p[roots].mean(0))
    young = moved.copy()
    _age(person.fold, p, moved, push, free, on_skin * lips)
    aged = moved - young
    apart = (
        on_skin
        * eyes
        * np.where(clay.ring >= 0, np.interp(clay.ring, (0, 2), (0.8, 0.0)), clay.part != "bag")
    )
    push(person.hills, apart)
    for name in ("eyeWideLeft", "eyeWideRight"):
        moved += person.eyes * lids(clay)[name]
    # of the face
    behind = 1 - (1 - smooth_step(46, -4, p[:, 2])) * (1 - smooth_step(34, 84, p[:, 1]))
    moved += ((person.skull - 1) * behind * smooth_step(-90, -20, p[:, 1]) * (clay.part == "skin"))[
        :, None
    ] * (p - [0, 0, 10])
    points = p + clay.brows.carry(clay.fair(moved - aged) + clay.fair_finely(aged))
    _brows(person, clay, points)
    points = clay.brows.lay(points)
    return 0.5 * (points + points[clay.mirror] * [-1, 1, 1])


def _age(amount, p, moved, push, free, near_eyes):
    """Sagging parts: fold and adjacent cheek, bags, jowls, the outer brow, the skin under the chin;
    lines on the forehead."""
    groove, beside = fold(p)
    moved[:, 2] += amount * free * (1.4 * beside - 2.2 * groove)
    push(
        (
            ((31, -15, 74), (15, 7, 22), (0, -0.8 * amount, 1.5 * amount)),
            ((31, -24, 76), (20, 7, 26), (0, 0, -1.6 * amount)),
        ),
        near_eyes,
    )
    push((
        ((36, -98, 50), (18, 16, 40), (1.6 * amount, -3.4 * amount, 0.8 * amount)),
        ((24, -96, 68), (9, 18, 34), (0, 0, -1.6 * amount)),
        ((46, 14, 66), (22, 16, 40), (0, -1.8 * amount, 0.4 * amount)),
        ((0, -122, 40), (16, 26, 40), (0, -4.5 * amount, 1.5 * amount)),
        ((58, 14, 40), (18, 28, 34), (-2.4 * amount, 0, 0)),
    ))  # fmt: skip
    moved[:, 2] += 0.9 * amount * free * furrows(p)


def _brows(person, clay, points):
    """Thicker or thinner brows, about their own middle line."""
    for side in (1, -1):
        middles = np.array(
            [
                points[[clay.index["brow", side, column, k] for k in range(8)]].mean(0)
                for column in range(16)
            ]
        )
        ids = np.array(
            [
                i
                for key, i in clay.index.items()
                if key[0] in ("brow", "hairline") and key[1] == side
            ]
        )
        line = np.interp(side * points[ids, 0], side * middles[:, 0], middles[:, 1])
        points[ids, 1] = line + (points[ids, 1] - line) * person.brows


HAIRS, _LIGHTER = ("Hair", "Hair Light"), 1.35  # two shades of hair
_HAIR = (0.055, 0.034, 0.023)


def colours(person: Person) -> tuple[tuple[str, ...], np.ndarray]:
    """Names and linear colours [M, 4] of the person's materials: those that differ bear the
    person's name."""
    own = dict(person.colours)
    title = _title(person)
    names = tuple(name + title if name in own else name for name in MATERIALS)
    return names, np.array(
        [(*own[name], 1.0) if name in own else colour for name, colour in zip(MATERIALS, COLORS)],
        np.float32,
    )


def red_of_lips(person: Person) -> np.ndarray:
    """Factors [3] that make the colour of the person's skin that of the lips."""
    rows = dict(zip(MATERIALS, colours(person)[1][:, :3]))
    return rows["Lips"] / rows["Skin"]


def hair_colours(person: Person) -> tuple[tuple[str, ...], np.ndarray]:
    """Names and linear colours [2, 4] of the two shades of the person's hair."""
    own = dict(person.colours).get("Hair", _HAIR)
    names = tuple(name + _title(person) for name in HAIRS)
    return names, np.array(
        [(*(factor * np.array(own)), 1.0) for factor in (1.0, _LIGHTER)], np.float32
    )


def _title(person):
    return person.name.removeprefix("head").replace("_", " ").title()
