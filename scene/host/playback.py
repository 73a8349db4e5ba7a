# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays the scene in its window from a frame on, the picture in sync with the sound; goes to a
frame and returns from it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator

import bpy

APART = "Thunder Apart"  # name of the scene of `apart`


def go_to(scene: bpy.types.Scene, frame: float) -> None:
    """Go to a frame, fraction included."""
    whole_frame = math.floor(frame)
    scene.frame_set(whole_frame, subframe=float(frame - whole_frame))


def is_there(block: bpy.types.ID) -> bool:
    """Whether a data-block is still in the file: the animator may have deleted it between two
    slices."""
    try:
        return bool(block.session_uid)
    except ReferenceError:
        return False


def remove(blocks: Iterable) -> None:
    """Remove data-blocks from the file, those of them that are still there."""
    bpy.data.batch_remove([block for block in blocks if is_there(block)])


def remove_scene(scene: bpy.types.Scene) -> None:
    """Remove a scene that work has added, if it is still there."""
    if is_there(scene):
        if len(bpy.data.scenes) == 1:  # the animator has deleted all others
            bpy.data.scenes.new("Scene")
        bpy.data.scenes.remove(scene)


@contextlib.contextmanager
def apart(scene: bpy.types.Scene, objects: Iterable[bpy.types.Object]) -> Iterator[bpy.types.Scene]:
    """A copy of a scene in which some of its objects play for a while, so that the animator's stays
    on its frame and is not drawn again."""
    other = scene.copy()
    other.use_fake_user = True  # without a user it would be in the way of a purge
    other.name = APART
    try:
        root = other.collection
        for obj in list(root.objects):
            root.objects.unlink(obj)
        for child in list(root.children):
            root.children.unlink(child)
        for obj in set(objects):
            root.objects.link(obj)
        yield other
    finally:
        remove_scene(other)


def start(scene: bpy.types.Scene, frame: int) -> None:
    """Play from a scene frame on; what plays already jumps there. Nothing happens without a
    window."""
    window = bpy.context.window
    if bpy.app.background or window is None:
        return
    scene.frame_current = frame
    if not window.screen.is_animation_playing:
        bpy.ops.screen.animation_play(sync=True)


def hear(make: Callable) -> tuple:
    """Play the sound that make(aud) gives, whatever the scene does. Returns (its handle, ""), or
    (None, why it is not heard)."""
    try:
        import aud

        return aud.Device().play(make(aud)), ""
    except ImportError:
        return None, "This Blender was built without sound: use another one to hear it"
    except (aud.error, OSError) as error:  # type: ignore[misc]
        return None, f"Blender cannot play it ({error}): look at Preferences › System › Sound"


def is_on() -> bool:
    """Whether any window plays."""
    # there is none while Blender starts or ends
    manager = getattr(bpy.context, "window_manager", None)
    return (
        any(window.screen.is_animation_playing for window in manager.windows) if manager else False
    )


def stop() -> None:
    """Stop where it is."""
    window = bpy.context.window
    if window is not None and window.screen.is_animation_playing:
        bpy.ops.screen.animation_cancel(restore_frame=False)
