# SPDX-License-Identifier: GPL-3.0-or-later
"""Save a character's mapping as a preset, and apply a preset to another character."""

from dataclasses import replace

import bpy

from ..scene.heads import character, head, mapping_table, presets
from ..thunder_core.errors import ThunderError
from .on_character import OnCharacter

_names: list = []  # Blender keeps no copy of an enum's texts


def _items(self, context):
    _names[:] = [(name, name, f"Use the saved mapping “{name}”") for name in presets.names()]
    _names[:] = _names or [("", "None Saved Yet", "Save a mapping first")]
    return _names


class THUNDER_OT_save_mapping(OnCharacter, bpy.types.Operator):
    """Save the character's mapping as a preset for other characters"""

    bl_idname = "thunder.save_mapping"
    bl_label = "Save Mapping"
    bl_options = {"REGISTER"}

    name: bpy.props.StringProperty(name="Name", description="Name of the preset. A preset with this name is replaced")

    def invoke(self, context, event):
        try:
            self.name = mapping_table.face(context.scene, context.object).name
        except ThunderError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return context.window_manager.invoke_props_dialog(self)

    def change(self, context, obj):
        path = presets.save(character.plan_of(obj), self.name)
        return f"Saved as {path}"


class THUNDER_OT_load_mapping(OnCharacter, bpy.types.Operator):
    """Use a saved mapping on this character"""

    bl_idname = "thunder.load_mapping"
    bl_label = "Load Mapping"

    name: bpy.props.EnumProperty(name="Preset", items=_items, description="Saved mapping")

    @classmethod
    def poll(cls, context):
        if not presets.names():
            cls.poll_message_set("No mapping was saved yet: press Save as Preset first")
            return False
        return super().poll(context)

    def change(self, context, obj):
        plan = replace(presets.load(self.name), parts=())
        mapping_table.keep_plan(context.scene, obj, plan)
        context.scene.thunder.head = obj
        return f"{len(head.resolve(obj).channels)} channels are mapped by “{self.name}”"


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_save_mapping, THUNDER_OT_load_mapping))
