# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: the engine and its device, its weights, the keys."""

import bpy

from ..scene.engine import connection
from . import engine, keymap


class ThunderPreferences(bpy.types.AddonPreferences):
    bl_idname = connection.PACKAGE

    engine_python: bpy.props.StringProperty(
        name="Other Python",
        subtype="FILE_PATH",
        description="Python or virtual environment that already has the engine's packages. Leave empty to use the engine installed here",
    )
    wheels: bpy.props.StringProperty(
        name="Folder of Wheels",
        subtype="DIR_PATH",
        description="Install offline from this folder. It needs a wheel of every package in requirements/engine.txt",
    )
    weights: bpy.props.StringProperty(
        name="Weights",
        subtype="DIR_PATH",
        description="Folder of model files that you trained yourself. Leave empty to use the bundled ones",
    )
    flame_file: bpy.props.StringProperty(
        name="FLAME File",
        subtype="FILE_PATH",
        description="FLAME model file that your heads were made from, to check them with smplx",
    )
    device: bpy.props.EnumProperty(
        name="Device",
        items=[
            ("AUTO", "Automatic", "The graphics card if the engine can use it, else the processor"),
            ("CPU", "Processor", "Slower. The same seed gives the same take on every machine of its kind"),
            ("CUDA", "Graphics Card", "The first NVIDIA graphics card, or AMD's where the engine's torch was built for ROCm (not tested)"),
            ("MPS", "Apple Graphics (Not Tested)", "The graphics of Apple's own processors"),
        ],
        description="Device that the engine runs on",
    )

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        engine.draw(layout, context, self)
        layout.prop(self, "device")
        layout.prop(self, "engine_python")
        layout.prop(self, "weights")
        if self.weights:
            lacking = connection.missing_weights(bpy.path.abspath(self.weights))
            row = layout.row()
            row.alert = bool(lacking)
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            text = f"Missing: {lacking[0]}{more}" if lacking else "All model files found"
            row.label(text=text, icon="ERROR" if lacking else "CHECKMARK")
        layout.separator()
        layout.label(text="Keys")
        keymap.draw(layout, context)


register, unregister = bpy.utils.register_classes_factory((ThunderPreferences,))
