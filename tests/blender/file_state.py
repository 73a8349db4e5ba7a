# SPDX-License-Identifier: GPL-3.0-or-later
"""All that a .blend holds, as plain values, to compare before and after."""

import re
import zlib

import bpy
import numpy as np
from thunder.scene.animation import keying
from thunder.scene.host import compat


def state_of_file() -> dict:
    """What every data-block holds, by its kind and name."""
    for scene in bpy.data.scenes:
        scene.frame_set(scene.frame_current)  # values are what the animation makes of them
    state = {}
    for kind in (each.identifier for each in bpy.data.bl_rna.properties):
        blocks = getattr(bpy.data, kind)
        if isinstance(blocks, bpy.types.bpy_prop_collection) and kind not in _NOT_OURS:
            for block in blocks:
                state[kind, block.name] = _block(block)
    return state


def differences(before, after, place: str = "") -> list[str]:
    """Where two states differ, in words. Groups of properties without a value are none: until 5.0
    Blender stores one as soon as it is read."""
    if _is_empty(before) and _is_empty(after):
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        pairs = [(key, before.get(key), after.get(key)) for key in {**before, **after}]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = list(zip(range(len(before)), before, after))
    else:
        return [] if before == after else [f"{place}: {str(before)[:200]} → {str(after)[:200]}"]
    return [each for key, *two in pairs for each in differences(*two, f"{place} {key}".strip())]


def _is_empty(value) -> bool:
    return value in (None, "") or (isinstance(value, dict) and all(map(_is_empty, value.values())))


# of the window, the brushes and the libraries of Blender
_NOT_OURS = {"window_managers", "workspaces", "screens", "brushes", "palettes", "libraries"}


def _block(block) -> dict:
    parts = {
        "fake user": block.use_fake_user,
        "properties": {name: _plain(value) for name, value in block.items()},
    }
    if (data := getattr(block, "animation_data", None)) is not None:
        parts["animation"] = (
            _name(data.action),
            [
                (track.name, [(each.name, _name(each.action)) for each in track.strips])
                for track in data.nla_tracks
            ],
        )
    describe = _OF_TYPE.get(type(block).__name__)
    return parts if describe is None else parts | describe(block)


def _name(block):
    return None if block is None else block.name


def _sum(points, path="co") -> int:
    values = np.empty(3 * len(points), np.float32)
    points.foreach_get(path, values)
    return zlib.crc32(values.tobytes())


def _object(obj) -> dict:
    return {
        "place": [tuple(row) for row in obj.matrix_basis],
        "parent": _name(obj.parent),
        "data": _name(obj.data),
        "hidden": (obj.hide_viewport, obj.hide_render),
        "only key": (obj.show_only_shape_key, obj.active_shape_key_index),
        "modifiers": [each.name for each in obj.modifiers],
        "constraints": [each.name for each in obj.constraints],
        "thunder": _group(obj.thunder),
        "pose": [[tuple(row) for row in each.matrix_basis] for each in obj.pose.bones]
        if obj.pose
        else None,
    }


def _mesh(mesh) -> dict:
    return {"points": _sum(mesh.vertices), "keys": _name(mesh.shape_keys)}


def _key(key) -> dict:
    return {
        "blocks": [(each.name, each.value, each.mute, _sum(each.data)) for each in key.key_blocks]
    }


def _action(action) -> dict:
    return {"keys": keying.checksum_of(action), "thunder": _group(action.thunder_shape)}


def _scene(scene) -> dict:
    editor = scene.sequence_editor
    strips = compat.strips(editor) if editor else ()
    return {
        "frames": (
            scene.frame_current,
            scene.frame_start,
            scene.frame_end,
            scene.use_preview_range,
        ),
        "camera": _name(scene.camera),
        "objects": sorted(scene.objects.keys()),
        "strips": [
            (each.name, compat.strip_span(each), each.mute, {k: _plain(v) for k, v in each.items()})
            for each in strips
        ],
        **{
            name: _plain(getattr(scene, name))
            for name in scene.bl_rna.properties.keys()
            if name.startswith("thunder")
        },
    }


def _group(group) -> dict:
    return {
        name: _plain(getattr(group, name))
        for name in group.bl_rna.properties.keys()
        if name != "rna_type"
    }


# values of keys that drivers set, in the record of the animator's own animation
_DRIVEN = re.compile(r'\["key_blocks\[\\"corrective_\w+\\"\].value", 0, [^]]+\]')


def _plain(value):
    """A value without references to Blender's data."""
    if isinstance(value, bpy.types.ID):
        return type(value).__name__, value.name
    if isinstance(value, bpy.types.PropertyGroup):
        return _group(value)
    if hasattr(value, "to_dict"):
        return _plain(value.to_dict())
    if hasattr(value, "to_list"):
        return value.to_list()
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, str):
        return _DRIVEN.sub("", value)
    if isinstance(value, (bytes, int, float, bool, type(None), set)):
        return value
    return [_plain(each) for each in value]


_OF_TYPE = {"Object": _object, "Mesh": _mesh, "Key": _key, "Action": _action, "Scene": _scene}
