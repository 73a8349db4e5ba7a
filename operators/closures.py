# SPDX-License-Identifier: GPL-3.0-or-later
"""Close the lips at a frame for m, b or p, or remove a closure."""

import bpy

from ..scene.host import jobs
from ..scene.takes import manual_closures
from .on_shown_take import NeedsShownTake, shown
from .slices import SlicedWork


class _Closure(NeedsShownTake, SlicedWork):
    """Sliced, since a rig with another head's basis is solved for."""

    def begin(self, context):
        entry, rig = shown(context)
        frame = context.scene.frame_current_final
        steps = self.steps(rig, entry, frame)
        return self.bl_label, jobs.stage(steps, self.bl_label)


class THUNDER_OT_add_closure(_Closure, bpy.types.Operator):
    """Close the lips at the current frame, as for M, B or P"""

    bl_idname = "thunder.add_closure"
    bl_label = "Close Lips"

    def steps(self, rig, entry, frame):
        return manual_closures.close(rig, entry, frame)


class THUNDER_OT_remove_closure(_Closure, bpy.types.Operator):
    """Remove the lip closure at or next to the current frame"""

    bl_idname = "thunder.remove_closure"
    bl_label = "Open Lips"

    def steps(self, rig, entry, frame):
        return manual_closures.open_lips(rig, entry, frame)


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_add_closure, THUNDER_OT_remove_closure))
