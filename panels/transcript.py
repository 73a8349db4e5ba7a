# SPDX-License-Identifier: GPL-3.0-or-later
"""Transcript: the voice's words, for closures on the right m, b and p."""

import bpy

from ..scene.takes import take_list, transcript
from .tab import OfShownTake


class THUNDER_PT_transcript(OfShownTake, bpy.types.Panel):
    bl_label = "Transcript"
    bl_idname = "THUNDER_PT_transcript"
    bl_order = 3
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout = self.layout
        entry = take_list.shown_take(context.scene.thunder)
        record = transcript.of(context.scene, entry.voice)
        if record is None:
            layout.operator("thunder.add_transcript", icon="ADD")
            return
        row = layout.row(align=True)
        row.prop(record, "text", text="", placeholder="What the voice says")
        row.operator("thunder.edit_transcript", text="", icon="FULLSCREEN_ENTER")
        layout.operator("thunder.correct_closures", icon="CHECKMARK")


register, unregister = bpy.utils.register_classes_factory((THUNDER_PT_transcript,))
