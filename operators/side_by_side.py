# SPDX-License-Identifier: GPL-3.0-or-later
"""See takes: all of them side by side in a grid or on a contact sheet, in a lit scene, as a
playblast."""

from functools import partial

import bpy

from ..scene.heads import head
from ..scene.host import playback
from ..scene.media import contact_sheet, grid, studio
from ..scene.takes import browsing, take_list
from ..scene.voice import strip, voice_cache
from ..thunder_core.errors import attempt, BadRequest
from .base import (
    ChoosesFile,
    chosen_head,
    FileWork,
    InstantWork,
    NeedsTakes,
    SlicedWork,
    why_not_in_object_mode,
)


class THUNDER_OT_play_grid(NeedsTakes, SlicedWork, bpy.types.Operator):
    """Play all listed takes side by side. Click a head to choose its take; Esc, or this button
    again, leaves and shows it"""

    bl_label = "Play All"
    bl_options = set()  # nothing in the file changes: there is nothing to undo

    def invoke(self, context, event):
        return self.execute(context) if grid.is_running() else super().invoke(context, event)

    def execute(self, context):
        if not grid.is_running():
            return super().execute(context)
        playback.stop()
        name, problem = attempt(grid.leave_and_show)
        if name or problem:
            self.report({"ERROR"} if problem else {"INFO"}, problem or f"Showing {name}")
        return {"FINISHED"}

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


class THUNDER_OT_contact_sheet(NeedsTakes, SlicedWork, bpy.types.Operator):
    """Render the listed takes side by side into an image, at the moments where they differ most"""

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


class THUNDER_OT_light_scene(InstantWork, bpy.types.Operator):
    """Set up a camera that frames the chosen head, else all heads, three lights and a backdrop, or
    fit them again"""

    bl_label = "Light the Scene"
    obstacles = (
        lambda context: (
            "" if head.is_any_in(context.scene) else "There is no head to light: add one first"
        ),
        why_not_in_object_mode,
    )

    def act(self, context):
        scene = context.scene
        context.view_layer.update()
        rigs = (
            [head.resolve(obj) for obj in head.in_scene(scene)]
            if scene.thunder.head is None
            else [chosen_head(context)]
        )
        studio.set_up(scene, rigs)
        if context.area is not None and context.area.type == "VIEW_3D":
            context.space_data.region_3d.view_perspective = "CAMERA"


class THUNDER_OT_remove_stage(InstantWork, bpy.types.Operator):
    """Remove the camera, lights and backdrop of Light the Scene. The scene's own camera and
    settings come back"""

    bl_label = "Remove Lights and Backdrop"
    obstacles = (
        lambda context: (
            ""
            if studio.find(context.scene)
            else "There is nothing to remove: Light the Scene was not used in this scene"
        ),
    )

    def act(self, context):
        view = (
            context.space_data.region_3d
            if context.space_data is not None and context.space_data.type == "VIEW_3D"
            else None
        )
        if view is not None and view.view_perspective == "CAMERA":
            view.view_perspective = "PERSP"  # the scene's camera may show something else
        studio.remove(context.scene)


class THUNDER_OT_playblast(FileWork, bpy.types.Operator):
    """Film the scene's frames with their sound, through the stage's camera or the scene's, into a
    video next to the .blend"""

    bl_options = set()  # nothing in the file changes: there is nothing to undo

    filter_glob: bpy.props.StringProperty(default="*.mp4", options={"HIDDEN"})

    def invoke(self, context, event):
        self.filepath = _free_video()
        return ChoosesFile.invoke(self, context, event)

    def begin(self, context):
        path = bpy.path.abspath(self.filepath) or _free_video()
        path = bpy.path.ensure_ext(path, ".mp4")
        return "Playblast", studio.playblast(context.scene, path)

    def outcome(self, value):
        return f"Playblast saved to {value}"


def _free_video() -> str:
    """A video beside the .blend that is not there yet."""
    title = bpy.path.display_name_from_filepath(bpy.data.filepath) or "Scene"
    return contact_sheet.free_path(f"{title} playblast", ".mp4")
