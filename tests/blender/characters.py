# SPDX-License-Identifier: GPL-3.0-or-later
"""Small characters of meshes, shape keys and bones, and where Blender puts their points."""

import numpy as np
from few_points import BONES, JAW, PLACES, POINTS, without
from mathutils import Matrix, Vector
from thunder.scene.heads import family, head as head_module, rna_paths
from thunder.thunder_core import types


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


def small_face(bpy, keys, turn=None, name="Face", apart=0.0):
    """A face of few points that looks along −Y, or is turned, with keys {name: {place: move}};
    apart: how far the chin is below where it usually is, metres, and then nothing joins the
    lips."""
    turn = turn or Matrix.Identity(3)
    faces = [(i, i + 1, i + 2) for i in range(len(PLACES) - 2) if not apart]
    points = [Vector(at) - Vector((0, 0, apart * (place in JAW))) for place, at in POINTS.items()]
    obj = add_mesh(bpy, name, [turn @ point for point in points], keys, faces)
    for key, moves in keys.items():
        block = obj.data.shape_keys.key_blocks[key]
        block.slider_min, block.slider_max = 0.0, 1.0
        for place, move in moves.items():
            block.data[PLACES.index(place)].co += turn @ Vector(move)
    return obj


def bare_face(bpy, name="Face"):
    """A small face without shape keys."""
    face = small_face(bpy, {}, name=name)
    face.shape_key_clear()
    return face


def bind(armature, obj, jaw=JAW):
    """Let head and jaw of a rig deform the points of a small face."""
    for bone, places in (("jaw", jaw), ("head", [p for p in PLACES if p not in jaw])):
        ids = [PLACES.index(place) for place in places]
        obj.vertex_groups.new(name=bone).add(ids, 1.0, "REPLACE")
    deform(obj, armature)


def stick(armature, bone="jaw"):
    """Stop a bone from turning, as only Blender shows."""
    limit = armature.pose.bones[bone].constraints.new("LIMIT_ROTATION")
    limit.use_limit_x = limit.use_limit_y = limit.use_limit_z = True
    limit.owner_space = "LOCAL_WITH_PARENT"


def skin(bpy, obj, turn=None, jaw=JAW, **more):
    """A rig of hips, head and jaw, and more bones, that deforms a small face; the armature."""
    turn = turn or Matrix.Identity(3)
    bones = {
        bone: (turn @ Vector(start), turn @ Vector(end), parent)
        for bone, (start, end, parent) in (BONES | more).items()
    }
    armature = rig_with(bpy, bones)
    bind(armature, obj, jaw)
    bpy.context.view_layer.update()
    return armature


def drive(
    owner, path, source, source_path="", expression="v", index=-1, kind="SINGLE_PROP", **places
):
    """A driver of one variable, v; places: of its targets, one for each where it is a list."""
    curve = owner.driver_add(path, index)
    variable = curve.driver.variables.new()
    variable.name, variable.type = "v", kind
    for number, target in enumerate(variable.targets):
        if kind == "SINGLE_PROP":
            target.id_type, target.data_path = source.id_type, source_path
        target.id = source
        for name, value in places.items():
            setattr(target, name, value[number] if isinstance(value, list) else value)
    curve.driver.expression = expression
    return curve


def pose(bpy, rig, jaw=0.0, eyes=0.0, **values):
    """Set what a take would where channels have these values, the jaw is so far open, and the eyes
    turn left, radians."""
    names, still = head_module.channel_names(), np.zeros((1, 3))
    turns = still + [jaw * types.JAW_OPEN_RADIANS, 0, 0], still, still + [0, eyes, 0]
    motion = types.Motion(np.zeros((1, len(names)), np.float32), *turns)
    for name, value in values.items():
        motion.expression[0, names.index(name)] = value
    for track, value in zip(rig.driver.tracks, rig.driver.drive(motion, names)[0]):
        rna_paths.set_value(rig.targets[track.block], track.path, track.index, value)
    rna_paths.tag(rig.targets)
    bpy.context.view_layer.update()


def gap_at(bpy, obj, **values):
    """How far the evaluated lips part beyond rest, mm, where channels and the jaw have values."""
    pose(bpy, head_module.resolve(obj), **values)
    seen = seen_points(bpy, obj)
    apart = seen[PLACES.index("upper")] - seen[PLACES.index("lower")]
    rest = np.array(POINTS["upper"]) - np.array(POINTS["lower"])
    return 1000 * (apart @ (0, 0, 1) - rest[2])


def dead(bpy, kind):
    """A face whose jaw bone parts no lips; the object to select."""
    face = bare_face(bpy) if kind != "keys" else small_face(bpy, without("jawOpen"))
    jaw = tuple(p for p in PLACES if p != "neck") if kind == "all" else ()
    armature = skin(bpy, face, jaw=jaw)
    if kind == "teeth":  # 2 cm behind the lips
        points = [(x, -0.08, z) for z in (1.6003, 1.5997) for x in (-0.005, 0.0, 0.005)]
        teeth = add_mesh(bpy, "Teeth", points, (), [(0, 1, 2), (3, 4, 5)])
        teeth.shape_key_clear()
        for bone, ids in (("head", [0, 1, 2]), ("jaw", [3, 4, 5])):
            teeth.vertex_groups.new(name=bone).add(ids, 1.0, "REPLACE")
        deform(teeth, armature)
        bpy.context.view_layer.update()
    return face if kind == "keys" else armature
