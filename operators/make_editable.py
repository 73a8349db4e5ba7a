# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a linked character editable, so that it can be keyed."""

import bpy

from ..scene.heads import library_override
from ..thunder_core.errors import ThunderError


def _chosen(context):
    return context.scene.thunder.head or context.object


class THUNDER_OT_make_editable(bpy.types.Operator):
    """Make a library override of the linked character and its meshes, so that it can be animated"""

    bl_idname = "thunder.make_editable"
    bl_label = "Make Editable"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if context.scene is None:
            return False
        chosen = _chosen(context)
        if library_override.wanting(context.scene, chosen) is None:
            what = "Nothing here is" if chosen is None else f"“{chosen.name}” is not"
            cls.poll_message_set(f"{what} linked from another file: there is nothing to make editable")
            return False
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        return True

    def execute(self, context):
        scene = context.scene
        try:
            face = library_override.make_editable(scene, context.view_layer, library_override.wanting(scene, _chosen(context)))
        except ThunderError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        scene.thunder.head = face
        self.report({"INFO"}, f"“{face.name}” can be animated now. The linked file is not changed")
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_make_editable,))
