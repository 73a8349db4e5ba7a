# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundled head as Blender's rig moves as FLAME's own formula says, with shapes that two keys bring
in, and what is no head is refused with a reason."""

import time

import bpy
import numpy as np
import pytest
from characters import make_hero, seen_points
from thunder.scene.heads import build, head
from thunder.thunder_core import errors, rotation as rotation_module
from thunder.thunder_core.face.displacement import face_meter
from thunder.thunder_core.face.head import load_head
from thunder.thunder_core.face.points import SkinnedPoints
from thunder.thunder_core.types import Motion
from timing import keeps


@pytest.fixture
def asset():
    return dict(np.load(head.ASSET, allow_pickle=False))


def test_the_head_is_built_within_a_second_with_the_skeleton_of_the_asset(blender, asset):
    start = time.process_time()  # this process's own time: a busy machine is no slower head
    blender.ops.thunder.add_head()
    keeps(1.0, time.process_time() - start, "the default head")
    assert blender.context.scene.thunder.head.name == "Thunder Head"
    bones = blender.data.objects["Thunder Head Rig"].data.bones
    joints = build.flame_to_blender(asset["J_regressor"].astype(float) @ asset["v_template"])
    assert [bone.name for bone in bones] == list(build.JOINTS)
    assert np.allclose([bone.head_local for bone in bones], joints, atol=1e-6)
    parents = [bone.parent and bone.parent.name for bone in bones]
    assert parents == [None, *[build.JOINTS[parent] for parent in asset["kintree_table"][0][1:]]]


def test_two_heads_share_materials_can_be_told_apart_and_stand_for_their_meshes(blender):
    with pytest.raises(errors.BadHead, match="No head is selected"):
        head.find(blender.context.scene)
    blender.ops.thunder.add_head()
    first = blender.context.scene.thunder.head
    materials = len(blender.data.materials)
    blender.ops.thunder.add_head()
    assert first != blender.context.scene.thunder.head and len(blender.data.materials) == materials
    owners = [head.owner_of(mesh).location for mesh in head.in_scene(blender.context.scene)]
    assert abs(owners[1].z - owners[0].z) < 0.01 and abs(owners[1].x - owners[0].x) > 0.15
    blender.context.scene.thunder.head = None
    blender.context.view_layer.objects.active = None
    with pytest.raises(Exception, match="several heads"):
        head.find(blender.context.scene)
    empty = blender.data.objects.new("Character", None)
    blender.context.collection.objects.link(empty)
    first.parent.parent = empty
    assert head.resolve(first.parent).mesh == head.resolve(empty).mesh == first


def test_a_character_with_arkit_keys_is_a_head(blender):
    hero = make_hero(blender, "jawOpen", "jawLeft", "mouthPucker", "mouthClose", "something")
    rig = head.find(blender.context.scene)
    assert rig.mesh == hero and rig.armature is None
    # The pucker is used for a funnel too, the jaw for lips that open by themselves.
    lips = {f"mouth{name}{side}" for name in ("UpperUp", "LowerDown") for side in ("Left", "Right")}
    assert set(rig.channels) == {"mouthPucker", "mouthClose", "mouthFunnel"} | lips
    assert rig.driver.used == set(rig.channels) | {"jawOpen", "jawLeft"}


@pytest.mark.parametrize(
    "names, said",
    [
        ([], "no shape keys that Thunder knows"),
        (["wink", "Key 1"], "no shape keys that Thunder knows"),
        (["mouthPucker"], "jawOpen"),
    ],
)
def test_a_mesh_without_our_keys_is_refused(blender, names, said):
    blender.context.scene.thunder.head = make_hero(blender, *names)
    with pytest.raises(errors.BadHead, match=said):
        head.find(blender.context.scene)


SPOILERS = [
    (lambda rig: rig.keys.key_blocks["mouthClose"].driver_add("value"), "has a driver"),
    (
        lambda rig: setattr(rig.keys.animation_data_create().nla_tracks.new(), "is_solo", True),
        "soloed",
    ),
    (lambda rig: setattr(rig.armature.data, "pose_position", "REST"), "rest position"),
    (lambda rig: setattr(rig.keys, "use_relative", False), "absolute"),
    (lambda rig: setattr(rig.mesh, "show_only_shape_key", True), "Solo"),
]


@pytest.mark.parametrize("spoil, said", SPOILERS, ids=[said for _, said in SPOILERS])
def test_what_would_hide_a_take_is_said(blender, rig, spoil, said):
    head.check_animatable(rig)
    spoil(rig)
    with pytest.raises(errors.BadHead, match=said):
        head.check_animatable(rig)


@pytest.fixture
def mesh(stage):
    return stage[1].mesh


def value(mesh, name):
    bpy.context.view_layer.update()
    return (
        mesh.evaluated_get(bpy.context.evaluated_depsgraph_get())
        .data.shape_keys.key_blocks[name]
        .value
    )


def test_an_animators_pose_and_keys_bring_it_in(mesh):
    blocks, jaw = mesh.data.shape_keys.key_blocks, mesh.parent.pose.bones["jaw"]
    for pucker, turn, wanted in ((0.5, 0.0, 0.0), (0.5, 0.2, 0.5 * np.sin(0.2)), (-0.5, 0.2, 0.0)):
        blocks["mouthPucker"].value, jaw.rotation_euler.x = pucker, turn
        assert value(mesh, "corrective_jaw_mouthPucker") == pytest.approx(wanted, abs=1e-5)
    for frame, pucker in ((1, 0.0), (11, 1.0)):
        blocks["mouthPucker"].value = pucker
        blocks["mouthPucker"].keyframe_insert("value", frame=frame)
    bpy.context.scene.frame_set(6)
    assert (
        value(mesh, "corrective_jaw_mouthPucker")
        == pytest.approx(blocks["mouthPucker"].value * np.sin(0.2), abs=1e-5)
        != 0
    )


def test_the_middle_of_a_half_turn_is_exact():
    half_turns = np.pi * np.eye(3)
    back = rotation_module.matrix_to_rotvec(rotation_module.rotvec_to_matrix(half_turns))
    assert np.allclose(np.abs(back), half_turns, atol=1e-6)


def test_points_of_a_head_and_the_meter_are_where_blender_puts_them(mesh):
    """Positions that rules and measures work with are the evaluated mesh's, shapes of two keys
    among them."""
    head = load_head()
    pose = {
        "mouthPucker": 0.6,
        "mouthSmileLeft": 0.5,
        "mouthSmileRight": 1.2,
        "mouthRollLower": 0.6,
    }
    for name, value in pose.items():
        mesh.data.shape_keys.key_blocks[name].value = value
    mesh.parent.pose.bones["jaw"].rotation_euler.x = 0.25
    for name in build.SWITCHES:
        mesh.parent[f"Thunder {name}"] = 0.0  # the bust, of which they know nothing
    x, depth, height = seen_points(bpy, mesh).T
    seen = np.stack([x, height, -depth], 1)
    expression = np.array([[pose.get(name, 0.0) for name in head.expression_names]])
    motion = Motion(expression, np.array([[0.25, 0.0, 0.0]]))
    placed = SkinnedPoints.of(head, lambda values: values).of_motion(motion)[0]
    assert np.abs(placed - seen).max() < 5e-6
    points = face_meter().points(motion)[0]
    assert np.linalg.norm(points[:, None] - 1e3 * seen, axis=2).min(axis=1).max() < 5e-3


def test_a_head_added_to_a_new_file_stands_clear_of_its_cube(blender):
    blender.ops.mesh.primitive_cube_add(size=2.0)
    blender.ops.thunder.add_head()
    assert head.find(blender.context.scene).owner.location.z > 1.2
