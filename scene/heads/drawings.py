# SPDX-License-Identifier: GPL-3.0-or-later
"""The drawings of a head: what its object and those below it may show, and what shows each."""

from __future__ import annotations

import math
import os
import re
from collections import defaultdict
from collections.abc import Callable
from functools import partial

import bpy

from ...thunder_core.errors import BadHead
from ...thunder_core.face import mapping
from ...thunder_core.face.mapping import Target
from ..host import compat
from . import family, rna_paths

HIDE = ("hide", "hide_viewport", "hide_render")  # properties: of a layer, and of an object
COPY = "GENERATED"  # kind of frames that share the drawing of another (drawn_frames.py)
_MOST = 1000  # images of a sequence, and cells of a sheet, beyond which it is something else

# What shows a drawing: a property of a data-block, by its path and index, at a value.
Place = tuple[bpy.types.ID, str, int, float]
Drawings = dict[int, list[Place]]  # by their numbers

# ---- what may be shown: all that shows each drawing of a target; empty if it is not in the file


def _objects(face: bpy.types.Object, target: Target) -> Drawings:
    thing, group = bpy.data.objects.get(target.name), bpy.data.collections.get(target.name)
    members: list[bpy.types.Object] = [] if group is None else list(group.all_objects)
    if thing is not None:
        members = [thing]
    # what is below another head is that one's, whose copy this may be
    ours = [each for each in members if family.drawn_above(each) in (None, face)]
    return {1: [(each, path, -1, 0) for each in ours for path in HIDE[1:]]} if ours else {}


def layers_of(face: bpy.types.Object, target: Target) -> list[tuple]:
    """The Grease Pencil object of a target, its layer, and the path, from the object, of the number
    of the drawing that is shown; [] if it is not in the file."""
    obj = bpy.data.objects.get(target.object) or face
    name = rna_paths.OWN_PREFIX + target.name
    layer = obj.data.layers.get(target.name) if compat.is_drawing(obj) else None
    path = f'modifiers["{bpy.utils.escape_identifier(name)}"].offset'
    return [(obj, layer, path)] if layer is not None else []


def _layer(face: bpy.types.Object, target: Target) -> Drawings:
    at = f'layers["{bpy.utils.escape_identifier(target.name)}"].hide'
    return {1: [(obj.data, at, -1, 0)] for obj, *_ in layers_of(face, target)}


def _frames(face: bpy.types.Object, target: Target) -> Drawings:
    return {
        each.frame_number: [(obj, path, -1, each.frame_number)]
        for obj, layer, path in layers_of(face, target)
        for each in layer.frames
        if each.keyframe_type != COPY
    }


def _in_material(
    kind: str, places_of: Callable, face: bpy.types.Object, target: Target
) -> Drawings:
    """Those of the nodes of a kind, places_of(node, its path) for one drawing after the other."""
    result: Drawings = defaultdict(list)
    material = bpy.data.materials.get(target.name)
    tree = None if material is None else material.node_tree
    nodes: list[bpy.types.Node] = [] if tree is None else list(tree.nodes)
    for node in (each for each in nodes if each.type == kind):
        path = f'nodes["{bpy.utils.escape_identifier(node.name)}"]'
        for number, places in enumerate(places_of(node, path), 1):
            result[number] += [(node.id_data, *place) for place in places]
    return result


def _images(node: bpy.types.ShaderNodeTexImage, path: str) -> list[list[tuple]]:
    """An image of a sequence each."""
    image = node.image
    if image is None or image.source != "SEQUENCE":
        return []
    count = node.image_user.frame_duration
    digits = re.findall(r"\d+", os.path.basename(image.filepath))
    # frames of the sequence are over, so that its last image would be shown
    least = int(digits[-1] if digits else 1) - count
    at = f"{path}.image_user.frame_offset"
    return [[(at, -1, least + number)] for number in range(min(count, _MOST))]


def _cells(node: bpy.types.ShaderNodeMapping, path: str) -> list[list[tuple]]:
    """A cell of a sheet each. Raises BadHead for a size that is none."""
    assert node.inputs is not None  # as every such node has
    at, sizes = f"{path}.inputs[1].default_value", node.inputs["Scale"].default_value[:2]
    if not all(map(math.isfinite, sizes)):
        raise BadHead(
            f"The Scale of the node “{node.name}” is no number: give it the size of a cell, such "
            f"as .25"
        )
    columns, rows = (round(1 / max(abs(size), 1 / _MOST)) or 1 for size in sizes)
    cells = [divmod(number, columns) for number in range(columns * rows)][: _MOST + 1]
    cells *= len(cells) <= _MOST
    return [[(at, 0, x / columns), (at, 1, -((y + 1) / rows) % 1)] for y, x in cells]


_OF_KIND: dict[str, Callable[[bpy.types.Object, Target], Drawings]] = {  # by the kind of a target
    "SHOW": _objects,
    "LAYER": _layer,
    "DRAWING": _frames,
    "IMAGE": partial(_in_material, "TEX_IMAGE", _images),
    "CELL": partial(_in_material, "MAPPING", _cells),
}


def drawings_of(face: bpy.types.Object, target: Target) -> Drawings:
    """All that shows each drawing of a target; empty if it is not in the file."""
    return _OF_KIND[target.kind](face, target)


def things_of(face: bpy.types.Object) -> list[list[tuple[Target, int]]]:
    """What a head's object and those below it may show: the objects, the layers of each, and the
    drawings, images or cells of each layer or material, all in their order; each by its target and
    the number of the drawing."""
    things: dict[object, list[tuple[Target, int]]] = {}
    for obj in (face, *face.children_recursive):
        of = obj.name * (obj != face)
        layers = obj.data.layers.keys() if compat.is_drawing(obj) else ()
        materials = filter(None, (slot.material for slot in obj.material_slots))
        for target in (
            *(Target("SHOW", name) for name in filter(None, [of])),
            *(Target(kind, name, of) for name in layers for kind in ("LAYER", "DRAWING")),
            *(Target(kind, each.name) for each in materials for kind in mapping.IN_MATERIALS),
        ):
            key = target if target.kind in mapping.NUMBERED else (target.kind, target.object)
            numbers = drawings_of(face, target)
            things.setdefault(key, []).extend((target, number) for number in numbers)
    return list(things.values())
