# SPDX-License-Identifier: GPL-3.0-or-later
"""Enter a voice's transcript, and correct a take's closures of m, b and p by it."""

import textwrap

import bpy

from ..scene.engine import connection
from ..scene.takes import take_list, transcript
from ..scene.voice import strip
from ..thunder_core.errors import attempt
from .base import InstantWork, NeedsShownTake, shown
from .slices import SlicedWork

WIDTH, LETTERS = 640, 100  # width of the wide field, pixels, and letters per line


class THUNDER_OT_add_transcript(NeedsShownTake, InstantWork, bpy.types.Operator):
    """Enter what the voice of the shown take says"""

    bl_label = "Add Transcript"

    def act(self, context):
        entry, _ = shown(context)
        transcript.ensure(context.scene, entry.voice)


class THUNDER_OT_edit_transcript(NeedsShownTake, bpy.types.Operator):
    """Edit the transcript in a wide field, with all of it below"""

    bl_label = "Transcript"
    bl_options = {"UNDO", "INTERNAL"}

    def invoke(self, context, event):
        entry, _ = shown(context)
        transcript.ensure(context.scene, entry.voice)
        return context.window_manager.invoke_props_dialog(self, width=WIDTH)

    def draw(self, context):
        layout = self.layout
        record = transcript.of(context.scene, shown(context)[0].voice)
        layout.prop(record, "text", text="", placeholder="What the voice says")
        lines = layout.column(align=True)
        lines.scale_y = 0.7
        for line in textwrap.wrap(record.text, LETTERS):
            lines.label(text=line)

    def execute(self, context):
        return {"FINISHED"}


class THUNDER_OT_correct_closures(NeedsShownTake, SlicedWork, bpy.types.Operator):
    """Close the lips of the shown take on each M, B and P of the transcript, and open them elsewhere"""

    bl_label = "Correct Closures"

    @classmethod
    def why_not(cls, context):
        if sentence := super().why_not(context):
            return sentence
        record = transcript.of(context.scene, take_list.shown_take(context.scene.thunder).voice)
        return "The voice has no transcript: enter what it says" if record is None or not record.text.strip() else ""

    @classmethod
    def description(cls, context, properties):
        return attempt(strip.find, context)[1] or cls.__doc__

    def begin(self, context):
        entry, _ = shown(context)
        return "Correcting closures", transcript.correct(connection.started(), context, entry)

    def finish(self, context, changes):
        self.report({"INFO"}, changes.sentence)
        self.warn([changes.warning])
