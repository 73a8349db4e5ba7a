# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads of drawings: Grease Pencil, images, or objects of which one mouth is shown at a time.

Such a head has a number for its mouth, and one for its eyes, which keys change. Drivers show what
its mapping has for that number: their curves are the table, so that no script has to run.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from functools import cache, partial
from itertools import chain
from typing import TYPE_CHECKING

import bpy
import numpy as np

from ...thunder_core.errors import BadHead
from ...thunder_core.face import mapping
from ...thunder_core.face.drawn_mouths import (
    CLOSED,
    EYES,
    HALF,
    MOUTHS,
    NAMES,
    OPEN,
    SHUT,
    stand_in,
    UNUSED,
)
from ...thunder_core.face.mapping import Mapping, Rule, Target
from ...thunder_core.face.moving import driving
from ...thunder_core.face.moving.drawings import Dial, DIALS, DrawnDriver
from ...thunder_core.face.reading import drawing_names
from ...thunder_core.face.reading.drawing_names import CHARTS
from ...thunder_core.shipped import DRAWING
from ...thunder_core.spoken import REST
from ..host import compat
from . import binding, family, rna_paths
from .build import add_input

if TYPE_CHECKING:
    from ..host.compat import Animated


_HIDE = ("hide", "hide_viewport", "hide_render")  # properties: of a layer, and of an object
COPY = "GENERATED"  # kind of frames that share the drawing of another (drawn_frames.py)
_IN_DATA = ("LAYER", *mapping.IN_MATERIALS)  # kinds that are chosen in data, which may be shared
_LINE = (0.03, 0.02, 0.03, 1.0)  # of the sample drawing, linear RGBA
_PEN = 0.0011  # half of the width of its lines, metres
_MOST = 1000  # images of a sequence, and cells of a sheet, beyond which it is something else

# What shows a drawing: a property of a data-block, by its path and index, at a value.
Place = tuple[bpy.types.ID, str, int, float]
Drawings = dict[int, list[Place]]  # by their numbers

# ---- what may be shown: all that shows each drawing of a target; empty if it is not in the file


def _objects(face: bpy.types.Object, target: Target) -> Drawings:
    thing, group = bpy.data.objects.get(target.name), bpy.data.collections.get(target.name)
    members = [thing] if thing is not None else group.all_objects if group is not None else ()
    # what is below another head is that one's, whose copy this may be
    ours = [each for each in members if family.drawn_above(each) in (None, face)]
    return {1: [(each, path, -1, 0) for each in ours for path in _HIDE[1:]]} if ours else {}


def layers_of(face: bpy.types.Object, target: Target) -> list[tuple]:
    """The Grease Pencil object of a target, its layer, and the path, from the object, of the number
    of the drawing that is shown; [] if it is not in the file."""
    obj, name = bpy.data.objects.get(target.object, face), rna_paths.OWN_PREFIX + target.name
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
    result, material = defaultdict(list), bpy.data.materials.get(target.name)
    nodes = material.node_tree.nodes if material is not None and material.node_tree else ()
    for node in (each for each in nodes if each.type == kind):
        path = f'nodes["{bpy.utils.escape_identifier(node.name)}"]'
        for number, places in enumerate(places_of(node, path), 1):
            result[number] += [(node.id_data, *place) for place in places]
    return result


def _images(node: bpy.types.ShaderNodeTexImage, path: str) -> list[list[tuple]]:
    """An image of a sequence each."""
    is_sequence = node.image is not None and node.image.source == "SEQUENCE"
    count = node.image_user.frame_duration if is_sequence else 0
    digits = re.findall(r"\d+", os.path.basename(node.image.filepath)) if is_sequence else []
    # frames of the sequence are over, so that its last image would be shown
    least = int(digits[-1] if digits else 1) - count
    at = f"{path}.image_user.frame_offset"
    return [[(at, -1, least + number)] for number in range(min(count, _MOST))]


def _cells(node: bpy.types.ShaderNodeMapping, path: str) -> list[list[tuple]]:
    """A cell of a sheet each. Raises BadHead for a size that is none."""
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


_DRAWINGS = {  # by the kind of a target
    "SHOW": _objects,
    "LAYER": _layer,
    "DRAWING": _frames,
    "IMAGE": partial(_in_material, "TEX_IMAGE", _images),
    "CELL": partial(_in_material, "MAPPING", _cells),
}


# ---- binding


def _places(face: bpy.types.Object, plan: Mapping) -> dict[Rule, list[Place]]:
    """What shows the drawing of each rule of a mapping; [] if it is not in the file."""
    drawings = cache(lambda to: _DRAWINGS[to.kind](face, to))
    return {rule: drawings(rule.target).get(round(rule.weight), []) for rule in plan.drawn}


def _uses(
    places: dict[Rule, list[Place]],
) -> Iterator[tuple[Dial, dict[str, tuple[Place, ...]], dict[str, int]]]:
    """The dials for which there are drawings: each itself, what shows each name that has some, and
    of each name its number, one for all that show the same."""
    for dial in DIALS:
        shown = {
            name: tuple(chain(*(at for rule, at in places.items() if rule.source == name)))
            for name in dial.names
        }
        shown = {name: at for name, at in shown.items() if at}
        if shown and {HALF, SHUT}.issuperset(shown):  # lids over eyes that are always there
            shown[OPEN] = ()
        first = {at: dial.names.index(name) for name, at in reversed(shown.items())}
        if shown:
            same = {name: shown[stand_in(name, shown)] for name in dial.names}
            yield dial, shown, {name: first[at] for name, at in same.items()}


def bind(face: bpy.types.Object, plan: Mapping) -> binding.Binding:
    """What a head's mapping moves, and its objects. Raises BadHead if no mouth is left, or the
    number of its mouth."""
    places = _places(face, plan)
    used = list(_uses(places))
    if not used or used[0][0] != DIALS[0]:
        raise BadHead(
            f"“{face.name}” has lost all drawings of its mouth: choose them in Thunder Character"
        )
    for dial, *_ in used:
        property = rna_paths.OWN_PREFIX + dial.label
        if not isinstance(face.get(property), (int, float)):
            raise BadHead(
                f"“{face.name}” has lost its property “{property}”, the number of what it shows: "
                f"press Add Drawn Mouth again"
            )
    tracks = [
        driving.Track(
            0, rna_paths.slider_path(dial.label), 0, dial.label, float(numbers[dial.rest]), True
        )
        for dial, _, numbers in used
    ]
    named = {rule.target.object for rule in plan.rules} | {rule.object for rule in plan.joints}
    blocks = [face, *face.children_recursive, *map(bpy.data.objects.get, sorted(named - {""}))]
    blocks += [block for block, *_ in chain(*places.values())]
    objects = [each for each in dict.fromkeys(blocks) if isinstance(each, bpy.types.Object)]
    others = tuple(rule for rule in plan.rules if rule not in plan.drawn)
    bound = binding.bind(replace(plan, rules=others), objects, (face,))
    driver = DrawnDriver(
        bound.driver, tracks, dict(chain(*(numbers.items() for *_, numbers in used))),
        dict(plan.leads), plan.least, plan.step,
        next((scene.frame_start for scene in face.users_scene), 1),
    )  # fmt: skip
    lost = (rule for rule, at in places.items() if not at and rule.source != UNUSED)
    return binding.Binding(
        plan, tuple(objects), bound.targets, driver, (*bound.unbound_rules, *lost)
    )


def faults_of(face: bpy.types.Object, plan: Mapping) -> list[str]:
    """Sentences on a head of drawings that has none for closed lips, or whose images are missing;
    "" for nothing wrong."""
    shut = {CLOSED, REST} & {rule.source for rule, at in _places(face, plan).items() if at}
    slots = chain(*(obj.material_slots for obj in (face, *face.children_recursive)))
    trees = filter(None, (getattr(slot.material, "node_tree", None) for slot in slots))
    images = filter(None, (getattr(node, "image", None) for tree in trees for node in tree.nodes))
    lost = [
        f"The file of the image “{image.name}” is missing, so that its drawings are not seen: use "
        f"File > External Data > Find Missing Files"
        for image in images
        if image.source in ("FILE", "SEQUENCE") and image.filepath and image.packed_file is None
        if not os.path.isfile(bpy.path.abspath(image.filepath, library=image.library))
    ]
    is_open = (
        f"“{face.name}” has no closed mouth, so its lips do not meet on m, b and p: choose a "
        f"drawing for {CLOSED} in Thunder Character"
    )
    return [is_open * (not shut), *_say_twice(face, plan), *_say_shared(face, plan), *lost[:1]]


def _say_twice(face: bpy.types.Object, plan: Mapping) -> list[str]:
    """A sentence on a drawing that is chosen for a mouth and for eyes, of which one hides it."""
    places = _places(face, plan)
    mouths = {rule.target: rule.source for rule in places if rule.source in MOUTHS}
    for rule, at in places.items():
        if at and rule.source in EYES and rule.target.kind in ("SHOW", "LAYER"):
            if rule.target in mouths:
                return [
                    f"“{rule.target.name}” is chosen for {mouths[rule.target]} and for "
                    f"{rule.source}, so that frames are without a mouth: choose another for one of "
                    f"them in Thunder Character"
                ]
    return []


def _shared(face: bpy.types.Object, plan: Mapping) -> list[tuple[Target, bpy.types.ID, list]]:
    """The materials and Grease Pencil data in which drawings of a head are chosen, and the other
    objects that show them too; without those that the head has alone."""
    ours = [face, *face.children_recursive]
    result = []
    for target in {rule.target for rule in plan.drawn if rule.target.kind in _IN_DATA}:
        if target.kind == "LAYER":
            blocks = [obj.data for obj, *_ in layers_of(face, target)]
        else:
            blocks = [bpy.data.materials.get(target.name)]
        is_linked = any(obj.data is not None and obj.data.users > 1 for obj in ours)
        for block in (each for each in blocks if each and (is_linked or each.users > 1)):
            others = [
                obj
                for obj in bpy.data.objects
                if obj not in ours
                and (obj.data == block or any(s.material == block for s in obj.material_slots))
            ]
            result += [(target, block, others)] * bool(others)
    return result


def make_own(face: bpy.types.Object, plan: Mapping) -> Mapping:
    """A head's mapping after materials and Grease Pencil data that other objects show too were
    copied for it, so that each keeps its own mouth."""
    ours, renamed = [face, *face.children_recursive], dict[str, str]()
    for target, block, _ in _shared(face, plan):
        if target.kind == "LAYER":
            for obj in ours:
                if obj.data == block:
                    obj.data = obj.data.copy()
        elif block.name not in renamed:
            copy = block.copy()
            renamed[block.name] = copy.name
            for obj in ours:
                for slot in obj.material_slots:
                    if slot.material == block:
                        slot.link = "OBJECT" if obj.data.users > 1 else slot.link
                        slot.material = copy
    rules = (
        replace(rule, target=replace(rule.target, name=renamed.get(rule.target.name, "")))
        if rule.target.kind in mapping.IN_MATERIALS and rule.target.name in renamed
        else rule
        for rule in plan.rules
    )
    return replace(plan, rules=tuple(rules)) if renamed else plan


def _say_shared(face: bpy.types.Object, plan: Mapping) -> list[str]:
    """A sentence where a head that was copied shows the mouths of another."""
    for _, block, others in _shared(face, plan):
        heads = [obj for obj in others if family.is_drawn(obj) or family.drawn_above(obj)]
        if heads:
            return [
                f"“{face.name}” shares “{block.name}” with “{heads[0].name}”, so that both show "
                f"one mouth: select it and press Add Drawn Mouth, which gives it its own"
            ]
    return []


# ---- drivers


def wire(face: bpy.types.Object, plan: Mapping) -> None:
    """Let a head's numbers show what its mapping has for them; drivers of an earlier one go. Raises
    BadHead, and then nothing was changed."""
    places = _places(face, plan)
    used = list(_uses(places))
    unused = [*chain(*(at for rule, at in places.items() if rule.source == UNUSED))]
    _unwire(face)
    for target in {rule.target for rule in plan.drawn if rule.target.kind == "DRAWING"}:
        for obj, layer, _ in layers_of(face, target):
            compat.choose_drawings(obj, rna_paths.OWN_PREFIX + layer.name, layer.name)
    for dial, shown, numbers in used:
        names, curves = dial.names, dict[tuple, dict[int, float]]()
        for number, name in enumerate(names):
            for block, path, index, value in shown[stand_in(name, shown)]:
                hidden = dict.fromkeys(range(len(names)), 1) if path.endswith(_HIDE) else {}
                curves.setdefault((block, path, index), hidden)[number] = value
        label, rest = rna_paths.OWN_PREFIX + dial.label, numbers[dial.rest]
        kept = face.get(label)
        face[label] = kept if isinstance(kept, (int, float)) else rest
        face.id_properties_ui(label).update(  # type: ignore[attr-defined]
            items=[
                (names[number], names[number], f"Shows “{names[number]}”", 0, number)
                for number in sorted(set(numbers.values()))
            ],
            default=rest,
            description="Drawing that is shown. It can be keyed",
        )
        face.property_overridable_library_set(rna_paths.property_path(label), True)
        face.update_tag()  # a driver that does not see the number yet would stop for good
        for block, path, index, _ in unused if dial == DIALS[0] else ():
            if path.endswith(_HIDE):
                curves.setdefault((block, path, index), {0: 1})
        for (block, path, index), values in curves.items():
            _drive(face, rna_paths.property_path(label), block, path, index, values)


def _drive(
    face: bpy.types.Object,
    by: str,
    block: Animated,
    path: str,
    index: int,
    values: dict[int, float],
) -> None:
    """Drive a property by a number, with a value for each that there is."""
    if path.endswith("frame_offset"):  # the material shows a single image then
        user = block.path_resolve(path.removesuffix(".frame_offset"))
        user.frame_start, user.use_cyclic, user.use_auto_refresh = -10_000, False, True
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
    ours = {(face, rna_paths.slider_path(dial.label)) for dial in DIALS}
    users = bpy.data.user_map(subset={face})[face]
    for block in chain(*((each, getattr(each, "node_tree", None)) for each in users)):
        animation = getattr(block, "animation_data", None)
        for curve in list(animation.drivers) if animation else ():
            path, variables = curve.data_path, curve.driver.variables
            if ours & {(each.id, each.data_path) for v in variables for each in v.targets}:
                animation.drivers.remove(curve)
                if path.endswith(_HIDE):
                    rna_paths.set_value(block, path, 0, False)


# ---- finding


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
            numbers = _DRAWINGS[target.kind](face, target)
            things.setdefault(key, []).extend((target, number) for number in numbers)
    return list(things.values())


def by_names(face: bpy.types.Object) -> list[Rule]:
    """Rules for the sounds and looks that a head's drawings are named after, and for mouths beside
    them that no sound has."""
    named = {to.name: to for to in _named(face)}
    found = drawing_names.by_names(list(named))
    rules = [Rule(source, named[found[source]]) for source in NAMES if source in found]
    # each eye's, unless both have one
    lids = drawing_names.lids(list(named)).items()
    rules += [Rule(UNUSED if look in found else look, named[name]) for name, look in lids]
    known = {rule.source for rule in rules if rule.source in MOUTHS}
    is_numbered = bool(drawing_names.numbered(list(named)))
    if not known and not is_numbered:
        return rules
    if is_numbered:
        rules += in_order(face, known=known)
    of = {(each.target.kind, each.target.object) for each in rules if each.source in MOUTHS}
    mouths, unclear, _ = drawing_names.left_over(list(named), {each.target.name for each in rules})
    beside = (named[name] for name in (*mouths, *unclear))
    return rules + [Rule(UNUSED, to) for to in beside if (to.kind, to.object) in of]


def _named(face: bpy.types.Object) -> list[Target]:
    """What a head may show by its name."""
    return [to for to, _ in chain(*things_of(face)) if to.kind not in mapping.NUMBERED]


def in_order(
    face: bpy.types.Object, chart: str = "", first: int = 1, known: Collection[str] = ()
) -> list[Rule]:
    """Rules for a head's drawings in the order of a usual chart, the mouth of its first row being
    number `first` of them; names with numbers are in the order of these. What has most drawings is
    taken; chart: "" for that of so many; known: sounds that names have, beside which names alone
    are taken. Objects and layers beyond the chart have no sound, and eyes are none."""
    sets = [each for each in things_of(face) if len(each) > 1]
    if known:
        sets = [each for each in sets if each[0][0].kind not in mapping.NUMBERED]
    rows = max(sets, key=lambda of: (of[0][0].kind in mapping.NUMBERED, len(of)), default=[])
    is_named = bool(rows) and rows[0][0].kind not in mapping.NUMBERED
    if is_named:
        by_name = {row[0].name: row for row in rows}
        rows = [by_name[name] for name in drawing_names.in_order(list(by_name))]
    orders = {
        name: [sounds for _, sounds in usual if not sounds or not set(sounds).issubset(known)]
        for name, usual in CHARTS.items()
    }
    usual = next((name for name, of in orders.items() if len(of) == len(rows)), "Twelve Sounds")
    order = orders[chart or usual]
    rules = [
        Rule(source, target, float(number))
        for sounds, (target, number) in zip(order, rows[first - 1 :])
        for source in sounds
        if source not in known
    ]
    used = {rule.target for rule in rules}
    beside = [target for target, _ in rows if target not in used] if is_named and rules else ()
    return rules + [Rule(UNUSED, target) for target in beside]


def found_rules(face: bpy.types.Object) -> list[Rule]:
    """Rules by names; the mouths in order if none has a name that is known."""
    rules = by_names(face)
    return rules if any(r.source in MOUTHS for r in rules) else [*in_order(face), *rules]


def say_left_out(face: bpy.types.Object, plan: Mapping) -> list[str]:
    """Sentences on what a mapping that was just found makes of a head's drawings: their order, if
    their names say nothing, those that are never seen, and those that it leaves as they are."""
    rules = plan.drawn
    names = list(dict.fromkeys(to.name for to in _named(face)))
    is_known = any(name in MOUTHS for name in drawing_names.by_names(names))
    counted = drawing_names.numbered(names)
    order = dict[str, list[str]]()
    for rule in rules:
        if rule.source in MOUTHS and (not is_known or rule.target.name in counted):
            is_number = rule.target.kind in mapping.NUMBERED
            what = f"{round(rule.weight)}" if is_number else rule.target.name
            order.setdefault(what, []).append(rule.source)
    said = ", ".join(f"{what} {' / '.join(sounds)}" for what, sounds in order.items())
    result = [
        f"The names of these drawings say nothing, so they are taken in their order: {said}. "
        f"Change it by Fill In Order, or in the rows of Thunder Character"
    ]
    unused = [rule.target.name for rule in rules if rule.source == UNUSED]
    used = {rule.target.name for rule in rules if rule.source != UNUSED}
    _, unclear, unknown = drawing_names.left_over(names, used)
    lists = (
        (
            "Hidden, because other drawings show their sounds: “{}”. Choose them in the rows "
            "of Thunder Character to see them",
            [name for name in unused if name not in unclear],
        ),
        (
            "Hidden, because their names say no sound: “{}”. Choose a sound for them in the rows "
            "of Thunder Character",
            [name for name in unclear if name in unused],
        ),
        (
            "Not known as mouths, so always seen: “{}”. Choose a sound for them in the rows of "
            "Thunder Character, or Not Shown",
            [name for name in (*unclear, *unknown) if name not in unused]
            * (is_known or bool(counted)),
        ),
    )
    return result * bool(order) + [
        sentence.format("”, “".join(which)) for sentence, which in lists if which
    ]


def tilt(plan: Mapping, of: str = "", bone: str = "") -> Mapping:
    """A mapping in which an object, by its name or the head's own, tilts to the side as the head of
    a take does, from where it stands; or a bone of it."""
    path, axis = (mapping.ROTATION, 2) if bone else (mapping.TILT, 1)
    tilts = Rule("neck.z", Target("BONE", "", of, bone, path, axis), 1.0 if bone else -1.0)
    others = (rule for rule in plan.rules if rule.target != tilts.target)
    return replace(plan, rules=(*others, tilts))


def adopt(active: bpy.types.Object | None, selected: list[bpy.types.Object]) -> bpy.types.Object:
    """The object that is to be the head of drawings: one that has several, else what is above all
    selected ones, made where nothing is. Raises BadHead where nothing is drawn."""
    if active is not None and found_rules(active):
        return active
    parts = [obj for obj in selected if obj.parent not in selected and family.MARK not in obj]
    if len(parts) < 2:
        if active is not None and active.type == "GPENCIL":  # before 4.3
            raise BadHead("Drawings need Blender 4.3: images and objects work here")
        raise BadHead(
            "Nothing here shows one of several mouths: select a Grease Pencil object, a plane with "
            "an image sequence or a sheet (a Mapping node has a cell's size as its Scale), or an "
            "object for each mouth"
        )
    face = parts[0].parent
    if face is not None and {obj.parent for obj in parts} == {face}:
        return face
    face = bpy.data.objects.new("Drawn Head", None)
    face.location = parts[0].matrix_world.translation
    parts[0].users_collection[0].objects.link(face)
    for obj in parts:
        stays = obj.matrix_world @ obj.matrix_basis.inverted_safe()
        obj.parent, obj.matrix_parent_inverse = face, face.matrix_basis.inverted() @ stays
    return face


def add_sample(collection: bpy.types.Collection) -> tuple[bpy.types.Object, Mapping]:
    """Add a face drawn in Grease Pencil to a collection, to try takes on drawings; its object and
    its mapping. Raises BadHead before Blender 4.3."""
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
    return face, tilt(Mapping("Drawn Mouths", tuple(rules)))
