# SPDX-License-Identifier: GPL-3.0-or-later
"""Style From: an animation moves the sliders."""

import numpy as np
import pytest
from performances import show_take
from thunder.scene.animation import keying
from thunder.scene.heads import head
from thunder.scene.takes.direction import sliders
from thunder.thunder_core.direction import AXES
from thunder.thunder_core.types import Motion

pytestmark = pytest.mark.one_blender

SECONDS = 10


def speaking(smile=0.45, nod=0.15, opening=1.3):
    """Somebody who smiles and nods while speaking."""
    names = head.channel_names()
    t = np.arange(SECONDS * 25) / 25
    wave = opening * (0.5 - 0.5 * np.cos(2 * np.pi * 3 * t)) * (0.6 + 0.4 * np.sin(1.7 * t))
    x, turns = np.zeros((len(t), len(names))), np.zeros((3, len(t), 3))
    for side in ("Left", "Right"):
        x[:, names.index("mouthLowerDown" + side)] = 0.3 * wave
        x[:, names.index("mouthSmile" + side)] = smile
    turns[0, :, 0], turns[1, :, 0] = 0.12 * wave, nod * np.sin(2.5 * t)
    return Motion(*(part.astype(np.float32) for part in (x, *turns)))


@pytest.fixture
def direction(blender, stage):
    return sliders.ensure(stage[1].owner)


def enter(stage, motion):
    opening = np.zeros(motion.frames, np.float32)
    return show_take(
        stage,
        keying.TakeData(motion, head.channel_names(), opening, opening + 50, 1, 80.0, {"seed": 1}),
    )


def values(direction):
    return {axis.name: getattr(direction, axis.name) for axis in AXES}


def test_the_style_of_the_shown_take_becomes_the_direction(blender, stage, direction):
    enter(stage, speaking(nod=0.3))
    direction.mood = "sad"
    assert blender.ops.thunder.style_from_animation(frames="TAKE") == {"FINISHED"}
    assert direction.smile > 0.2 and direction.head > 1.2 and direction.mood == "neutral"
    still = values(direction)
    enter(stage, speaking(smile=0.0, nod=0.01))
    blender.ops.thunder.style_from_animation(frames="TAKE")
    assert direction.smile < still["smile"] - 0.15 and direction.head < still["head"] * 0.8
