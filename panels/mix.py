# SPDX-License-Identifier: GPL-3.0-or-later
"""Mix: the take used for each part of the face, and the cuts between takes over time."""

import bpy

from ..scene.takes import mix
from .tab import OfShownTake

_ICONS = {"mouth": "SOUND", "upper_face": "USER", "eyes": "HIDE_OFF", "head": "ORIENTATION_GIMBAL"}


class THUNDER_UL_cuts(bpy.types.UIList):
    """Cuts in time; each lets a take in from its frame on"""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index):
        row = layout.row(align=True)
        split = row.split(factor=0.3, align=True)
        split.prop(item, "frame", text="", emboss=False)
        split = split.split(factor=0.45, align=True)
        split.prop(item, "part", text="", emboss=False)
        entry = mix.entry_of(context.scene, item.take)
        line = split.row(align=True)
        line.alert = entry is None
        line.label(text=entry.name if entry is not None else "Deleted")
        row.operator("thunder.remove_cut", text="", icon="X", emboss=False).index = index


class THUNDER_PT_mix(OfShownTake, bpy.types.Panel):
    bl_label = "Mix"
    bl_idname = "THUNDER_PT_mix"
    bl_order = 0
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        return super().poll(context) and len(mix.candidates(context)) > 1

    def draw(self, context):
        layout = self.layout
        settings = context.scene.thunder_mix
        column = layout.column(align=True)
        for part, label in mix.LABELS.items():
            split = column.split(factor=0.45, align=True)
            split.label(text=label, icon=_ICONS[part])
            entry = mix.chosen(context, part)
            split.operator_menu_enum("thunder.choose_part", "take", text=entry.name if entry is not None else "None").part = part
        if settings.cuts:
            layout.template_list("THUNDER_UL_cuts", "", settings, "cuts", settings, "cut_index", rows=2, maxrows=6)
        row = layout.row(align=True)
        row.operator_menu_enum("thunder.add_cut", "part", icon="ADD")
        if settings.cuts:
            layout.prop(settings, "fade")
        column = layout.column()
        column.scale_y = 1.2
        column.operator("thunder.mix_takes", icon="NODE_COMPOSITING")


register, unregister = bpy.utils.register_classes_factory((THUNDER_UL_cuts, THUNDER_PT_mix))
