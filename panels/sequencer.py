# SPDX-License-Identifier: GPL-3.0-or-later
"""Thunder in the sequencer: in its sidebar who speaks the chosen strip, and its takes; in its
header an offer to generate takes."""

import bpy

from ..scene.heads import head
from ..scene.host import compat, handlers
from ..scene.host.session import session
from ..scene.takes import dialogue, new_lines, take_list
from ..scene.takes.commit.committing import committed_lines
from ..scene.voice import strip
from .tab import big_button, grey, progress_row, tune, wrapped_label

MOST_SHOWN = 8  # takes that have a row


def active_sound(scene):
    """The active strip of a scene's sequencer if it may be a voice, else None."""
    active = None if scene.sequence_editor is None else scene.sequence_editor.active_strip
    return active if active is not None and active in strip.sound_strips(scene) else None


class THUNDER_PT_strip(bpy.types.Panel):
    bl_label = "Thunder"
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Thunder"

    @classmethod
    def poll(cls, context):
        return context.scene is not None and context.space_data.view_type != "PREVIEW"

    def draw(self, context):
        layout, scene, strips_scene = self.layout, context.scene, compat.sequencer_scene(context)
        sound = active_sound(strips_scene)
        if sound is None:
            wrapped_label(
                layout, "Choose a sound strip to see who speaks it, and its takes", context
            )
            return
        if strips_scene != strip.scene_of_strips(context):
            wrapped_label(
                layout,
                f"The heads of “{scene.name}” speak the sounds of that scene: show it in the "
                f"sequencer",
                context,
            )
            return
        speaker = self._draw_cast(layout, scene, strips_scene, sound)
        if not head.is_any_in(scene):
            layout.menu("THUNDER_MT_add_head", text="Add Head", icon="ADD")
        elif speaker is not None:
            takes = sorted(
                dialogue.takes_of(scene, sound.name, speaker), key=lambda entry: -entry.score
            )
            self._draw_generate(layout, sound)
            self._draw_takes(layout, scene, takes)
            if sound.name in committed_lines(speaker):
                layout.label(text="Committed", icon="CHECKMARK")

    def _draw_cast(self, layout, scene, shown, sound):
        """The strip, who speaks it, and the button that goes there; returns the speaker."""
        first, last = compat.strip_span(sound)
        layout.label(
            text=f"{sound.name}, {(last - first) * shown.render.fps_base / shown.render.fps:.1f} s",
            icon="SOUND",
        )
        speaker = dialogue.speaker_of(scene, sound.name)
        no_speaker = "No Speaker" if dialogue.is_silent(scene, sound.name) else "Choose Speaker…"
        row = layout.row(align=True)
        name = no_speaker if speaker is None else head.owner_of(speaker).name
        row.operator_menu_enum(
            "thunder.cast_strip", "speaker", text=name, icon="USER"
        ).strip = sound.name
        button = tune(row.row(align=True), enabled=speaker is not None)
        button.operator("thunder.go_to_strip", text="", icon="PLAY_SOUND").strip = sound.name
        return speaker

    def _draw_generate(self, layout, sound):
        if session.job is None:
            big_button(layout, "thunder.generate", icon="PLAY").strip = sound.name
            return
        progress_row(layout, 1.2)

    def _draw_takes(self, layout, scene, takes):
        """A line on all takes of the strip, and a row for each of the best, which shows it."""
        if not takes:
            grey(layout).label(text="No takes yet")
            return
        layout.label(
            text=f"{len(takes)} take{'s' * (len(takes) > 1)}, best Lip-Sync "
            f"{take_list.points_of(takes[0])}"
        )
        numbers = {entry.as_pointer(): number for number, entry in enumerate(scene.thunder.takes)}
        on_head = take_list.on_head(scene, takes[0].head)
        column = layout.column(align=True)
        for entry in takes[:MOST_SHOWN]:
            icon = "SOLO_ON" if entry.star else "ACTION"
            words = f"{entry.name}   {take_list.points_of(entry)}"
            row = column.operator(
                "thunder.select_take",
                text=words,
                icon=icon,
                depress=on_head is not None and entry == on_head,
            )
            row.index = numbers[entry.as_pointer()]
        if len(takes) > MOST_SHOWN:
            grey(layout).label(text=f"{len(takes) - MOST_SHOWN} more in the 3D Viewport's sidebar")


def draw_offer(self, context):
    name = new_lines.newest_strip(context)
    if not name or session.job is not None:
        return
    row = self.layout.row(align=True)
    row.operator("thunder.generate", text=f"Generate Takes of “{name}”", icon="PLAY").strip = name
    other = row.operator("thunder.cast_strip", text="", icon="X")
    other.strip, other.speaker = name, "NO_SPEAKER"


register, unregister = handlers.registration(menus=(("SEQUENCER_HT_header", draw_offer),))
