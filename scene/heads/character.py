# SPDX-License-Identifier: GPL-3.0-or-later
"""The animator's character: its objects, the names of its shapes, and how it is driven."""

from dataclasses import replace
from functools import lru_cache

import bpy
import numpy as np

from ...thunder_core.errors import BadHead
from ...thunder_core.face.mapping import Mapping
from ...thunder_core.face.reading.character import PointMeter
from ...thunder_core.face.reading.detecting import SCRIPTS
from . import binding, drawn, head_state, reading
from .detection import detect, reach_of, unused_of
from .family import face_of, relatives, rest_of


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


def resolve(obj: bpy.types.Object) -> binding.Binding:
    """What the mapping of the character that an object belongs to moves, its face the first of the
    objects. Raises BadHead with the reason if Thunder cannot move it."""
    face = face_of(obj)
    if face is None:
        raise BadHead(
            f"“{obj.name}” has no shape keys that Thunder knows: choose another object, map it by "
            f"hand, or press Add Head"
        )
    plan = plan_of(face)
    if plan.drawn:
        return drawn.bind(face, plan)
    objects = objects_of(face, plan)
    keys = face.data.shape_keys if face.type == "MESH" else None
    moves_face = keys is not None and any(
        rule.target.kind == "KEY" and rule.target.name in keys.key_blocks for rule in plan.rules
    )
    bound = binding.bind(plan, objects, (keys,) if moves_face else ())
    reasons = unused_of(face, plan)
    unused = "".join(f" ({reason})" for reason in reasons[:1])
    if not bound.targets and not unused:
        raise BadHead(
            f"The mapping of “{face.name}” fits none of its objects: press Find by Names again or "
            f"map it by hand"
        )
    if not ({"jawOpen", "jaw.x"} & bound.driver.used or bound.driver.leads):
        if SCRIPTS in reasons:
            raise BadHead(SCRIPTS)
        raise BadHead(
            f"“{face.name}” has no jaw{unused}: it needs a shape key such as “jawOpen” or a jaw "
            f"bone, map one by hand in Thunder Character"
        )
    return bound


def faults_of(face: bpy.types.Object) -> list[str]:
    """Sentences on what is missing, inverted or not used on a character."""
    plan = plan_of(face)
    seen = reach_of(face, plan)
    return [
        *seen.faults.values(),
        *map(_sentence, unused_of(face, plan)),
        *(["Left and right appear to be swapped"] if seen.is_mirrored else []),
    ]


def _sentence(reason: str) -> str:
    return reason if reason == SCRIPTS else f"{reason}, so it is not used"


def say_unused(face: bpy.types.Object) -> str:
    """A sentence on what is not as it is called: names that are not used, unless the animator has
    mapped the character, and channels that do the opposite; "" for nothing."""
    plan = plan_of(face)
    names = () if head_state.mapping(face) else unused_of(face, plan)
    wrong = [*map(_sentence, names)]
    wrong += [
        sentence
        for name, sentence in reach_of(face, plan).faults.items()
        if name in plan.used or f"{name}Left" in plan.used
    ]
    more = f" ({len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return f"{wrong[0]}{more}: look in Thunder Character" if wrong else ""


def lids_of(face: bpy.types.Object, plan: Mapping) -> np.ndarray | None:
    """Weights [2, K] of a face's points whose mean is where its left and its right eye is: of those
    that its blinks move. None if it has no shape keys for these, or they move nothing."""
    rules = {rule.source: rule.target for rule in plan.rules if rule.target.kind == "KEY"}
    left, right = (rules.get(source) for source in ("eyeBlinkLeft", "eyeBlinkRight"))
    read = reading.read([face], [])
    keys = set(read.names)
    if left is None or right is None or left == right or not {left.name, right.name} <= keys:
        return None
    meter = PointMeter(read)
    moved = np.array(
        [np.linalg.norm(meter.offsets(0, {each: 1.0}, plan), axis=1) for each in (left, right)]
    )
    return moved / moved.sum(axis=1, keepdims=True) if moved.max(axis=1).min() > 1e-9 else None


EYES_ABOVE_LIPS_MM, EYES_BELOW_TOP_MM = 70.0, 110.0  # of a head of usual height
_AROUND = 20  # points near the middle between the eyes by which it is followed


def between_eyes(face: bpy.types.Object, plan: Mapping) -> tuple[bpy.types.Object, np.ndarray]:
    """A mesh of a character, and the weights [K] of its points whose mean is between its eyes: by
    its blinks, else at the height of eyes above its lips, else below the top of its head."""
    if (lids := lids_of(face, plan)) is not None:
        return face, lids.mean(axis=0)
    seen = reach_of(face, plan)
    scene = face.users_scene[0]
    part, base = (scene.objects.get(name) or face for name in ((seen.parts or ("",))[0], seen.base))
    points = rest_of(part)
    lips = [vertex for vertex in (*seen.upper, *seen.lower) if vertex < len(points)]
    into = np.array(part.matrix_world.inverted_safe() @ base.matrix_world)[:3, :3]
    up = into @ np.array(seen.up) / seen.mm  # a millimetre
    if lips:
        middle = points[lips].mean(axis=0) + EYES_ABOVE_LIPS_MM * up
    else:
        far = points @ up / (up @ up)  # mm
        middle = points.mean(axis=0) + (far.max() - EYES_BELOW_TOP_MM - far.mean()) * up
    near = np.argsort(np.linalg.norm(points - middle, axis=1))[:_AROUND]
    return part, np.bincount(near, minlength=len(points)) / len(near)


def swap_sides(plan: Mapping) -> Mapping:
    """The same mapping with left and right exchanged."""
    flip = bpy.utils.flip_name
    return replace(
        plan,
        rules=tuple(replace(rule, source=flip(rule.source)) for rule in plan.rules),
        joints=tuple(replace(rule, joint=flip(rule.joint)) for rule in plan.joints),
    )
