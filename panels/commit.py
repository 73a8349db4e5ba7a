# SPDX-License-Identifier: GPL-3.0-or-later
"""Commit in the Thunder tab: where the shown take goes, what becomes of the keys there, and how many keys it gets."""

import bpy

from .sidebar import _OfShownTake


class THUNDER_PT_commit(_OfShownTake, bpy.types.Panel):
    bl_label = "Commit"
    bl_idname = "THUNDER_PT_commit"
    bl_order = 4

    def draw(self, context):
        layout, chosen = self.layout, context.scene.thunder.commit
        column = layout.column()
        column.scale_y = 1.2
        column.operator("thunder.commit_take", icon="CHECKMARK")
        column = layout.column(align=True)
        column.prop(chosen, "to", text="")
        column.prop(chosen, "range", text="")
        if chosen.to != "NEW":
            row = layout.row(align=True)
            row.prop_enum(chosen, "how", "REPLACE")
            row.prop_enum(chosen, "how", "ADD")
            if chosen.to != "STRIP":
                row.prop_enum(chosen, "how", "INSERT")
        column = layout.column(align=True)
        column.prop(chosen, "error", text="Error (mm)")
        if chosen.to != "NEW":
            column.prop(chosen, "blend", text="Blend (frames)")


register, unregister = bpy.utils.register_classes_factory((THUNDER_PT_commit,))
