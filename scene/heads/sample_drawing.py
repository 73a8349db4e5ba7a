# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds a drawn face to try heads of drawings with: in Grease Pencil, or as a flat mesh for each
mouth in a Blender that has none of today's."""

import json

import bpy
import numpy as np

from ...thunder_core.face.mapping import Mapping, Rule, Target
from ...thunder_core.shipped import DRAWING
from ..host import compat
from . import drawn, mapping_table

_LINE = (0.03, 0.02, 0.03)  # linear RGB
_PEN = 0.0011  # half of a line's width, metres
_NEAR = 0.02  # metres by which flat eyes and mouths are before the face

Shape = tuple[int, np.ndarray]  # index of its ink, outline [n, 3] in metres


def add(scene, collection) -> bpy.types.Object:
    """Add the drawn face to a collection, ready for takes; its object."""
    drawing = json.loads(DRAWING.read_text("utf-8"))
    data = compat.new_drawing("Drawn Face")
    face = bpy.data.objects.new("Drawn Face", data)
    collection.objects.link(face)
    inks, rules = [_ink(*ink, data is not None) for ink in drawing["inks"].items()], []
    for number, (layer, name, shapes) in enumerate(drawing["drawings"], 1):
        drawn_shapes = [
            (ink, 1e-3 * np.insert(np.reshape(points, (-1, 2)), 1, 0.0, axis=1))
            for ink, points in shapes
        ]
        if data is not None:
            compat.draw(data, layer, number, drawn_shapes, inks, _PEN)
            rule = Rule(name, Target("DRAWING", layer, face.name), float(number))
        else:
            part = _flat(f"{layer} {name}".strip(), drawn_shapes, inks)
            part.parent, part.location.y = face, -_NEAR * bool(name)
            collection.objects.link(part)
            rule = Rule(name, Target("SHOW", part.name))
        rules += [rule] * bool(name)
    mapping_table.keep_plan(scene, face, drawn.tilt(Mapping("Drawn Mouths", tuple(rules)), face))
    return face


def _ink(colour: str, rgb: list[float], is_pencil: bool) -> bpy.types.Material:
    """The material of a colour, shared by all faces of a file."""
    name = f"Drawn {colour}" + " Pencil" * is_pencil
    ink = bpy.data.materials.get(name)
    if ink is None:
        ink = bpy.data.materials.new(name)
        ink.diffuse_color = (*rgb, 1.0)
        if is_pencil:
            compat.make_ink(ink, rgb, _LINE)
    return ink


def _flat(name: str, shapes: list[Shape], inks: list) -> bpy.types.Object:
    """An object of flat shapes, later ones nearer to who looks."""
    mesh, ends = bpy.data.meshes.new(name), np.cumsum([0, *(len(outline) for _, outline in shapes)])
    points = [outline - [0.0, 1e-3 * n, 0.0] for n, (_, outline) in enumerate(shapes)]
    mesh.from_pydata(np.concatenate(points).tolist(), [], [*map(range, ends[:-1], ends[1:])])
    for ink in inks:
        mesh.materials.append(ink)
    mesh.polygons.foreach_set("material_index", np.array([ink for ink, _ in shapes], np.int32))
    return bpy.data.objects.new(name, mesh)
