# SPDX-License-Identifier: GPL-3.0-or-later
"""A lit scene in one click: it frames the heads, is set up once, leaves what was there alone, and
goes as a whole."""

import itertools
import os
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Euler, Matrix, Vector
from performances import read_wav, write_wav
from thunder.cli import products
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.media import studio
from thunder.scene.voice import strip as strip_module
from thunder.thunder_core import engine_python, errors

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


# ---- the demonstration


ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "assets" / "sample.wav"


def test_the_face_fills_the_film(blender):
    scene = blender.context.scene
    rig = head.build(scene.collection, blender.context.view_layer)
    scene.render.resolution_x = scene.render.resolution_y = products.FILM_PIXELS
    studio.set_up(scene, [rig], is_close=True)
    blender.context.view_layer.update()
    (hair,) = (obj for obj in rig.objects if "Hair" in obj.name)
    chin, hairline = (0.0, -0.073, -0.117), (0.0, -0.076, 0.065)

    def seen(turn, *places):
        """Where places of the head are in the picture while it turns."""
        turned = (rig.mesh.matrix_world @ (turn @ Vector(place)) for place in places)
        return np.array([world_to_camera_view(scene, scene.camera, place)[:2] for place in turned])

    (_, low), (_, high) = seen(Matrix.Identity(3), chin, hairline)
    assert products.FILM_PIXELS >= 720 and high - low > 0.7
    for nod, turn in itertools.product((-0.1, 0.0, 0.1), (-0.25, 0.0, 0.25)):
        places = chin, *(vertex.co for vertex in hair.data.vertices[:][::7])
        at = seen(Euler((nod, 0.0, turn)).to_matrix(), *places)
        assert at.min() > 0 and at.max() < 1, "cut while the head turns"


@pytest.mark.slow
def test_the_demonstration_keeps_its_promises(blender, tmp_path):
    try:
        engine_python.find_engine_python()
    except errors.NoEngine as error:
        pytest.skip(f"no engine to ask: {error}")
    samples, rate = read_wav(SAMPLE)
    voice = write_wav(tmp_path / "line.wav", samples[int(0.4 * rate) : int(1.1 * rate)], rate)
    about = re.search("^DEMO = (.+)", (ROOT / "Makefile").read_text("utf-8"), re.M)[1]
    demo, hashes = (sys.executable, str(ROOT / "bake.py"), "--", *about.split()), []
    for _ in range(2):
        done = subprocess.run(
            [
                *demo,
                "--audio",
                voice,
                "--takes",
                "2",
                "--seed",
                "1",
                "--quality",
                "draft",
                "--out",
                str(tmp_path / "out"),
            ],
            capture_output=True,
            text=True,
            timeout=290,
        )
        assert done.returncode == 0, done.stderr
        hashes.append(
            [
                sha256((tmp_path / "out" / name).read_bytes()).hexdigest()
                for name in ("take_01.wav", "take_01.npz", "take_02.npz")
            ]
        )
    assert hashes[0] == hashes[1]
    assert sorted(os.listdir(tmp_path / "out")) == sorted(
        [
            "line.blend",
            "report.json",
            "take_01.mp4",
            "take_01.npz",
            "take_01.wav",
            "take_02.npz",
            "takes.png",
            "thunder-files.json",
        ]
    )
    assert (tmp_path / "out" / "take_01.mp4").stat().st_size > 10_000
    blender.ops.wm.open_mainfile(filepath=str(tmp_path / "out" / "line.blend"))
    scene = blender.context.scene
    assert len(scene.thunder.takes) == 2 and scene.thunder.active_take == 0
    if strip_module.has_audio():
        strips = compat.strips(scene.sequence_editor)
        assert [strip.sound.packed_file is not None for strip in strips] == [True]
    jaw = scene.thunder.head.parent.pose.bones["jaw"]
    poses = []
    for frame in range(1, scene.frame_end + 1):
        scene.frame_set(frame)
        poses.append(jaw.rotation_euler[0])
    assert np.ptp(poses) > 1e-3
    image = blender.data.images.load(str(tmp_path / "out" / "takes.png"))
    assert image.size[0] >= 1200 and image.size[1] > 300
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    # pictures, not a blank page
    assert len(np.unique((pixels.reshape(-1, 4)[:, :3] * 255).astype(int), axis=0)) > 500
