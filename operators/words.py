# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a voice: find them in a text that is typed, pasted or read, and correct a take's
closures of m, b and p by it."""

import textwrap

import bpy
from bpy.props import StringProperty

from ..scene.engine import connection
from ..scene.host import jobs
from ..scene.takes import take_list, transcript, words
from ..scene.voice import fingerprint, strip
from ..thunder_core import subtitles
from ..thunder_core.errors import attempt, BadRequest
from .base import ChoosesFile, Explained, InstantWork, NeedsShownTake, shown_take_and_rig
from .slices import SlicedWork

WIDTH, LETTERS = 640, 100  # width of the wide field, pixels, and letters per line


class FindsWords(SlicedWork):
    """An operator that finds the sounds of the current voice, and the words of what `text`
    gives."""

    obstacles = (lambda context: attempt(strip.find, context)[1],)

    def text(self, context, voice: strip.Voice) -> str | None:
        """The text to find; None: the transcript's. Raises BadRequest."""
        return None

    def begin(self, context):
        voice = strip.find(context)
        text = self.text(context, voice)
        return "Finding words", words.find(connection.start_client(), voice, text)

    def finish(self, context, found):
        jobs.redraw(jobs.TIMELINES)
        self.report({"INFO"}, found.sentence)
        self.warn([found.warning])


class THUNDER_OT_find_words(FindsWords, bpy.types.Operator):
    """Find the sounds of the voice and the words of its transcript, and show them over the
    timeline"""

    bl_label = "Find Words"


class THUNDER_OT_paste_transcript(FindsWords, bpy.types.Operator):
    """Take what the voice says from the clipboard, and find its words"""

    bl_label = "Paste Transcript"

    def text(self, context, voice):
        pasted = " ".join(context.window_manager.clipboard.replace("\0", " ").split())
        if not pasted:
            raise BadRequest("The clipboard holds no text: copy what the voice says first")
        return pasted


class THUNDER_OT_read_transcript(ChoosesFile, FindsWords, bpy.types.Operator):
    """Read what the voice says from a text or from subtitles (.txt, .srt, .vtt), and find its
    words"""

    bl_label = "Read Transcript"

    filepath: StringProperty(subtype="FILE_PATH")
    filter_glob: StringProperty(
        default=";".join(f"*{ending}" for ending in subtitles.ENDINGS), options={"HIDDEN"}
    )

    def text(self, context, voice):
        state = fingerprint.of_voice(bpy.data.scenes[voice.scene], voice)
        part = state.seconds if state is not None and state.last else None
        return subtitles.read_text(bpy.path.abspath(self.filepath), "choose another", part)

    def execute(self, context):
        if bpy.app.background or context.window is None:
            return super().execute(context)
        return SlicedWork.invoke(self, context, None)


def _voice_of(context) -> str:
    """Name of the shown take's voice, else of the current one. Raises BadSound."""
    entry = take_list.shown_take(context.scene.thunder)
    return strip.find(context).name if entry is None else entry.voice


def _why_no_voice(context) -> str:
    return attempt(_voice_of, context)[1]


class THUNDER_OT_add_transcript(InstantWork, bpy.types.Operator):
    """Enter what the voice says: lips of new takes then follow its words"""

    bl_label = "Add Transcript"
    obstacles = (_why_no_voice,)

    def act(self, context):
        transcript.ensure(context.scene, _voice_of(context))


class THUNDER_OT_edit_transcript(Explained, bpy.types.Operator):
    """Edit the transcript in a wide field, with all of it below"""

    bl_label = "Transcript"
    bl_options = {"UNDO", "INTERNAL"}
    obstacles = (_why_no_voice,)

    def invoke(self, context, event):
        transcript.ensure(context.scene, _voice_of(context))
        return context.window_manager.invoke_props_dialog(self, width=WIDTH)

    def draw(self, context):
        layout = self.layout
        record = transcript.of(context.scene, _voice_of(context))
        layout.prop(record, "text", text="", placeholder="What the voice says")
        lines = layout.column(align=True)
        lines.scale_y = 0.7
        for line in textwrap.wrap(record.text, LETTERS):
            lines.label(text=line)

    def execute(self, context):
        return {"FINISHED"}


def _why_no_transcript(context) -> str:
    record = transcript.of(context.scene, take_list.shown_take(context.scene.thunder).voice)
    return (
        "The voice has no transcript: enter what it says"
        if record is None or not record.text.strip()
        else ""
    )


class THUNDER_OT_correct_closures(NeedsShownTake, SlicedWork, bpy.types.Operator):
    """Close the lips of the shown take on each M, B and P of the transcript, and open them
    elsewhere"""

    bl_label = "Correct Closures"
    obstacles = (_why_no_transcript,)

    @classmethod
    def description(cls, context, properties):
        return attempt(strip.find, context)[1] or cls.__doc__

    def begin(self, context):
        entry, _ = shown_take_and_rig(context)
        return "Correcting closures", transcript.correct(connection.start_client(), context, entry)

    def finish(self, context, changes):
        self.report({"INFO"}, changes.sentence)
        self.warn([changes.warning])
