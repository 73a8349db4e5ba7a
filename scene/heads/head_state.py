# SPDX-License-Identifier: GPL-3.0-or-later
"""Data stored about a head: the take on it, the animation before it, its mapping.

It is stored in a scene, which is always local: values set on a library override are lost when the
file is opened again. A mapping made in the character's file is stored on the character, and
goes with it into other files.
"""

import bpy


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
        # those of deleted objects stay: paths of keyed settings hold their places
        result = scene.thunder.heads.add()
        result.object = owner
    return result


def fault(owner: bpy.types.Object) -> str:
    """What was wrong with a head's lips when keys were last written; "" for nothing."""
    result = of(owner)
    return "" if result is None else result.fault


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
            state.mapping = state.fault = ""
    else:
        ensure(owner).mapping = text
