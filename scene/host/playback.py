# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays the scene in its window from a frame on, the picture in sync with the sound; goes to a
frame and returns from it."""

import contextlib
import math
from collections.abc import Iterable, Iterator

import bpy

APART = "Thunder Apart"  # name of the scene of `apart`


def go_to(scene, frame: float) -> None:
    """Go to a frame, fraction included."""
    whole_frame = math.floor(frame)
    scene.frame_set(whole_frame, subframe=float(frame - whole_frame))


def empty(scene) -> None:
    """Take all objects out of a scene."""
    for members in (scene.collection.objects, scene.collection.children):
        for member in list(members):
            members.unlink(member)


@contextlib.contextmanager
def apart(scene, objects: Iterable[bpy.types.Object]) -> Iterator[bpy.types.Scene]:
    """A copy of a scene in which some of its objects play for a while, so that the animator's stays
    on its frame and is not drawn again."""
    other = scene.copy()
    other.name = APART
    name = other.name
    try:
        empty(other)
        for obj in set(objects):
            other.collection.objects.link(obj)
        yield other
    finally:
        if (other := bpy.data.scenes.get(name)) is not None:  # else an undo removed it
            bpy.data.scenes.remove(other)


def start(scene, frame: int) -> None:
    """Play from a scene frame on; what plays already jumps there. Nothing happens without a
    window."""
    window = bpy.context.window
    if bpy.app.background or window is None:
        return
    scene.frame_current = frame
    if not window.screen.is_animation_playing:
        bpy.ops.screen.animation_play(sync=True)


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
