# SPDX-License-Identifier: GPL-3.0-or-later
"""Lashes, teeth and tongue have keys of the same names as the face: committed, they stay with it on
every frame and between frames."""

from dataclasses import replace

import numpy as np
import pytest
from characters import add_mesh, skin, small_face
from few_points import KEYS
from performances import performance, show_take
from thunder.scene.heads import head as head_module
from thunder.scene.takes.commit import committing
from thunder.thunder_core import progress

PARTS = {
    "Lashes": ("eyeBlinkLeft", "eyeBlinkRight"),
    "Teeth": ("jawOpen",),
    "Tongue": ("jawOpen", "mouthClose"),
}


@pytest.fixture
def speaking(blender):
    """A take on a face of four objects under one armature: (scene, rig, entry)."""
    scene = blender.context.scene
    scene.render.fps = 25
    face = small_face(blender, KEYS)
    armature = skin(blender, face)
    for name, keys in PARTS.items():
        part = add_mesh(
            blender, name, [(0, -0.08, 1.6), (0.01, -0.08, 1.6), (0, -0.08, 1.61)], keys
        )
        for block in part.data.shape_keys.key_blocks:
            block.slider_min, block.slider_max = 0.0, 1.0
            block.data[0].co.z -= 0.01 * (block.name != "Basis")
        part.parent = armature
        part.modifiers.new("Armature", "ARMATURE").object = armature
    rig = head_module.resolve(face)
    made = performance()
    t = np.arange(made.motion.frames)
    made.motion.jaw[:, 0] = 0.12 + 0.1 * np.sin(t / 3) + 0.05 * np.sin(t / 1.3)
    for name, values in (
        ("eyeBlinkLeft", np.clip(3 * np.sin(t / 6) - 2, 0, 1)),
        ("eyeBlinkRight", np.clip(3 * np.sin(t / 6) - 2, 0, 1)),
        ("mouthClose", 0.2 + 0.2 * np.sin(t / 2)),
    ):
        made.motion.expression[:, made.channels.index(name)] = values
    made = replace(made, opening=made.motion.jaw[:, 0] / 0.3 * 30)
    return scene, rig, show_take((scene, rig), made)


@pytest.mark.parametrize("step", ["ONES", "TWOS"])
def test_parts_of_a_face_stay_together(blender, speaking, step):
    scene, rig, entry = speaking
    settings = scene.thunder.commit
    settings.step, settings.accuracy = step, "ROUGH"
    steps = committing.commit(rig, entry, "voice", committing.choice_of(scene, entry))
    report = progress.result(steps)
    face = rig.mesh.data.shape_keys.key_blocks
    apart, moved = 0.0, dict.fromkeys(KEYS, 0.0)
    for frame in np.arange(entry.first - 2, entry.last + 2, 0.5):
        scene.frame_set(int(frame), subframe=float(frame % 1))
        for name, names in PARTS.items():
            blocks = blender.data.objects[name].data.shape_keys.key_blocks
            for key in names:
                apart = max(apart, abs(blocks[key].value - face[key].value))
                moved[key] = max(moved[key], face[key].value)
    assert apart < 1e-5
    assert moved["jawOpen"] > 0.4 and moved["eyeBlinkLeft"] > 0.8
    assert step == "TWOS" or (report.error is not None and report.error <= 1.2)
