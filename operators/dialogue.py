# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialogue of a scene: who speaks which strip, and takes for all strips at once."""

import bpy

from ..scene.engine import connection
from ..scene.heads import head
from ..scene.host import compat
from ..scene.takes import dialogue, turns
from ..scene.takes.provenance import Sampling
from ..scene.voice import strip
from ..thunder_core.errors import BadRequest
from .base import InstantWork, keep_alive, PartialResults, SlicedWork

_NO_SPEAKER = ("NO_SPEAKER", "No Speaker", "For music, sound effects and off-screen voices")


def _heads(context) -> list:
    """The heads of the scene; none if Blender calls without a scene."""
    return head.in_scene(context.scene) if context is not None and context.scene is not None else []


def _items(heads: list, does: str) -> list[tuple[str, str, str]]:
    """Heads as items of a property, each with what it does there."""
    return [(obj.name, obj.name, f"“{obj.name}” {does}") for obj in heads]


@keep_alive
def _speakers(self, context):
    return [*_items(_heads(context), "speaks the strip"), _NO_SPEAKER]


class _OnStrip(InstantWork):
    strip: bpy.props.StringProperty(
        name="Strip", options={"SKIP_SAVE"}, description="Name of the sound strip"
    )


class THUNDER_OT_cast_strip(_OnStrip, bpy.types.Operator):
    """Choose who speaks this strip"""

    bl_label = "Choose Speaker"

    speaker: bpy.props.EnumProperty(
        name="Speaker", items=_speakers, description="Head that speaks the strip"
    )

    @classmethod
    def description(cls, context, properties):
        return (
            f"Nobody here speaks this strip. {_NO_SPEAKER[2]}"
            if properties.speaker == _NO_SPEAKER[0]
            else cls.__doc__
        )

    def act(self, context):
        speaker = (
            None if self.speaker == _NO_SPEAKER[0] else context.scene.objects.get(self.speaker)
        )
        dialogue.cast(context.scene, self.strip, speaker)


class THUNDER_OT_go_to_strip(_OnStrip, bpy.types.Operator):
    """Make this strip the voice and its speaker the head, and go to the strip's first frame"""

    bl_label = "Go To Strip"

    def act(self, context):
        dialogue.speak(context, self.strip)
        context.scene.frame_set(
            compat.strip_span(strip.by_name(strip.scene_of_strips(context), self.strip))[0]
        )


@keep_alive
def _listeners(self, context):
    heads = _heads(context)
    speaker = dialogue.speaker_of(context.scene, self.strip, heads) if heads else None
    return _items([obj for obj in heads if obj != speaker], "listens to the strip")


class THUNDER_OT_listen_to_strip(_OnStrip, bpy.types.Operator):
    """Choose a head that listens to this strip, for the next takes that are generated"""

    bl_label = "Listener"

    listener: bpy.props.EnumProperty(
        name="Listener", items=_listeners, description="Head that listens to the strip"
    )

    def act(self, context):
        listener = context.scene.objects.get(self.listener)
        if listener is None or strip.by_name(context.scene, self.strip) is None:
            raise BadRequest("The head or the strip is gone: choose a listener again")
        dialogue.let_listen(context.scene, self.strip, listener)


@keep_alive
def _speakers_of_range(self, context):
    return _items(_heads(context), "speaks the frames")


class THUNDER_OT_mark_speaker(_OnStrip, bpy.types.Operator):
    """Choose who speaks the frames of the preview range or, without one, those from the playhead to
    the next range"""

    bl_label = "Mark Speaker"

    speaker: bpy.props.EnumProperty(
        name="Speaker", items=_speakers_of_range, description="Head that speaks these frames"
    )

    def act(self, context):
        scene = context.scene
        sound_strip = strip.by_name(context.scene, self.strip)
        speaker = context.scene.objects.get(self.speaker)
        if sound_strip is None or speaker is None:
            raise BadRequest("The head or the strip is gone: choose a speaker again")
        first, last = scene.frame_current, compat.strip_span(sound_strip)[1]
        if scene.use_preview_range:
            first, last = scene.frame_preview_start, scene.frame_preview_end + 1
        else:
            last = min(
                [
                    last,
                    *(
                        turn.first
                        for turn in turns.of_strip(scene, sound_strip)
                        if turn.first > first
                    ),
                ]
            )
        first, last = turns.mark(scene, sound_strip, speaker, first, last)
        return f"“{speaker.name}” speaks frames {first} to {last - 1} of “{sound_strip.name}”"


class THUNDER_OT_remove_speaker(InstantWork, bpy.types.Operator):
    """Remove this range: nobody speaks its frames then"""

    bl_label = "Remove Range"

    index: bpy.props.IntProperty(
        name="Range", options={"SKIP_SAVE"}, description="Number of the range, from 0"
    )

    def act(self, context):
        context.scene.thunder.turns.remove(self.index)


class THUNDER_OT_generate_all(PartialResults, SlicedWork, bpy.types.Operator):
    """Generate takes for every dialogue strip that has none yet, each on the head of its speaker"""

    bl_label = "Generate for All Dialogue Strips"
    obstacles = (
        lambda context: (
            "" if dialogue.lines_to_generate(context.scene) else dialogue.why_none(context.scene)
        ),
    )

    def begin(self, context):
        scene, settings = context.scene, context.scene.thunder
        todo = dialogue.lines_to_generate(scene)
        client = connection.start_client()
        self.warnings = dialogue.warnings(scene, todo)
        self.pieces = dialogue.say_pieces(scene)
        self.takes, self.asked, self.strips = [], settings.count * len(todo), len(todo)
        return "Generating takes", dialogue.generate(
            client, scene, todo, settings.count, Sampling.of(settings), self.takes.append
        )

    def finish(self, context, left_out):
        strips = self.strips - len(left_out)
        takes = len(self.takes)
        self.report(
            {"INFO"},
            f"Generated {takes} take{'' if takes == 1 else 's'} for {strips} "
            f"strip{'' if strips == 1 else 's'}",
        )
        for sentence in self.pieces:
            self.report({"INFO"}, sentence)
        self.warn([*self.warnings, *(f"Skipped: {sentence}" for sentence in left_out)])
