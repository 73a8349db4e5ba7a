# SPDX-License-Identifier: GPL-3.0-or-later
"""Import Captured Face: a recording of somebody's face becomes a take, also when its file is dropped on a head."""

import math
import os

import bpy

from ..scene.engine import connection
from ..scene.host import handlers
from ..scene.takes import captured, take_list
from ..scene.voice import strip
from ..thunder_core.animation import recording
from ..thunder_core.errors import attempt, BadRequest
from .add_lines import choose_head_under, DropsInViewport
from .base import ChoosesFile, why_busy
from .slices import SlicedWork


class THUNDER_OT_import_capture(SlicedWork, bpy.types.Operator):
    """Add a captured face as a take of the chosen head and voice: curves of Live Link Face or ARKit (.csv), or a take of ours (.npz)"""

    bl_label = "Import Captured Face"

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: bpy.props.StringProperty(default=";".join(f"*{ending}" for ending in recording.ENDINGS), options={"HIDDEN"})
    begins: bpy.props.EnumProperty(
        name="Begins",
        items=[
            ("FOUND", "By Sound", "Where its own sound fits the voice, or else its mouth. A sound beside it has the same name"),
            ("TYPED", "At Offset", "So many seconds after the beginning of the voice"),
        ],
        options={"SKIP_SAVE"},  # what is dropped next is looked for again
        description="How its place in the voice is found",
    )
    offset: bpy.props.FloatProperty(
        name="Offset", unit="TIME_ABSOLUTE", description="Seconds of the voice at which the capture begins, below 0 for earlier"
    )
    rate: bpy.props.FloatProperty(
        name="Rows per Second", default=60.0, min=1.0, max=240.0, description="Frame rate of curves without timecodes or seconds"
    )

    @classmethod
    def why_not(cls, context):
        return ""  # a file that is dropped is answered with a sentence, which a greyed button could not say

    def invoke(self, context, event):
        if not self.filepath:
            return ChoosesFile.invoke(self, context, event)
        choose_head_under(context, event)
        return self._refused() or super().invoke(context, event)

    def execute(self, context):
        return self._refused() or super().execute(context)

    def _refused(self):
        """The result of the operator while other work is under way, which it reports; None otherwise."""
        if sentence := why_busy():
            self.report({"ERROR"}, sentence)
        return {"CANCELLED"} if sentence else None

    def begin(self, context):
        path = bpy.path.abspath(self.filepath)
        if not os.path.basename(path):
            raise BadRequest("No file was chosen: choose a recording")
        client, self.no_engine = attempt(connection.started) if strip.current(context) is not None else (None, "")
        offset = self.offset if self.begins == "TYPED" else None
        return "Importing the capture", captured.enter(client, context, path, self.rate, offset)

    def finish(self, context, entered):
        place = "has no voice: add the line to the sequencer, and import it again" if entered.place is None else entered.place.sentence
        score = f". Lip-Sync {take_list.points(entered.score)}" if math.isfinite(entered.score) else ""
        unsure = entered.place is None or (entered.place.by != "" and entered.place.sure < 1)
        self.report({"WARNING" if unsure else "INFO"}, f"“{entered.name}” {place}{score}")
        self.warn([self.no_engine, entered.unscored])


class THUNDER_FH_captures(DropsInViewport, bpy.types.FileHandler):
    bl_idname = "THUNDER_FH_captures"
    bl_label = "Captured Face"
    bl_import_operator = "thunder.import_capture"
    bl_file_extensions = ";".join(recording.ENDINGS)


def _in_menu(self, context):
    self.layout.operator("thunder.import_capture", text="Thunder Captured Face (.csv, .npz)")


register, unregister = handlers.registration(menus=(("TOPBAR_MT_file_import", _in_menu),))
