# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads of drawings: Grease Pencil, images, or objects of which one mouth is shown at a time.

Such a head has a number for its mouth, and one for its eyes, which keys change. Drivers show what
its mapping has for that number: their curves are the table, so that no script has to run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import chain

import bpy

from ...thunder_core.errors import BadHead
from ...thunder_core.face import mapping
from ...thunder_core.face.drawn_mouths import (
    CLOSED,
    EYES,
    HALF,
    MOUTHS,
    OPEN,
    SHUT,
    stand_in,
    UNUSED,
)
from ...thunder_core.face.mapping import Mapping, Rule, Target
from ...thunder_core.face.moving import driving
from ...thunder_core.face.moving.drawings import Dial, DIALS, DrawnDriver
from ...thunder_core.spoken import REST
from ..host import compat
from . import binding, family, rna_paths
from .build import add_input
from .drawings import drawings_of, HIDE, layers_of, Place

_IN_DATA = ("LAYER", *mapping.IN_MATERIALS)  # kinds that are chosen in data, which may be shared

# ---- binding


def _places(face: bpy.types.Object, plan: Mapping) -> dict[Rule, list[Place]]:
    """What shows the drawing of each rule of a mapping; [] if it is not in the file."""
    drawings = cache(lambda to: drawings_of(face, to))
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
                hidden = dict.fromkeys(range(len(names)), 1) if path.endswith(HIDE) else {}
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
            if path.endswith(HIDE):
                curves.setdefault((block, path, index), {0: 1})
        for (block, path, index), values in curves.items():
            _drive(face, rna_paths.property_path(label), block, path, index, values)


def _drive(
    face: bpy.types.Object,
    by: str,
    block: compat.Animated,
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
                if path.endswith(HIDE):
                    rna_paths.set_value(block, path, 0, False)
