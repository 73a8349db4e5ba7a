# SPDX-License-Identifier: GPL-3.0-or-later
"""Listen: generate speech from the head's animation, and compare it with the original voice."""

import bpy

from ..scene.engine import connection
from ..scene.heads import head
from ..scene.review import listening, live_score
from ..scene.voice import strip
from ..thunder_core.errors import attempt
from .base import InstantWork
from .slices import SlicedWork


class THUNDER_OT_listen(SlicedWork, bpy.types.Operator):
    """Generate speech from the current animation, edited keys included, and add it to the sequencer"""

    bl_label = "Listen"

    @classmethod
    def why_not(cls, context):
        return super().why_not(context) if strip.has_audio() else "This Blender was built without audio: use one with audio to listen"

    def begin(self, context):
        rig = head.find(context.scene, context.object)
        first, last = listening.frame_range(context, rig)
        voice = strip.current(context)  # without a voice the sound has an average timbre
        client = connection.started()
        edited = context.scene.thunder.listen_range == "EDITED"
        self.whole = (first, last) if edited else None
        return "Listening", live_score.listen(client, context.scene, rig, voice, first, last, edited)

    def finish(self, context, frames):
        first, last = frames
        which = "the whole line, " if (first, last) == self.whole else ""
        self.report({"INFO"}, f"Generated speech for {which}frames {first}–{last}")
        if not bpy.app.background and context.window is not None and context.scene.thunder.listen_play:
            self.play(context, first)

    def play(self, context, first):
        """Play the generated speech instead of the original."""
        if attempt(listening.flip, context, True)[1]:
            return
        context.scene.frame_set(first)
        if not context.screen.is_animation_playing:
            bpy.ops.screen.animation_play()


class THUNDER_OT_original(InstantWork, bpy.types.Operator):
    """Switch between the original voice and the generated speech"""

    bl_label = "Original"

    to: bpy.props.EnumProperty(
        name="Hear",
        options={"SKIP_SAVE"},
        description="Sound to hear",
        items=[
            ("FLIP", "The Other", "Whichever is muted now"),
            ("ORIGINAL", "Original", "The voice"),
            ("HEARD", "Animation", "Speech generated from the animation"),
        ],
    )

    @classmethod
    def description(cls, context, properties):
        return {
            "ORIGINAL": "Hear the original voice and mute the generated speech",
            "HEARD": "Hear the generated speech and mute the original voice",
        }.get(properties.to, cls.__doc__)

    @classmethod
    def why_not(cls, context):
        return "There is no generated speech yet: press Listen first" if listening.listening_strip(context)[1] is None else ""

    def act(self, context):
        listening.flip(context, not listening.plays_generated(context) if self.to == "FLIP" else self.to == "HEARD")
