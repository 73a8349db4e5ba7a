# SPDX-License-Identifier: GPL-3.0-or-later
"""What training draws: lines, stretches and crops are of whom they should be, and labels are where their sound is."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_motions import made_motions

from thunder_core.engine.speech.phones import SILENCE
from thunder_core.face.head import load_head
from thunder_core.train import encoder
from thunder_core.train.corpus import LABEL_HOP
from thunder_core.train.distil import _line, FRAMES
from thunder_core.train.encoder import CROP, PhoneBatches
from thunder_core.train.systems import _pairs, REFERENCE


@pytest.fixture(scope="module")
def motions(tmp_path_factory):
    return made_motions(tmp_path_factory.mktemp("motions") / "set", load_head(), frames=130)


def test_a_line_is_of_one_voice_and_of_no_more_pieces_than_it_takes():
    rows = [SimpleNamespace(start=110 * i, frames=110) for i in range(4)]
    features = np.stack([np.arange(440), np.repeat(np.arange(4), 110)], 1)
    for seed in range(40):
        line = _line(SimpleNamespace(rows=rows, features=features), {"ada": [0, 2], "bob": [1, 3]}, np.random.default_rng(seed))
        assert len(line) == FRAMES and len(set(line[:, 1] % 2)) == 1
        assert line[0, 0] % 110 == 0 and (np.diff(line[:, 0]) != 1).sum() <= 1, "two clips of 110 frames are enough for 200"


def test_a_pair_is_of_one_performance_and_shares_no_frame(motions):
    variants, total, _ = motions.motions.shape
    counted = SimpleNamespace(rows=motions.rows, draw=motions.draw, motions=np.tile(np.arange(total)[:, None], (variants, 1, 1)))
    starts = [(row.start, row.start + row.frames) for row in motions.rows]
    for seed in range(3):
        for first, second in _pairs(counted, [0, 1, 2], np.random.default_rng(seed)).numpy()[..., 0].astype(int):
            assert len(first) == len(second) == REFERENCE and second[0] > first[-1]
            assert any(start <= first[0] and second[-1] < end for start, end in starts[:3])


@pytest.mark.parametrize("frames", [60, 600], ids=["short", "long"])
def test_labels_end_where_a_clip_ends_at_any_speed(monkeypatch, frames):
    """A hum of which every frame is one phone: labels and sound are as long as each other."""
    hum = np.full(frames * 2 * LABEL_HOP, 0.2, np.float32)
    corpus = SimpleNamespace(stretch=lambda clip, a, n: hum[a : a + n], phones=lambda clip: np.full(2 * frames, SILENCE + 1))
    monkeypatch.setattr(encoder, "augment", lambda wave, rng: wave)
    monkeypatch.setattr(encoder, "voiceless", lambda n, rng: torch.zeros(n))
    waves, labels = PhoneBatches(corpus, [SimpleNamespace(length=len(hum))])(np.random.default_rng(0))
    lengths = [int((row.abs() > 0.01).nonzero().max() + 1) if (row.abs() > 0.01).any() else 0 for row in waves]
    assert len(set(lengths)) > 2 if frames < CROP else max(lengths) == len(waves[0])
    for length, row in zip(lengths, labels):
        assert abs(int((row != SILENCE).sum()) - length / (2 * LABEL_HOP)) <= 2
