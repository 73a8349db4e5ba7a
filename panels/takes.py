# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes in the Thunder tab: the list, stepping through it, and the actions on the shown take."""

import bpy

from ..scene.media import grid
from ..scene.takes import take_list
from .tab import Tab, wrapped_label
from .take_list import draw_header, draw_words, ROWS

WORTH_CLEARING = 200.0  # megabytes of takes from which on the panel asks to clear earlier ones
WEIGHT = 3.0  # width of the weight of all takes, in buttons


class THUNDER_MT_takes(bpy.types.Menu):
    bl_label = "Takes"

    def draw(self, context):
        layout = self.layout
        settings = context.scene.thunder
        index = take_list.shown_index(settings)
        column = layout.column()
        column.operator("thunder.star_take", icon="SOLO_ON", text="Remove Star" if index >= 0 and settings.takes[index].star else "Star")
        column.operator("thunder.duplicate_take", icon="DUPLICATE")
        column.operator("thunder.hide_take", icon="HIDE_ON", text="Unhide" if index >= 0 and settings.takes[index].hidden else "Hide")
        column.operator("thunder.delete_take", icon="TRASH")
        layout.separator()
        layout.operator("thunder.explain_frame", icon="QUESTION")
        layout.separator()
        layout.prop(settings, "only_starred")
        layout.prop(settings, "show_hidden")
        layout.separator()
        layout.operator_context = "INVOKE_DEFAULT"
        row = layout.row()
        row.enabled = any(settings.takes[place].hidden for place in take_list.of_voice(context))
        row.operator("thunder.delete_takes", text="Delete Hidden Takes").which = "HIDDEN"
        layout.operator("thunder.delete_takes", text="Delete Takes Without a Star").which = "UNSTARRED"
        if any(entry.action is None for entry in settings.takes):
            layout.operator("thunder.delete_takes", text="Remove Missing Takes").which = "LOST"
        if take_list.unlisted(context.scene):
            layout.operator("thunder.adopt_takes")


class THUNDER_PT_takes(Tab, bpy.types.Panel):
    bl_label = "Takes"
    bl_idname = "THUNDER_PT_takes"
    bl_order = 2

    @classmethod
    def poll(cls, context):
        return bool(context.scene.thunder.takes) or bool(take_list.unlisted(context.scene))

    def draw(self, context):
        layout = self.layout
        settings = context.scene.thunder
        if not settings.takes:
            wrapped_label(layout, "This file has takes that are not in the list", context)
            layout.operator("thunder.adopt_takes", icon="IMPORT")
            return
        shown = take_list.shown_index(settings)
        layout.row(align=True).prop(settings, "sort", expand=True)
        draw_header(layout, settings)
        layout.template_list(
            "THUNDER_UL_takes", "", settings, "takes", settings, "active_take", item_dyntip_propname="tooltip", rows=ROWS, maxrows=ROWS
        )
        if any(entry.words for entry in settings.takes):  # a line of its own, whichever take is shown
            draw_words(layout, settings.takes[shown].words if shown >= 0 else "", context)
        row = layout.row(align=True)
        row.operator("thunder.select_take", text="", icon="TRIA_UP").step = -1
        row.operator("thunder.select_take", text="", icon="TRIA_DOWN").step = 1
        part = row.row(align=True)
        part.ui_units_x = 2.2
        part.operator("thunder.flip_take")
        mesh = take_list.chosen_mesh(context)
        on_head = take_list.on_head(context.scene, mesh) if mesh is not None else None
        row.operator("thunder.select_take", text="My Animation", depress=mesh is not None and on_head is None).index = -1
        row.prop(settings, "play_shown", text="", icon="PLAY")
        row.menu("THUNDER_MT_takes", text="", icon="DOWNARROW_HLT")
        row = layout.row(align=True)
        row.operator("thunder.contact_sheet", icon="IMAGE_DATA")
        words, icon = ("Leave Grid", "X") if grid.running() else ("Play All", "MESH_GRID")
        row.operator("thunder.play_grid", text=words, icon=icon)
        self._shown(layout, settings.takes[shown] if shown >= 0 else None)
        if shown < 0 and on_head is not None:
            wrapped_label(layout, take_list.why_none(context), context)
        self._batches(layout, context)

    def _shown(self, layout, entry):
        row = layout.row(align=True)  # its name is changed in the list
        if entry is not None:
            row.prop(entry, "note", text="", icon="TEXT", placeholder="Note")
        else:
            row.label(text="")
        row.operator("thunder.duplicate_take", text="", icon="DUPLICATE")
        row.operator("thunder.hide_take", text="", icon="HIDE_ON" if entry is not None and entry.hidden else "HIDE_OFF")
        row.operator("thunder.delete_take", text="", icon="TRASH")

    def _batches(self, layout, context):
        """A heading for each batch, which a click folds or unfolds; below them what all earlier takes weigh."""
        batches = take_list.batches(context)
        if len(batches) < 2:
            return
        column = layout.column(align=True)
        for batch, text in zip(batches, take_list.headings(batches)):
            row = column.row(align=True)
            heading = row.row(align=True)
            heading.alignment = "LEFT"
            icon = "RIGHTARROW" if batch[0].folded else "DOWNARROW_HLT"
            heading.operator("thunder.fold_takes", text=text, icon=icon, emboss=False).batch = batch[0].batch
            count = row.row(align=True)
            count.alignment, count.active = "RIGHT", False
            count.label(text=f"{len(batch)} take{'s' * (len(batch) > 1)}")
        megabytes = sum(take_list.size(entry) for batch in batches for entry in batch) / 1e6
        row = layout.row(align=True)
        row.operator("thunder.delete_takes", text="Clear Earlier Takes", icon="TRASH").which = "EARLIER"
        weight = row.row(align=True)
        weight.ui_units_x, weight.active = WEIGHT, False
        weight.label(text=f"{megabytes:.1f} MB")
        if megabytes > WORTH_CLEARING:
            wrapped_label(layout, f"These takes need {megabytes:.0f} MB of memory and of the file: clear earlier ones", context)


register, unregister = bpy.utils.register_classes_factory((THUNDER_MT_takes, THUNDER_PT_takes))
