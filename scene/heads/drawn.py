# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads of drawings: Grease Pencil, images, or objects of which one mouth is shown at a time.

Such a head has a number for its mouth, and one for its eyes, which keys change. Drivers show what
its mapping has for that number: their curves are the table, so that no script has to run.
"""

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
_LEAST_NAMED = 3  # drawings whose names are known, from which on all go by their names


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


def _places(rule: Rule) -> list[Place]:
    """All that shows a rule's drawing; empty if it is not in the file."""
    to, number = rule.target, round(rule.weight)
    obj, escape = bpy.data.objects.get(to.object), bpy.utils.escape_identifier
    if to.kind == "SHOW" and obj is not None:
        is_there = to.name in getattr(obj.data, "layers", ())
        return [Place(obj.data, f'layers["{escape(to.name)}"].hide', -1, 0, 1)] * is_there
    if to.kind == "SHOW":
        thing, group = bpy.data.objects.get(to.name), bpy.data.collections.get(to.name)
        members = [thing] if thing is not None else group.all_objects if group is not None else ()
        hide = ("hide_viewport", "hide_render")
        return [Place(each, path, -1, 0, 1) for each in members for path in hide]
    if to.kind == "DRAWING":
        path = f'modifiers["{escape(rna_paths.OWN_PREFIX + to.name)}"].offset'
        return [Place(obj, path, -1, number)] if obj is not None and compat.is_drawing(obj) else []
    places, material = [], bpy.data.materials.get(to.name)
    for node in _nodes(material, to.kind):
        path = f'nodes["{escape(node.name)}"]'
        if to.kind == "IMAGE":
            places.append(
                Place(material.node_tree, f"{path}.image_user.frame_offset", -1, number - 1)
            )
        else:
            columns, rows = _sheet(node)
            at = ((number - 1) % columns / columns, -(((number - 1) // columns + 1) / rows) % 1)
            path = f"{path}.inputs[1].default_value"
            places += [Place(material.node_tree, path, axis, at[axis]) for axis in (0, 1)]
    return places


def _shown(plan: Mapping, names: tuple[str, ...]) -> dict[str, list[Rule]]:
    """The drawings of each of some names that has any."""
    rules = [rule for rule in plan.rules if rule.target.kind in mapping.DRAWN]
    shown = {name: [rule for rule in rules if rule.source == name] for name in names}
    return {name: of for name, of in shown.items() if of}


def _numbers(shown: dict[str, list[Rule]], names: tuple[str, ...]) -> dict[str, int]:
    """The number that shows each name: one for all that show the same."""
    keys = {
        name: frozenset((rule.target, round(rule.weight)) for rule in of)
        for name, of in shown.items()
    }
    first: dict[frozenset, int] = {}
    for name in keys:
        first.setdefault(keys[name], names.index(name))
    return {name: first[keys[stand_in(name, keys)]] for name in names} if keys else {}


def bind(face: bpy.types.Object, plan: Mapping) -> binding.Binding:
    """What a head's mapping moves, and its objects. Raises BadHead if no mouth is left."""
    others = replace(plan, rules=tuple(r for r in plan.rules if r.target.kind not in mapping.DRAWN))
    names = {rule.target.object for rule in plan.rules} | {rule.object for rule in plan.joints}
    rules = [rule for name in NAMES for rule in _shown(plan, (name,)).get(name, ())]
    blocks = [place.block for rule in rules for place in _places(rule)]
    objects = [face, *face.children_recursive, *map(bpy.data.objects.get, sorted(names - {""}))]
    objects += [block for block in blocks if isinstance(block, bpy.types.Object)]
    objects = [*dict.fromkeys(filter(None, objects))]
    if not any(_places(rule) for rule in rules if rule.source in MOUTHS):
        raise BadHead(
            f"“{face.name}” has lost all drawings of its mouth: choose them in Thunder Character"
        )
    bound = binding.bind(others, objects, (face,))
    dials, numbers = [], dict[str, int]()
    for dial, group, of, rest in DIALS:
        if found := _numbers(_shown(plan, of), of):
            numbers |= found
            path = rna_paths.property_path(dial)
            dials.append(mapping.Track(0, path, 0, group, float(found[rest]), True))
    origin = next((scene.frame_start for scene in face.users_scene), 1)
    driver = drawn_mouths.DrawnDriver(
        bound.driver, dials, numbers, dict(plan.leads), plan.least, plan.step, origin
    )
    lost = tuple(rule for rule in rules if not _places(rule))
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
            _prepare(rule)
        for number, name in enumerate(names):
            for place in (p for rule in shown[stand_in(name, shown)] for p in _places(rule)):
                at = curves.setdefault((place.block, place.path, place.index), {})
                if place.hidden is not None:
                    at |= {other: place.hidden for other in range(len(names)) if other not in at}
                at[number] = place.value
        numbers = _numbers(shown, names)
        face[dial] = face.get(dial, numbers[rest])
        items = [(n, n, f"Shows “{n}”", 0, number) for number, n in _names_of(numbers, shown)]
        about = "Drawing that is shown. It can be keyed"
        face.id_properties_ui(dial).update(items=items, default=numbers[rest], description=about)
        face.property_overridable_library_set(rna_paths.property_path(dial), True)
        face.update_tag()  # a driver that does not see the number yet would stop for good
        for (block, path, index), values in curves.items():
            _drive(face, dial, block, path, index, values)


def _names_of(numbers: dict[str, int], shown: dict) -> list[tuple[int, str]]:
    """Each number that there is, and its name."""
    return sorted({numbers[name]: name for name in reversed(list(shown))}.items())


def _prepare(rule: Rule) -> None:
    """Make a modifier that chooses drawings, or let a material show a single image."""
    to = rule.target
    obj = bpy.data.objects.get(to.object)
    if to.kind == "DRAWING" and obj is not None and compat.is_drawing(obj):
        compat.choose_drawings(obj, rna_paths.OWN_PREFIX + to.name, to.name)
    for node in _nodes(bpy.data.materials.get(to.name), "IMAGE") if to.kind == "IMAGE" else ():
        user = node.image_user
        user.frame_start, user.frame_duration, user.use_auto_refresh = -10_000, 1, True


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


class Thing(NamedTuple):
    """Something that can be shown for a sound.  number: of a drawing, 0 for what has a name."""

    name: str
    target: Target
    number: int = 0


def things_of(face: bpy.types.Object) -> list[Thing]:
    """What a head's object and those below it may show, in order."""
    things = []
    for obj in (face, *face.children_recursive):
        if obj is not face:
            things.append(Thing(obj.name, Target("SHOW", obj.name)))
        for layer in obj.data.layers if compat.is_drawing(obj) else ():
            things.append(Thing(layer.name, Target("SHOW", layer.name, obj.name)))
            to = Target("DRAWING", layer.name, obj.name)
            things += [Thing("", to, frame) for frame in compat.drawings_of(layer)]
        for material in filter(None, (slot.material for slot in obj.material_slots)):
            counts = {
                "IMAGE": [node.image_user.frame_duration for node in _nodes(material, "IMAGE")]
            }
            sheets = [columns * rows for columns, rows in map(_sheet, _nodes(material, "CELL"))]
            for kind, count in (counts | {"CELL": [n for n in sheets if n > 1]}).items():
                to = Target(kind, material.name)
                things += [Thing("", to, n + 1) for n in range(max(count, default=0))]
    return things


def by_names(face: bpy.types.Object) -> list[Rule]:
    """Rules for the sounds and looks that a head's drawings are named after."""
    named = {thing.name: thing.target for thing in things_of(face) if thing.name}
    found = drawn_mouths.by_names(list(named))
    return [Rule(source, named[found[source]]) for source in NAMES if source in found]


def in_order(face: bpy.types.Object, chart: str, first: int) -> list[Rule]:
    """Rules for a head's drawings in the order of a usual chart, the mouth of its first row being
    number `first` of them. What has most drawings is taken."""
    rows = _largest_set(face)[first - 1 :]
    return [
        Rule(source, thing.target, float(thing.number or 1))
        for (_, sounds), thing in zip(CHARTS[chart], rows)
        for source in sounds
    ]


def _largest_set(face: bpy.types.Object) -> list[Thing]:
    """The drawings of what has most of them."""
    of: dict[object, list[Thing]] = {}
    for thing in things_of(face):
        key = thing.target if thing.number else (thing.target.kind, thing.target.object)
        of.setdefault(key, []).append(thing)
    numbered = [each for each in of.values() if each[0].number]
    return max(numbered or list(of.values()), key=len, default=[])


def found_rules(face: bpy.types.Object) -> list[Rule]:
    """Rules by names, where there are some that are known, else in order."""
    rules = by_names(face)
    mouths = {rule.target for rule in rules if rule.source in MOUTHS}
    if len(mouths) >= _LEAST_NAMED:
        return rules
    looks = [rule for rule in rules if rule.source in EYES]
    charts = {len(rows): chart for chart, rows in CHARTS.items()}
    return [*in_order(face, charts.get(len(_largest_set(face)), "Twelve Sounds"), 1), *looks]


def labels_of(face: bpy.types.Object) -> dict[str, str]:
    """What an animator calls the mouths of a head: the names of what is shown, and of sounds where
    that has only a number."""
    shown = _shown(Mapping.from_json(head_state.mapping(face)), MOUTHS)
    return {name: of[0].target.name for name, of in shown.items() if of[0].target.kind == "SHOW"}


def tilt(plan: Mapping, obj: bpy.types.Object) -> Mapping:
    """A mapping in which an object tilts to the side as the head of a take does."""
    to = Target("BONE", "", obj.name, "", mapping.EULER, 1)
    rest = Rule(mapping.DEFAULT, to, obj.rotation_euler[1])
    others = (rule for rule in plan.rules if rule.target != to)
    return replace(plan, rules=(*others, Rule("neck.z", to, -1.0), rest))


def adopt(scene, active, selected: Iterable[bpy.types.Object]) -> bpy.types.Object:
    """The object that is to be the head of drawings: one that has several, else what is above all
    selected ones, made where nothing is. Raises BadHead where nothing is drawn."""
    if active is not None and (found_rules(active) or any(t.number for t in things_of(active))):
        return active
    parts = [obj for obj in selected if obj.parent is None or obj.parent not in selected]
    above = {obj.parent for obj in parts}
    if len(parts) < 2:
        raise BadHead(
            "Nothing here shows one of several mouths: select a Grease Pencil object, a plane with "
            "an image sequence or a sheet, or an object for each mouth"
        )
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
