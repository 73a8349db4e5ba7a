# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit in the Thunder tab: the target action, what happens to the keys there, and which keys are set."""

import bpy

from ..scene.takes import take_list
from ..scene.takes.commit import committing
from .tab import big_button, props, Tab, wrapped_label


class THUNDER_PT_commit(Tab, bpy.types.Panel):
    bl_label = "Commit"
    bl_order = 4

    @classmethod
    def poll(cls, context):
        return bool(context.scene.thunder.takes)  # while none is shown, the button is greyed with a reason

    def draw(self, context):
        layout, chosen = self.layout, context.scene.thunder.commit
        big_button(layout, "thunder.commit_take", icon="CHECKMARK")
        if take_list.shown_index(context.scene.thunder) < 0:
            wrapped_label(layout, committing.why_none(context), context)
        column = layout.column(align=True)
        props(column, chosen, "to", "range", text="")
        if chosen.to != "NEW":
            row = layout.row(align=True)
            row.prop_enum(chosen, "how", "REPLACE")
            row.prop_enum(chosen, "how", "ADD")
            if chosen.to != "STRIP":
                row.prop_enum(chosen, "how", "INSERT")
        layout.row(align=True).prop(chosen, "keys", expand=True)
        column = layout.column(align=True)
        column.prop(chosen, "error", text="Max Lip Error (mm)")
        if chosen.to != "NEW" or chosen.range == "PREVIEW":
            column.prop(chosen, "blend", text="Blend (frames)")


class THUNDER_PT_commit_regions(Tab, bpy.types.Panel):
    bl_label = "Regions"
    bl_parent_id = "THUNDER_PT_commit"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, chosen = self.layout, context.scene.thunder.commit
        grid = layout.grid_flow(row_major=True, columns=2, even_columns=True, align=True)
        props(grid, chosen, *committing.REGION_SETTINGS.values(), toggle=True)
        cell = grid.row(align=True)
        cell.active = chosen.keys == "POSES" and chosen.mouth
        cell.prop(chosen, "markers", toggle=True, icon="BOOKMARKS")


register, unregister = bpy.utils.register_classes_factory((THUNDER_PT_commit, THUNDER_PT_commit_regions))
