# SPDX-License-Identifier: GPL-3.0-or-later
"""Record the microphone: a line is spoken while the scene plays, becomes the head's voice, and
takes follow."""

import contextlib

import bpy

from ..scene.engine import connection
from ..scene.heads import head
from ..scene.host import compat, jobs
from ..scene.host.session import session
from ..scene.voice import recording, strip
from ..thunder_core.errors import attempt
from .base import InstantWork, SlicedWork


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

    bl_label = "Record"
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
        preferences = connection.preferences()
        self.scene = scene_of(context).name
        self.recording = recording.Recording(
            connection.recorder(), scene_of(context), preferences.microphone if preferences else ""
        )
        return "Recording", self.recording.steps()

    def modal(self, context, event):
        is_key = event.type in {"ESC", "SPACE", "RET"}
        if session.job is not None and (
            session.job.asked_to_stop or is_key and event.value == "PRESS"
        ):
            session.job.asked_to_stop = False  # Cancel, too, keeps what was spoken
            recording.stop()
        return {"RUNNING_MODAL"} if is_key else super().modal(context, event)

    def show_progress(self, context):
        context.workspace.status_text_set(
            f"{session.job.step.message} · Space or Esc ends it and keeps what was spoken"
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

    bl_label = "Stop Recording"
    bl_options = {"INTERNAL"}
    obstacles = (lambda _: "" if recording.is_on() else "Nothing is being recorded",)

    def act(self, context):
        recording.stop()
