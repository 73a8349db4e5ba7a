# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of takes: star, curve of the mouth, lip-sync score and name of each, and what was done with it."""

import math

import bpy

from ..scene import browsing, edits, voice_state

_KINDS = {"MIXED": "NODE_COMPOSITING", "RESAMPLED": "LOOP_FORWARDS", "DUPLICATED": "DUPLICATE"}
BARS = 7  # of a take's curve
SHORT_NAME = 6  # letters that fit beside all of them
_drawn: dict = {}  # what the rows of the list being drawn show of the whole list: filled when it is filtered


class THUNDER_UL_takes(bpy.types.UIList):
    """Takes; a click shows one, a double click on its name renames it"""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index):
        row = layout.row(align=True)
        row.prop(item, "star", text="", icon="SOLO_ON" if item.star else "SOLO_OFF", emboss=False)
        if item.action is None:
            row.alert = True
            row.label(text=f"{item.name} was deleted", icon="ERROR")
            return
        row.active = not item.hidden
        _columns(row, item.curve, self._measure(item, index), lambda column: column.prop(item, "name", text="", emboss=False))
        if _drawn.get("marked"):
            row.label(text="", icon=mark_of(item))

    def _measure(self, item, index) -> str:
        if _drawn.get("sort") == "DIVERSITY":
            apart = _drawn["apart"].get(index)
            return "" if apart is None else f"{apart:.1f}" if apart < 9.95 else f"{apart:.0f}"
        return f"{item.score:.0f}" if math.isfinite(item.score) else "…"

    def draw_filter(self, context, layout):
        settings = context.scene.thunder
        row = layout.row(align=True)
        row.prop(settings, "only_starred", toggle=True, icon="SOLO_ON")
        row.prop(settings, "show_hidden", toggle=True, icon="HIDE_OFF")

    def filter_items(self, context, data, property_name):
        entries = getattr(data, property_name)
        settings = context.scene.thunder
        order = browsing.order(context)
        _drawn["stale"] = {entry.as_pointer() for entry, _ in voice_state.stale(context.scene)}
        _drawn.update(sort=settings.sort, marked=any(mark_of(entries[place]) != "BLANK1" for place in order), apart=(
            browsing.differences(entries, order) if settings.sort == "DIVERSITY" else {}),
            long=any(len(entries[place].name) > SHORT_NAME for place in order))
        flags = [0] * len(entries)
        for place in order:
            flags[place] = self.bitflag_filter_item
        listed = set(order)
        rows = order + [place for place in range(len(entries)) if place not in listed]
        places = [0] * len(entries)
        for row, place in enumerate(rows):
            places[place] = row
        return flags, places


def mark_of(item) -> str:
    """The icon of the most telling thing about a take: hidden, its voice has changed, edited, noted, or how it was made."""
    if item.hidden:
        return "HIDE_ON"
    if item.as_pointer() in _drawn.get("stale", ()):
        return "FILE_REFRESH"
    if edits.is_known(item):
        return "GREASEPENCIL"
    if item.note:
        return "TEXT"
    return _KINDS.get(item.kind, "BLANK1")


def draw_header(layout, settings):
    """The names of the list's columns, above it."""
    row = layout.row(align=True)
    row.scale_y = 0.6
    row.active = False
    row.label(text="", icon="BLANK1")
    _columns(row, "Mouth", "mm" if settings.sort == "DIVERSITY" else "Sync", lambda column: column.label(text="Name"))
    if _drawn.get("marked"):
        row.label(text="", icon="BLANK1")


def _columns(layout, curve, measure, name):
    """Curve, measure and name beside each other; the signs at the end, and long names, take room of the curve."""
    marked, long = _drawn.get("marked"), _drawn.get("long")
    split = layout.split(factor=0.34 if long else 0.49 if marked else 0.52)
    if len(curve) == BARS:
        curve = curve[::2] if long else curve[:3] + curve[4:] if marked else curve
    split.label(text=curve)
    split = split.split(factor=0.28 if long else 0.37 if marked else 0.34)
    split.label(text=measure)
    name(split.row())


register, unregister = bpy.utils.register_classes_factory((THUNDER_UL_takes,))
