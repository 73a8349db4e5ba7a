# SPDX-License-Identifier: GPL-3.0-or-later
"""A lit scene in one click: it frames the heads, is set up once, leaves what was there alone, and
goes as a whole."""

import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from thunder.scene.heads import head
from thunder.scene.media import studio

NAMES = ("objects", "meshes", "cameras", "lights", "worlds", "collections", "materials", "scenes")


def counts(blender):
    return {name: len(getattr(blender.data, name)) for name in NAMES}


def seen(scene, rig):
    """Where the top and the chin of a head are in the camera's picture, [2, 2] of 0 … 1."""
    low, high = (rig.mesh.matrix_world @ Vector((0.0, -0.07, height)) for height in (-0.1, 0.08))
    return np.array(
        [world_to_camera_view(scene, studio.camera_of(scene), place)[:2] for place in (low, high)]
    )


def test_one_click_frames_and_lights_the_head_and_a_second_only_fits_it_again(scene, rig, blender):
    assert blender.ops.thunder.light_scene() == {"FINISHED"}
    assert (
        scene.camera == studio.camera_of(scene)
        and len(blender.data.lights) == 3
        and scene.world is not None
    )
    places, brightest = seen(scene, rig), max(light.energy for light in blender.data.lights)
    assert ((places > 0.1) & (places < 0.9)).all() and np.ptp(places[:, 1]) > 0.3
    before = counts(blender)
    rig.armature.location = (3.0, 1.0, 2.0)
    rig.armature.scale = (2.0, 2.0, 2.0)
    blender.ops.thunder.light_scene()
    assert counts(blender) == before
    assert np.abs(seen(scene, rig) - places).max() < 0.15
    # twice as far away
    assert max(light.energy for light in blender.data.lights) == pytest.approx(4 * brightest)


def test_it_goes_as_a_whole_and_settings_come_back(scene, blender):
    scene.view_settings.view_transform, scene.display.render_aa = "Raw", "8"
    before = counts(blender)
    blender.ops.thunder.light_scene()
    scene.display.render_aa = "16"  # the animator's own change stays
    assert scene.view_settings.view_transform == "Standard"
    mine = blender.data.objects.new("Prop", None)
    studio.find(scene).objects.link(mine)
    assert blender.ops.thunder.remove_stage() == {"FINISHED"}
    assert mine.name in scene.objects and scene.camera is None and scene.world is None
    assert (scene.view_settings.view_transform, scene.display.render_aa) == ("Raw", "16")
    blender.data.objects.remove(mine)
    blender.data.materials.remove(blender.data.materials["Thunder Backdrop"])
    assert counts(blender) == before
    with pytest.raises(RuntimeError, match="nothing to remove"):
        blender.ops.thunder.remove_stage()


def test_all_heads_are_framed_whichever_is_chosen(scene, rig, blender):
    blender.ops.thunder.add_head()
    for obj in head.in_scene(scene):
        if obj != rig.mesh:
            head.resolve(obj).armature.location.x = 0.6
            scene.thunder.head = obj
    blender.context.view_layer.update()
    blender.ops.thunder.light_scene()
    for obj in head.in_scene(scene):
        places = seen(scene, head.resolve(obj))
        assert ((places > 0.02) & (places < 0.98)).all()


def test_a_camera_lights_and_a_world_of_the_animators_stay(scene, blender):
    camera = blender.data.objects.new("Mine", blender.data.cameras.new("Mine"))
    lamp = blender.data.objects.new("Sun", blender.data.lights.new("Sun", "SUN"))
    scene.world = world = blender.data.worlds.new("Sky")
    for obj in (camera, lamp):
        scene.collection.objects.link(obj)
    scene.camera = camera
    blender.ops.thunder.light_scene()
    assert scene.camera == studio.camera_of(scene) and len(blender.data.lights) == 4
    assert scene.world == world
    camera.name = "Renamed"
    blender.ops.thunder.remove_stage()
    assert (
        scene.camera == camera and list(blender.data.lights) == [lamp.data] and scene.world == world
    )


def test_without_a_head_a_sentence_says_what_to_do(blender):
    with pytest.raises(RuntimeError, match="no head to light: add one first"):
        blender.ops.thunder.light_scene()
