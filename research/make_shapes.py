# SPDX-License-Identifier: GPL-3.0-or-later
"""Shapes made for strangers' heads: takes on them beside ours, blinks, and the shapes of ICT's sculptor.

`python -m research make_shapes --data FOLDER` reads heads/ in it. Dots are the tracker's; how many
of them lie where they would be marked by hand, at vertices listed here, is told. Blinks are looked
at over the whole ball from three views; shut is how far lips are off where ours touch; a hole is mm²
of the skin's back at mouthRollLower; seams are how far what a file doubles comes apart. Two of the
heads, marked *, were looked at only for the results. `--more FOLDER` adds heads that are kept
elsewhere: NAME.npz with points [V, 3], triangles [F, 3] and their makers' names and shapes
[n, V, 3].
"""

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np

import thunder_core.api as thunder
from research.harness import add_shared, report, results_file
from thunder_core.client import Client, temporary_arrays
from thunder_core.engine_python import find_tracker
from thunder_core.errors import BadHead
from thunder_core.face.head import load_head
from thunder_core.face.making import dots, judging, shapes
from thunder_core.face.making.laying import model
from thunder_core.face.points import SkinnedPoints
from thunder_core.face.regions import pieces, Warp
from thunder_core.filters import ease
from thunder_core.types import JAW_OPEN_RADIANS, JAW_SIDE_RADIANS, Motion

# vertices of the places in the middle, and places on the left near which the nearest is taken
MARKS = {
    "makehuman": (
        [132, 297, 1623, 455, 468, 494, 492, 1713],
        [(17.2, 727.7, 134), (49.4, 729.8, 132), (31.5, 732.9, 141), (31.5, 724.2, 141),
         (38.5, 742, 141), (16.8, 692.4, 150), (26.6, 661, 146), (74, 740, 85)],
    ),
    "ict_facekit": (
        [1358, 4841, 1178, 2, 5526, 5517, 5518, 964],
        [(16.8, 34, 92), (48, 33, 84), (31, 39, 95), (31, 29.6, 94), (33.9, 53.8, 95),
         (18.3, -3.8, 108), (26.9, -35.5, 101), (71, 47, 41)],
    ),
}  # fmt: skip
_SHELLS = (24591, 25350)  # of ICT's vertices: fluid before the eyes
_TOUCHING_MM = 0.3
_FEW = 0.03  # of a face's width, by which a dot may be off
_EVERY = 3  # frame of a take that is looked at for torn skin
_NEAR_MM = 5.0  # of a triangle that turns over on ours too
Face = tuple[np.ndarray, np.ndarray, np.ndarray]  # points, triangles, marks


def add_arguments(parser: ArgumentParser) -> None:
    """The options."""
    add_shared(parser, "data", "results")
    parser.add_argument("--heads", nargs="*", help="names of those to look at (default: all)")
    parser.add_argument("--more", type=Path, help="folder of other heads")


def run(args: Namespace) -> None:
    """Measure all heads, write the table."""
    heads = strangers(args.data) | others(args.more)
    takes = [each.motion for each in thunder.perform(thunder.sample(), takes=2, seed=1)]
    ours, rows = Ours(takes), []
    with Client(find_tracker(), verbs="tracker") as tracker:
        for name, (face, truth) in heads.items():
            if not args.heads or name in args.heads:
                marks = marks_by(tracker, face)
                row = measure(name, (*face[:2], marks), ours, truth)
                rows.append(row + (dots_placed(face, marks) if len(face[2]) else ""))
                print(rows[-1], flush=True)
    is_whole = not args.heads and not args.more
    report(results_file(args.results, "make_shapes.txt", is_whole), [HEADING, *rows])


HEADING = (
    "head                 vertices  CPU s  gap r  slope  shut mm (worst)  blink leaves mm  flips   hole  seams  "
    "mouth cos  lids cos  dots (by proportions)"
)

# ---- heads


def triangles_of(polygons: np.ndarray) -> np.ndarray:
    """Triangles [F, 3] of polygons [P, 4], −1 pads."""
    return np.concatenate([polygons[:, :3], polygons[polygons[:, 3] >= 0][:, [0, 2, 3]]])


def strangers(data: Path) -> dict[str, tuple[Face, dict[str, np.ndarray]]]:
    """name → (face, its maker's own shapes [V, 3]) of all heads."""
    head = load_head()
    ours = 1e3 * head.v_template.astype(np.float64)
    faces, truth = {"ours": (ours, head.f, ours[dots.vertices_of(head)])}, {}
    for name, (middle, sides) in MARKS.items():
        with np.load(data / "heads" / name / "head.npz") as file:
            points, polygons = file["vertices"].astype(np.float64), file["faces"]
            if "shapes" in file:
                points *= 10.0
                polygons = polygons[((polygons < _SHELLS[0]) | (polygons > _SHELLS[1])).all(1)]
                truth = {
                    key.replace("_L", "Left").replace("_R", "Right"): 10.0 * shape.astype(float)
                    for key, shape in zip(map(str, file["names"]), file["shapes"])
                }
        triangles = triangles_of(polygons)
        piece = pieces(len(points), triangles)
        away = 1e3 * (piece != np.bincount(piece[triangles[:, 0]]).argmax())
        left = [points[(np.linalg.norm(points - place, axis=1) + away).argmin()] for place in sides]
        marks = [*points[middle], *(each * sign for each in left for sign in (1, [-1, 1, 1]))]
        faces[name] = points, triangles, np.array(marks)
    result = {name: (face, truth if name.startswith("ict") else {}) for name, face in faces.items()}
    for base, change in DEFORMED:
        face = faces[base.strip("*")]
        result[f"{base} {change.__name__}"] = deformed(face, change), {}
    return result


def others(folder: Path | None) -> dict[str, tuple[Face, dict[str, np.ndarray]]]:
    """The same of the heads in a folder; where their dots belong is not known."""
    result = {}
    for path in sorted(folder.glob("*.npz")) if folder is not None else ():
        with np.load(path) as file:
            truth = dict(zip(map(str, file["names"]), file["shapes"].astype(float)))
            points = file["points"].astype(np.float64)
            result[path.stem] = (points, file["triangles"], np.empty((0, 3))), truth
    return result


def deformed(face: Face, change: Callable[[np.ndarray], np.ndarray]) -> Face:
    """A face whose points, brought to our head's place and size, are moved by `change`."""
    warp = Warp.rigid(face[2], model().skin.points[model().dots])
    return change(warp(face[0])), face[1], change(warp(face[2]))


def _bump(points, centre, wide, scale=(1, 1, 1)):
    return np.exp(-0.5 * (((points - centre) / scale / wide) ** 2).sum(1))[:, None]


def _eyes(points, size, shift=(0.0, 0.0, 0.0)):
    """Points after the eyes, with what is round them, have grown and moved."""
    result = points.copy()
    for sign in (1, -1):
        centre = np.array([sign * 32.0, 0.0, 61.0])
        away = np.linalg.norm(points - centre, axis=1)
        near = 1.0 - ease((away - 18.0) / 30.0)[:, None]
        result += near * ((size - 1.0) * (points - centre) + np.array(shift) * [sign, 1, 1])
    return result


def older(p: np.ndarray) -> np.ndarray:
    """A broad face whose cheeks hang."""
    p = p * [1.06, 1.0, 1.0]
    for sign in (1, -1):
        p = p + _bump(p, [sign * 45, -75, 60], 18) * [sign * 3, -6, 2]
    return p + _bump(p, [0, -35, 105], 14) * [0, -4, 5]


def child(p: np.ndarray) -> np.ndarray:
    """A small jaw, large eyes, a short nose."""
    p = _eyes(p, 1.15)
    low = ease((-p[:, 1] - 5.0) / 60.0)[:, None]
    return (
        p
        + low * np.c_[-0.1 * p[:, 0], 0.18 * (-p[:, 1] - 5), -0.06 * p[:, 2]]
        - _bump(p, [0, -35, 105], 14) * [0, 0, 8]
    )


def long_jaw(p: np.ndarray) -> np.ndarray:
    """A long chin and narrow cheeks."""
    low = ease((-p[:, 1] - 40.0) / 60.0)[:, None]
    return p + low * np.c_[-0.08 * p[:, 0], 0.22 * (p[:, 1] + 40), 0.05 * p[:, 2]]


def big_eyes(p: np.ndarray) -> np.ndarray:
    """Eyes a third larger."""
    return _eyes(p, 1.33, (3.0, 0.0, 0.0))


def cat(p: np.ndarray) -> np.ndarray:
    """A muzzle, a flat bridge, eyes far apart."""
    p = _eyes(p, 1.2, (5.0, 2.0, 0.0))
    return p + _bump(p, [0, -60, 95], 24, (1.2, 1, 1.4)) * [0, 0, 16]


DEFORMED = [
    ("ours", child), ("ours", long_jaw), ("ours", big_eyes), ("ours", cat),
    ("ict_facekit", older), ("ict_facekit", cat), ("ict_facekit", child),
    ("makehuman", big_eyes), ("*makehuman", child), ("*ict_facekit", long_jaw),
]  # fmt: skip

# ---- what is measured


class Ours:
    """Takes on our head. gaps: of its lips, between the vertices by which other heads are measured,
    [T] mm.  is_shut: where they touch, [T].  flips: middles of triangles that turn over in
    one."""

    def __init__(self, takes: list[Motion]):
        head = load_head()
        self.takes = takes
        own = model()
        found = own.ids[shapes.inner_lips(own.skin, own.skin.points[own.dots])]
        lips = [head.inner_lip_upper_mid, head.inner_lip_lower_mid, *found]
        at_rest = 1e3 * head.v_template[lips, 1]
        gaps = []
        for take in takes:
            places = 1e3 * SkinnedPoints.of(head, lambda v: v[lips]).of_motion(take)
            gaps.append((places[:, ::2, 1] - places[:, 1::2, 1]) - (at_rest[::2] - at_rest[1::2]))
        touching, self.gaps = np.concatenate(gaps).T
        self.is_shut = touching < _TOUCHING_MM
        points = SkinnedPoints.of(head, lambda v: v[own.ids])
        over = np.zeros(len(own.skin.triangles), bool)
        for take in takes:
            for at in range(0, take.frames, _EVERY):
                part = take.part(slice(at, at + 1))
                over |= turned_over(own.skin, 1e3 * points.of_motion(part)[0])
        self.flips = own.skin.points[own.skin.triangles[over]].mean(1)


def turned_over(skin, now) -> np.ndarray:
    """Triangles that face the other way than at rest, [F]."""
    moved = shapes.Surface(now, skin.triangles).corner_normals
    return (moved * skin.corner_normals).sum(1) < 0


def values_of(motion: Motion, names: tuple[str, ...]) -> np.ndarray:
    """Values of keys over a motion, [T, n]."""
    head, result = load_head(), np.zeros((motion.frames, len(names)))
    for number, name in enumerate(names):
        if name in head.expression_names:
            result[:, number] = motion.expression[:, head.channel(name)]
    jaw = motion.jaw
    result[:, names.index("jawOpen")] = jaw[:, 0] / JAW_OPEN_RADIANS
    result[:, names.index("jawLeft")] = np.maximum(jaw[:, 1] / JAW_SIDE_RADIANS, 0)
    result[:, names.index("jawRight")] = np.maximum(-jaw[:, 1] / JAW_SIDE_RADIANS, 0)
    return result


def measure(name: str, face: Face, ours: Ours, truth: dict[str, np.ndarray]) -> str:
    """A row of the table."""
    points, triangles, marks = face
    warp = Warp.rigid(marks, model().skin.points[model().dots])
    started = time.process_time()
    try:
        made = shapes.make(points, triangles, marks)
    except BadHead as error:
        return f"{name:20s} {len(points):8d} {error}"
    seconds = time.process_time() - started
    moves, places = made.moves @ warp.turn.astype(np.float32), warp(points)
    # one vertex of those that a file doubles stands for all
    place, joined, marked = shapes._joined(places, triangles, warp(marks))
    skin, ids = shapes.skin_of(places, joined, pieces(len(places), joined), marked)
    lips = ids[shapes.inner_lips(skin, marked)]
    apart = moves[:, lips[0], 1] - moves[:, lips[1], 1]
    values = [values_of(take, made.names) for take in ours.takes]
    gap, own = np.concatenate([each @ apart for each in values]), ours.gaps
    shut = (gap - own)[ours.is_shut]
    seen = np.flatnonzero(judging.seen_of(skin, marked))
    middles = skin.points[skin.triangles].mean(1)
    if len(ours.flips):
        far = np.array([((ours.flips - each) ** 2).sum(1).min() for each in middles[seen]])
        seen = seen[far > _NEAR_MM**2]
    flips = np.zeros(len(skin.triangles), bool)
    for each in values:
        for frame in each[::_EVERY]:
            now = skin.points + np.tensordot(frame.astype(np.float32), moves[:, ids], 1)
            flips |= turned_over(skin, now)
    blink = moves[made.names.index("eyeBlinkLeft")] + moves[made.names.index("eyeBlinkRight")]
    is_bare = made.is_eye > 0
    is_bare[ids] = True
    bare, left = joined[is_bare[joined].all(1)], []
    for by in (1, 0):
        for side in (1, 2) if made.is_eye.any() else ():
            ball = places[made.is_eye == side]
            middle, radius = (ball.min(0) + ball.max(0)) / 2, np.ptp(ball[:, 1]) / 2
            ball = made.is_eye > 0, middle, radius
            left.append(judging.left_open(places + blink * by, bare, *ball))
    roll = moves[made.names.index("mouthRollLower")][ids]
    hole = judging.MouthView.of(skin, marked[dots.IS_MOUTH]).back_shown(roll)[2]
    seams = np.linalg.norm(moves - moves[:, place], axis=2).max()
    row = (
        f"{name:20s} {len(points):8d} {seconds:6.1f} {np.corrcoef(gap, own)[0, 1]:6.3f} "
        f"{np.polyfit(own, gap, 1)[0]:6.2f} {shut.mean():8.2f} ({np.abs(shut).max():.2f})"
        f"     {max(left[:2], default=np.nan):6.2f} of {max(left[2:], default=np.nan):5.1f} "
        f"{flips[seen].sum():6d} {hole:5.1f} {seams:5.2f} "
    )
    alike = [_likeness(made, truth, start) if truth else np.nan for start in ("mouth", "eye")]
    return row + "".join(f"{each:10.2f}" for each in alike).replace("nan", "   ")


def marks_by(tracker: Client, face: Face) -> np.ndarray:
    """Where a tracker puts the 24 dots of a face, [24, 3]."""
    with temporary_arrays(tracker) as put:
        paths = {"points": put(face[0]), "triangles": put(face[1])}
        return np.array(tracker.request("mark_face", **paths).wait()["marks"])


def dots_placed(face: Face, seen: np.ndarray) -> str:
    """Of the 24 dots how many are placed within a few per cent of the face's width: by a picture of
    it, and by proportions alone."""
    points, triangles, marks = face
    near = [
        (np.linalg.norm(each - marks, axis=1) < _FEW * np.ptp(marks[:, 0])).sum()
        for each in (seen, shapes.guess(points, triangles)[0])
    ]
    return f"  {near[0]:4d} ({near[1]})"


def _likeness(made, truth, start: str) -> float:
    """The median cosine of our shapes and the maker's."""
    names = [name for name in made.names if name.startswith(start) and name in truth]
    names = [name for name in names if not name.startswith("eyeLook")]
    cosines = [
        (a * b).sum() / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-9)
        for name in names
        for a, b in [(made.moves[made.names.index(name)], truth[name])]
    ]
    return float(np.median(cosines))
