# SPDX-License-Identifier: GPL-3.0-or-later
"""Sliders that add to the mouth of any mapped character, over its animation, and leave nothing
behind when they are removed."""

import bpy
import numpy as np
import pytest
from characters import add_mesh, seen_points
from commit_stage import show
from performances import load_into_empty
from thunder.scene.animation import keying
from thunder.scene.heads import controls, head
from thunder.scene.host import compat
from thunder.thunder_core import progress
from thunder.thunder_core.animation import timing
from thunder.thunder_core.face import displacement

pytestmark = pytest.mark.one_blender


def everything(bpy):
    """All of objects and shape keys that sliders could change, as plain values."""

    def driver(curve):
        return curve.data_path, curve.array_index, curve.driver.expression

    def animation(block):
        data = block.animation_data
        curves = [
            (c.data_path, c.array_index, [tuple(k.co) for k in c.keyframe_points])
            for c in compat.curves_for(block)
        ]
        played = (
            data and data.action and data.action.name,
            compat.slot_of(block),
            sorted(curves),
            list(map(driver, data.drivers if data else ())),
        )
        return played if any(played) else None

    def bones(obj):
        return (
            [(b.name, [(c.name, c.type) for c in b.constraints]) for b in obj.pose.bones]
            if obj.pose
            else []
        )

    return {
        "objects": {
            o.name: (
                animation(o),
                sorted(o.keys()),
                bones(o),
                o.type == "MESH" and o.active_shape_key_index,
            )
            for o in bpy.data.objects
        },
        "keys": {
            k.name: (
                animation(k),
                [(b.name, b.value, b.mute, b.relative_key.name) for b in k.key_blocks],
            )
            for k in bpy.data.shape_keys
        },
        "actions": sorted(
            (a.name, [s.identifier for s in getattr(a, "slots", ())]) for a in bpy.data.actions
        ),
    }


def slide(bpy, rig, **values):
    owner = controls.owner_of(rig)
    for slider in controls.SLIDERS:
        owner["Thunder " + slider] = float(values.get(slider, 0.0))
    owner.update_tag()
    bpy.context.view_layer.update()


@pytest.fixture
def committed(stage, scene):
    """Our head with a take in its own animation: (scene, rig)."""
    assert show(stage, start=21.0) and bpy.ops.thunder.commit_take() == {"FINISHED"}
    return scene, head.find(scene)


def test_sliders_move_the_mouth_and_go_without_a_trace(blender, committed):
    scene, rig = committed
    scene.frame_set(30)
    before, rest = everything(blender), seen_points(blender, rig.mesh)
    assert blender.ops.thunder.add_mouth_sliders() == {"FINISHED"}
    assert not blender.ops.thunder.add_mouth_sliders.poll()
    scene.frame_set(30)
    assert np.abs(seen_points(blender, rig.mesh) - rest).max() < 1e-6
    for slider in controls.SLIDERS:
        slide(blender, rig, **{slider: 1.0})
        assert np.abs(seen_points(blender, rig.mesh) - rest).max() > 1.5e-3, slider
    owner = controls.owner_of(rig)
    owner["Thunder Open"] = 0.5
    assert owner.keyframe_insert('["Thunder Open"]', frame=30)
    assert everything(blender) != before
    assert blender.ops.thunder.remove_mouth_sliders() == {"FINISHED"}
    assert everything(blender) == before
    scene.frame_set(30)
    assert np.abs(seen_points(blender, rig.mesh) - rest).max() < 1e-6


@pytest.mark.parametrize("mode", ["XYZ", "QUATERNION", "AXIS_ANGLE"])
def test_open_adds_to_what_the_jaw_does_and_shuts_it_no_further_than_shut(
    blender, scene, rig, mode
):
    jaw = rig.armature.pose.bones["jaw"]
    jaw.rotation_mode = mode
    controls.add(head.find(scene))
    rig = head.find(scene)

    def turn(keyed, slider):
        jaw.rotation_euler, jaw.rotation_quaternion = (
            (keyed, 0, 0),
            (np.cos(keyed / 2), np.sin(keyed / 2), 0, 0),
        )
        jaw.rotation_axis_angle = (keyed, 1, 0, 0)
        slide(blender, rig, Open=slider)
        done = rig.armature.evaluated_get(blender.context.evaluated_depsgraph_get()).pose.bones[
            "jaw"
        ]
        local = done.parent.matrix.inverted() @ done.matrix
        rest = done.parent.bone.matrix_local.inverted() @ done.bone.matrix_local
        return (rest.inverted() @ local).to_euler().x

    assert turn(0.0, 1.0) == pytest.approx(0.225, abs=2e-3)
    assert turn(0.1, 1.0) == pytest.approx(0.325, abs=2e-3)
    assert turn(0.2, -0.5) == pytest.approx(0.0875, abs=2e-3)
    if mode != "AXIS_ANGLE":
        assert turn(0.1, -1.0) == pytest.approx(0.0, abs=2e-3)


def test_what_is_listened_to_has_the_sliders(blender, committed):
    scene, rig = committed
    clock = timing.Clock.of(scene, 21.0)
    controls.add(rig)
    rig = head.find(scene)

    def read():
        motion = progress.result(keying.read(rig, head.channel_names(), clock, 2.0))
        return motion, displacement.face_meter().gap(displacement.face_meter().points(motion))

    before, gap = read()
    slide(blender, rig, Open=1.0, Smile=0.5)
    after, opened = read()
    smile = head.channel_names().index("mouthSmileLeft")
    assert (opened - gap).max() > 5 and np.all(
        after.jaw[:, 0] - before.jaw[:, 0] == pytest.approx(0.225, abs=3e-3)
    )
    assert (after.expression[:, smile] - before.expression[:, smile]).max() == pytest.approx(
        0.4, abs=0.02
    )


def character(
    bpy,
    names=(
        "jawOpen",
        "mouthSmileLeft",
        "mouthSmileRight",
        "mouthPucker",
        "mouthStretchLeft",
        "mouthStretchRight",
        "eyeBlinkLeft",
    ),
):
    """A mesh with ARKit's names, and nothing else."""
    rng = np.random.default_rng(2)
    obj = add_mesh(
        bpy,
        "face",
        rng.normal(size=(60, 3)).tolist(),
        names,
        [(i, i + 1, i + 2) for i in range(58)],
    )
    for number, shape in enumerate(obj.data.shape_keys.key_blocks[1:]):
        for vertex in range(number * 8, number * 8 + 8):
            shape.data[vertex].co.z -= 0.1
    bpy.context.view_layer.objects.active = obj
    return obj


def test_a_character_with_shape_keys_alone_has_them_on_its_face(blender):
    obj = character(blender)
    scene = blender.context.scene
    rig = head.find(scene, obj)
    plan, before, rest = rig.driver.parts, everything(blender), seen_points(blender, rig.mesh)
    assert blender.ops.thunder.add_mouth_sliders() == {"FINISHED"}
    rig = head.find(scene, obj)
    # twins are nothing that takes move
    assert rig.driver.parts == plan and controls.owner_of(rig) == obj
    keys = obj.data.shape_keys.key_blocks
    keys["jawOpen"].value = 0.5
    slide(blender, rig, Open=1.0)
    assert keys["Thunder jawOpen"].value == pytest.approx(0.5, abs=1e-4)  # stops at fully open
    slide(blender, rig, Open=-1.0)
    assert keys["Thunder jawOpen"].value == pytest.approx(-0.5, abs=1e-4)
    assert np.abs(seen_points(blender, rig.mesh) - rest)[:8].max() < 1e-5
    keys["jawOpen"].value = 0.0
    obj.keyframe_insert('["Thunder Smile"]', frame=1)
    assert blender.ops.thunder.remove_mouth_sliders() == {"FINISHED"}
    assert everything(blender) == before


def linked(blender, tmp_path):
    """A file with the character, which is linked into an empty one: the object."""
    load_into_empty(blender, tmp_path, link=True, objects=["face"])
    blender.context.scene.collection.objects.link(blender.data.objects["face"])
    blender.context.view_layer.objects.active = blender.data.objects["face"]


def test_sliders_of_a_linked_character_work_where_it_is_overridden(blender, tmp_path):
    controls.add(head.find(blender.context.scene, character(blender)))
    linked(blender, tmp_path)
    assert blender.ops.thunder.make_editable() == {"FINISHED"}
    own = next(each for each in blender.context.scene.objects if each.library is None)
    rig = head.find(blender.context.scene, own)
    rest = seen_points(blender, rig.mesh)
    slide(blender, rig, Open=1.0)
    assert np.abs(seen_points(blender, rig.mesh) - rest).max() > 0.05
    blender.context.view_layer.objects.active = own
    with pytest.raises(RuntimeError, match="add or remove its sliders in that file"):
        blender.ops.thunder.remove_mouth_sliders()
