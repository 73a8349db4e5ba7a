# SPDX-License-Identifier: GPL-3.0-or-later
"""Small characters of meshes, shape keys and bones, and where Blender puts their points."""

from thunder.scene.heads import family


def add_mesh(bpy, name, points, keys=(), faces=()):
    """A mesh in the scene with a Basis and shape keys of these names, at rest; the object."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(points, [], faces)
    obj = bpy.data.objects.new(name, mesh)
    bpy.context.collection.objects.link(obj)
    for key_name in ("Basis", *keys):
        block = obj.shape_key_add(name=key_name, from_mix=False)
        block.slider_min, block.slider_max, block.value = -10, 10, 0.0
    return obj


def make_hero(bpy, *names):
    """A character of one triangle, called Hero, with shape keys of these names; the object."""
    return add_mesh(bpy, "Hero", [(0, 0, 0), (1, 0, 0), (0, 1, 0)], names, [(0, 1, 2)])


def grid_mesh(bpy, name, keys, at=(0.0, 0.0, 0.0), size=0.2):
    """A small sheet with shape keys; each key moves its own vertex by a centimetre. The object."""
    count = max(len(keys), 4)
    points = [
        (at[0] + size * (i / count - 0.5), at[1], at[2] + size * ((i % 7) / 7 - 0.5))
        for i in range(count)
    ]
    obj = add_mesh(bpy, name, points, keys, [tuple(range(i, i + 3)) for i in range(count - 2)])
    for i, block in enumerate(obj.data.shape_keys.key_blocks[1:]):
        block.data[i].co.y -= 0.01
    return obj


def rig_with(bpy, bones, name="Rig"):
    """An armature with bones {name: (head, tail, parent)}; the object."""
    armature = bpy.data.objects.new(name, bpy.data.armatures.new(name))
    bpy.context.collection.objects.link(armature)
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    for bone_name, (head, tail, parent) in bones.items():
        bone = armature.data.edit_bones.new(bone_name)
        bone.head, bone.tail = head, tail
        if parent:
            bone.parent = armature.data.edit_bones[parent]
    bpy.ops.object.mode_set(mode="OBJECT")
    return armature


def deform(mesh, armature):
    mesh.parent = armature
    mesh.modifiers.new("Armature", "ARMATURE").object = armature


def seen_points(bpy, obj):
    """[V, 3] of the evaluated mesh, in its own space."""
    bpy.context.view_layer.update()
    return family.points_of(obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.vertices)
