# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit: the animator's own animation with the take put in, as new actions; what was there stays in the file."""

from __future__ import annotations

import bpy
import numpy as np

from . import compat, head, showing
from .keying import PROPERTY

# What makes up a key, with the type and the length that foreach_get wants.
_KEY = {
    "co": (np.float32, 2), "handle_left": (np.float32, 2), "handle_right": (np.float32, 2),
    "interpolation": (np.int32, 1), "easing": (np.int32, 1), "handle_left_type": (np.int32, 1),
    "handle_right_type": (np.int32, 1), "amplitude": (np.float32, 1), "back": (np.float32, 1), "period": (np.float32, 1),
}


def commit(rig: head.Rig, entry, name: str) -> list[bpy.types.Action]:
    """Make a take the animator's own animation; returns the new actions, now active on the rig.

    They are copies of the animator's actions in which the take's curves replace the keys from the take's first to
    its last frame: other channels and other lines stay. Without an action of their own it is a copy of the take.
    The take, and the actions that were there, stay in the file unchanged. Raises BadHead or BadRequest.
    """
    showing.show(rig, entry)
    own, kept = showing.own_actions(rig), showing.own_targets(rig)
    made: dict = {}  # the animator's action → its copy
    for action in own:
        if action is not None:
            action.use_fake_user = True  # without a user the next save would drop it
            if action not in made:
                made[action] = _named(action.copy(), name)
    results = []
    taken = [compat.curves_for(target) for target in rig.targets]
    alone = None  # the copy of a take that stands for targets without an action of their own
    for index, (target, action, state) in enumerate(zip(rig.targets, own, kept)):
        slot = compat.slot_of(target)
        if action is not None:
            result, slot = made[action], state.get("slot", "")
        elif made and compat.HAS_SLOTS:
            result, slot = next(iter(made.values())), ""
        else:
            if alone is None or not compat.HAS_SLOTS:
                actions = showing.actions_of(entry)
                alone = _named(actions[min(index, len(actions) - 1)].copy(), name)
            results.append((alone, slot))
            continue
        curves = compat.curves_in(result, target, slot)
        for curve in taken[index]:
            merge(curves, curve, entry.first, entry.last)
        results.append((result, slot))
    source = showing.actions_of(entry)[0]
    showing.remove_base(rig)
    for target, (action, slot), state in zip(rig.targets, results, kept):
        action[PROPERTY] = source[PROPERTY].to_dict()
        compat.assign_action(target, action, slot)
        target.animation_data.action_extrapolation = state.get("action_extrapolation", "HOLD")
    rig.owner.thunder.shown = None
    showing.remember_own(rig)
    return list(dict.fromkeys(action for action, _ in results))


def _named(action: bpy.types.Action, name: str) -> bpy.types.Action:
    action.name = name
    action.use_fake_user = False
    return action


def merge(curves, taken, first: int, last: int) -> None:
    """Put the keys of a curve into the curve of the same path in a collection, in place of those in first … last."""
    found = curves.find(taken.data_path, index=taken.array_index)
    keys = _read(taken)
    if found is None:
        group = taken.group.name if taken.group else ""
        found = compat.new_curve(curves, taken.data_path, taken.array_index, group)
    else:
        own = _read(found)
        outside = (own["co"][:, 0] < first - 0.5) | (own["co"][:, 0] > last + 0.5)
        keys = {part: np.concatenate([own[part][outside], keys[part]]) for part in _KEY}
        order = np.argsort(keys["co"][:, 0], kind="stable")
        keys = {part: values[order] for part, values in keys.items()}
    points = found.keyframe_points
    points.clear()
    points.add(len(keys["co"]))
    for part, values in keys.items():
        points.foreach_set(part, np.ascontiguousarray(values).ravel())
    found.update()


def _read(curve) -> dict[str, np.ndarray]:
    """The keys of a curve, [count, length] for each part of a key."""
    count, keys = len(curve.keyframe_points), {}
    for part, (kind, length) in _KEY.items():
        buffer = np.empty(count * length, kind)
        curve.keyframe_points.foreach_get(part, buffer)
        keys[part] = buffer.reshape(count, length)
    return keys
