# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves over the timeline: which of them are drawn; their switch is also in the headers of the dope sheet and the sequencer."""

import bpy

from ..scene.heads import head
from .tab import Tab


class THUNDER_PT_overlay(Tab, bpy.types.Panel):
    bl_label = "Curves in the Timeline"
    bl_idname = "THUNDER_PT_overlay"
    bl_parent_id = "THUNDER_PT_listen"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context):
        return head.is_any_in(context.scene)

    def draw_header(self, context):
        self.layout.prop(context.scene.thunder.overlay, "show", text="")

    def draw(self, context):
        layout, chosen = self.layout, context.scene.thunder.overlay
        row = layout.row(align=True)
        row.active = chosen.show
        row.prop(chosen, "waveform", toggle=True)
        row.prop(chosen, "opening", toggle=True)
        row.prop(chosen, "drift", toggle=True)


def _switch(self, context):
    """In a header: the curves on or off, where there are takes."""
    scene = context.scene
    if scene is not None and scene.thunder.takes:
        self.layout.prop(scene.thunder.overlay, "show", text="", icon="RNDCURVE")


_HEADERS = ("DOPESHEET_HT_header", "SEQUENCER_HT_header")
_register, _unregister = bpy.utils.register_classes_factory((THUNDER_PT_overlay,))


def register():
    _register()
    for name in _HEADERS:
        getattr(bpy.types, name).append(_switch)


def unregister():
    for name in _HEADERS:
        getattr(bpy.types, name).remove(_switch)
    _unregister()
