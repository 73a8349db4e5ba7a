# SPDX-License-Identifier: GPL-3.0-or-later
"""Go to where the lips drift from the voice."""

import bpy

from ..scene.heads import head
from ..scene.review import live_score
from ..thunder_core.errors import ThunderError


def shown_score(context):
    """The lip-sync score of the current animation, None if it was not measured."""
    try:
        rig = head.find(context.scene, context.object)
    except ThunderError:
        rig = None
    return live_score.shown_score(context.scene, rig)


class THUNDER_OT_jump_to_drift(bpy.types.Operator):
    """Go to the next place where the lips drift from the voice"""

    bl_idname = "thunder.jump_to_drift"
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
    def poll(cls, context):
        score = shown_score(context) if context.scene is not None else None
        if score is None or score.per_frame is None:
            cls.poll_message_set("No Lip-Sync score yet: show a take or press Listen")
            return False
        if not score.drifts():
            cls.poll_message_set("No drift found")
            return False
        return True

    def execute(self, context):
        scene, score = context.scene, shown_score(context)
        now = scene.frame_current
        moments = sorted(worst for _, _, worst in score.drifts())
        if self.to == "WORST":
            frame = score.worst()
        elif self.to == "NEXT":
            frame = next((moment for moment in moments if moment > now), moments[0])
        else:
            frame = next((moment for moment in reversed(moments) if moment < now), moments[-1])
        scene.frame_set(frame)
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_jump_to_drift,))
