# SPDX-License-Identifier: GPL-3.0-or-later
"""Keyboard shortcuts for going through takes, in every editor; the animator changes them in the preferences."""

import bpy

KEYMAP = "Screen"  # keymap that reaches every editor which does not use the keys itself
KEYS = (  # operator, key, properties; none is used by Blender in the editors where takes are viewed
    ("thunder.select_take", "DOWN_ARROW", {"step": 1}, "Next Take"),
    ("thunder.select_take", "UP_ARROW", {"step": -1}, "Previous Take"),
    ("thunder.flip_take", "X", {}, "A/B Flip"),
    ("thunder.star_take", "Y", {}, "Star"),
)
_ours: list = []


def draw(layout, context) -> None:
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


def register():
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
    for keymap, item in _ours:
        keymap.keymap_items.remove(item)
    _ours.clear()
