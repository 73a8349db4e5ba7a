# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialogue in the first panel: who speaks which strip, or which of its frames, which strips
have takes, and one button for all."""

import bpy

from ..scene.heads import head
from ..scene.host import compat
from ..scene.takes import dialogue, turns
from ..scene.takes.commit.committing import committed_lines
from ..scene.voice import strip
from .tab import big_button, tune

# names of the heads of the drawn scene, looked up once per redraw instead of once per row
_heads: list[str] = []
# head's name → committed lines, also looked up once per redraw
_committed: dict[str, set[str]] = {}


def _committed_lines(speaker) -> set[str]:
    if speaker.name not in _committed:
        _committed[speaker.name] = committed_lines(speaker)
    return _committed[speaker.name]


class THUNDER_UL_dialogue(bpy.types.UIList):
    """Sound strips in order of time, who speaks each, and whether it is committed (checkmark) or
    only has takes (stack)"""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index):
        scene = context.scene
        silent = dialogue.is_silent(scene, item.name)
        speakers = (
            dict.fromkeys(turn.head for turn in turns.of_strip(scene, item))
            if item.type == "SOUND"
            else {}
        )
        speaker = next(iter(speakers), None) or dialogue.speaker_of(
            scene, item.name, [scene.objects[name] for name in _heads]
        )
        speaker = None if silent else speaker
        if silent:
            mark = "MUTE_IPO_ON"
        elif speaker is not None and item.name in _committed_lines(speaker):
            mark = "CHECKMARK"
        elif speaker is not None and dialogue.has_takes(scene, item.name, speaker):
            mark = "ACTION"
        elif (
            speaker is not None
            and (piece := dialogue.piece_of(scene, item.name, speaker)) is not None
            and piece.played
        ):
            mark = "ACTION"
        else:
            mark = "DOT"
        split = tune(layout.split(factor=0.52), active=not silent)
        split.label(text=item.name, icon=mark)
        speaker_name = (
            f"{len(speakers)} Speakers"
            if len(speakers) > 1
            else speaker.name
            if speaker is not None
            else "No Speaker"
        )
        split.operator_menu_enum(
            "thunder.cast_strip", "speaker", text=speaker_name
        ).strip = item.name

    def filter_items(self, context, data, property_name):
        strips = getattr(data, property_name)
        _heads[:] = [obj.name for obj in head.in_scene(context.scene)]
        _committed.clear()
        voices = [each.name for each in strip.sound_strips(context.scene)]
        flags = [self.bitflag_filter_item if each.name in voices else 0 for each in strips]
        places = {name: index for index, name in enumerate(voices)}
        rest = iter(range(len(voices), len(strips)))
        return flags, [places[each.name] if each.name in places else next(rest) for each in strips]


class THUNDER_MT_dialogue(bpy.types.Menu):
    bl_label = "Dialogue"

    def draw(self, context):
        chosen = dialogue.chosen_strip(context)
        if chosen and len(head.in_scene(context.scene)) > 1:
            self.layout.operator_menu_enum(
                "thunder.listen_to_strip", "listener", text=f"Listen to “{chosen}”"
            ).strip = chosen
        self.layout.operator(
            "thunder.commit_all", text="Commit Again", icon="CHECKMARK"
        ).again = True


def is_shown(context) -> bool:
    """Whether there are several strips that heads may speak, or several heads that may share
    one."""
    settings = context.scene.thunder
    strips = (
        len(strip.sound_strips(context.scene))
        if settings.source == "STRIP" and head.is_any_in(context.scene)
        else 0
    )
    return strips > 1 or (strips == 1 and len(head.in_scene(context.scene)) > 1)


def draw(layout, context) -> None:
    """The dialogue, folded by a click on its heading."""
    scene = context.scene
    heading, body = layout.panel("THUNDER_dialogue")
    heading.label(text="Dialogue")
    if body is None:
        return
    editor = scene.sequence_editor
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
    draw_speakers(body, context, dialogue.chosen_strip(context))
    todo = len(dialogue.lines_to_generate(scene))
    text = (
        f"Generate for {todo} Strip{'' if todo == 1 else 's'}"
        if todo
        else "Generate for All Strips"
    )
    big_button(body, "thunder.generate_all", text=text, icon="PLAY")
    row = body.row(align=True)
    # the operator's whole name would be cut off
    row.operator("thunder.commit_all", text="Commit All", icon="CHECKMARK")
    row.menu("THUNDER_MT_dialogue", text="", icon="DOWNARROW_HLT")


def draw_speakers(layout, context, name: str) -> None:
    """The ranges of the strip of that name, and the menu that adds one."""
    voice_strip = strip.by_name(context.scene, name)
    if voice_strip is None or len(head.in_scene(context.scene)) < 2:
        return
    column = layout.column(align=True)
    for turn in turns.of_strip(context.scene, voice_strip):
        row = tune(column.row(align=True), alert=turn.head is None)
        row.label(
            text=f"{turn.first} – {turn.last - 1}   "
            f"{turn.head.name if turn.head is not None else 'Deleted'}",
            icon="USER",
        )
        row.operator("thunder.remove_speaker", text="", icon="X", emboss=False).index = turn.index
    what = "Preview Range" if context.scene.use_preview_range else "from Playhead"
    column.operator_menu_enum(
        "thunder.mark_speaker", "speaker", text=f"Mark Speaker ({what})", icon="ADD"
    ).strip = name
