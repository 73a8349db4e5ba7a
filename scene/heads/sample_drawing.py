# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws a face to try heads of drawings with: in Grease Pencil, or as a flat mesh for each mouth in
a Blender that has none of today's."""

from collections.abc import Iterator

import bpy
import numpy as np

from ...thunder_core.face.drawn_mouths import EYES, HALF, MOUTHS, SHUT
from ...thunder_core.face.mapping import Mapping, Rule, Target
from ...thunder_core.spoken import REST
from ..host import compat
from . import drawn, mapping_table

# linear RGB of what is drawn, and of its line
_INK = (0.03, 0.02, 0.03)
_COLOURS = {
    "Skin": (0.87, 0.55, 0.38), "Hair": (0.09, 0.035, 0.03), "White": (0.92, 0.92, 0.9),
    "Iris": (0.05, 0.16, 0.25), "Lips": (0.5, 0.12, 0.11), "Inside": (0.08, 0.01, 0.02),
    "Tongue": (0.72, 0.24, 0.25),
}  # fmt: skip
# Of each mouth, mm: half its width, how far it opens up and down, how far its corners are raised;
# the shares of it that are teeth and tongue.
_MOUTHS = {
    "M B P": (22, 0, 0, 0, 0, 0), "F V": (22, 4, 3, 1, 0.8, 0), "OO": (9, 6, 7, 0, 0, 0),
    "OH": (13, 11, 14, 0, 0, 0.3), "AH": (22, 12, 20, 0, 0.25, 0.45),
    "EH": (24, 9, 11, 1, 0.3, 0.35), "EE": (29, 6, 7, 3, 0.95, 0), "L": (21, 9, 11, 1, 0.25, 0.7),
    "TH": (21, 5, 7, 1, 0.3, 0.6), "S CH": (19, 6, 6, 0, 1, 0), "T D K": (20, 4, 6, 1, 0.5, 0.2),
    REST: (19, 0, 0, 2, 0, 0), "Smile": (25, 0, 0, 9, 0, 0), "Frown": (19, 0, 0, -7, 0, 0),
}  # fmt: skip
_LOOKS = {EYES[3]: (5, 0), EYES[4]: (-5, 0), EYES[5]: (0, 5), EYES[6]: (0, -5)}  # mm
_LARGER = 1.3  # times so large as mouths of people
_AROUND = 48  # points of an outline
_PEN = 0.0011  # half of a line's width, metres
_ORIGIN = 130  # mm from the neck, about which a head tilts, up to the middle of the face

Shape = tuple[str, np.ndarray]  # colour, outline [n, 2] in mm: x to the left of the picture's right


def _oval(x: float, z: float, wide: float, up: float, down: float, raised: float = 0) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)
    height = np.where(np.sin(angle) > 0, up, down) * np.sin(angle)
    return np.c_[x + wide * np.cos(angle), z + height + raised * np.cos(angle) ** 2]


def _mouth(name: str) -> Iterator[Shape]:
    *size, teeth, tongue = _MOUTHS[name]
    wide, up, down, raised = (_LARGER * each for each in size)
    yield "Lips", _oval(0, -48, wide + 3, up + 2.5, down + 3, raised)
    if not up:
        return
    inside = _oval(0, -48, wide, up, down, raised)
    low, high = inside[:, 1].min(), inside[:, 1].max()
    yield "Inside", inside
    if tongue:
        top = low + tongue * (high - low)
        yield "Tongue", np.c_[0.75 * inside[:, 0], np.minimum(inside[:, 1] + 1, top)]
    if teeth:
        edge = high - teeth * (high - low)
        yield "White", np.c_[0.92 * inside[:, 0], np.maximum(inside[:, 1] - 1, edge)]


def _eyes(name: str) -> Iterator[Shape]:
    across, up = _LOOKS.get(name, (0, 0))
    for side in (-1, 1):
        if name == SHUT:
            yield "Hair", _oval(36 * side, 10, 17, 2, 4)
            continue
        white = _oval(36 * side, 14, 17, 15, 15)
        yield "White", white
        yield "Iris", _oval(36 * side + across, 14 + up, 7, 8, 8)
        if name == HALF:
            yield "Skin", np.c_[white[:, 0], np.maximum(white[:, 1], 14)]


def _face() -> Iterator[Shape]:
    yield "Hair", _oval(0, 25, 96, 92, 60)
    for side in (-1, 1):
        yield "Skin", _oval(88 * side, -2, 14, 20, 20)
    yield "Skin", _oval(0, 0, 86, 88, 104)
    yield "Hair", np.r_[_oval(0, 0, 87, 90, 0)[: _AROUND // 2 + 1], [[-60, 50], [20, 64], [66, 36]]]
    yield "Skin", _oval(0, -14, 7, 7, 5)
    for side in (-1, 1):
        yield "Hair", _oval(36 * side, 42, 17, 4, 1)


def add(scene, collection) -> bpy.types.Object:
    """Add the drawn face to a collection, ready for takes; its object."""
    looks = [("", "Face", _face()), *((name, "Eyes", _eyes(name)) for name in EYES)]
    looks += [(name, "Mouth", _mouth(name)) for name in MOUTHS]
    data = compat.new_drawing("Drawn Face")
    face = bpy.data.objects.new("Drawn Face", data)
    collection.objects.link(face)
    inks = [_ink(name, data is not None) for name in _COLOURS]
    rules = []
    for number, (name, layer, shapes) in enumerate(looks):
        drawn_shapes = [
            (list(_COLOURS).index(colour), _place(outline)) for colour, outline in shapes
        ]
        if data is not None:
            compat.draw(data, layer, number + 1, drawn_shapes, inks, _PEN)
            rules += [Rule(name, Target("DRAWING", layer, face.name), number + 1.0)] * bool(name)
        else:
            depth = {"Face": 0.0, "Eyes": -0.02, "Mouth": -0.02}[layer]
            part = _flat(f"{layer} {name}".strip(), drawn_shapes, inks, depth)
            part.parent = face
            collection.objects.link(part)
            rules += [Rule(name, Target("SHOW", part.name))] * bool(name)
    plan = drawn.tilt(Mapping("Drawn Mouths", tuple(rules)), face)
    mapping_table.keep_plan(scene, face, plan)
    return face


def _place(outline: np.ndarray) -> np.ndarray:
    """An outline in the space of the face's object, [n, 3] metres."""
    return 1e-3 * np.c_[outline[:, 0], np.zeros(len(outline)), outline[:, 1] + _ORIGIN]


def _ink(name: str, is_pencil: bool) -> bpy.types.Material:
    """The material of a colour, shared by all faces of a file."""
    called = f"Drawn {name}" + " Pencil" * is_pencil
    ink = bpy.data.materials.get(called)
    if ink is None:
        ink = bpy.data.materials.new(called)
        ink.diffuse_color = (*_COLOURS[name], 1.0)
        if is_pencil:
            compat.make_ink(ink, _COLOURS[name], _INK)
    return ink


def _flat(name: str, shapes: list[tuple[int, np.ndarray]], inks, depth: float) -> bpy.types.Object:
    """An object of flat shapes, later ones nearer to who looks."""
    mesh, points, faces = bpy.data.meshes.new(name), list[list[float]](), []
    for number, (_, outline) in enumerate(shapes):
        near = outline + [0.0, depth - 1e-3 * number, 0.0]
        faces.append(range(len(points), len(points) + len(near)))
        points += near.tolist()
    mesh.from_pydata(points, [], faces)
    for ink in inks:
        mesh.materials.append(ink)
    mesh.polygons.foreach_set("material_index", np.array([ink for ink, _ in shapes], np.int32))
    return bpy.data.objects.new(name, mesh)
