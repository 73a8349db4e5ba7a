# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundled heads: shoulders, breath and wrinkles follow them by themselves, every part has its own
material, and each person comes with all channels, its own look and a place beside the others."""

import numpy as np
import pytest
from characters import seen_points
from thunder.scene.heads import head
from thunder.scene.media import puppets

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
