# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a take the animator's own animation."""

import bpy

from ..scene import committing, takes
from ..thunder_core.errors import ThunderError


class THUNDER_OT_commit_take(bpy.types.Operator):
    """Put the shown take into a copy of your own animation and use it; your previous action stays in the file"""

    bl_idname = "thunder.commit_take"
    bl_label = "Commit"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if context.scene is None or takes.shown_index(context.scene.thunder) < 0:
            cls.poll_message_set("No take is shown: choose one in the list first")
            return False
        return True

    def execute(self, context):
        settings = context.scene.thunder
        entry = settings.takes[takes.shown_index(settings)]
        try:
            rig = takes.rig_of(context.scene, entry)
            actions = committing.commit(rig, entry, f"{rig.owner.name} · {entry.voice}")
        except ThunderError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"The take is now your animation, as the action “{actions[0].name}”")
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_commit_take,))
