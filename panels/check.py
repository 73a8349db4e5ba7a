# SPDX-License-Identifier: GPL-3.0-or-later
"""Check in the Listen panel: the button, what is allowed, and the list of what was found."""

import bpy

from ..scene.heads import head
from ..scene.review import checking
from ..thunder_core.errors import attempt
from .tab import wrapped_label

_ROWS = 4  # of the list, at least


class THUNDER_UL_findings(bpy.types.UIList):
    """Frame and sentence of each problem, most noticeable first."""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property):
        row = layout.split(factor=0.14)
        row.label(text=str(item.first))
        row.label(text=item.sentence)

    def filter_items(self, context, data, name):
        if not self.filter_name:
            return [], []
        shown = [self.bitflag_filter_item if self.filter_name.lower() in each.sentence.lower() else 0 for each in getattr(data, name)]
        return shown, []


def draw(layout, context) -> None:
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
    layout.template_list("THUNDER_UL_findings", "", checked, "findings", checked, "index", rows=_ROWS)
    if (chosen := checking.chosen(scene)) is not None:
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
