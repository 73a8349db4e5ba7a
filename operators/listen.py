# SPDX-License-Identifier: GPL-3.0-or-later
"""Listen: generate speech from the head's animation, to compare with the original voice."""

import bpy

from ..scene.engine import connection
from ..scene.heads import head
from ..scene.review import listening, live_score
from ..scene.voice import strip
from ..thunder_core.errors import ThunderError
from .slices import SlicedWork


class THUNDER_OT_listen(SlicedWork, bpy.types.Operator):
    """Generate speech from the current animation, edited keys included, and add it to the sequencer"""

    bl_idname = "thunder.listen"
    bl_label = "Listen"

    @classmethod
    def poll(cls, context):
        if not strip.has_audio():
            cls.poll_message_set("This Blender was built without audio: use one with audio to listen")
            return False
        return super().poll(context)

    def begin(self, context):
        rig = head.find(context.scene, context.object)
        first, last = listening.frame_range(context, rig)
        voice = strip.current(context)  # without a voice the sound has an average timbre
        client = connection.client()
        client.start()
        edited = context.scene.thunder.listen_range == "EDITED"
        self.whole = (first, last) if edited else None
        return "Listening", live_score.listen(client, context.scene, rig, voice, first, last, edited)

    def finish(self, context, frames):
        first, last = frames
        which = "the whole line, " if (first, last) == self.whole else ""
        self.report({"INFO"}, f"Generated speech for {which}frames {first}–{last}")
        if not bpy.app.background and context.window is not None and context.scene.thunder.listen_play:
            self.play(context, first)
        return {"FINISHED"}

    def play(self, context, first):
        """Play the generated speech instead of the original."""
        try:
            listening.flip(context, generated=True)
        except ThunderError:
            return
        context.scene.frame_set(first)
        if not context.screen.is_animation_playing:
            bpy.ops.screen.animation_play()


class THUNDER_OT_original(bpy.types.Operator):
    """Switch between the original voice and the generated speech"""

    bl_idname = "thunder.original"
    bl_label = "Original"
    bl_options = {"REGISTER", "UNDO"}

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
    def poll(cls, context):
        if context.scene is None or listening.listening_strip(context)[1] is None:
            cls.poll_message_set("There is no generated speech yet: press Listen first")
            return False
        return True

    def execute(self, context):
        generated = not listening.plays_generated(context) if self.to == "FLIP" else self.to == "HEARD"
        try:
            listening.flip(context, generated)
        except ThunderError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_listen, THUNDER_OT_original))
