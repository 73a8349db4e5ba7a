# SPDX-License-Identifier: GPL-3.0-or-later
"""Record: a button beside the voice and in the sequencer's header, and what it opens."""

import bpy

from ..operators.record import scene_of
from ..scene.engine import connection
from ..scene.host import handlers
from ..scene.host.session import session
from ..scene.voice import recording
from .tab import big_button, in_lines, props, tune

WIDTH = 15  # of the popover, in button heights
LETTERS = 44  # that fit into a line of it


def record_button(layout) -> None:
    """The button that opens the settings of a recording; while it runs, the one that ends it."""
    if recording.is_on():
        tune(layout.row(align=True), alert=True).operator(
            "thunder.stop_recording", text="", icon="SNAP_FACE"
        )
    else:
        layout.popover("THUNDER_PT_record", text="", icon="REC")


class THUNDER_PT_record(bpy.types.Panel):
    """Record your voice"""

    bl_label = "Record"
    bl_space_type = "TOPBAR"  # in no region: it is only opened by its button
    bl_region_type = "HEADER"
    bl_ui_units_x = WIDTH

    def draw(self, context):
        layout, settings = self.layout, scene_of(context).thunder.recording
        connection.look_for_microphones()
        big_button(layout, "thunder.record", icon="REC")
        layout.use_property_split = True
        layout.use_property_decorate = False
        preferences = connection.preferences()
        if preferences is not None:
            layout.prop(preferences, "microphone", placeholder="System Default")
        props(layout, settings, "countdown", "punch_in", "mute_beneath")
        layout.prop(settings, "folder", placeholder="Beside This File")
        for problem in filter(
            None, (connection.microphones.problem, recording.why_no_range(scene_of(context)))
        ):
            in_lines(layout.column(align=True), problem, LETTERS, "ERROR")


def _in_sequencer(self, context) -> None:
    if context.space_data.view_type == "PREVIEW":
        return
    if recording.is_on():
        row = tune(self.layout.row(), ui_units_x=WIDTH)
        row.progress(factor=session.job.step.fraction, text=session.job.step.message)
    record_button(self.layout)


register, unregister = handlers.registration(menus=(("SEQUENCER_HT_header", _in_sequencer),))
