# SPDX-License-Identifier: GPL-3.0-or-later
"""Shapes of two keys come in by themselves, whoever moves the keys: the animator's sliders, keyed
values, a take."""

import bpy
import numpy as np
import pytest
from characters import seen_points
from thunder.scene.heads import living
from thunder.thunder_core.face.displacement import face_meter
from thunder.thunder_core.face.head import load_head, SkinnedPoints
from thunder.thunder_core.types import Motion


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


def test_an_animators_pose_and_keys_bring_it_in_and_no_script_is_run_for_it(mesh):
    blocks, jaw = mesh.data.shape_keys.key_blocks, mesh.parent.pose.bones["jaw"]
    drivers = [curve.driver for curve in mesh.data.shape_keys.animation_data.drivers]
    assert len(drivers) == 13 and all(
        driver.is_valid and driver.is_simple_expression for driver in drivers
    )
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


def test_points_of_a_head_and_the_meter_are_where_blender_puts_them(mesh):
    """Positions that rules and measures work with are the evaluated mesh's, shapes of two keys
    among them."""
    head, pose = load_head(), {"mouthPucker": 0.6, "mouthSmileLeft": 0.5, "mouthSmileRight": 1.2}
    for name, value in pose.items():
        mesh.data.shape_keys.key_blocks[name].value = value
    mesh.parent.pose.bones["jaw"].rotation_euler.x = 0.25
    for name in living.SWITCHES:
        mesh.parent[f"Thunder {name}"] = 0.0  # the bust, of which they know nothing
    x, depth, height = seen_points(bpy, mesh).T
    seen = np.stack([x, height, -depth], 1)
    expression = np.array([[pose.get(name, 0.0) for name in head.expression_names]])
    motion = Motion(expression, np.array([[0.25, 0.0, 0.0]]))
    placed = SkinnedPoints.of(head, lambda values: values).of_motion(motion)[0]
    assert np.abs(placed - seen).max() < 5e-6
    points = face_meter().points(motion)[0]
    assert np.linalg.norm(points[:, None] - 1e3 * seen, axis=2).min(axis=1).max() < 5e-3
