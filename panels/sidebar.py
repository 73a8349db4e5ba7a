# SPDX-License-Identifier: GPL-3.0-or-later
"""The first panel of the Thunder tab: voice, head, Record and Generate Takes; below them Getting
Started, or the dialogue of several strips; and what Blender's menu Add has of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from ..operators.add import scene_of
from ..scene.engine import connection, install, recogniser
from ..scene.heads import family, head, head_state, live_head, new_shapes
from ..scene.host.jobs import registration, session
from ..scene.host.language import translated
from ..scene.media import studio
from ..scene.takes import mouth_pictures, take_list, transcript
from ..scene.takes.commit.following import stale_lines
from ..scene.takes.dialogue import follow_soon, say_passed_over
from ..scene.takes.direction.live import live
from ..scene.voice import changes, recording, strip
from ..thunder_core.animation.commit.line_records import shorten
from ..thunder_core.engine_python import packaged_pythons
from ..thunder_core.errors import attempt
from ..thunder_core.own_files import say_damaged
from ..thunder_core.spoken import is_other_script
from ..thunder_core.translation import plural
from ..thunder_core.whisper import names_of
from . import character, dialogue
from .tab import (
    big_button,
    buttons,
    grey,
    in_lines,
    is_divided,
    keep_order,
    offer_editable,
    PARTS,
    Popover,
    progress_row,
    props,
    shape_buttons,
    Tab,
    tune,
    wrapped_label,
)
from .takes import shorten as first_words, width

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems

    from ..scene.properties.settings import ThunderScene


# widths of the voice's length in seconds and of the head's role, in button heights
LENGTH_WIDTH, ROLE_WIDTH, CHANNEL_WIDTH = 2.6, 3.8, 4.4
COUNT_WIDTH = 2.6  # of the number of takes beside Generate Takes
# what the sidebar has beside the words on the button that adds a transcript, in button heights, and
# letters of these that are measured: those of an hour would take long
BESIDE_WORDS, MOST_LETTERS = 6.3, 200
PROGRESS_WIDTH = 6.0  # of work in the panel's header
DOTS_SCALE = 9.0  # of the sketch of a face with dots
LONGEST_NAME = 16  # letters of a name beside the progress of work
WANTED = "This voice is hard to understand: enter its words and generate again"


def has_voice(context: bpy.types.Context) -> bool:
    """Whether there is a sound that could be the voice."""
    voice, _ = attempt(strip.find, context)
    return voice is not None or bool(strip.sound_strips(context.scene))


def _is_other_part(context: bpy.types.Context) -> bool:
    """Whether a part of the tab is shown that has no Generate Takes."""
    return is_divided(context) and context.window_manager.thunder_part != "DIRECT"


class THUNDER_PT_main(Tab, bpy.types.Panel):
    bl_label = "Thunder"
    parts = tuple(name for name, *_ in PARTS)

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        # in the header nothing below moves when work begins or ends
        if session.job is not None and _is_other_part(context):
            row = tune(self.layout.row(), ui_units_x=PROGRESS_WIDTH)
            progress_row(row, 1.0, f"{session.job.step.fraction:.0%}")
        if notes(context):
            tune(self.layout.row(), alert=True).popover("THUNDER_PT_notes", text="", icon="ERROR")
        self.layout.operator("thunder.report_problem", text="", icon="HELP", emboss=False)

    def draw(self, context: bpy.types.Context) -> None:
        # Buttons stay where they are in every state: sentences, and what they ask for, are below
        # all of them.
        layout = self.layout.column()
        settings = context.scene.thunder
        follow_soon(context.scene)
        if is_divided(context):
            if settings.takes:
                keep_order(context)
            parts = tune(layout.row(align=True), scale_y=1.1, active=bool(settings.takes))
            parts.prop(context.window_manager, "thunder_part", expand=True)
            if _is_other_part(context):
                self._draw_stale(layout, context, is_short=True)
                return
        below = self.layout.column()
        ready = self._draw_voice(layout, below, context, settings)
        ready &= self._draw_head(layout, below, context, settings)
        if not is_divided(context):
            layout.prop(settings, "count")
        if session.job is None:
            row = tune(layout.row(align=True), scale_y=1.5)
            column = row.column(align=True)
            # greyed; a click gives the reason
            column.active = ready and not connection.current_python()[1]
            column.operator("thunder.generate", icon="PLAY")
            if is_divided(context):
                tune(row.row(align=True), ui_units_x=COUNT_WIDTH).prop(settings, "count", text="")
            row.popover("THUNDER_PT_sampling", text="", icon="PREFERENCES")
            draw_missing_engine(below, context)
        else:
            progress_row(layout, 1.5, self._of_others(context))
        if dialogue.is_shown(context):
            dialogue.draw(layout, context)
        # of the first steps nothing is left to move when takes come
        if not (draw_dots(below, context) or settings.takes):
            draw_first_steps(below, context)

    def _of_others(self, context: bpy.types.Context) -> str | None:
        """The head, or else the voice, whose takes arrive, where another is chosen; else None."""
        rig, _ = attempt(head.find, context.scene, context.object)
        voice, made = attempt(strip.find, context)[0], sorted(take_list.pending_for())
        if not made or not rig or not voice or (rig.mesh.name, voice.name) in made:
            return None
        return f"Takes of “{shorten(made[0][made[0][0] == rig.mesh.name], LONGEST_NAME)}”"

    def _draw_voice(
        self,
        layout: bpy.types.UILayout,
        below: bpy.types.UILayout,
        context: bpy.types.Context,
        settings: ThunderScene,
    ):
        row = layout.row(align=True)
        voice, wrong = attempt(strip.find, context)
        if settings.source == "FILE":
            row.prop(settings, "sound_file", text="", placeholder="Sound File")
        else:
            row.prop(
                settings,
                "voice",
                text="",
                icon="SOUND",
                placeholder=voice.name if voice is not None else "Active Strip",
            )
            if voice is not None and voice.last is not None:
                length = tune(row.row(align=True), ui_units_x=LENGTH_WIDTH)
                seconds = (voice.last - voice.clock.start) / voice.clock.fps
                # “3600.0 s” would be cut off within its number
                text = f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
                length.label(text=f" {translated(text)}")
            if context.scene.use_preview_range:
                row.prop(settings, "only_preview", text="", icon="PREVIEW_RANGE")
        if voice is not None and strip.has_channels(voice):
            tune(row.row(align=True), ui_units_x=CHANNEL_WIDTH).prop(settings, "channel", text="")
        row.menu("THUNDER_MT_add_voice", text="", icon="ADD")
        record_button(row)
        if voice is None:
            grey(layout).label(text="What the voice says", icon="TEXT")
            if settings.takes or has_voice(context):  # Getting Started says it otherwise
                wrapped_label(below, wrong, context)
            return False
        record = transcript.of(context.scene, voice.name)
        words = "" if record is not None and record.text else self._words_of_whole(context, voice)
        draw_transcript(layout, record, context.scene.thunder, words)
        if passed_over := say_passed_over(context, voice):
            wrapped_label(below, passed_over, context)
        self._draw_stale(below, context)
        return True

    def _words_of_whole(self, context: bpy.types.Context, voice: strip.Voice) -> str:
        """What there is room for of the words that a voice without a transcript has of the strip
        it was cut off, "" for none."""
        words = transcript.text_of(context.scene, voice.name, voice.state)[:MOST_LETTERS]
        return first_words(words, width(context) - BESIDE_WORDS, context)

    def _draw_stale(
        self, layout: bpy.types.UILayout, context: bpy.types.Context, is_short: bool = False
    ) -> None:
        """Changes of voices since takes were made or lines committed, and the Re-sync button."""
        takes = [change for _, change in changes.stale_takes(context.scene)]
        lines = [change for *_, change in stale_lines(context.scene)]
        if not takes and not lines:
            return
        if not is_short:
            wrapped_label(layout, (takes + lines)[0].sentence, context, icon="FILE_REFRESH")
        n, m = len(takes), len(lines)
        of_takes = plural(n, f"{n} Take", f"{n} Takes")
        of_lines = plural(m, f"{m} Line", f"{m} Lines")
        what = of_takes if takes else of_lines
        both = takes and lines
        text = f"Re-sync {of_takes} and {of_lines}" if both else f"Re-sync {what}"
        layout.operator("thunder.resync", text=translated(text), icon="FILE_REFRESH")

    def _draw_head(
        self,
        layout: bpy.types.UILayout,
        below: bpy.types.UILayout,
        context: bpy.types.Context,
        settings: ThunderScene,
    ):
        row = layout.row(align=True)
        rig, wrong = attempt(head.find, context.scene, context.object)
        is_mapped = character.THUNDER_PT_character.poll(context)
        row.prop(
            settings,
            "head",
            text="",
            icon="USER",
            placeholder=rig.mesh.name if rig is not None else "Head",
        )
        # What it does with the voice is asked in Sampling until there is something to choose.
        if rig is not None and (
            settings.takes
            or settings.head_role != "SPEAKS"
            or len(head.in_scene(context.scene)) > 1
        ):
            tune(row.row(align=True), ui_units_x=ROLE_WIDTH + is_mapped).prop(
                settings, "head_role", text=""
            )
        if is_mapped:
            row.popover("THUNDER_PT_character", text="", icon="PRESET")
        row.menu("THUNDER_MT_add_head", text="", icon="ADD")
        if rig is None:
            if family.instance(context.scene.objects) is not None:
                offer_editable(below, context, "A character")
                return False
            if settings.takes or head.is_any_in(context.scene):
                wrapped_label(below, wrong, context)
                below.operator("thunder.add_head", icon="ADD")
            return False
        if any(block.library is not None for block in rig.targets):
            offer_editable(below, context)
            return False
        return True


def notes(context: bpy.types.Context) -> list[str]:
    """What the animator should know of the voice, the head and the work on them. It comes while
    takes arrive, when nothing in the panel may move."""
    rig, _ = attempt(head.find, context.scene, context.object)
    voice, _ = attempt(strip.find, context)
    note = session.note if session.job is None else session.job.note
    # the place of what Live says, in Direction, may be out of sight
    said = [note, live_head.sender.trouble, live.refusal(context.scene)]
    said.append(head_state.fault(rig.owner) if rig is not None else "")
    said += say_damaged()
    if voice is not None and not note:
        record = transcript.of_piece(context.scene, voice.name, voice.state)
        is_known = record is not None and record.text.strip()
        if not is_known and transcript.is_wanted(context.scene, voice.name):
            said.append(WANTED)
    return list(dict.fromkeys(filter(None, said)))


class THUNDER_MT_add_head(bpy.types.Menu):
    bl_label = "Add Head"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.operator_context = "INVOKE_DEFAULT"
        for person, name in head.PEOPLE.items():
            layout.operator("thunder.add_head", text=name, icon="USER").person = person
        layout.operator("thunder.add_flame_head", icon="FILE_FOLDER")
        if head.flame_mesh(context) is not None:
            layout.operator("thunder.fit_flame_bones", icon="BONE_DATA")
        buttons(
            layout,
            ("thunder.add_drawn_mouth", "GREASEPENCIL"),
            ("thunder.sample_drawing", "GREASEPENCIL"),
        )
        layout.separator()
        shape_buttons(layout, context)
        draw_stage(self, context)


class THUNDER_MT_add_voice(bpy.types.Menu):
    bl_label = "Add Voice"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.operator_context = "INVOKE_DEFAULT"
        buttons(layout, ("thunder.own_voice", "FILE_SOUND"), ("thunder.sample_voice", "SOUND"))
        layout.separator()
        layout.props_enum(context.scene.thunder, "source")


def draw_transcript(
    layout: bpy.types.UILayout,
    record: transcript.ThunderTranscript | None,
    settings: ThunderScene,
    words: str = "",
) -> None:
    """The field for what the voice says, or a button that adds one; until somebody has typed it,
    other ways to fill it. record: of the scene's, None if it has none.  words: what takes are made
    with, shown greyed where the record has none: they are those of the strip it was cut off."""
    row = layout.row(align=True)
    if record is not None:
        icon: IconItems = "SYNTAX_ON" if record.is_recognised else "TEXT"
        row.prop(record, "text", text="", icon=icon, placeholder=words or "What the voice says")
    tune(row.row(align=True), active=record is not None or not words).operator(
        "thunder.edit_transcript",
        text=words or "Add Transcript" if record is None else "",
        icon="ADD" if record is None else "FULLSCREEN_ENTER",
    )
    if record is not None and is_other_script(record.text):
        layout.label(text="Lips cannot follow this alphabet", icon="INFO")
    if record is not None and record.is_typed:
        transcript.draw_language(layout, record, settings, False)
        return
    buttons(
        row,
        ("thunder.paste_transcript", "PASTEDOWN"),
        ("thunder.read_transcript", "FILEBROWSER"),
        text="",
    )
    is_ready = not recogniser.why_not()
    if record is not None:
        row.operator("thunder.recognise_words", text="", icon="SYNTAX_ON")
    elif is_ready:
        layout.operator("thunder.recognise_words", icon="SYNTAX_ON")
    if record is not None and record.is_recognised:
        text = f"Use Recognized Words ({names_of(record.language)})"
        layout.prop(settings, "recognise_words", text=translated(text))
    transcript.draw_language(layout, record, settings, is_ready)


def draw_missing_engine(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """What is wrong with the engine, and the button that installs it; nothing if it is there."""
    _, problem = connection.current_python()
    running = install.installing.running
    if running is not None:
        text = translated(f"Installing {running.fraction:.0%}")
        layout.progress(factor=running.fraction, text=text)
    elif problem:
        # A package brings an engine: why it does not serve must be said.
        is_strange = context.scene.thunder.takes or packaged_pythons()
        wrapped_label(
            layout, problem if is_strange else "One-time setup: install the engine", context
        )
        layout.operator(
            "preferences.addon_show", text="Install the Engine", icon="IMPORT"
        ).module = connection.PACKAGE


def draw_dots(layout: bpy.types.UILayout, context: bpy.types.Context) -> bool:
    """A sketch of where the dots of a face belong, the chosen one marked, and what can be done with
    them; nothing where there are none. Returns whether they are seen."""
    dot = context.object
    root = new_shapes.dots_of(new_shapes.face_of(dot))
    if root is None or dot is None:
        return False
    layout.separator(type="LINE")
    if not root.visible_get():
        shape_buttons(layout.column(align=True), context)
        return False
    chosen = new_shapes.number_of(dot) if dot.parent == root else None
    layout.template_icon(mouth_pictures.icon_of_dots(chosen), scale=DOTS_SCALE)
    layout.label(text=dot.name if chosen is not None else "Choose a dot", icon="PIVOT_CURSOR")
    if chosen is not None and new_shapes.MIRROR in dot.constraints:
        layout.prop(dot.constraints[new_shapes.MIRROR], "enabled", text="Follow the Left")
    layout.operator("thunder.make_shapes", icon="SHAPEKEY_DATA")
    return True


def draw_first_steps(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Getting Started: the steps left before the first takes."""
    done = (head.is_any_in(context.scene), has_voice(context))
    if all(done):
        return
    layout.separator(type="LINE")
    layout.label(text=translated("Getting Started"))
    _draw_step(layout, 1, "Add a head", done[0], ("thunder.add_head", "USER"))
    _draw_step(
        layout,
        2,
        "Add a voice",
        done[1],
        ("thunder.sample_voice", "SOUND"),
        ("thunder.own_voice", "FILE_SOUND"),
    )
    _draw_step(layout, 3, "Press Generate Takes above", False)


def _draw_step(
    layout: bpy.types.UILayout, number: int, text: str, done: bool, *steps: tuple[str, IconItems]
) -> None:
    layout.label(text=f"{number}. {translated(text)}", icon="CHECKMARK" if done else "DOT")
    # where they were, so that the next ones do not come under the pointer
    buttons(tune(layout.column(align=True), enabled=not done), *steps)


WIDTH = 15  # of the popover, in button heights
LETTERS = 44  # that fit into a line of it


def record_button(layout: bpy.types.UILayout) -> None:
    """The button that opens the settings of a recording; while it runs, the one that ends it."""
    if recording.is_on():
        tune(layout.row(align=True), alert=True).operator(
            "thunder.stop_recording", text="", icon="SNAP_FACE"
        )
    else:
        layout.popover("THUNDER_PT_record", text="", icon="REC")


class THUNDER_PT_notes(Popover, bpy.types.Panel):
    """What you should know of this voice, this head, or the work on them"""

    bl_label = "Notes"
    bl_ui_units_x = WIDTH

    def draw(self, context: bpy.types.Context) -> None:
        for sentence in notes(context):
            in_lines(self.layout.column(align=True), sentence, LETTERS, "ERROR")


class THUNDER_PT_record(bpy.types.Panel):
    """Record your voice"""

    bl_label = "Record"
    bl_space_type = "TOPBAR"  # in no region: it is only opened by its button
    bl_region_type = "HEADER"
    bl_ui_units_x = WIDTH

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, scene_of(context).thunder.recording
        big_button(layout, "thunder.record", icon="REC")
        tune(layout, use_property_split=True, use_property_decorate=False)
        layout.operator(
            "thunder.choose_microphone",
            text=connection.microphone() or translated("Microphone"),
            translate=False,
            icon="OUTLINER_DATA_SPEAKER",
        )
        props(layout, settings, "countdown", "punch_in")
        layout.separator()
        big_button(layout, "thunder.perform_live", icon="PLAY")
        props(layout, settings, "hears", "look_ahead")
        layout.separator()
        rig, _ = attempt(head.find, context.scene, context.object)
        is_sent = rig is not None and rig.mesh.name in live_head.sender.heads
        layout.operator("thunder.send_face", icon="PLUGIN", depress=is_sent)
        props(tune(layout.column(), enabled=not is_sent), settings, "port", "host", "names")
        if problem := recording.why_no_range(scene_of(context)):
            in_lines(layout.column(align=True), problem, LETTERS, "ERROR")


def _in_sequencer(self: bpy.types.Header, context: bpy.types.Context) -> None:
    if context.space_data.view_type != "PREVIEW":
        record_button(self.layout)


def _in_add_menu(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    self.layout.menu("THUNDER_MT_add_head", text="Thunder Head", icon="USER")


def draw_stage(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    """The entries of a menu for the lit scene."""
    layout = self.layout
    layout.operator_context = "INVOKE_DEFAULT"
    layout.separator()
    layout.operator("thunder.light_scene", icon="LIGHT_AREA")
    if studio.find(context.scene) is not None:
        layout.operator("thunder.remove_stage", icon="X")


register, unregister = registration(
    menus=(
        ("SEQUENCER_HT_header", _in_sequencer),
        ("VIEW3D_MT_armature_add", _in_add_menu),
        ("VIEW3D_MT_light_add", draw_stage),
    )
)
