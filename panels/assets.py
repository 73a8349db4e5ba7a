# SPDX-License-Identifier: GPL-3.0-or-later
"""Poses and takes where Blender shows assets: a shelf in the viewport, the menu of the Asset Browser; and the lit scene in Add menus."""

import bpy

from ..scene.heads import head
from ..scene.heads.pose_assets import TAG
from ..scene.media import stage


class THUNDER_AST_faces(bpy.types.AssetShelf):
    bl_space_type = "VIEW_3D"
    bl_activate_operator = "THUNDER_OT_apply_asset"
    bl_default_preview_size = 96

    @classmethod
    def poll(cls, context):
        return context.mode == "OBJECT" and head.is_any_in(context.scene)

    @classmethod
    def asset_poll(cls, asset):
        return asset.id_type == "ACTION" and TAG in asset.metadata.tags

    @classmethod
    def draw_context_menu(cls, context, asset, layout):
        layout.operator("thunder.apply_asset")


def draw_stage(self, context):
    """The entries of a menu for the lit scene."""
    layout = self.layout
    layout.operator_context = "INVOKE_DEFAULT"
    layout.separator()
    layout.operator("thunder.light_scene", icon="LIGHT_AREA")
    layout.operator("thunder.playblast", icon="RENDER_ANIMATION")
    layout.operator("thunder.playblast", text="Playblast As…", icon="FILE_MOVIE").choose = True
    if stage.find(context.scene) is not None:
        layout.operator("thunder.remove_stage", icon="X")


def _in_browser(self, context):
    if context.asset is not None and context.asset.id_type == "ACTION":
        self.layout.operator("thunder.apply_asset", text="Apply to Thunder Head")


def register():
    bpy.types.VIEW3D_MT_light_add.append(draw_stage)
    bpy.types.ASSETBROWSER_MT_context_menu.append(_in_browser)


def unregister():
    bpy.types.ASSETBROWSER_MT_context_menu.remove(_in_browser)
    bpy.types.VIEW3D_MT_light_add.remove(draw_stage)
