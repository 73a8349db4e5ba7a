# SPDX-License-Identifier: GPL-3.0-or-later
"""A mapping meets the objects of a character: which numbers of which data-blocks it moves."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Vector

from ...thunder_core.face import jaw_balance, mapping
from . import rna_paths

DIRECTIONS = {"X": (1, 0, 0), "-X": (-1, 0, 0), "Y": (0, 1, 0), "-Y": (0, -1, 0), "Z": (0, 0, 1), "-Z": (0, 0, -1)}
FORWARD, UP = "-Y", "Z"  # where Blender's own characters look and stand


@dataclass(frozen=True)
class Binding:
    """targets: the data-blocks a mapping animates.  driver: what fills their tracks.  unmet: rules without a target."""

    targets: tuple
    driver: mapping.Sum
    unmet: tuple


def bind(plan: mapping.Mapping, objects: list[bpy.types.Object], first: tuple = ()) -> Binding:
    """Find the targets of a mapping among a character's objects. `first`: data-blocks that lead the targets.

    A rule that names no object moves every object that has its target; one that names an object which is not among
    them is taken as if it named none, so that a preset fits a character whose objects are called otherwise.
    """
    plan = jaw_balance.balanced(plan)
    targets = list(first)
    numbers: dict[tuple[int, str, int], int] = {}  # (block, path, index) → track
    found: list[mapping.Track] = []
    parts: list[tuple[str, int, float]] = []
    turns: dict[tuple[int, str], list] = {}
    unmet = []

    places = {data: number for number, data in enumerate(targets)}
    shapes = {thing: _Shapes.of(thing) for thing in objects}

    def block(data) -> int:
        if data not in places:
            places[data] = len(targets)
            targets.append(data)
        return places[data]

    def add(rule, data, path, index, group, rest):
        place = (block(data), path, index)
        if place not in numbers:
            numbers[place] = len(found)
            found.append(mapping.Track(*place, group, rest))
        parts.append((rule.source, numbers[place], rule.weight))

    for rule in plan.rules:
        target, met, moved = rule.target, False, []
        meant = _meant(target.object, objects)
        for thing in _free(target.name, meant, shapes) if target.kind == "KEY" else meant:
            if target.kind == "KEY":
                keys = shapes[thing].keys
                if target.name in shapes[thing].names:
                    if keys not in moved:  # objects may share one mesh
                        add(rule, keys, rna_paths.key_path(target.name), 0, "Thunder", 0.0)
                        moved.append(keys)
                    met = True
            elif target.kind == "BONE":
                if thing.type == "ARMATURE" and target.bone in thing.pose.bones:
                    if target.path == "rotation":
                        turns.setdefault((block(thing), target.bone), []).append((rule.source, target.index, rule.weight))
                    else:
                        path = f"{rna_paths.bone_path(target.bone)}.{target.path}"
                        add(rule, thing, path, target.index, target.bone, 1.0 if target.path == "scale" else 0.0)
                    met = True
            else:
                owner = thing if not target.bone else thing.pose.bones.get(target.bone) if thing.type == "ARMATURE" else None
                if owner is not None and isinstance(owner.get(target.name), (int, float)):
                    path = (rna_paths.bone_path(target.bone) if target.bone else "") + rna_paths.property_path(target.name)
                    add(rule, thing, path, 0, target.bone or "Thunder", resting(owner, target.name))
                    met = True
        if not met:
            unmet.append(rule)
    for rule in plan.joints:
        met = False
        for thing in _meant(rule.object, objects):
            if thing.type == "ARMATURE" and rule.bone in thing.pose.bones:
                turns.setdefault((block(thing), rule.bone), []).extend(
                    (f"{rule.joint}.{axis}", i, rule.scale) for i, axis in enumerate("xyz")
                )
                met = True
        if not met:
            unmet.append(rule)
    turning = []
    for (number, bone), added in turns.items():
        armature = targets[number]
        mode = armature.pose.bones[bone].rotation_mode
        path = f"{rna_paths.bone_path(bone)}.{mapping.rotation_path(mode)}"
        turning.append(mapping.Turn(len(found), mode, basis(armature, bone, plan), tuple(added)))
        for index, rest in enumerate(mapping.rotation_rest(mode)):
            found.append(mapping.Track(number, path, index, bone, rest))
    return Binding(tuple(targets), mapping.Sum(found, parts, turning), tuple(unmet))


@dataclass(frozen=True)
class _Shapes:
    """The shape keys of an object, looked up once: their names, and the paths that have drivers."""

    keys: bpy.types.Key | None
    names: frozenset
    driven: frozenset

    @classmethod
    def of(cls, thing) -> _Shapes:
        keys = thing.data.shape_keys if thing.type == "MESH" and thing.data else None
        if keys is None:
            return cls(None, frozenset(), frozenset())
        driven = keys.animation_data.drivers if keys.animation_data is not None else ()
        return cls(keys, frozenset(keys.key_blocks.keys()), frozenset(curve.data_path for curve in driven))


def _free(name: str, objects: list, shapes: dict) -> list:
    """Objects whose key of that name moves freely; where one does, those that copy it by a driver come along."""
    having = [thing for thing in objects if name in shapes[thing].names]
    path = rna_paths.key_path(name)
    return [thing for thing in having if path not in shapes[thing].driven] or having


def _meant(name: str, objects: list) -> list:
    named = [thing for thing in objects if thing.name == name] if name else []
    return named or objects


def resting(owner, name: str) -> float:
    """Value of a custom property at rest: its default."""
    try:
        return float(owner.id_properties_ui(name).as_dict().get("default", 0.0))
    except (TypeError, KeyError):
        return 0.0


def basis(armature: bpy.types.Object, bone: str, plan: mapping.Mapping) -> np.ndarray:
    """[3, 3] from the head's axes (left, up, out of the face) to a bone's own axes at rest."""
    forward = Vector(DIRECTIONS[plan.forward or FORWARD])
    up = Vector(DIRECTIONS[plan.up or UP])
    head = np.array([up.cross(forward), up, forward], np.float64).T
    found = np.array(armature.data.bones[bone].matrix_local.to_3x3(), np.float64).T @ head
    near = np.round(found)
    # Bones that stand square to the head are meant to: their last digits would only blur the keys.
    return near if np.abs(found - near).max() < 1e-5 else found
