# SPDX-License-Identifier: GPL-3.0-or-later
"""Sampling: settings for everything that samples takes; closed at first, because few people need them."""

import bpy

from ..scene.engine import connection
from ..thunder_core.systems import DIRECTION, FROM_MOTION, FROM_PICTURE, NOTHING, System, SYSTEMS
from .tab import Tab, wrapped_label


class THUNDER_MT_engines(bpy.types.Menu):
    """Systems that the weights in use can perform with"""

    bl_label = "Engine"

    def draw(self, context):
        for system in connection.systems():
            self.layout.prop_enum(context.scene.thunder, "system", system.name)


def _engine(layout, settings, context):
    """The menu of engines, and the limits of the chosen one."""
    chosen = SYSTEMS[settings.system]
    split = layout.split(factor=0.4)
    split.label(text="Engine")
    split.menu("THUNDER_MT_engines", text=chosen.label)
    if chosen not in connection.systems():
        wrapped_label(layout, f"The weights in use have no {chosen.label}: choose another engine, or other weights", context)
    else:
        if chosen.name == FROM_MOTION:
            layout.prop(settings, "style_action")
        if chosen.name == FROM_PICTURE:
            layout.label(text="Picture")
            layout.template_ID(settings, "picture_image", open="image.open")
        if sentence := _lacks(chosen):
            wrapped_label(layout, sentence, context)


def _lacks(system: System) -> str:
    """Settings that a system ignores, as a sentence; "" if there are none."""
    missing = [] if system.follows == DIRECTION else ["the direction" if system.follows == NOTHING else "the direction besides its mood"]
    missing += [] if system.diffuses else ["Quality", "Follow the Voice"]
    missing += [] if system.keeps else ["Lip-Sync Pull", "kept parts"]
    return f"{system.label} ignores {', '.join(missing)}" if missing else ""


class THUNDER_PT_sampling(Tab, bpy.types.Panel):
    bl_label = "Sampling"
    bl_idname = "THUNDER_PT_sampling"
    bl_parent_id = "THUNDER_PT_direction"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout, settings = self.layout, context.scene.thunder
        _engine(layout, settings, context)
        column, chosen = layout.column(align=True), SYSTEMS[settings.system]
        for name, applies in (("quality", chosen.diffuses), ("guidance", chosen.diffuses), ("speech_guidance", chosen.keeps)):
            row = column.column(align=True)
            row.active = applies
            row.prop(settings, name)


register, unregister = bpy.utils.register_classes_factory((THUNDER_MT_engines, THUNDER_PT_sampling))
