# SPDX-License-Identifier: GPL-3.0-or-later
"""Add the head that comes with Thunder to the scene."""

import bpy

from ..scene.heads import head
from .adding import AddsHead


class THUNDER_OT_add_head(AddsHead, bpy.types.Operator):
    """Add the bundled head at the 3D cursor, ready to animate"""

    bl_idname = "thunder.add_head"
    bl_label = "Add Head"

    def add(self, context, collection):
        return head.build(collection, context.view_layer, context.scene.cursor.location).mesh


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_add_head,))
