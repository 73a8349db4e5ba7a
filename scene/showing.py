# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting a take on a head and giving the head back: the animator's own animation plays on around the take, untouched."""

from __future__ import annotations

import json

import bpy

from ..thunder_core.errors import BadRequest
from . import compat, head

TRACK = "Thunder: My Animation"  # NLA track that plays the animator's own action under a take that is shown
FAR = 100_000.0  # frames either way that the track covers: cycles and extrapolation go on as in the action itself
ROTATION_PATHS = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}


def actions_of(entry) -> list[bpy.types.Action]:
    return [action for action in (entry.action, entry.key_action) if action is not None]


def is_shown(rig: head.Rig, entry) -> bool:
    return entry.action is not None and _shown_action(rig) == entry.action


def _shown_action(rig: head.Rig):
    """The take on the head now, None for the animator's own animation, whoever assigned it."""
    shown = rig.owner.thunder.shown
    animation = rig.targets[0].animation_data
    return shown if shown is not None and animation is not None and animation.action == shown else None


def show(rig: head.Rig, entry) -> None:
    """Put a take on a head, its own animation remembered. Under 30 ms; raises BadHead or BadRequest."""
    if not actions_of(entry):
        raise BadRequest(f"The action of “{entry.name}” was deleted: generate the take again from seed {entry.seed}")
    head.check_animatable(rig)
    if _shown_action(rig) is None:
        remember_own(rig)
        for target in rig.targets:
            _play_under(target)
    _rest(rig)
    actions = actions_of(entry)
    for index, target in enumerate(rig.targets):
        compat.assign_action(target, actions[min(index, len(actions) - 1)])
        animation = target.animation_data
        # A take is seen as it is, whatever the animator's own action is mixed with; outside its frames and on
        # what it does not move, the animator's own animation goes on.
        animation.action_blend_type, animation.action_influence = "REPLACE", 1.0
        animation.action_extrapolation = "NOTHING" if base_track(target) else "HOLD"
    rig.owner.thunder.shown = actions[0]


def base_track(target):
    """The NLA track of ours under the take that a data-block shows, or None."""
    animation = target.animation_data
    return next((track for track in animation.nla_tracks if track.name.startswith(TRACK)), None) if animation else None


def _play_under(target) -> None:
    """Let a data-block's active action play as the uppermost NLA track, exactly as it plays now."""
    animation = target.animation_data
    if animation is None or animation.action is None:
        return
    action, slot = animation.action, compat.slot_of(target)
    first, last = action.frame_range
    track = animation.nla_tracks.new()
    track.name = TRACK
    strip = track.strips.new(TRACK, int(first), action)
    compat.set_strip_slot(strip, slot)
    if animation.action_extrapolation == "HOLD":
        strip.action_frame_start, strip.action_frame_end = -FAR, FAR
        strip.frame_start_ui = -FAR
    strip.extrapolation = animation.action_extrapolation
    strip.blend_type = animation.action_blend_type
    if animation.action_influence != 1.0:
        strip.use_animated_influence = True
        strip.influence = animation.action_influence


def remove_base(rig: head.Rig) -> None:
    """Take our NLA track away again."""
    for target in rig.targets:
        while (track := base_track(target)) is not None:
            target.animation_data.nla_tracks.remove(track)


def show_own(rig: head.Rig) -> None:
    """Give a head back the animation and the still pose that it had before takes were shown."""
    if _shown_action(rig) is None:
        remove_base(rig)
        return
    remove_base(rig)
    state = json.loads(rig.owner.thunder.own_state or "{}")
    _rest(rig)
    for target, action, kept in zip(rig.targets, own_actions(rig), own_targets(rig)):
        compat.assign_action(target, action, kept.get("slot", ""))
        animation = target.animation_data
        for name in ("action_blend_type", "action_influence", "action_extrapolation"):
            if name in kept:
                setattr(animation, name, kept[name])
    for channel, value in state.get("keys", {}).items():
        if channel in rig.keys.key_blocks:
            rig.keys.key_blocks[channel].value = value
    for bone, rotation in state.get("bones", {}).items():
        if rig.armature is not None and bone in rig.armature.pose.bones:
            pose = rig.armature.pose.bones[bone]
            pose.rotation_mode = rotation["mode"]
            setattr(pose, _rotation_name(pose), rotation["values"])
    rig.owner.thunder.shown = None
    for target in rig.targets:
        target.update_tag()


def own_actions(rig: head.Rig) -> list:
    """The animator's own action of each target of a rig, None where there was none, as last remembered."""
    memory = rig.owner.thunder
    return [memory.own_key_action if target.id_type == "KEY" else memory.own_action for target in rig.targets]


def own_targets(rig: head.Rig) -> list[dict]:
    """Slot and blending of each of them."""
    kept = json.loads(rig.owner.thunder.own_state or "{}").get("targets", [])
    return kept if len(kept) == len(rig.targets) else [{}] * len(rig.targets)


def remember_own(rig: head.Rig) -> None:
    """Note what is on a head now as the animator's own: actions, slots, blending, still values."""
    remove_base(rig)
    memory = rig.owner.thunder
    memory.own_action = memory.own_key_action = None
    kept = []
    for target in rig.targets:
        animation = target.animation_data
        action = animation.action if animation else None
        if target.id_type == "KEY":
            memory.own_key_action = action
        else:
            memory.own_action = action
        kept.append({} if animation is None else {
            "slot": compat.slot_of(target), "action_blend_type": animation.action_blend_type,
            "action_influence": animation.action_influence, "action_extrapolation": animation.action_extrapolation,
        })
    keys = {block.name: block.value for block in rig.keys.key_blocks}
    bones = {}
    for name in head.JOINTS if rig.armature is not None else ():
        pose = rig.armature.pose.bones.get(name)
        if pose is not None:
            bones[name] = {"mode": pose.rotation_mode, "values": list(getattr(pose, _rotation_name(pose)))}
    memory.own_state = json.dumps({"targets": kept, "keys": keys, "bones": bones})


def _rotation_name(pose_bone) -> str:
    return ROTATION_PATHS.get(pose_bone.rotation_mode, "rotation_euler")


def _rest(rig: head.Rig) -> None:
    """Zero everything that a take or the animator's own action moves on the face, or its pose would leak."""
    moved = {*rig.channels, *rig.jaw_keys}
    for curve in compat.curves_for(rig.keys):
        if curve.data_path.startswith('key_blocks["') and curve.data_path.endswith('"].value'):
            moved.add(curve.data_path[len('key_blocks["'):-len('"].value')])
    for channel in moved:
        if channel in rig.keys.key_blocks:
            rig.keys.key_blocks[channel].value = 0.0
    for name in head.JOINTS[1:] if rig.armature is not None else ():
        pose = rig.armature.pose.bones.get(name)
        if pose is not None:
            pose.rotation_quaternion = (1.0, 0.0, 0.0, 0.0)
            pose.rotation_axis_angle = (0.0, 0.0, 1.0, 0.0)
            pose.rotation_euler = (0.0, 0.0, 0.0)
