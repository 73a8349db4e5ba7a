# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the words and sounds of a voice, from a text that is typed, pasted or read from a file."""

import bpy
from bpy.props import StringProperty

from ..scene.engine import connection
from ..scene.review import word_track
from ..scene.takes import words
from ..scene.voice import fingerprint, strip
from ..thunder_core import subtitles
from ..thunder_core.errors import attempt, BadRequest
from .base import ChoosesFile, why_busy
from .slices import SlicedWork


class FindsWords(SlicedWork):
    """An operator that finds the sounds of the current voice, and the words of what `text` gives."""

    @classmethod
    def why_not(cls, context):
        return why_busy() or attempt(strip.find, context)[1]

    def text(self, context, voice: strip.Voice) -> str | None:
        """What the voice says, None for what its transcript has. Raises BadRequest."""
        return None

    def begin(self, context):
        voice = strip.find(context)
        text = self.text(context, voice)
        return "Finding words", words.find(connection.started(), voice, text)

    def finish(self, context, found):
        word_track.redraw()
        self.report({"INFO"}, found.sentence)
        self.warn([found.warning])


class THUNDER_OT_find_words(FindsWords, bpy.types.Operator):
    """Find the sounds of the voice and the words of its transcript, and show them over the timeline"""

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
    """Read what the voice says from a text or from subtitles (.txt, .srt, .vtt), and find its words"""

    bl_label = "Read Transcript"

    filepath: StringProperty(subtype="FILE_PATH")
    filter_glob: StringProperty(default=";".join(f"*{ending}" for ending in subtitles.ENDINGS), options={"HIDDEN"})

    def text(self, context, voice):
        state = fingerprint.of_voice(bpy.data.scenes[voice.scene], voice)
        part = state.seconds if state is not None and state.last else None
        return subtitles.read_text(bpy.path.abspath(self.filepath), "choose another", part)

    def execute(self, context):
        if bpy.app.background or context.window is None:
            return super().execute(context)
        return SlicedWork.invoke(self, context, None)
