# SPDX-License-Identifier: GPL-3.0-or-later
"""See takes side by side: play all of them in a grid, or draw a contact sheet."""

from functools import partial

import bpy

from ..scene.host import playback
from ..scene.host.session import session
from ..scene.media import contact_sheet, grid
from ..scene.takes import browsing, take_list
from ..scene.voice import strip, voice_cache
from ..thunder_core.errors import attempt, BadRequest
from .base import NeedsTakes, SlicedWork


def _leave(operator):
    """Leave the grid, and report the take that is shown now."""
    name, problem = attempt(grid.leave_and_show)
    if name or problem:
        operator.report({"ERROR"} if problem else {"INFO"}, problem or f"Showing {name}")
    return {"FINISHED"}


class THUNDER_OT_play_grid(NeedsTakes, SlicedWork, bpy.types.Operator):
    """Play all listed takes side by side. Click a head to choose its take, press Esc to leave"""

    bl_label = "Play All"
    bl_options = set()  # nothing in the file changes: there is nothing to undo

    @classmethod
    def description(cls, context, properties):
        return (
            "Leave the grid and show the take of the selected head"
            if grid.is_running()
            else cls.__doc__
        )

    def invoke(self, context, event):
        if grid.is_running():
            playback.stop()
            return _leave(self)
        self.watches = False
        return super().invoke(context, event)

    def modal(self, context, event):
        """Esc always ends it: while the heads are set up and while they play, wherever the mouse
        is."""
        escape = event.type == "ESC" and event.value == "PRESS"
        if self.watches:
            if not grid.is_running():
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
        return _leave(self) if grid.is_running() else super().execute(context)

    def begin(self, context):
        if not bpy.app.background and grid.viewport(context) is None:
            raise BadRequest(
                "This window has no 3D viewport to play the takes in: open one and press Play All "
                "again"
            )
        listed = browsing.of_one_head(context)
        return "Play All", grid.build(
            context.scene, take_list.rig_of(context.scene, listed[0]), listed
        )

    def finish(self, context, value):
        grid.enter(context)
        if bpy.app.background or context.window is None:
            return {"FINISHED"}
        self.watches = True
        return {"RUNNING_MODAL"}


class THUNDER_OT_contact_sheet(NeedsTakes, SlicedWork, bpy.types.Operator):
    """Render the listed takes side by side into an image, at the moments where they differ most"""

    bl_label = "Contact Sheet"

    def begin(self, context):
        return "Contact Sheet", self._steps(context)

    def _steps(self, context):
        levels = yield from _loudness(context, browsing.of_one_head(context)[0])
        # only now: something may have been undone meanwhile
        scene, listed = (context.scene, browsing.of_one_head(context))
        rig = take_list.rig_of(scene, listed[0])
        return (
            yield from contact_sheet.make(
                scene, rig, listed, contact_sheet.free_path(f"{listed[0].voice} takes"), levels
            )
        )

    def finish(self, context, image):
        where = bpy.path.abspath(image.filepath)
        if not bpy.app.background:
            _open(context, image)
        self.report({"INFO"}, f"Contact sheet saved to {where}")


def _loudness(context, entry):
    """Steps that read the voice of a take. Returns how loud it is per frame of the take, None if it
    cannot be read."""
    voice, _ = attempt(strip.of_take, context, entry)
    if voice is None or voice.name != entry.voice:
        return None
    return (yield from voice_cache.loudness_of_take(bpy.data.scenes[voice.scene], voice, entry))


def _image_editors(context) -> list:
    """(window, area) of all Image editors that are open."""
    areas = (
        (window, area) for window in context.window_manager.windows for area in window.screen.areas
    )
    return [(window, area) for window, area in areas if area.type == "IMAGE_EDITOR"]


def _open(context, image) -> None:
    """Show an image in an open Image editor, else in a new window."""
    if editors := _image_editors(context):
        editors[0][1].spaces.active.image = image
        return
    if bpy.ops.wm.window_new() != {"FINISHED"}:
        return
    window = context.window_manager.windows[-1]
    area = max(window.screen.areas, key=lambda area: area.width * area.height)
    area.type = "IMAGE_EDITOR"
    area.spaces.active.image = image
    # once the editor has been drawn
    bpy.app.timers.register(partial(_fit, image.name), first_interval=0.3)


def _fit(name: str) -> None:
    """Show all of an image in the editors that show it."""
    for window, area in _image_editors(bpy.context):
        if area.spaces.active.image is not None and area.spaces.active.image.name == name:
            region = next(region for region in area.regions if region.type == "WINDOW")
            with bpy.context.temp_override(window=window, area=area, region=region):
                if bpy.ops.image.view_all.poll():
                    bpy.ops.image.view_all(fit_view=True)
