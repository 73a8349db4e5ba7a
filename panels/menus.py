# SPDX-License-Identifier: GPL-3.0-or-later
"""Thunder in Blender's editors: in the menu Add; and a pie of what is done most."""

import bpy

from ..scene.host.jobs import registration
from ..scene.media import studio
from ..scene.takes import keep
from .tab import buttons


class THUNDER_MT_pie(bpy.types.Menu):
    bl_label = "Takes"

    def draw(self, context):
        # left, right, bottom, top, then the corners from the top left, row by row
        pie = self.layout.menu_pie()
        pie.operator("thunder.select_take", text="Previous Take", icon="TRIA_LEFT").step = -1
        pie.operator("thunder.select_take", text="Next Take", icon="TRIA_RIGHT").step = 1
        is_playing = context.screen is not None and context.screen.is_animation_playing
        pie.operator(
            "screen.animation_play",
            text="Pause" if is_playing else "Play",
            icon="PAUSE" if is_playing else "PLAY",
        )
        buttons(
            pie,
            ("thunder.flip_take", "ARROW_LEFTRIGHT"),
            ("thunder.star_take", "SOLO_ON"),
            ("thunder.add_closure", "KEYFRAME"),
            ("thunder.listen", "SPEAKER"),
        )
        pie.operator(
            "thunder.resample_rest"
            if keep.keeps_anything(context.scene)
            else "thunder.more_like_this",
            icon="FILE_REFRESH",
        )


def _in_add_menu(self, context):
    self.layout.menu("THUNDER_MT_add_head", text="Thunder Head", icon="USER")


def draw_stage(self, context):
    """The entries of a menu for the lit scene."""
    layout = self.layout
    layout.operator_context = "INVOKE_DEFAULT"
    layout.separator()
    layout.operator("thunder.light_scene", icon="LIGHT_AREA")
    if studio.find(context.scene) is not None:
        layout.operator("thunder.remove_stage", icon="X")


_MENUS = (("VIEW3D_MT_armature_add", _in_add_menu), ("VIEW3D_MT_light_add", draw_stage))
register, unregister = registration(menus=_MENUS)
