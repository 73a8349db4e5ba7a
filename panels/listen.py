# SPDX-License-Identifier: GPL-3.0-or-later
"""Listen in the Thunder tab: generated speech beside the original, the lip-sync score, what Check
finds, curves in the timeline."""

import bpy

from ..scene.heads import head
from ..scene.host.jobs import registration
from ..scene.review import checking, listening, live_score
from ..thunder_core.errors import attempt
from .tab import Tab, tune, wrapped_label

_ROWS = 4  # of the list, at least


class THUNDER_PT_listen(Tab, bpy.types.Panel):
    bl_label = "Listen"

    @classmethod
    def poll(cls, context):
        scene = context.scene
        return head.is_any_in(scene) and (
            bool(scene.thunder.takes) or live_score.is_animated(scene, context.object)
        )

    def draw(self, context):
        layout, settings = self.layout, context.scene.thunder
        row = tune(layout.row(align=True), scale_y=1.2)
        row.operator("thunder.listen", icon="SPEAKER")
        row.prop(settings, "listen_range", text="")
        row.prop(settings, "listen_play", text="", icon="PLAY")
        if listening.can_compare(context):
            generated = listening.plays_generated(context)
            row = layout.row(align=True)
            row.operator("thunder.original", text="Original", depress=not generated).to = "ORIGINAL"
            row.operator("thunder.original", text="Animation", depress=generated).to = "HEARD"
        self._score(layout, context)
        draw_check(layout, context)

    def _score(self, layout, context):
        """One row: the score, and whether it is kept up to date."""
        rig, _ = attempt(head.find, context.scene, context.object)
        if rig is None:
            return
        score = live_score.shown_score(context.scene, rig)
        known = score is not None and score.is_known
        if not known:
            live_score.request_score(context.scene, rig)
        text, grade = score.text if known else "Lip-Sync", score.grade if known else None
        row = layout.row(align=True)
        if grade is not None:
            row.label(text="", icon=grade.icon)
            text = f"{grade.text.capitalize()}, {text}"
        row.label(text=text + " …" * live_score.live.is_running)
        row.prop(context.scene.thunder, "live_score", text="", icon="FILE_REFRESH")
        why = "" if known else live_score.why_none(rig)
        if why:
            wrapped_label(layout, why, context)


def _switch(self, context):
    """In a header: the curves on or off, where there are takes."""
    scene = context.scene
    if scene is not None and scene.thunder.takes:
        self.layout.prop(scene.thunder.overlay, "show", text="", icon="RNDCURVE")


register, unregister = registration(
    menus=(("DOPESHEET_HT_header", _switch), ("SEQUENCER_HT_header", _switch))
)


class THUNDER_UL_findings(bpy.types.UIList):
    """Frame and sentence of each problem, most noticeable first."""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property):
        row = layout.split(factor=0.14)
        row.label(text=str(item.first))
        row.label(text=item.sentence)

    def filter_items(self, context, data, name):
        if not self.filter_name:
            return [], []
        shown = [
            self.bitflag_filter_item if self.filter_name.lower() in each.sentence.lower() else 0
            for each in getattr(data, name)
        ]
        return shown, []


def draw_check(layout, context) -> None:
    """The part of the Listen panel for the current head."""
    rig, _ = attempt(head.find, context.scene, context.object)
    if rig is None:
        return
    scene = context.scene
    row = layout.row(align=True)
    row.operator("thunder.check", icon="VIEWZOOM")
    row.prop(scene.thunder_check, "tolerance", text="")
    if scene.thunder_check.ignored:
        row.operator("thunder.list_ignored", text="", icon="HIDE_OFF")
    checked = checking.of_head(scene, rig)
    if checked is None:
        return
    if not checked.findings:
        layout.label(text=checking.summary([]), icon="CHECKMARK")
        return
    layout.template_list(
        "THUNDER_UL_findings", "", checked, "findings", checked, "index", rows=_ROWS
    )
    if (chosen := checking.chosen_finding(scene)) is not None:
        wrapped_label(layout, f"{chosen[0].first}: {chosen[0].sentence}", context)
    buttons = layout.column(align=True)
    row = buttons.row(align=True)
    row.operator("thunder.go_to_finding", text="", icon="TRIA_LEFT").to = "PREVIOUS"
    row.operator("thunder.go_to_finding").to = "CHOSEN"
    row.operator("thunder.go_to_finding", text="", icon="TRIA_RIGHT").to = "NEXT"
    row = buttons.row(align=True)
    row.operator("thunder.fix_finding")
    row.operator("thunder.show_better_take")
    row.operator("thunder.ignore_finding")
