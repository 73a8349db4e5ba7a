# SPDX-License-Identifier: GPL-3.0-or-later
"""Thunder in Blender's own menus: the heads in Add › Armature, and a pie of what is done most while takes are compared."""

import bpy

from ..scene.takes import keep


class THUNDER_MT_pie(bpy.types.Menu):
    bl_label = "Takes"

    def draw(self, context):
        pie = self.layout.menu_pie()  # left, right, bottom, top, then the corners from the top left, row by row
        pie.operator("thunder.select_take", text="Previous Take", icon="TRIA_LEFT").step = -1
        pie.operator("thunder.select_take", text="Next Take", icon="TRIA_RIGHT").step = 1
        is_playing = context.screen is not None and context.screen.is_animation_playing
        pie.operator("screen.animation_play", text="Pause" if is_playing else "Play", icon="PAUSE" if is_playing else "PLAY")
        pie.operator("thunder.flip_take", icon="ARROW_LEFTRIGHT")
        pie.operator("thunder.star_take", icon="SOLO_ON")
        pie.operator("thunder.add_closure", icon="KEYFRAME")
        pie.operator("thunder.listen", icon="SPEAKER")
        pie.operator("thunder.resample_rest" if keep.is_any(context.scene) else "thunder.more_like_this", icon="FILE_REFRESH")


def _in_add_menu(self, context):
    self.layout.menu("THUNDER_MT_add_head", text="Thunder Head", icon="USER")


def register():
    bpy.types.VIEW3D_MT_armature_add.append(_in_add_menu)


def unregister():
    bpy.types.VIEW3D_MT_armature_add.remove(_in_add_menu)
