# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays the scene in its window from a frame on, the picture in sync with the sound."""

import bpy


def start(scene, frame: int) -> None:
    """Play from a scene frame on; what plays already jumps there. Nothing happens without a window."""
    window = bpy.context.window
    if bpy.app.background or window is None:
        return
    scene.frame_current = frame
    if not window.screen.is_animation_playing:
        bpy.ops.screen.animation_play(sync=True)


def is_on() -> bool:
    """Whether any window plays."""
    manager = getattr(bpy.context, "window_manager", None)  # there is none while Blender starts or ends
    return any(window.screen.is_animation_playing for window in manager.windows) if manager else False


def stop() -> None:
    """Stop where it is."""
    window = bpy.context.window
    if window is not None and window.screen.is_animation_playing:
        bpy.ops.screen.animation_cancel(restore_frame=False)
