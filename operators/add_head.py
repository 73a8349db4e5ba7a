# SPDX-License-Identifier: GPL-3.0-or-later
"""Add a head to the scene, bundled or from a file of the animator's, and make a linked character editable."""

import bpy

from ..scene.heads import flame, head, ict, library_override
from .base import ChoosesFile, InstantWork, why_not_in_object_mode


class AddsHead(InstantWork):
    """An operator whose `add(context, collection)` adds a head to a collection that can be changed and returns its mesh."""

    obstacles = (why_not_in_object_mode,)

    def act(self, context):
        collection = context.collection
        if collection is None or collection.library is not None:
            collection = context.scene.collection
        mesh = self.add(context, collection)
        head.fit_to_units(context.scene, mesh)
        head.move_beside(context.scene, context.view_layer, mesh)
        context.scene.thunder.head = mesh


class THUNDER_OT_add_head(AddsHead, bpy.types.Operator):
    """Add the bundled head at the 3D cursor, ready to animate"""

    bl_label = "Add Head"

    person: bpy.props.EnumProperty(
        name="Person",
        description="Whose head: all have the same keys, so any take plays on any of them",
        items=[(key, name, f"Add the bundled head called {name}") for key, name in head.PEOPLE.items()],
    )

    def add(self, context, collection):
        return head.build(collection, context.view_layer, context.scene.cursor.location, self.person).mesh


class THUNDER_OT_add_flame_head(ChoosesFile, AddsHead, bpy.types.Operator):
    """Add a head from a FLAME file (2019, 2020, 2023, 2023 Open; .pkl or .npz). No code in the file is run"""

    bl_label = "Head from FLAME File…"

    filepath: bpy.props.StringProperty(name="File", subtype="FILE_PATH", description="FLAME model file, as downloaded")
    filter_glob: bpy.props.StringProperty(default="*.pkl;*.npz", options={"HIDDEN"})
    sliders: bpy.props.IntProperty(
        name="Identity Sliders", default=10, min=0, max=300, description="Number of identity shape keys to create"
    )

    def add(self, context, collection):
        return flame.add(self.filepath, collection, context.view_layer, context.scene.cursor.location, self.sliders)


class THUNDER_OT_add_ict_head(ChoosesFile, AddsHead, bpy.types.Operator):
    """Add the head from the FaceXModel folder of ICT-FaceKit (MIT licence), ready to animate"""

    bl_label = "Head from ICT-FaceKit Folder…"

    directory: bpy.props.StringProperty(name="Folder", subtype="DIR_PATH", description="The ICT-FaceKit folder, or its FaceXModel folder")
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})

    def add(self, context, collection):
        return ict.add(self.directory, collection, context.view_layer, context.scene.cursor.location)


def _chosen(context):
    return context.scene.thunder.head or context.object


def _why_editable(context) -> str:
    """The reason why there is nothing to make editable."""
    chosen = _chosen(context)
    what = "Nothing here is" if chosen is None else f"“{chosen.name}” is not"
    is_linked = library_override.wanting(context.scene, chosen) is not None
    return "" if is_linked else f"{what} linked from another file: there is nothing to make editable"


class THUNDER_OT_make_editable(InstantWork, bpy.types.Operator):
    """Make a library override of the linked character and its meshes, so that it can be animated"""

    bl_label = "Make Editable"
    obstacles = (
        _why_editable,
        why_not_in_object_mode,
    )

    def act(self, context):
        scene = context.scene
        face = library_override.make_editable(scene, context.view_layer, library_override.wanting(scene, _chosen(context)))
        scene.thunder.head = face
        return f"“{face.name}” can be animated now. The linked file is not changed"
