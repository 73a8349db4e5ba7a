# SPDX-License-Identifier: GPL-3.0-or-later
"""Silent video to speech: in its films lips, teeth and tongue can be told apart, and filming goes on
where it was stopped."""

import numpy as np
import pytest
import torch
from made_motions import made_motions

from research.train.lip_video import film, LipVideo, PIXELS
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


FRAMES = 15  # of a crop in these tests


@pytest.fixture
def motions(tmp_path, head):
    return made_motions(tmp_path, head, FRAMES + 5)


@pytest.mark.slow
def test_filming_goes_on_where_it_was_stopped(motions, head, tmp_path):
    pairs = [(0, 1), (3, 0)]
    whole = film(motions, head, pairs, tmp_path / "whole").pictures.copy()
    assert whole.shape == (2 * FRAMES + 10, PIXELS, PIXELS) and whole.std() > 20
    film(motions, head, pairs[:1], tmp_path / "part")
    with (tmp_path / "part" / "lips.u8").open("ab") as file:
        file.write(b"begun")  # what was not noted as done is drawn again
    films = film(motions, head, pairs, tmp_path / "part")
    assert np.array_equal(films.pictures, whole)
    assert (
        np.array_equal(films.crop(3, 0, 5, 2), whole[FRAMES + 10 : FRAMES + 12])
        and films.variants(0) == [1]
        and films.rows([0, 1, 3]) == [0, 3]
    )
    # Another choice begins again.
    assert np.array_equal(
        film(motions, head, pairs[::-1], tmp_path / "part").pictures[: FRAMES + 5],
        whole[FRAMES + 5 :],
    )
