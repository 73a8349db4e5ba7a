# SPDX-License-Identifier: GPL-3.0-or-later
"""Shape a take: close and open its lips, reset its sliders, animate an emotion's strength, write
takes of slow rigs in slices."""

import bpy

from ..scene.host import jobs
from ..scene.takes import take_list
from ..scene.takes.direction.live import is_dragging_keys
from ..scene.takes.shape import applying
from .base import InstantWork, NeedsShownTake, shown_take_and_rig, SlicedWork


class THUNDER_OT_apply_shape(NeedsShownTake, SlicedWork, bpy.types.Operator):
    """Update the keys of the shown take from its sliders"""

    bl_label = "Update Shape"

    def begin(self, context):
        entry, rig = shown_take_and_rig(context)
        return "Shaping", jobs.stage(applying.apply(rig, entry), "Shaping the take")


class _AtFrame(NeedsShownTake, SlicedWork):
    """An operator whose generator `change(rig, entry, frame)` changes the shown take at the current
    frame."""

    def begin(self, context):
        entry, rig = shown_take_and_rig(context)
        return self.bl_label, jobs.stage(
            self.change(rig, entry, context.scene.frame_current_final), self.bl_label
        )


class THUNDER_OT_add_closure(_AtFrame, bpy.types.Operator):
    """Close the lips at the current frame, as for M, B or P"""

    bl_label = "Close Lips"
    change = staticmethod(applying.close_lips)


class THUNDER_OT_remove_closure(_AtFrame, bpy.types.Operator):
    """Remove the lip closure at or next to the current frame"""

    bl_label = "Open Lips"
    change = staticmethod(applying.open_lips)


class THUNDER_OT_reset_shape(NeedsShownTake, InstantWork, bpy.types.Operator):
    """Reset all sliders. Keys you edited are kept"""

    bl_label = "Reset"
    obstacles = (
        lambda context: (
            ""
            if applying.is_shaped(take_list.shown_take(context.scene.thunder).action)
            else "The take is not shaped: move one of the sliders first"
        ),
    )

    def act(self, context):
        entry, _ = shown_take_and_rig(context)
        applying.reset(entry)


class THUNDER_OT_animate_emotion(NeedsShownTake, InstantWork, bpy.types.Operator):
    """Animate the emotion's strength with a curve that grows over the take"""

    bl_label = "Animate Strength"

    def act(self, context):
        entry, rig = shown_take_and_rig(context)
        applying.animate_strength(rig, entry)


class THUNDER_OT_still_emotion(NeedsShownTake, InstantWork, bpy.types.Operator):
    """Remove the curve. The slider then sets the strength for the whole take"""

    bl_label = "Remove Strength Curve"

    def act(self, context):
        entry, rig = shown_take_and_rig(context)
        applying.remove_strength_curve(rig, entry)
        applying.follow(entry)


def _update() -> float | None:
    """Write the shown take: a timer's changes would be no undo step, an operator's are one."""
    manager = bpy.context.window_manager
    window = manager.windows[0] if manager is not None and manager.windows else None
    if window is None:
        return None
    if is_dragging_keys():
        return applying.UPDATE_SECONDS
    with bpy.context.temp_override(window=window):
        if bpy.ops.thunder.apply_shape.poll():
            bpy.ops.thunder.apply_shape("INVOKE_DEFAULT", True)
    return None


def register():
    applying.update.step = _update
