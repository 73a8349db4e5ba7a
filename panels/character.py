# SPDX-License-Identifier: GPL-3.0-or-later
"""In the data of an object: the mapping of the animator's character."""

from __future__ import annotations

import bpy

from ..scene.heads import character, detection, family, head, mapping_table, new_shapes
from ..scene.heads.binding import Binding
from ..scene.host.language import translated
from ..scene.properties.settings import ThunderRow, ThunderScene
from ..scene.takes import mouth_pictures
from ..thunder_core.errors import attempt, ThunderError
from ..thunder_core.face import mapping
from ..thunder_core.face.reading import conventions
from .tab import buttons, offer_editable, props, shape_buttons, tune, wrapped_label

_ICONS = {
    "KEY": "NONE",
    "BONE": "BONE_DATA",
    "PROPERTY": "PROPERTIES",
    "JOINT": "ORIENTATION_GIMBAL",
    **dict.fromkeys(mapping.DRAWN, "GREASEPENCIL"),
}
_drawn: dict = {}  # what the list of the table that is drawn marks


class THUNDER_UL_mapping(bpy.types.UIList):
    """Channels and what they move; with Preview on, a click on a row shows it on the character"""

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: bpy.types.bpy_struct,
        item: ThunderRow,
        icon: int,
        active_data: bpy.types.bpy_struct,
        active_property: str,
        index: int,
    ) -> None:
        name = item.target
        if item.kind in ("BONE", "JOINT"):
            name = item.bone or item.object or "Tilt" * (item.path == mapping.TILT)
        if item.kind in mapping.NUMBERED:
            name = translated(f"{item.number} of {item.target}")
        nothing = item.kind == "NONE" or not name
        is_lost = (item.source, item.target) in _drawn.get("lost", ())
        is_torn = item.target in _drawn.get("torn", ())
        row = tune(layout.row(align=True), active=not nothing, alert=is_lost or is_torn)
        split = row.split(factor=0.55)
        split.label(text=item.source, icon="DOT" if nothing else _ICONS[item.kind])
        split.label(
            text="nothing"
            if nothing
            else name
            if item.kind in mapping.DRAWN or abs(item.weight - 1) < 1e-4
            else f"{item.weight:.3g} × {name}"
        )

    def filter_items(
        self, context: bpy.types.Context, data: bpy.types.bpy_struct, property_name: str
    ):
        return bpy.types.UI_UL_list.filter_items_by_name(
            self.filter_name, self.bitflag_filter_item, getattr(data, property_name), "source"
        ), []


class THUNDER_MT_mapping(bpy.types.Menu):
    bl_label = "Mapping"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        buttons(
            layout, ("thunder.find_mapping", "VIEWZOOM"), ("thunder.map_by_poses", "ASSET_MANAGER")
        )
        layout.separator()
        layout.operator("thunder.save_mapping", text="Save as Preset…", icon="FILE_TICK")
        for name in mapping_table.presets().names():
            layout.operator("thunder.load_mapping", text=name, icon="PRESET").name = name
        layout.separator()
        layout.operator("thunder.swap_sides", icon="ARROW_LEFTRIGHT")


def _chosen(context: bpy.types.Context):
    """The object that the Thunder tab means; in the Properties editor None where that shows an
    object of another character."""
    chosen, shown = mapping_table.meant(context.scene, context.object), context.object
    elsewhere = context.area is not None and context.area.type == "PROPERTIES" and chosen != shown
    return (
        None if elsewhere and (shown is None or chosen not in family.relatives(shown)) else chosen
    )


# in the Properties editor, for the objects of the head that the Thunder tab means, where a button
# opens it too
class THUNDER_PT_character(bpy.types.Panel):
    bl_label = "Thunder Character"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "data"
    bl_options = {"DEFAULT_CLOSED"}
    bl_ui_units_x = 15

    @classmethod
    def poll(cls, context: bpy.types.Context):
        chosen = _chosen(context)
        return (
            chosen is not None
            and family.may_be_character(chosen)
            and not head.is_thunder_head(chosen)
        )

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, context.scene
        instance = family.instance(scene.objects)
        if instance is not None and (scene.thunder.head or context.object) == instance:
            offer_editable(layout, context, f"“{instance.name}”")
            return
        obj, problem = attempt(mapping_table.face, scene, context.object)
        plan, problem = attempt(character.plan_of, obj) if obj is not None else (None, problem)
        if obj is None or plan is None:
            wrapped_label(layout, problem, context)
            return
        row = layout.row(align=True)
        row.label(
            text=f"{obj.name}: "
            + translated(plan.name if plan.rules or plan.joints else "not mapped"),
            icon="USER",
        )
        row.menu("THUNDER_MT_mapping", text="", icon="DOWNARROW_HLT")
        if family.is_linked(obj):
            offer_editable(layout, context)
        try:
            _drawn.clear()
            resolved = character.resolve(obj)
            if vanished := head.resolve(obj).vanished:
                wrapped_label(layout, vanished, context, icon="ERROR")
            _drawn["lost"] = {
                (rule.source, rule.target.name)
                for rule in resolved.unbound_rules
                if isinstance(rule, mapping.Rule)
            }
            _drawn["torn"] = new_shapes.torn(resolved.face)
            if plan.drawn:
                self._drawings(layout, resolved)
            else:
                self._objects(layout, resolved)
                self._reach(layout, context, resolved)
                self._losses(layout, context, resolved)
                if detection.reach_of(resolved.face, resolved.plan).is_mirrored:
                    layout.operator("thunder.swap_sides", icon="ARROW_LEFTRIGHT")
        except ThunderError as error:
            wrapped_label(layout, str(error), context)
            if not plan.drawn:
                shape_buttons(layout.column(align=True), context)
        if mapping_table.is_current(scene, obj):
            self._table(layout, scene.thunder, bool(plan.drawn))
        else:
            layout.operator("thunder.show_mapping", icon="PRESET")

    def _drawings(self, layout: bpy.types.UILayout, resolved: Binding) -> None:
        row = layout.row(align=True)
        below = len(resolved.driver.rig.tracks)  # type: ignore[attr-defined]  # of a drawn head
        for track in resolved.driver.tracks[below:]:
            row.prop(resolved.face, track.path, text="")
        buttons(
            layout.grid_flow(columns=2, align=True),
            ("thunder.find_mapping", "VIEWZOOM"),
            ("thunder.fill_in_order", "SORTALPHA"),
            ("thunder.tilt_drawing", "DRIVER_ROTATIONAL_DIFFERENCE"),
            ("thunder.copy_drawings", "KEYFRAME"),
        )

    def _objects(self, layout: bpy.types.UILayout, resolved: Binding) -> None:
        names = [
            target.name
            for target in resolved.objects
            if target.type == "ARMATURE" and target in resolved.targets
        ]
        keys = [
            obj.name
            for obj in resolved.objects
            if obj.type == "MESH" and obj.data.shape_keys in resolved.targets
        ]
        layout.label(text=", ".join(keys + names), icon="OUTLINER_OB_GROUP_INSTANCE")

    def _reach(
        self, layout: bpy.types.UILayout, context: bpy.types.Context, resolved: Binding
    ) -> None:
        """The mouths that the character can make, as they were measured."""
        seen = detection.reach_of(resolved.face, resolved.plan)
        row = layout.row(align=True)
        for name, icon in zip(seen.shown, mouth_pictures.icons_of_reach(seen)):
            column = tune(row.column(align=True), alert=name in seen.faults, alignment="CENTER")
            column.template_icon(icon, scale=1.7)
            column.label(text=translated(name.title()))
        faults = [*character.faults_of(resolved.face), *new_shapes.say_faults(resolved.face)]
        for sentence in filter(None, faults):
            wrapped_label(layout, sentence, context, icon="ERROR")
        if len(new_shapes.marked_faults(resolved.face)):
            layout.prop(context.scene.thunder, "show_faults")
        elif new_shapes.torn(resolved.face):  # the file was opened since
            wrapped_label(layout, "Press Make Shapes to see in red where", context)
        if any(faults) and resolved.face.type == "MESH":
            shape_buttons(layout.column(align=True), context)

    def _losses(
        self, layout: bpy.types.UILayout, context: bpy.types.Context, resolved: Binding
    ) -> None:
        lost = conventions.missing(resolved.used, head.channel_names())
        every = len(conventions.missing((), head.channel_names()))
        if not lost:
            layout.label(text="All Controls Found", icon="CHECKMARK")
            return
        heading, body = layout.panel("THUNDER_losses", default_closed=True)
        heading.label(text=translated(f"{len(lost)} of {every} controls not on this character"))
        for name, words in lost if body is not None else ():
            wrapped_label(body, f"{name}: {words}", context, icon="REMOVE")

    def _table(
        self, layout: bpy.types.UILayout, settings: ThunderScene, is_drawn: bool = False
    ) -> None:
        row = layout.row(align=True)
        row.prop(
            settings, "preview", toggle=True, icon="HIDE_OFF" if settings.preview else "HIDE_ON"
        )
        if not is_drawn:
            row.prop(settings, "preview_amount", text="", slider=True)
        layout.template_list(
            "THUNDER_UL_mapping", "", settings, "table", settings, "table_index", rows=9
        )
        # below the list: next to it they would take a fifth of its names' width
        row = layout.row(align=True)
        row.operator("thunder.add_rule", icon="ADD")
        row.operator("thunder.remove_rule", text="Remove", icon="REMOVE")
        if 0 <= settings.table_index < len(settings.table):
            self._row(layout.box(), settings.table[settings.table_index])
        if is_drawn:
            props(layout.row(align=True), settings, "least", "step")
        else:
            layout.prop(settings, "balance", slider=True)

    def _row(self, box: bpy.types.UILayout, item: ThunderRow):
        tune(box, use_property_split=True, use_property_decorate=False)
        column = box.column()
        props(column, item, "source", "kind")
        if item.kind in ("KEY", "PROPERTY", "NONE", *mapping.DRAWN):
            column.prop(item, "target")
        if item.kind in mapping.DRAWN:
            numbers = ("number",) * (item.kind in mapping.NUMBERED)
            return props(column, item, *numbers, "object", "lead")
        if item.kind in ("BONE", "JOINT", "PROPERTY"):
            column.prop(item, "bone")
        if item.kind == "BONE":
            column.prop(item, "path")
            column.row().prop(item, "index", expand=True)
        column.prop(item, "object", placeholder="All Objects")
        column.prop(item, "weight")
        if mapping.is_mouth(item.source):
            column.prop(item, "lead")
        box.operator("thunder.learn_channel", icon="POSE_HLT")
