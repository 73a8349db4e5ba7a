# SPDX-License-Identifier: GPL-3.0-or-later
"""Add Head offers people: each comes with all channels, its own look and a place beside the
others."""

import bpy
import numpy as np
import pytest
from characters import seen_points
from thunder.scene.heads import head

pytestmark = pytest.mark.one_blender


def test_each_person_can_take_a_performance_and_all_stand_side_by_side_with_their_own_skin(blender):
    scene = bpy.context.scene
    for person, name in head.PEOPLE.items():
        assert bpy.ops.thunder.add_head(person=person) == {"FINISHED"}
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


@pytest.mark.parametrize("person", head.PEOPLE)
def test_hair_is_an_object_that_follows_the_neck_and_may_be_hidden(blender, person):
    bpy.ops.thunder.add_head(person=person)
    scene = bpy.context.scene
    rig = head.find(scene)
    (hair,) = (obj for obj in rig.objects if obj not in (rig.mesh, rig.armature))
    assert hair.parent == rig.armature and hair.data.shape_keys is None

    still = seen_points(bpy, hair)
    rig.armature.pose.bones["jaw"].rotation_euler.x = 0.3
    assert np.allclose(seen_points(bpy, hair), still)
    rig.armature.pose.bones["neck"].rotation_euler.x = 0.3
    # less beside the joint, where long hair ends
    moved = np.linalg.norm(seen_points(bpy, hair) - still, axis=1)
    assert moved.min() > 0.0001 and np.median(moved) > 0.01
    bpy.context.view_layer.objects.active = hair  # what is clicked on
    assert head.guess(scene, hair) == rig.mesh
    bpy.data.objects.remove(hair)
    assert head.find(scene).objects == (rig.mesh, rig.armature)
