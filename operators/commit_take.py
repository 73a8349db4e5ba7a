# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a take the animator's own animation."""

import bpy

from ..scene import committing, head, ranking
from .on_shown_take import NeedsShownTake, shown
from .slices import SlicedWork


class THUNDER_OT_commit_take(NeedsShownTake, SlicedWork, bpy.types.Operator):
    """Make the shown take your own animation, as few keys; what was there stays in the file"""

    bl_idname = "thunder.commit_take"
    bl_label = "Commit"

    def begin(self, context):
        entry, rig = shown(context)
        head.check_animatable(rig)
        choice = committing.chosen(context.scene, entry)
        return "Committing", self.told(committing.commit(rig, entry, f"{rig.owner.name} · {entry.voice}", choice))

    def told(self, steps):
        self.sentence = (yield from steps).sentence

    def finish(self, context):
        self.report({"INFO"}, self.sentence)
        if not bpy.app.background:
            ranking.look()  # what is the animator's own now has no score yet
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_commit_take,))
