# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of takes: rank, curve of the mouth, lip-sync score and seed of each."""

import bpy

from ..scene import takes


class THUNDER_UL_takes(bpy.types.UIList):
    """Takes, best first; a click shows one"""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index):
        row = layout.row(align=True)
        if item.action is None:
            row.alert = True
            row.label(text=f"{index + 1}   deleted", icon="ERROR")
            return
        split = row.split(factor=0.58)
        split.label(text=f"{index + 1}  {item.curve}")
        figures = split.row()
        figures.label(text=f"{item.score:.0f}")
        figures.label(text=f"{item.seed}")

    def filter_items(self, context, data, property_name):
        entries = getattr(data, property_name)
        chosen = takes.chosen_mesh(context)
        flags = [self.bitflag_filter_item if chosen is None or entry.head == chosen else 0 for entry in entries]
        return flags, []


register, unregister = bpy.utils.register_classes_factory((THUNDER_UL_takes,))
