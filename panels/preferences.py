# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: the engine and its device, its weights, the keys."""

import bpy

from ..scene.engine import connection
from . import engine

KEYMAP = "Screen"  # keymap that reaches every editor which does not use the keys itself
KEYS = (  # operator, key, properties; none is used by Blender in the editors where takes are viewed
    ("thunder.select_take", "DOWN_ARROW", {"step": 1}, "Next Take"),
    ("thunder.select_take", "UP_ARROW", {"step": -1}, "Previous Take"),
    ("thunder.flip_take", "X", {}, "A/B Flip"),
    ("thunder.star_take", "Y", {}, "Star"),
)
_ours: list = []


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
        _draw_keys(layout, context)


def _draw_keys(layout, context) -> None:
    """The keys, each to be changed or switched off, for the preferences."""
    # The animator's changes are in the user's configuration; the add-on's own has the defaults.
    configuration = context.window_manager.keyconfigs.user
    keymap = configuration.keymaps.get(KEYMAP) if configuration is not None else None
    if keymap is None:
        return
    column = layout.column(align=True)
    column.use_property_split = False
    column.context_pointer_set("keymap", keymap)
    for name, _, properties, title in KEYS:
        for item in keymap.keymap_items:
            if item.idname != name or any(getattr(item.properties, prop) != value for prop, value in properties.items()):
                continue
            split = column.split(factor=0.4)
            row = split.row()
            row.prop(item, "active", text="")
            row.label(text=title)
            row = split.row(align=True)
            row.active = item.active
            row.prop(item, "type", text="", full_event=True)
            if item.is_user_modified:
                row.operator("preferences.keyitem_restore", text="", icon="BACK").item_id = item.id


_register, _unregister = bpy.utils.register_classes_factory((ThunderPreferences,))


def register():
    _register()
    configuration = bpy.context.window_manager.keyconfigs.addon
    if configuration is None:  # Blender without a window has no keys
        return
    keymap = configuration.keymaps.new(KEYMAP, space_type="EMPTY", region_type="WINDOW")
    for name, key, properties, _ in KEYS:
        item = keymap.keymap_items.new(name, key, "PRESS", alt=True, repeat=False)
        for prop, value in properties.items():
            setattr(item.properties, prop, value)
        _ours.append((keymap, item))


def unregister():
    _unregister()
    for keymap, item in _ours:
        keymap.keymap_items.remove(item)
    _ours.clear()
