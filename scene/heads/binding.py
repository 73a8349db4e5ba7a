# SPDX-License-Identifier: GPL-3.0-or-later
"""Binds a mapping to the objects of a character: which values of which data-blocks it moves."""

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Vector

from ...thunder_core.face import jaw_balance, mapping
from . import rna_paths

DIRECTIONS = {
    "X": (1, 0, 0),
    "-X": (-1, 0, 0),
    "Y": (0, 1, 0),
    "-Y": (0, -1, 0),
    "Z": (0, 0, 1),
    "-Z": (0, 0, -1),
}
FORWARD, UP = "-Y", "Z"  # facing and up directions of characters in Blender


@dataclass(frozen=True)
class Binding:
    """targets: the data-blocks a mapping animates.  driver: what fills their tracks.  unmet: rules
    without a target."""

    targets: tuple
    driver: mapping.Driver
    unmet: tuple


def bind(plan: mapping.Mapping, objects: list[bpy.types.Object], first: tuple = ()) -> Binding:
    """Find the targets of a mapping among a character's objects. `first`: data-blocks that lead the
    targets.

    A rule that names no object moves every object that has its target; one that names an object
    which is not among them is taken as if it named none, so that a preset fits a character whose
    objects are called otherwise.
    """
    plan = jaw_balance.apply_balance(plan)
    binder = _Binder(objects, first)
    binder.rules(plan)
    binder.joints(plan)
    turning = binder.rotations(plan)
    return Binding(
        tuple(binder.targets),
        mapping.Driver(binder.tracks, binder.parts, turning),
        tuple(binder.unmet),
    )


class _Binder:
    """A mapping being bound.

    keys, names, driven: of each object its shape keys, looked up once, and of these the paths that
    have drivers.
    tracks: driven properties; numbers: index of a track by (block, path, index).  parts: (source,
    track, weight).  turns: sources of a bone's rotation, by (block, bone).  unmet: rules without a
    target.
    """

    def __init__(self, objects: list[bpy.types.Object], first: tuple):
        self.objects, self.targets = objects, list(first)
        self.places = {data: number for number, data in enumerate(self.targets)}
        self.keys = {
            obj: obj.data.shape_keys
            for obj in objects
            if obj.type == "MESH" and obj.data and obj.data.shape_keys
        }
        self.names = {obj: set(keys.key_blocks.keys()) for obj, keys in self.keys.items()}
        self.driven = {keys: set(rna_paths.drivers_of(keys)) for keys in self.keys.values()}
        self.numbers: dict[tuple[int, str, int], int] = {}
        self.tracks: list[mapping.Track] = []
        self.parts: list[tuple[str, int, float]] = []
        self.turns: dict[tuple[int, str], list] = {}
        self.unmet: list = []

    def block(self, data) -> int:
        if data not in self.places:
            self.places[data] = len(self.targets)
            self.targets.append(data)
        return self.places[data]

    def add(self, rule, data, path: str, group: str, index: int = 0, rest: float = 0.0) -> None:
        place = (self.block(data), path, index)
        if place not in self.numbers:
            self.numbers[place] = len(self.tracks)
            self.tracks.append(mapping.Track(*place, group, rest))
        self.parts.append((rule.source, self.numbers[place], rule.weight))

    def rules(self, plan: mapping.Mapping) -> None:
        """Bind what moves a key, a bone or a property."""
        kinds = {"KEY": self._keys, "BONE": self._bones}
        for rule in plan.rules:
            if not kinds.get(rule.target.kind, self._properties)(
                rule, _objects_named(rule.target.object, self.objects)
            ):
                self.unmet.append(rule)

    def _keys(self, rule, objects: list) -> bool:
        path = rna_paths.key_path(rule.target.name)
        # Objects may share one mesh, so each set of keys counts once; keys that copy another by a
        # driver follow it.
        keys_there = dict.fromkeys(
            self.keys[obj] for obj in objects if rule.target.name in self.names.get(obj, ())
        )
        free = [keys for keys in keys_there if path not in self.driven[keys]]
        for keys in free or keys_there:
            self.add(rule, keys, path, "Thunder")
        return bool(keys_there)

    def _bones(self, rule, objects: list) -> bool:
        target = rule.target
        armatures = [
            obj for obj in objects if obj.type == "ARMATURE" and target.bone in obj.pose.bones
        ]
        for obj in armatures:
            if target.path == "rotation":
                self.turns.setdefault((self.block(obj), target.bone), []).append(
                    (rule.source, target.index, rule.weight)
                )
            else:
                path = f"{rna_paths.bone_path(target.bone)}.{target.path}"
                self.add(
                    rule,
                    obj,
                    path,
                    target.bone,
                    target.index,
                    1.0 if target.path == "scale" else 0.0,
                )
        return bool(armatures)

    def _properties(self, rule, objects: list) -> bool:
        target, met = rule.target, False
        for obj in objects:
            owner = (
                obj
                if not target.bone
                else obj.pose.bones.get(target.bone)
                if obj.type == "ARMATURE"
                else None
            )
            if owner is not None and isinstance(owner.get(target.name), (int, float)):
                path = (
                    rna_paths.bone_path(target.bone) if target.bone else ""
                ) + rna_paths.property_path(target.name)
                self.add(
                    rule,
                    obj,
                    path,
                    target.bone or "Thunder",
                    rest=rna_paths.rest_value(owner, target.name),
                )
                met = True
        return met

    def joints(self, plan: mapping.Mapping) -> None:
        """Bind what turns a bone as a whole."""
        for rule in plan.joints:
            armatures = [
                obj
                for obj in _objects_named(rule.object, self.objects)
                if obj.type == "ARMATURE" and rule.bone in obj.pose.bones
            ]
            for obj in armatures:
                turns = self.turns.setdefault((self.block(obj), rule.bone), [])
                turns += [(f"{rule.joint}.{axis}", i, rule.scale) for i, axis in enumerate("xyz")]
            if not armatures:
                self.unmet.append(rule)

    def rotations(self, plan: mapping.Mapping) -> list[mapping.Turn]:
        """The rotations of bones, with a track for each value of a bone's rotation."""
        turning = []
        for (number, bone), added in self.turns.items():
            armature = self.targets[number]
            mode = armature.pose.bones[bone].rotation_mode
            path = f"{rna_paths.bone_path(bone)}.{mapping.rotation_path(mode)}"
            turning.append(
                mapping.Turn(len(self.tracks), mode, basis(armature, bone, plan), tuple(added))
            )
            self.tracks += [
                mapping.Track(number, path, index, bone, rest)
                for index, rest in enumerate(mapping.rotation_rest(mode))
            ]
        return turning


def _objects_named(name: str, objects: list) -> list:
    named = [obj for obj in objects if obj.name == name] if name else []
    return named or objects


def basis(armature: bpy.types.Object, bone: str, plan: mapping.Mapping) -> np.ndarray:
    """[3, 3] from the head's axes (left, up, out of the face) to a bone's axes at rest."""
    forward = Vector(DIRECTIONS[plan.forward or FORWARD])
    up = Vector(DIRECTIONS[plan.up or UP])
    head = np.array([up.cross(forward), up, forward], np.float64).T
    result = np.array(armature.data.bones[bone].matrix_local.to_3x3(), np.float64).T @ head
    near = np.round(result)
    # Bones that are almost square to the head are meant to be: their last digits would only add
    # noise to the keys.
    return near if np.abs(result - near).max() < 1e-5 else result
