# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration: everything it promises is there, opens, moves and sounds, and comes out the
same again."""

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
