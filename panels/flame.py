# SPDX-License-Identifier: GPL-3.0-or-later
"""A head from a FLAME file in the Thunder tab: its identity, how exactly it is driven, and its own values."""

import bpy

from ..scene.engine import connection
from ..scene.heads import build, flame
from .tab import Tab, wrapped_label

SLIDERS_SHOWN = 10


class THUNDER_PT_flame(Tab, bpy.types.Panel):
    bl_label = "FLAME Head"
    bl_idname = "THUNDER_PT_flame"
    bl_order = 6
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        return flame.chosen(context) is not None

    def draw(self, context):
        layout = self.layout
        mesh = flame.chosen(context)
        armature = build.armature_of(mesh)
        names = flame.names_of(mesh, armature)
        layout.label(text=f"{mesh.name}: {len(names)} expression directions", icon="USER")
        if armature.library is not None or mesh.library is not None:
            wrapped_label(layout, "It is linked from another file and cannot be animated yet", context)
        row = layout.row(align=True)
        row.operator("thunder.preview_retarget", icon="HIDE_OFF")
        row.operator("thunder.preview_retarget", text="", icon="LOOP_BACK").amount = 0.0
        layout.operator("thunder.measure_retarget", icon="DRIVER_DISTANCE")
        measured = armature.get(flame.MEASURED, "")
        if measured:
            wrapped_label(layout, measured, context)
        chosen = connection.preferences()
        if chosen is not None:
            column = layout.column(align=True)
            column.prop(chosen, "flame_file", text="")
            column.operator("thunder.check_with_smplx", icon="CHECKMARK")
        blocks = mesh.data.shape_keys.key_blocks if mesh.data.shape_keys else {}
        sliders = [name for i in range(SLIDERS_SHOWN) if (name := build.IDENTITY.format(i + 1)) in blocks]
        if sliders:
            column = layout.column(align=True)
            column.label(text="Identity")
            for name in sliders:
                column.prop(blocks[name], "value", text=name[len("identity") :].lstrip("0"), slider=True)
            column.operator("thunder.fit_flame_bones", icon="BONE_DATA")
        layout.operator_context = "INVOKE_DEFAULT"
        layout.operator("thunder.export_performance", text="Export FLAME Parameters…", icon="EXPORT").form = "FLAME"


register, unregister = bpy.utils.register_classes_factory((THUNDER_PT_flame,))
