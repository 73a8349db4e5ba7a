# SPDX-License-Identifier: GPL-3.0-or-later
"""The animator's character: its objects, the names of its shapes, and how it is driven."""

from dataclasses import dataclass, replace
from functools import lru_cache

import bpy
import numpy as np

from ...thunder_core.errors import BadHead
from ...thunder_core.face.mapping import Mapping
from . import binding, head_state
from .detection import detect, unused_of
from .family import face_of, points_of, relatives


def objects_of(face: bpy.types.Object, plan: Mapping) -> list[bpy.types.Object]:
    """The objects a character's mapping may move: its relatives, and objects that rules name."""
    scenes, result = face.users_scene, [face, *relatives(face)]
    wanted = {rule.target.object for rule in plan.rules} | {rule.object for rule in plan.joints}
    for name in sorted(wanted - {""} - {other.name for other in result}):
        # a separate control rig
        result += [scene.objects[name] for scene in scenes if name in scene.objects]
    return list(dict.fromkeys(result))


def plan_of(face: bpy.types.Object) -> Mapping:
    """The mapping of a character: the stored one, else one detected from its names. Raises BadHead
    if the stored one is damaged."""
    text = head_state.mapping(face)
    return _kept(text) if text else detect(face)


_kept = lru_cache(maxsize=32)(Mapping.from_json)


@dataclass(frozen=True)
class Character:
    """A character as it is now: the object that represents it, its mapping, its objects, what those
    bind to."""

    face: bpy.types.Object
    plan: Mapping
    objects: list
    bound: binding.Binding


def resolve(obj: bpy.types.Object) -> Character:
    """The character that an object belongs to. Raises BadHead with the reason if Thunder cannot
    move it."""
    face = face_of(obj)
    if face is None:
        raise BadHead(
            f"“{obj.name}” has no shape keys that Thunder knows: choose another object, map it by "
            f"hand, or press Add Head"
        )
    plan = plan_of(face)
    objects = objects_of(face, plan)
    keys = face.data.shape_keys if face.type == "MESH" else None
    moves_face = keys is not None and any(
        rule.target.kind == "KEY" and rule.target.name in keys.key_blocks for rule in plan.rules
    )
    bound = binding.bind(plan, objects, (keys,) if moves_face else ())
    if not bound.targets:
        raise BadHead(
            f"The mapping of “{face.name}” fits none of its objects: press Find by Names again or "
            f"map it by hand"
        )
    if not {"jawOpen", "jaw.x"} & bound.driver.used:
        unused = "".join(f" ({reason})" for reason in unused_of(face)[:1])
        raise BadHead(
            f"“{face.name}” has no jaw{unused}: it needs a shape key such as “jawOpen” or a jaw "
            f"bone, map one by hand"
        )
    return Character(face, plan, objects, bound)


def used_sources(plan: Mapping, bound: binding.Binding) -> set[str]:
    """Names of the channels, keys and joints that truly move something."""
    unmet = set(bound.unmet)
    return {rule.source for rule in plan.rules if rule not in unmet and rule.weight} | {
        rule.joint for rule in plan.joints if rule not in unmet and rule.scale
    }


def is_mirrored(character: Character) -> bool:
    """Whether a character's left and right are swapped, judged by the eye that its left blink
    closes.

    Its facing is known from its shape: lids are in front of its middle. False if that is unclear.
    """
    rules = {rule.source: rule.target for rule in character.plan.rules if rule.target.kind == "KEY"}
    left, right = rules.get("eyeBlinkLeft"), rules.get("eyeBlinkRight")
    face = character.face
    if (
        left is None
        or right is None
        or left == right
        or face.type != "MESH"
        or face.data.shape_keys is None
    ):
        return False
    blocks = face.data.shape_keys.key_blocks
    if left.name not in blocks or right.name not in blocks:
        return False
    return _closes_other_eye(face, blocks[left.name], blocks[right.name])


def _closes_other_eye(face, left, right) -> bool:
    rest = points_of(face.data.shape_keys.reference_key.data)
    eyes = []
    for block in (left, right):
        moved = np.linalg.norm(points_of(block.data) - rest, axis=1)
        if moved.max() < 1e-9:
            return False
        eyes.append(np.average(rest, axis=0, weights=moved))
    turn = np.array(face.matrix_world.to_3x3())
    rest, eyes = rest @ turn.T, np.array(eyes) @ turn.T
    ahead = (eyes.mean(axis=0) - (rest.min(axis=0) + rest.max(axis=0)) / 2)[:2]
    apart = (eyes[0] - eyes[1])[:2]
    size = np.linalg.norm((rest.max(axis=0) - rest.min(axis=0))[:2])
    if np.linalg.norm(ahead) < 0.05 * size or np.linalg.norm(apart) < 0.02 * size:
        return False
    to_the_left = np.array([-ahead[1], ahead[0]])  # of somebody who looks ahead, seen from above
    return float(to_the_left @ apart) < -0.5 * float(
        np.linalg.norm(to_the_left) * np.linalg.norm(apart)
    )


def swap_sides(plan: Mapping) -> Mapping:
    """The same mapping with left and right exchanged."""

    def opposite(source: str) -> str:
        for one, two in (
            ("Left", "Right"),
            ("Right", "Left"),
            ("_left", "_right"),
            ("_right", "_left"),
        ):
            if source.endswith(one):
                return source[: -len(one)] + two
        return source

    return replace(
        plan,
        rules=tuple(replace(rule, source=opposite(rule.source)) for rule in plan.rules),
        joints=tuple(replace(rule, joint=opposite(rule.joint)) for rule in plan.joints),
    )
