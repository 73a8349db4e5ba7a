# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of takes: rank, curve of the mouth, lip-sync score and seed of each."""

import bpy

from ..scene import takes


class THUNDER_UL_takes(bpy.types.UIList):
    """Takes, best first; a click shows one"""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index):
        if item.action is None:
            layout.alert = True
            layout.label(text=f"{index + 1}   deleted", icon="ERROR")
            return
        _columns(layout, f"{index + 1}", item.curve, f"{item.score:.1f}", f"{item.seed}")

    def filter_items(self, context, data, property_name):
        entries = getattr(data, property_name)
        chosen = takes.chosen_mesh(context)
        flags = [self.bitflag_filter_item if chosen is None or entry.head == chosen else 0 for entry in entries]
        return flags, []


def draw_header(layout):
    """The names of the list's columns, above it."""
    row = layout.row()
    row.scale_y = 0.6
    row.active = False
    _columns(row, "", "Mouth", "Sync", "Seed")


def _columns(layout, place, curve, score, seed):
    split = layout.split(factor=0.1)
    split.label(text=place)
    split = split.split(factor=0.55)
    split.label(text=curve)
    split = split.split(factor=0.5)
    split.label(text=score)
    split.label(text=seed)


register, unregister = bpy.utils.register_classes_factory((THUNDER_UL_takes,))
