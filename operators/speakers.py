# SPDX-License-Identifier: GPL-3.0-or-later
"""One recording with several speakers: which head speaks which frames of a strip."""

import bpy

from ..scene.host import compat
from ..scene.takes import turns
from ..scene.voice import strip
from ..thunder_core.errors import BadRequest
from .base import heads_of, InstantWork

_heads: list = []  # Blender keeps no copy of an enum's texts


def _speakers(self, context):
    _heads[:] = [(obj.name, obj.name, f"“{obj.name}” speaks the frames") for obj in heads_of(context)]
    return _heads


class THUNDER_OT_mark_speaker(InstantWork, bpy.types.Operator):
    """Choose who speaks the frames of the preview range, or without one those from the playhead to the next range"""

    bl_label = "Mark Speaker"

    strip: bpy.props.StringProperty(name="Strip", options={"SKIP_SAVE"}, description="Name of the sound strip")
    speaker: bpy.props.EnumProperty(name="Speaker", items=_speakers, description="Head that speaks these frames")

    def act(self, context):
        scene, one, speaker = context.scene, strip.named(context.scene, self.strip), context.scene.objects.get(self.speaker)
        if one is None or speaker is None:
            raise BadRequest("The head or the strip is gone: choose a speaker again")
        first, last = scene.frame_preview_start, scene.frame_preview_end + 1
        if not scene.use_preview_range:
            first = scene.frame_current
            starts = [turn.first for turn in turns.of_strip(scene, one) if turn.first > first]
            last = min([compat.strip_span(one)[1], *starts])
        turn = turns.mark(scene, one, speaker, first, last)
        return f"“{speaker.name}” speaks frames {turn.first} to {turn.last - 1} of “{one.name}”"


class THUNDER_OT_remove_speaker(InstantWork, bpy.types.Operator):
    """Remove this range: nobody speaks its frames then"""

    bl_label = "Remove Range"

    index: bpy.props.IntProperty(name="Range", options={"SKIP_SAVE"}, description="Number of the range, from 0")

    def act(self, context):
        context.scene.thunder.turns.remove(self.index)
