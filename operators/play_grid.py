# SPDX-License-Identifier: GPL-3.0-or-later
"""Play all takes side by side, and leave that view."""

import bpy

from ..scene.host import playback
from ..scene.host.session import session
from ..scene.media import grid
from ..scene.takes import browsing, take_list
from ..thunder_core.errors import BadRequest, ThunderError
from .select_take import there_are_takes
from .slices import SlicedWork


def _leave(operator):
    """Leave the grid, and report the take that is shown now."""
    try:
        if name := grid.leave_and_show():
            operator.report({"INFO"}, f"Showing {name}")
    except ThunderError as error:
        operator.report({"ERROR"}, str(error))
    return {"FINISHED"}


class THUNDER_OT_play_grid(SlicedWork, bpy.types.Operator):
    """Play all listed takes side by side. Click a head to choose its take, press Esc to leave"""

    bl_idname = "thunder.play_grid"
    bl_label = "Play All"
    bl_options = set()  # nothing in the file changes: there is nothing to undo

    @classmethod
    def poll(cls, context):
        return there_are_takes(cls, context) and super().poll(context)

    @classmethod
    def description(cls, context, properties):
        return "Leave the grid and show the take of the selected head" if grid.running() else cls.__doc__

    def invoke(self, context, event):
        if grid.running():
            playback.stop()
            return _leave(self)
        self.watches = False
        return super().invoke(context, event)

    def modal(self, context, event):
        """Esc always ends it: while the heads are set up and while they play, wherever the mouse is."""
        escape = event.type == "ESC" and event.value == "PRESS"
        if self.watches:
            if not grid.running():
                return {"FINISHED"}
            if not escape:
                return {"PASS_THROUGH"}
            playback.stop()
            return _leave(self)
        if escape and session.job is not None:
            session.job.asked_to_stop = True  # playback that started meanwhile continues
            return {"RUNNING_MODAL"}
        return super().modal(context, event)

    def cancel(self, context):
        super().cancel(context)
        grid.leave()

    def execute(self, context):
        if grid.running():
            return _leave(self)
        return super().execute(context)

    def begin(self, context):
        if not bpy.app.background and grid.viewport(context) is None:
            raise BadRequest("This window has no 3D viewport to play the takes in: open one and press Play All again")
        listed = browsing.of_one_head(context)
        return "Play All", grid.build(context.scene, take_list.rig_of(context.scene, listed[0]), listed)

    def finish(self, context, value):
        grid.enter(context)
        if bpy.app.background or context.window is None:
            return {"FINISHED"}
        self.watches = True
        return {"RUNNING_MODAL"}


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_play_grid,))
