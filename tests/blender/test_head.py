# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundled head as Blender's rig moves as FLAME's own formula says, with shapes that two keys bring
in, and what is no head is refused with a reason."""

import time

import bpy
import numpy as np
import pytest
from characters import make_hero, seen_points
from made_flame import flame, made_flame
from performances import performance
from thunder.scene.heads import build, flame as flame_module, head
from thunder.scene.host import compat
from thunder.scene.media import puppets
from thunder.thunder_core import errors, rotation as rotation_module
from thunder.thunder_core.face import head as face_head
from thunder.thunder_core.face.head import load_head
from thunder.thunder_core.face.moving import retarget
from thunder.thunder_core.face.moving.displacement import face_meter
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


# ---- what follows the bundled heads by itself, their parts, and each person


SIDES = ("Left", "Right")


@pytest.fixture
def still(rig):
    """The stage's head, which does not breathe."""
    rig.armature["Thunder Breath"] = 0.0
    rig.armature.update_tag()


def bust(rig):
    """Which vertices do not follow the neck at all."""
    neck = {group.name: group.index for group in rig.mesh.vertex_groups}["root"]
    return np.array(
        [
            any(g.group == neck and g.weight > 0.99999 for g in vertex.groups)
            for vertex in rig.mesh.data.vertices
        ]
    )


def wrinkles(blender, rig, side):
    blender.context.view_layer.update()
    return tuple(
        rig.mesh.evaluated_get(blender.context.evaluated_depsgraph_get())[
            f"Thunder Wrinkles {side}"
        ]
    )


def test_shoulders_follow_a_turned_head_a_little(still, rig, blender):
    rest, below = seen_points(blender, rig.mesh), bust(rig)
    rig.armature.pose.bones["neck"].rotation_euler.y = 0.6
    turned = seen_points(blender, rig.mesh)
    ahead = below & (rest[:, 1] < rest[below, 1].mean())
    assert (turned - rest)[ahead, 0].mean() > 0.002  # with the head, to its left
    assert 0.005 < np.linalg.norm(turned - rest, axis=1)[below].max() < 0.03
    rig.armature["Thunder Shoulders"] = 0.0
    rig.armature.update_tag()
    assert np.abs(seen_points(blender, rig.mesh) - rest)[below].max() < 1e-6


def test_a_breath_lifts_the_bust_and_leaves_the_face(scene, rig, blender):
    below = bust(rig)

    def seen(frames):
        result = []
        for frame in frames:
            scene.frame_set(frame)
            result.append(seen_points(blender, rig.mesh))
        return np.array(result)

    usual = seen(range(0, 101, 10))  # a breath of 4.2 s
    moved = np.ptp(usual, axis=0)
    assert 0.003 < moved[below, 2].max() < 0.006
    assert moved[usual[0][:, 2] > -0.08].max() < 1e-6
    scene.render.fps = 48  # as long in seconds
    assert np.abs(seen(range(0, 201, 20)) - usual).max() < 1e-6


@pytest.mark.parametrize(
    "key, place",
    [("browInnerUp", 0), ("browOuterUpLeft", 0), ("browDownLeft", 1), ("noseSneerLeft", 2)],
)
def test_wrinkles_deepen_with_the_key_that_makes_them(still, rig, blender, key, place):
    for faint in (0.0, 0.35):
        rig.keys.key_blocks[key].value = faint
        assert wrinkles(blender, rig, "Left") == wrinkles(blender, rig, "Right") == (0, 0, 0)
    rig.keys.key_blocks[key].value = 0.675  # half of the way from there to 1
    assert wrinkles(blender, rig, "Left")[place] == pytest.approx(0.5)
    assert sum(wrinkles(blender, rig, "Left")) == pytest.approx(0.5)
    assert sum(wrinkles(blender, rig, "Right")) == pytest.approx(
        0.0 if key.endswith("Left") else 0.5
    )
    rig.keys.key_blocks[key].value = 3.0
    assert wrinkles(blender, rig, "Left")[place] == 1.0


def test_lines_lie_where_the_skin_folds(still, rig):
    """Forehead above the eyes in the middle and on both sides, crow's feet beside them, and none on
    the mouth."""
    at = {
        name: np.array(
            [row.vector for row in rig.mesh.data.attributes[f"Thunder Wrinkles {name}"].data]
        )
        for name in (*SIDES, "Eyes")
    }
    place = np.array([vertex.co for vertex in rig.mesh.data.vertices])
    forehead = place[at["Left"][:, 0] > 0.2]
    assert len(forehead) > 20 and forehead[:, 2].min() > 0.025 and forehead[:, 0].max() > 0.02
    feet = place[at["Eyes"][:, 0] > 0.06]
    assert len(feet) > 5 and feet[:, 0].min() > 0.042 and np.abs(feet[:, 2]).max() < 0.02
    assert max(part[place[:, 2] < -0.04, :2].max() for part in at.values()) == 0.0


def test_lines_between_the_brows_lean_apart_upwards(still, rig):
    place = np.array([vertex.co for vertex in rig.mesh.data.vertices])
    between, across = (
        np.array([row.vector[1] for row in rig.mesh.data.attributes[name].data])
        for name in ("Thunder Wrinkles Left", "Thunder Wrinkle Lines")
    )
    at = (between > 0.1) & (place[:, 0] < 0.02)
    slopes, *_ = np.linalg.lstsq(
        np.c_[place[at][:, [0, 2]], np.ones(at.sum())], across[at], rcond=None
    )
    assert -slopes[1] / slopes[0] == pytest.approx(0.08, abs=0.03)


def test_no_script_is_run_for_it(still, rig):
    drivers = [
        curve.driver for block in (rig.mesh, rig.keys) for curve in block.animation_data.drivers
    ]
    assert len(drivers) == 8 + 17 and all(
        driver.is_valid and driver.is_simple_expression for driver in drivers
    )


def test_copies_of_a_head_follow_themselves(still, scene, rig, blender):
    """Contact sheets show several takes at once, each on its own copy."""
    copy = puppets.add(rig, scene.collection, (1.0, 0.0, 0.0))
    mesh = next(obj for obj in copy.objects if obj.type == "MESH" and obj.data.shape_keys)
    mesh.data.shape_keys.key_blocks["browDownLeft"].value = 1.0
    blender.context.view_layer.update()
    graph = blender.context.evaluated_depsgraph_get()
    assert mesh.evaluated_get(graph)["Thunder Wrinkles Left"][1] == 1.0
    assert rig.mesh.evaluated_get(graph)["Thunder Wrinkles Left"][1] == 0.0


def principled(material):
    return next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")


def test_every_part_is_painted_alike_for_the_viewport_and_for_renders(rig):
    mesh = rig.mesh.data
    assert {polygon.material_index for polygon in mesh.polygons} == set(range(len(mesh.materials)))
    skin = mesh.materials["Thunder Skin"]
    for material in mesh.materials:
        colour = tuple(principled(material).inputs["Base Color"].default_value)
        # what a render multiplies by the lips' tint is the colour of skin
        solid = skin if material.name == "Thunder Lip Tint" else material
        assert tuple(solid.diffuse_color) == pytest.approx(colour)
        assert material.roughness == pytest.approx(
            principled(material).inputs["Roughness"].default_value
        )


def test_skin_that_a_file_has_already_stays_as_it_is(blender):
    earlier = blender.data.materials.new("Thunder Skin")
    if earlier.node_tree is None:
        earlier.use_nodes = True
    blender.ops.thunder.add_head()
    assert earlier in list(blender.context.scene.thunder.head.data.materials)
    assert not principled(earlier).inputs["Normal"].is_linked


@pytest.mark.one_blender
def test_each_person_can_take_a_performance_and_all_stand_side_by_side_with_their_own_skin(blender):
    scene = blender.context.scene
    for person, name in head.PEOPLE.items():
        assert blender.ops.thunder.add_head(person=person) == {"FINISHED"}
        rig = head.find(scene)
        assert rig.mesh.name == name and rig.channels == head.channel_names()
        head.check_animatable(rig)
    found = head.in_scene(scene)
    assert (
        len(found)
        == len(head.PEOPLE)
        == len({round(head.owner_of(mesh).location.x, 3) for mesh in found})
    )
    assert len({mesh.data.materials[0].name for mesh in found}) == len(found)
    assert len({mesh.data.materials["Thunder Teeth"].name for mesh in found}) == 1


@pytest.mark.one_blender
@pytest.mark.parametrize("person", head.PEOPLE)
def test_hair_is_an_object_that_follows_the_neck_and_may_be_hidden(blender, person):
    blender.ops.thunder.add_head(person=person)
    scene = blender.context.scene
    rig = head.find(scene)
    (hair,) = (obj for obj in rig.objects if obj not in (rig.mesh, rig.armature))
    assert hair.parent == rig.armature and hair.data.shape_keys is None

    still = seen_points(blender, hair)
    rig.armature.pose.bones["jaw"].rotation_euler.x = 0.3
    assert np.allclose(seen_points(blender, hair), still)
    rig.armature.pose.bones["neck"].rotation_euler.x = 0.3
    # less beside the joint, where long hair ends
    moved = np.linalg.norm(seen_points(blender, hair) - still, axis=1)
    assert moved.min() > 0.0001 and np.median(moved) > 0.01
    blender.context.view_layer.objects.active = hair  # what is clicked on
    assert head.guess(scene, hair) == rig.mesh
    blender.data.objects.remove(hair)
    assert head.find(scene).objects == (rig.mesh, rig.armature)


# ---- FLAME files


@pytest.fixture(scope="module")
def flame_rig():
    """What is in a file in FLAME's layout (see made_flame)."""
    with np.load(head.ASSET) as asset:
        return made_flame({name: asset[name] for name in asset.files}, seed=11, own=0.0004)


@pytest.fixture(scope="module")
def folder(flame_rig, tmp_path_factory):
    """Where it is written, in both formats."""
    folder = tmp_path_factory.mktemp("flame")
    for name in ("flame.npz", "flame2020.pkl"):
        flame_rig.write(folder / name)
    return folder


def parts(data):
    """The arrays of a made file as the formula wants them, expression alone."""
    return {
        "v_template": data["v_template"],
        "shapedirs": data["shapedirs"][:, :, 300:],
        "posedirs": data["posedirs"],
        "J_regressor": data["J_regressor"],
        "weights": data["weights"],
        "kintree_table": np.array([[-1, 0, 1, 1, 1]]),
    }


def add(blender, folder, name="flame.npz", **options):
    blender.ops.thunder.add_flame_head(filepath=str(folder / name), **options)
    return blender.context.scene.thunder.head


def evaluated(blender, mesh):
    """Vertices [V, 3] as they are seen, in FLAME's axes, the object's own space."""
    x, depth, height = seen_points(blender, mesh).T
    return np.stack([x, height, -depth], 1)


def pose(mesh, seed, spread=0.15, mode="XYZ"):
    """A random pose on a FLAME rig; (expression, jaw, neck, eyes)."""
    g = np.random.default_rng(seed)
    expression = g.normal(0, 0.7, 100)
    jaw, neck, eyes = (g.normal(0, spread, 3) for _ in range(3))
    for i, value in enumerate(expression):
        mesh.data.shape_keys.key_blocks[f"expression{i + 1:03d}"].value = value
    for bone, turn in (("jaw", jaw), ("neck", neck), ("eye_left", eyes), ("eye_right", eyes)):
        pose_bone = mesh.parent.pose.bones[bone]
        pose_bone.rotation_mode = mode
        if mode == "QUATERNION":
            pose_bone.rotation_quaternion = rotation_module.rotvec_to_quaternion(turn)
        else:
            pose_bone.rotation_euler = rotation_module.matrix_to_euler(
                rotation_module.rotvec_to_matrix(turn), mode
            )
    return expression, jaw, neck, eyes


@pytest.mark.one_blender
@pytest.mark.parametrize("name", ["flame.npz", "flame2020.pkl"])
def test_a_flame_file_becomes_a_rig_within_a_second(blender, flame_rig, folder, name):
    start = time.process_time()
    mesh = add(blender, folder, name)
    keeps(1.0, time.process_time() - start, f"a head from {name}")
    data = flame_rig.data
    keys = mesh.data.shape_keys.key_blocks
    assert [k.name for k in keys][:101] == [
        "Basis",
        *(f"expression{i + 1:03d}" for i in range(100)),
    ]
    assert all(
        k.slider_min == -10 and k.slider_max == 10 and k.value == 0 for k in list(keys)[1:101]
    )
    assert sum(k.name.startswith("identity") for k in keys) == 10
    bones = mesh.parent.data.bones
    assert [bone.name for bone in bones] == ["root", "neck", "jaw", "eye_left", "eye_right"]
    joints = data["J_regressor"] @ data["v_template"]
    assert np.allclose([b.head_local for b in bones], build.flame_to_blender(joints), atol=1e-6)
    assert len(mesh.data.vertices) == len(data["v_template"]) and len(mesh.data.polygons) == len(
        data["f"]
    )
    assert np.abs(evaluated(blender, mesh) - data["v_template"]).max() < 1e-6


@pytest.mark.one_blender
@pytest.mark.parametrize("mode", ["XYZ", "QUATERNION", "ZXY"])
def test_the_rig_moves_as_flame_does(blender, flame_rig, folder, mode):
    mesh = add(blender, folder)
    posed = pose(mesh, 1, mode=mode)
    asset = parts(flame_rig.data)
    still = asset | {"shapedirs": asset["shapedirs"]}
    seen = evaluated(blender, mesh)
    theirs = flame(asset, *posed, rotation_module)
    bones_stay = flame_with_bones(still, *posed, rotation_module)
    assert np.abs(theirs - flame_rig.data["v_template"]).max() > 0.02
    assert np.abs(seen - bones_stay).max() < 5e-6, "FLAME's formula with its joints at rest"
    assert np.abs(seen - theirs).max() < 1e-3, (
        "FLAME moves the joints themselves a little with expression"
    )
    drivers = mesh.data.shape_keys.animation_data.drivers
    moving = (np.abs(flame_rig.data["posedirs"]).max((0, 1)) > 1e-6).sum()
    assert len(drivers) == moving > 0 and all(
        '"corrective_' in curve.data_path for curve in drivers
    )
    assert all(curve.driver.is_simple_expression and curve.driver.is_valid for curve in drivers), (
        "no script is run for them"
    )


@pytest.mark.one_blender
def test_a_flame_rig_is_read_back_as_the_head_of_its_file(blender, flame_rig, folder):
    """Element by element: a corrective that is read as another's bends skin the wrong way."""
    mesh = add(blender, folder)
    read, data = flame_module.model_of(mesh, mesh.parent), parts(flame_rig.data)
    assert np.abs(data["posedirs"]).max() > 1e-3
    for name in ("v_template", "shapedirs", "posedirs", "weights"):
        assert np.abs(getattr(read, name) - data[name]).max() < 5e-6, name


def flame_with_bones(asset, expression, jaw, neck, eyes, rotation):
    """FLAME's formula where expression moves no joint, as bones have it."""
    shaped = asset["v_template"] + asset["shapedirs"] @ expression
    # joints of the template: regress them from it whatever the shape is
    frozen = asset | {"v_template": shaped, "shapedirs": np.zeros(asset["shapedirs"].shape)}
    joints = asset["J_regressor"] @ asset["v_template"]
    system = np.c_[shaped, np.ones(len(shaped))]
    frozen["J_regressor"] = np.c_[joints, np.ones(5)] @ np.linalg.solve(system.T @ system, system.T)
    return flame(frozen, expression, jaw, neck, eyes, rotation)


@pytest.mark.one_blender
def test_identity_sliders_make_another_person_whose_bones_can_follow(blender, flame_rig, folder):
    mesh = add(blender, folder, sliders=20)
    keys = mesh.data.shape_keys.key_blocks
    betas = np.zeros(300)
    betas[[0, 3, 19]] = 2.0, -1.5, 3.0
    for i in (0, 3, 19):
        keys[f"identity{i + 1:03d}"].value = betas[i]
    posed = pose(mesh, 2)
    asset = parts(flame_rig.data)
    person = asset | {
        "v_template": asset["v_template"] + flame_rig.data["shapedirs"][:, :, :300] @ betas
    }
    expected = flame_with_bones(person, *posed, rotation_module)
    before = np.abs(evaluated(blender, mesh) - expected).max()
    assert blender.ops.thunder.fit_flame_bones() == {"FINISHED"}
    assert np.abs(evaluated(blender, mesh) - expected).max() < 1e-5 < before


@pytest.mark.one_blender
@pytest.mark.slow
def test_the_file_is_not_needed_again(blender, folder, tmp_path):
    copy = tmp_path / "mine.npz"
    copy.write_bytes((folder / "flame.npz").read_bytes())
    mesh = add(blender, tmp_path, "mine.npz")
    mesh.parent.location = (3, 2, 1)
    mesh.parent.rotation_euler = (0, 0, 1)
    done = performance(seconds=0.4, closed_at=(0.2,))
    before = head.find(blender.context.scene).driver.drive(done.motion, done.channels)
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    copy.unlink()
    flame_module.retargets.clear()
    blender.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    again = head.find(blender.context.scene)
    assert np.abs(again.driver.drive(done.motion, done.channels) - before).max() < 1e-4
    straight = retarget.to_head(face_head.load_head(folder / "flame.npz"), joints_move=False)
    expected = straight.to(done.motion, done.channels).expression
    assert np.abs(before[:, :100] - expected).max() < 0.02, "the rig is the file's head"


@pytest.mark.one_blender
def test_parameters_are_exported_frame_by_frame(blender, folder, tmp_path):
    frames = 13
    mesh = add(blender, folder)
    scene = blender.context.scene
    scene.frame_start, scene.frame_end = 5, 4 + frames
    keys = mesh.data.shape_keys.key_blocks
    keys["identity002"].value = 1.5
    for frame, value in ((5, 0.0), (4 + frames, 2.0)):
        keys["expression003"].value = value
        keys["expression003"].keyframe_insert("value", frame=frame)
    for curve in compat.curves_for(mesh.data.shape_keys):
        for point in curve.keyframe_points:
            point.interpolation = "LINEAR"
    bones = mesh.parent.pose.bones
    turns = {
        "jaw": (0.2, 0.05, 0.01),
        "neck": (0.1, -0.2, 0.05),
        "eye_left": (0.0, 0.3, 0.0),
        "eye_right": (0.1, -0.3, 0.0),
    }
    for bone, turn in turns.items():
        bones[bone].rotation_euler = rotation_module.matrix_to_euler(
            rotation_module.rotvec_to_matrix(np.array(turn))
        )
    path = tmp_path / "take.npz"
    assert blender.ops.thunder.export_performance(
        filepath=str(path), form="FLAME", frames="SCENE"
    ) == {"FINISHED"}
    with np.load(path) as file:
        data = {name: file[name] for name in file.files}
    assert (
        data["expression"].shape == (frames, 100)
        and data["betas"].shape == (frames, 300)
        and data["fps"] == 24
    )
    assert (
        np.allclose(data["expression"][:, 2], np.linspace(0, 2, frames), atol=1e-4)
        and not np.delete(data["expression"], 2, 1).any()
    )
    assert np.allclose(data["betas"][:, 1], 1.5) and not np.delete(data["betas"], 1, 1).any()
    for name, bone in (
        ("jaw_pose", "jaw"),
        ("neck_pose", "neck"),
        ("leye_pose", "eye_left"),
        ("reye_pose", "eye_right"),
    ):
        assert np.allclose(data[name], turns[bone], atol=1e-5), name
    assert not data["global_orient"].any() and not data["transl"].any()


@pytest.mark.one_blender
def test_thunders_own_head_is_no_flame_file(blender):
    with pytest.raises(RuntimeError, match="press Add Head"):
        blender.ops.thunder.add_flame_head(filepath=str(head.ASSET))


@pytest.mark.one_blender
def test_it_is_found_beside_other_heads(blender, folder):
    mesh = add(blender, folder)
    scene = blender.context.scene
    assert head.in_scene(scene) == [mesh] and head.is_any_in(scene) and head.is_thunder_head(mesh)
    scene.thunder.head = None
    assert head.find(scene).mesh == mesh and head.resolve(mesh.parent).mesh == mesh
    blender.ops.thunder.add_head()
    assert set(head.in_scene(scene)) == {mesh, scene.thunder.head}
    head.check_animatable(head.resolve(mesh))
