# SPDX-License-Identifier: GPL-3.0-or-later
"""Listen in the Thunder tab: what the animation says, as sound, next to the original; and how well it says it."""

import bpy

from ..scene import head, listening, ranking
from ..thunder_core.errors import ThunderError
from .sidebar import _Tab


class THUNDER_PT_listen(_Tab, bpy.types.Panel):
    bl_label = "Listen"
    bl_idname = "THUNDER_PT_listen"
    bl_order = 3

    @classmethod
    def poll(cls, context):
        return head.is_any_in(context.scene)

    def draw(self, context):
        layout, settings = self.layout, context.scene.thunder
        row = layout.row(align=True)
        row.prop(settings, "listen_range", text="")
        row.prop(settings, "listen_play", text="", icon="PLAY")
        column = layout.column()
        column.scale_y = 1.2
        column.operator("thunder.listen", icon="SPEAKER")
        if listening.heard_strip(context)[1] is not None:
            heard = listening.is_heard(context)
            row = layout.row(align=True)
            row.operator("thunder.original", text="Original", depress=not heard).to = "ORIGINAL"
            row.operator("thunder.original", text="Animation", depress=heard).to = "HEARD"
        self._score(layout, context)

    def _score(self, layout, context):
        try:
            rig = head.find(context.scene, context.object)
        except ThunderError:
            return
        found = ranking.standing(context.scene, rig)
        if found is not None and found.is_known:
            drifts = found.drifts()
            said = f"Lip-sync {found.total:.0f}"
            if found.per_frame is not None:
                said += f" · {len(drifts)} drift{'s' if len(drifts) > 1 else ''}" if drifts else " · no drift"
            row = layout.row(align=True)
            row.label(text=said + (" …" if ranking.is_running() else ""), icon="CHECKMARK" if not drifts else "ERROR")
            buttons = row.row(align=True)
            buttons.operator("thunder.jump_to_drift", text="", icon="TRIA_LEFT").to = "PREVIOUS"
            buttons.operator("thunder.jump_to_drift", text="", icon="TRIA_RIGHT").to = "NEXT"
            if drifts:
                layout.operator("thunder.jump_to_drift", text=f"Worst at {found.worst()}", icon="FRAME_NEXT").to = "WORST"
        layout.prop(context.scene.thunder, "live_score")


register, unregister = bpy.utils.register_classes_factory((THUNDER_PT_listen,))
