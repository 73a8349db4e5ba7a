# SPDX-License-Identifier: GPL-3.0-or-later
"""Listen: generate speech from the head's animation, to compare with the original voice, and go to where the lips drift from it."""

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


def _shown_score(context):
    """The lip-sync score of the current animation, None if it was not measured."""
    return live_score.shown_score(context.scene, attempt(head.find, context.scene, context.object)[0])


class THUNDER_OT_jump_to_drift(InstantWork, bpy.types.Operator):
    """Go to the next place where the lips drift from the voice"""

    bl_label = "Next Drift"
    bl_options = {"REGISTER", "UNDO_GROUPED"}
    bl_undo_group = "Frame Change"

    to: bpy.props.EnumProperty(
        name="Go To",
        options={"SKIP_SAVE"},
        description="Place to go to",
        items=[
            ("NEXT", "Next Drift", "Next in time"),
            ("PREVIOUS", "Previous Drift", "Previous in time"),
            ("WORST", "Worst Moment", "Where the lips deviate most"),
        ],
    )

    @classmethod
    def description(cls, context, properties):
        return {
            "NEXT": "Go to the next place where the lips drift from the voice",
            "PREVIOUS": "Go to the previous place where the lips drift from the voice",
            "WORST": "Go to the frame where the lips deviate most from the voice",
        }[properties.to]

    @classmethod
    def why_not(cls, context):
        score = _shown_score(context)
        if score is None or score.per_frame is None:
            return "No Lip-Sync score yet: show a take or press Listen"
        return "" if score.drifts() else "No drift found"

    def act(self, context):
        score, now = _shown_score(context), context.scene.frame_current
        moments = sorted(worst for _, _, worst in score.drifts())
        later, earlier = [moment for moment in moments if moment > now], [moment for moment in moments if moment < now]
        frames = {"WORST": score.worst(), "NEXT": (later or moments)[0], "PREVIOUS": (earlier or moments)[-1]}
        context.scene.frame_set(frames[self.to])
