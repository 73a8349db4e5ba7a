# SPDX-License-Identifier: GPL-3.0-or-later
"""Direction: how the chosen head is to perform, in sliders, a mood and presets; the less usual sliders in a panel of their own."""

import bpy

from ..scene.engine import connection
from ..scene.heads import head
from ..scene.takes import take_list
from ..scene.takes.direction import looking, presets, sliders
from ..scene.takes.direction.live import live
from ..thunder_core.direction import NEUTRAL, SLIDERS
from ..thunder_core.direction_words import USUAL, words
from ..thunder_core.errors import ThunderError
from .tab import Tab, wrapped_label

MOST_WORDS = 2  # words in the panel's header that describe the direction


class THUNDER_MT_directions(bpy.types.Menu):
    bl_label = "Presets"

    def draw(self, context):
        layout = self.layout
        known = presets.all_presets()
        for name in known.names():
            layout.operator("thunder.use_direction", text=name).name = name
        layout.separator()
        layout.operator_context = "INVOKE_DEFAULT"
        layout.operator_menu_enum("thunder.style_from_animation", "frames", icon="ANIM")
        layout.operator("thunder.style_from_file", text="Style from Recording…", icon="FILEBROWSER")
        layout.separator()
        layout.operator("thunder.save_direction", icon="ADD")
        layout.operator("thunder.delete_direction", icon="REMOVE")


class THUNDER_PT_direction(Tab, bpy.types.Panel):
    bl_label = "Direction"
    bl_idname = "THUNDER_PT_direction"
    bl_parent_id = "THUNDER_PT_main"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_header_preset(self, context):
        direction = _direction(context)
        if direction is None or not connection.knows_styles():
            return
        description = words(sliders.value(direction).vector(), most=MOST_WORDS)
        if description != USUAL:
            row = self.layout.row()
            row.active = False
            row.label(text=description)

    def draw(self, context):
        layout = self.layout
        knows = connection.knows_styles()
        if not knows:
            wrapped_label(layout, "The current weights do not support directions", context)
        try:
            rig = head.find(context.scene, context.object)
        except ThunderError as error:
            wrapped_label(layout, str(error), context)
            return
        direction = sliders.of(rig.owner)
        if direction is None:
            sliders.prepare(rig.owner)
            return
        column = layout.column()
        column.enabled = knows
        self._style(column, context, direction)
        self._eyes(layout, context, rig, direction)

    def _style(self, layout, context, direction):
        row = layout.row(align=True)
        row.menu("THUNDER_MT_directions")
        row.operator("thunder.reset_direction", text="", icon="LOOP_BACK")
        column = layout.column(align=True)
        for name in SLIDERS:
            column.prop(direction, name, slider=True)
        column = layout.column(align=True)
        column.prop(direction, "mood", text="")
        if direction.mood != NEUTRAL:
            column.prop(direction, "strength", slider=True)
        layout.prop(direction, "spread", slider=True)
        self._live(layout, context)

    def _eyes(self, layout, context, rig, direction):
        if (sentence := looking.why_not(rig)) and direction.look_at != "NONE":
            wrapped_label(layout, sentence, context)
        column = layout.column(align=True)
        column.prop(direction, "look_at", text="", icon="HIDE_OFF")
        if direction.look_at == "OBJECT":
            column.prop(direction, "look_object", text="")
        if direction.look_at != "NONE":
            column.prop(direction, "looks_away", slider=True)
            column.prop(direction, "head_follows", slider=True)
        entry = take_list.shown_take(context.scene.thunder)
        if direction.look_at != "NONE" or (entry is not None and looking.is_aimed(entry)):
            column.operator("thunder.update_eyes")

    def _live(self, layout, context):
        settings = context.scene.thunder
        row = layout.row(align=True)
        row.prop(settings, "live_direction", toggle=True, icon="REC")
        row.operator("thunder.more_like_this")
        if settings.live_direction and live.sentence and take_list.shown_index(settings) >= 0:
            wrapped_label(layout, live.sentence, context)


class THUNDER_PT_fine_direction(Tab, bpy.types.Panel):
    bl_label = "More Sliders"
    bl_idname = "THUNDER_PT_fine_direction"
    bl_parent_id = "THUNDER_PT_direction"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        return _direction(context) is not None

    def draw_header_preset(self, context):
        if changed := sliders.changed_fine(_direction(context)):
            row = self.layout.row()
            row.active = False
            row.label(text=", ".join(changed[:MOST_WORDS]) + "…" * (len(changed) > MOST_WORDS))

    def draw(self, context):
        direction = _direction(context)
        column = self.layout.column(align=True)
        column.enabled = connection.knows_styles()
        for name in sliders.FINE:
            column.prop(direction, name, slider=True)


def _direction(context):
    """The direction of the chosen head, None if there is none yet."""
    try:
        return sliders.of(head.find(context.scene, context.object).owner)
    except ThunderError:
        return None


register, unregister = bpy.utils.register_classes_factory((THUNDER_MT_directions, THUNDER_PT_direction, THUNDER_PT_fine_direction))
