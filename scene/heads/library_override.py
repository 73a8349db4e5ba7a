# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a linked character editable: library overrides of its objects and of the meshes that hold
its shapes."""

import bpy

from ...thunder_core.errors import BadHead
from . import family


def is_linked(obj: bpy.types.Object) -> bool:
    """Whether a character, or the mesh with its shapes, still belongs to another file."""
    keys = obj.data.shape_keys if obj.type == "MESH" and obj.data else None
    return obj.library is not None or (keys is not None and keys.library is not None)


def linked_instance(scene) -> bpy.types.Object | None:
    """An instance in a scene of a linked collection that holds a face, None if there is none."""
    return next(filter(_is_linked_instance, scene.objects), None)


def _is_linked_instance(obj: bpy.types.Object) -> bool:
    collection = obj.instance_collection if obj.instance_type == "COLLECTION" else None
    return (
        collection is not None
        and collection.library is not None
        and any(map(family.is_face, collection.all_objects))
    )


def find_linked(scene, chosen: bpy.types.Object | None) -> bpy.types.Object | None:
    """The object that must be made editable before it can have keys: the chosen one, else an
    instance of a linked collection, or None."""
    if chosen is not None and (
        _is_linked_instance(chosen) or any(map(is_linked, [chosen, *family.relatives(chosen)]))
    ):
        return chosen
    return linked_instance(scene)


def make_editable(scene, view_layer, obj: bpy.types.Object) -> bpy.types.Object:
    """Override a linked character, or the linked meshes of an overridden one, so that it can have
    keys; returns its face.

    Mapping and appearance stay as in its file. Raises BadHead if Blender fails.
    """
    if (
        obj.instance_type == "COLLECTION"
        and obj.instance_collection is not None
        and obj.instance_collection.library
    ):
        obj = _override(scene, view_layer, obj.instance_collection, obj)
    elif obj.library is not None:
        linked = next((c for c in obj.users_collection if c.library is not None), None)
        obj = _override(scene, view_layer, linked or obj, None, obj.name)
    if obj is None:
        raise BadHead(
            "Blender could not make a library override of this character: append it instead of "
            "linking it"
        )
    for part in [obj, *family.relatives(obj)]:
        if (
            part.library is None
            and part.type == "MESH"
            and part.data.library is not None
            and part.data.shape_keys is not None
        ):
            if part.data.override_create(remap_local_usages=True) is None:
                raise BadHead(
                    f"Blender could not override the mesh of “{part.name}”: append the character "
                    f"instead of linking it"
                )
    return family.face_of(obj) or obj


def _override(scene, view_layer, linked, reference, name: str = ""):
    """The face among the local overrides of a linked collection or object, None if Blender
    refused."""
    before = set(bpy.data.objects)
    override = linked.override_hierarchy_create(
        scene, view_layer, reference=reference, do_fully_editable=True
    )
    if override is None:
        return None
    if reference is not None:
        # the object that instanced the linked collection, now replaced by the override in the scene
        bpy.data.objects.remove(reference)
    fresh = [other for other in bpy.data.objects if other not in before and other.library is None]
    named = [
        other
        for other in fresh
        if name and other.override_library and other.override_library.reference.name == name
    ]
    faces = (
        named
        or [other for other in fresh if family.is_face(other)]
        or [t for t in fresh if t.type == "ARMATURE"]
    )
    return faces[0] if faces else None
