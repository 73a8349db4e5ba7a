# SPDX-License-Identifier: GPL-3.0-or-later
"""Add the realistic head of an ICT-FaceKit folder to the scene."""

import bpy

from ..scene.heads import ict
from .adding import AddsHeadFrom


class THUNDER_OT_add_ict_head(AddsHeadFrom, bpy.types.Operator):
    """Add the head from the FaceXModel folder of ICT-FaceKit (MIT licence), ready to animate"""

    bl_idname = "thunder.add_ict_head"
    bl_label = "Head from ICT-FaceKit Folder…"

    directory: bpy.props.StringProperty(name="Folder", subtype="DIR_PATH", description="The ICT-FaceKit folder, or its FaceXModel folder")
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})

    def add(self, context, collection):
        return ict.add(self.directory, collection, context.view_layer, context.scene.cursor.location)


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_add_ict_head,))
