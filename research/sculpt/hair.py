# SPDX-License-Identifier: GPL-3.0-or-later
"""Hair as a separate mesh: a thin shell over the scalp, with locks that hide its edge; both follow
the neck's joint only.

A lock is a tapered blade with a ridge along its middle. It starts at the shell, or at the skin near
the hairline, and follows the head at its own height, so that no lock cuts into it. Millimetres.
"""

from dataclasses import dataclass

import numpy as np

from .form import distance, gradient
from .mesh import bump, smooth_step

# Depth z → height y of the hairline: forehead, temple, sideburn, over the ear, behind it, nape.
_LINE_Z = (-110, -88, -66, -46, -38, -30, -16, -8, -2, 6, 14, 28, 44, 60, 74, 90)
_LINE_Y = (-76, -72, -58, -30, -4, 14, 17, 4, -12, -10, 16, 34, 45, 56, 62, 66)
_BELOW = 13.0  # mm that the shell continues below the hairline, inside the head
_BEFORE_EARS = -2.0  # depth z from which an ear's skin is the sideburn's
_SUNK = 1.6  # mm below the skin there
_WHORL = np.array([10.0, 96.0, -62.0])  # point from which short hair falls
_OVER_EARS = 12.5  # mm that long hair stands off there
# height → how far forward long hair comes
_FREE_Y, _FREE_Z = (-120.0, -40.0, 10.0, 34.0, 56.0), (34.0, 40.0, 42.0, 48.0, 90.0)
_GOLDEN = (np.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Cut:
    """A hairstyle.

    locks: number, and rows of vertices across one before its tip · length on top, over the forehead
    and at the rest of the hairline, mm · lift: steepness of the locks on the skin, 0 … 1 · width of
    a lock, mm · height of the shell under them, mm · crown: whether hair covers it · curl: rotation
    of the locks out of their fall, radians ·
    parting: how far left of the middle it is, mm, None without one · ends: height at which long
    hair ends, mm, 0 for short hair.
    """

    locks: int
    rows: int
    length: tuple[float, float, float]
    lift: float
    width: float
    height: float
    crown: bool = True
    curl: float = 0.35
    parting: float | None = None
    ends: float = 0.0


def over_line(p: np.ndarray) -> np.ndarray:
    """Height [n] of points [n, 3] over the hairline, mm."""
    corner = np.exp(-(((np.abs(p[:, 0]) - 44.0) / 15.0) ** 2)) * smooth_step(20.0, 48.0, p[:, 2])
    return p[:, 1] - np.interp(p[:, 2], _LINE_Z, _LINE_Y) - 10.0 * corner


def _covered(cut: Cut, p: np.ndarray) -> np.ndarray:
    """Distance of points [n, 3] from the hairline, mm, positive inside the hair."""
    inside = over_line(p)
    if not cut.crown:
        inside = np.minimum(inside, 30.0 - (p[:, 1] + 0.35 * p[:, 2]))
    return inside


def sculpt_hair(
    cut: Cut, clay, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The hair of a person whose skin is at points [V, 3], clay the sculptor's before the person's
    measures.

    Returns vertices [H, 3] mm, polygons [P, 4] of which −1 pads a triangle, their shades [P] (0 or
    1), tints [H, 3].
    """
    shell, shell_polygons = _shell(cut, clay, points)
    parts = [
        (
            shell,
            shell_polygons,
            np.zeros(len(shell_polygons), np.int32),
            np.full((len(shell), 3), 0.8),
        ),
        _locks(cut, clay, points),
    ]
    starts = np.cumsum([0] + [len(part[0]) for part in parts])
    polygons = [np.where(part[1] < 0, -1, part[1] + start) for part, start in zip(parts, starts)]
    vertices, _, shades, tints = (np.concatenate([part[i] for part in parts]) for i in range(4))
    return vertices, np.concatenate(polygons).astype(np.int32), shades, tints


def _normals(p):
    g = gradient(p)
    return g / np.linalg.norm(g, axis=1, keepdims=True)


def _shell(cut, clay, points):
    """(vertices, polygons): the scalp's polygons at the height of the hair; sunk into the skin at
    the edge."""
    ids = np.flatnonzero(_can_grow(clay))
    inside = _covered(cut, clay.points[ids])
    scalp = set(ids[inside > -_BELOW].tolist())
    polygons = [polygon for polygon in clay.polygons if all(i in scalp for i in polygon if i >= 0)]
    used = sorted({i for polygon in polygons for i in polygon if i >= 0})
    number = {i: n for n, i in enumerate(used)} | {-1: -1}
    p = clay.points[used]
    out = _shell_height(cut, p, _SUNK)
    return points[used] + out[:, None] * _normals(p), np.array(
        [[number[i] for i in polygon] for polygon in polygons]
    )


def _can_grow(clay):
    """Whether hair can grow at a vertex [V]: on skin that is not the mouth's nor an ear's back."""
    ear = np.zeros(len(clay.points), bool)
    ear[[i for key, i in clay.index.items() if key[0] == "ear"]] = True
    behind = ear & (clay.points[:, 2] < _BEFORE_EARS)
    return (clay.part == "skin") & (clay.ring < 0) & ~behind


def _shell_height(cut, p, sunk=0.0):
    """Height [n] of the shell over the skin at points p; beyond the hairline it is sunk so far."""
    whole = cut.height * (0.45 + 0.55 * smooth_step(30.0, 92.0, p[:, 1]))
    return (whole + sunk) * smooth_step(-2.0, 22.0, _covered(cut, p)) ** 0.8 - sunk


def _locks(cut, clay, points):
    """(vertices, polygons, shades, tints) of the locks."""
    roots, moved, noise = _roots(cut, clay, points)
    n = len(roots)
    normal = _normals(roots)
    inside = np.maximum(_covered(cut, roots), 0.0)
    top = smooth_step(0.0, 46.0, inside)
    front = smooth_step(50.0, 76.0, roots[:, 2]) * smooth_step(54.0, 30.0, np.abs(roots[:, 0]))
    edge = cut.length[2] + (cut.length[1] - cut.length[2]) * front
    length = (edge + (cut.length[0] - edge) * top) * (0.75 + 0.5 * noise[:, 0])
    if cut.ends:
        over_top = np.maximum(70.0 - np.abs(roots[:, 0]), 0.0) * smooth_step(
            40.0, 90.0, roots[:, 1]
        )
        length = (roots[:, 1] - cut.ends + 0.5 * over_top) * (0.95 + 0.08 * noise[:, 0])
    fall = _fall(cut, roots, normal)
    side = np.cross(normal, fall)
    turn = cut.curl * (2 * noise[:, 1] - 1)[:, None]
    along = np.cos(turn) * fall + np.sin(turn) * side
    lift = cut.lift * (0.5 + noise[:, 2])[:, None]
    width = cut.width * (0.7 + 0.6 * noise[:, 3]) * (0.48 + 0.52 * top)
    start = np.maximum(_shell_height(cut, roots) - 0.6, -0.8)[:, None]
    path, heading = roots + start * normal, along * (1 - lift) + normal * lift
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)

    rows = []
    # share of a lock's width at its root; how late it tapers
    root, blunt = 0.75, 8.0 if cut.ends else 2.2
    bend = 2 * noise[:, 4] - 1
    for row in range(cut.rows + 1):
        t = row / cut.rows
        across = np.cross(normal, heading)
        across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
        half = (
            0.5
            * width
            * (root + (1 - root) * np.sin(0.5 * np.pi * min(3 * t, 1.0)))
            * (1 - t**blunt)
        )
        ridge = 0.42 * half
        if row < cut.rows:
            rows.append(
                np.stack(
                    [
                        path - half[:, None] * across,
                        path + ridge[:, None] * normal,
                        path + half[:, None] * across,
                    ],
                    1,
                )
            )
        else:
            rows.append(path[:, None])
        step = length / cut.rows
        path = path + step[:, None] * heading
        # back to the lock's height there: above the skin and the shell
        normal = _normals(path)
        wanted = (
            _shell_height(cut, path)
            + 0.6
            + (noise[:, 5] * 1.6 + length * cut.lift * 0.45) * min(1.0, t + 1.0 / cut.rows)
        )
        gap, out, pull = wanted - distance(path), (heading * normal).sum(1), np.full(n, 0.06)
        # it leaves the head where that curves away under it, covers the ears, and leaves the face
        # free
        if cut.ends:
            hangs = smooth_step(40.0, 0.0, path[:, 1])
            gap += _OVER_EARS * bump(np.abs(path), (76, 20, 14), (60, 70, 60))
            gap, out, pull = (
                np.where(hangs > 0, np.maximum(gap, 0), gap),
                np.where(hangs > 0, np.minimum(out, 0), out),
                0.06 + 0.6 * hangs,
            )
        path = path + gap[:, None] * normal
        heading = heading - 0.9 * out[:, None] * normal
        heading = (
            heading
            + 0.25 * cut.curl * bend[:, None] * np.cross(normal, heading)
            - pull[:, None] * np.array([0, 1.0, 0])
        )
        if cut.ends:
            free = np.interp(path[:, 1], _FREE_Y, _FREE_Z) - 10.0 * noise[:, 5]
            heading[:, 2] -= np.maximum(path[:, 2] - free, 0) * 0.03
            path[:, 2] = np.minimum(path[:, 2], free)
            heading[:, ::2] *= 1 - 0.6 * hangs[:, None]
            # the ends turn in
            heading[:, ::2] -= (
                0.3 * smooth_step(-30.0, -110.0, path[:, 1])[:, None] * normal[:, ::2]
            )
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    grown = np.concatenate(rows, 1) + moved[:, None]  # [n, 3 · rows + 1, 3]
    each = 3 * cut.rows + 1
    quads = []
    for row in range(cut.rows - 1):
        a, b = 3 * row, 3 * row + 3
        quads += [(a, a + 1, b + 1, b), (a + 1, a + 2, b + 2, b + 1)]
    last = 3 * (cut.rows - 1)
    quads += [(last, last + 1, last + 3, -1), (last + 1, last + 2, last + 3, -1)]
    of_one = np.array(quads)
    polygons = np.where(
        of_one[None] < 0, -1, of_one[None] + each * np.arange(n)[:, None, None]
    ).reshape(-1, 4)
    shades = np.repeat((noise[:, 6] > 0.62).astype(np.int32), len(quads))
    shade = 0.82 + 0.36 * noise[:, 7]
    t = np.repeat(np.arange(cut.rows + 1) / cut.rows, [3] * cut.rows + [1])
    tints = (shade[:, None] * (0.7 + 0.4 * t))[..., None] * np.ones(3)
    return grown.reshape(-1, 3), polygons, shades, tints.reshape(-1, 3)


def _fall(cut, p, normal):
    """Directions [n, 3] of the hair along the skin at points p."""
    if cut.parting is not None:
        down = smooth_step(40.0, 70.0, np.abs(p[:, 0])) + smooth_step(-50.0, -95.0, p[:, 2])
        away = np.stack(
            [
                np.sign(p[:, 0] - cut.parting) * (1 - smooth_step(-50.0, -95.0, p[:, 2])),
                -1.5 * down,
                -smooth_step(10.0, 60.0, p[:, 2]),
            ],
            1,
        )
    else:
        away = p - _WHORL
        away = away / np.linalg.norm(away, axis=1, keepdims=True)
        # swept to one side over the forehead, and down the sides
        away += np.array([-0.35, 0.0, 0.25]) * smooth_step(0, 60, p[:, 2])[:, None]
        away += np.array([0.0, -0.9, -0.2]) * smooth_step(40, 68, np.abs(p[:, 0]))[:, None]
    along = away - (away * normal).sum(1, keepdims=True) * normal
    return along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)


def _roots(cut, clay, points):
    """(roots [n, 3] on the clay, offsets of the person's skin [n, 3], noise [n, 8] in 0 … 1)."""
    grows = _can_grow(clay)
    quads = np.array([p for p in clay.polygons if p[3] >= 0 and all(grows[i] for i in p)])
    corners = clay.points[quads]
    inside = _covered(cut, corners.mean(1))
    scalp = inside > -6.0
    quads, corners = quads[scalp], corners[scalp]
    area = (
        np.linalg.norm(
            np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]), axis=1
        )
        / 2
    )
    # denser where locks are short, so that the edge is covered too
    weight = area * np.interp(inside[scalp], (0, 30), (2.2, 1.0))
    ends = np.cumsum(weight) / weight.sum()
    number = np.arange(cut.locks)
    at = (number + 0.5) / cut.locks
    quad = np.searchsorted(ends, at)
    low = np.concatenate([[0], ends])[quad]
    u = (at - low) / np.maximum(ends[quad] - low, 1e-12)
    v = (number * _GOLDEN) % 1.0
    weights = np.stack([(1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v], 1)[..., None]
    roots = (corners[quad] * weights).sum(1)
    moved = ((points - clay.points)[quads[quad]] * weights).sum(1)
    noise = np.stack(
        [
            np.modf(np.sin((number + 1) * (12.9898 + 4.1 * k)) * 43758.5453)[0] % 1.0
            for k in range(8)
        ],
        1,
    )
    kept = _covered(cut, roots) > -0.5 - 2.5 * noise[:, 5]
    return roots[kept], moved[kept], noise[kept]
