# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: which Python runs the engine, and on what."""

import bpy

from ..scene import engine_session


class ThunderPreferences(bpy.types.AddonPreferences):
    bl_idname = engine_session.PACKAGE

    engine_python: bpy.props.StringProperty(
        name="Engine Python", subtype="FILE_PATH",
        description="Python, or virtual environment, with the engine's packages; empty looks in the usual places",
    )
    device: bpy.props.EnumProperty(
        name="Device",
        items=[("AUTO", "Automatic", "The graphics card if the engine can use it, else the processor"),
               ("CPU", "Processor", "The processor: slower, and the same takes on every machine of its kind"),
               ("CUDA", "Graphics Card", "The first NVIDIA graphics card")],
        description="What the engine computes on",
    )

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(self, "engine_python")
        there, text = engine_session.found(self.engine_python)
        row = layout.row()
        row.alert = not there
        row.label(text=text, icon="CHECKMARK" if there else "ERROR")
        layout.prop(self, "device")


register, unregister = bpy.utils.register_classes_factory((ThunderPreferences,))
