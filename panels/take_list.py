# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of takes: star, picture of brows, mouth and head, lip-sync score, name and changes of each."""

import bpy

from ..scene.takes import browsing, edit_watch, take_list, thumbnails
from ..scene.voice import fingerprint

_KINDS = {"MIXED": "NODE_COMPOSITING", "RESAMPLED": "LOOP_FORWARDS", "DUPLICATED": "DUPLICATE"}
TILE, SCORE = 0.8, 1.5  # widths in buttons: an icon without the gap around it, and a number of up to three digits
NAME = 0.5, 0.3  # the same for a name: fixed part, and per letter
BESIDE, LEAST_WORDS = 4.6, 1.0  # the same for a sidebar's tabs, margins, scroll bar and star, and for words of which anything is read
_drawn: dict = {}  # data that the rows need of the whole list; filled in filter_items


class THUNDER_UL_takes(bpy.types.UIList):
    """Takes. Click one to show it, double-click its name to rename it"""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index):
        row = layout.row(align=True)
        row.prop(item, "star", text="", icon="SOLO_ON" if item.star else "SOLO_OFF", emboss=False)
        if item.action is None:
            row.alert = True
            row.label(text=f"{item.name} was deleted", icon="ERROR")
            return
        row.active = not item.hidden
        icons = thumbnails.icons(item)
        picture = row.row(align=True)
        picture.scale_x = TILE
        for tile in icons or (0,) * thumbnails.TILES:
            picture.label(text="", icon="NONE" if tile else "BLANK1", icon_value=tile)
        score = row.row(align=True)
        score.ui_units_x = SCORE
        score.alignment = "RIGHT"
        score.label(text=self._measure(item, index))
        name = row.row(align=True)
        name.prop(item, "name", text="", emboss=False)
        if item.words:
            name.ui_units_x = NAME[0] + NAME[1] * len(item.name)
            # What is left of the row is for the words: if they took more, Blender would cut the name off, too.
            left = width(context) - BESIDE - TILE * thumbnails.TILES - SCORE - name.ui_units_x - bool(_drawn.get("marked"))
            if left >= LEAST_WORDS:
                words = row.row(align=True)
                words.active = False
                words.ui_units_x = left
                words.label(text=item.words)
        if _drawn.get("marked"):
            row.label(text="", icon=mark_of(item))

    def _measure(self, item, index) -> str:
        if _drawn.get("sort") == "DIVERSITY":
            apart = _drawn["apart"].get(index)
            return "" if apart is None else f"{apart:.1f}" if apart < 9.95 else f"{apart:.0f}"
        return take_list.points_of(item) if take_list.speaks(item) else "–"

    def draw_filter(self, context, layout):
        settings = context.scene.thunder
        row = layout.row(align=True)
        row.prop(settings, "only_starred", toggle=True, icon="SOLO_ON")
        row.prop(settings, "show_hidden", toggle=True, icon="HIDE_OFF")

    def filter_items(self, context, data, property_name):
        entries = getattr(data, property_name)
        settings = context.scene.thunder
        order = browsing.order(context)
        _drawn["stale"] = {entry.as_pointer() for entry, _ in fingerprint.stale(context.scene)}
        _drawn.update(
            sort=settings.sort,
            marked=any(mark_of(entries[place]) != "BLANK1" for place in order),
            apart=(browsing.differences(entries, order) if settings.sort == "DIVERSITY" else {}),
        )
        flags = [0] * len(entries)
        for place in order:
            flags[place] = self.bitflag_filter_item
        listed = set(order)
        rows = order + [place for place in range(len(entries)) if place not in listed]
        places = [0] * len(entries)
        for row, place in enumerate(rows):
            places[place] = row
        return flags, places


def width(context) -> float:
    """Width of the region that is drawn, in buttons; that of a usual sidebar where there is no window."""
    return 14.0 if context.region is None else context.region.width / (20 * context.preferences.system.ui_scale)


def mark_of(item) -> str:
    """Icon for a take's most important state: hidden, voice changed, edited, noted, or how it was made."""
    if item.hidden:
        return "HIDE_ON"
    if item.as_pointer() in _drawn.get("stale", ()):
        return "FILE_REFRESH"
    if edit_watch.watch.is_known(item):
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
    picture = row.row(align=True)
    picture.ui_units_x = TILE * thumbnails.TILES
    picture.label(text="Face")
    row.label(text="Difference (mm)" if settings.sort == "DIVERSITY" else "Lip-Sync")


register, unregister = bpy.utils.register_classes_factory((THUNDER_UL_takes,))
