# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of Export Performance in the file browser, with the limits of the chosen format."""

import bpy

from ..scene.heads import head
from ..scene.media import export
from ..thunder_core.errors import attempt
from .tab import props, wrapped_label


class THUNDER_PT_export_choices(bpy.types.Panel):
    bl_space_type = "FILE_BROWSER"
    bl_region_type = "TOOL_PROPS"
    bl_label = "Performance"
    bl_parent_id = "FILE_PT_operator"
    bl_options = {"HIDE_HEADER"}

    @classmethod
    def poll(cls, context):
        operator = context.space_data.active_operator
        return operator is not None and operator.bl_idname == "THUNDER_OT_export_performance"

    def draw(self, context):
        layout, operator = self.layout, context.space_data.active_operator
        form = export.FORMATS[operator.form]
        column = layout.column()
        column.use_property_split, column.use_property_decorate = True, False
        props(column, operator, "form", "frames")
        if form.timed:
            column.prop(operator, "from_zero")
        if form.rated:
            column.prop(operator, "rate")
        layout.separator(factor=0.5)
        rig, lacking = attempt(head.find, context.scene, context.object)
        lacking = lacking or export.missing(form, rig)
        if lacking:
            layout.label(text="Cannot Be Written", icon="ERROR")
            wrapped_label(layout, lacking, context)
            return
        layout.label(text="Carries", icon="CHECKMARK")
        wrapped_label(layout, form.carries, context)
        layout.label(text="Does Not Carry", icon="REMOVE")
        wrapped_label(layout, form.loses, context)
