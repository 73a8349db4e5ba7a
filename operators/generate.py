# SPDX-License-Identifier: GPL-3.0-or-later
"""Generate takes: several sampled performances of the voice, keyed and ranked."""

import bpy

from ..scene import engine_session, head, performing, strip
from ..thunder_core.errors import ThunderError
from .slices import SlicedWork


class THUNDER_OT_generate(SlicedWork, bpy.types.Operator):
    """Sample performances of the voice, key each as a take of its own and list them best first"""

    bl_idname = "thunder.generate"
    bl_label = "Generate Takes"

    @classmethod
    def description(cls, context, properties):
        try:
            strip.find(context)
            head.check_animatable(head.find(context.scene, context.object))
        except ThunderError as error:
            return str(error)
        return cls.__doc__

    def begin(self, context):
        settings, self.scene = context.scene.thunder, context.scene.name
        voice = strip.find(context)
        rig = head.find(context.scene, context.object)
        head.check_animatable(rig)
        client = engine_session.client()
        client.start()
        steps = performing.generate(client, voice, context.scene, rig, settings.count, settings.seed, settings.steps)
        return "Generating takes", steps

    def finish(self, context):
        settings = bpy.data.scenes[self.scene].thunder  # not the context's: another may be looked at by now
        best = settings.takes[0]
        self.report({"INFO"}, f"Best of {settings.count} takes: lip-sync {best.score:.1f}, seed {best.seed}")
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_generate,))
