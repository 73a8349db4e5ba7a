# SPDX-License-Identifier: GPL-3.0-or-later
"""Listen: hear what the animation on the head says."""

import bpy

from ..scene import engine_session, head, listening, strip
from ..thunder_core.errors import BadSound
from .slices import SlicedWork


class THUNDER_OT_listen(SlicedWork, bpy.types.Operator):
    """Speak what the mouth says now, edited keys included, and put it in the sequencer as a muted strip"""

    bl_idname = "thunder.listen"
    bl_label = "Listen"

    @classmethod
    def poll(cls, context):
        if not strip.has_audio():
            cls.poll_message_set("This Blender was built without sound")
            return False
        return super().poll(context)

    def begin(self, context):
        rig = head.find(context.scene, context.object)
        first, last = listening.frame_range(context, rig)
        try:
            voice = strip.find(context)
        except BadSound:
            voice = None  # without a voice the sound is nobody's in particular
        client = engine_session.client()
        client.start()
        return "Listening", listening.listen(client, context.scene, rig, voice, first, last)


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_listen,))
