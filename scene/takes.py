# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes as Blender data: keyed as actions, shown without touching the animator's own animation, committed as a copy."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import bpy
import numpy as np

from ..thunder_core.errors import BadRequest, ThunderError
from ..thunder_core.rotation import matrix_to_euler, rotvec_to_matrix, rotvec_to_quaternion
from ..thunder_core.types import Motion
from . import compat, head
from .resample import Clock, at_scene_frames

PROPERTY = "thunder"  # of an action: where a take comes from, enough to make it again
STILL = 1e-6  # a channel that moves less than this gets a single key
_BARS = "▁▂▃▄▅▆▇█"
_CURVE_STEPS = 7
_ROTATION_PATHS = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}


# ---- keying


@dataclass(frozen=True)
class Performance:
    """A sampled take as it comes from the engine: motion at 25 fps and what is known of it.

    opening, width: float32 [T], millimetres.  provenance: seed, score, engine, weights, audio, settings.
    """

    motion: Motion
    channels: tuple[str, ...]
    opening: np.ndarray
    width: np.ndarray
    seed: int
    score: float
    provenance: dict


def key(rig: head.Rig, performance: Performance, clock: Clock, name: str) -> list[bpy.types.Action]:
    """New actions (one from 4.4 on) that play a performance on a rig; nothing else in the file changes.

    Every take keys the same channels, on whole scene frames; the first sample of the sound is at clock.start.
    """
    frames = clock.scene_frames(performance.motion.frames)
    actions, curves = compat.new_action(name, rig.targets)
    by_target = dict(zip((target.id_type for target in rig.targets), curves))
    expression, jaw, neck, eyes = _on_scene_frames(performance, clock, frames)
    column = {channel: i for i, channel in enumerate(performance.channels)}
    values = {channel: expression[:, column[channel]] for channel in rig.channels if channel in column}
    values |= jaw_key_values(rig, jaw)
    for channel, samples in values.items():
        _write(by_target["KEY"], f'key_blocks["{channel}"].value', 0, "Thunder", frames, samples)
    if rig.armature is not None:
        for bone, rotation in (("neck", neck), ("jaw", jaw), ("eye_left", eyes), ("eye_right", eyes)):
            pose = rig.armature.pose.bones.get(bone)
            if pose is not None:
                path, components = rotation_curves(pose, rotation)
                for index in range(components.shape[1]):
                    _write(by_target["OBJECT"], path, index, bone, frames, components[:, index])
    for action in actions:
        action.use_fake_user = True
        action[PROPERTY] = performance.provenance | {
            "seed": performance.seed, "score": performance.score, "checksum": checksum(action),
        }
    return actions


def _on_scene_frames(performance: Performance, clock: Clock, frames: np.ndarray) -> list[np.ndarray]:
    motion = performance.motion
    still = np.zeros_like(motion.jaw)
    parts = [motion.expression, motion.jaw, motion.head if motion.head is not None else still,
             motion.eyes if motion.eyes is not None else still]
    resampled = at_scene_frames(clock, np.concatenate(parts, axis=1), frames, performance.opening)
    return np.split(resampled, np.cumsum([part.shape[1] for part in parts])[:-1], axis=1)


def jaw_key_values(rig: head.Rig, jaw: np.ndarray) -> dict[str, np.ndarray]:
    """Jaw rotation vectors [S, 3] as ARKit's jaw keys, for a head that has them instead of our bone."""
    side = jaw[:, 1] / head.JAW_SIDE_RADIANS
    values = {"jawOpen": jaw[:, 0] / head.JAW_OPEN_RADIANS, "jawLeft": np.maximum(side, 0), "jawRight": np.maximum(-side, 0)}
    return {name: values[name] for name in rig.jaw_keys}


def rotation_curves(pose_bone, rotvec: np.ndarray) -> tuple[str, np.ndarray]:
    """Data path and curve values [S, 3 or 4] of rotation vectors [S, 3] in a bone's own rotation mode."""
    mode = pose_bone.rotation_mode
    start = f'pose.bones["{pose_bone.name}"].'
    if mode == "QUATERNION":
        return start + "rotation_quaternion", rotvec_to_quaternion(rotvec)
    if mode == "AXIS_ANGLE":
        angle = np.linalg.norm(rotvec, axis=1, keepdims=True)
        axis = np.where(angle > 1e-9, rotvec / np.maximum(angle, 1e-9), [0.0, 1.0, 0.0])
        return start + "rotation_axis_angle", np.concatenate([angle, axis], axis=1)
    return start + "rotation_euler", matrix_to_euler(rotvec_to_matrix(rotvec), mode)


def _write(curves, path: str, index: int, group: str, frames: np.ndarray, values: np.ndarray) -> None:
    if np.ptp(values) < STILL:
        frames, values = frames[:1], values[:1]
    curve = compat.new_curve(curves, path, index, group)
    points = curve.keyframe_points
    count = len(frames)
    points.add(count)
    points.foreach_set("co", np.stack([frames, values], axis=1).astype(np.float32).ravel())
    points.foreach_set("interpolation", np.full(count, compat.BEZIER, np.int32))
    # Clamped handles never overshoot a key, so lips that close stay closed between frames as well.
    points.foreach_set("handle_left_type", np.full(count, compat.AUTO_CLAMPED, np.int32))
    points.foreach_set("handle_right_type", np.full(count, compat.AUTO_CLAMPED, np.int32))
    curve.update()


def checksum(action) -> str:
    """Fingerprint of an action's keys: tells a take the animator edited from one that can be made again."""
    digest = hashlib.sha256()
    for curve in compat.all_curves(action):
        points = curve.keyframe_points
        digest.update(f"{curve.data_path}|{curve.array_index}|{len(points)}|{len(curve.modifiers)}|{curve.mute}".encode())
        for name in ("co", "handle_left", "handle_right"):
            buffer = np.empty(2 * len(points), np.float32)
            points.foreach_get(name, buffer)
            digest.update(buffer.tobytes())
        kinds = np.empty(len(points), np.int32)
        points.foreach_get("interpolation", kinds)
        digest.update(kinds.tobytes())
    return digest.hexdigest()[:16]


# ---- the list


def add_to_list(scene, rig: head.Rig, actions: list, performance: Performance, voice: str, clock: Clock):
    """Enter a keyed take in the scene's list; returns the entry."""
    frames = clock.scene_frames(performance.motion.frames)
    entry = scene.thunder.takes.add()
    entry.name = actions[0].name
    entry.action = actions[0]
    entry.key_action = actions[1] if len(actions) > 1 else None
    entry.head, entry.voice = rig.mesh, voice
    entry.seed, entry.score = performance.seed, performance.score
    entry.curve = bars(performance.opening)
    entry.first, entry.last = int(frames[0]), int(frames[-1])
    return entry


def bars(opening: np.ndarray) -> str:
    """A mouth-opening curve as a few characters for a list."""
    pieces = np.array_split(np.asarray(opening, dtype=float), min(_CURVE_STEPS, len(opening)))
    tops = np.array([piece.max() for piece in pieces])
    level = np.round((tops - tops.min()) / max(np.ptp(tops), 1.0) * (len(_BARS) - 1)).astype(int)
    return "".join(_BARS[i] for i in level)


def actions_of(entry) -> list[bpy.types.Action]:
    return [action for action in (entry.action, entry.key_action) if action is not None]


def is_edited(entry) -> bool:
    """Whether the animator changed the keys of a take since it was made."""
    return any(action.get(PROPERTY) is None or action[PROPERTY].get("checksum") != checksum(action)
               for action in actions_of(entry))


def forget_replaced(scene, rig: head.Rig, voice: str, kept: set[str]) -> None:
    """Drop earlier takes of the same voice on the same head, whose seeds can make them again.

    A take that was edited, or that something else in the file uses, stays: in the list, or as an action.
    kept: names of the actions just made.
    """
    takes = scene.thunder.takes
    for index in reversed(range(len(takes))):
        entry = takes[index]
        if entry.action is None:
            takes.remove(index)
        elif entry.head == rig.mesh and entry.voice == voice and entry.action.name not in kept:
            if is_edited(entry) or is_shown(rig, entry):
                continue
            actions = actions_of(entry)
            takes.remove(index)
            for action in actions:
                if action.users <= int(action.use_fake_user):
                    bpy.data.actions.remove(action)


# ---- showing


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
        _remember_own(rig)
    _rest(rig)
    actions = actions_of(entry)
    for index, target in enumerate(rig.targets):
        compat.assign_action(target, actions[min(index, len(actions) - 1)])
        animation = target.animation_data
        # A take is seen as it is, whatever the animator's own action is mixed with.
        animation.action_blend_type, animation.action_influence = "REPLACE", 1.0
        animation.action_extrapolation = "HOLD"
    rig.owner.thunder.shown = actions[0]


def show_own(rig: head.Rig) -> None:
    """Give a head back the animation and the still pose that it had before takes were shown."""
    if _shown_action(rig) is None:
        return
    state = json.loads(rig.owner.thunder.own_state or "{}")
    own = [rig.owner.thunder.own_action, rig.owner.thunder.own_key_action]
    if rig.armature is None:
        own = own[1:]
    _rest(rig)
    for target, action, kept in zip(rig.targets, own, state.get("targets", [{}] * len(own))):
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


def _remember_own(rig: head.Rig) -> None:
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
    return _ROTATION_PATHS.get(pose_bone.rotation_mode, "rotation_euler")


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


def rig_of(scene, entry) -> head.Rig:
    """The rig that a take was made for. Raises BadHead when it is gone."""
    if entry.head is None or entry.head.name not in scene.objects:
        raise BadRequest(f"The head of “{entry.name}” is no longer in this scene: generate takes for another head")
    return head.resolve(entry.head)


def commit(rig: head.Rig, entry, name: str) -> list[bpy.types.Action]:
    """Make a copy of a take the animator's own animation; the take and what was there before stay in the file."""
    show(rig, entry)
    memory = rig.owner.thunder
    for previous in (memory.own_action, memory.own_key_action):
        if previous is not None:
            previous.use_fake_user = True  # without a user the next save would drop it
    copies = []
    for action in actions_of(entry):
        copy = action.copy()
        copy.name = name
        copy.use_fake_user = False
        copies.append(copy)
    for index, target in enumerate(rig.targets):
        compat.assign_action(target, copies[min(index, len(copies) - 1)], compat.slot_of(target))
    memory.shown = None
    _remember_own(rig)
    return copies


# ---- the list's selection


def shown_index(settings) -> int:
    """Index in the list of the take that is on its head now, −1 for none: what UIList highlights."""
    for index, entry in enumerate(settings.takes):
        if entry.action is None or entry.head is None:
            continue
        owner = head.armature_of(entry.head) or entry.head
        target = owner if owner is not entry.head else entry.head.data.shape_keys
        animation = target.animation_data if target is not None else None
        if owner.thunder.shown == entry.action and animation is not None and animation.action == entry.action:
            return index
    return -1


def shown_rig(settings) -> head.Rig | None:
    """The rig of the take that is on its head now."""
    index = shown_index(settings)
    return head.resolve(settings.takes[index].head) if index >= 0 else None


def chosen_mesh(context):
    """Mesh of the head that the settings mean now, None when there is none."""
    try:
        return head.find(context.scene, context.object).mesh
    except ThunderError:
        return None


def show_index(settings, index: int) -> None:
    """Show the take at an index of the list (−1: the animator's own animation)."""
    scene = settings.id_data
    try:
        if 0 <= index < len(settings.takes):
            entry = settings.takes[index]
            show(rig_of(scene, entry), entry)
        else:
            show_own(shown_rig(settings) or head.find(scene))
    except ThunderError as error:
        message = str(error)
        if not bpy.app.background:
            bpy.context.window_manager.popup_menu(
                lambda menu, context: menu.layout.label(text=message), title="Thunder", icon="ERROR")
        else:
            raise
