# SPDX-License-Identifier: GPL-3.0-or-later
"""Words in the Thunder tab: what can be done with the words of the voice, most with the one at the
current frame."""

import bpy

from ..scene.takes import mix, take_list, word_places
from ..scene.takes.transcript import LABELS, WORD_KINDS
from ..scene.voice import strip
from ..thunder_core.errors import attempt
from ..thunder_core.spoken import CLEAR
from .tab import grey, Tab, tune, wrapped_label

MOST_TAKES, MOST_SOUNDS = 8, 8  # that are shown of a word
TILE = 0.8  # width of an icon without the gap around it, in buttons


class THUNDER_PT_words(Tab, bpy.types.Panel):
    bl_label = "Words"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        return strip.current(context) is not None

    def draw(self, context):
        layout = self.layout
        layout.operator("thunder.find_words", icon="VIEWZOOM")
        line, wrong = attempt(word_places.line, context)
        if line is None:
            wrapped_label(layout, wrong, context)
            return
        place = line.current(context.scene)
        self._word(layout, context, place)
        self._marks(layout, context, place)
        self._sounds(layout, context, line.sounds(place))
        self._mouths(layout, context, place, line.is_clear(place))

    def _word(self, layout, context, place):
        row = layout.row(align=True)
        row.operator("thunder.step_word", text="", icon="TRIA_LEFT").step = -1
        first, last = place.frames
        row.label(text=f"{place.text or 'Here'} · {first}–{last}")
        row.operator("thunder.step_word", text="", icon="TRIA_RIGHT").step = 1
        row.operator(
            "thunder.loop_word",
            text="",
            icon="FILE_REFRESH",
            depress=context.scene.use_preview_range,
        )
        row.operator("thunder.hear_word", text="", icon="SPEAKER")

    def _marks(self, layout, context, place):
        kinds = {mark.kind for _, mark in word_places.marks(context, place)}
        grid = layout.grid_flow(row_major=True, columns=3, even_columns=True, align=True)
        for kind in WORD_KINDS:
            grid.operator(
                "thunder.mark_word", text=LABELS[kind][0], depress=kind in kinds
            ).kind = kind
        tune(grid.row(align=True), active=bool(kinds)).operator(
            "thunder.clear_word", text="Remove", icon="X"
        )

    def _sounds(self, layout, context, sounds):
        row = layout.row(align=True)
        for number, (sound, chances) in enumerate(sounds[:MOST_SOUNDS]):
            corrected, (name, chance) = word_places.sound_at(context, sound), chances[0]
            text = f"= {corrected}" if corrected else name + "?" * (chance < CLEAR)
            row.operator_menu_enum("thunder.correct_sound", "sound", text=text).number = number

    def _mouths(self, layout, context, place, is_clear):
        entry = take_list.shown_take(context.scene.thunder)
        if entry is None:
            return
        row = layout.row(align=True)
        row.operator("thunder.retake", text="Retake Word", icon="LOOP_FORWARDS").what = "WORD"
        row.operator("thunder.retake", text="Phrase").what = "PHRASE"
        if is_clear:
            grey(layout).label(text="Nothing is doubtful here: readings differ little")
        column = layout.column(align=True)
        for other in mix.candidates(context)[:MOST_TAKES]:
            icons = word_places.icons(other, place)
            row = column.row(align=True)
            picture = tune(row.row(align=True), scale_x=TILE)
            for icon in icons:
                picture.label(text="", icon_value=icon)
            row.operator(
                "thunder.use_mouth", text=other.name, depress=other == entry
            ).take = other.action.name
