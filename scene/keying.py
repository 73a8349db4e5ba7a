# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances become keys: actions of their own, on whole scene frames, with where they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import bpy
import numpy as np

from ..thunder_core.rotation import matrix_to_euler, rotvec_to_matrix, rotvec_to_quaternion
from ..thunder_core.types import Motion
from . import compat, head
from .resample import Clock, at_scene_frames

PROPERTY = "thunder"  # of an action: where a take comes from, enough to make it again
STILL = 1e-6  # a channel that moves less than this gets a key at either end alone


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


def key(rig: head.Rig, performance: Performance, clock: Clock, name: str) -> Iterator[list[bpy.types.Action]]:
    """New actions (one from 4.4 on) that play a performance on a rig; nothing else in the file changes.

    Every take keys the same channels, on whole scene frames; the first sample of the sound is at clock.start.
    A generator that writes a curve and yields the actions so far, to the end; what it yields last is complete.
    Closed before its end it removes them.
    """
    frames = clock.scene_frames(performance.motion.frames)
    actions, curves = compat.new_action(name, rig.targets)
    complete = False
    try:
        by_target = dict(zip((target.id_type for target in rig.targets), curves))
        for target, path, index, group, values in _curves(rig, performance, clock, frames):
            _write(by_target[target], path, index, group, frames, values)
            yield actions
        for action in actions:
            action.use_fake_user = True
            action[PROPERTY] = performance.provenance | {
                "seed": performance.seed, "score": performance.score, "checksum": checksum(action),
            }
        complete = True
        yield actions
    finally:
        if not complete:
            for action in actions:
                bpy.data.actions.remove(action)


def _curves(rig: head.Rig, performance: Performance, clock: Clock, frames: np.ndarray):
    """What a take keys: (type of the data-block, data path, index, group, values [S]) of each curve."""
    expression, jaw, neck, eyes = _on_scene_frames(performance, clock, frames)
    column = {channel: i for i, channel in enumerate(performance.channels)}
    values = {channel: expression[:, column[channel]] for channel in rig.channels if channel in column}
    values |= jaw_key_values(rig, jaw)
    for channel, samples in values.items():
        yield "KEY", f'key_blocks["{channel}"].value', 0, "Thunder", samples
    if rig.armature is None:
        return
    for bone, rotation in (("neck", neck), ("jaw", jaw), ("eye_left", eyes), ("eye_right", eyes)):
        pose = rig.armature.pose.bones.get(bone)
        if pose is not None:
            path, components = rotation_curves(pose, rotation)
            for index in range(components.shape[1]):
                yield "OBJECT", path, index, bone, components[:, index]


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
    if np.ptp(values) < STILL and len(frames) > 2:
        frames, values = frames[[0, -1]], values[[0, -1]]
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
