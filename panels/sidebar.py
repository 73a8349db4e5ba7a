# SPDX-License-Identifier: GPL-3.0-or-later
"""The Thunder tab of the 3D viewport's sidebar."""

import bpy

from ..scene import engine_session, head, strip, takes, work
from ..thunder_core.errors import ThunderError
from . import take_list


LETTERS_PER_PIXEL = 0.113  # that fit beside an icon in the sidebar at scale 1, measured


class _Tab:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Thunder"


class THUNDER_PT_main(_Tab, bpy.types.Panel):
    bl_label = "Thunder"
    bl_idname = "THUNDER_PT_main"

    def draw(self, context):
        layout = self.layout
        settings = context.scene.thunder
        ready = self._voice(layout, context, settings)
        layout.separator(factor=0.5)
        ready &= self._head(layout, context, settings)
        layout.separator(factor=0.5)
        row = layout.row(align=True)
        row.prop(settings, "count")
        row.prop(settings, "seed")
        if work.running is None:
            there, text = engine_session.found_now()
            column = layout.column()
            column.scale_y = 1.5
            column.active = ready and there  # greyed, and a click or the tooltip says why
            column.operator("thunder.generate", icon="PLAY")
            if not there:
                _wrapped(layout, text, context)
        else:
            _progress(layout, work.running)

    def _voice(self, layout, context, settings):
        row = layout.row(align=True)
        row.prop(settings, "source", expand=True)
        if settings.source == "FILE":
            layout.prop(settings, "sound_file", text="", placeholder="Sound file")
        else:
            layout.prop(settings, "strip", text="", icon="SOUND", placeholder="Active strip")
        try:
            voice = strip.find(context)
        except ThunderError as error:
            _wrapped(layout, str(error), context)
            return False
        seconds = "" if voice.last is None else f" · {(voice.last - voice.clock.start) / voice.clock.fps:.1f} s"
        layout.label(text=voice.name + seconds, icon="CHECKMARK")
        return True

    def _head(self, layout, context, settings):
        row = layout.row(align=True)
        row.prop(settings, "head", text="", icon="USER")
        row.operator("thunder.add_head", text="", icon="ADD")
        try:
            rig = head.find(context.scene, context.object)
        except ThunderError as error:
            _wrapped(layout, str(error), context)
            layout.operator("thunder.add_head", icon="ADD")
            return False
        layout.label(text=f"{rig.mesh.name} · {len(rig.channels)} of {len(head.channel_names())} channels", icon="CHECKMARK")
        return True


class THUNDER_PT_takes(_Tab, bpy.types.Panel):
    bl_label = "Takes"
    bl_idname = "THUNDER_PT_takes"

    @classmethod
    def poll(cls, context):
        return bool(context.scene.thunder.takes)

    def draw(self, context):
        layout = self.layout
        settings = context.scene.thunder
        take_list.draw_header(layout)
        layout.template_list("THUNDER_UL_takes", "", settings, "takes", settings, "active_take", rows=4)
        shown = takes.shown_index(settings)
        row = layout.row(align=True)
        row.operator("thunder.select_take", text="", icon="TRIA_LEFT").step = -1
        row.operator("thunder.select_take", text="My Animation", depress=shown < 0).index = -1
        row.operator("thunder.select_take", text="", icon="TRIA_RIGHT").step = 1
        column = layout.column()
        column.scale_y = 1.2
        column.operator("thunder.commit_take", icon="CHECKMARK")


class THUNDER_PT_listen(_Tab, bpy.types.Panel):
    bl_label = "Listen"
    bl_idname = "THUNDER_PT_listen"

    @classmethod
    def poll(cls, context):
        return bool(head.in_scene(context.scene))

    def draw(self, context):
        layout = self.layout
        layout.prop(context.scene.thunder, "listen_range", text="")
        column = layout.column()
        column.scale_y = 1.2
        column.operator("thunder.listen", icon="SPEAKER")


def _progress(layout, running):
    row = layout.row(align=True)
    row.scale_y = 1.5
    left = running.seconds_left
    text = running.step.message if left is None else f"{running.step.message}, {left:.0f} s left"
    row.progress(factor=running.step.fraction, text=text)
    row.operator("thunder.cancel", text="", icon="X")


def _wrapped(layout, text: str, context):
    """A sentence in as many lines as the sidebar's width needs, greyed."""
    letters = max(16, int(context.region.width / context.preferences.system.ui_scale * LETTERS_PER_PIXEL))
    column = layout.column(align=True)
    column.active = False
    line, icon = "", "INFO"
    for word in text.split():
        if line and len(line) + 1 + len(word) > letters:
            column.label(text=line, icon=icon)
            line, icon = "", "BLANK1"
        line = f"{line} {word}".strip()
    column.label(text=line, icon=icon)


register, unregister = bpy.utils.register_classes_factory((THUNDER_PT_main, THUNDER_PT_takes, THUNDER_PT_listen))
