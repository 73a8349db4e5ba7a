# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the objects of a character: its face, armature and the meshes that move with it; and makes
a linked one editable by library overrides."""

from __future__ import annotations

from collections.abc import Iterable

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ...thunder_core.errors import BadHead
from ...thunder_core.face.reading import conventions
from . import head_state
from .rna_paths import OWN_PREFIX

# margin of the face's box, as a share of its longest side: parts without a parent inside it belong
# to the face
_MARGIN = 0.25
DRAWN_MOUTH = OWN_PREFIX + "Mouth"  # property of a head of drawings: the number of that shown
MARK = "thunder_head"  # custom property of a bundled head's armature object
_KEYS_OF_FACE = 2  # keys with the Basis that things other than faces have


def is_face(obj: bpy.types.Object) -> bool:
    """Whether an object has shapes that a naming convention explains, or was mapped by hand.
    Cheap."""
    if obj.type == "MESH" and (names := key_names(obj)):
        return bool(head_state.mapping(obj)) or conventions.find(names) is not None
    return is_drawn(obj) or (
        obj.type == "ARMATURE" and (bool(head_state.mapping(obj)) or _is_bone_face(obj))
    )


def is_drawn(obj: bpy.types.Object | None) -> bool:
    """Whether an object is a head of drawings (drawn.py)."""
    return obj is not None and DRAWN_MOUTH in obj and bool(head_state.mapping(obj))


def drawn_above(obj: bpy.types.Object) -> bpy.types.Object | None:
    """The head of drawings that an object is part of, None if it is of none."""
    above = obj.parent
    while above is not None and not is_drawn(above):
        above = above.parent
    return above


def _is_bone_face(rig: bpy.types.Object) -> bool:
    """Whether an armature has a jaw bone, and deforms meshes of which none has keys of a face. A
    bundled head that lost its keys is none: it is broken."""
    if MARK in rig or not conventions.joint_bones(
        tuple(bone.name for bone in rig.data.bones), "jaw"
    ):
        return False
    meshes = [other for other in relatives(rig) if other.type == "MESH"]
    return any(carries(rig, mesh) for mesh in meshes) and not any(
        is_face(mesh) or len(key_names(mesh)) > _KEYS_OF_FACE for mesh in meshes
    )


def may_be_character(obj: bpy.types.Object) -> bool:
    """Whether an object has shape keys, bones, or others that go with it. Quick: for panels."""
    is_part = obj.parent is not None or bool(obj.children)
    return (
        obj.type == "ARMATURE"
        or is_drawn(obj)
        or (
            obj.type in ("MESH", "EMPTY")
            and (is_part or getattr(obj.data, "shape_keys", None) is not None)
        )
    )


def find_unknown(scene: bpy.types.Scene) -> bpy.types.Object | None:
    """A character in a scene whose names say nothing: a mesh with several shape keys, else an
    armature that deforms a mesh, one with a jaw or a neck first; None if there is none."""
    for obj in scene.objects:
        if obj.type == "MESH" and len(key_names(obj)) > _KEYS_OF_FACE and not is_face(obj):
            return obj
    rigs = [
        obj
        for obj in scene.objects
        if obj.type == "ARMATURE"
        and any(carries(obj, other) for other in scene.objects if other.type == "MESH")
    ]
    named = [
        rig for rig in rigs if conventions.joint_bones(tuple(bone.name for bone in rig.data.bones))
    ]
    deforming = (rig for rig in rigs if any(deforms(rig, other) for other in scene.objects))
    return next(iter((*named, *deforming)), None)


def key_names(mesh: bpy.types.Object) -> tuple[str, ...]:
    """Names of a mesh's shape keys, without those that add to others."""
    keys = mesh.data.shape_keys if mesh.type == "MESH" and mesh.data else None
    return (
        tuple(block.name for block in keys.key_blocks if not block.name.startswith(OWN_PREFIX))
        if keys is not None
        else ()
    )


def face_of(obj: bpy.types.Object) -> bpy.types.Object | None:
    """The object that represents an object's character: its mesh with most known shapes, or a
    mapped armature."""
    if head_state.mapping(obj):
        return obj
    if (above := drawn_above(obj)) is not None:
        return above
    family = relatives(obj)
    mapped = [other for other in family if head_state.mapping(other)]
    if mapped:
        return mapped[0]
    ranked = [
        (len(recognised.shapes), len(other.data.vertices), other)
        for other in family
        if other.type == "MESH" and (recognised := conventions.find(key_names(other))) is not None
    ]
    if ranked:
        return max(ranked, key=lambda rank: rank[:2])[2]
    # Only bones and properties: the armature represents them.
    armatures = [other for other in family if other.type == "ARMATURE"]
    return next(
        (
            rig
            for rig in armatures
            if conventions.find(property_names([rig])) is not None or _is_bone_face(rig)
        ),
        None,
    )


def relatives(obj: bpy.types.Object) -> list[bpy.types.Object]:
    """The objects of an object's character: those that share its armature, its parent, or its
    position."""
    armature = obj if obj.type == "ARMATURE" else armature_of(obj)
    if armature is None and obj.type == "EMPTY":
        armature = next(
            (other for other in obj.children_recursive if other.type == "ARMATURE"), None
        )
    if armature is not None:
        below = set(armature.children_recursive)
        around = [
            other
            for held in armature.users_scene or obj.users_scene or armature.users_collection
            for other in held.objects
        ]
        deformed = [other for other in around if other.type == "MESH" and deforms(armature, other)]
        result = [armature, *(other for other in around if other in below), *deformed, obj]
    elif obj.parent is not None or obj.type == "EMPTY":
        top = obj.parent or obj
        result = [
            obj,
            *(
                other
                for other in top.children_recursive
                if obj.type == "EMPTY" or _near(obj, other)
            ),
        ]
    else:
        shared = [other for collection in obj.users_collection for other in collection.objects]
        result = [obj, *(other for other in shared if other.parent is None and _near(obj, other))]
    return [other for other in dict.fromkeys(result) if other.type in ("MESH", "ARMATURE")]


def armature_of(obj: bpy.types.Object) -> bpy.types.Object | None:
    """The armature that deforms an object or is above it in the hierarchy."""
    for modifier in obj.modifiers if obj.type == "MESH" else ():
        if modifier.type == "ARMATURE" and modifier.object is not None:
            return modifier.object
    above = obj.parent
    while above is not None and above.type != "ARMATURE":
        above = above.parent
    return above


def deforms(armature: bpy.types.Object, mesh: bpy.types.Object) -> bool:
    """Whether a modifier of the mesh binds it to the armature."""
    return any(m.type == "ARMATURE" and m.object == armature for m in mesh.modifiers)


def carries(armature: bpy.types.Object, mesh: bpy.types.Object) -> bool:
    """Whether a mesh goes with bones of an armature: bound to it, or hung on one of its bones."""
    return deforms(armature, mesh) or (mesh.parent == armature and mesh.parent_type == "BONE")


def _near(face: bpy.types.Object, other: bpy.types.Object) -> bool:
    """Whether an object's centre is in the slightly enlarged box of the face; both of them meshes
    with shape keys."""
    if other == face:
        return True
    if other.type != "MESH" or face.type != "MESH" or not key_names(other):
        return False
    # and no part of it
    is_copy = len(face.data.vertices) == len(other.data.vertices) and key_names(face) == key_names(
        other
    )
    return is_around(face, other) and not is_copy


def is_around(face: bpy.types.Object, other: bpy.types.Object) -> bool:
    """Whether the centre of one object's box is in the slightly enlarged box of the other, the
    larger one."""
    (low, high), (other_low, other_high) = extent(face), extent(other)
    if (other_high - other_low).max() > 1.5 * (high - low).max():
        # The other one is the face that this is a part of.
        low, high, other_low, other_high = other_low, other_high, low, high
    margin, middle = _MARGIN * (high - low).max(), (other_low + other_high) / 2
    return bool(((middle >= low - margin) & (middle <= high + margin)).all())


def extent(obj: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest corner of an object's box in the world."""
    corners = np.array([obj.matrix_world @ Vector(corner) for corner in obj.bound_box])
    return corners.min(0), corners.max(0)


def properties_of(obj: bpy.types.Object) -> tuple[tuple[str, str], ...]:
    """The numbers among the custom properties of an object and its pose bones, (bone or "", name)
    each, without those that this add-on made."""
    return tuple(
        (bone, name)
        for owner, bone in owners_of(obj)
        for name in owner.keys()
        if isinstance(owner.get(name), (int, float)) and not name.startswith(OWN_PREFIX)
    )


def property_names(objects: Iterable[bpy.types.Object], bone: str = "") -> tuple[str, ...]:
    """Names of such properties of objects, or of one bone and the objects alone."""
    every = (each for obj in objects for each in properties_of(obj))
    return tuple(dict.fromkeys(name for of, name in every if not bone or of in ("", bone)))


def points_of(points: bpy.types.bpy_prop_collection) -> np.ndarray:
    """[n, 3] of a shape key's points or a mesh's vertices, in the mesh's space."""
    buffer = np.empty(3 * len(points), np.float32)
    points.foreach_get("co", buffer)
    return buffer.reshape(-1, 3).astype(np.float64)


def rest_of(obj: bpy.types.Object) -> np.ndarray:
    """[n, 3] of a mesh's vertices as its shape keys rest, in its space."""
    keys = obj.data.shape_keys
    return points_of(obj.data.vertices if keys is None else keys.reference_key.data)


def triangles_of(mesh: bpy.types.Mesh) -> np.ndarray:
    """[n, 3] of a mesh's triangles: the numbers of their vertices."""
    mesh.calc_loop_triangles()
    corners = np.empty(3 * len(mesh.loop_triangles), np.int32)
    mesh.loop_triangles.foreach_get("vertices", corners)
    return corners.reshape(-1, 3)


def owners_of(obj: bpy.types.Object) -> list[tuple]:
    """What may have custom properties: an object, and its pose bones; each with the bone's name, ""
    for the object."""
    return [
        (obj, ""),
        *((bone, bone.name) for bone in (obj.pose.bones if obj.type == "ARMATURE" else ())),
    ]


def is_linked(obj: bpy.types.Object) -> bool:
    """Whether a character, or the mesh with its shapes, still belongs to another file."""
    keys = obj.data.shape_keys if obj.type == "MESH" and obj.data else None
    return obj.library is not None or (keys is not None and keys.library is not None)


def instance(objects: Iterable[bpy.types.Object]) -> bpy.types.Object | None:
    """One of some objects that shows a collection with a face, None if there is none."""
    shown = {obj.instance_collection: obj for obj in objects if obj.instance_type == "COLLECTION"}
    for collection, obj in shown.items():
        held = collection.all_objects if collection is not None else ()
        if any(map(is_face, held)) or instance(held) is not None:
            return obj
    return None


def find_linked(scene: bpy.types.Scene, chosen: bpy.types.Object | None) -> bpy.types.Object | None:
    """The object that must be made editable before it can have keys: the chosen one, else an
    instance of a collection, or None."""
    if chosen is not None and (
        instance([chosen]) or any(map(is_linked, [chosen, *relatives(chosen)]))
    ):
        return chosen
    return instance(scene.objects)


def make_editable(
    scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer, obj: bpy.types.Object
) -> bpy.types.Object:
    """Override a linked character, or the linked meshes of an overridden one, so that it can have
    keys; returns its face.

    Mapping, appearance and place stay. Raises BadHead if Blender fails, or for an instance of a
    collection of this file.
    """
    if instance([obj]):
        shown = obj.instance_collection
        assert shown is not None
        if shown.library is None:
            raise BadHead(
                f"“{obj.name}” shows the collection “{shown.name}” of this file: "
                f"use Object › Apply › Make Instances Real, then it can have keys"
            )
        obj = _override(scene, view_layer, shown, obj)
        if obj is not None and instance([obj]):  # within the other
            return make_editable(scene, view_layer, obj)
    elif obj.library is not None:
        linked = next((c for c in obj.users_collection if c.library is not None), None)
        obj = _override(scene, view_layer, linked or obj, None, obj.name)
    if obj is None:
        raise BadHead(
            "Blender could not make a library override of this character: append it instead of "
            "linking it"
        )
    for part in [obj, *relatives(obj)]:
        if (
            part.library is None
            and part.type == "MESH"
            and part.data.library is not None
            and part.data.shape_keys is not None
            and part.data.override_create(remap_local_usages=True) is None
        ):
            raise BadHead(
                f"Blender could not override the mesh of “{part.name}”: append the character "
                f"instead of linking it"
            )
    return face_of(obj) or obj


def _override(
    scene: bpy.types.Scene,
    view_layer: bpy.types.ViewLayer,
    linked: bpy.types.Object | bpy.types.Collection,
    reference: bpy.types.Object | None,
    name: str = "",
):
    """The face among the local overrides of a linked collection or object, None if Blender
    refused."""
    before = set(bpy.data.objects)
    override = linked.override_hierarchy_create(
        scene,
        view_layer,
        reference=reference,  # type: ignore[arg-type]  # Blender's types want a collection
        do_fully_editable=True,
    )
    if override is None:
        return None
    fresh = [other for other in bpy.data.objects if other not in before and other.library is None]
    named = [
        other
        for other in fresh
        if name
        and other.override_library
        and (original := other.override_library.reference)
        and original.name == name
    ]
    if reference is not None and isinstance(linked, bpy.types.Collection):
        # what showed the collection now holds the override in its place
        reference.instance_type = "NONE"
        for other in [each for each in fresh if each.parent is None]:
            other.parent = reference
            other.matrix_parent_inverse = Matrix.Translation(-linked.instance_offset)
    faces = (
        named
        or [other for other in fresh if is_face(other) or instance([other])]
        or [t for t in fresh if t.type == "ARMATURE"]
    )
    return faces[0] if faces else None
