# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with the shown take: mix it, keep parts and regenerate the rest, shape it, note
something, commit it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from ..scene.host.language import translated
from ..scene.takes import mix, take_list
from ..scene.takes.commit import committing
from ..scene.takes.shape import applying
from ..thunder_core.errors import attempt
from .tab import big_button, buttons, OfShownTake, OfTakes, Popover, props, tune

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems

    from ..scene.properties.settings import ThunderTake


_ICONS: dict[str, IconItems] = {
    "mouth": "SOUND",
    "upper_face": "USER",
    "eyes": "HIDE_OFF",
    "head": "ORIENTATION_GIMBAL",
}


class THUNDER_UL_cuts(bpy.types.UIList):
    """Cuts in time; each lets a take in from its frame on"""

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: bpy.types.bpy_struct,
        item: mix.ThunderCut,
        icon: int,
        active_data: bpy.types.bpy_struct,
        active_property: str,
        index: int,
    ) -> None:
        row = layout.row(align=True)
        split = row.split(factor=0.3, align=True)
        split.prop(item, "frame", text="", emboss=False)
        split = split.split(factor=0.45, align=True)
        split.prop(item, "part", text="", emboss=False)
        entry = take_list.entry_of(context.scene, item.take)
        tune(split.row(align=True), alert=entry is None).label(
            text=entry.name if entry is not None else "Deleted"
        )
        row.operator("thunder.remove_cut", text="", icon="X", emboss=False).index = index


class THUNDER_UL_kept(bpy.types.UIList):
    """Frames that are kept"""

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: bpy.types.bpy_struct,
        item: bpy.types.bpy_struct,
        icon: int,
        active_data: bpy.types.bpy_struct,
        active_property: str,
        index: int,
    ) -> None:
        row = layout.row(align=True)
        row.prop(item, "first", text="", emboss=False)
        row.label(text="–")
        row.prop(item, "last", text="", emboss=False)
        row.operator("thunder.free_frames", text="", icon="X", emboss=False).index = index


class THUNDER_PT_mix(OfShownTake, bpy.types.Panel):
    bl_label = "Mix and Keep"

    def draw_shown(self, layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
        if len(mix.candidates(context)) > 1:
            self._mix(layout, context)
            layout.separator(type="LINE")
        self._keep(layout, context)

    def _mix(self, layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
        settings = context.scene.thunder_mix
        column = layout.column(align=True)
        for part, label in mix.LABELS.items():
            split = column.split(factor=0.45, align=True)
            split.label(text=label, icon=_ICONS[part])
            entry = mix.chosen_take(context, part)
            split.operator_menu_enum(
                "thunder.choose_part", "take", text=entry.name if entry is not None else "None"
            ).part = part
        if settings.cuts:
            layout.template_list(
                "THUNDER_UL_cuts", "", settings, "cuts", settings, "cut_index", rows=2, maxrows=6
            )
        layout.row(align=True).operator_menu_enum("thunder.add_cut", "part", icon="ADD")
        if settings.cuts:
            layout.prop(settings, "fade")
        big_button(layout, "thunder.mix_takes", icon="NODE_COMPOSITING")

    def _keep(self, layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
        keep = context.scene.thunder_keep
        layout.label(text="Keep Part")
        grid = layout.grid_flow(row_major=True, columns=2, even_columns=True, align=True)
        props(grid, keep, "mouth", "upper_face", "eyes", "head", toggle=True)
        layout.prop(keep, "selected", toggle=True)
        if keep.ranges:
            layout.template_list(
                "THUNDER_UL_kept", "", keep, "ranges", keep, "range_index", rows=2, maxrows=6
            )
        layout.operator_menu_enum("thunder.keep_frames", "which", icon="ADD")
        layout.prop(keep, "count")
        big_button(layout, "thunder.resample_rest", icon="FILE_REFRESH")


class THUNDER_PT_shape(OfShownTake, bpy.types.Panel):
    bl_label = "Shape"

    def draw_shown(self, layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
        entry = take_list.shown_take(context.scene.thunder)
        shape = entry.action.thunder_shape
        column = layout.column(align=True)
        for names in (("mouth", "jaw"), ("head", "blinks")):
            props(column.row(align=True), shape, *names, slider=True)
        column.prop(shape, "upper_face", slider=True)
        props(layout.row(align=True), shape, "smoothing", "offset")
        self._emotion(layout, context, entry, shape)
        row = layout.row(align=True)
        buttons(row, ("thunder.add_closure", "REMOVE"), ("thunder.remove_closure", "MESH_CIRCLE"))
        row.operator("thunder.reset_shape", text="", icon="LOOP_BACK")

    def _emotion(
        self,
        layout: bpy.types.UILayout,
        context: bpy.types.Context,
        entry: ThunderTake,
        shape: applying.ThunderShape,
    ) -> None:
        column = layout.column(align=True)
        column.prop(shape, "emotion", text="")
        if not shape.emotion:
            column.label(text="This emotion is not on this machine", icon="ERROR")
        if shape.emotion in ("", "NONE"):
            return
        rig, _ = attempt(take_list.rig_of, context.scene, entry)
        if rig is None:
            return
        row = column.row(align=True)
        if applying.strength_curve(rig, entry) is None:
            row.prop(shape, "strength", slider=True)
            row.operator("thunder.animate_emotion", text="Animate", icon="DECORATE_ANIMATE")
            return
        row.prop(rig.targets[0], applying.STRENGTH, text="Strength", slider=True)
        row.operator("thunder.still_emotion", text="", icon="X")
        if applying.is_outdated(rig, entry):
            column.operator("thunder.apply_shape", text="Update", icon="FILE_REFRESH")


class THUNDER_PT_note(Popover, bpy.types.Panel):
    bl_label = "Note"

    @classmethod
    def poll(cls, context: bpy.types.Context):
        return take_list.shown_index(context.scene.thunder) >= 0

    def draw(self, context: bpy.types.Context) -> None:
        entry = take_list.shown_take(context.scene.thunder)
        self.layout.prop(entry, "note", text="", icon="TEXT", placeholder="Note")


# while none is shown, or one that the list does not show, the greyed button says why
class THUNDER_PT_commit(OfTakes, bpy.types.Panel):
    bl_label = "Commit"
    parts = ("TAKES", "FINISH")

    def draw(self, context: bpy.types.Context) -> None:
        layout, chosen = self.layout, context.scene.thunder.commit
        row = tune(layout.row(align=True), scale_y=1.2, operator_context="INVOKE_DEFAULT")
        row.operator("thunder.commit_take", icon="CHECKMARK")
        row.popover("THUNDER_PT_commit_options", text="", icon="PREFERENCES")
        row.operator("thunder.export_performance", text="", icon="EXPORT")
        column = layout.column(align=True)
        # as wide as two of the three buttons below: Blender hides one whose edge is almost aligned
        row = column.split(factor=2 / 3, align=True)
        props(row, chosen, "to", "step", text="")
        if chosen.to != "NEW":
            row = column.row(align=True)
            for how in ("REPLACE", "ADD") if chosen.to == "STRIP" else ("REPLACE", "ADD", "INSERT"):
                row.prop_enum(chosen, "how", how)
        row = column.row(align=True)
        props(row, chosen, "keys", "accuracy", text="")
        if chosen.keys == "BLOCKING" and chosen.step == "ONES":
            column.prop(chosen, "breakdowns", toggle=True)
        if chosen.accuracy == "CUSTOM":
            column.prop(chosen, "error", text="Max Lip Error (mm)")


class THUNDER_PT_commit_options(Popover, bpy.types.Panel):
    bl_label = "Commit Options"

    def draw(self, context: bpy.types.Context) -> None:
        layout, chosen = self.layout, context.scene.thunder.commit
        layout.prop(chosen, "range", text="")
        if chosen.step == "ONES" and (chosen.to != "NEW" or chosen.range == "PREVIEW"):
            layout.prop(chosen, "blend", text="Blend (frames)")
        layout.label(text=translated("Regions"))
        grid = layout.grid_flow(row_major=True, columns=2, even_columns=True, align=True)
        props(grid, chosen, *committing.REGION_SETTINGS.values(), toggle=True)
