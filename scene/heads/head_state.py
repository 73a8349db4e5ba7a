# SPDX-License-Identifier: GPL-3.0-or-later
"""Data stored about a head: the take on it, the animation before it, its mapping.

It is stored in a scene, which is always local: values set on a library override are lost when the
file is opened again. A mapping made in the character's file is stored on the character, and
goes with it into other files.
"""

import re

import bpy

from ..host import compat


def of(owner: bpy.types.Object):
    """The stored data of a head, None if there are none."""
    return next(
        (head for scene in bpy.data.scenes for head in scene.thunder.heads if head.object == owner),
        None,
    )


def ensure(owner: bpy.types.Object):
    """The stored data of a head, created if there are none."""
    result = of(owner)
    if result is None:
        here = bpy.context.scene
        scene = (
            here
            if here is not None and owner.name in here.objects
            else (owner.users_scene or (here,))[0]
        )
        heads = scene.thunder.heads
        for index in reversed(range(len(heads))):
            if heads[index].object is None:  # of objects that were deleted
                heads.remove(index)
                _renumber(scene, index)
        result = heads.add()
        result.object = owner
    return result


def _renumber(scene, removed: int) -> None:
    """Update the paths of keyed head settings, which contain indices, when a head is removed."""
    for curve in compat.curves_for(scene):
        match = re.match(r"thunder\.heads\[(\d+)\]", curve.data_path)
        if match is None or int(match[1]) < removed:
            continue
        if int(match[1]) == removed:
            compat.curves_in(scene.animation_data.action, scene, compat.slot_of(scene)).remove(
                curve
            )
        else:
            curve.data_path = f"thunder.heads[{int(match[1]) - 1}]{curve.data_path[match.end() :]}"


def mapping(owner: bpy.types.Object) -> str:
    """The JSON of a character's mapping: this file's, else the one that came with the
    character; "" for none."""
    result = of(owner)
    return (result.mapping if result is not None else "") or owner.thunder.mapping


def keep_mapping(owner: bpy.types.Object, text: str) -> None:
    """Remember the JSON of a character's mapping."""
    if owner.library is None and owner.override_library is None:
        owner.thunder.mapping = text
        if (state := of(owner)) is not None:
            state.mapping = ""
    else:
        ensure(owner).mapping = text
