# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the bones that turn a character's jaw, eyes and neck, where no key moves these."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import starmap

import numpy as np

from ..types import GAZE
from . import conventions
from .bones import Armature, jaw_rules
from .character import PointMeter
from .facing import letter
from .mapping import DIRECTIONS, JointRule, Mapping, ROTATION, Rule, Target
from .measured_face import Face, LEAST_OPEN_MM

_ENOUGH_MM = 6.0  # how far a jaw opens that turns as it is meant to
_STILL = 1e-4  # share of a way that is none
# share of a head's height by which a jaw that is moved opens, as one that turns does
_LOWERED = 0.12

Place = tuple[Armature, str]  # an armature, and a bone of it


def usable(
    joint: str,
    convention: conventions.Convention | None,
    rigs: Sequence[Armature],
    also_ruled: bool = False,
) -> list[Place]:
    """The bones of a joint whose keys would be seen, best first; or all of it."""
    known = {each.name: each for each in conventions.conventions()}
    order = [each for each in (convention, known.get("arkit"), *known.values()) if each is not None]
    found: list[Place] = []
    for each in order:
        matches = conventions.match(
            each.bones.get(joint, ()), [bone for rig in rigs for bone in rig.bones]
        )
        places = [
            (rig, used)
            for wanted in each.bones.get(joint, ())
            for name in matches.get(wanted, ())
            for rig in rigs
            if name in rig.bones and (used := name if also_ruled else rig.control(name))
        ]
        # a neck of several bones is known by most of them
        found = max(found, list(dict.fromkeys(places)), key=len)
    return found


def acting(meter: PointMeter, plan: Mapping, places: list[Place]) -> list[Place]:
    """Those of some bones whose turn moves a mesh; all where none is seen to."""
    if len(places) < 2:
        return places
    turns = [{Target("BONE", "", rig.name, bone, ROTATION, 0): 1.0} for rig, bone in places]
    parts = range(len(meter.meshes))
    acts = [any(meter.offsets(part, turn, plan).any() for part in parts) for turn in turns]
    return [place for place, is_seen in zip(places, acts) if is_seen] or places


def find_joints(
    convention: conventions.Convention | None, meter: PointMeter, plan: Mapping, jaws: list[Place]
) -> tuple[tuple[JointRule, ...], list[Rule]]:
    """Bones for jaw, eyes and neck if no key moves them; and the rule by which a jaw bone alone
    closes the lips."""
    found_rules, rigs = plan.rules, meter.rigs
    moved = {rule.source for rule in found_rules}
    joints: list[JointRule] = []
    rules: list[Rule] = []
    if jaws and meter.meshes and not _opens(meter, plan):
        by_bone = _with_jaw(meter, plan, jaws)
        # a key that moves little beside the bone, as a fold of skin, goes with it
        if "jawOpen" not in moved or _opens(meter, by_bone):
            joints += by_bone.joints
            lowered = by_bone.rules[len(found_rules) :]
            rules += lowered
            rules += [
                Rule(source, jaw.target, weight * jaw.weight)
                for jaw in (*jaw_rules(by_bone), *lowered)
                for source, (other, weight) in conventions.FALLBACKS.items()
                if other == "jawOpen" and source not in moved
            ]
    looks = {
        rule.target.name
        for rule in found_rules
        if rule.source.startswith(GAZE) and rule.target.kind == "KEY"
    }
    for joint in ("eye_left", "eye_right"):
        places = acting(meter, plan, usable(joint, convention, rigs))
        by_keys = any(source.startswith(GAZE) for source in moved)
        if places and (not by_keys or _moves_only_lids(places[0][1], looks, meter)):
            joints.append(JointRule(joint, places[0][1], places[0][0].name))
    if places := usable("neck", convention, rigs)[:2]:
        joints += [JointRule("neck", bone, rig.name, 1.0 / len(places)) for rig, bone in places]
    return tuple(joints), rules


def with_lips(meter: PointMeter, plan: Mapping, jaws: list[Place]) -> Face:
    """A face whose lips are found by jaw bones where no key opens its mouth."""
    is_keyed = any(rule.source == "jawOpen" for rule in plan.rules)
    hinges = tuple(JointRule("jaw", bone, rig.name) for rig, bone in jaws)
    return Face(meter, plan if is_keyed else replace(plan, joints=hinges))


def _with_jaw(meter: PointMeter, plan: Mapping, jaws: list[Place]) -> Mapping:
    """The mapping with the bone that parts the lips as it turns, of these or of all that are named
    like a jaw, as an upper and a lower one, or the other way, as the upper half of a puppet's head;
    else with one that parts them as it goes down, or that parts them most."""

    def turn(rig: Armature, bone: str, scale: float = 1.0) -> Mapping:
        return replace(plan, joints=(JointRule("jaw", bone, rig.name, scale),))

    def opens(each: Mapping) -> float:
        return min(Face(meter, each).gap({"jawOpen": 1.0}), _ENOUGH_MM)

    named = [
        (rig, name)
        for rig in meter.rigs
        for name, bone in rig.bones.items()
        if conventions.joint_bones((name,), "jaw") and not bone.ruled_by
    ]
    every = list(dict.fromkeys((*jaws, *named)))
    free = [(rig, bone) for rig, bone in every if not all(rig.bones[bone].is_locked)]
    lowered = [replace(plan, rules=plan.rules + _lower(meter, plan, *jaw)) for jaw in every]
    raised = [turn(*jaw, -1.0) for jaw in free]
    return max([*starmap(turn, free), *raised, *lowered], key=opens)


def _lower(meter: PointMeter, plan: Mapping, rig: Armature, bone: str) -> tuple[Rule, ...]:
    """Rules by which a bone that goes down opens the jaw, as far as one that turns does."""
    down = np.linalg.inv(rig.bones[bone].rest[:3, :3]) @ rig.inward[:3, :3] @ -plan.axes[1]

    def rules(far: float) -> tuple[Rule, ...]:
        return tuple(
            Rule("jawOpen", Target("BONE", "", rig.name, bone, "location", axis), far * by)
            for axis, by in enumerate(down.tolist())
            if abs(by) > _STILL
        )

    size = Face(meter, replace(plan, rules=plan.rules + rules(1e-3))).size
    return rules(_LOWERED * size)


def _moves_only_lids(bone: str, names: set[str], meter: PointMeter) -> bool:
    """Whether gaze keys leave a bone's eyeball where it is: then they move only the lids, and the
    bone the eye."""
    are_still = [
        np.abs(meter.offsets(part, {Target("KEY", name): 1.0}, Mapping(""))[ball]).max() <= least
        for part, mesh in enumerate(meter.of.meshes[: meter.of.keyed])
        if bone in mesh.groups
        for ids, weights in [mesh.weights()[bone]]
        for ball, least in [(ids[weights > 0.5], 1e-3 * np.ptp(mesh.rest, 0).max())]
        for name in names.intersection(mesh.names if len(ball) else ())
    ]
    return bool(are_still) and all(are_still)


def _opens(meter: PointMeter, plan: Mapping) -> bool:
    """Whether an open jaw parts the lips, or that cannot be measured."""
    face = Face(meter, plan) if meter.meshes else None
    if face is None or not face.is_seen:
        return "jawOpen" in plan.used or "jaw" in plan.used
    return face.gap({"jawOpen": 1.0}) >= LEAST_OPEN_MM


def guess_axes(rigs: Sequence[Armature], joints: Sequence[JointRule]) -> tuple[str, str]:
    """A character's facing and up axes in its armature: by its eyes, else by its height; "" for
    unknown."""
    place = {
        joint.joint: rig.bones[joint.bone].head
        for joint in joints
        for rig in rigs
        if rig.name == joint.object and joint.bone in rig.bones
    }
    rig = next((rig for rig in rigs if joints and rig.name == joints[0].object), None)
    if rig is None:
        return "", ""
    left = np.array([1.0, 0.0, 0.0])
    if "eye_left" in place and "eye_right" in place:
        left = DIRECTIONS[letter(place["eye_left"] - place["eye_right"])]
    if "eye_left" in place and "neck" in place:
        rise = place["eye_left"] - place["neck"]
    else:
        bones = list(rig.bones.values())
        ends = np.array([bone.head for bone in bones] + [bone.tail for bone in bones])
        high = ends[np.argmax(np.linalg.norm(ends - bones[0].head, axis=1))] - bones[0].head
        rise = high if np.abs(high).max() > 1e-6 else np.array([0.0, 0.0, 1.0])
    up = DIRECTIONS[letter(np.where(np.abs(left) > 0.5, 0.0, rise))]
    return letter(np.cross(left, up)), letter(up)
