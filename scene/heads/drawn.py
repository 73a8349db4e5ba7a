# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads of drawings: Grease Pencil, images, or objects of which one mouth is shown at a time.

Such a head has a number for its mouth, and one for its eyes, which keys change. Drivers show what
its mapping has for that number: their curves are the table, so that no script has to run.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import bpy

from ...thunder_core.errors import BadHead
from ...thunder_core.face import drawn_mouths, mapping
from ...thunder_core.face.drawn_mouths import CHARTS, EYES, MOUTHS, NAMES, stand_in
from ...thunder_core.face.mapping import Mapping, Rule, Target
from ...thunder_core.spoken import REST
from ..host import compat
from . import binding, head_state, rna_paths
from .build import add_input
from .family import DRAWN_MOUTH

DRAWN_EYES = rna_paths.OWN_PREFIX + "Eyes"
DIALS = ((DRAWN_MOUTH, "Mouth", MOUTHS, REST), (DRAWN_EYES, "Eyes", EYES, drawn_mouths.OPEN))
_LEAST_NAMED = 3  # layers with several drawings whose names are taken as those of mouths


class Place(NamedTuple):
    """What shows a drawing: a property of a data-block at a value; hidden: its value for others,
    None where another drawing replaces this one."""

    block: bpy.types.ID
    path: str
    index: int
    value: float
    hidden: float | None = None


def _nodes(material, kind: str) -> list:
    """The nodes of a material that show one of several images."""
    tree = material.node_tree if material is not None else None
    nodes = tree.nodes if tree is not None else ()
    if kind == "CELL":
        return [node for node in nodes if node.type == "MAPPING"]
    images = [node for node in nodes if node.type == "TEX_IMAGE" and node.image is not None]
    return [node for node in images if node.image.source == "SEQUENCE"]


def _sheet(node) -> tuple[int, int]:
    """Columns and rows of the sheet of which a mapping node shows one cell."""
    across, up = (max(abs(size), 1e-6) for size in node.inputs["Scale"].default_value[:2])
    return max(1, round(1 / across)), max(1, round(1 / up))


def _numbers_of(target: Target) -> list[int]:
    """The numbers of the drawings that a target has, none where it is not in the file."""
    if target.kind == "DRAWING":
        obj = bpy.data.objects.get(target.object)
        layer = _layers(obj).get(target.name)
        return compat.drawings_of(layer) if layer is not None else []
    nodes = _nodes(bpy.data.materials.get(target.name), target.kind)
    counts = (
        [node.image_user.frame_duration for node in nodes]
        if target.kind == "IMAGE"
        else [columns * rows for columns, rows in map(_sheet, nodes)]
    )
    return list(range(1, max(counts, default=0) + 1))


def _layers(obj) -> dict:
    """The layers of a Grease Pencil object by their names."""
    has_layers = obj is not None and compat.is_drawing(obj)
    return {layer.name: layer for layer in obj.data.layers} if has_layers else {}


def _places(rule: Rule) -> list[Place]:
    """All that shows a rule's drawing; empty if it is not in the file."""
    to, number = rule.target, round(rule.weight)
    obj, escape = bpy.data.objects.get(to.object), bpy.utils.escape_identifier
    if to.kind == "SHOW" and to.object:
        path = f'layers["{escape(to.name)}"].hide'
        return [Place(obj.data, path, -1, 0, 1)] if to.name in _layers(obj) else []
    if to.kind == "SHOW":
        thing, group = bpy.data.objects.get(to.name), bpy.data.collections.get(to.name)
        members = [thing] if thing is not None else group.all_objects if group is not None else ()
        hide = ("hide_viewport", "hide_render")
        return [Place(each, path, -1, 0, 1) for each in members for path in hide]
    if number not in _numbers_of(to):
        return []
    if to.kind == "DRAWING":
        path = f'modifiers["{escape(rna_paths.OWN_PREFIX + to.name)}"].offset'
        return [Place(obj, path, -1, number)]
    places, tree = [], bpy.data.materials[to.name].node_tree
    for node in _nodes(bpy.data.materials[to.name], to.kind):
        path = f'nodes["{escape(node.name)}"]'
        if to.kind == "IMAGE":  # the last one's frames are over, so it would be shown
            first = int((re.findall(r"\d+", os.path.basename(node.image.filepath)) or [1])[-1])
            at = first - 1 + number - node.image_user.frame_duration
            places.append(Place(tree, f"{path}.image_user.frame_offset", -1, at))
        else:
            columns, rows = _sheet(node)
            row, column = divmod(number - 1, columns)
            path = f"{path}.inputs[1].default_value"
            cell = column / columns, -((row + 1) / rows) % 1
            places += [Place(tree, path, axis, cell[axis]) for axis in (0, 1)]
    return places


Shown = dict[str, dict[Rule, list[Place]]]


def _shown(plan: Mapping, names: tuple[str, ...]) -> Shown:
    """The drawings of each of some names that has any in the file, and what shows them."""
    shown: Shown = {}
    for rule in plan.rules:
        if rule.source in names and rule.target.kind in mapping.DRAWN and (at := _places(rule)):
            shown.setdefault(rule.source, {})[rule] = at
    return {name: shown[name] for name in names if name in shown}


def _numbers(shown: Shown, names: tuple[str, ...]) -> dict[str, int]:
    """The number that shows each name: one for all that show the same."""
    first: dict[frozenset, int] = {}
    keys = {
        name: frozenset((rule.target, round(rule.weight)) for rule in of)
        for name, of in shown.items()
    }
    for name, key in keys.items():
        first.setdefault(key, names.index(name))
    return {name: first[keys[stand_in(name, keys)]] for name in names} if keys else {}


def bind(face: bpy.types.Object, plan: Mapping) -> binding.Binding:
    """What a head's mapping moves, and its objects. Raises BadHead if no mouth is left."""
    others = replace(plan, rules=tuple(r for r in plan.rules if r.target.kind not in mapping.DRAWN))
    shown = _shown(plan, NAMES)
    if not any(name in shown for name in MOUTHS):
        raise BadHead(
            f"“{face.name}” has lost all drawings of its mouth: choose them in Thunder Character"
        )
    names = {rule.target.object for rule in plan.rules} | {rule.object for rule in plan.joints}
    blocks = [place.block for of in shown.values() for at in of.values() for place in at]
    objects = [face, *face.children_recursive, *map(bpy.data.objects.get, sorted(names - {""}))]
    objects += [block for block in blocks if isinstance(block, bpy.types.Object)]
    objects = [*dict.fromkeys(filter(None, objects))]
    bound = binding.bind(others, objects, (face,))
    dials, numbers = [], dict[str, int]()
    for dial, group, of, rest in DIALS:
        if found := _numbers({name: shown[name] for name in of if name in shown}, of):
            numbers |= found
            path = rna_paths.property_path(dial)
            dials.append(mapping.Track(0, path, 0, group, float(found[rest]), True))
    origin = next((scene.frame_start for scene in face.users_scene), 1)
    driver = drawn_mouths.DrawnDriver(
        bound.driver, dials, numbers, dict(plan.leads), plan.least, plan.step, origin
    )
    known = {*others.rules, *(rule for of in shown.values() for rule in of)}
    lost = (rule for rule in plan.rules if rule.source in NAMES and rule not in known)
    unbound_rules = (*bound.unbound_rules, *lost)
    return binding.Binding(plan, tuple(objects), bound.targets, driver, unbound_rules)


# ---- drivers


def wire(face: bpy.types.Object, plan: Mapping) -> None:
    """Let a head's numbers show what its mapping has for them; drivers of an earlier one go."""
    _unwire(face)
    for dial, _, names, rest in DIALS:
        shown, curves = _shown(plan, names), dict[tuple, dict[int, float]]()
        if not shown:
            continue
        for rule in (rule for of in shown.values() for rule in of):
            _prepare(rule.target)
        for number, name in enumerate(names):
            for place in (p for at in shown[stand_in(name, shown)].values() for p in at):
                at = curves.setdefault((place.block, place.path, place.index), {})
                if place.hidden is not None:
                    at |= {other: place.hidden for other in range(len(names)) if other not in at}
                at[number] = place.value
        numbers = _numbers(shown, names)
        face[dial] = face.get(dial, numbers[rest])
        named = sorted({numbers[name]: name for name in reversed(list(shown))}.items())
        items = [(name, name, f"Shows “{name}”", 0, number) for number, name in named]
        about = "Drawing that is shown. It can be keyed"
        face.id_properties_ui(dial).update(items=items, default=numbers[rest], description=about)
        face.property_overridable_library_set(rna_paths.property_path(dial), True)
        face.update_tag()  # a driver that does not see the number yet would stop for good
        for (block, path, index), values in curves.items():
            _drive(face, dial, block, path, index, values)


def _prepare(target: Target) -> None:
    """Make a modifier that chooses drawings, or let a material show a single image."""
    if target.kind == "DRAWING":
        name = rna_paths.OWN_PREFIX + target.name
        compat.choose_drawings(bpy.data.objects[target.object], name, target.name)
    for node in _nodes(bpy.data.materials.get(target.name), "IMAGE") * (target.kind == "IMAGE"):
        node.image_user.frame_start, node.image_user.use_cyclic = -10_000, False
        node.image_user.use_auto_refresh = True


def _drive(face, dial: str, block, path: str, index: int, values: dict[int, float]) -> None:
    """Drive a property by a number, with a value for each that there is."""
    curve = block.driver_add(path) if index < 0 else block.driver_add(path, index)
    for modifier in list(curve.modifiers):
        curve.modifiers.remove(modifier)
    curve.driver.type = "SUM"
    add_input(curve.driver, "number", face, rna_paths.property_path(dial))
    for number, value in sorted(values.items()):
        curve.keyframe_points.insert(number, value).interpolation = "CONSTANT"


def _unwire(face: bpy.types.Object) -> None:
    """Remove the drivers of a head's numbers; what they hid is shown."""
    trees = [material.node_tree for material in bpy.data.materials]
    data = {obj.data for obj in bpy.data.objects if compat.is_drawing(obj)}
    paths = {rna_paths.property_path(dial) for dial, *_ in DIALS}
    for block in filter(None, (*bpy.data.objects, *data, *trees)):
        animation = block.animation_data if block.library is None else None
        for curve in list(animation.drivers) if animation is not None else ():
            read = [each for v in curve.driver.variables for each in v.targets if each.id == face]
            if not any(each.data_path in paths for each in read):
                continue
            path = curve.data_path
            animation.drivers.remove(curve)
            if path.endswith(("hide", "hide_viewport", "hide_render")):
                rna_paths.set_value(block, path, 0, False)


# ---- finding


def things_of(face: bpy.types.Object) -> list[tuple[Target, int]]:
    """What a head's object and those below it may show, in order: each target by its name, and by
    the numbers of its drawings if it has several."""
    things: list[tuple[Target, int]] = []
    for obj in (face, *face.children_recursive):
        targets = [Target("SHOW", obj.name)] * (obj is not face)
        for name in _layers(obj):
            targets += [Target(kind, name, obj.name) for kind in ("SHOW", "DRAWING")]
        for material in filter(None, (slot.material for slot in obj.material_slots)):
            targets += [Target(kind, material.name) for kind in ("IMAGE", "CELL")]
        for target in targets:
            numbers = [1] if target.kind == "SHOW" else _numbers_of(target)
            if target.kind == "SHOW" or len(numbers) > 1:
                things += [(target, number) for number in numbers]
    return things


def by_names(face: bpy.types.Object) -> list[Rule]:
    """Rules for the sounds and looks that a head's drawings are named after."""
    named = {target.name: target for target, _ in things_of(face) if target.kind == "SHOW"}
    found = drawn_mouths.by_names(list(named))
    return [Rule(source, named[found[source]]) for source in NAMES if source in found]


def in_order(face: bpy.types.Object, chart: str = "", first: int = 1) -> list[Rule]:
    """Rules for a head's drawings in the order of a usual chart, the mouth of its first row being
    number `first` of them. What has most drawings is taken; chart: "" for that of so many."""
    sets: dict[object, list[tuple[Target, int]]] = {}
    for target, number in things_of(face):
        key = target.object if target.kind == "SHOW" else target
        sets.setdefault(key, []).append((target, number))
    rows = max(sets.values(), key=lambda of: (of[0][0].kind != "SHOW", len(of)), default=[])
    charts = {len(sounds): name for name, sounds in CHARTS.items()}
    order = CHARTS[chart or charts.get(len(rows), "Twelve Sounds")]
    return [
        Rule(source, target, float(number))
        for (_, sounds), (target, number) in zip(order, rows[first - 1 :] if len(rows) > 1 else ())
        for source in sounds
    ]


def found_rules(face: bpy.types.Object) -> list[Rule]:
    """Rules by names; the mouths in order if none has a name that is known. The name of a layer
    with several drawings is that of a single mouth only beside others."""
    rules, things = by_names(face), things_of(face)
    several = {(to.name, to.object) for to, _ in things if to.kind != "SHOW"}
    mouths = {(r.target.name, r.target.object) for r in rules if r.source in MOUTHS}
    if len(mouths) >= _LEAST_NAMED or mouths - several:
        return rules
    return [*in_order(face), *(rule for rule in rules if rule.source in EYES)]


def labels_of(face: bpy.types.Object) -> dict[str, str]:
    """What an animator calls the mouths of a head: the names of what is shown, and of sounds where
    that has only a number."""
    rules = reversed(Mapping.from_json(head_state.mapping(face)).rules)
    return {rule.source: rule.target.name for rule in rules if rule.target.kind == "SHOW"}


def tilt(plan: Mapping, obj: bpy.types.Object) -> Mapping:
    """A mapping in which an object tilts to the side as the head of a take does."""
    to = Target("BONE", "", obj.name, "", mapping.EULER, 1)
    rest = Rule(mapping.DEFAULT, to, obj.rotation_euler[1])
    others = (rule for rule in plan.rules if rule.target != to)
    return replace(plan, rules=(*others, Rule("neck.z", to, -1.0), rest))


def adopt(scene, active, selected: Iterable[bpy.types.Object]) -> bpy.types.Object:
    """The object that is to be the head of drawings: one that has several, else what is above all
    selected ones, made where nothing is. Raises BadHead where nothing is drawn."""
    if active is not None and found_rules(active):
        return active
    parts = [obj for obj in selected if obj.parent is None or obj.parent not in selected]
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
        place = obj.matrix_world.copy()
        obj.parent = face
        obj.matrix_parent_inverse = face.matrix_basis.inverted()
        obj.matrix_world = place
    return face
