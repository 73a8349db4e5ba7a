# SPDX-License-Identifier: GPL-3.0-or-later
"""Detects how a character is driven, from its shape keys, properties and bones; or learns it from a
pose."""

from collections.abc import Iterator

import bpy
import numpy as np
from mathutils import Vector

from ...thunder_core.errors import BadRequest
from ...thunder_core.face import conventions, jaw_balance
from ...thunder_core.face.mapping import JointRule, Mapping, Rule, Target
from ...thunder_core.recent import Recent
from ...thunder_core.rotation import quaternion_to_rotvec
from ...thunder_core.types import GAZE, JAW_OPEN_RADIANS
from . import binding, drivers, rna_paths
from .family import key_names, owners_of, points_of, property_names, relatives

CACHE_MOST = 64
_STILL = 1e-4  # least difference from rest that is a pose
_detected: Recent = Recent(CACHE_MOST)  # mappings by a key that identifies a face


def detect(face: bpy.types.Object, anew: bool = False) -> Mapping:
    """A mapping from the names of a character's shape keys, the controls that drive them, its
    properties and bones.

    The mapping has no rules where nothing is known. `anew` looks again though no name has changed.
    """
    family = relatives(face)
    parts = [obj for obj in family if obj.type == "MESH" and key_names(obj)]
    rigs = [obj for obj in family if obj.type == "ARMATURE"]
    parts.sort(key=lambda obj: obj is not face)
    names = tuple(dict.fromkeys(name for part in parts for name in key_names(part)))
    properties = property_names(rigs + parts)
    bones = tuple(bone.name for rig in rigs for bone in rig.data.bones)
    driven = tuple(
        len(obj.data.shape_keys.animation_data.drivers) if obj.data.shape_keys.animation_data else 0
        for obj in parts
    )
    signature = (
        face.session_uid,
        face.name_full,
        tuple(obj.name_full for obj in family),
        names,
        properties,
        bones,
        driven,
    )
    if anew or signature not in _detected:
        _detected[signature] = _detect(face, parts, rigs, names, properties, bones)
    return _detected[signature]


def _detect(face, parts, rigs, names, properties, bones) -> Mapping:
    others = tuple(obj.name for obj in (*parts, *rigs)) + bones
    by_key = conventions.find(names, others) if names else None
    by_property = conventions.find(properties, others) if properties else None
    rules: list[Rule] = []
    if by_key is not None:
        rules = _rules_of_keys(by_key, parts)
    recognised = by_key
    moved = {rule.source for rule in rules}
    if by_property is not None and len(by_property.shapes) > len(moved):
        recognised, rules = by_property, _rules_of_properties(by_property, rigs + parts)
        moved = {rule.source for rule in rules}
    joints, more = _joints(recognised.convention if recognised else None, rigs, moved, parts, rules)
    forward, up = facing(rigs, joints)
    title = recognised.convention.title if recognised else "By Hand"
    plan = Mapping(
        title,
        tuple(rules + more),
        joints,
        recognised.convention.name if recognised else "",
        (),
        forward,
        up,
    )
    return _fit_to_keys(plan, parts)


def _fit_to_keys(plan: Mapping, parts) -> Mapping:
    """The mapping adjusted to this character's keys, by their effect on the vertices of the part
    with the jaw."""
    jaws = {
        rule.target.name
        for rule in plan.rules
        if rule.target.kind == "KEY" and rule.source == "jawOpen"
    }
    having = [part for part in parts if len(jaws) == 1 and jaws <= set(key_names(part))]
    if not having:
        return plan
    part = max(having, key=lambda part: len(part.data.vertices))
    blocks = part.data.shape_keys.key_blocks
    rest = points_of(part.data.shape_keys.reference_key.data)
    targets = {
        rule.target
        for rule in plan.rules
        if rule.target.kind == "KEY" and rule.target.name in blocks
    }
    return jaw_balance.fit_to_keys(
        plan, {target: points_of(blocks[target.name].data) - rest for target in targets}
    )


def _rules_of_keys(recognised: conventions.Recognised, parts) -> list[Rule]:
    """Rules from channels to shape keys, or to the controls that drive those."""
    rules = []
    for channel, shapes in recognised.shapes.items():
        for name, weight in shapes.items():
            keys_there = [
                part.data.shape_keys for part in parts if name in part.data.shape_keys.key_blocks
            ]
            curves = [drivers.drivers_of(keys).get(rna_paths.key_path(name)) for keys in keys_there]
            if None in curves:  # it moves freely on some object; copies follow it by drivers
                rules.append(Rule(channel, Target("KEY", name), weight))
                continue
            control = next(
                (control for curve in curves if (control := drivers.follow(curve)) is not None),
                None,
            )
            if control is not None and control.target.kind != "KEY":
                rules.append(Rule(channel, control.target, weight * control.weight))
    return list(dict.fromkeys(rules))


def _rules_of_properties(recognised: conventions.Recognised, objects) -> list[Rule]:
    weights = [
        (channel, name, weight)
        for channel, shapes in recognised.shapes.items()
        for name, weight in shapes.items()
    ]
    return [
        Rule(channel, Target("PROPERTY", name, obj.name, bone), weight)
        for channel, name, weight in weights
        for obj in objects
        for owner, bone in owners_of(obj)
        if isinstance(owner.get(name), (int, float))
    ]


def _joints(
    convention, rigs, moved: set[str], parts, found_rules
) -> tuple[tuple[JointRule, ...], list[Rule]]:
    """Bones for jaw, eyes and neck if no key moves them; and the rule by which a jaw bone alone
    closes the lips."""
    known = {each.name: each for each in conventions.conventions()}
    order = [each for each in (convention, known.get("arkit"), *known.values()) if each is not None]
    joints, rules = [], []

    def usable(joint):
        for each in order:
            matches = conventions.match(
                each.bones.get(joint, ()), [bone.name for rig in rigs for bone in rig.data.bones]
            )
            places = [
                (rig, name)
                for wanted in each.bones.get(joint, ())
                for name in matches.get(wanted, ())
                for rig in rigs
                if name in rig.pose.bones and _is_free(rig, name)
            ]
            if places:
                return places
        return []

    if "jawOpen" not in moved and (places := usable("jaw")):
        rig, bone = places[0]
        joints.append(JointRule("jaw", bone, rig.name))
        rules += [
            Rule(
                source, Target("BONE", "", rig.name, bone, "rotation", 0), weight * JAW_OPEN_RADIANS
            )
            for source, (other, weight) in conventions.FALLBACKS.items()
            if other == "jawOpen" and source not in moved
        ]
    looks = {
        rule.target.name
        for rule in found_rules
        if rule.source.startswith(GAZE) and rule.target.kind == "KEY"
    }
    for joint in ("eye_left", "eye_right"):
        places = usable(joint)
        by_keys = any(source.startswith(GAZE) for source in moved)
        if places and (not by_keys or _moves_only_lids(places[0][1], looks, parts)):
            joints.append(JointRule(joint, places[0][1], places[0][0].name))
    if places := usable("neck"):
        places = list(dict.fromkeys(places))[:2]
        joints += [JointRule("neck", bone, rig.name, 1.0 / len(places)) for rig, bone in places]
    return tuple(joints), rules


def _moves_only_lids(bone: str, names: set[str], parts) -> bool:
    """Whether gaze keys leave a bone's eyeball where it is: then they move only the lids, and the
    bone the eye."""
    compared = False
    for part in parts:
        group = part.vertex_groups.get(bone)
        if group is None:
            continue
        ids = [
            v.index
            for v in part.data.vertices
            for g in v.groups
            if g.group == group.index and g.weight > 0.5
        ]
        keys, rest = part.data.shape_keys, points_of(part.data.shape_keys.reference_key.data)
        least = 1e-3 * max(part.dimensions)
        for name in names & set(key_names(part)) if ids else ():
            compared = True
            if np.abs(points_of(keys.key_blocks[name].data)[ids] - rest[ids]).max() > least:
                return False
    return compared


def _is_free(rig, bone: str) -> bool:
    """Whether keys on a bone would be seen: no constraint and no driver has the last word."""
    pose = rig.pose.bones[bone]
    if any(not constraint.mute and constraint.influence > 0 for constraint in pose.constraints):
        return False
    start = rna_paths.bone_path(bone) + ".rotation"
    return not any(path.startswith(start) for path in drivers.drivers_of(rig))


def facing(rigs, joints) -> tuple[str, str]:
    """A character's facing and up axes in its armature: by its eyes, else by its height."""
    place = {
        joint.joint: rig.data.bones[joint.bone].head_local
        for joint in joints
        for rig in rigs
        if rig.name == joint.object and joint.bone in rig.data.bones
    }
    rig = next((rig for rig in rigs if joints and rig.name == joints[0].object), None)
    if rig is None:
        return "", ""
    heads = np.array(
        [bone.head_local for bone in rig.data.bones] + [bone.tail_local for bone in rig.data.bones]
    )
    left = np.array([1.0, 0.0, 0.0])
    if "eye_left" in place and "eye_right" in place:
        left = _nearest(np.array(place["eye_left"] - place["eye_right"]))
    if "eye_left" in place and "neck" in place:
        rise = np.array(place["eye_left"] - place["neck"])
    else:
        root = np.array(rig.data.bones[0].head_local)
        high = heads[np.argmax(np.linalg.norm(heads - root, axis=1))] - root
        rise = high if np.abs(high).max() > 1e-6 else np.array([0.0, 0.0, 1.0])
    up = _nearest(np.where(np.abs(left) > 0.5, 0.0, rise))
    return _letter(np.cross(left, up)), _letter(up)


def _nearest(vector: np.ndarray) -> np.ndarray:
    """The axis nearest to a direction."""
    axis = int(np.argmax(np.abs(vector)))
    return np.eye(3)[axis] * (1.0 if vector[axis] >= 0 else -1.0)


def _letter(axis: np.ndarray) -> str:
    index = int(np.argmax(np.abs(axis)))
    return ("-" if axis[index] < 0 else "") + "XYZ"[index]


# ---- from a pose


def rules_of_pose(source: str, plan: Mapping, objects: list, amount: float = 1.0) -> list[Rule]:
    """Rules by which a channel at `amount` makes the current pose of a character's objects.

    Shape keys, bones and custom properties that are not at rest are taken. Raises BadRequest if
    everything is at rest.
    """
    if abs(amount) < _STILL:
        raise BadRequest("A channel at 0 has no pose: preview it at another amount")
    posed = {
        target: moved
        for obj in objects
        for target, moved in _displacements(obj, plan)
        if abs(moved) > _STILL
    }
    if not posed:
        raise BadRequest(
            f"Nothing is posed: pose the face as “{source}” at its strongest, then press Learn "
            f"again"
        )
    return [Rule(source, target, moved / amount) for target, moved in posed.items()]


def _displacements(obj: bpy.types.Object, plan: Mapping) -> Iterator[tuple[Target, float]]:
    """Everything that can pose an object, each with its distance from rest."""
    keys = obj.data.shape_keys if obj.type == "MESH" else None
    for block in keys.key_blocks[1:] if keys is not None else ():
        yield Target("KEY", block.name), block.value
    for owner, bone in owners_of(obj):
        if bone:
            turn = binding.basis(obj, bone, plan).T @ quaternion_to_rotvec(
                np.array(owner.matrix_basis.to_quaternion())
            )
            moves = {
                "location": owner.location,
                "scale": owner.scale - Vector((1.0, 1.0, 1.0)),
                "rotation": turn.tolist(),
            }
            for path, values in moves.items():
                yield from (
                    (Target("BONE", "", obj.name, bone, path, index), value)
                    for index, value in enumerate(values)
                )
        for name, value in owner.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                yield (
                    Target("PROPERTY", name, obj.name, bone),
                    value - rna_paths.rest_value(owner, name),
                )
