# SPDX-License-Identifier: GPL-3.0-or-later
"""Detects how a character is driven, from its shape keys, the controls behind them, properties and
bones; or learns it from a pose, or from pose assets."""

from collections.abc import Callable, Iterator, Mapping as Values
from dataclasses import dataclass, replace
from itertools import starmap

import bpy
import numpy as np
from mathutils import Vector

from ...thunder_core.errors import BadRequest
from ...thunder_core.face import conventions, jaw_balance, mapping
from ...thunder_core.rotation import quaternion_to_rotvec
from ...thunder_core.types import GAZE
from ..host import compat, jobs
from . import binding, driven, reach, rna_paths, trial
from .driven import CHAIN, copied_bone
from .family import key_names, owners_of, property_names, relatives

CACHE_MOST = 64
_ENOUGH_MM = 6.0  # how far a jaw opens that turns as it is meant to
_STILL = 1e-4  # least difference from rest that is a pose
# share of a head's height by which a jaw that is moved opens, as one that turns does
_LOWERED = 0.12


@dataclass(frozen=True)
class _Found:
    """A face's mapping, what that does, points of its meshes by which a change is noticed, and
    sentences on keys and bones that are not used."""

    plan: mapping.Mapping
    reach: reach.Reach
    probes: tuple
    unused: tuple[str, ...]


# _Found by a key that identifies a face, and its mapping
_detected: jobs.Recent = jobs.Recent(CACHE_MOST)


def detect(face: bpy.types.Object, anew: bool = False) -> mapping.Mapping:
    """A mapping from the names of a character's shape keys, the controls that drive them, its
    properties and bones, and from what these do to its face.

    The mapping has no rules where nothing is known. `anew` looks again though nothing seems to
    have changed.
    """
    return _look(face, None, anew).plan


def reach_of(
    face: bpy.types.Object,
    plan: mapping.Mapping,
    opened: Callable[[reach.Meter], list[np.ndarray]] | None = None,
) -> reach.Reach:
    """What a mapping does on a character's face, measured again where its meshes have changed;
    opened: what sees how far an open mouth moves each mesh, [V, 3], where that is not followed."""
    if opened is None:
        return _look(face, plan, False).reach
    meter = _meter(relatives(face), face)
    return reach.Face(meter, plan, opened(meter)).reach()


def _meter(family: list[bpy.types.Object], face: bpy.types.Object) -> reach.Meter:
    rigs = [obj for obj in family if obj.type == "ARMATURE"]
    parts = sorted(
        (obj for obj in family if obj not in rigs and obj.data.vertices),
        key=lambda obj: (not key_names(obj), obj is not face),
    )
    return reach.Meter(parts, rigs)


def unused_of(face: bpy.types.Object, plan: mapping.Mapping | None = None) -> tuple[str, ...]:
    """Sentences on keys and bones of a face that have a known name, or one of a mapping, and yet do
    not move it."""
    found = _look(face, None, False)
    # one made by hand has muted keys of its own
    return tuple(
        dict.fromkeys(
            (
                *found.unused,
                *(_look(face, plan, False).unused if plan not in (None, found.plan) else ()),
            )
        )
    )


def _look(
    face, plan: mapping.Mapping | None, anew: bool, looks: trial.Trial | None = None
) -> _Found:
    """What is found on a face, for this mapping or (None) the one that suits it. looks: those that
    were begun."""
    family = relatives(face)
    parts = sorted(filter(key_names, family), key=lambda obj: obj is not face)
    rigs = [obj for obj in family if obj.type == "ARMATURE"]
    names = tuple(dict.fromkeys(name for part in parts for name in reach.live_keys(part)))
    blocks = [(part, block) for part in parts for block in part.data.shape_keys.key_blocks]
    muted = tuple((part.name, block.name) for part, block in blocks if block.mute)
    properties = property_names(rigs + parts)
    bones = tuple(bone.name for rig in rigs for bone in rig.data.bones)
    driven = tuple(len(rna_paths.drivers_of(obj.data.shape_keys)) for obj in parts)
    joints = conventions.joint_bones(bones)
    placed = [(rig, name) for rig in rigs for name in joints if name in rig.pose.bones]
    ruled = tuple(
        f"“{name}” is turned by {by}" for rig, name in placed if (by := overruled(rig, name))
    )
    free = tuple(reach.freedom(rig, name) for rig, name in placed)
    signature = (
        face.session_uid,
        face.name_full,
        tuple(obj.name_full for obj in family),
        names,
        properties,
        bones,
        driven,
        ruled,
        free,
        muted,
        tuple((block.slider_min, block.slider_max) for _, block in blocks),
        plan,
    )
    known = _detected.get(signature)
    if anew or known is None or not reach.is_as_measured(parts, known.probes):
        meter, looks = _meter(family, face), looks or trial.Trial()
        with looks:
            own, unused = (plan, ()) if plan else _detect(meter, names, properties, bones, looks)
            meter.look(own, looks)
        if not ({"jaw", "jawOpen"} & own.used and "neck" in own.used):
            unused += ruled
        shapes = getattr(conventions.find((*names, *(key for _, key in muted))), "shapes", {})
        wanted = {rule.target.name for rule in own.rules}.union(*shapes.values())
        unused += tuple(f"“{key}” of “{part}” is muted" for part, key in muted if key in wanted)
        jaws = tuple(f"“{name}”" for name in shapes.get("jawOpen", ()))
        first = sorted(unused, key=lambda said: not said.startswith(jaws))  # why a face fails
        seen = reach.Face(meter, own).reach() if meter.parts else reach.Reach()
        known = _detected[signature] = _Found(own, seen, meter.probes(), tuple(first))
        if looks.waits:
            _waiting.append((face.name, plan, looks))
            look_on.start(0.0)
    return known


_waiting: list[tuple] = []  # (name of a face, mapping, what was seen) of which not all was seen yet


def _go_on() -> float | None:
    """Look further at a face, if one waits."""
    if not _waiting:
        return None
    name, plan, looks = _waiting.pop(0)
    face, count = bpy.data.objects.get(name), len(looks.known)
    if face is not None:
        looks.begin()
        _look(face, plan, True, looks)
        if len(looks.known) == count and looks.waits:  # it is not to be moved
            _waiting.pop()
        jobs.redraw()
    return 0.0 if _waiting else None


look_on = jobs.Task(_go_on)  # drawing must not change data


def _detect(
    meter: reach.Meter, names, properties, bones, looks: trial.Trial
) -> tuple[mapping.Mapping, tuple[str, ...]]:
    parts, rigs = meter.parts[: meter.keyed] or meter.parts, meter.rigs
    dead = meter.dead_keys()
    shapes = getattr(conventions.find(names), "shapes", {})
    unused = [
        f"“{name}” moves nothing" for name in names if name in dead & set().union(*shapes.values())
    ]
    names = tuple(name for name in names if name not in dead)
    others = tuple(obj.name for obj in (*parts, *rigs)) + bones
    plan, convention, fallbacks = _by_names(meter, names, properties, others, looks)
    meter.look(plan, looks)
    jaws = _acting(meter, plan, _usable("jaw", convention, rigs))
    plan = _face_forward(plan, meter, convention)
    inverted = {
        rule.target.name: words
        for source, words in (_with_lips(meter, plan, jaws).inverted() if parts else {}).items()
        for rule in plan.rules
        if rule.source == source and source not in fallbacks
    }
    if inverted:
        unused += [f"“{name}” {words}" for name, words in inverted.items()]
        names, properties = (
            tuple(name for name in every if name not in inverted) for every in (names, properties)
        )
        facing = {"forward": plan.forward, "up": plan.up}
        plan, convention, _ = _by_names(meter, names, properties, others, looks)
        plan = replace(plan, **facing)
    joints, more = _joints(convention, meter, plan, jaws)
    plan = replace(plan, rules=plan.rules + tuple(more), joints=joints)
    lost = set() if {"jaw", "jawOpen"} & plan.used else {*shapes.get("jawOpen", ())} - dead
    if any(map(driven.needs_scripts, _drivers_of_keys(parts, set().union(*shapes.values())))):
        unused.insert(0, driven.SCRIPTS)
    unused += [f"“{name}” has a driver that is not followed" for name in lost - inverted.keys()]
    return _fit_to_keys(plan, meter), tuple(unused)


def _drivers_of_keys(parts, names) -> list:
    """The drivers of keys with these names."""
    every = (rna_paths.drivers_of(part.data.shape_keys) for part in parts if key_names(part))
    paths = set(map(rna_paths.key_path, names))
    return [curve for curves in every for path, curve in curves.items() if path in paths]


def _by_names(meter: reach.Meter, names, properties, others, looks: trial.Trial) -> tuple:
    """The rules that names give, as a mapping; the convention, None for none; and the channels that
    use another's shapes."""
    parts, rigs = meter.parts[: meter.keyed], meter.rigs
    recognised = conventions.find(names, others) if names else None
    by_property = conventions.find(properties, others) if properties else None
    rules = _rules_of_keys(recognised, parts, looks) if recognised is not None else []
    if by_property is not None and len(by_property.shapes) > len({rule.source for rule in rules}):
        recognised, rules = by_property, _rules_of_properties(by_property, rigs + meter.parts)
    if recognised is None:
        return mapping.Mapping("By Hand", tuple(rules)), None, {}
    convention = recognised.convention
    plan = mapping.Mapping(convention.title, tuple(rules), convention=convention.name)
    return plan, convention, recognised.fallbacks


def _face_forward(plan, meter: reach.Meter, convention) -> mapping.Mapping:
    """The mapping with the way that its character looks: as measured, else by its eyes and
    height."""
    rigs = meter.rigs
    jaws = _usable("jaw", convention, rigs, also_ruled=True)
    guess = [mapping.JointRule("jaw", bone, rig.name) for rig, bone in jaws]
    others = [
        mapping.JointRule(joint, bone, rig.name)
        for joint in ("eye_left", "eye_right", "neck")
        for rig, bone in _usable(joint, convention, rigs)[:1]
    ]
    plan = replace(plan, **dict(zip(("forward", "up"), facing(rigs, guess + others))))
    front = _with_lips(meter, plan, jaws).front() if meter.parts else None
    if front is None:
        return plan
    up = reach.letter(front[1])
    # of a head that is bent, what is level
    ahead = reach.main_axis(np.where(np.abs(binding.DIRECTIONS[up]) > 0, 0.0, front[0]))
    return plan if ahead is None else replace(plan, forward=reach.letter(ahead), up=up)


def _fit_to_keys(plan: mapping.Mapping, meter: reach.Meter) -> mapping.Mapping:
    """The mapping adjusted to this character, by what its keys and its jaw do to the mesh with the
    lips."""
    jaws = reach.jaw_rules(plan)
    opening = [*(rule for rule in plan.rules if rule.source == "jawOpen"), *jaws]
    if not meter.parts or not opening:
        return plan
    face = reach.Face(meter, plan)
    amounts = {
        rule.target: 1.0 if rule.target.kind == "KEY" else rule.weight
        for rule in (*plan.rules, *opening)  # what also closes the mouth is measured opening it
        if rule.weight
    }
    moved = {target: face.offsets({target: amount}) / amount for target, amount in amounts.items()}
    moved = {target: by for target, by in moved.items() if by.any()}
    plan = jaw_balance.fit_to_keys(plan, moved, jaws, face.lips and (*face.lips, face.up))
    if face.sounds:
        return plan
    # brings together lips that are modelled apart, so that they meet where a take's do: by a jaw
    # bone past rest, which leaves a key for closing its whole way
    fitted = reach.Face(meter, plan)
    for source, rules, way in (("jawOpen", jaws, -1.0), ("mouthClose", plan.rules, 1.0)):
        closing = [rule for rule in rules if rule.source == source]
        if share := way * fitted.shut(source, way) if closing else 0.0:
            added = (
                mapping.Rule(mapping.REST, rule.target, share * rule.weight) for rule in closing
            )
            return replace(plan, rules=(*plan.rules, *added))
    return plan


def _rules_of_keys(
    recognised: conventions.Recognised, parts, looks: trial.Trial
) -> list[mapping.Rule]:
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
            found = (
                driven.follow(curve) or looks.way(keys, curve)
                for keys, curve in zip(keys_there, curves)
            )
            target, distance, rest = next(filter(None, found), (None, 0.0, 0.0))
            if target is not None and target.kind == "KEY":
                target = _key_elsewhere(target, parts, recognised)
            if target is not None:
                rules.append(mapping.Rule(channel, target, weight * distance))
                if abs(rest) > _STILL:
                    rules.append(mapping.Rule(mapping.DEFAULT, target, rest))
    return list(dict.fromkeys(rules))


def _key_elsewhere(
    target: mapping.Target, parts, recognised: conventions.Recognised
) -> mapping.Target | None:
    """A key that drives others as a control of a character, where it is on one of its objects or on
    another; None for one that has a rule of its own, as one that copies follow."""
    if any(target.name in shapes for shapes in recognised.shapes.values()):
        return None
    if any(target.name in part.data.shape_keys.key_blocks for part in parts):
        return target
    others = [obj for scene in parts[0].users_scene for obj in scene.objects]
    named = (obj.name for obj in others if target.name in key_names(obj))
    return replace(target, object=next(named, ""))


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


def _usable(joint: str, convention, rigs, also_ruled: bool = False) -> list[tuple]:
    """The bones of a joint whose keys would be seen, (armature, bone), best first; or all of it."""
    known = {each.name: each for each in conventions.conventions()}
    order = [each for each in (convention, known.get("arkit"), *known.values()) if each is not None]
    found: list[tuple] = []
    for each in order:
        matches = conventions.match(
            each.bones.get(joint, ()), [bone.name for rig in rigs for bone in rig.data.bones]
        )
        places = [
            (rig, used)
            for wanted in each.bones.get(joint, ())
            for name in matches.get(wanted, ())
            for rig in rigs
            if name in rig.pose.bones and (used := name if also_ruled else _control(rig, name))
        ]
        # a neck of several bones is known by most of them
        found = max(found, list(dict.fromkeys(places)), key=len)
    return found


def _control(rig, bone: str) -> str:
    """A bone itself, or the control that it copies, whose keys would be seen; "" for none."""
    for _ in range(CHAIN):
        if not bone or not overruled(rig, bone):
            break
        bone = copied_bone(rig, bone)
    return bone


def _acting(meter: reach.Meter, plan, places: list[tuple]) -> list[tuple]:
    """Those of some bones, (armature, bone), whose turn moves a mesh; all where none is seen to."""
    if len(places) < 2:
        return places
    turns = [
        {mapping.Target("BONE", "", rig.name, bone, binding.ROTATION, 0): 1.0}
        for rig, bone in places
    ]
    parts = range(len(meter.parts))
    acts = [any(meter.offsets(part, turn, plan).any() for part in parts) for turn in turns]
    return [place for place, is_seen in zip(places, acts) if is_seen] or places


def _joints(
    convention, meter: reach.Meter, plan, jaws
) -> tuple[tuple[mapping.JointRule, ...], list[mapping.Rule]]:
    """Bones for jaw, eyes and neck if no key moves them; and the rule by which a jaw bone alone
    closes the lips."""
    found_rules, rigs = plan.rules, meter.rigs
    moved = {rule.source for rule in found_rules}
    joints, rules = [], []
    if jaws and meter.parts and not _opens(meter, plan):
        by_bone = _with_jaw(meter, plan, jaws)
        # a key that moves little beside the bone, as a fold of skin, goes with it
        if "jawOpen" not in moved or _opens(meter, by_bone):
            joints += by_bone.joints
            lowered = by_bone.rules[len(found_rules) :]
            rules += lowered
            rules += [
                mapping.Rule(source, jaw.target, weight * jaw.weight)
                for jaw in (*reach.jaw_rules(by_bone), *lowered)
                for source, (other, weight) in conventions.FALLBACKS.items()
                if other == "jawOpen" and source not in moved
            ]
    looks = {
        rule.target.name
        for rule in found_rules
        if rule.source.startswith(GAZE) and rule.target.kind == "KEY"
    }
    for joint in ("eye_left", "eye_right"):
        places = _acting(meter, plan, _usable(joint, convention, rigs))
        by_keys = any(source.startswith(GAZE) for source in moved)
        if places and (not by_keys or _moves_only_lids(places[0][1], looks, meter)):
            joints.append(mapping.JointRule(joint, places[0][1], places[0][0].name))
    if places := _usable("neck", convention, rigs):
        places = places[:2]
        joints += [
            mapping.JointRule("neck", bone, rig.name, 1.0 / len(places)) for rig, bone in places
        ]
    return tuple(joints), rules


def _with_lips(meter: reach.Meter, plan: mapping.Mapping, jaws) -> reach.Face:
    """A face whose lips are found by jaw bones, (armature, bone), where no key opens its mouth."""
    is_keyed = any(rule.source == "jawOpen" for rule in plan.rules)
    hinges = tuple(mapping.JointRule("jaw", bone, rig.name) for rig, bone in jaws)
    return reach.Face(meter, plan if is_keyed else replace(plan, joints=hinges))


def _with_jaw(meter: reach.Meter, plan: mapping.Mapping, jaws) -> mapping.Mapping:
    """The mapping with the bone, (armature, bone), that parts the lips as it turns, of these or of
    all that are named like a jaw, as an upper and a lower one, or the other way, as the upper half
    of a puppet's head; else with one that parts them as it goes down, or that parts them most."""

    def turn(rig, bone: str, scale: float = 1.0) -> mapping.Mapping:
        return replace(plan, joints=(mapping.JointRule("jaw", bone, rig.name, scale),))

    def opens(each: mapping.Mapping) -> float:
        return min(reach.Face(meter, each).gap({"jawOpen": 1.0}), _ENOUGH_MM)

    named = [
        (rig, bone.name)
        for rig in meter.rigs
        for bone in rig.data.bones
        if conventions.joint_bones((bone.name,), "jaw") and not overruled(rig, bone.name)
    ]
    every = list(dict.fromkeys((*jaws, *named)))
    free = [jaw for jaw in every if not all(jaw[0].pose.bones[jaw[1]].lock_rotation)]
    lowered = [replace(plan, rules=plan.rules + _lower(meter, plan, *jaw)) for jaw in every]
    raised = [turn(*jaw, -1.0) for jaw in free]
    return max([*starmap(turn, free), *raised, *lowered], key=opens)


def _lower(meter: reach.Meter, plan: mapping.Mapping, rig, bone: str) -> tuple[mapping.Rule, ...]:
    """Rules by which a bone that goes down opens the jaw, as far as one that turns does."""

    def rules(far: float) -> tuple[mapping.Rule, ...]:
        way = -far * np.array(binding.DIRECTIONS[plan.up or binding.UP], float)
        to_rig = rig.matrix_world.inverted_safe() @ meter.base.matrix_world
        local = rig.data.bones[bone].matrix_local.to_3x3().inverted_safe() @ (
            to_rig.to_3x3() @ Vector(way)
        )
        return tuple(
            mapping.Rule(
                "jawOpen", mapping.Target("BONE", "", rig.name, bone, "location", axis), by
            )
            for axis, by in enumerate(local)
            if abs(by) > _STILL * far
        )

    size = reach.Face(meter, replace(plan, rules=plan.rules + rules(1e-3))).size
    return rules(_LOWERED * size)


def _moves_only_lids(bone: str, names: set[str], meter: reach.Meter) -> bool:
    """Whether gaze keys leave a bone's eyeball where it is: then they move only the lids, and the
    bone the eye."""
    are_still = [
        np.abs(
            meter.offsets(part, {mapping.Target("KEY", name): 1.0}, mapping.Mapping(""))[ball]
        ).max()
        <= least
        for part, obj in enumerate(meter.parts[: meter.keyed])
        if bone in obj.vertex_groups
        for ids, weights in [meter.weights(part)[obj.vertex_groups[bone].index]]
        for ball, least in [(ids[weights > 0.5], 1e-3 * np.ptp(meter.rest(part), 0).max())]
        for name in names.intersection(meter.names[part] if len(ball) else ())
    ]
    return bool(are_still) and all(are_still)


def _opens(meter: reach.Meter, plan: mapping.Mapping) -> bool:
    """Whether an open jaw parts the lips, or that cannot be measured."""
    face = reach.Face(meter, plan) if meter.parts else None
    if face is None or not face.is_seen:
        return "jawOpen" in plan.used or "jaw" in plan.used
    return face.gap({"jawOpen": 1.0}) >= reach.LEAST_OPEN_MM


# constraints that leave what keys do visible: they limit it, or add to it
_LIMITS = ("LIMIT_ROTATION", "LIMIT_LOCATION", "LIMIT_SCALE", "LIMIT_DISTANCE", "CHILD_OF", "FLOOR")
_MAINTAIN = ("MAINTAIN_VOLUME", "PIVOT", "SHRINKWRAP", "CLAMP_TO", "COPY_LOCATION", "COPY_SCALE")
_MIXED = ("ADD", "OFFSET", "BEFORE", "AFTER")  # beginnings of how constraints mix


def overruled(rig, bone: str) -> str:
    """What has the last word on a bone's rotation, so that keys would not be seen: the name of a
    constraint, "its driver", "" for nothing."""
    for constraint in rig.pose.bones[bone].constraints:
        mix = getattr(constraint, "mix_mode_rot", getattr(constraint, "mix_mode", ""))
        if (
            constraint.type not in (*_LIMITS, *_MAINTAIN)
            and not constraint.mute
            and constraint.is_valid
            and constraint.influence >= 1.0
            and not mix.startswith(_MIXED)
            and not (constraint.type == "TRANSFORM" and constraint.map_to != "ROTATION")
            and all(getattr(constraint, f"use_{axis}", True) for axis in "xyz")
        ):
            return f"its constraint “{constraint.name}”"
    start = rna_paths.bone_path(bone) + ".rotation"
    return "a driver" if any(p.startswith(start) for p in rna_paths.drivers_of(rig)) else ""


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
        left = _axis(place["eye_left"] - place["eye_right"])
    if "eye_left" in place and "neck" in place:
        rise = np.array(place["eye_left"] - place["neck"])
    else:
        root = np.array(rig.data.bones[0].head_local)
        high = heads[np.argmax(np.linalg.norm(heads - root, axis=1))] - root
        rise = high if np.abs(high).max() > 1e-6 else np.array([0.0, 0.0, 1.0])
    up = _axis(np.where(np.abs(left) > 0.5, 0.0, rise))
    return reach.letter(np.cross(left, up)), reach.letter(up)


def _axis(vector) -> np.ndarray:
    """The axis nearest to a direction."""
    return np.array(binding.DIRECTIONS[reach.letter(np.array(vector))], float)


# ---- from a pose


def rules_of_pose(
    source: str, plan: mapping.Mapping, objects: list, asset: str = ""
) -> list[mapping.Rule]:
    """Rules by which a channel at 1 makes the current pose of a character's objects, or that of a
    pose asset.

    Shape keys, bones and custom properties that are not at rest are taken. Raises BadRequest if
    everything is at rest.
    """
    moves = [pair for obj in objects for pair in _displacements(obj, plan)]
    if asset:
        moves = poses_of(objects, plan).get(asset, {}).items()
    posed = {target: moved for target, moved in moves if abs(moved) > _STILL}
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
    poses = poses_of(relatives(face), plan)
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
    rules = [rule for rule in plan.rules if rule.source not in (*moves, mapping.REST)]
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


def poses_of(objects: list, plan: mapping.Mapping) -> dict[str, Moves]:
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
