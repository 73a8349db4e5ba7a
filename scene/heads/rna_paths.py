# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of data-blocks by animation path: read, set, at rest, and as evaluated by the scene."""

from __future__ import annotations

from collections.abc import Iterable

import bpy
import numpy as np

from ...thunder_core.face import mapping
from ...thunder_core.face.moving import driving
from ...thunder_core.rotation import matrix_to_rotvec
from ..host import compat

# of sliders that the add-on puts on a character; and of the shape keys that mouth sliders moved, as
# of files of earlier versions: twins of those of these names, which add to them
OWN_PREFIX = "Thunder "
_ROTATIONS = ("rotation_euler", "rotation_quaternion", "rotation_axis_angle")


def key_path(name: str) -> str:
    """Path of a shape key's value from its Key data-block."""
    return f'key_blocks["{bpy.utils.escape_identifier(name)}"].value'


def bone_path(bone: str) -> str:
    """Path of a pose bone from its armature object."""
    return f'pose.bones["{bpy.utils.escape_identifier(bone)}"]'


def property_path(name: str) -> str:
    """Path of a custom property from what has it."""
    return f'["{bpy.utils.escape_identifier(name)}"]'


def slider_path(name: str) -> str:
    """Path of a slider of `add_slider` from what has it."""
    return property_path(OWN_PREFIX + name)


def add_slider(owner: bpy.types.Object, name: str, value: float, least: float, about: str) -> None:
    """Give an object a slider from `least` to 1, a custom property that library overrides may
    change. value: now, and by default."""
    owner[OWN_PREFIX + name] = value
    limits = dict(min=least, max=1.0, soft_min=least, soft_max=1.0)
    shown = owner.id_properties_ui(OWN_PREFIX + name)
    shown.update(**limits, default=value, description=about)  # type: ignore[attr-defined]
    owner.property_overridable_library_set(slider_path(name), True)


def has_twins(block: compat.Animated) -> bool:
    """Whether a data-block has shape keys that add to others."""
    return block.id_type == "KEY" and any(
        key.name.startswith(OWN_PREFIX) for key in block.key_blocks
    )


def split(path: str) -> tuple[str, str, bool]:
    """(path of what has the property, name of the property, whether it is a custom one)."""
    if path.endswith('"]'):
        start = path.rfind('["')
        return path[:start], bpy.utils.unescape_identifier(path[start + 2 : -2]), True
    start = path.rfind("].")
    return (path[: start + 1], path[start + 2 :], False) if start >= 0 else ("", path, False)


def _resolve(block: compat.Animated, path: str) -> tuple:
    """(what has the property of a path, its name, whether it is a custom one). Raises ValueError if
    nothing has it."""
    owner, name, custom = split(path)
    return block.path_resolve(owner) if owner else block, name, custom


def exists(block: compat.Animated, path: str) -> bool:
    """Whether a data-block has such a number now."""
    try:
        owner, name, custom = _resolve(block, path)
    except ValueError:
        return False
    return name in owner if custom else hasattr(owner, name)


def rest_value(owner: bpy.types.bpy_struct, name: str) -> float:
    """Value of a custom property at rest: its default."""
    try:
        return float(owner.id_properties_ui(name).as_dict().get("default", 0.0))
    except (TypeError, KeyError):
        return 0.0


def value(block: compat.Animated, path: str, index: int) -> float:
    """The current value of a path in a data-block."""
    owner, name, custom = _resolve(block, path)
    result = owner[name] if custom else getattr(owner, name)
    return float(result[index] if hasattr(result, "__len__") else result)


def tag(blocks: Iterable) -> None:
    """Let Blender evaluate data-blocks again after their values were set."""
    for block in blocks:
        block.update_tag()


def set_value(block: compat.Animated, path: str, index: int, number: float) -> None:
    """Set a number of a data-block; whole-number properties take the nearest."""
    owner, name, custom = _resolve(block, path)
    current = owner[name] if custom else getattr(owner, name)
    if hasattr(current, "__len__"):
        current[index] = type(current[index])(number)
    elif custom:
        owner[name] = round(number) if isinstance(current, int) else float(number)
    else:
        setattr(owner, name, number)


def bone_of(path: str) -> tuple[str, str] | None:
    """(bone, property) of a path to a pose bone's channel, else None."""
    owner, name, custom = split(path)
    if custom or not owner.startswith('pose.bones["'):
        return None
    return bpy.utils.unescape_identifier(owner[len('pose.bones["') : -len('"]')]), name


def rotations(tracks: Iterable[driving.Track]) -> list[list[int]]:
    """The indices of tracks that are the components of one rotation of a bone, for each
    rotation."""
    groups: dict[tuple[int, str], list[int]] = {}
    for index, track in enumerate(tracks):
        bone = bone_of(track.path)
        if bone is not None and bone[1].startswith("rotation"):
            groups.setdefault((track.block, track.path), []).append(index)
    return list(groups.values())


def rest(block: compat.Animated, path: str, index: int, number: float) -> None:
    """Set a number to its rest value; a bone's rotation in whichever way its mode keeps it."""
    bone = bone_of(path)
    if bone is not None and bone[1] in _ROTATIONS:
        pose = block.pose.bones[bone[0]]
        pose.rotation_quaternion = (1.0, 0.0, 0.0, 0.0)
        pose.rotation_axis_angle = (0.0, 0.0, 1.0, 0.0)
        pose.rotation_euler = (0.0, 0.0, 0.0)
        return
    set_value(block, path, index, number)


def visible_values(block: compat.Animated, curve_values: np.ndarray, path: str) -> np.ndarray:
    """Values [S] of a curve as they are seen: a muted shape key is 0, a slider clamps."""
    if block.id_type != "KEY":
        return curve_values
    key = block.path_resolve(split(path)[0])
    return (
        np.zeros(len(curve_values))
        if key.mute
        else np.clip(curve_values, key.slider_min, key.slider_max)
    )


def evaluate(block: compat.Animated, tracks: list, depsgraph: bpy.types.Depsgraph) -> list[float]:
    """Numbers of tracks [(path, index)] of a data-block in the evaluated scene; bones with their
    constraints."""
    evaluated = block.evaluated_get(depsgraph)
    rotations_of: dict[str, np.ndarray] = {}
    numbers = []
    for path, index in tracks:
        bone = bone_of(path)
        if bone is not None and bone[1] in _ROTATIONS:
            if path not in rotations_of:
                pose = evaluated.pose.bones[bone[0]]
                rotations_of[path] = mapping.rotation_values(
                    matrix_to_rotvec(bone_rotation(pose))[None], pose.rotation_mode
                )[0]
            numbers.append(float(rotations_of[path][index]))
        elif block.id_type == "KEY":
            key = evaluated.path_resolve(split(path)[0])
            twin = evaluated.key_blocks.get(OWN_PREFIX + key.name)
            numbers.append(0.0 if key.mute else key.value + (0.0 if twin is None else twin.value))
        else:
            numbers.append(value(evaluated, path, index))
    return numbers


def bone_rotation(pose: bpy.types.PoseBone) -> np.ndarray:
    """Rotation of an evaluated bone from rest relative to its parent, constraints included; [3,
    3]. What has no size, as where a character pops in, is at rest."""
    rest = pose.bone.matrix_local
    if any(abs(bone.matrix.determinant()) < 1e-30 for bone in (pose, pose.parent or pose)):
        return np.eye(3)
    if pose.parent is None:
        local = rest.inverted() @ pose.matrix
    else:
        local_rest = pose.parent.bone.matrix_local.inverted() @ rest
        local = local_rest.inverted() @ (pose.parent.matrix.inverted() @ pose.matrix)
    return np.array(local.to_3x3().normalized())


def drivers_of(block: compat.Animated) -> dict[str, bpy.types.FCurve]:
    """The drivers of a data-block that are not muted: {data path: driver curve}."""
    return (
        {curve.data_path: curve for curve in block.animation_data.drivers if not curve.mute}
        if block.animation_data
        else {}
    )
