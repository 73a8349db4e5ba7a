# SPDX-License-Identifier: GPL-3.0-or-later
"""Words and Listen in the Thunder tab: what can be done with the words of the voice, most with the
one at the current frame; generated speech beside the original, the lip-sync score, what Check
finds, curves in the timeline."""

from __future__ import annotations

from collections.abc import Sequence

import bpy

from ..scene.engine import recogniser
from ..scene.heads import head
from ..scene.host.jobs import registration
from ..scene.host.language import translated
from ..scene.review import checking, listening, live_score
from ..scene.takes import grades, mouth_pictures, take_list, transcript, word_places
from ..scene.takes.dialogue import say_passed_over
from ..scene.voice import strip
from ..thunder_core import findings
from ..thunder_core.errors import attempt
from ..thunder_core.spoken import CLEAR, name_of
from .tab import Tab, text_width, tune, wrapped_label
from .takes import BESIDE, shorten, width

_ROWS = 4  # of the list, at least
FRAME, AROUND = 2.0, 0.95  # widths of a frame's number, and around a button's label, in buttons
# that are shown of a word: the shown take, its original and eight readings
MOST_TAKES, MOST_SOUNDS = 10, 8
USUAL_SOUNDS = 6  # of a word, for which there is always room, so that little moves with the word
# width of a sound's button with the longest name, and of what the panel has beside such buttons
SOUND, MARGINS = 3.0, 2.7
MOUTH = 1.4  # size of a picture of a mouth and the gap around it, in buttons of 20 pixels


class THUNDER_PT_words(Tab, bpy.types.Panel):
    bl_label = "Words"
    parts = ("WORDS",)

    @classmethod
    def poll(cls, context: bpy.types.Context):
        voice = strip.current(context)
        there = voice is not None and (
            bool(context.scene.thunder.takes)
            or transcript.of(context.scene, voice.name) is not None
        )
        return there and super().poll(context)

    def draw(self, context: bpy.types.Context) -> None:
        layout, below = self.layout.column(), self.layout.column()
        if passed_over := say_passed_over(context, strip.find(context)):
            wrapped_label(below, passed_over, context)
        if not recogniser.why_not():
            layout.operator("thunder.recognise_words", icon="SYNTAX_ON")
        layout.operator("thunder.find_words", icon="VIEWZOOM")
        line, wrong = attempt(word_places.line, context)
        if line is None:
            wrapped_label(layout, wrong, context)
            return
        place = line.current(context.scene)
        self._word(layout, context, place)
        self._marks(layout, context, place)
        self._sounds(layout, context, line.sounds(place))
        self._mouths(layout, context, place)

    def _word(
        self, layout: bpy.types.UILayout, context: bpy.types.Context, place: word_places.WordPlace
    ) -> None:
        row = layout.row(align=True)
        row.operator("thunder.step_word", text="", icon="TRIA_LEFT").step = -1
        first, last = place.frames
        row.label(text=f"{place.text or translated('Here')} · {first}–{last}")
        row.operator("thunder.step_word", text="", icon="TRIA_RIGHT").step = 1
        row.operator(
            "thunder.loop_word",
            text="",
            icon="FILE_REFRESH",
            depress=word_places.is_looped(context.scene),
        )
        row.operator("thunder.hear_word", text="", icon="SPEAKER")

    def _marks(
        self, layout: bpy.types.UILayout, context: bpy.types.Context, place: word_places.WordPlace
    ) -> None:
        kinds = {mark.kind for _, mark in word_places.marks(context, place)}
        grid = layout.grid_flow(row_major=True, columns=3, even_columns=True, align=True)
        for kind in transcript.WORD_KINDS:
            grid.operator(
                "thunder.mark_word", text=transcript.LABELS[kind][0], depress=kind in kinds
            ).kind = kind
        tune(grid.row(align=True), active=bool(kinds)).operator("thunder.clear_word", text="Remove")

    def _sounds(
        self, layout: bpy.types.UILayout, context: bpy.types.Context, sounds: Sequence[tuple]
    ) -> None:
        columns = min(MOST_SOUNDS, int((width(context) - MARGINS) / SOUND))
        grid = layout.grid_flow(row_major=True, columns=columns, even_columns=True, align=True)
        for number, (sound, name, chance) in enumerate(sounds[:MOST_SOUNDS]):
            corrected = word_places.sound_at(context, sound)
            text = f"= {name_of(corrected)}" if corrected else name + "?" * bool(chance < CLEAR)
            grid.operator_menu_enum("thunder.correct_sound", "sound", text=text).number = number
        for _ in range(USUAL_SOUNDS - len(sounds)):
            grid.label(text="")

    def _mouths(
        self, layout: bpy.types.UILayout, context: bpy.types.Context, place: word_places.WordPlace
    ) -> None:
        entry = take_list.shown_take(context.scene.thunder)
        if entry is None:
            return
        row = layout.row(align=True)
        row.operator("thunder.retake", text="Retake Word", icon="LOOP_FORWARDS").what = "WORD"
        row.operator("thunder.retake", text="Phrase").what = "PHRASE"
        column = layout.column(align=True)
        choices, original = word_places.choices(context)
        for other in choices[:MOST_TAKES]:
            icons = mouth_pictures.icons(other, place)
            row = column.row(align=True)
            for icon in icons:
                row.template_icon(icon, scale=MOUTH)
            row.operator(
                "thunder.use_mouth",
                text="Original" if other == original else other.name,
                depress=other == entry,
            ).take = other.action.name


class THUNDER_PT_listen(Tab, bpy.types.Panel):
    bl_label = "Hear and Check"
    parts = ("FINISH",)

    @classmethod
    def poll(cls, context: bpy.types.Context):
        scene = context.scene
        there = bool(scene.thunder.takes) or live_score.is_animated(scene, context.object)
        return there and head.is_any_in(scene) and super().poll(context)

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.thunder
        row = tune(layout.row(align=True), scale_y=1.2)
        row.operator("thunder.listen", icon="SPEAKER")
        row.prop(settings, "listen_range", text="")
        row.prop(settings, "listen_play", text="", icon="PLAY")
        # drawn before there is speech too, so that Check below stays where it is
        generated = listening.plays_generated(context)
        row = layout.row(align=True)
        row.operator("thunder.original", text="Original", depress=not generated).to = "ORIGINAL"
        row.operator("thunder.original", text="Animation", depress=generated).to = "HEARD"
        said = self._score(layout, context)
        found, read = draw_check(layout, context)
        for each in filter(None, (found or said, read)):  # below buttons, which stay where they are
            wrapped_label(layout, each, context)

    def _score(self, layout: bpy.types.UILayout, context: bpy.types.Context) -> str:
        """One row: the score, and whether it is kept up to date. Returns the reason for its grade,
        or why there is none."""
        rig, _ = attempt(head.find, context.scene, context.object)
        if rig is None:
            return ""
        score = live_score.shown_score(context.scene, rig)
        known = score if score is not None and score.is_known else None
        if known is None:
            live_score.request_score(context.scene, rig)
        text, grade = ("Lip-Sync", None) if known is None else (known.text, known.grade)
        if grade is not None and rig.vanished:
            grade = grades.Grade(findings.CHECK, "QUESTION", rig.vanished)
        row = layout.row(align=True)
        if grade is not None:
            row.label(text="", icon=grade.icon)
            text = grade.name.capitalize()
        is_current = not live_score.is_outdated(context.scene, rig)
        tune(row.row(), active=is_current).label(
            text=translated(text) + " …" * live_score.live.is_running
        )
        row.popover("THUNDER_PT_score", text="", icon="QUESTION")
        row.prop(context.scene.thunder, "live_score", text="", icon="FILE_REFRESH")
        if known:
            return grade.reason if grade is not None and is_current else ""
        return live_score.why_none(rig)


def _switch(self: bpy.types.Header, context: bpy.types.Context) -> None:
    """In a header: the curves on or off, where there are takes."""
    scene = context.scene
    if scene is not None and scene.thunder.takes:
        self.layout.prop(scene.thunder, "curves", text="", icon="RNDCURVE")


register, unregister = registration(
    menus=(("DOPESHEET_HT_header", _switch), ("SEQUENCER_HT_header", _switch))
)


class THUNDER_UL_findings(bpy.types.UIList):
    """Frame and kind of each problem, most noticeable first."""

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: bpy.types.bpy_struct,
        item: checking.ThunderFinding,
        icon: int,
        active_data: bpy.types.bpy_struct,
        active_property: str,
    ) -> None:
        row = layout.row(align=True)
        tune(row.row(align=True), ui_units_x=FRAME).label(text=str(item.first))
        row.label(text=shorten(translated(item.label), width(context) - FRAME - BESIDE, context))

    def filter_items(self, context: bpy.types.Context, data: bpy.types.bpy_struct, name: str):
        return bpy.types.UI_UL_list.filter_items_by_name(
            self.filter_name, self.bitflag_filter_item, getattr(data, name), "sentence"
        ), []


def draw_check(layout: bpy.types.UILayout, context: bpy.types.Context) -> tuple[str, str]:
    """The part of the Listen panel for the current head. Returns the sentence of the chosen
    finding, and how much mesh-to-speech reads of what was checked, "" for none."""
    rig, _ = attempt(head.find, context.scene, context.object)
    if rig is None:
        return "", ""
    scene = context.scene
    row = layout.row(align=True)
    row.operator("thunder.check", icon="VIEWZOOM")
    row.prop(scene.thunder_check, "tolerance", text="")
    if scene.thunder_check.ignored:
        row.operator("thunder.list_ignored", text="", icon="HIDE_OFF")
    checked = checking.of_head(scene, rig)
    if checked is None:
        return "", ""
    # of earlier keys: greyed
    is_current = not checking.is_outdated(checked, rig)
    listed, read = tune(layout.column(), active=is_current), checked.read * is_current
    if not checked.findings:
        if not rig.vanished:  # of changed keys nobody knows yet
            said = translated(checking.summary([])) if is_current else ""
            listed.label(text=said, icon="CHECKMARK" if is_current else "NONE")
        return "", read
    listed.template_list(
        "THUNDER_UL_findings", "", checked, "findings", checked, "index", rows=_ROWS
    )
    row = layout.row(align=True)
    for name in ("go_to_finding", "fix_finding", "show_better_take", "ignore_finding"):
        label = translated(getattr(bpy.types, f"THUNDER_OT_{name}").bl_label)
        wide = text_width(label, context) + AROUND
        tune(row.row(align=True), ui_units_x=wide).operator(f"thunder.{name}")
    chosen = checking.chosen_finding(scene)
    return "" if chosen is None else f"{chosen[0].first}: {chosen[0].sentence}", read
