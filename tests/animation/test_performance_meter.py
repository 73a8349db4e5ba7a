# SPDX-License-Identifier: GPL-3.0-or-later
"""The measures of a direction's sliders answer to what they are named after, and to nothing that
only looks like it."""

from pathlib import Path

import numpy as np
import pytest

from thunder_core.animation.traits import PerformanceMeter
from thunder_core.face.head import load_head
from thunder_core.types import Motion

HEAD = load_head(Path(__file__).resolve().parents[2] / "weights" / "head.npz")
FRAMES = 200
SPEAKING = np.ones(FRAMES, bool)
TIME = np.arange(FRAMES) / 25


@pytest.fixture(scope="module")
def played():
    return PerformanceMeter.of(HEAD)


def motion(jaw=0.12, lips=0.3, smile=0.0, brow=0.0, nod=0.0, blinks=0) -> Motion:
    """Somebody who says ba ba ba, three times a second."""
    wave = 0.5 - 0.5 * np.cos(2 * np.pi * 3 * TIME)
    x = np.zeros((FRAMES, HEAD.channels), np.float32)
    for side in ("Left", "Right"):
        x[:, HEAD.channel("mouthLowerDown" + side)] = lips * wave
        x[:, HEAD.channel("mouthSmile" + side)] = smile
        x[:, HEAD.channel("browOuterUp" + side)] = brow * wave
        for k in range(blinks):
            x[10 + 20 * k : 14 + 20 * k, HEAD.channel("eyeBlink" + side)] = 1.0
    rotation, neck = np.zeros((2, FRAMES, 3), np.float32)
    rotation[:, 0], neck[:, 0] = jaw * wave, nod * wave
    return Motion(x, rotation, neck, np.zeros((FRAMES, 3), np.float32))


@pytest.mark.parametrize("slider, change", [
    ("energy", dict(jaw=0.24, lips=0.6)), ("jaw", dict(jaw=0.18, lips=0.1)),
    ("smile", dict(smile=0.4)), ("brows", dict(brow=0.4)),
    ("head", dict(nod=0.03)), ("eyes", dict(blinks=5)),
])  # fmt: skip
def test_a_measure_answers_to_its_slider(played, slider, change):
    before, after = (played.measure(motion(**values), SPEAKING) for values in ({}, change))
    assert after[slider] > before[slider] + 0.05
    for other in {"smile", "brows", "head", "eyes"} - {slider}:
        if slider in ("energy", "jaw") and other == "smile":
            continue  # corners come down a little as the jaw does
        assert abs(after[other] - before[other]) < 0.15, other


def test_a_mouth_that_is_always_half_open_articulates_less(played):
    held = motion()
    held.jaw[:, 0] += 0.12
    assert (
        played.measure(held, SPEAKING)["articulation"]
        < played.measure(motion(), SPEAKING)["articulation"] - 0.5
    )
