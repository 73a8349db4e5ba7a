# SPDX-License-Identifier: GPL-3.0-or-later
"""Detects how a character is driven: a mapping from the names of its keys, the controls behind
them, properties and bones, and from what these do to its face."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from . import conventions, jaw_balance, mapping
from .bones import jaw_rules
from .character import Character, Key, Mesh, PointMeter
from .facing import front, inverted, letter, main_axis
from .joints import acting, find_joints, guess_axes, usable, with_lips
from .mapping import Mapping, Rule, Target
from .measured_face import Face
from .reach import Reach

SCRIPTS = (
    "Drivers of this character need scripts: allow them in Preferences › Save & Load › Auto Run "
    "Python Scripts, and open the file again"
)
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
    jaws = acting(meter, plan, usable("jaw", convention, meter.rigs))
    plan = _face_forward(plan, meter, convention)
    wrong = {
        rule.target.name: words
        for source, words in (
            inverted(with_lips(meter, plan, jaws)) if meter.meshes else {}
        ).items()
        for rule in plan.rules
        if rule.source == source and source not in fallbacks
    }
    if wrong:
        unused += [f"“{name}” {words}" for name, words in wrong.items()]
        names, properties = (
            tuple(name for name in every if name not in wrong) for every in (names, properties)
        )
        facing = {"forward": plan.forward, "up": plan.up}
        plan, convention, _ = _by_names(meter, names, properties)
        plan = replace(plan, **facing)
    joints, more = find_joints(convention, meter, plan, jaws)
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
    jaws = usable("jaw", convention, meter.rigs, also_ruled=True)
    guess = [mapping.JointRule("jaw", bone, rig.name) for rig, bone in jaws]
    others = [
        mapping.JointRule(joint, bone, rig.name)
        for joint in ("eye_left", "eye_right", "neck")
        for rig, bone in usable(joint, convention, meter.rigs)[:1]
    ]
    forward, up = guess_axes(meter.rigs, guess + others)
    plan = replace(plan, forward=forward, up=up)
    measured = front(with_lips(meter, plan, jaws)) if meter.meshes else None
    if measured is None:
        return plan
    up = letter(measured[1])
    # of a head that is bent, what is level
    ahead = main_axis(np.where(np.abs(mapping.DIRECTIONS[up]) > 0, 0.0, measured[0]))
    return plan if ahead is None else replace(plan, forward=letter(ahead), up=up)


def _fit_to_keys(plan: Mapping, meter: PointMeter) -> Mapping:
    """The mapping adjusted to this character, by what its keys and its jaw do to the mesh with the
    lips."""
    jaws = jaw_rules(plan)
    opening = [*(rule for rule in plan.rules if rule.source == "jawOpen"), *jaws]
    if not meter.meshes or not opening:
        return plan
    face = Face(meter, plan)
    amounts = {
        rule.target: 1.0 if rule.target.kind == "KEY" else rule.weight
        for rule in (*plan.rules, *opening)  # what also closes the mouth is measured opening it
        if rule.weight
    }
    moved = {target: face.offsets({target: amount}) / amount for target, amount in amounts.items()}
    moved = {target: by for target, by in moved.items() if by.any()}
    lips = (*face.lips, face.up) if face.lips else None
    plan = jaw_balance.fit_to_keys(plan, moved, jaws, lips)
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
    for channel, shapes in recognised.shapes.items():
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
    return list(dict.fromkeys(rules))


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
