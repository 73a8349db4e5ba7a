# SPDX-License-Identifier: GPL-3.0-or-later
"""Detects how a character is driven: a mapping from the names of its keys, the controls behind
them, properties and bones, and from what these do to its face."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import starmap

import numpy as np

from ...types import GAZE
from .. import mapping
from ..mapping import DIRECTIONS, JointRule, Mapping, ROTATION, Rule, Target
from . import conventions, jaw_balance
from .bones import Armature, jaw_rules
from .character import Character, Key, Mesh, PointMeter
from .facing import front, inverted, letter, main_axis
from .measured_face import Face, LEAST_OPEN_MM
from .reach import Reach

SCRIPTS = (
    "Drivers of this character need scripts: allow them in Preferences › Save & Load › Auto Run "
    "Python Scripts, and open the file again"
)
_LIKE = {"mouthFunnel": mapping.FALLBACKS["mouthFunnel"]}  # channel → one like it, and how far
_STILL = 1e-4  # least difference from rest that counts


@dataclass(frozen=True)
class Found:
    """A character's mapping, what that does, and sentences on keys and bones that are not used."""

    plan: Mapping
    reach: Reach
    unused: tuple[str, ...] = ()


def find(character: Character, plan: Mapping | None = None) -> Found:
    """What is found on a character, for this mapping or (None) the one that suits it. The mapping
    has no rules where nothing is known."""
    meter = PointMeter(character)
    own, unused = (plan, ()) if plan else _detect(meter)
    meter.look(own)
    joints = conventions.joint_bones(tuple(name for rig in character.rigs for name in rig.bones))
    ruled = tuple(
        f"“{name}” is turned by {rig.bones[name].ruled_by}"
        for rig in character.rigs
        for name in joints
        if name in rig.bones and rig.bones[name].ruled_by
    )
    if not ({"jaw", "jawOpen"} & own.used and "neck" in own.used):
        unused += ruled
    muted = [
        (mesh.name, name)
        for mesh in character.meshes
        for name, key in mesh.keys.items()
        if key.is_muted
    ]
    names = (*character.names, *(key for _, key in muted))
    shapes = getattr(conventions.find(names), "shapes", {})
    wanted = {rule.target.name for rule in own.rules}.union(*shapes.values())
    unused += tuple(f"“{key}” of “{part}” is muted" for part, key in muted if key in wanted)
    jaws = tuple(f"“{name}”" for name in shapes.get("jawOpen", ()))
    first = sorted(unused, key=lambda said: not said.startswith(jaws))  # why a face fails
    return Found(own, Reach.of(Face(meter, own)) if meter.meshes else Reach(), tuple(first))


def _detect(meter: PointMeter) -> tuple[Mapping, tuple[str, ...]]:
    """The mapping that suits a character, and sentences on keys that are not used."""
    names, properties, dead = meter.of.names, meter.of.properties, meter.dead_keys()
    shapes = getattr(conventions.find(names), "shapes", {})
    unused = [
        f"“{name}” moves nothing" for name in names if name in dead & set().union(*shapes.values())
    ]
    names = tuple(name for name in names if name not in dead)
    plan, convention, fallbacks = _by_names(meter, names, properties)
    meter.look(plan)
    jaws = _acting(meter, plan, _usable("jaw", convention, meter.rigs))
    plan = _face_forward(plan, meter, convention)
    wrong = {
        rule.target.name: words
        for source, words in (
            inverted(_with_lips(meter, plan, jaws)) if meter.meshes else {}
        ).items()
        for rule in plan.rules
        if rule.source == source and source not in fallbacks
    }
    if wrong:
        unused += [f"“{name}” {words}" for name, words in wrong.items()]
        names, properties = (
            tuple(name for name in every if name not in wrong) for every in (names, properties)
        )
        forward, up = plan.forward, plan.up
        plan, convention, _ = _by_names(meter, names, properties)
        plan = replace(plan, forward=forward, up=up)
    joints, more = _find_joints(convention, meter, plan, jaws)
    plan = replace(plan, rules=plan.rules + tuple(more), joints=joints)
    lost = set() if {"jaw", "jawOpen"} & plan.used else {*shapes.get("jawOpen", ())} - dead
    known = _keys_named(meter.of.faces, set().union(*shapes.values()))
    if any(key.driver is not None and key.driver.needs_scripts for key in known):
        unused.insert(0, SCRIPTS)
    unused += [f"“{name}” has a driver that is not followed" for name in lost - wrong.keys()]
    return _fit_to_keys(plan, meter), tuple(unused)


def _keys_named(meshes: Iterable[Mesh], names: set[str]) -> list[Key]:
    return [mesh.keys[name] for mesh in meshes for name in mesh.keys if name in names]


def _by_names(
    meter: PointMeter, names: tuple[str, ...], properties: tuple[str, ...]
) -> tuple[Mapping, conventions.Convention | None, dict[str, str]]:
    """The rules that names give, as a mapping; the convention, None for none; and the channels that
    use another's shapes."""
    others = tuple(mesh.name for mesh in meter.of.faces)
    others += tuple(name for rig in meter.rigs for name in (rig.name, *rig.bones))
    recognised = conventions.find(names, others) if names else None
    by_property = conventions.find(properties, others) if properties else None
    rules = _rules_of_keys(recognised, meter.of) if recognised is not None else []
    if by_property is not None and len(by_property.shapes) > len({rule.source for rule in rules}):
        recognised, rules = by_property, _rules_of_properties(by_property, meter.of)
    if recognised is None:
        return Mapping("By Hand", tuple(rules)), None, {}
    convention = recognised.convention
    plan = Mapping(convention.title, tuple(rules), convention=convention.name)
    return plan, convention, recognised.fallbacks


def _face_forward(
    plan: Mapping, meter: PointMeter, convention: conventions.Convention | None
) -> Mapping:
    """The mapping with the way that its character looks: as measured, else by its eyes and
    height."""
    jaws = _usable("jaw", convention, meter.rigs, also_ruled=True)
    guess = [JointRule("jaw", bone, rig.name) for rig, bone in jaws]
    others = [
        JointRule(joint, bone, rig.name)
        for joint in ("eye_left", "eye_right", "neck")
        for rig, bone in _usable(joint, convention, meter.rigs)[:1]
    ]
    forward, up = _guess_axes(meter.rigs, guess + others)
    plan = replace(plan, forward=forward, up=up)
    measured = front(_with_lips(meter, plan, jaws)) if meter.meshes else None
    if measured is None:
        return plan
    up = letter(measured[1])
    # of a head that is bent, what is level
    ahead = main_axis(np.where(np.abs(DIRECTIONS[up]) > 0, 0.0, measured[0]))
    return plan if ahead is None else replace(plan, forward=letter(ahead), up=up)


def _fit_to_keys(plan: Mapping, meter: PointMeter) -> Mapping:
    """The mapping adjusted to this character, by what its keys and its jaw do to the mesh with the
    lips."""
    jaws = jaw_rules(plan)
    opening = [*(rule for rule in plan.rules if rule.source == "jawOpen"), *jaws]
    if not meter.meshes or not opening:
        return plan
    face = Face(meter, plan)
    # what also closes the mouth is measured opening it; a control that shows something else the
    # other way is measured both ways
    amounts = {
        (rule.target, rule.weight < 0): 1.0 if rule.target.kind == "KEY" else rule.weight
        for rule in (*plan.rules, *opening)
        if rule.weight
    }
    offsets = {way: face.offsets({way[0]: by}) / by for way, by in amounts.items()}
    ahead, back = (
        {target: by for (target, goes_back), by in offsets.items() if goes_back == way and by.any()}
        for way in (False, True)
    )
    moved = back | ahead
    back = {t: by for t, by in back.items() if t in ahead and t.kind != "KEY"}
    lips = (*face.lips, face.up) if face.lips else None
    is_half = any("MIRROR" in meter.meshes[part].modifiers for part in face.parts)
    plan = jaw_balance.fit_to_keys(plan, moved, jaws, lips, is_half, back)
    if face.sounds:
        return plan
    # brings together lips that are modelled apart, so that they meet where a take's do: by a jaw
    # bone past rest, which leaves a key for closing its whole way
    fitted = Face(meter, plan)
    for source, rules, way in (("jawOpen", jaws, -1.0), ("mouthClose", plan.rules, 1.0)):
        closing = [rule for rule in rules if rule.source == source]
        if share := way * fitted.shut(source, way) if closing else 0.0:
            added = (Rule(mapping.REST, rule.target, share * rule.weight) for rule in closing)
            return replace(plan, rules=(*plan.rules, *added))
    return plan


def _rules_of_keys(recognised: conventions.Recognised, character: Character) -> list[Rule]:
    """Rules from channels to shape keys, or to the controls that drive those."""
    rules = []
    for channel, shapes in _with_mirrored(recognised, character).items():
        for name, weight in shapes.items():
            drivers = [key.driver for key in _keys_named(character.faces, {name})]
            if None in drivers:  # it moves freely on some object; copies follow it by drivers
                rules.append(Rule(channel, Target("KEY", name), weight))
                continue
            found = (driver.follow() for driver in drivers if driver is not None)
            target, distance, rest = next(filter(None, found), (None, 0.0, 0.0))
            if target is not None and target.kind == "KEY":
                target = _key_elsewhere(target, character, recognised)
            if target is not None:
                rules.append(Rule(channel, target, weight * distance))
                if abs(rest) > _STILL:
                    rules.append(Rule(mapping.DEFAULT, target, rest))
    return _without_rivals(list(dict.fromkeys(rules)))


def _without_rivals(rules: list[Rule]) -> list[Rule]:
    """Rules of which a control that shows two like shapes, one each way, shows the first alone: the
    other channel goes there, too, as far as it is like the first. Else where both are wanted they
    would leave neither."""
    ways = {(rule.source, rule.target): rule.weight for rule in rules}
    result = []
    for rule in rules:
        first, share = _LIKE.get(rule.source, ("", 0.0))
        weight = ways.get((first, rule.target), 0.0)
        is_rival = rule.target.kind != "KEY" and weight * rule.weight < 0
        result.append(replace(rule, weight=share * weight) if is_rival else rule)
    return result


def _with_mirrored(
    recognised: conventions.Recognised, character: Character
) -> dict[str, dict[str, float]]:
    """The shapes of each channel; a key of one side that a Mirror modifier shows on both, and that
    has no counterpart, is half of either's."""
    halves = [mesh for mesh in character.faces if "MIRROR" in mesh.modifiers]
    result, made_up = dict(recognised.shapes), recognised.fallbacks
    for channel, shapes in recognised.shapes.items():
        stem = channel.removesuffix("Left").removesuffix("Right")
        other = stem + ("Right" if channel.endswith("Left") else "Left")
        is_side = stem not in (channel, "jaw", "mouth") and not channel.startswith(GAZE)
        is_alone = channel not in made_up and (other not in result or other in made_up)
        if is_side and is_alone and any(shapes.keys() & mesh.keys for mesh in halves):
            result[channel] = result[other] = {name: 0.5 * by for name, by in shapes.items()}
    return result


def _key_elsewhere(
    target: Target, character: Character, recognised: conventions.Recognised
) -> Target | None:
    """A key that drives others as a control of a character, where it is on one of its objects or on
    another; None for one that has a rule of its own, as one that copies follow."""
    if any(target.name in shapes for shapes in recognised.shapes.values()):
        return None
    if _keys_named(character.faces, {target.name}):
        return target
    return replace(target, object=character.elsewhere.get(target.name, ""))


def _rules_of_properties(recognised: conventions.Recognised, character: Character) -> list[Rule]:
    return [
        Rule(channel, Target("PROPERTY", name, each.name, bone), weight)
        for channel, shapes in recognised.shapes.items()
        for name, weight in shapes.items()
        for each in character.parts
        for bone, property_name in each.properties
        if property_name == name
    ]


# ---- bones that turn jaw, eyes and neck, where no key moves these

_ENOUGH_MM = 6.0  # how far a jaw opens that turns as it is meant to
_NO_WAY = 1e-4  # share of a way that is none
# share of a head's height by which a jaw that is moved opens, as one that turns does
_LOWERED = 0.12

Place = tuple[Armature, str]  # an armature, and a bone of it


def _usable(
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


def _acting(meter: PointMeter, plan: Mapping, places: list[Place]) -> list[Place]:
    """Those of some bones whose turn moves a mesh; all where none is seen to."""
    if len(places) < 2:
        return places
    turns = [{Target("BONE", "", rig.name, bone, ROTATION, 0): 1.0} for rig, bone in places]
    parts = range(len(meter.meshes))
    acts = [any(meter.offsets(part, turn, plan).any() for part in parts) for turn in turns]
    return [place for place, is_seen in zip(places, acts) if is_seen] or places


def _find_joints(
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
                for source, (other, weight) in mapping.FALLBACKS.items()
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
            joints.append(JointRule(joint, places[0][1], places[0][0].name))
    if places := _usable("neck", convention, rigs)[:2]:
        joints += [JointRule("neck", bone, rig.name, 1.0 / len(places)) for rig, bone in places]
    return tuple(joints), rules


def _with_lips(meter: PointMeter, plan: Mapping, jaws: list[Place]) -> Face:
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
            if abs(by) > _NO_WAY
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


def _guess_axes(rigs: Sequence[Armature], joints: Sequence[JointRule]) -> tuple[str, str]:
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
