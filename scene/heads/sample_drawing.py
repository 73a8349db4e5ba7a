# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds a face drawn in Grease Pencil, to try heads of drawings with."""

import json

import bpy
import numpy as np

from ...thunder_core.errors import BadHead
from ...thunder_core.face.mapping import Mapping, Rule, Target
from ...thunder_core.shipped import DRAWING
from ..host import compat
from . import drawn, mapping_table

_LINE = (0.03, 0.02, 0.03, 1.0)  # linear RGBA
_PEN = 0.0011  # half of a line's width, metres


def add(scene, collection) -> bpy.types.Object:
    """Add the drawn face to a collection, ready for takes; its object. Raises BadHead before
    Blender 4.3."""
    drawing, data = json.loads(DRAWING.read_text("utf-8")), compat.new_drawing("Drawn Face")
    if data is None:
        raise BadHead(
            "The sample is drawn in Grease Pencil, as Blender 4.3 and newer have it: use objects "
            "or images of your own with Add Drawn Mouth"
        )
    for name, colour in drawing["inks"].items():
        ink = bpy.data.materials.new(f"Drawn {name}")
        bpy.data.materials.create_gpencil_data(ink)
        style = ink.grease_pencil
        style.show_fill, style.fill_color, style.color = True, (*colour, 1.0), _LINE
        data.materials.append(ink)
    face, rules = bpy.data.objects.new("Drawn Face", data), []
    collection.objects.link(face)
    for number, (layer, name, shapes) in enumerate(drawing["drawings"], 1):
        flat = [(ink, 1e-3 * np.reshape(points, (-1, 2))) for ink, points in shapes]
        compat.draw(data, layer, number, flat, _PEN)
        rules += [Rule(name, Target("DRAWING", layer), float(number))] * bool(name)
    mapping_table.keep_plan(scene, face, drawn.tilt(Mapping("Drawn Mouths", tuple(rules))))
    return face
