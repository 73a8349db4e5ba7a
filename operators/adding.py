# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared by the operators that add a head: where it is placed, that it is chosen, and errors as one sentence."""

from ..scene.heads import head
from ..scene.review import problem_report
from ..thunder_core.errors import ThunderError


class AddsHead:
    """An operator whose `add(context, collection)` adds a head to a collection that can be changed and returns its mesh."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        return True

    def execute(self, context):
        collection = context.collection
        if collection is None or collection.library is not None:
            collection = context.scene.collection
        try:
            mesh = self.add(context, collection)
        except ThunderError as error:
            problem_report.note(self.bl_label, error)
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        head.fit_to_units(context.scene, mesh)
        head.move_beside(context.scene, context.view_layer, mesh)
        context.scene.thunder.head = mesh
        return {"FINISHED"}


class AddsHeadFrom(AddsHead):
    """As AddsHead, from a file or folder that is chosen in the file browser first."""

    def invoke(self, context, event):
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}
