# SPDX-License-Identifier: GPL-3.0-or-later
"""See and hand on takes: side by side in a grid or on a contact sheet, in a lit scene; the head
with its animation as a file for other programs."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import bpy
from bpy_extras.io_utils import ExportHelper

from ..scene.heads import head
from ..scene.host import playback
from ..scene.host.jobs import registration
from ..scene.host.language import translated
from ..scene.host.prop import BoolProperty, EnumProperty, FloatProperty, StringProperty
from ..scene.media import contact_sheet, export, grid, studio
from ..scene.properties.settings import ThunderTake
from ..scene.review import listening
from ..scene.takes import browsing, take_list
from ..scene.voice import strip, voice_cache
from ..thunder_core.errors import attempt, BadRequest
from ..thunder_core.translation import wrap
from .base import (
    ChoosesFile,
    chosen_head,
    InstantWork,
    NeedsTakes,
    Obstacles,
    SlicedWork,
    why_busy,
    why_no_head,
    why_not_in_object_mode,
)

_SUFFIXES = {form.suffix for form in export.FORMATS.values()}
LETTERS = 34  # of a line beside the file browser


class THUNDER_OT_play_grid(NeedsTakes, SlicedWork, bpy.types.Operator):
    """Play all listed takes side by side. Click a head to choose its take; Esc, or this button
    again, leaves and shows it"""

    bl_label = "Play All"
    bl_options = set()  # nothing in the file changes: there is nothing to undo

    plays = False

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event):
        return self.execute(context) if grid.is_running() else super().invoke(context, event)

    def modal(self, context: bpy.types.Context, event: bpy.types.Event):
        """Esc ends it wherever the pointer is."""
        if not self.plays:
            return super().modal(context, event)
        if not grid.is_running():
            return {"FINISHED"}
        if event.type == "ESC" and event.value == "PRESS":
            return self.execute(context)
        return {"PASS_THROUGH"}

    def execute(self, context: bpy.types.Context):
        if not grid.is_running():
            return super().execute(context)
        playback.stop()
        name, problem = attempt(grid.leave_and_show)
        if name or problem:
            self.tell({"ERROR"} if problem else {"INFO"}, problem or f"Showing {name}")
        return {"FINISHED"}

    def begin(self, context: bpy.types.Context):
        if not bpy.app.background and grid.viewport(context) is None:
            raise BadRequest(
                "This window has no 3D viewport to play the takes in: open one and press Play All "
                "again"
            )
        listed = browsing.of_one_head(context)
        return "Play All", grid.build(
            context.scene, take_list.rig_of(context.scene, listed[0]), listed
        )

    def finish(self, context: bpy.types.Context, value: Any):
        grid.enter(context)
        self.plays = not bpy.app.background and context.window is not None
        return {"RUNNING_MODAL"} if self.plays else {"FINISHED"}


class THUNDER_OT_contact_sheet(NeedsTakes, SlicedWork, bpy.types.Operator):
    """Render the listed takes side by side into an image, at the moments where they differ most"""

    def begin(self, context: bpy.types.Context):
        return "Contact Sheet", self._steps(context)

    def _steps(self, context: bpy.types.Context):
        levels = yield from _loudness(context, browsing.of_one_head(context)[0])
        listed = browsing.of_one_head(context)  # only now: something may have been undone meanwhile
        rig = take_list.rig_of(context.scene, listed[0])
        path = contact_sheet.free_path(f"{listed[0].voice} takes")
        return (yield from contact_sheet.make(context.scene, rig, listed, path, levels))

    def finish(self, context: bpy.types.Context, image: bpy.types.Image) -> None:
        where = bpy.path.abspath(image.filepath)
        if not bpy.app.background:
            # a new window within a running operator keeps it from ending, and swallows what it says
            bpy.app.timers.register(partial(_open, image.name))
        self.tell({"INFO"}, f"Contact sheet saved to {where}")


def _loudness(context: bpy.types.Context, entry: ThunderTake):
    """Steps that read the voice of a take. Returns how loud it is per frame of the take, None if it
    cannot be read."""
    voice, _ = attempt(strip.voice_of_take, context, entry)
    if voice is None or voice.name != entry.voice:
        return None
    return (yield from voice_cache.loudness_of_take(bpy.data.scenes[voice.scene], voice, entry))


def _open(name: str) -> None:
    """Show an image in an open Image editor, else in a new window."""
    manager, image = bpy.context.window_manager, bpy.data.images.get(name)
    if image is None:
        return
    areas = (area for window in manager.windows for area in window.screen.areas)
    editor = next((area for area in areas if area.type == "IMAGE_EDITOR"), None)
    if editor is not None:
        editor.spaces.active.image = image
        return
    with bpy.context.temp_override(window=manager.windows[0]):
        if bpy.ops.wm.window_new() != {"FINISHED"}:
            return
    area = max(manager.windows[-1].screen.areas, key=lambda area: area.width * area.height)
    area.type = "IMAGE_EDITOR"
    area.spaces.active.image = image


class THUNDER_OT_light_scene(InstantWork, bpy.types.Operator):
    """Set up a camera that frames all heads, three lights and a backdrop, or fit them again"""

    bl_label = "Light the Scene"
    obstacles: Obstacles = (
        lambda context: (
            "" if head.is_any_in(context.scene) else "There is no head to light: add one first"
        ),
        why_not_in_object_mode,
    )

    def act(self, context: bpy.types.Context) -> None:
        scene = context.scene
        context.view_layer.update()
        rigs = [attempt(head.resolve, obj)[0] for obj in head.in_scene(scene)]
        studio.set_up(scene, [*filter(None, rigs)] or [chosen_head(context)])
        if context.area is not None and context.area.type == "VIEW_3D":
            context.space_data.region_3d.view_perspective = "CAMERA"


class THUNDER_OT_remove_stage(InstantWork, bpy.types.Operator):
    """Remove the camera, lights and backdrop of Light the Scene. The scene's own camera and
    settings come back"""

    bl_label = "Remove Lights and Backdrop"
    obstacles: Obstacles = (
        lambda context: (
            ""
            if studio.find(context.scene)
            else "There is nothing to remove: Light the Scene was not used in this scene"
        ),
    )

    def act(self, context: bpy.types.Context) -> None:
        space = context.space_data
        if space is not None and space.type == "VIEW_3D":
            if space.region_3d.view_perspective == "CAMERA":
                space.region_3d.view_perspective = "PERSP"  # the scene's may show something else
        studio.remove(context.scene)


class THUNDER_OT_export_performance(  # type: ignore[misc]
    ExportHelper, ChoosesFile, InstantWork, bpy.types.Operator
):
    """Export the head and its current animation for other programs"""

    bl_options = {"PRESET"}  # nothing in the scene changes: there is nothing to undo
    obstacles: Obstacles = (why_busy, why_no_head)

    filter_glob: str = StringProperty(
        default=";".join(f"*{suffix}" for suffix in sorted(_SUFFIXES)), options={"HIDDEN"}
    )
    check_existing: bool = BoolProperty(default=True, options={"HIDDEN"})
    form: str = EnumProperty(
        name="Format",
        items=[(key, form.name, form.carries) for key, form in export.FORMATS.items()],
        description="File format",
    )
    frames: str = EnumProperty(
        name="Frames", items=listening.FRAMES, description="Frames to export"
    )
    rate: float = FloatProperty(
        name="Rows per Second",
        default=60.0,
        min=1.0,
        max=240.0,
        precision=3,
        description="Sampling rate of the curves. Live Link Face records 60 rows per second, which "
        "most importers expect",
    )

    from_zero: bool = BoolProperty(
        name="Start at Zero",
        default=True,
        description="Start the file at time 0 instead of the frame's time in the scene",
    )

    @property
    def filename_ext(self):
        return export.FORMATS[self.form].suffix

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event):
        if not self.filepath:
            folder = os.path.dirname(bpy.data.filepath) or os.path.expanduser("~")
            self.filepath = os.path.join(folder, _file_name(context) + self.filename_ext)
        if take_list.on_head(context.scene, chosen_head(context).mesh) is None:
            self.frames = "VOICE" if self.frames == "TAKE" else self.frames
        return super().invoke(context, event)

    def draw(self, context: bpy.types.Context) -> None:
        layout, form = self.layout, export.FORMATS[self.form]
        layout.use_property_split, layout.use_property_decorate = True, False
        layout.prop(self, "form")
        layout.prop(self, "frames")
        if form.timed:
            layout.prop(self, "from_zero")
        if form.rated:
            layout.prop(self, "rate")
        rig, lacking = attempt(head.find, context.scene, context.object)
        if rig is not None:
            lacking = export.why_missing(form, rig)
        lacking = lacking or attempt(listening.chosen_frames, context, rig, self.frames)[1]
        column = layout.column(align=True)
        column.label(
            text="Cannot Be Written" if lacking else "Does Not Carry",
            icon="ERROR" if lacking else "REMOVE",
        )
        for line in wrap(translated(lacking or form.loses), LETTERS):
            column.label(text=line, icon="BLANK1")

    def act(self, context: bpy.types.Context):
        if not os.path.basename(self.filepath):
            raise BadRequest("The file has no name: enter one")
        self.check(context)
        rig = head.find(context.scene, context.object)
        first, last = listening.chosen_frames(context, rig, self.frames)
        shot = export.Shot(
            context.scene, context.view_layer, rig, first, last, self.rate, self.from_zero
        )
        self.warn(export.export(shot, export.FORMATS[self.form], bpy.path.abspath(self.filepath)))
        return f"Exported frames {first}–{last} to “{os.path.basename(self.filepath)}”"


def _file_name(context: bpy.types.Context) -> str:
    """A name for the file: the shown take's, or the head's."""
    rig = head.find(context.scene, context.object)
    entry = take_list.on_head(context.scene, rig.mesh)
    name = entry.action.name.replace(" · ", " ") if entry is not None else rig.owner.name
    return bpy.path.clean_name(name)


def _in_menu(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    self.layout.operator("thunder.export_performance", text="Thunder Performance…")


register, unregister = registration(menus=(("TOPBAR_MT_file_export", _in_menu),))
