# SPDX-License-Identifier: GPL-3.0-or-later
"""Listen in the Thunder tab: the speech generated from the animation beside the original, the lip-sync score, curves in the timeline."""

import bpy

from ..scene.heads import head
from ..scene.review import listening, live_score
from ..thunder_core.errors import attempt
from . import check
from .tab import Popover, props, Tab, wrapped_label


class THUNDER_PT_listen(Tab, bpy.types.Panel):
    bl_label = "Listen"

    @classmethod
    def poll(cls, context):
        scene = context.scene
        return head.is_any_in(scene) and (bool(scene.thunder.takes) or live_score.is_animated(scene, context.object))

    def draw(self, context):
        layout, settings = self.layout, context.scene.thunder
        row = layout.row(align=True)
        row.scale_y = 1.2
        row.operator("thunder.listen", icon="SPEAKER")
        row.prop(settings, "listen_range", text="")
        row.prop(settings, "listen_play", text="", icon="PLAY")
        if listening.can_compare(context):
            generated = listening.plays_generated(context)
            row = layout.row(align=True)
            row.operator("thunder.original", text="Original", depress=not generated).to = "ORIGINAL"
            row.operator("thunder.original", text="Animation", depress=generated).to = "HEARD"
        self._score(layout, context)
        check.draw(layout, context)

    def _score(self, layout, context):
        """One row: the score, and whether it is kept up to date."""
        rig, _ = attempt(head.find, context.scene, context.object)
        if rig is None:
            return
        score = live_score.shown_score(context.scene, rig)
        known = score is not None and score.is_known
        if not known:
            live_score.ask(context.scene, rig)
        text, grade = score.text if known else "Lip-Sync", score.grade if known else None
        line = live_score.committed_line(context, rig)
        row = layout.row(align=True)
        if grade is not None:
            row.label(text="", icon=grade.icon)
            text = f"{grade.text.capitalize()}, {text}"
        row.label(text=text + (f" · {line}" if known and line else "") + (" …" if live_score.live.is_running else ""))
        row.prop(context.scene.thunder, "live_score", text="", icon="FILE_REFRESH")
        why = "" if known else live_score.why_none(rig)
        if why:
            wrapped_label(layout, why, context)


class THUNDER_PT_overlay(Popover, bpy.types.Panel):
    bl_label = "Curves in the Timeline"
    bl_ui_units_x = 9

    def draw(self, context):
        chosen = context.scene.thunder.overlay
        self.layout.label(text=self.bl_label)
        column = self.layout.column(align=True)
        column.active = chosen.show
        props(column, chosen, "words", "waveform", "opening", "drift")


def _switch(self, context):
    """In a header: the curves on or off, and which, where there are takes."""
    scene = context.scene
    if scene is not None and scene.thunder.takes:
        row = self.layout.row(align=True)
        row.prop(scene.thunder.overlay, "show", text="", icon="RNDCURVE")
        row.popover("THUNDER_PT_overlay", text="")


_HEADERS = ("DOPESHEET_HT_header", "SEQUENCER_HT_header")


def register():
    for name in _HEADERS:
        getattr(bpy.types, name).append(_switch)


def unregister():
    for name in _HEADERS:
        getattr(bpy.types, name).remove(_switch)
