# SPDX-License-Identifier: GPL-3.0-or-later
"""Add the head that comes with Thunder to the scene."""

import bpy

from ..scene import head
from ..thunder_core.errors import ThunderError


class THUNDER_OT_add_head(bpy.types.Operator):
    """Add the head that comes with Thunder, ready to be animated, at the 3D cursor"""

    bl_idname = "thunder.add_head"
    bl_label = "Add Head"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to object mode first")
            return False
        return True

    def execute(self, context):
        collection = context.collection
        if collection is None or collection.library is not None:
            collection = context.scene.collection
        try:
            rig = head.build(collection, context.view_layer, context.scene.cursor.location)
        except ThunderError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        context.scene.thunder.head = rig.mesh
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_add_head,))
