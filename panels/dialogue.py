# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialogue in the first panel: who speaks which strip, or which of its frames, which strips
have takes, and one button for all; and in the sequencer's header an offer for a new strip."""

from __future__ import annotations

import bpy

from ..scene.heads import head
from ..scene.host import compat
from ..scene.host.jobs import Memory, redraw, registration, session, Task
from ..scene.host.language import translated
from ..scene.takes import dialogue, take_list
from ..scene.takes.commit.committing import committed_lines
from ..scene.voice import strip
from ..thunder_core.translation import plural
from .tab import big_button, shorten, text_width, tune
from .takes import width

# in icon buttons: what the panel has beside a row, around a strip's name, and around a speaker's
_BESIDE, _ICON, _ARROW = 4.7, 1.25, 0.95
_NAMES = (0.48, 0.7)  # share of a row that the strips' names have: as much as speakers leave
# names of the heads of the drawn scene, looked up once per redraw instead of once per row
_heads: list[str] = []
# head's name → committed lines, also looked up once per redraw
_committed: dict[str, set[str]] = {}


class THUNDER_UL_dialogue(bpy.types.UIList):
    """Sound strips in order of time, who speaks each, and whether it is committed (checkmark) or
    only has takes (stack)"""

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: bpy.types.bpy_struct,
        item: bpy.types.SoundStrip,
        icon: int,
        active_data: bpy.types.bpy_struct,
        active_property: str,
        index: int,
    ) -> None:
        scene = context.scene
        silent = dialogue.is_silent(scene, item.name)
        heads = [scene.objects[name] for name in _heads]
        speaker = None if silent else dialogue.speaker_of(scene, item.name, heads)
        mark = "MUTE_IPO_ON" if silent else "DOT"
        if speaker is not None and item.name in _committed.get(speaker.name, ()):
            mark = "CHECKMARK"
        elif speaker is not None and (
            dialogue.has_takes(scene, item.name, speaker)
            or take_list.piece_of(scene, item.name, speaker)
        ):
            mark = "ACTION"
        row = width(context) - _BESIDE
        no_speaker = translated("No Speaker")
        longest = max(text_width(name, context) for name in (no_speaker, *_heads))
        share = min(max(1 - (longest + _ARROW) / row, _NAMES[0]), _NAMES[1])
        split = tune(layout.split(factor=share), active=not silent)
        split.label(text=shorten(item.name, share * row - _ICON, context), icon=mark)
        speaker_name = speaker.name if speaker is not None else no_speaker
        split.operator_menu_enum(
            "thunder.cast_strip", "speaker", text=speaker_name, translate=False
        ).strip = item.name

    def filter_items(
        self, context: bpy.types.Context, data: bpy.types.bpy_struct, property_name: str
    ):
        strips = getattr(data, property_name)
        heads = head.in_scene(context.scene)
        _heads[:] = [obj.name for obj in heads]
        _committed.update({obj.name: committed_lines(obj) for obj in heads})
        voices = [each.name for each in strip.sound_strips(context.scene)]
        flags = [self.bitflag_filter_item if each.name in voices else 0 for each in strips]
        places = {name: index for index, name in enumerate(voices)}
        rest = iter(range(len(voices), len(strips)))
        return flags, [places[each.name] if each.name in places else next(rest) for each in strips]


class THUNDER_MT_dialogue(bpy.types.Menu):
    bl_label = "Dialogue"

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.operator(
            "thunder.commit_all", text="Commit Again", icon="CHECKMARK"
        ).again = True


def is_shown(context: bpy.types.Context) -> bool:
    """Whether there are several strips that heads may speak, or several heads that may share
    one."""
    strips = (
        len(strip.sound_strips(context.scene))
        if context.scene.thunder.source == "STRIP" and head.is_any_in(context.scene)
        else 0
    )
    return strips > 1 or (strips == 1 and len(head.in_scene(context.scene)) > 1)


def draw(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The dialogue, folded by a click on its heading."""
    scene = context.scene
    heading, body = layout.panel("THUNDER_dialogue")
    heading.label(text="Dialogue")
    editor = scene.sequence_editor
    if body is None or editor is None:
        return
    body.template_list(
        "THUNDER_UL_dialogue",
        "",
        editor,
        compat.strips_all_name(editor),
        scene.thunder,
        "dialogue_index",
        rows=min(6, max(2, len(strip.sound_strips(scene)))),
        sort_lock=True,
    )
    todo = len(dialogue.lines_to_generate(scene))
    text = (
        plural(todo, f"Generate for {todo} Strip", f"Generate for {todo} Strips")
        if todo
        else "Generate for All Strips"
    )
    big_button(body, "thunder.generate_all", text=translated(text), icon="PLAY")
    body.row(align=True).operator_menu_enum(
        "thunder.perform_as", "source", text="Perform As", icon="CON_ACTION"
    )
    row = body.row(align=True)
    # the operator's whole name would be cut off
    row.operator("thunder.commit_all", text="Commit All", icon="CHECKMARK")
    row.menu("THUNDER_MT_dialogue", text="", icon="DOWNARROW_HLT")


_active = session.add(Memory())  # scene's name → name of the strip that was active in it
_redraw = Task(redraw, any_time=True)


def _redraw_if_chosen(context: bpy.types.Context) -> None:
    """Draw the sidebars again after a click on a strip: Blender draws the sequencer alone."""
    scene = compat.sequencer_scene(context)
    active = None if scene.sequence_editor is None else scene.sequence_editor.active_strip
    name = "" if active is None else active.name
    if _active.known.setdefault(scene.name, name) != name:
        _active.known[scene.name] = name
        _redraw.start(0.0)


def draw_offer(self: bpy.types.Header, context: bpy.types.Context) -> None:
    _redraw_if_chosen(context)
    name = dialogue.newest_strip(context)
    if not name or session.job is not None:
        return
    row, text = self.layout.row(align=True), translated(f"Generate Takes of “{name}”")
    row.operator("thunder.generate", text=text, icon="PLAY").strip = name
    other = row.operator("thunder.cast_strip", text="", icon="X")
    other.strip, other.speaker = name, "NO_SPEAKER"


register, unregister = registration(menus=(("SEQUENCER_HT_header", draw_offer),))
