# SPDX-License-Identifier: GPL-3.0-or-later
"""Show a take on its head, step through the list, flip between two, or show the animator's own animation."""

import bpy

from ..scene.animation import display
from ..scene.heads import head
from ..scene.host import playback
from ..scene.review import problem_report
from ..scene.takes import browsing, take_list
from ..thunder_core.errors import ThunderError


def there_are_takes(operator, context) -> bool:
    """Whether there are takes; if not, an operator's button says so."""
    if context.scene is None or not context.scene.thunder.takes:
        operator.poll_message_set("There are no takes yet: generate some")
        return False
    return True


class THUNDER_OT_select_take(bpy.types.Operator):
    """Show a take on its head. Your own animation is kept: press My Animation to see it again"""

    bl_idname = "thunder.select_take"
    bl_label = "Show Take"
    bl_options = {"REGISTER", "UNDO"}

    index: bpy.props.IntProperty(name="Take", default=-1, min=-1, description="Index in the list; −1 for your own animation")
    step: bpy.props.IntProperty(
        name="Step", default=0, options={"SKIP_SAVE"}, description="Number of takes to move on from the shown one, ignoring Take"
    )

    @classmethod
    def poll(cls, context):
        return there_are_takes(cls, context)

    @classmethod
    def description(cls, context, properties):
        if properties.step:
            return "Show the next take of the list" if properties.step > 0 else "Show the previous take of the list"
        if properties.index < 0:
            return "Show your own animation again"
        return "Show this take on its head"

    def execute(self, context):
        settings = context.scene.thunder
        try:
            index = self._stepped(context) if self.step else self.index
            if index < 0:
                display.restore_own(take_list.shown_rig(settings) or head.find(context.scene, context.object))
            elif index < len(settings.takes):
                display.show(take_list.rig_of(context.scene, settings.takes[index]), settings.takes[index])
                if settings.play_shown:
                    playback.start(context.scene, settings.takes[index].first)
            else:
                self.report({"ERROR"}, f"There is no take {index + 1}: the list has {len(settings.takes)}")
                return {"CANCELLED"}
        except ThunderError as error:
            problem_report.note(self.bl_label, error)
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}

    def _stepped(self, context) -> int:
        """Index of the take `step` rows further in the list as drawn; from none to its first or last."""
        settings = context.scene.thunder
        order = browsing.order(context) or list(range(len(settings.takes)))
        shown = take_list.shown_index(settings)
        if shown not in order:
            return order[0 if self.step > 0 else -1]
        return order[(order.index(shown) + self.step) % len(order)]


class THUNDER_OT_flip_take(bpy.types.Operator):
    """Switch between the shown take and the one shown before"""

    bl_idname = "thunder.flip_take"
    bl_label = "A/B"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        return there_are_takes(cls, context)

    def execute(self, context):
        try:
            rig = take_list.shown_rig(context.scene.thunder) or head.find(context.scene, context.object)
            name = take_list.flip(context.scene, rig)
        except ThunderError as error:
            problem_report.note(self.bl_label, error)
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Showing {name}")
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_select_take, THUNDER_OT_flip_take))
