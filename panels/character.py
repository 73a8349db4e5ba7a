# SPDX-License-Identifier: GPL-3.0-or-later
"""The animator's own character in the Thunder tab: recognised and missing parts, and its mapping table."""

import re

import bpy

from ..scene.heads import character, head, library_override, mapping_table, presets
from ..thunder_core.errors import ThunderError
from ..thunder_core.face import conventions
from .tab import Tab, wrapped_label

LOSSES_SHOWN = 3
_ICONS = {"NONE": "DOT", "KEY": "SHAPEKEY_DATA", "BONE": "BONE_DATA", "PROPERTY": "PROPERTIES", "JOINT": "ORIENTATION_GIMBAL"}


class THUNDER_UL_mapping(bpy.types.UIList):
    """Channels and what they move; with Preview on, a click on a row shows it on the character"""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index):
        name = item.bone if item.kind in ("BONE", "JOINT") else item.target
        nothing = item.kind == "NONE" or not name
        row = layout.row(align=True)
        row.active = not nothing
        split = row.split(factor=0.55)
        source = re.sub(r"(Left|Right)$", lambda side: f" {side[0][0]}", item.source)  # the side must not be cut off
        if nothing or item.kind != "KEY":
            split.label(text=source, icon="DOT" if nothing else _ICONS[item.kind])
        else:
            split.label(text=source)
        split.label(text="nothing" if nothing else name if abs(item.weight - 1) < 1e-4 else f"{item.weight:.3g} × {name}")

    def filter_items(self, context, data, property_name):
        rows = getattr(data, property_name)
        wanted = self.filter_name.lower()
        flags = [self.bitflag_filter_item if not wanted or wanted in f"{row.source} {row.target} {row.bone}".lower() else 0 for row in rows]
        return flags, []


class THUNDER_MT_mapping(bpy.types.Menu):
    bl_label = "Mapping"

    def draw(self, context):
        layout = self.layout
        layout.operator("thunder.find_mapping", icon="VIEWZOOM")
        layout.separator()
        layout.operator("thunder.save_mapping", text="Save as Preset…", icon="FILE_TICK")
        for name in presets.names():
            layout.operator("thunder.load_mapping", text=name, icon="PRESET").name = name
        layout.separator()
        layout.operator("thunder.swap_sides", icon="ARROW_LEFTRIGHT")
        layout.operator("thunder.use_objects", icon="RESTRICT_SELECT_OFF")
        layout.operator("thunder.use_objects", text="Find Objects Automatically", icon="OUTLINER").by_place = True


class THUNDER_PT_character(Tab, bpy.types.Panel):
    bl_label = "Character"
    bl_idname = "THUNDER_PT_character"
    bl_order = 5
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        chosen = context.scene.thunder.head or context.object
        return chosen is not None and chosen.type in ("MESH", "ARMATURE", "EMPTY") and not head.is_own(chosen)

    def draw(self, context):
        layout, scene = self.layout, context.scene
        instance = library_override.linked_in(scene)
        if instance is not None and (scene.thunder.head or context.object) == instance:
            wrapped_label(layout, f"“{instance.name}” is linked from another file and cannot be animated yet", context)
            layout.operator("thunder.make_editable", icon="LIBRARY_DATA_OVERRIDE")
            return
        try:
            obj = mapping_table.face(scene, context.object)
            plan = character.plan_of(obj)
        except ThunderError as error:
            wrapped_label(layout, str(error), context)
            return
        row = layout.row(align=True)
        row.label(text=f"{obj.name}: {plan.name}" if plan.rules or plan.joints else f"{obj.name}: not mapped", icon="USER")
        row.menu("THUNDER_MT_mapping", text="", icon="DOWNARROW_HLT")
        if library_override.is_linked(obj):
            wrapped_label(layout, "It is linked from another file and cannot be animated yet", context)
            layout.operator("thunder.make_editable", icon="LIBRARY_DATA_OVERRIDE")
        try:
            resolved = character.resolve(obj)
            self._objects(layout, resolved)
            self._losses(layout, context, resolved)
            if character.is_mirrored(resolved):
                wrapped_label(layout, "Left and right appear to be swapped", context, icon="ERROR")
                layout.operator("thunder.swap_sides", icon="ARROW_LEFTRIGHT")
        except ThunderError as error:
            wrapped_label(layout, str(error), context)
        if mapping_table.is_current(scene, obj):
            self._table(layout, scene.thunder)
        else:
            layout.operator("thunder.show_mapping", icon="PRESET")

    def _objects(self, layout, resolved):
        names = [target.name for target in resolved.objects if target.type == "ARMATURE" and target in resolved.bound.targets]
        keys = [obj.name for obj in resolved.objects if obj.type == "MESH" and obj.data.shape_keys in resolved.bound.targets]
        layout.label(text=", ".join(keys + names), icon="OUTLINER_OB_GROUP_INSTANCE")

    def _losses(self, layout, context, resolved):
        lost = conventions.missing(character.used(resolved.plan, resolved.bound), head.channel_names())
        if not lost:
            layout.label(text="No Channels Missing", icon="CHECKMARK")
            return
        settings = context.scene.thunder
        row = layout.row(align=True)
        row.prop(
            settings, "show_losses", icon="TRIA_DOWN" if settings.show_losses else "TRIA_RIGHT", emboss=False, text=f"{len(lost)} missing"
        )
        if not settings.show_losses:
            wrapped_label(
                layout,
                ", ".join(name for name, _ in lost[:LOSSES_SHOWN]) + (" …" if len(lost) > LOSSES_SHOWN else ""),
                context,
                icon="REMOVE",
            )
            return
        for name, words in lost:
            wrapped_label(layout, f"{name}: {words}", context, icon="REMOVE")

    def _table(self, layout, settings):
        row = layout.row(align=True)
        row.prop(settings, "preview", toggle=True, icon="HIDE_OFF" if settings.preview else "HIDE_ON")
        row.prop(settings, "preview_amount", text="", slider=True)
        layout.prop(settings, "balance", slider=True)
        layout.template_list("THUNDER_UL_mapping", "", settings, "table", settings, "table_index", rows=9)
        row = layout.row(align=True)  # below the list: next to it they would take a fifth of its names' width
        row.operator("thunder.add_rule", icon="ADD")
        row.operator("thunder.remove_rule", text="Remove", icon="REMOVE")
        if 0 <= settings.table_index < len(settings.table):
            self._row(layout.box(), settings.table[settings.table_index])

    def _row(self, box, item):
        box.use_property_split, box.use_property_decorate = True, False
        column = box.column()
        column.prop(item, "source")
        column.prop(item, "kind")
        if item.kind in ("KEY", "PROPERTY", "NONE"):
            column.prop(item, "target")
        if item.kind in ("BONE", "JOINT", "PROPERTY"):
            column.prop(item, "bone")
        if item.kind == "BONE":
            column.prop(item, "path")
            column.row().prop(item, "index", expand=True)
        column.prop(item, "object", placeholder="All Objects")
        column.prop(item, "weight")
        box.operator("thunder.learn_channel", icon="POSE_HLT")


register, unregister = bpy.utils.register_classes_factory((THUNDER_UL_mapping, THUNDER_MT_mapping, THUNDER_PT_character))
