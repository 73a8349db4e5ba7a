# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration: everything it promises is there, opens, moves and sounds, and comes out the
same again."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector
from performances import read_wav, write_wav
from thunder.cli import demo
from thunder.scene.host import compat
from thunder.scene.voice import strip as strip_module
from thunder.thunder_core import engine_python, errors

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "assets" / "sample.wav"


def test_a_demonstration_replaces_no_file_that_is_not_its_own(tmp_path):
    mine = {"takes.png": b"mine", "take_05.npz": b"mine"}
    for name, content in mine.items():
        (tmp_path / name).write_bytes(content)
    done = subprocess.run(
        [sys.executable, str(ROOT / "demo.py"), "--takes", "2", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (
        done.returncode == 1
        and "takes.png” is a file of yours" in done.stderr
        and "--force" in done.stderr
    ), done.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == mine


def test_the_face_fills_the_film(blender):
    _, _, rig = demo.set_stage(argparse.Namespace(takes=1, seed=1), str(SAMPLE))
    scene = blender.context.scene
    scene.render.resolution_x = scene.render.resolution_y = demo.FILM_PIXELS
    corners = [rig.mesh.matrix_world @ Vector(each) for each in rig.mesh.bound_box]
    across = [world_to_camera_view(scene, scene.camera, corner).x for corner in corners]
    assert max(across) - min(across) > 0.6


@pytest.mark.slow
def test_the_demonstration_keeps_its_promises(blender, tmp_path):
    try:
        engine_python.find_engine_python()
    except errors.NoEngine as error:
        pytest.skip(f"no engine to ask: {error}")
    samples, rate = read_wav(SAMPLE)
    voice = write_wav(tmp_path / "line.wav", samples[int(0.4 * rate) : int(1.6 * rate)], rate)
    demo, hashes = (sys.executable, str(ROOT / "demo.py"), "--"), []
    for _ in range(2):
        done = subprocess.run(
            [
                *demo,
                "--audio",
                voice,
                "--takes",
                "2",
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
        hashes.append(json.loads((tmp_path / "out" / "report.json").read_text())["sha256"])
    assert hashes[0] == hashes[1] and set(hashes[0]) == {"says.wav", "take_01.npz", "take_02.npz"}
    assert sorted(os.listdir(tmp_path / "out")) == sorted(
        [
            "best.mp4",
            "report.json",
            "says.wav",
            "scene.blend",
            "take_01.npz",
            "take_02.npz",
            "takes.png",
            "thunder-files.json",
        ]
    )
    assert (tmp_path / "out" / "best.mp4").stat().st_size > 10_000
    blender.ops.wm.open_mainfile(filepath=str(tmp_path / "out" / "scene.blend"))
    scene = blender.context.scene
    assert (
        len(scene.thunder.takes) == 2
        and scene.thunder.active_take == 0
        and scene.camera is not None
    )
    if strip_module.has_audio():
        strips = compat.strips(scene.sequence_editor)
        assert {strip.mute for strip in strips} == {True, False} and all(
            s.sound.packed_file for s in strips
        )
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
