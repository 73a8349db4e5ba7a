# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw a contact sheet of the takes in the list."""

import bpy

from ..scene.host.jobs import Step
from ..scene.media import contact_sheet
from ..scene.takes import browsing, take_list
from ..scene.voice import strip, voice_cache
from ..thunder_core.animation import sheet_frames
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
        loudness = yield from _loudness(context, browsing.of_one_head(context)[0].voice)
        scene, listed = context.scene, browsing.of_one_head(context)  # only now: something may have been undone meanwhile
        rig = take_list.rig_of(scene, listed[0])
        return (yield from contact_sheet.make(scene, rig, listed, contact_sheet.free_path(listed[0].voice), loudness))

    def finish(self, context, image):
        where = bpy.path.abspath(image.filepath)
        if not bpy.app.background:
            _open(context, image)
        self.report({"INFO"}, f"Contact sheet saved to {where}")
        return {"FINISHED"}


def _loudness(context, name: str):
    """Steps that read the voice of that name. Returns how loud it is per frame, None if it cannot be read."""
    try:
        voice = strip.find(context)
    except ThunderError:
        return None
    cached = voice_cache.read(context.scene, voice) if voice.name == name else None
    while cached is not None and cached.reading:
        yield Step(0.0, "Reading the voice")
    if cached is None or cached.peaks is None:
        return None
    return sheet_frames.loudness(cached.peaks, voice_cache.PEAKS_PER_SECOND)


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
    bpy.app.timers.register(lambda: _fit(image.name), first_interval=0.3)  # once the editor has been drawn


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
