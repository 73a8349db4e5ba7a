# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines from sound files, a file of jobs or the microphone, and takes from recordings of a face,
also where files are dropped in the 3D viewport."""

import contextlib
import math
import os

import bpy
from bpy_extras import view3d_utils

from ..scene.engine import connection
from ..scene.heads import head
from ..scene.host import compat, jobs
from ..scene.takes import captured, dialogue, take_list
from ..scene.voice import recording, strip
from ..thunder_core.animation.motion_file import RECORDINGS
from ..thunder_core.batch.job_file import SOUNDS
from ..thunder_core.errors import attempt, BadRequest
from .base import ChoosesFile, FileWork, InstantWork, SlicedWork


class DropsInViewport:
    """A handler of files that are dropped in a 3D viewport."""

    @classmethod
    def poll_drop(cls, context):
        return context.area is not None and context.area.type == "VIEW_3D"


def choose_head_under(context, event) -> None:
    """Make the head under the pointer the one of the Thunder tab, if there is one. Over another
    object it is the scene's only head."""
    region = context.region
    view = context.region_data
    place = (event.mouse_region_x, event.mouse_region_y)
    if region is None or view is None or region.type != "WINDOW":
        return
    ray = [
        to_3d(region, view, place)
        for to_3d in (view3d_utils.region_2d_to_origin_3d, view3d_utils.region_2d_to_vector_3d)
    ]
    is_hit, *_, obj, _ = context.scene.ray_cast(context.evaluated_depsgraph_get(), *ray)
    mesh = head.guess(context.scene, context.scene.objects.get(obj.name)) if is_hit else None
    if mesh is not None and mesh != head.current(context):
        context.scene.thunder.head = mesh


class _AddsLines(InstantWork):
    """An operator that adds the sounds that `sounds(context)` lists as lines."""

    def act(self, context):
        added, left_out = dialogue.add_sounds(context, self.sounds(context))
        for sentence in left_out:
            self.report({"WARNING"}, f"Left out: {sentence}")
        what = (
            f"Added “{added[0]}”"
            if len(added) == 1
            else f"Added {len(added)} lines, one after the other"
        )
        return (
            what
            if head.is_any_in(context.scene)
            else f"{what}: add a head that speaks, then generate takes"
        )


class THUNDER_OT_add_lines(_AddsLines, bpy.types.Operator):
    """Add sound files to the sequencer from the playhead on, one after the other, as lines that the
    heads speak in turn"""

    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE", "HIDDEN"})
    files: bpy.props.CollectionProperty(
        type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE", "HIDDEN"}
    )
    filter_sound: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})

    def invoke(self, context, event):
        if not self.files:
            return ChoosesFile.invoke(self, context, event)
        choose_head_under(context, event)
        return self.execute(context)

    def sounds(self, context):
        folder = bpy.path.abspath(self.directory)
        paths = [os.path.join(folder, file.name) for file in self.files if file.name]
        return dialogue.sounds_of_files(context, paths, head.current(context))


class THUNDER_OT_open_jobs(_AddsLines, ChoosesFile, bpy.types.Operator):
    """Add the sounds that a file of jobs of bake.py names as lines from the playhead on. Moods and
    other settings in it are for bake.py"""

    filter_glob: bpy.props.StringProperty(default="*.toml", options={"HIDDEN"})

    def invoke(self, context, event):
        return self.execute(context) if self.filepath else super().invoke(context, event)

    def sounds(self, context):
        return dialogue.sounds_of_jobs(
            context, dialogue.read_jobs(bpy.path.abspath(self.filepath)).jobs
        )


class THUNDER_FH_lines(DropsInViewport, bpy.types.FileHandler):
    bl_label = "Lines of Dialogue"
    bl_import_operator = "thunder.add_lines"
    bl_file_extensions = ";".join(sorted(SOUNDS))


class THUNDER_FH_jobs(DropsInViewport, bpy.types.FileHandler):
    bl_label = "Thunder Jobs"
    bl_import_operator = "thunder.open_jobs"
    bl_file_extensions = ".toml"


class THUNDER_OT_import_capture(FileWork, bpy.types.Operator):
    """Add a captured face as a take of the chosen head and voice: curves of Live Link Face or ARKit
    (.csv), or a take of ours (.npz)"""

    bl_label = "Import Captured Face"

    filter_glob: bpy.props.StringProperty(
        default=";".join(f"*{ending}" for ending in RECORDINGS), options={"HIDDEN"}
    )
    rate: bpy.props.FloatProperty(
        name="Rows per Second",
        default=60.0,
        min=1.0,
        max=240.0,
        description="Frame rate of curves without timecodes or seconds",
    )

    def invoke(self, context, event):
        if self.filepath:
            choose_head_under(context, event)
        return super().invoke(context, event)

    def begin(self, context):
        path = bpy.path.abspath(self.filepath)
        if not os.path.basename(path):
            raise BadRequest("No file was chosen: choose a recording")
        client = connection.start_client() if strip.current(context) is not None else None
        return "Importing the capture", captured.list_capture(client, context, path, self.rate)

    def finish(self, context, entered):
        place = (
            "has no voice: add the line to the sequencer, and import it again"
            if entered.place is None
            else entered.place.sentence
        )
        score = (
            f". Lip-Sync {take_list.points(entered.score)}" if math.isfinite(entered.score) else ""
        )
        unsure = entered.place is None or (entered.place.by != "" and entered.place.sure < 1)
        self.report({"WARNING" if unsure else "INFO"}, f"“{entered.name}” {place}{score}")
        self.warn([entered.unscored])


class THUNDER_FH_captures(DropsInViewport, bpy.types.FileHandler):
    bl_label = "Captured Face"
    bl_import_operator = "thunder.import_capture"
    bl_file_extensions = ";".join(RECORDINGS)


def _in_menu(self, context):
    self.layout.operator("thunder.add_lines", text="Thunder Lines (Sounds)")
    self.layout.operator("thunder.open_jobs", text="Thunder Jobs (.toml)")
    self.layout.operator("thunder.import_capture", text="Thunder Captured Face (.csv, .npz)")


register, unregister = jobs.registration(menus=(("TOPBAR_MT_file_import", _in_menu),))


def scene_of(context):
    """The scene that gets the strip: the sequencer's, where that is under the mouse."""
    space = context.space_data
    return (
        compat.sequencer_scene(context)
        if space is not None and space.type == "SEQUENCE_EDITOR"
        else context.scene
    )


class THUNDER_OT_record(SlicedWork, bpy.types.Operator):
    """Record a line while the scene plays, and generate takes of it. Space or Esc ends it and keeps
    what was spoken"""

    obstacles = (
        lambda context: (
            "Recording needs a window: open the file in Blender"
            if bpy.app.background or context.window is None
            else ""
        ),
        lambda _: "" if strip.has_audio() else "This Blender was built without sound",
        lambda context: recording.why_no_range(scene_of(context)),
        lambda _: attempt(connection.client)[1],
    )
    survives_undo = True

    def begin(self, context):
        # While somebody speaks, the engine loads what the first take needs.
        connection.start_client().request("hello")
        self.scene = scene_of(context).name
        self.recording = recording.Recording(connection.recorder(), scene_of(context))
        return "Recording", self.recording.steps()

    def modal(self, context, event):
        is_key = event.type in {"ESC", "SPACE", "RET"}
        if jobs.session.job is not None and (
            jobs.session.job.asked_to_stop or is_key and event.value == "PRESS"
        ):
            jobs.session.job.asked_to_stop = False  # Cancel, too, keeps what was spoken
            recording.stop()
        return {"RUNNING_MODAL"} if is_key else super().modal(context, event)

    def show_progress(self, context):
        context.workspace.status_text_set(
            f"{jobs.session.job.step.message} · Space or Esc ends it and keeps what was spoken"
        )
        jobs.redraw(("SEQUENCE_EDITOR",))

    def finish(self, context, result):
        scene = bpy.data.scenes.get(self.scene) or scene_of(context)  # it may be renamed meanwhile
        added = recording.lay(scene, self.recording, result)
        scene.frame_set(self.recording.first)
        problem = attempt(strip.of_strip, scene, added)[1]
        settings, speaker = context.scene.thunder, head.current(context)
        settings.source, settings.voice = "STRIP", added.name
        if speaker is not None and settings.head_role != "LISTENS":
            strip.keep_speaker(context.scene, added.name, speaker)
        kept = f"Recorded {self.recording.spoken:.1f} s to “{result['path']}”"
        if not bpy.data.filepath:
            kept += ", and packed it into this file, which is not saved yet"
        self.report({"INFO"}, kept)
        self.warn([problem, result["ended"]])
        if speaker is None:
            self.report({"INFO"}, "Add a head and press Generate Takes")
        elif not problem:
            with contextlib.suppress(RuntimeError):  # it reports its own errors
                bpy.ops.thunder.generate("INVOKE_DEFAULT")


class THUNDER_OT_stop_recording(InstantWork, bpy.types.Operator):
    """End the recording and keep what was spoken"""

    bl_options = {"INTERNAL"}
    obstacles = (lambda _: "" if recording.is_on() else "Nothing is being recorded",)

    def act(self, context):
        recording.stop()
