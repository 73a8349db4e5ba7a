# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds which drawing of a head is which mouth or look: by their names, else by their order; and
makes a head of drawings that lie about, or of the sample."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from itertools import chain

import bpy
import numpy as np

from ...thunder_core.errors import BadHead
from ...thunder_core.face import mapping
from ...thunder_core.face.drawn_mouths import MOUTHS, NAMES, UNUSED
from ...thunder_core.face.mapping import Mapping, Rule, Target
from ...thunder_core.face.reading import drawing_names
from ...thunder_core.face.reading.drawing_names import CHARTS
from ...thunder_core.shipped import DRAWING
from ..host import compat
from . import family
from .drawings import things_of

_LINE = (0.03, 0.02, 0.03, 1.0)  # of the sample drawing, linear RGBA
_PEN = 0.0011  # half of the width of its lines, metres


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
    rules = [
        Rule(source, target, float(number))
        for sounds, (target, number) in zip(orders[chart or usual], rows[first - 1 :])
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
        style.show_fill = True
        style.fill_color = (*colour, 1.0)  # type: ignore[assignment]  # any four numbers
        style.color = _LINE  # type: ignore[assignment]
        data.materials.append(ink)
    face, rules = bpy.data.objects.new("Drawn Face", data), []
    collection.objects.link(face)
    for number, (layer, name, shapes) in enumerate(drawing["drawings"], 1):
        flat = [(ink, 1e-3 * np.reshape(points, (-1, 2))) for ink, points in shapes]
        compat.draw(data, layer, number, flat, _PEN)
        rules += [Rule(name, Target("DRAWING", layer), float(number))] * bool(name)
    return face, tilt(Mapping("Drawn Mouths", tuple(rules)))
