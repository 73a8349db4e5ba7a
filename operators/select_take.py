# SPDX-License-Identifier: GPL-3.0-or-later
"""Show a take on its head, step through the list, flip between two, or show the animator's own animation."""

import bpy

from ..scene.heads import head
from ..scene.takes import browsing, take_list
from .base import InstantWork, NeedsTakes


class THUNDER_OT_select_take(NeedsTakes, InstantWork, bpy.types.Operator):
    """Show a take on its head. Your own animation is kept: press My Animation to see it again"""

    bl_idname = "thunder.select_take"
    bl_label = "Show Take"

    index: bpy.props.IntProperty(name="Take", default=-1, min=-1, description="Index in the list; −1 for your own animation")
    step: bpy.props.IntProperty(
        name="Step", default=0, options={"SKIP_SAVE"}, description="Number of takes to move on from the shown one, ignoring Take"
    )

    @classmethod
    def description(cls, context, properties):
        if properties.step:
            return "Show the next take of the list" if properties.step > 0 else "Show the previous take of the list"
        if properties.index < 0:
            return "Show your own animation again"
        return "Show this take on its head"

    def act(self, context):
        settings = context.scene.thunder
        take_list.show(settings, self._stepped(context) if self.step else self.index, settings.play_shown)

    def _stepped(self, context) -> int:
        """Index of the take `step` rows further in the list as drawn; from none to its first or last."""
        settings = context.scene.thunder
        order = browsing.order(context) or list(range(len(settings.takes)))
        shown = take_list.shown_index(settings)
        if shown not in order:
            return order[0 if self.step > 0 else -1]
        return order[(order.index(shown) + self.step) % len(order)]


class THUNDER_OT_flip_take(NeedsTakes, InstantWork, bpy.types.Operator):
    """Switch between the shown take and the one shown before"""

    bl_idname = "thunder.flip_take"
    bl_label = "A/B"

    def act(self, context):
        rig = take_list.shown_rig(context.scene.thunder) or head.find(context.scene, context.object)
        return f"Showing {take_list.flip(context.scene, rig)}"


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_select_take, THUNDER_OT_flip_take))
