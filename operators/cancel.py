# SPDX-License-Identifier: GPL-3.0-or-later
"""Cancel the running job."""

import bpy

from ..scene.host.session import session


class THUNDER_OT_cancel(bpy.types.Operator):
    """Cancel the running operation. Finished takes are kept, everything else stays as it was"""

    bl_idname = "thunder.cancel"
    bl_label = "Cancel"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        if session.job is None:
            cls.poll_message_set("Nothing is running")
            return False
        return True

    def execute(self, context):
        session.job.asked_to_stop = True
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_cancel,))
