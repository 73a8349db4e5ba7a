# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep: which parts of the shown take stay while the rest is resampled."""

import bpy

from .tab import OfShownTake


class THUNDER_UL_kept(bpy.types.UIList):
    """Frames that are kept"""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index):
        row = layout.row(align=True)
        row.prop(item, "first", text="", emboss=False)
        row.label(text="–")
        row.prop(item, "last", text="", emboss=False)
        row.operator("thunder.free_frames", text="", icon="X", emboss=False).index = index


class THUNDER_PT_keep(OfShownTake, bpy.types.Panel):
    bl_label = "Keep and Resample"
    bl_idname = "THUNDER_PT_keep"
    bl_order = 1
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout = self.layout
        keep = context.scene.thunder_keep
        grid = layout.grid_flow(row_major=True, columns=2, even_columns=True, align=True)
        for part in ("mouth", "upper_face", "eyes", "head"):
            grid.prop(keep, part, toggle=True)
        row = layout.row(align=True)
        row.prop(keep, "selected", toggle=True)
        part = row.row(align=True)
        part.active = context.scene.use_preview_range
        part.prop(keep, "preview", toggle=True)
        if keep.ranges:
            layout.template_list("THUNDER_UL_kept", "", keep, "ranges", keep, "range_index", rows=2, maxrows=6)
        layout.operator_menu_enum("thunder.keep_frames", "which", icon="ADD")
        row = layout.row(align=True)
        row.prop(keep, "count")
        row.prop(keep, "seed")
        column = layout.column()
        column.scale_y = 1.2
        column.operator("thunder.resample_rest", icon="FILE_REFRESH")


register, unregister = bpy.utils.register_classes_factory((THUNDER_UL_kept, THUNDER_PT_keep))
