# SPDX-License-Identifier: GPL-3.0-or-later
"""Show a take on its head, or give the head its own animation back."""

import bpy

from ..scene import head, showing, takes
from ..thunder_core.errors import ThunderError


class THUNDER_OT_select_take(bpy.types.Operator):
    """Show a take on its head; your own animation is kept and comes back with My Animation"""

    bl_idname = "thunder.select_take"
    bl_label = "Show Take"
    bl_options = {"REGISTER", "UNDO"}

    index: bpy.props.IntProperty(name="Take", default=-1, min=-1, description="Place in the list, −1 is your own animation")
    step: bpy.props.IntProperty(name="Step", default=0, options={"SKIP_SAVE"},
                                description="Go so many places on from the take that is shown, ignoring Take")

    @classmethod
    def poll(cls, context):
        if context.scene is None or not context.scene.thunder.takes:
            cls.poll_message_set("There are no takes yet: generate some")
            return False
        return True

    @classmethod
    def description(cls, context, properties):
        if properties.step:
            return "Show the next take" if properties.step > 0 else "Show the previous take"
        if properties.index < 0:
            return "Give the head back the animation it had before takes were shown"
        return "Show this take on its head"

    def execute(self, context):
        settings = context.scene.thunder
        index = self.index
        if self.step:
            index = (takes.shown_index(settings) + self.step) % len(settings.takes)
        try:
            if index < 0:
                showing.show_own(takes.shown_rig(settings) or head.find(context.scene, context.object))
            elif index < len(settings.takes):
                showing.show(takes.rig_of(context.scene, settings.takes[index]), settings.takes[index])
            else:
                self.report({"ERROR"}, f"There is no take {index + 1}: the list has {len(settings.takes)}")
                return {"CANCELLED"}
        except ThunderError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_select_take,))
