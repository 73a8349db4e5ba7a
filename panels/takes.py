# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes in the Thunder tab: the list with star, picture, lip-sync and changes of each, and the
actions on the shown take; and a pie of what is done most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from ..scene.heads import head
from ..scene.host.jobs import session
from ..scene.host.language import translated
from ..scene.media import grid
from ..scene.review import live_score
from ..scene.takes import browsing, grades, keep, take_list
from ..scene.voice import changes
from ..thunder_core import findings
from ..thunder_core.errors import attempt
from ..thunder_core.translation import pieces, plural
from .tab import BUTTON, buttons, is_divided, Popover, Tab, text_width, tune, wrapped_label

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems

    from ..scene.properties.settings import ThunderTake


# Widths are in buttons: one is as wide as an icon button.

_KINDS: dict[str, IconItems] = {
    "MIXED": "NODE_COMPOSITING",
    "RESAMPLED": "LOOP_FORWARDS",
    "DUPLICATED": "DUPLICATE",
    "CAPTURED": "CAMERA_DATA",
}
TILE = 0.8  # width of an icon without the gap around it
# widths of a grade, and of what mesh-to-speech reads, which is there where takes are in its order
VERDICT, READ = 2.4, 2.2
BESIDE = 4.9  # width of what the list has besides the words of a take
BESIDE_NAME = 10.3  # the same of its name: star, verdict and picture too
SECOND = 0.85  # height of the second line
ROWS = 5  # takes that the list shows; with more it has a scroll bar
TALLER = 0.82  # height that a take adds to the list in place of an empty row, measured
# what rows need to know of the whole list; filled in filter_items, which Blender calls first
_drawn: dict = {}


class THUNDER_UL_takes(bpy.types.UIList):
    """Takes. Click one to show it, double-click its name to rename it"""

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: bpy.types.bpy_struct,
        item: ThunderTake,
        icon: int,
        active_data: bpy.types.bpy_struct,
        active_property: str,
        index: int,
    ) -> None:
        column = layout.column(align=True)
        row, below = column.row(align=True), tune(column.row(align=True), scale_y=SECOND)
        row.prop(item, "star", text="", icon="SOLO_ON" if item.star else "SOLO_OFF", emboss=False)
        if item.action is None:
            row.alert = True
            row.label(text=translated(f"{item.name} was deleted"), icon="ERROR")
            return
        mark, grade = mark_of(item), grades.of_take(item)
        is_current = not (grades.has_old_score(item) or browsing.watch.is_outdated(item))
        is_poor = grade is not None and grade.name == findings.POOR
        tune(row.row(align=True), active=is_current, ui_units_x=VERDICT, alert=is_poor).label(
            text=translated(take_list.verdict(item))
        )
        reads = READ if context.scene.thunder.sort == "READ" else 0.0
        if reads:
            tune(row.row(align=True), active=is_current, ui_units_x=READ).label(
                text=translated(findings.heard_in_a_word(grades.heard_of(item)))
            )
        row.prop(item, "name", text="", emboss=False)
        picture = tune(row.row(align=True), scale_x=TILE)
        for tile in browsing.icons(item):
            picture.label(text="", icon="NONE" if tile else "BLANK1", icon_value=tile)
        # a click on the words shows the take too: Blender's own row is one line high
        said = tune(below.row(align=True), active=False, alignment="LEFT")
        # a name that is cut off above tells retakes apart here
        is_cut = text_width(item.name, context) > width(context) - BESIDE_NAME - reads
        name = f"{item.name}: " if is_cut else ""
        room = width(context) - BESIDE - text_width(name, context)
        words = name + whole_parts(grades.words_of(item), room, context)
        said.operator("thunder.select_take", text=words, emboss=False).index = index
        if mark != "BLANK1":
            row.label(text="", icon=mark)

    def draw_filter(self, context: bpy.types.Context, layout: bpy.types.UILayout) -> None:
        settings = context.scene.thunder
        layout.row(align=True).prop(settings, "sort", expand=True)
        layout.prop(settings, "only_starred", toggle=True, icon="SOLO_ON")

    def filter_items(
        self, context: bpy.types.Context, data: bpy.types.bpy_struct, property_name: str
    ):
        entries = getattr(data, property_name)
        order = browsing.order(context)
        _drawn["stale"] = {entry.as_pointer() for entry, _ in changes.stale_takes(context.scene)}
        listed = set(order)
        flags = [self.bitflag_filter_item * (place in listed) for place in range(len(entries))]
        rows = order + [place for place in range(len(entries)) if place not in listed]
        row_of = {place: row for row, place in enumerate(rows)}
        return flags, [row_of[place] for place in range(len(entries))]


def width(context: bpy.types.Context) -> float:
    """Width of the drawn region, in buttons; without a window that of a usual sidebar."""
    return (
        14.0
        if context.region is None
        else context.region.width / (BUTTON * context.preferences.system.ui_scale)
    )


def whole_parts(said: str, room: float, context: bpy.types.Context) -> str:
    """As many of the words of a take, in the animator's language, as have room whole: what is seen
    comes first, and the tooltip has all. Where not even one has room its beginning."""
    parts = said.split(", ")
    some = (translated(", ".join(parts[:count])) for count in range(len(parts), 0, -1))
    fitting = (words for words in some if text_width(words, context) <= room)
    return next(fitting, None) or shorten(translated(parts[0]), room, context)


def shorten(said: str, room: float, context: bpy.types.Context) -> str:
    """The first words of a take that fit into `room`, in buttons: Blender would cut the middle."""
    words = pieces(said)
    while words and text_width(said, context) > room:
        words.pop()
        said = "".join([*words, " …"])
    return said if words else ""


def mark_of(item: ThunderTake) -> IconItems:
    """Icon for a take's most important state: voice changed, edited, noted, or how it was made."""
    if item.as_pointer() in _drawn.get("stale", ()):
        return "FILE_REFRESH"
    if browsing.watch.is_edited(item):
        return "GREASEPENCIL"
    return "TEXT" if item.note else _KINDS.get(item.kind, "BLANK1")


def draw_header(layout: bpy.types.UILayout) -> None:
    """The names of the list's columns, above it."""
    row = tune(layout.row(align=True), scale_y=0.6, active=False)
    row.label(text="", icon="BLANK1")
    # one text: columns are narrower than their names
    names = ("Lip-Sync", "Read") if bpy.context.scene.thunder.sort == "READ" else ("Lip-Sync",)
    row.label(text=" · ".join(map(translated, names)))


class THUNDER_PT_score(Popover, bpy.types.Panel):
    """Points of the animation on the head, and of what they are the sum"""

    bl_label = "Why This Score?"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        if session.job is None and live_score.takes_to_score(context):
            self.say(
                "Greyed verdicts are by other weights, an earlier version or without these words;"
                " “…” is not scored yet"
            )
            layout.operator("thunder.score_again", icon="FILE_REFRESH")
        rig, _ = attempt(head.find, context.scene, context.object)
        score = None if rig is None else live_score.shown_score(context.scene, rig)
        if score is None or not score.is_known:
            layout.label(text="Not scored yet")
            return
        layout.label(text=translated(f"{score.text} of 100"))
        if score.grade is not None:
            said = score.grade.text
            self.say(said[:1].upper() + said[1:])
        column = layout.column(align=True)
        for name, said in findings.PARTS.items():
            if name in score.parts:
                part = score.parts[name]
                column.progress(text=f"{translated(said)}: {part:.0%}", factor=part)
        if read := findings.say_heard(score.heard):
            self.say(read)


class THUNDER_PT_batches(Popover, bpy.types.Panel):
    """Takes that were generated together: list them again, or clear all but the newest"""

    bl_label = "Earlier Takes"

    @classmethod
    def poll(cls, context: bpy.types.Context):
        return len(take_list.batches(context)) > 1

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column(align=True)
        for batch in take_list.batches(context):
            row = column.row(align=True)
            heading = tune(row.row(align=True), alignment="LEFT")
            icon = "RIGHTARROW" if batch[0].folded else "DOWNARROW_HLT"
            heading.operator(
                "thunder.fold_takes",
                text=translated(take_list.heading(batch)),
                icon=icon,
                emboss=False,
            ).batch = batch[0].batch
            tune(row.row(align=True), alignment="RIGHT", active=False).label(
                text=translated(take_list.count_in_words(len(batch)))
            )
        self.layout.operator(
            "thunder.delete_takes", text="Clear Earlier Takes", icon="TRASH"
        ).which = "EARLIER"


class THUNDER_MT_takes(bpy.types.Menu):
    bl_label = "Takes"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        settings = context.scene.thunder
        index = take_list.shown_index(settings)
        layout.operator(
            "thunder.star_take",
            icon="SOLO_ON",
            text="Remove Star" if index >= 0 and settings.takes[index].star else "Star",
        )
        buttons(layout, ("thunder.duplicate_take", "DUPLICATE"), ("thunder.delete_take", "TRASH"))
        layout.separator()
        layout.operator("thunder.more_like_this")
        layout.operator(
            "thunder.play_grid",
            text="Leave Grid" if grid.is_running() else "Play All",
            icon="MESH_GRID",
        )
        layout.operator("thunder.contact_sheet", icon="IMAGE_DATA")
        layout.separator()
        layout.operator_context = "INVOKE_DEFAULT"
        layout.operator(
            "thunder.delete_takes", text="Delete Takes Without a Star"
        ).which = "UNSTARRED"
        if take_list.unlisted_actions(context.scene):
            layout.operator("thunder.adopt_takes")
        layout.operator("thunder.import_capture", icon="CAMERA_DATA")


class THUNDER_MT_pie(bpy.types.Menu):
    bl_label = "Takes"

    def draw(self, context: bpy.types.Context) -> None:
        # left, right, bottom, top, then the corners from the top left, row by row
        pie = self.layout.menu_pie()
        pie.operator("thunder.select_take", text="Previous Take", icon="TRIA_LEFT").step = -1
        pie.operator("thunder.select_take", text="Next Take", icon="TRIA_RIGHT").step = 1
        is_playing = context.screen is not None and context.screen.is_animation_playing
        pie.operator(
            "screen.animation_play",
            text="Pause" if is_playing else "Play",
            icon="PAUSE" if is_playing else "PLAY",
        )
        buttons(
            pie,
            ("thunder.flip_take", "ARROW_LEFTRIGHT"),
            ("thunder.star_take", "SOLO_ON"),
            ("thunder.add_closure", "KEYFRAME"),
            ("thunder.listen", "SPEAKER"),
        )
        pie.operator(
            "thunder.resample_rest"
            if keep.keeps_anything(context.scene)
            else "thunder.more_like_this",
            icon="FILE_REFRESH",
        )


class THUNDER_PT_takes(Tab, bpy.types.Panel):
    bl_label = "Takes"
    parts = ("DIRECT", "TAKES")  # where they arrive, and where one is chosen

    @classmethod
    def poll(cls, context: bpy.types.Context):
        scene = context.scene
        there = bool(scene.thunder.takes) or bool(take_list.unlisted_actions(scene))
        return there and super().poll(context)

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        # in the header it takes no room, and is where takes went out of the list from
        if not THUNDER_PT_batches.poll(context):
            return
        folded = sum(len(batch) for batch in take_list.batches(context) if batch[0].folded)
        text = plural(folded, f"{folded} Earlier Take", f"{folded} Earlier Takes")
        text = text if folded else "Earlier Takes"
        self.layout.popover("THUNDER_PT_batches", text=translated(text))

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        settings = context.scene.thunder
        if not settings.takes:
            wrapped_label(layout, "This file has takes that are not in the list", context)
            layout.operator("thunder.adopt_takes", icon="IMPORT")
            return
        # in a low window takes are above its lower edge: their buttons are above them
        directs = is_divided(context) and context.window_manager.thunder_part == "DIRECT"
        if directs:
            self._draw_row(layout, context, commits=True)
        else:
            draw_header(layout)
        column = layout.column(align=True)
        column.template_list(
            "THUNDER_UL_takes",
            "",
            settings,
            "takes",
            settings,
            "active_take",
            item_dyntip_propname="tooltip",
            rows=ROWS,
            maxrows=ROWS,
        )
        self._fill(column, context)
        if directs:
            return
        self._draw_row(layout, context)
        row = layout.row(align=True)
        row.operator("thunder.play_grid", icon="X" if grid.is_running() else "MESH_GRID")
        buttons(
            row, ("thunder.contact_sheet", "IMAGE_DATA"), ("thunder.delete_take", "TRASH"), text=""
        )
        row.popover("THUNDER_PT_note", text="", icon="TEXT")
        row.popover("THUNDER_PT_score", text="", icon="QUESTION")

    def _draw_row(
        self, layout: bpy.types.UILayout, context: bpy.types.Context, commits: bool = False
    ) -> None:
        """What is shown: another take or the animator's own, and with it the button that commits
        it."""
        settings, row = context.scene.thunder, layout.row(align=True)
        tune(row.row(align=True), ui_units_x=2.2).operator("thunder.flip_take")
        mesh = take_list.chosen_mesh(context)
        on_head = take_list.on_head(context.scene, mesh) if mesh is not None else None
        row.operator(
            "thunder.select_take", text="My Animation", depress=mesh is not None and on_head is None
        ).index = -1
        row.prop(settings, "play_shown", text="", icon="PLAY")
        row.menu("THUNDER_MT_takes", text="", icon="DOWNARROW_HLT")
        if commits:
            row.operator_context = "INVOKE_DEFAULT"
            row.operator("thunder.commit_take", text="", icon="CHECKMARK")

    def _fill(self, column: bpy.types.UILayout, context: bpy.types.Context) -> None:
        """As much room below the list as it is lower with few takes, so that nothing moves when
        some arrive; with none, the reason."""
        listed = len(take_list.visible_places(context))
        room = TALLER * (ROWS - listed)
        if not listed:
            room -= wrapped_label(column, browsing.why_empty(context), context)
        if room > 0:
            tune(column.column(), scale_y=room).label(text="")
