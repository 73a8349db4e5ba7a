# SPDX-License-Identifier: GPL-3.0-or-later
"""Binds a mapping to the objects of a character: which values of which data-blocks it moves."""

from dataclasses import dataclass
from functools import cache

import bpy

from ...thunder_core.face import mapping
from ...thunder_core.face.moving import driving
from ...thunder_core.face.reading import jaw_balance
from . import reading, rna_paths


@dataclass(frozen=True)
class Binding:
    """plan: a mapping.  objects: of its character.  targets: the data-blocks that it animates.
    driver: what fills their tracks.  unbound_rules: those without a target."""

    plan: mapping.Mapping
    objects: tuple
    targets: tuple
    driver: driving.Driver
    unbound_rules: tuple

    @property
    def face(self) -> bpy.types.Object:
        """The first of its objects."""
        return self.objects[0]

    @property
    def used(self) -> set[str]:
        """Names of the channels, keys and joints that truly move something."""
        bound = [each for each in self.plan.rules if each not in self.unbound_rules and each.weight]
        turned = [each for each in self.plan.joints if each not in self.unbound_rules]
        return {rule.source for rule in bound} | {each.joint for each in turned if each.scale}


def bind(plan: mapping.Mapping, objects: list[bpy.types.Object], first: tuple = ()) -> Binding:
    """Find the targets of a mapping among a character's objects. `first`: data-blocks that lead the
    targets.

    A rule that names no object moves every object that has its target; one that names an object
    which is not among them is taken as if it named none, so that a preset fits a character whose
    objects are called otherwise.
    """
    rules = jaw_balance.apply_balance(plan).rules
    blocks = {data: number for number, data in enumerate(first)}
    shapes = _shapes_of(objects)
    tracks: dict[driving.Track, int] = {}
    turns: dict[tuple[int, str], list] = {}  # sources of a bone's rotation, by (block, bone)
    parts, rig_of = [], cache(reading.rig_of)
    unbound_rules: list[mapping.Rule | mapping.JointRule] = []
    rests = {rule.target: rule.weight for rule in rules if rule.source == mapping.DEFAULT}
    for rule in [each for each in rules if each.source != mapping.DEFAULT]:
        found = places(rule.target, _objects_named(rule.target.object, objects), shapes)
        for data, path, index, group, rest in found:
            block = blocks.setdefault(data, len(blocks))
            if path == mapping.ROTATION:
                turns.setdefault((block, group), []).append((rule.source, index, rule.weight))
            elif (
                rule.target.path == mapping.EULER
                and rule.target.bone
                and len(data.pose.bones[group].rotation_mode) > 3
            ):
                # the bone's axis, along those of the head
                about = rig_of(data).basis(group, plan)[index]
                turns.setdefault((block, group), []).extend(
                    (rule.source, axis, rule.weight * by) for axis, by in enumerate(about) if by
                )
            else:
                rest += rests.get(rule.target, 0.0)
                track = driving.Track(block, path, index, group, rest)
                parts.append((rule.source, tracks.setdefault(track, len(tracks)), rule.weight))
        if not found:
            unbound_rules.append(rule)
    for joint in plan.joints:
        armatures = _having_bone(joint.bone, _objects_named(joint.object, objects))
        for armature in armatures:
            block = blocks.setdefault(armature, len(blocks))
            added = [(f"{joint.joint}.{axis}", i, joint.scale) for i, axis in enumerate("xyz")]
            turns.setdefault((block, joint.bone), []).extend(added)
        if not armatures:
            unbound_rules.append(joint)
    targets, driven, turning = tuple(blocks), list(tracks), []
    for (block, bone), added in turns.items():
        mode = targets[block].pose.bones[bone].rotation_mode
        basis = rig_of(targets[block]).basis(bone, plan)
        turn = driving.BoneTurn(len(driven), mode, basis, tuple(added))
        path = f"{rna_paths.bone_path(bone)}.{mapping.rotation_path(mode)}"
        driven += [
            driving.Track(block, path, index, bone, rest)
            for index, rest in enumerate(mapping.rotation_rest(mode))
        ]
        turning.append(turn)
    driver = driving.Driver(driven, parts, turning, dict(plan.leads))
    return Binding(plan, tuple(objects), targets, driver, tuple(unbound_rules))


@dataclass(frozen=True)
class _Shapes:
    """Shape keys of an object, looked up once.  names: of its keys.  driven: paths with drivers."""

    keys: bpy.types.Key
    names: frozenset
    driven: frozenset

    @classmethod
    def of(cls, keys: bpy.types.Key):
        return cls(keys, frozenset(keys.key_blocks.keys()), frozenset(rna_paths.drivers_of(keys)))


def _having_bone(bone: str, objects: list) -> list:
    return [obj for obj in objects if obj.type == "ARMATURE" and bone in obj.pose.bones]


def _shapes_of(objects: list) -> dict[bpy.types.Object, _Shapes]:
    return {
        obj: _Shapes.of(obj.data.shape_keys)
        for obj in objects
        if obj.type == "MESH" and obj.data and obj.data.shape_keys
    }


def places(target: mapping.Target, objects: list, shapes: dict | None = None) -> list[tuple]:
    """What a rule's target is among objects: (data-block, path, index, group, value at rest) of
    each."""
    if target.kind == "KEY":
        shapes = _shapes_of(objects) if shapes is None else shapes
        path = rna_paths.key_path(target.name)
        # Objects may share one mesh, so each set of keys counts once; keys that copy another by a
        # driver follow it.
        having = {
            shapes[obj].keys: shapes[obj].driven
            for obj in objects
            if obj in shapes and target.name in shapes[obj].names
        }
        free = [keys for keys, driven in having.items() if path not in driven]
        return [(keys, path, 0, "Thunder", 0.0) for keys in free or having]
    armatures = _having_bone(target.bone, objects)
    if target.kind == "BONE" and not target.bone:  # an object's own channel
        moving = [obj for obj in objects if obj.name == (target.object or objects[0].name)]
        return [
            (obj, target.path, target.index, obj.name, 0.0 + (target.path == "scale"))
            for obj in moving
        ]
    if target.kind == "BONE":
        path, rest = target.path, float(target.path == "scale")
        if path != mapping.ROTATION:
            path = f"{rna_paths.bone_path(target.bone)}.{path}"
        return [(armature, path, target.index, target.bone, rest) for armature in armatures]
    path, owners = rna_paths.property_path(target.name), [(obj, obj) for obj in objects]
    if target.bone:
        path = rna_paths.bone_path(target.bone) + path
        owners = [(armature, armature.pose.bones[target.bone]) for armature in armatures]
    return [
        (obj, path, 0, target.bone or "Thunder", rna_paths.rest_value(owner, target.name))
        for obj, owner in owners
        if isinstance(owner.get(target.name), (int, float))
    ]


def _objects_named(name: str, objects: list) -> list:
    named = [obj for obj in objects if obj.name == name] if name else []
    return named or objects
