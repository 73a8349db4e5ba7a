# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads of drawings: Grease Pencil, images, or objects of which one mouth is shown at a time.

Such a head has a number for its mouth, and one for its eyes, which keys change. Drivers show what
its mapping has for that number: their curves are the table, so that no script has to run.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import chain

import bpy

from ...thunder_core.errors import BadHead
from ...thunder_core.face import drawn_mouths, mapping
from ...thunder_core.face.drawn_mouths import CHARTS, EYES, MOUTHS, NAMES, stand_in
from ...thunder_core.face.mapping import Mapping, Rule, Target
from ...thunder_core.spoken import REST
from ..host import compat
from . import binding, family, head_state, rna_paths
from .build import add_input
from .family import DRAWN_MOUTH

DRAWN_EYES = rna_paths.OWN_PREFIX + "Eyes"
DIALS = ((DRAWN_MOUTH, "Mouth", MOUTHS, REST), (DRAWN_EYES, "Eyes", EYES, drawn_mouths.OPEN))
_HIDE = ("hide", "hide_viewport", "hide_render")  # properties: of a layer, and of an object
_MOST = 1000  # images of a sequence, and cells of a sheet, beyond which it is something else
_LEAST_NAMED = 3  # layers with several drawings whose names are taken as those of mouths


# What shows a drawing: a property of a data-block, by its path and index, at a value.
Place = tuple[bpy.types.ID, str, int, float]


def _layers(obj) -> dict:
    """The layers of a Grease Pencil object by their names."""
    has_layers = obj is not None and compat.is_drawing(obj)
    return {layer.name: layer for layer in obj.data.layers} if has_layers else {}


def _drawings(target: Target) -> dict[int, list[Place]]:
    """All that shows each drawing of a target, by its number; empty if it is not in the file."""
    obj, escape = bpy.data.objects.get(target.object), bpy.utils.escape_identifier
    layer = _layers(obj).get(target.name)
    if target.kind == "DRAWING":
        path = f'modifiers["{escape(rna_paths.OWN_PREFIX + target.name)}"].offset'
        frames = compat.drawings_of(layer) if layer is not None else ()
        return {frame: [(obj, path, -1, frame)] for frame in frames}
    if target.kind == "SHOW" and target.object:
        path = f'layers["{escape(target.name)}"].hide'
        return {1: [(obj.data, path, -1, 0)]} if layer is not None else {}
    if target.kind == "SHOW":
        thing = bpy.data.objects.get(target.name)
        group = bpy.data.collections.get(target.name)
        members = [thing] if thing is not None else group.all_objects if group is not None else ()
        places = [(each, path, -1, 0) for each in members for path in _HIDE[1:]]
        return {1: places} if places else {}
    drawings: dict[int, list[Place]] = {}
    for tree, node in _nodes(target):
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
            is_sheet = columns * rows <= _MOST
            cells = [divmod(number, columns) for number in range(columns * rows * is_sheet)]
            values = [[(0, x / columns), (1, -((y + 1) / rows) % 1)] for y, x in cells]
        for number, at in enumerate(values, 1):
            drawings.setdefault(number, []).extend((tree, path, *each) for each in at)
    return drawings


def _nodes(target: Target) -> Iterator[tuple[bpy.types.NodeTree, bpy.types.Node]]:
    """The nodes of a material that show an image of a sequence or a cell of a sheet, and where they
    are."""
    material = bpy.data.materials.get(target.name)
    tree = material.node_tree if material is not None else None
    for node in tree.nodes if tree is not None else ():
        image = node.image if node.type == "TEX_IMAGE" else None
        is_sequence = image is not None and image.source == "SEQUENCE"
        if node.type == "MAPPING" if target.kind == "CELL" else is_sequence:
            yield tree, node


# of each sound or look its drawings, and what shows them
Shown = dict[str, dict[tuple[Target, int], list[Place]]]


def _shown(plan: Mapping, names: tuple[str, ...]) -> Shown:
    """The drawings of each of some names that has any in the file."""
    shown: Shown = {}
    drawings = cache(_drawings)
    for name in names:
        for rule in plan.rules:
            key = rule.target, round(rule.weight)
            if rule.source == name and (places := drawings(rule.target).get(key[1])):
                shown.setdefault(name, {})[key] = places
    return shown


def _numbers(shown: Shown, names: tuple[str, ...]) -> dict[str, int]:
    """The number that shows each name: one for all that show the same."""
    first: dict[frozenset, int] = {}
    for name, of in shown.items():
        first.setdefault(frozenset(of), names.index(name))
    return {name: first[frozenset(shown[stand_in(name, shown)])] for name in names if shown}


def _on(face: bpy.types.Object, plan: Mapping) -> Mapping:
    """A mapping that names another head of drawings, since its face is a copy of that or has the
    preset of it: with the face in the place of that."""

    def on_face(target: Target) -> Target:
        named = bpy.data.objects.get(target.object)
        is_other = named is not None and named != face and family.is_drawn(named)
        return replace(target, object=face.name) if is_other else target

    return replace(plan, rules=tuple(replace(r, target=on_face(r.target)) for r in plan.rules))


def bind(face: bpy.types.Object, plan: Mapping) -> binding.Binding:
    """What a head's mapping moves, and its objects. Raises BadHead if no mouth is left."""
    plan = _on(face, plan)
    others = tuple(rule for rule in plan.rules if rule.target.kind not in mapping.DRAWN)
    dials, numbers, seen, found = [], dict[str, int](), set(), dict[tuple, list[Place]]()
    for dial, group, names, rest in DIALS:
        shown = _shown(plan, names)
        if not shown and dial == DRAWN_MOUTH:
            raise BadHead(
                f"“{face.name}” has lost all drawings of its mouth: choose them in Thunder "
                f"Character"
            )
        if shown:
            numbers |= _numbers(shown, names)
            path = rna_paths.property_path(dial)
            dials.append(mapping.Track(0, path, 0, group, float(numbers[rest]), True))
        seen |= {(name, *key) for name, of in shown.items() for key in of}
        found |= {key: places for of in shown.values() for key, places in of.items()}
    targets = {rule.target.object for rule in plan.rules} | {rule.object for rule in plan.joints}
    objects = [face, *face.children_recursive, *map(bpy.data.objects.get, sorted(targets - {""}))]
    objects += [block for places in found.values() for block, *_ in places]
    objects = [each for each in dict.fromkeys(objects) if isinstance(each, bpy.types.Object)]
    bound = binding.bind(replace(plan, rules=others), objects, (face,))
    origin = next((scene.frame_start for scene in face.users_scene), 1)
    driver = drawn_mouths.DrawnDriver(
        bound.driver, dials, numbers, dict(plan.leads), plan.least, plan.step, origin
    )
    lost = [
        rule
        for rule in plan.rules
        if rule.target.kind in mapping.DRAWN
        and rule.source in NAMES
        and (rule.source, rule.target, round(rule.weight)) not in seen
    ]
    unbound_rules = (*bound.unbound_rules, *lost)
    return binding.Binding(plan, tuple(objects), bound.targets, driver, unbound_rules)


# ---- drivers


def wire(face: bpy.types.Object, plan: Mapping) -> None:
    """Let a head's numbers show what its mapping has for them; drivers of an earlier one go."""
    _unwire(face)
    plan = _on(face, plan)
    for dial, _, names, rest in DIALS:
        shown, curves = _shown(plan, names), dict[tuple, dict[int, float]]()
        if not shown:
            continue
        for target in {target for of in shown.values() for target, _ in of}:
            _prepare(target)
        for number, name in enumerate(names):
            for block, path, index, value in chain(*shown[stand_in(name, shown)].values()):
                hidden = dict.fromkeys(range(len(names)), 1) if path.endswith(_HIDE) else {}
                curves.setdefault((block, path, index), hidden)[number] = value
        numbers = _numbers(shown, names)
        face[dial] = face.get(dial, numbers[rest])
        named = sorted({numbers[name]: name for name in reversed(list(shown))}.items())
        items = [(name, name, f"Shows “{name}”", 0, number) for number, name in named]
        about = "Drawing that is shown. It can be keyed"
        face.id_properties_ui(dial).update(items=items, default=numbers[rest], description=about)
        face.property_overridable_library_set(rna_paths.property_path(dial), True)
        face.update_tag()  # a driver that does not see the number yet would stop for good
        for place, values in curves.items():
            _drive(face, dial, *place, values)


def _prepare(target: Target) -> None:
    """Make a modifier that chooses drawings, or let a material show a single image."""
    if target.kind == "DRAWING":
        name = rna_paths.OWN_PREFIX + target.name
        compat.choose_drawings(bpy.data.objects[target.object], name, target.name)
    for _, node in _nodes(target) if target.kind == "IMAGE" else ():
        node.image_user.frame_start, node.image_user.use_cyclic = -10_000, False
        node.image_user.use_auto_refresh = True


def _drive(face, dial: str, block, path: str, index: int, values: dict[int, float]) -> None:
    """Drive a property by a number, with a value for each that there is."""
    curve = block.driver_add(path, index)
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
    ours = {(face, rna_paths.property_path(dial)) for dial, *_ in DIALS}
    for block in filter(None, (*bpy.data.objects, *data, *trees)):
        animation = block.animation_data if block.library is None else None
        for curve in list(animation.drivers) if animation is not None else ():
            path, variables = curve.data_path, curve.driver.variables
            if ours & {(each.id, each.data_path) for v in variables for each in v.targets}:
                animation.drivers.remove(curve)
                if path.endswith(_HIDE):
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
            numbers = _drawings(target)
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
        stays = obj.matrix_world @ obj.matrix_basis.inverted_safe()
        obj.parent, obj.matrix_parent_inverse = face, face.matrix_basis.inverted() @ stays
    return face
