# SPDX-License-Identifier: GPL-3.0-or-later
"""Silent video to speech: in its films lips, teeth and tongue can be told apart."""

import numpy as np
import pytest
import torch

from research.train.lip_video import LipVideo, PIXELS
from thunder_core.face.head import load_head
from thunder_core.types import Columns, JAW_OPEN_RADIANS


@pytest.fixture(scope="module")
def head():
    return load_head()


def picture(head, jaw=0.0, **channels):
    columns = Columns(head.channels)
    x = torch.zeros(1, 1, columns.count)
    x[..., columns.jaw.start] = jaw * JAW_OPEN_RADIANS
    for name, value in channels.items():
        x[..., head.channel(name)] = value
    return LipVideo(head).of_packed(x)[0, 0].numpy()


def test_lips_teeth_tongue_and_the_open_mouth_can_be_told_apart(head):
    closed, opened = picture(head), picture(head, jaw=0.8)
    tongue = picture(head, jaw=0.8, tongueOut=1.0)
    middle = slice(PIXELS // 2 - 6, PIXELS // 2 + 6)
    assert 0.12 < closed[:, middle].min() and closed.max() < 0.75, "closed lips: no teeth, no hole"
    assert opened[:, middle].min() < 0.08, "an open mouth is dark"
    assert opened[:, middle].max() > closed[:, middle].max() + 0.05, "its teeth are bright"
    changed = np.abs(tongue - opened)[:, middle]
    assert (changed > 0.05).mean() > 0.03, "a tongue that is put out is seen"
    assert np.abs(picture(head, mouthPucker=1.0) - closed).mean() > 0.02
