# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's mouth moves as the mouth that mesh-to-speech learns from."""

import numpy as np
import pytest
import torch

from thunder_core.engine.m2s import MARGIN, Mouth
from thunder_core.face.head import load_head
from thunder_core.networks import speech as networks
from thunder_core.types import Motion
from thunder_core.weight_files import SHIPPED, trained_mouth

FRAMES = 60


@pytest.fixture(scope="module", params=["bundled head", "trained mouth"])
def head(request):
    return load_head() if request.param == "bundled head" else trained_mouth(SHIPPED)


@pytest.fixture(scope="module")
def motion(head):
    """Everything moves at once, the jaw in all directions, so that shapes of two keys do too."""
    rng = np.random.default_rng(0)
    expression = rng.uniform(-0.3, 1.2, (FRAMES, head.channels))
    jaw = rng.normal(0, 0.15, (FRAMES, 3))
    jaw[0] = expression[0] = 0.0
    return Motion(expression.astype(np.float32), jaw.astype(np.float32))


def test_vertices_are_those_of_training(head, motion):
    ours, theirs = Mouth(head), networks.Mouth(head)
    with torch.no_grad():
        expected = theirs(
            torch.from_numpy(motion.expression)[None], torch.from_numpy(motion.jaw)[None]
        )[0].numpy()
    made = ours.vertices(motion.expression, motion.jaw)
    assert made.dtype == np.float32 and made[0].size == ours.size == theirs.size
    assert np.abs(made - expected).max() < 1e-6 and np.abs(expected).max() > 0.01
    assert not made[0].any(), "at rest"


@pytest.mark.parametrize("frames", [1, 500, 501, 1234])
def test_windows_cover_a_motion_once_with_context_on_either_side(head, frames):
    jaw = np.zeros((frames, 3), np.float32)
    jaw[:, 0] = np.linspace(0, 0.3, frames)
    motion = Motion(np.zeros((frames, head.channels), np.float32), jaw)
    mouth = Mouth(head)
    kept = [
        (seen[0][keep], len(seen[0]), keep)
        for seen, keep in mouth.windows([motion], slice(0, motion.frames))
    ]
    whole = mouth.vertices(motion.expression, motion.jaw)
    assert np.allclose(np.concatenate([seen for seen, _, _ in kept]), whole, atol=1e-7)
    assert all(keep.start == MARGIN for _, _, keep in kept[1:]) and all(
        length - keep.stop <= MARGIN for _, length, keep in kept
    )
