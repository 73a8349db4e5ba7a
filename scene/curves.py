# SPDX-License-Identifier: GPL-3.0-or-later
"""The animation of a head as it is now, edited keys included, read back as a Motion at 25 fps."""

from __future__ import annotations

from collections.abc import Iterator

import bpy
import numpy as np

from ..thunder_core.rotation import euler_to_rotvec, matrix_to_rotvec, quaternion_to_rotvec
from ..thunder_core.types import Motion
from . import compat, head, showing
from .resample import Clock, motion_times


def read(rig: head.Rig, channels: tuple[str, ...], clock: Clock, seconds: float) -> Iterator[Motion | float]:
    """Read a stretch of animation that begins at clock.start; a generator that yields the fraction read and
    at last the Motion [T, len(channels)].

    From the f-curves where those alone move the face. With an NLA, drivers, constraints or f-curves on the
    bones that something else overrides, the scene itself is stepped from frame to frame and put back.
    """
    frames = clock.frame(motion_times(seconds))
    if _curves_say_all(rig, frames):
        yield from _from_curves(rig, channels, frames)
    else:
        yield from _from_scene(rig, channels, frames)


def _curves_say_all(rig: head.Rig, frames: np.ndarray) -> bool:
    for target in rig.targets:
        animation = target.animation_data
        if animation is None:
            continue
        if len(animation.drivers) or animation.use_tweak_mode:
            return False
        if animation.action_blend_type != "REPLACE" or animation.action_influence != 1.0:
            return False
        base = showing.base_track(target)
        if len(animation.nla_tracks) > (base is not None):
            return False
        if base is not None and not _covers(rig, target, frames):
            return False
    if rig.armature is None:
        return True
    return not any(len(pose.constraints) for pose in rig.armature.pose.bones)


def _covers(rig: head.Rig, target, frames: np.ndarray) -> bool:
    """Whether the take on a data-block moves all that it may, all the time, so that nothing under it is seen."""
    first, last = target.animation_data.action.frame_range
    if frames[0] < first - 0.01 or frames[-1] > last + 0.01:
        return False
    wanted = len(rig.channels) + len(rig.jaw_keys) if target.id_type == "KEY" else 4 * 3
    return sum(not curve.mute for curve in compat.curves_for(target)) >= wanted


# ---- from the f-curves


def _from_curves(rig: head.Rig, channels: tuple[str, ...], frames: np.ndarray) -> Iterator[Motion | float]:
    values = {(c.data_path, c.array_index): c for c in compat.curves_for(rig.keys) if not c.mute}
    expression = np.zeros((len(frames), len(channels)), np.float32)
    blocks = rig.keys.key_blocks

    def key(name: str) -> np.ndarray:
        block = blocks[name]
        if block.mute:
            return np.zeros(len(frames))
        curve = values.get((f'key_blocks["{name}"].value', 0))
        return np.clip(_evaluate(curve, frames, block.value), block.slider_min, block.slider_max)

    for column, name in enumerate(channels):
        if name in blocks:
            expression[:, column] = key(name)
            yield 0.9 * (column + 1) / len(channels)
    if rig.armature is None:
        jaw = jaw_of_keys({name: key(name) for name in rig.jaw_keys}, len(frames))
        yield Motion(expression, jaw.astype(np.float32))
        return
    bones = {(c.data_path, c.array_index): c for c in compat.curves_for(rig.armature) if not c.mute}
    rotations = {}
    for name in ("neck", "jaw", "eye_left", "eye_right"):
        pose = rig.armature.pose.bones.get(name)
        rotations[name] = np.zeros((len(frames), 3)) if pose is None else _rotation(pose, bones, frames)
        yield 0.95
    yield _motion(expression, rotations)


def _evaluate(curve, frames: np.ndarray, otherwise: float) -> np.ndarray:
    if curve is None or (not len(curve.keyframe_points) and not len(curve.modifiers) and not len(curve.sampled_points)):
        return np.full(len(frames), otherwise)
    return np.array([curve.evaluate(float(frame)) for frame in frames])


def _rotation(pose, curves: dict, frames: np.ndarray) -> np.ndarray:
    """Rotation vectors [S, 3] of a bone from its f-curves, its still value where one is not keyed."""
    name = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}.get(
        pose.rotation_mode, "rotation_euler")
    path = f'pose.bones["{pose.name}"].{name}'
    still = getattr(pose, name)
    components = np.stack([_evaluate(curves.get((path, i)), frames, still[i]) for i in range(len(still))], axis=1)
    if name == "rotation_quaternion":
        return quaternion_to_rotvec(components)
    if name == "rotation_axis_angle":
        axis = components[:, 1:]
        return axis / np.maximum(np.linalg.norm(axis, axis=1, keepdims=True), 1e-9) * components[:, :1]
    return euler_to_rotvec(components, pose.rotation_mode)


def jaw_of_keys(values: dict[str, np.ndarray], count: int) -> np.ndarray:
    """Jaw rotation vectors [S, 3] of ARKit's jaw keys: the inverse of what takes write there."""
    jaw = np.zeros((count, 3))
    none = np.zeros(count)
    jaw[:, 0] = values.get("jawOpen", none) * head.JAW_OPEN_RADIANS
    jaw[:, 1] = (values.get("jawLeft", none) - values.get("jawRight", none)) * head.JAW_SIDE_RADIANS
    return jaw


def _motion(expression: np.ndarray, rotations: dict[str, np.ndarray]) -> Motion:
    eyes = (rotations["eye_left"] + rotations["eye_right"]) / 2
    return Motion(expression, rotations["jaw"].astype(np.float32), rotations["neck"].astype(np.float32),
                  eyes.astype(np.float32))


# ---- from the evaluated scene


def _from_scene(rig: head.Rig, channels: tuple[str, ...], frames: np.ndarray) -> Iterator[Motion | float]:
    scene = next((s for s in bpy.data.scenes if rig.mesh.name in s.objects
                  and s == bpy.context.scene), bpy.context.scene)
    kept, kept_fraction = scene.frame_current, scene.frame_subframe
    expression = np.zeros((len(frames), len(channels)), np.float32)
    jaw_keys = {name: np.zeros(len(frames)) for name in rig.jaw_keys}
    bones = [name for name in ("neck", "jaw", "eye_left", "eye_right")
             if rig.armature is not None and name in rig.armature.pose.bones]
    matrices = {name: np.tile(np.eye(3), (len(frames), 1, 1)) for name in bones}
    try:
        for row, frame in enumerate(frames):
            whole = int(np.floor(frame))
            scene.frame_set(whole, subframe=float(frame - whole))
            depsgraph = bpy.context.evaluated_depsgraph_get()
            blocks = rig.mesh.evaluated_get(depsgraph).data.shape_keys
            blocks = (blocks or rig.keys.evaluated_get(depsgraph)).key_blocks
            for column, name in enumerate(channels):
                if name in blocks and not blocks[name].mute:
                    expression[row, column] = blocks[name].value
            for name in rig.jaw_keys:
                jaw_keys[name][row] = 0.0 if blocks[name].mute else blocks[name].value
            if rig.armature is not None:
                evaluated = rig.armature.evaluated_get(depsgraph)
                for name in bones:
                    matrices[name][row] = _turn(evaluated.pose.bones[name])
            yield (row + 1) / len(frames)
    finally:
        scene.frame_set(kept, subframe=kept_fraction)
    if rig.armature is None:
        yield Motion(expression, jaw_of_keys(jaw_keys, len(frames)).astype(np.float32))
        return
    rotations = {name: matrix_to_rotvec(stack) for name, stack in matrices.items()}
    still = np.zeros((len(frames), 3))
    yield _motion(expression, {name: rotations.get(name, still) for name in ("neck", "jaw", "eye_left", "eye_right")})


def _turn(pose) -> np.ndarray:
    """How far an evaluated bone is turned from rest against its parent, constraints included; [3, 3]."""
    rest = pose.bone.matrix_local
    if pose.parent is None:
        turned = rest.inverted() @ pose.matrix
    else:
        local_rest = pose.parent.bone.matrix_local.inverted() @ rest
        turned = local_rest.inverted() @ (pose.parent.matrix.inverted() @ pose.matrix)
    return np.array(turned.to_3x3().normalized())
