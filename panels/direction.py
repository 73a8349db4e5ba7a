# SPDX-License-Identifier: GPL-3.0-or-later
"""Direction: how the chosen head is to perform, in sliders, a mood and presets; in popovers less
usual sliders, and how to sample."""

from __future__ import annotations

import bpy

from ..scene.engine import recogniser
from ..scene.heads import head
from ..scene.host.language import CONTEXT, translated
from ..scene.takes import take_list
from ..scene.takes.direction import head_direction, sliders
from ..scene.takes.direction.live import live
from ..thunder_core.direction import NEUTRAL, SLIDERS
from ..thunder_core.direction_words import USUAL, words
from ..thunder_core.errors import attempt
from .tab import buttons, grey, is_divided, Popover, props, Tab, tune, wrapped_label

LEFT = 0.55  # share of the left of two columns of sliders, in which *Articulation* fits
MOST_WORDS = 2  # words in the panel's header that describe the direction


class THUNDER_MT_directions(bpy.types.Menu):
    bl_label = "Presets"
    bl_translation_context = CONTEXT  # which has shorter words than Blender

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        known = head_direction.all_presets()
        for name in known.names():
            layout.operator("thunder.use_direction", text=name).name = name
        layout.separator()
        layout.operator_context = "INVOKE_DEFAULT"
        layout.operator_menu_enum("thunder.style_from_animation", "frames", icon="ANIM")
        layout.operator_menu_enum("thunder.learn_manner", "lines", icon="GREASEPENCIL")
        layout.separator()
        buttons(layout, ("thunder.save_direction", "ADD"), ("thunder.delete_direction", "REMOVE"))


class THUNDER_PT_direction(Tab, bpy.types.Panel):
    bl_label = "Direction"
    bl_parent_id = "THUNDER_PT_main"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        direction = _current_direction(context)
        if direction is None:
            return
        description = words(sliders.value(direction).vector(), most=MOST_WORDS)
        if description != USUAL:
            grey(self.layout).label(text=translated(description))

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        rig, wrong = attempt(head.find, context.scene, context.object)
        if rig is None:
            wrapped_label(layout, wrong, context)
            return
        direction = sliders.of(rig.owner)
        if direction is None:
            sliders.prepare(rig.owner)
            return
        self._style(layout.column(), context, direction)
        self._eyes(layout, context, rig, direction)
        # what comes and goes is below all that is clicked
        if sentence := live.refusal(context.scene):
            wrapped_label(layout, sentence, context)
        if (sentence := head_direction.why_no_target(rig)) and direction.look_at != "NONE":
            wrapped_label(layout, sentence, context)

    def _style(
        self,
        layout: bpy.types.UILayout,
        context: bpy.types.Context,
        direction: sliders.ThunderDirection,
    ) -> None:
        row = layout.row(align=True)
        tune(row.row(align=True), ui_units_x=7).menu("THUNDER_MT_directions")
        row.prop(direction, "mood", text="")
        row.prop(context.scene.thunder, "live_direction", text="", icon="REC")
        row.operator("thunder.reset_direction", text="", icon="LOOP_BACK")
        # in a low window takes have to be seen below them
        row, names = layout.split(factor=LEFT, align=True), (*SLIDERS, "spread")
        count = 1 + is_divided(context)
        for first in range(count):
            column = (row if count > 1 else layout).column(align=True)
            props(column, direction, *names[first::count], slider=True)
        if not direction.mood:
            layout.label(text="This mood is not on this machine", icon="ERROR")
        column = layout.column(align=True)  # half as wide, their names would be cut
        if direction.mood != NEUTRAL:
            column.prop(direction, "strength", text="Mood Strength", slider=True)
        if len(direction.manner):
            row = column.row(align=True)
            row.prop(direction, "manner_strength", slider=True)
            row.popover("THUNDER_PT_manner", text="", icon="OPTIONS")

    def _eyes(
        self,
        layout: bpy.types.UILayout,
        context: bpy.types.Context,
        rig: head.Rig,
        direction: sliders.ThunderDirection,
    ) -> None:
        column = layout.column(align=True)
        row = column.row(align=True)
        target = direction.look_object
        is_head = direction.look_at == "OBJECT" and target in head.in_scene(context.scene)
        chosen = direction.bl_rna.properties["look_at"].enum_items[direction.look_at].name
        row.operator_menu_enum(
            "thunder.look_at",
            "target",
            text=translated(f"Look at {target.name}") if is_head and target is not None else chosen,
            icon="HIDE_OFF",
        )
        row.popover("THUNDER_PT_fine_direction", text="", icon="OPTIONS")
        if direction.look_at == "OBJECT" and not is_head:
            column.prop(direction, "look_object", text="")
        if direction.look_at != "NONE":
            props(column, direction, "looks_away", "head_follows", slider=True)
        entry = take_list.shown_take(context.scene.thunder)
        if direction.look_at != "NONE" or (entry is not None and head_direction.is_aimed(entry)):
            column.operator("thunder.update_eyes")


class THUNDER_PT_fine_direction(Popover, bpy.types.Panel):
    bl_label = "More Sliders"

    @classmethod
    def poll(cls, context: bpy.types.Context):
        return _current_direction(context) is not None

    def draw(self, context: bpy.types.Context) -> None:
        direction = _current_direction(context)
        props(self.layout.column(align=True), direction, *sliders.FINE, slider=True)


class THUNDER_PT_manner(Popover, bpy.types.Panel):
    bl_label = "Manner"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        direction = _current_direction(context)
        return direction is not None and len(direction.manner) > 0

    def draw(self, context: bpy.types.Context) -> None:
        direction, column = _current_direction(context), self.layout.column(align=True)
        manner, wrong = attempt(sliders.manner_of, direction)
        if manner is None:
            self.say(wrong)
        else:
            grey(column).label(text=translated(f"Learned from {manner.lines} lines"))
        for row, change in zip(direction.manner, () if manner is None else manner.changes):
            line = column.row(align=True)
            line.prop(row, "is_used", text=translated(change.words))
            tune(line.row(), active=False, alignment="RIGHT").label(
                text=translated(f"{change.lines} lines")
            )
        buttons(
            column, ("thunder.save_manner", "EXPORT"), ("thunder.load_manner", "IMPORT"),
            ("thunder.forget_manner", "X"),
        )  # fmt: skip


def _current_direction(context: bpy.types.Context):
    """The direction of the chosen head, None if there is none yet."""
    rig, _ = attempt(head.find, context.scene, context.object)
    return None if rig is None else sliders.of(rig.owner)


class THUNDER_PT_sampling(Popover, bpy.types.Panel):
    bl_label = "Sampling"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.thunder
        layout.prop(settings, "head_role")
        row = layout.row(align=True)
        row.prop(settings, "first_seed")
        row.prop(
            settings, "keep_seed", text="", icon="LOCKED" if settings.keep_seed else "UNLOCKED"
        )
        props(layout.column(align=True), settings, "quality", "guidance")
        tune(layout.row(), active=not recogniser.why_not()).prop(settings, "recognise_words")
