# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads in a Blender file: building the bundled one, finding those that are there, telling why one will not do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

from ..thunder_core.errors import BadHead

ASSET = Path(__file__).resolve().parents[1] / "weights" / "head.npz"
MARK = "thunder_head"  # custom property on the armature object of a head that we built
JOINTS = ("root", "neck", "jaw", "eye_left", "eye_right")  # bones, in FLAME's joint order
SLIDER = 10.0  # shape keys clamp silently at their slider's ends: keep them far away
BONE_METRES = 0.03

# For characters without our jaw bone: what a jaw rotation is worth in ARKit's key (0.30 rad opens it fully).
JAW_OPEN_RADIANS = 0.30
JAW_SIDE_RADIANS = 0.12

# How rough the materials of the bundled head are, by a word in their name; skin for the rest.
_ROUGHNESS = {"lips": 0.4, "mouth": 0.5, "gums": 0.35, "teeth": 0.2, "tongue": 0.4, "eye": 0.1, "iris": 0.1, "pupil": 0.1, "brows": 0.8}
_SKIN_ROUGHNESS = 0.55


@dataclass(frozen=True)
class Rig:
    """A head that can be animated: its mesh object and, if it is one of ours, its armature object.

    channels: the expression channels (our names, our order) that the mesh has as shape keys.
    jaw_keys: ARKit's jaw keys of the mesh, for a head whose jaw is not our bone.
    """

    mesh: bpy.types.Object
    armature: bpy.types.Object | None
    channels: tuple[str, ...]
    jaw_keys: tuple[str, ...]

    @property
    def keys(self):
        """The shape-key data-block."""
        return self.mesh.data.shape_keys

    @property
    def owner(self) -> bpy.types.Object:
        """The object that stands for the head: where its state is stored, what the panel names."""
        return self.armature or self.mesh

    @property
    def targets(self) -> list:
        """The data-blocks that a take animates, in the order their curves are stored."""
        return [self.armature, self.keys] if self.armature else [self.keys]


def flame_to_blender(points: np.ndarray) -> np.ndarray:
    """FLAME's axes (+y up, +z out of the face) to Blender's (+z up, face towards −y); [..., 3]."""
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], axis=-1)


@lru_cache(maxsize=1)
def channel_names() -> tuple[str, ...]:
    """The expression channels of the bundled head, in the model's order."""
    with _open_asset() as asset:
        return tuple(str(name) for name in asset["expression_names"])


def _open_asset():
    try:
        return np.load(ASSET, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BadHead(f"The head that comes with Thunder cannot be read ({ASSET.name}): install the add-on again") from error


def build(collection: bpy.types.Collection, view_layer: bpy.types.ViewLayer, location=(0.0, 0.0, 0.0)) -> Rig:
    """Add the bundled head to a collection: mesh with one shape key per channel, armature, weights, materials.

    Leaves the mesh active and selected. Needs object mode. Under a second.
    """
    with _open_asset() as asset:
        data = {name: asset[name] for name in asset.files}
    mesh = _mesh(data)
    collection.objects.link(mesh)
    armature = bpy.data.objects.new("Thunder Head Rig", bpy.data.armatures.new("Thunder Head Rig"))
    collection.objects.link(armature)
    armature[MARK] = 1
    armature.location = location
    armature.data.display_type = "STICK"
    _bones(armature, data, view_layer)
    _weights(mesh, data)
    mesh.parent = armature
    modifier = mesh.modifiers.new("Thunder Head Rig", "ARMATURE")
    modifier.object = armature
    for other in view_layer.objects.selected:
        other.select_set(False)
    mesh.select_set(True)
    view_layer.objects.active = mesh
    return resolve(mesh)


def _mesh(data: dict) -> bpy.types.Object:
    vertices = flame_to_blender(data["v_template"].astype(np.float64))
    faces = [[int(v) for v in face if v >= 0] for face in data["polygons"]]
    mesh = bpy.data.meshes.new("Thunder Head")
    mesh.from_pydata(vertices.tolist(), [], faces)
    for name, colour in zip(data["material_names"], data["material_colors"]):
        mesh.materials.append(_material(str(name), colour.tolist()))
    mesh.polygons.foreach_set("material_index", data["polygon_material"].astype(np.int32))
    mesh.shade_smooth()
    mesh.update()
    head = bpy.data.objects.new("Thunder Head", mesh)
    head.shape_key_add(name="Basis", from_mix=False)
    offsets = flame_to_blender(np.moveaxis(data["shapedirs"].astype(np.float64), 2, 0))
    for name, offset in zip(data["expression_names"], offsets):
        key = head.shape_key_add(name=str(name), from_mix=False)
        key.data.foreach_set("co", (vertices + offset).astype(np.float32).ravel())
        key.slider_min, key.slider_max = -SLIDER, SLIDER
        key.value = 0.0  # shape_key_add starts at 1 in some versions
    mesh.shape_keys.name = "Thunder Head"
    return head


def _bones(armature: bpy.types.Object, data: dict, view_layer) -> None:
    joints = flame_to_blender(data["J_regressor"].astype(np.float64) @ data["v_template"].astype(np.float64))
    parents = data["kintree_table"][0]
    view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    try:
        bones = armature.data.edit_bones
        for index, name in enumerate(JOINTS):
            bone = bones.new(name)
            # Every bone stands upright with its z axis out of the face: its own axes are FLAME's, so a
            # rotation vector of a motion is a rotation of the bone with nothing to convert.
            bone.head = joints[index]
            bone.tail = Vector(joints[index]) + Vector((0.0, 0.0, BONE_METRES))
            bone.align_roll(Vector((0.0, -1.0, 0.0)))
            if index:
                bone.parent = bones[JOINTS[int(parents[index])]]
    finally:
        bpy.ops.object.mode_set(mode="OBJECT")
    for bone in armature.pose.bones:
        bone.rotation_mode = "XYZ"


def _weights(head: bpy.types.Object, data: dict) -> None:
    for index, name in enumerate(JOINTS):
        group = head.vertex_groups.new(name=name)
        weight = data["weights"][:, index]
        for value in np.unique(weight[weight > 0]):
            group.add(np.flatnonzero(weight == value).tolist(), float(value), "REPLACE")


def _material(name: str, colour: list[float]) -> bpy.types.Material:
    """The material of a part of the bundled head; several heads of a file share it. colour: linear RGBA."""
    title = f"Thunder {name}"
    found = bpy.data.materials.get(title)
    if found is not None and found.library is None:
        return found
    roughness = next((value for word, value in _ROUGHNESS.items() if word in name.lower()), _SKIN_ROUGHNESS)
    material = bpy.data.materials.new(title)
    material.diffuse_color = colour
    material.roughness = roughness
    if material.node_tree is None:
        material.use_nodes = True
    shader = next((n for n in material.node_tree.nodes if n.type == "BSDF_PRINCIPLED"), None)
    if shader is not None:
        shader.inputs["Base Color"].default_value = colour
        shader.inputs["Roughness"].default_value = roughness
    return material


# ---- finding


def in_scene(scene) -> list[bpy.types.Object]:
    """Mesh objects of a scene that can be animated as they are, ours first."""
    rigs = [(obj, armature_of(obj)) for obj in scene.objects if obj.type == "MESH" and _known_keys(obj)]
    return [obj for obj, armature in sorted(rigs, key=lambda pair: pair[1] is None)]


def armature_of(mesh: bpy.types.Object) -> bpy.types.Object | None:
    """The armature of ours that deforms a mesh, or None."""
    candidates = [m.object for m in mesh.modifiers if m.type == "ARMATURE"] + [mesh.parent]
    return next((a for a in candidates if a is not None and a.type == "ARMATURE" and MARK in a
                 and "jaw" in a.pose.bones), None)


def _known_keys(mesh: bpy.types.Object) -> list[str]:
    keys = mesh.data.shape_keys if mesh.data else None
    if keys is None:
        return []
    return [name for name in channel_names() if name in keys.key_blocks]


def _mesh_of(obj: bpy.types.Object) -> bpy.types.Object:
    """The mesh meant when an animator picks a mesh, the rig above it, or any empty in between."""
    if obj.type == "MESH":
        return obj
    meshes = [child for child in obj.children_recursive if child.type == "MESH"]
    with_keys = [mesh for mesh in meshes if _known_keys(mesh)]
    return max(with_keys, key=lambda mesh: len(_known_keys(mesh)), default=obj)


def resolve(obj: bpy.types.Object) -> Rig:
    """The rig that an object belongs to. Raises BadHead with the reason if Thunder cannot move it."""
    mesh = _mesh_of(obj)
    armature = armature_of(mesh) if mesh.type == "MESH" else None
    known = _known_keys(mesh) if mesh.type == "MESH" else []
    if not known:
        raise BadHead(f"“{obj.name}” has no shape keys that Thunder knows: choose a mesh with ARKit-named "
                      "shape keys, or press Add Head")
    names = mesh.data.shape_keys.key_blocks
    jaw_keys = () if armature else tuple(name for name in ("jawOpen", "jawLeft", "jawRight") if name in names)
    if armature is None and "jawOpen" not in jaw_keys:
        raise BadHead(f"“{obj.name}” has no jaw: it needs a shape key “jawOpen”, or use Add Head")
    return Rig(mesh, armature, tuple(known), jaw_keys)


def guess(scene, active: bpy.types.Object | None) -> bpy.types.Object | None:
    """The object meant when none is chosen: the active one if it is a head, or the only head of the scene."""
    if active is not None and active.name in scene.objects:
        mesh = _mesh_of(active)
        if mesh.type == "MESH" and _known_keys(mesh):
            return mesh
    heads = in_scene(scene)
    return heads[0] if len(heads) == 1 else None


def find(scene, active: bpy.types.Object | None = None) -> Rig:
    """The rig of the head chosen in a scene's settings, or of the one that is meant.

    Raises BadHead when there is none or it will not do.
    """
    chosen = scene.thunder.head
    if chosen is not None and chosen.name not in scene.objects:
        raise BadHead(f"The head “{chosen.name}” is not in this scene: choose another in the Thunder tab")
    chosen = chosen or guess(scene, active)
    if chosen is None:
        many = len(in_scene(scene)) > 1
        raise BadHead("There are several heads in this scene: choose one in the Thunder tab" if many
                      else "No head is selected: choose one in the Thunder tab or press Add Head")
    return resolve(chosen)


def check_animatable(rig: Rig) -> None:
    """Raise BadHead with the reason if keys on this rig could not be written or would not be seen."""
    name = rig.mesh.name
    for block in (rig.mesh, rig.mesh.data, rig.armature):
        if block is not None and block.library is not None:
            raise BadHead(f"“{name}” is linked from another file: make a library override of it first")
    if rig.mesh.show_only_shape_key:
        raise BadHead(f"“{name}” shows one shape key alone: turn Shape Key Solo off to see it move")
    if not rig.keys.use_relative:
        raise BadHead(f"The shape keys of “{name}” are absolute: turn Relative on in its shape keys")
    if rig.armature is not None and rig.armature.data.pose_position == "REST":
        raise BadHead(f"“{rig.armature.name}” is in rest position: switch its armature to Pose Position")
    driven = {curve.data_path for block in rig.targets if block.animation_data
              for curve in block.animation_data.drivers}
    for channel in (*rig.channels, *rig.jaw_keys):
        if f'key_blocks["{channel}"].value' in driven:
            raise BadHead(f"The shape key “{channel}” of “{name}” has a driver, which would win over any take: "
                          "remove the driver or choose another head")
    for block in rig.targets:
        animation = block.animation_data
        if animation is None:
            continue
        if animation.use_tweak_mode:
            raise BadHead(f"An NLA strip of “{name}” is being tweaked: leave tweak mode first (Tab in the NLA editor)")
        if any(track.is_solo for track in animation.nla_tracks):
            raise BadHead(f"An NLA track of “{name}” is soloed and would hide every take: turn its star off")
