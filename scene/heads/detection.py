# SPDX-License-Identifier: GPL-3.0-or-later
"""Detects how a character is driven, from its shape keys, the controls behind them, properties and
bones; or learns it from a pose, or from pose assets."""

import ast
import math
import operator
import re
from collections.abc import Iterator, Mapping as Values
from dataclasses import replace

import bpy
import numpy as np
from mathutils import Vector

from ...thunder_core.errors import BadRequest
from ...thunder_core.face import conventions, jaw_balance, mapping
from ...thunder_core.rotation import quaternion_to_rotvec
from ...thunder_core.types import GAZE, JAW_OPEN_RADIANS
from ..host import compat
from ..host.jobs import Recent
from . import binding, rna_paths
from .family import key_names, owners_of, points_of, property_names, relatives

CACHE_MOST = 64
_STILL = 1e-4  # least difference from rest that is a pose
_detected: Recent = Recent(CACHE_MOST)  # mappings by a key that identifies a face


def detect(face: bpy.types.Object, anew: bool = False) -> mapping.Mapping:
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


def _detect(face, parts, rigs, names, properties, bones) -> mapping.Mapping:
    others = tuple(obj.name for obj in (*parts, *rigs)) + bones
    recognised = conventions.find(names, others) if names else None
    by_property = conventions.find(properties, others) if properties else None
    rules = _rules_of_keys(recognised, parts) if recognised is not None else []
    if by_property is not None and len(by_property.shapes) > len({rule.source for rule in rules}):
        recognised, rules = by_property, _rules_of_properties(by_property, rigs + parts)
    convention = recognised.convention if recognised is not None else None
    joints, more = _joints(convention, rigs, parts, rules)
    title, name = (convention.title, convention.name) if convention else ("By Hand", "")
    plan = mapping.Mapping(title, tuple(rules + more), joints, name, *facing(rigs, joints))
    return _fit_to_keys(plan, parts)


def _fit_to_keys(plan: mapping.Mapping, parts) -> mapping.Mapping:
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


def _rules_of_keys(recognised: conventions.Recognised, parts) -> list[mapping.Rule]:
    """Rules from channels to shape keys, or to the controls that drive those."""
    rules = []
    for channel, shapes in recognised.shapes.items():
        for name, weight in shapes.items():
            keys_there = [
                part.data.shape_keys for part in parts if name in part.data.shape_keys.key_blocks
            ]
            curves = [
                rna_paths.drivers_of(keys).get(rna_paths.key_path(name)) for keys in keys_there
            ]
            if None in curves:  # it moves freely on some object; copies follow it by drivers
                rules.append(mapping.Rule(channel, mapping.Target("KEY", name), weight))
                continue
            target, distance = next(filter(None, map(follow, curves)), (None, 0.0))
            if target is not None and target.kind != "KEY":
                rules.append(mapping.Rule(channel, target, weight * distance))
    return list(dict.fromkeys(rules))


def _rules_of_properties(recognised: conventions.Recognised, objects) -> list[mapping.Rule]:
    weights = [
        (channel, name, weight)
        for channel, shapes in recognised.shapes.items()
        for name, weight in shapes.items()
    ]
    return [
        mapping.Rule(channel, mapping.Target("PROPERTY", name, obj.name, bone), weight)
        for channel, name, weight in weights
        for obj in objects
        for owner, bone in owners_of(obj)
        if isinstance(owner.get(name), (int, float))
    ]


def _joints(
    convention, rigs, parts, found_rules
) -> tuple[tuple[mapping.JointRule, ...], list[mapping.Rule]]:
    """Bones for jaw, eyes and neck if no key moves them; and the rule by which a jaw bone alone
    closes the lips."""
    known = {each.name: each for each in conventions.conventions()}
    order = [each for each in (convention, known.get("arkit"), *known.values()) if each is not None]
    moved = {rule.source for rule in found_rules}
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
        joints.append(mapping.JointRule("jaw", bone, rig.name))
        rules += [
            mapping.Rule(
                source,
                mapping.Target("BONE", "", rig.name, bone, "rotation", 0),
                weight * JAW_OPEN_RADIANS,
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
            joints.append(mapping.JointRule(joint, places[0][1], places[0][0].name))
    if places := usable("neck"):
        places = list(dict.fromkeys(places))[:2]
        joints += [
            mapping.JointRule("neck", bone, rig.name, 1.0 / len(places)) for rig, bone in places
        ]
    return tuple(joints), rules


def _moves_only_lids(bone: str, names: set[str], parts) -> bool:
    """Whether gaze keys leave a bone's eyeball where it is: then they move only the lids, and the
    bone the eye."""
    are_still = []
    for part in [part for part in parts if bone in part.vertex_groups]:
        group = part.vertex_groups[bone].index
        ids = [
            v.index
            for v in part.data.vertices
            for g in v.groups
            if g.group == group and g.weight > 0.5
        ]
        keys, least = part.data.shape_keys, 1e-3 * max(part.dimensions)
        rest = points_of(keys.reference_key.data)[ids]
        for name in names & set(key_names(part)) if ids else ():
            moved = np.abs(points_of(keys.key_blocks[name].data)[ids] - rest).max()
            are_still.append(moved <= least)
    return bool(are_still) and all(are_still)


def _is_free(rig, bone: str) -> bool:
    """Whether keys on a bone would be seen: no constraint and no driver has the last word."""
    pose = rig.pose.bones[bone]
    if any(not constraint.mute and constraint.influence > 0 for constraint in pose.constraints):
        return False
    start = rna_paths.bone_path(bone) + ".rotation"
    return not any(path.startswith(start) for path in rna_paths.drivers_of(rig))


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


def rules_of_pose(source: str, plan: mapping.Mapping, objects: list) -> list[mapping.Rule]:
    """Rules by which a channel at 1 makes the current pose of a character's objects.

    Shape keys, bones and custom properties that are not at rest are taken. Raises BadRequest if
    everything is at rest.
    """
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
    return [mapping.Rule(source, target, moved) for target, moved in posed.items()]


def _displacements(
    obj: bpy.types.Object, plan: mapping.Mapping
) -> Iterator[tuple[mapping.Target, float]]:
    """Everything that can pose an object, each with its distance from rest."""
    keys = obj.data.shape_keys if obj.type == "MESH" else None
    for block in keys.key_blocks[1:] if keys is not None else ():
        yield mapping.Target("KEY", block.name), block.value
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
                    (mapping.Target("BONE", "", obj.name, bone, path, index), value)
                    for index, value in enumerate(values)
                )
        for name, value in owner.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                yield (
                    mapping.Target("PROPERTY", name, obj.name, bone),
                    value - rna_paths.rest_value(owner, name),
                )


TAG = "Thunder"  # tag of the assets that this add-on saves
# share of the open jaw from which on a mouth is taken to contain it, and is given without it
_JAW_TOO = 0.1

Moves = dict[mapping.Target, float]


def map_by_poses(face: bpy.types.Object) -> tuple[mapping.Mapping, list[str]]:
    """A character's mapping in which pose assets of this file make the channels that they are named
    after, and the names of those poses.

    What no pose makes is as the character's names have it. Raises BadRequest if no pose is
    known or moves the character.
    """
    plan = detect(face)
    poses = _poses(relatives(face), plan)
    known = conventions.find(tuple(poses))
    if known is None:
        examples = f" ({', '.join(sorted(poses)[:5])} …)" if poses else ""
        raise BadRequest(
            f"This file has no pose asset{examples} that moves “{face.name}” and is named after a "
            f"sound or a channel: "
            "name poses AH, EE, OH, OO, MBP, FV, L, TH or as ARKit's keys"
        )
    moves = {
        channel: _sum((poses[name], weight) for name, weight in shapes.items())
        for channel, shapes in known.shapes.items()
        if channel not in known.fallbacks or channel not in plan.used
    }
    jaw = moves.get("jawOpen", {})
    moves |= {
        channel: _without(moved, jaw)
        for channel, moved in moves.items()
        if channel.startswith(jaw_balance.LEAVES_JAW)
    }
    rules = [rule for rule in plan.rules if rule.source not in moves]
    rules += [
        mapping.Rule(channel, *move)
        for channel, moved in moves.items()
        for move in moved.items()
        if abs(move[1]) > _STILL
    ]
    joints = tuple(rule for rule in plan.joints if rule.joint != "jaw" or not jaw)
    used = {name for shapes in known.shapes.values() for name in shapes}
    return replace(
        plan, name="Pose Assets", convention="", rules=tuple(rules), joints=joints
    ), sorted(used)


def _poses(objects: list, plan: mapping.Mapping) -> dict[str, Moves]:
    """What each pose asset of the file moves of a character's objects; poses of others and of this
    add-on are left out."""
    poses = {}
    for action in bpy.data.actions:
        start, end = action.frame_range
        if action.asset_data is not None and TAG not in action.asset_data.tags and start == end:
            moved = _sum((_pose_moves(action, obj, plan), 1.0) for obj in objects)
            if any(abs(value) > _STILL for value in moved.values()):
                poses[action.name] = moved
    return poses


def _pose_moves(action, obj, plan: mapping.Mapping) -> Moves:
    """How far from rest a pose brings the shape keys and bones of an object."""
    keys = obj.data.shape_keys if obj.type == "MESH" else None
    moved: Moves = {}
    turns: dict[tuple[str, str], dict[int, float]] = {}
    for block in (
        block for block in (obj, keys) if block is not None and compat.fits(action, block)
    ):
        for curve in compat.curves_of(action, compat.slot_for(action, block)):
            path = curve.data_path
            index = curve.array_index
            value = curve.evaluate(action.frame_range[0])
            owner, name, custom = rna_paths.split(path)
            bone = rna_paths.bone_of(path)
            if custom or not rna_paths.exists(block, path):
                continue
            if block == keys and name == "value":
                moved[mapping.Target("KEY", block.path_resolve(owner).name)] = value
            elif bone is not None and name in ("location", "scale"):
                moved[mapping.Target("BONE", "", obj.name, bone[0], name, index)] = value - (
                    name == "scale"
                )
            elif bone is not None:
                turns.setdefault(bone, {})[index] = value
    for (bone, path), values in turns.items():
        mode = obj.pose.bones[bone].rotation_mode
        if path == mapping.rotation_path(mode):  # what is in another mode does not turn the bone
            numbers = np.array(
                [
                    [
                        values.get(index, rest)
                        for index, rest in enumerate(mapping.rotation_rest(mode))
                    ]
                ]
            )
            turn = binding.basis(obj, bone, plan).T @ mapping.rotation_vectors(numbers, mode)[0]
            moved |= {
                mapping.Target("BONE", "", obj.name, bone, "rotation", index): float(value)
                for index, value in enumerate(turn)
            }
    return moved


def _sum(parts) -> Moves:
    parts = list(parts)
    targets = dict.fromkeys(target for moved, _ in parts for target in moved)
    return {
        target: sum(weight * moved.get(target, 0.0) for moved, weight in parts)
        for target in targets
    }


def _without(moved: Values[mapping.Target, float], jaw: Values[mapping.Target, float]) -> Moves:
    """A mouth's moves without its share of the open jaw, by what turns most in that, or else moves
    most."""
    leads = max(jaw, key=lambda target: (target.path == "rotation", abs(jaw[target])), default=None)
    share = moved.get(leads, 0.0) / jaw[leads] if leads is not None else 0.0
    return _sum([(moved, 1.0), (jaw, -share)]) if share >= _JAW_TOO else dict(moved)


# Controls are probed with increasing movements until one has an effect: some have a range of
# millimetres, some go from 0 to 100. Most stop where the key is at 1.
_STEPS = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
_SEEN = 0.01  # least change of the key that counts

_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS = {
    "min": min,
    "max": max,
    "abs": abs,
    "sqrt": math.sqrt,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "pow": pow,
    "degrees": math.degrees,
    "radians": math.radians,
    "fabs": math.fabs,
    "clamp": lambda x, low=0.0, high=1.0: min(max(x, low), high),
}


def follow(curve) -> tuple[mapping.Target, float] | None:
    """The control behind a driven value, and its distance from rest at which the value is 1; None
    if it cannot be keyed or the dependence is not simple arithmetic."""
    driver = curve.driver
    inputs = {variable.name: _input(variable) for variable in driver.variables}
    if not inputs or None in inputs.values():
        return None
    rest = {name: at for name, (_, at) in inputs.items()}
    try:
        still = _value(curve, rest)
        controls = []  # (slope, control)
        for name, (target, at) in inputs.items():
            for sign in (1, -1):
                moved = (
                    (step, _value(curve, rest | {name: at + sign * step}) - still)
                    for step in _STEPS
                )
                # Only movement that raises the value counts; the other direction belongs to another
                # key.
                slope = next((change / step for step, change in moved if change >= _SEEN), 0.0)
                if slope > 0:
                    controls.append((slope, (target, sign / slope)))
    except (ValueError, ArithmeticError, KeyError, TypeError, SyntaxError, RecursionError):
        return None
    return max(controls, key=lambda each: each[0], default=(0.0, None))[1]


def _value(curve, inputs: dict[str, float]) -> float:
    driver = curve.driver
    numbers = list(inputs.values())
    if driver.type == "SCRIPTED":
        value = float(_calculate(ast.parse(driver.expression, mode="eval").body, inputs))
    else:
        value = {
            "AVERAGE": lambda: sum(numbers) / len(numbers),
            "SUM": lambda: sum(numbers),
            "MIN": lambda: min(numbers),
            "MAX": lambda: max(numbers),
        }[driver.type]()
    return curve.evaluate(value) if len(curve.keyframe_points) or len(curve.modifiers) else value


def _calculate(node, names: dict[str, float]):
    """The value of a driver's expression if it is plain arithmetic; it is never executed as
    Python."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.Name):
        return math.pi if node.id == "pi" and "pi" not in names else names[node.id]
    if isinstance(node, ast.UnaryOp):
        return _OPERATORS[type(node.op)](_calculate(node.operand, names))
    if isinstance(node, ast.BinOp):
        left, right = _calculate(node.left, names), _calculate(node.right, names)
        if isinstance(node.op, ast.Pow) and (abs(left) > 1e6 or abs(right) > 64):
            raise ValueError("too large a power")
        return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return _OPERATORS[type(node.ops[0])](
            _calculate(node.left, names), _calculate(node.comparators[0], names)
        )
    if isinstance(node, ast.IfExp):
        return _calculate(node.body if _calculate(node.test, names) else node.orelse, names)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return _FUNCTIONS[node.func.id](*(_calculate(argument, names) for argument in node.args))
    raise ValueError("no plain arithmetic")


_TRANSFORM = re.compile(r"(LOC|ROT|SCALE)_([XYZ])$")
_BONE_CHANNEL = re.compile(
    r'^pose\.bones\["(.+)"\]\.(location|scale|rotation_euler)(?:\[(\d)\]|\.([xyz]))$'
)


def _input(variable):
    """(target, value at rest) of a driver's variable, None if it is nothing that takes keys."""
    source = variable.targets[0]
    if source.id is None:
        return None
    if variable.type == "TRANSFORMS":
        match = _TRANSFORM.match(source.transform_type)
        if match and source.transform_space in ("LOCAL_SPACE", "TRANSFORM_SPACE"):
            path = {"LOC": "location", "ROT": "rotation_euler", "SCALE": "scale"}[match[1]]
            return _bone(source.id, source.bone_target, path, "XYZ".index(match[2]))
    if variable.type != "SINGLE_PROP":
        return None
    if channel := _BONE_CHANNEL.match(source.data_path):
        index = int(channel[3]) if channel[3] else "xyz".index(channel[4])
        return _bone(source.id, channel[1], channel[2], index)
    path, name, custom = rna_paths.split(source.data_path)
    if source.id.id_type == "KEY" and path.startswith("key_blocks"):
        return mapping.Target("KEY", path[len('key_blocks["') : -2]), 0.0
    is_found = custom and rna_paths.exists(source.id, source.data_path)
    if not is_found or source.id.id_type != "OBJECT":
        return None
    holder = source.id.path_resolve(path) if path else source.id
    bone = path[len('pose.bones["') : -2] if path.startswith("pose.bones") else ""
    return mapping.Target("PROPERTY", name, source.id.name, bone), rna_paths.rest_value(
        holder, name
    )


def _bone(obj, bone: str, path: str, index: int):
    pose = obj.pose.bones.get(bone) if obj.id_type == "OBJECT" and obj.pose else None
    if pose is None or (
        path == "rotation_euler" and pose.rotation_mode in ("QUATERNION", "AXIS_ANGLE")
    ):
        return None
    return mapping.Target("BONE", "", obj.name, bone, path, index), 1.0 if path == "scale" else 0.0
