# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes mapping rules from a pose: its difference from rest is a channel's effect at 1."""

from __future__ import annotations

import numpy as np

from ...thunder_core.errors import BadRequest
from ...thunder_core.face.mapping import Mapping, Rule, Target
from ...thunder_core.rotation import quaternion_to_rotvec
from . import binding

_STILL = 1e-4


def rules_of_pose(source: str, plan: Mapping, objects: list, amount: float = 1.0) -> list[Rule]:
    """Rules by which a channel at `amount` makes the current pose of a character's objects.

    Shape keys, bones and custom properties that are not at rest are taken. Raises BadRequest if everything is at rest.
    """
    if abs(amount) < _STILL:
        raise BadRequest("A channel at 0 has no pose: preview it at another amount")
    rules = []
    for obj in objects:
        keys = obj.data.shape_keys if obj.type == "MESH" else None
        for block in keys.key_blocks[1:] if keys is not None else ():
            if abs(block.value) > _STILL:
                rules.append(Rule(source, Target("KEY", block.name), block.value / amount))
        rules += _of_properties(source, obj, obj, "", amount)
        for pose in obj.pose.bones if obj.type == "ARMATURE" else ():
            rules += _of_bone(source, plan, obj, pose, amount)
            rules += _of_properties(source, obj, pose, pose.name, amount)
    if not rules:
        raise BadRequest(f"Nothing is posed: pose the face as “{source}” at its strongest, then press Learn again")
    return list({(rule.target): rule for rule in rules}.values())


def _of_bone(source: str, plan: Mapping, obj, pose, amount: float) -> list[Rule]:
    rules = []
    for path, rest in (("location", 0.0), ("scale", 1.0)):
        for index, value in enumerate(getattr(pose, path)):
            if abs(value - rest) > _STILL:
                rules.append(Rule(source, Target("BONE", "", obj.name, pose.name, path, index), (value - rest) / amount))
    turn = quaternion_to_rotvec(np.array(pose.matrix_basis.to_quaternion()))
    turn = binding.basis(obj, pose.name, plan).T @ turn
    for index, value in enumerate(turn):
        if abs(value) > _STILL:
            rules.append(Rule(source, Target("BONE", "", obj.name, pose.name, "rotation", index), float(value) / amount))
    return rules


def _of_properties(source: str, obj, owner, bone: str, amount: float) -> list[Rule]:
    rules = []
    for name in owner.keys():
        value = owner.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            moved = value - binding.resting(owner, name)
            if abs(moved) > _STILL:
                rules.append(Rule(source, Target("PROPERTY", name, obj.name, bone), moved / amount))
    return rules
