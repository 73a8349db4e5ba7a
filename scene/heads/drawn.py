# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads of drawings: Grease Pencil, images, or objects of which one mouth is shown at a time.

Such a head has a number for its mouth, and one for its eyes, which keys change. Drivers show what
its mapping has for that number: their curves are the table, so that no script has to run.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache, partial
from itertools import chain

import bpy

from ...thunder_core.errors import BadHead
from ...thunder_core.face import drawn_mouths, mapping
from ...thunder_core.face.drawn_mouths import (
    CHARTS,
    Dial,
    DIALS,
    DrawnDriver,
    MOUTHS,
    NAMES,
    stand_in,
)
from ...thunder_core.face.mapping import Mapping, Rule, Target
from ..host import compat
from . import binding, family, rna_paths
from .build import add_input

_HIDE = ("hide", "hide_viewport", "hide_render")  # properties: of a layer, and of an object
COPY = "GENERATED"  # kind of frames that share the drawing of another (drawn_frames.py)
_MOST = 1000  # images of a sequence, and cells of a sheet, beyond which it is something else
_LEAST_NAMED = 3  # layers with several drawings whose names are taken as those of mouths


# What shows a drawing: a property of a data-block, by its path and index, at a value.
Place = tuple[bpy.types.ID, str, int, float]


def _layers(obj):
    """The layers of a Grease Pencil object by their names."""
    return obj.data.layers if obj is not None and compat.is_drawing(obj) else {}


def _drawings(face: bpy.types.Object, target: Target) -> dict[int, list[Place]]:
    """All that shows each drawing of a target of a head, by its number; empty if it is not in the
    file."""
    obj, escape = bpy.data.objects.get(target.object, face), bpy.utils.escape_identifier
    layer = _layers(obj).get(target.name)
    if target.kind == "DRAWING":
        path = f'modifiers["{escape(rna_paths.OWN_PREFIX + target.name)}"].offset'
        frames = layer.frames if layer is not None else ()
        numbers = [each.frame_number for each in frames if each.keyframe_type != COPY]
        return {number: [(obj, path, -1, number)] for number in numbers}
    if target.kind == "LAYER":
        path = f'layers["{escape(target.name)}"].hide'
        return {1: [(obj.data, path, -1, 0)]} if layer is not None else {}
    if target.kind == "SHOW":
        thing = bpy.data.objects.get(target.name)
        group = bpy.data.collections.get(target.name)
        members = [thing] if thing is not None else group.all_objects if group is not None else ()
        # what is below another head is that one's, whose copy this may be
        ours = [each for each in members if family.drawn_above(each) in (None, face)]
        places = [(each, path, -1, 0) for each in ours for path in _HIDE[1:]]
        return {1: places} if places else {}
    drawings: dict[int, list[Place]] = {}
    for node in _nodes(target):
        path = f'nodes["{escape(node.name)}"]'
        if target.kind == "IMAGE":
            count, path = node.image_user.frame_duration, f"{path}.image_user.frame_offset"
            digits = re.findall(r"\d+", os.path.basename(node.image.filepath))
            # frames of the sequence are over, so that its last image would be shown
            least = int(digits[-1] if digits else 1) - count
            values = [[(-1, least + number)] for number in range(min(count, _MOST))]
        else:
            path = f"{path}.inputs[1].default_value"
            sizes = node.inputs["Scale"].default_value[:2]
            columns, rows = (round(1 / max(abs(size), 1 / _MOST)) or 1 for size in sizes)
            cells = [divmod(number, columns) for number in range(columns * rows)]
            values = [[(0, x / columns), (1, -((y + 1) / rows) % 1)] for y, x in cells[: _MOST + 1]]
            values *= len(values) <= _MOST
        for number, at in enumerate(values, 1):
            drawings.setdefault(number, []).extend((node.id_data, path, *each) for each in at)
    return drawings


def _nodes(target: Target) -> list[bpy.types.Node]:
    """The nodes of a material that show an image of a sequence or a cell of a sheet."""
    material = bpy.data.materials.get(target.name)
    nodes = material.node_tree.nodes if material is not None and material.node_tree else ()
    if target.kind == "CELL":
        return [node for node in nodes if node.type == "MAPPING"]
    pictures = [node for node in nodes if node.type == "TEX_IMAGE" and node.image is not None]
    return [node for node in pictures if node.image.source == "SEQUENCE"]


# of a dial: itself, of each name that has drawings in the file these and what shows them, and of
# each name its number: one for all that show the same
_Use = tuple[Dial, dict[str, dict[tuple[Target, int], list[Place]]], dict[str, int]]


def _uses(face: bpy.types.Object, plan: Mapping) -> Iterator[_Use]:
    """The dials for which a mapping has drawings."""
    drawings = cache(partial(_drawings, face))
    for dial in DIALS:
        shown: dict[str, dict] = {name: {} for name in dial.names}
        for rule in plan.rules:
            number = round(rule.weight)
            if rule.source in shown and number in drawings(rule.target):
                shown[rule.source][rule.target, number] = drawings(rule.target)[number]
        shown = {name: of for name, of in shown.items() if of}
        first = {frozenset(shown[name]): dial.names.index(name) for name in reversed(shown)}
        if shown:
            same = {name: frozenset(shown[stand_in(name, shown)]) for name in dial.names}
            yield dial, shown, {name: first[of] for name, of in same.items()}


def bind(face: bpy.types.Object, plan: Mapping) -> binding.Binding:
    """What a head's mapping moves, and its objects. Raises BadHead if no mouth is left."""
    drawings, used = cache(partial(_drawings, face)), list(_uses(face, plan))
    if not used or used[0][0] != DIALS[0]:
        raise BadHead(
            f"“{face.name}” has lost all drawings of its mouth: choose them in Thunder Character"
        )
    tracks = [
        mapping.Track(
            0, rna_paths.slider_path(dial.label), 0, dial.label, float(numbers[dial.rest]), True
        )
        for dial, _, numbers in used
    ]
    rules = [rule for rule in plan.rules if rule.target.kind in mapping.DRAWN]
    others = tuple(rule for rule in plan.rules if rule not in rules)
    named = {rule.target.object for rule in plan.rules} | {rule.object for rule in plan.joints}
    blocks = [face, *face.children_recursive, *map(bpy.data.objects.get, sorted(named - {""}))]
    blocks += [block for rule in rules for block, *_ in chain(*drawings(rule.target).values())]
    objects = [each for each in dict.fromkeys(blocks) if isinstance(each, bpy.types.Object)]
    bound = binding.bind(replace(plan, rules=others), objects, (face,))
    driver = DrawnDriver(
        bound.driver, tracks, dict(chain(*(numbers.items() for *_, numbers in used))),
        dict(plan.leads), plan.least, plan.step,
        next((scene.frame_start for scene in face.users_scene), 1),
    )  # fmt: skip
    lost = [r for r in rules if r.source in NAMES and round(r.weight) not in drawings(r.target)]
    unbound_rules = (*bound.unbound_rules, *lost)
    return binding.Binding(plan, tuple(objects), bound.targets, driver, unbound_rules)


# ---- drivers


def wire(face: bpy.types.Object, plan: Mapping) -> None:
    """Let a head's numbers show what its mapping has for them; drivers of an earlier one go."""
    _unwire(face)
    for dial, shown, numbers in _uses(face, plan):
        names, curves = dial.names, dict[tuple, dict[int, float]]()
        for target in {target for of in shown.values() for target, _ in of}:
            _prepare(face, target)
        for number, name in enumerate(names):
            for block, path, index, value in chain(*shown[stand_in(name, shown)].values()):
                hidden = dict.fromkeys(range(len(names)), 1) if path.endswith(_HIDE) else {}
                curves.setdefault((block, path, index), hidden)[number] = value
        label, rest = rna_paths.OWN_PREFIX + dial.label, numbers[dial.rest]
        face[label] = face.get(label, rest)
        named = sorted({numbers[name]: name for name in reversed(shown)}.items())
        items = [(name, name, f"Shows “{name}”", 0, number) for number, name in named]
        about = "Drawing that is shown. It can be keyed"
        face.id_properties_ui(label).update(items=items, default=rest, description=about)
        face.property_overridable_library_set(rna_paths.property_path(label), True)
        face.update_tag()  # a driver that does not see the number yet would stop for good
        for place, values in curves.items():
            _drive(face, rna_paths.property_path(label), *place, values)


def _prepare(face: bpy.types.Object, target: Target) -> None:
    """Make a modifier that chooses drawings, or let a material show a single image."""
    if target.kind == "DRAWING":
        name = rna_paths.OWN_PREFIX + target.name
        compat.choose_drawings(bpy.data.objects.get(target.object, face), name, target.name)
    for node in _nodes(target) if target.kind == "IMAGE" else ():
        node.image_user.frame_start, node.image_user.use_cyclic = -10_000, False
        node.image_user.use_auto_refresh = True


def _drive(face, by: str, block, path: str, index: int, values: dict[int, float]) -> None:
    """Drive a property by a number, with a value for each that there is."""
    block.driver_remove(path, index)
    curve = block.driver_add(path, index)
    for modifier in list(curve.modifiers):  # Blender puts one there, or keys
        curve.modifiers.remove(modifier)
    curve.keyframe_points.clear()
    curve.driver.type = "SUM"
    add_input(curve.driver, "number", face, by)
    for number, value in sorted(values.items()):
        curve.keyframe_points.insert(number, value).interpolation = "CONSTANT"


def _unwire(face: bpy.types.Object) -> None:
    """Remove the drivers of a head's numbers; what they hid is shown."""
    trees = [material.node_tree for material in bpy.data.materials]
    data = {obj.data for obj in bpy.data.objects if compat.is_drawing(obj)}
    ours = {(face, rna_paths.slider_path(dial.label)) for dial in DIALS}
    for block in filter(None, (*bpy.data.objects, *data, *trees)):
        for curve in list(block.animation_data.drivers) if block.animation_data else ():
            path, variables = curve.data_path, curve.driver.variables
            if ours & {(each.id, each.data_path) for v in variables for each in v.targets}:
                block.animation_data.drivers.remove(curve)
                if path.endswith(_HIDE):
                    rna_paths.set_value(block, path, 0, False)


def choices_of_layers(face: bpy.types.Object, plan: Mapping) -> Iterator[tuple]:
    """Layers whose drawings are chosen: each target of the mapping, its object, the modifier that
    chooses, the curve from the head's number to the drawing's, and the path of that number."""
    for target in {rule.target for rule in plan.rules if rule.target.kind == "DRAWING"}:
        for [(obj, path, *_)] in list(_drawings(face, target).values())[:1]:
            modifier, curve = (
                obj.path_resolve(path.removesuffix(".offset")),
                rna_paths.drivers_of(obj)[path],
            )
            yield target, obj, modifier, curve, curve.driver.variables[0].targets[0].data_path


# ---- finding

Thing = tuple[Target, int]  # what may be shown, and the number of the drawing


def things_of(face: bpy.types.Object) -> list[list[Thing]]:
    """What a head's object and those below it may show: the objects, the layers of each, and the
    drawings, images or cells where there are several, all in their order."""
    things: dict[object, list[Thing]] = {}
    for obj in (face, *face.children_recursive):
        targets, of = [Target("SHOW", obj.name)] * (obj != face), obj.name * (obj != face)
        names = _layers(obj).keys()
        targets += [Target(kind, name, of) for name in names for kind in ("LAYER", "DRAWING")]
        materials = filter(None, (slot.material for slot in obj.material_slots))
        targets += [Target(kind, each.name) for each in materials for kind in mapping.IN_MATERIALS]
        for target in targets:
            numbers, is_one = _drawings(face, target), target.kind not in mapping.NUMBERED
            if is_one or len(numbers) > 1:
                key = (target.kind, target.object) if is_one else target
                things.setdefault(key, []).extend((target, number) for number in numbers)
    return list(things.values())


def by_names(face: bpy.types.Object) -> list[Rule]:
    """Rules for the sounds and looks that a head's drawings are named after."""
    named = {to.name: to for to, _ in chain(*things_of(face)) if to.kind not in mapping.NUMBERED}
    found = drawn_mouths.by_names(list(named))
    return [Rule(source, named[found[source]]) for source in NAMES if source in found]


def in_order(face: bpy.types.Object, chart: str = "", first: int = 1) -> list[Rule]:
    """Rules for a head's drawings in the order of a usual chart, the mouth of its first row being
    number `first` of them. What has most drawings is taken; chart: "" for that of so many."""
    sets = [each for each in things_of(face) if len(each) > 1]
    rows = max(sets, key=lambda of: (of[0][0].kind in mapping.NUMBERED, len(of)), default=[])
    charts = {len(sounds): name for name, sounds in CHARTS.items()}
    order = CHARTS[chart or charts.get(len(rows), "Twelve Sounds")]
    return [
        Rule(source, target, float(number))
        for (_, sounds), (target, number) in zip(order, rows[first - 1 :])
        for source in sounds
    ]


def found_rules(face: bpy.types.Object) -> list[Rule]:
    """Rules by names; the mouths in order if none has a name that is known. The name of a layer
    with several drawings is that of a single mouth only beside others."""
    rules = by_names(face)
    several = {(to.name, to.object) for to, _ in chain(*things_of(face)) if to.kind == "DRAWING"}
    mouths = {(r.target.name, r.target.object) for r in rules if r.source in MOUTHS}
    if len(mouths) >= _LEAST_NAMED or mouths - several:
        return rules
    return [*in_order(face), *(rule for rule in rules if rule.source not in MOUTHS)]


def tilt(plan: Mapping, of: str = "", bone: str = "") -> Mapping:
    """A mapping in which an object, by its name or the head's own, tilts to the side as the head of
    a take does, from where it stands; or a bone of it."""
    path, axis = (mapping.ROTATION, 2) if bone else (mapping.TILT, 1)
    tilts = Rule("neck.z", Target("BONE", "", of, bone, path, axis), 1.0 if bone else -1.0)
    others = (rule for rule in plan.rules if rule.target != tilts.target)
    return replace(plan, rules=(*others, tilts))


def adopt(scene, active, selected: Iterable[bpy.types.Object]) -> bpy.types.Object:
    """The object that is to be the head of drawings: one that has several, else what is above all
    selected ones, made where nothing is. Raises BadHead where nothing is drawn."""
    if active is not None and found_rules(active):
        return active
    tops = (obj for obj in selected if obj.parent is None or obj.parent not in selected)
    parts = [obj for obj in tops if family.MARK not in obj]
    if len(parts) < 2:
        raise BadHead(
            "Nothing here shows one of several mouths: select a Grease Pencil object, a plane with "
            "an image sequence or a sheet, or an object for each mouth"
        )
    above = {obj.parent for obj in parts}
    if len(above) == 1 and None not in above:
        return above.pop()
    face = bpy.data.objects.new("Drawn Head", None)
    face.location = parts[0].matrix_world.translation
    parts[0].users_collection[0].objects.link(face)
    for obj in parts:
        stays = obj.matrix_world @ obj.matrix_basis.inverted_safe()
        obj.parent, obj.matrix_parent_inverse = face, face.matrix_basis.inverted() @ stays
    return face
