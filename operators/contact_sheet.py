# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw a contact sheet of the takes in the list."""

from functools import partial

import bpy

from ..scene.media import contact_sheet
from ..scene.takes import browsing, loudness, take_list
from ..scene.voice import strip
from ..thunder_core.errors import ThunderError
from .select_take import there_are_takes
from .slices import SlicedWork


class THUNDER_OT_contact_sheet(SlicedWork, bpy.types.Operator):
    """Render the listed takes side by side into an image, at the moments where they differ most"""

    bl_idname = "thunder.contact_sheet"
    bl_label = "Contact Sheet"

    @classmethod
    def poll(cls, context):
        return there_are_takes(cls, context) and super().poll(context)

    def begin(self, context):
        return "Contact Sheet", self._steps(context)

    def _steps(self, context):
        levels = yield from _loudness(context, browsing.of_one_head(context)[0])
        scene, listed = context.scene, browsing.of_one_head(context)  # only now: something may have been undone meanwhile
        rig = take_list.rig_of(scene, listed[0])
        return (yield from contact_sheet.make(scene, rig, listed, contact_sheet.free_path(listed[0].voice), levels))

    def finish(self, context, image):
        where = bpy.path.abspath(image.filepath)
        if not bpy.app.background:
            _open(context, image)
        self.report({"INFO"}, f"Contact sheet saved to {where}")
        return {"FINISHED"}


def _loudness(context, entry):
    """Steps that read the voice of a take. Returns how loud it is per frame of the take, None if it cannot be read."""
    try:
        voice = strip.of_take(context, entry)
    except ThunderError:
        return None
    if voice.name != entry.voice:
        return None
    return (yield from loudness.of_take(bpy.data.scenes[voice.scene], voice, entry))


def _open(context, image) -> None:
    """Show an image in an open Image editor, else in a new window."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "IMAGE_EDITOR":
                area.spaces.active.image = image
                return
    if bpy.ops.wm.window_new() != {"FINISHED"}:
        return
    window = context.window_manager.windows[-1]
    area = max(window.screen.areas, key=lambda area: area.width * area.height)
    area.type = "IMAGE_EDITOR"
    area.spaces.active.image = image
    bpy.app.timers.register(partial(_fit, image.name), first_interval=0.3)  # once the editor has been drawn


def _fit(name: str) -> None:
    """Show all of an image in the editors that show it."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "IMAGE_EDITOR" and area.spaces.active.image is not None and area.spaces.active.image.name == name:
                region = next(region for region in area.regions if region.type == "WINDOW")
                with bpy.context.temp_override(window=window, area=area, region=region):
                    if bpy.ops.image.view_all.poll():
                        bpy.ops.image.view_all(fit_view=True)


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_contact_sheet,))
