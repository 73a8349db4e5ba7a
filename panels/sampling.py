# SPDX-License-Identifier: GPL-3.0-or-later
"""How takes are sampled: for all that generates, closed and below Direction since hardly anybody needs it."""

import bpy

from .sidebar import _Tab


class THUNDER_PT_sampling(_Tab, bpy.types.Panel):
    bl_label = "Sampling"
    bl_idname = "THUNDER_PT_sampling"
    bl_parent_id = "THUNDER_PT_direction"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, settings = self.layout, context.scene.thunder
        column = layout.column(align=True)
        for name in ("quality", "guidance", "speech_guidance"):
            column.prop(settings, name)


register, unregister = bpy.utils.register_classes_factory((THUNDER_PT_sampling,))
