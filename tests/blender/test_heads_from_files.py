# SPDX-License-Identifier: GPL-3.0-or-later
"""A FLAME file becomes a rig that moves as FLAME's formula says, is driven by the default motion, read
back and exported."""

import time

import numpy as np
import pytest
from characters import seen_points
from made_flame import flame, made_flame
from performances import performance
from thunder.scene.heads import build, flame as flame_module, head as heads_head
from thunder.scene.host import compat
from thunder.thunder_core import rotation as rotation_module
from thunder.thunder_core.face import head as face_head, retarget
from timing import keeps

pytestmark = pytest.mark.one_blender


def made_flame_from_bundled(**options):
    with np.load(heads_head.ASSET) as asset:
        return made_flame({name: asset[name] for name in asset.files}, **options)


@pytest.fixture(scope="module")
def flame_rig():
    """What is in a file in FLAME's layout (see made_flame)."""
    return made_flame_from_bundled(seed=11, own=0.0004)


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


def flame_with_bones(asset, expression, jaw, neck, eyes, rotation, person=0.0):
    """FLAME's formula where neither expression nor another person [V, 3] moves a joint, as bones
    have it."""
    shaped = asset["v_template"] + person + asset["shapedirs"] @ expression
    # joints of the template: regress them from it whatever the shape is
    frozen = asset | {"v_template": shaped, "shapedirs": np.zeros(asset["shapedirs"].shape)}
    joints = asset["J_regressor"] @ asset["v_template"]
    system = np.c_[shaped, np.ones(len(shaped))]
    frozen["J_regressor"] = np.c_[joints, np.ones(5)] @ np.linalg.solve(system.T @ system, system.T)
    return flame(frozen, expression, jaw, neck, eyes, rotation)


def test_identity_sliders_make_another_person(blender, flame_rig, folder):
    mesh = add(blender, folder, sliders=20)
    keys = mesh.data.shape_keys.key_blocks
    betas = np.zeros(300)
    betas[[0, 3, 19]] = 2.0, -1.5, 3.0
    for i in (0, 3, 19):
        keys[f"identity{i + 1:03d}"].value = betas[i]
    posed = pose(mesh, 2)
    person = flame_rig.data["shapedirs"][:, :, :300] @ betas
    expected = flame_with_bones(parts(flame_rig.data), *posed, rotation_module, person)
    assert np.abs(evaluated(blender, mesh) - expected).max() < 1e-5


@pytest.mark.slow
def test_the_file_is_not_needed_again(blender, folder, tmp_path):
    copy = tmp_path / "mine.npz"
    copy.write_bytes((folder / "flame.npz").read_bytes())
    mesh = add(blender, tmp_path, "mine.npz")
    mesh.parent.location = (3, 2, 1)
    mesh.parent.rotation_euler = (0, 0, 1)
    done = performance(seconds=0.4, closed_at=(0.2,))
    before = heads_head.find(blender.context.scene).driver.drive(done.motion, done.channels)
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    copy.unlink()
    flame_module.retargets.clear()
    blender.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    again = heads_head.find(blender.context.scene)
    assert np.abs(again.driver.drive(done.motion, done.channels) - before).max() < 1e-4
    straight = retarget.to_head(face_head.load_head(folder / "flame.npz"), joints_move=False)
    expected = straight.to(done.motion, done.channels).expression
    assert np.abs(before[:, :100] - expected).max() < 0.02, "the rig is the file's head"


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


def test_thunders_own_head_is_no_flame_file(blender):
    with pytest.raises(RuntimeError, match="press Add Head"):
        blender.ops.thunder.add_flame_head(filepath=str(heads_head.ASSET))


def test_it_is_found_beside_other_heads(blender, folder):
    mesh = add(blender, folder)
    scene = blender.context.scene
    assert (
        heads_head.in_scene(scene) == [mesh]
        and heads_head.is_any_in(scene)
        and heads_head.is_thunder_head(mesh)
    )
    scene.thunder.head = None
    assert heads_head.find(scene).mesh == mesh and heads_head.resolve(mesh.parent).mesh == mesh
    blender.ops.thunder.add_head()
    assert set(heads_head.in_scene(scene)) == {mesh, scene.thunder.head}
    heads_head.check_animatable(heads_head.resolve(mesh))
