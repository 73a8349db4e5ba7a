# SPDX-License-Identifier: GPL-3.0-or-later
"""Add a head that comes with Thunder to the scene."""

import bpy

from ..scene.heads import head
from .adding import AddsHead


class THUNDER_OT_add_head(AddsHead, bpy.types.Operator):
    """Add the bundled head at the 3D cursor, ready to animate"""

    bl_idname = "thunder.add_head"
    bl_label = "Add Head"

    person: bpy.props.EnumProperty(
        name="Person",
        description="Whose head: all have the same keys, so any take plays on any of them",
        items=[(key, name, f"Add the bundled head called {name}") for key, name in head.PEOPLE.items()],
    )

    def add(self, context, collection):
        return head.build(collection, context.view_layer, context.scene.cursor.location, self.person).mesh


register, unregister = bpy.utils.register_classes_factory((THUNDER_OT_add_head,))
