# SPDX-License-Identifier: GPL-3.0-or-later
"""Shape: sliders that make the shown take stronger, smoother, later or sadder, and closures by hand."""

import bpy

from ..scene.takes import take_list
from ..scene.takes.shape import strength
from ..thunder_core.errors import ThunderError
from .tab import OfShownTake


class THUNDER_PT_shape(OfShownTake, bpy.types.Panel):
    bl_label = "Shape"
    bl_idname = "THUNDER_PT_shape"
    bl_order = 2
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout = self.layout
        entry = take_list.shown_take(context.scene.thunder)
        shape = entry.action.thunder_shape
        column = layout.column(align=True)
        for names in (("mouth", "jaw"), ("head", "blinks")):
            row = column.row(align=True)
            for name in names:
                row.prop(shape, name, slider=True)
        column.prop(shape, "upper_face", slider=True)
        row = layout.row(align=True)
        row.prop(shape, "smoothing")
        row.prop(shape, "offset")
        self._emotion(layout, context, entry, shape)
        row = layout.row(align=True)
        row.operator("thunder.add_closure", icon="REMOVE")
        row.operator("thunder.remove_closure", icon="MESH_CIRCLE")
        row.operator("thunder.reset_shape", text="", icon="LOOP_BACK")

    def _emotion(self, layout, context, entry, shape):
        column = layout.column(align=True)
        column.prop(shape, "emotion", text="")
        if shape.emotion == "NONE":
            return
        try:
            rig = take_list.rig_of(context.scene, entry)
        except ThunderError:
            return
        row = column.row(align=True)
        if strength.strength_curve(rig, entry) is None:
            row.prop(shape, "strength", slider=True)
            row.operator("thunder.animate_emotion", text="Animate", icon="DECORATE_ANIMATE")
            return
        row.prop(rig.targets[0], strength.STRENGTH, text="Strength", slider=True)
        row.operator("thunder.still_emotion", text="", icon="X")
        if strength.is_behind(rig, entry):
            column.operator("thunder.apply_shape", text="Update", icon="FILE_REFRESH")


register, unregister = bpy.utils.register_classes_factory((THUNDER_PT_shape,))
