# SPDX-License-Identifier: GPL-3.0-or-later
"""A user's own poses as the targets of a mapping."""

import pytest
from characters import deform, grid_mesh, rig_with
from thunder.scene.heads import head, mapping_table
from thunder.scene.host import compat


def pose_asset(blender, name, targets):
    """A pose asset of the user's: targets {data-block: {(path, index): value}}."""
    actions, curves = compat.new_action(name, list(targets))
    for (_, values), collection in zip(targets.items(), curves):
        for (path, index), value in values.items():
            compat.new_curve(collection, path, index, "").keyframe_points.insert(1.0, value)
    for action in actions:
        action.asset_mark()


@pytest.fixture
def puppet(blender):
    """A character without known names: a jaw bone, a lip bone, keys K1 and K2; mouths posed as
    assets. (face, rig)."""
    bones = {
        "root": ((0, 0, 0), (0, 0, 0.1), ""),
        "hinge": ((0, 0, 0), (0, -0.1, 0), "root"),
        "pull": ((0, -0.1, 0), (0, -0.12, 0), "root"),
    }
    rig = rig_with(blender, bones)
    face = grid_mesh(blender, "Hero", ("K1", "K2"))
    deform(face, rig)
    rig.pose.bones["hinge"].rotation_mode = "XYZ"
    keys = face.data.shape_keys
    turned = 'pose.bones["hinge"].rotation_euler'
    along = 'pose.bones["pull"].location'
    pose_asset(blender, "AH", {rig: {(turned, 0): 0.4}, keys: {('key_blocks["K1"].value', 0): 0.2}})
    pose_asset(
        blender,
        "OO",
        {rig: {(turned, 0): 0.1, (along, 1): -0.02}, keys: {('key_blocks["K2"].value', 0): 1.0}},
    )
    pose_asset(blender, "EE", {keys: {('key_blocks["K2"].value', 0): -0.5}})
    pose_asset(
        blender,
        "Smile",
        {
            rig: {
                ('pose.bones["pull"].rotation_quaternion', 0): 0.98,
                ('pose.bones["pull"].rotation_quaternion', 2): 0.2,
            }
        },
    )
    return face, rig


def test_mouths_that_a_user_posed_are_driven_at_their_strength(blender, puppet):
    face, rig = puppet
    blender.context.scene.thunder.head = face
    assert blender.ops.thunder.map_by_poses() == {"FINISHED"}
    found = head.resolve(face)

    def shown(source, amount):
        values = mapping_table.pose(found, source, amount)
        return {
            (found.targets[track.block].name, track.path, track.index): value
            for track, value in zip(found.driver.tracks, values)
        }

    jaw = ("Rig", 'pose.bones["hinge"].rotation_euler', 0)
    half = shown("jawOpen", 0.5)
    assert half[jaw] == pytest.approx(0.2, abs=1e-6)
    rounded = shown("mouthPucker", 1.0)
    if compat.HAS_SLOTS:  # before, an action poses either bones or keys
        assert half["Key", 'key_blocks["K1"].value', 0] == pytest.approx(0.1)
        assert rounded["Key", 'key_blocks["K2"].value', 0] == pytest.approx(1.0)
    assert rounded[jaw] == pytest.approx(0.0, abs=1e-6)  # the jaw has a channel of its own
    assert rounded["Rig", 'pose.bones["pull"].location', 1] == pytest.approx(-0.02)
    turned = shown("mouthSmileLeft", 1.0)
    # half of it for each side
    assert turned["Rig", 'pose.bones["pull"].rotation_quaternion', 2] == pytest.approx(
        0.1, abs=0.01
    )
