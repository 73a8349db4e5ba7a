# SPDX-License-Identifier: GPL-3.0-or-later
"""Effect of single keys at 1 on the bundled head, in millimetres, compared with the same keys of a
scanned face.

`python -m research head_keys [--data FOLDER]` in the engine's environment. FOLDER (or THUNDER_DATA)
holds heads/ict_facekit/head.npz; without it only our figures are printed, and nothing is saved.
Both heads are scaled to 62.7 mm between the eyes; keys of both sides are added. The share is of the
face's area (brow line to chin, without ears, skull and neck) that moves more than 1 mm. A figure is
marked `!` where it misses its bar: a share below 0.6 of the other's, a corner or midline figure off
by more than 40 % and more than 1 mm. The table goes to stdout and research/results/head_keys.txt.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from research.harness import add_shared, DATA, report, results_file  # noqa: E402
from thunder_core.face.head import EYE_LEFT, EYE_RIGHT, load_head  # noqa: E402

EYES_APART = 62.7  # mm
MOVES = 1.0  # least movement that counts, mm
SHARE, OFF, OFF_MM = 0.6, 0.4, 1.0  # the bars
# vertex count of ICT's facial skin, which comes first; teeth, eyes and lashes follow
SKIN_OF_ICT = 9409
KEYS = (
    "mouthPucker mouthFunnel mouthSmile mouthStretch mouthFrown mouthDimple mouthLeft mouthUpperUp "
    "mouthLowerDown mouthRollLower "
    "mouthRollUpper mouthShrugLower mouthShrugUpper mouthPress cheekPuff cheekSquint noseSneer "
    "browInnerUp browOuterUp browDown "
    "eyeBlink eyeWide eyeSquint jawForward"
).split()
FIGURES = (
    "width",
    "corner up",
    "corner fwd",
    "mid fwd",
    "mid back",
    "mid up",
    "mid down",
    "largest",
    "share",
)


@dataclass(frozen=True)
class Face:
    """A face whose keys are measured.

    points [V, 3] mm from the middle of the eyes · names and shapes [n, V, 3] mm at 1 · area [V] cm²
    of the face, 0 elsewhere · skin [V] bool · corners: two skin vertices at the mouth's corners ·
    middle: vertices near the midline of the mouth.
    """

    points: np.ndarray
    names: list[str]
    shapes: np.ndarray
    area: np.ndarray
    skin: np.ndarray
    corners: tuple[int, int]
    middle: np.ndarray

    def key(self, name: str) -> np.ndarray | None:
        """Displacements [V, 3] of a key, both sides together; None if the face has none of that
        name."""
        return _sum(self.names, self.shapes, name)

    def figures(self, name: str) -> dict[str, float] | None:
        """The FIGURES of a key at 1."""
        moved = self.key(name)
        if moved is None:
            return None
        left, right = self.corners
        middle, far = moved[self.middle], np.linalg.norm(moved, axis=1)[self.skin]
        values = (
            moved[left, 0] - moved[right, 0],
            moved[left, 1],
            moved[left, 2],
            middle[:, 2].max(),
            middle[:, 2].min(),
            middle[:, 1].max(),
            middle[:, 1].min(),
            far.max(),
            self.area[self.skin][far > MOVES].sum() / self.area.sum(),
        )
        return dict(zip(FIGURES, values))


def _sum(names, shapes, name):
    """Sum of a key's shapes of both sides; None if there is no such key."""
    result = [
        shapes[names.index(full)]
        for full in (name, *(name + tag for tag in ("Left", "Right", "_L", "_R")))
        if full in names
    ]
    return sum(result) if result else None


def study_face(points, names, shapes, quads, skin) -> Face:
    """A face of points [V, 3] mm (eyes' middle at 0), shapes [n, V, 3], quads [P, 4] and a mask [V]
    of its skin."""
    face = (
        (points[:, 2] > -45)
        & (points[:, 1] > -115)
        & (points[:, 1] < 60)
        & (np.abs(points[:, 0]) < 68)
    )
    pucker = _sum(names, shapes, "mouthPucker")
    far = np.where(skin, np.linalg.norm(pucker, axis=1), 0)
    lips = points[far > 0.5 * far.max()].mean(0)
    near = skin & (np.abs(points[:, 1] - lips[1]) < 12) & (points[:, 2] > lips[2] - 25)
    corners = []
    for side in (1, -1):
        beside = near & (side * points[:, 0] > 12) & (side * points[:, 0] < 40)
        corners.append(int(np.flatnonzero(beside)[np.abs(pucker[beside, 0]).argmax()]))
    return Face(
        points,
        names,
        shapes,
        _areas(points, quads) * (skin & face) / 100,
        skin,
        tuple(corners),
        near & (np.abs(points[:, 0]) < 4),
    )


def _areas(points, quads):
    """Area of each vertex [V], a quarter of each quad that it is a corner of."""
    quads = quads[(quads >= 0).all(1)]
    size = (
        np.linalg.norm(
            np.cross(
                points[quads[:, 2]] - points[quads[:, 0]], points[quads[:, 3]] - points[quads[:, 1]]
            ),
            axis=1,
        )
        / 2
    )
    return sum(np.bincount(quads[:, corner], size / 4, len(points)) for corner in range(4))


def thunder_face(path=None) -> Face:
    """The bundled head, or another file of its format."""
    head = load_head(path)
    joints = head.joints * 1e3
    scale = EYES_APART / (joints[EYE_LEFT, 0] - joints[EYE_RIGHT, 0])
    names = np.array(head.material_names)[head.polygon_material]
    on_skin = np.unique(head.polygons[np.isin(names, ("Skin", "Lips"))])
    skin = np.zeros(len(head.v_template), bool)
    skin[on_skin[on_skin >= 0]] = True
    points = (head.v_template.astype(float) * 1e3 - joints[[EYE_LEFT, EYE_RIGHT]].mean(0)) * scale
    return study_face(
        points,
        list(head.expression_names),
        np.moveaxis(head.shapedirs.astype(float), 2, 0) * 1e3 * scale,
        head.polygons,
        skin,
    )


def ict_face(folder: str | Path | None) -> Face | None:
    """ICT-FaceKit's head of the data folder, None without one."""
    path = Path(folder or "") / "heads" / "ict_facekit" / "head.npz"
    if not folder or not path.is_file():
        return None
    with np.load(path) as data:
        points = data["vertices"].astype(float) * 10
        shapes = data["shapes"].astype(float) * 10
        names = [str(n) for n in data["names"]]
        skin = np.arange(len(points)) < SKIN_OF_ICT
        return study_face(
            points - np.array([0, 36.07, 80.18]), names, shapes, data["faces"].astype(int), skin
        )


def misses(ours_figures: dict[str, float], other: dict[str, float]) -> list[str]:
    """The FIGURES of a key that miss their bars."""
    missed = [] if ours_figures["share"] >= SHARE * other["share"] else ["share"]
    return missed + [
        name
        for name in FIGURES[:-2]
        if abs(ours_figures[name] - other[name]) > max(OFF_MM, OFF * abs(other[name]))
    ]


def table(ours_face: Face, other: Face | None) -> list[str]:
    """A line per key and head."""
    lines = [f"{'mm at key = 1':17s}" + "".join(f"{name:>11s}" for name in FIGURES)]
    missed = 0
    for name in KEYS:
        mine, beside = ours_face.figures(name), other.figures(name) if other else None
        marks = misses(mine, beside) if beside else []
        missed += len(marks)
        lines.append(f"{name:17s}" + "".join(_cell(mine[f], f, f in marks) for f in FIGURES))
        if beside:
            lines.append(
                f"{'  ICT-FaceKit':17s}" + "".join(_cell(beside[f], f, False) for f in FIGURES)
            )
    if other:
        lines.append(f"{missed} figures miss their bars")
    return lines


def _cell(value, figure, marked):
    """A figure as text, marked where it misses its bar."""
    return (
        f"{value:10.2f}{'!' if marked else ' '}"
        if figure == "share"
        else f"{value:+10.1f}{'!' if marked else ' '}"
    )


def add_arguments(parser: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(parser, "results", data=DATA)
    parser.add_argument("--head", default=None, help="another head file of the same format")


def run(options: Namespace) -> None:
    """Print the table and write it to research/results."""
    beside = ict_face(options.data)
    report(
        results_file(options.results, "head_keys.txt", beside is not None and options.head is None),
        table(thunder_face(options.head), beside),
    )
