# SPDX-License-Identifier: GPL-3.0-or-later
"""Add the head of a FLAME file that the animator has to the scene."""

import bpy

from ..scene.heads import flame
from .adding import AddsHeadFrom


class THUNDER_OT_add_flame_head(AddsHeadFrom, bpy.types.Operator):
    """Add a head from a FLAME file (2019, 2020, 2023, 2023 Open; .pkl or .npz). No code in the file is run"""

    bl_idname = "thunder.add_flame_head"
    bl_label = "Head from FLAME File…"

    filepath: bpy.props.StringProperty(name="File", subtype="FILE_PATH", description="FLAME model file, as downloaded")
    filter_glob: bpy.props.StringProperty(default="*.pkl;*.npz", options={"HIDDEN"})
    sliders: bpy.props.IntProperty(
        name="Identity Sliders", default=10, min=0, max=300, description="Number of identity shape keys to create"
    )

    def add(self, context, collection):
        return flame.add(self.filepath, collection, context.view_layer, context.scene.cursor.location, self.sliders)


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_add_flame_head,))
