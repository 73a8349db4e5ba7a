# SPDX-License-Identifier: GPL-3.0-or-later
"""What training draws: lines, stretches and crops are of whom they should be, and labels are where
their sound is."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_motions import made_motions

from research.train import encoder
from research.train.encoder import CROP, PhoneBatches
from research.train.systems import _pairs, REFERENCE
from thunder_core.direction import DIRECTION_NAMES
from thunder_core.engine.speech.phones import SILENCE
from thunder_core.face.head import load_head
from thunder_core.train.corpus import LABEL_HOP
from thunder_core.train.denoiser import jitter_planned_axes
from thunder_core.train.distil import _line, FRAMES


@pytest.fixture(scope="module")
def motions(tmp_path_factory):
    return made_motions(tmp_path_factory.mktemp("motions") / "set", load_head(), frames=130)


def test_a_line_is_of_one_voice_and_of_no_more_pieces_than_it_takes():
    rows = [SimpleNamespace(start=110 * i, frames=110) for i in range(4)]
    features = np.stack([np.arange(440), np.repeat(np.arange(4), 110)], 1)
    for seed in range(40):
        set_ = SimpleNamespace(
            rows=rows,
            features_of=lambda at, variant: features[at],
            events=np.zeros((3, 440, 14), np.float16),
        )
        line, events = _line(set_, {"ada": [0, 2], "bob": [1, 3]}, np.random.default_rng(seed))
        line = line.astype(int)
        assert events.shape == (FRAMES, 14)
        assert len(line) == FRAMES and len(set(line[:, 1] % 2)) == 1
        assert line[0, 0] % 110 == 0 and (np.diff(line[:, 0]) != 1).sum() <= 1, (
            "two clips of 110 frames are enough for 200"
        )


def test_a_pair_is_of_one_performance_and_shares_no_frame(motions):
    variants, total, _ = motions.motions.shape
    counted = SimpleNamespace(
        rows=motions.rows,
        draw=motions.draw,
        motions=np.tile(np.arange(total)[:, None], (variants, 1, 1)),
    )
    starts = [(row.start, row.start + row.frames) for row in motions.rows]
    for seed in range(3):
        for first, second in (
            _pairs(counted, [0, 1, 2], np.random.default_rng(seed)).numpy()[..., 0].astype(int)
        ):
            assert len(first) == len(second) == REFERENCE and second[0] > first[-1]
            assert any(start <= first[0] and second[-1] < end for start, end in starts[:3])


def test_only_planned_axes_of_rows_with_a_plan_are_jittered():
    style, shown = torch.ones(3, 1, len(DIRECTION_NAMES)), torch.tensor([True, False, True])
    changed = (jitter_planned_axes(style, shown) != style)[:, 0].numpy()
    planned = np.isin(DIRECTION_NAMES, ("brows", "eyes"))
    assert (changed == shown.numpy()[:, None] & planned).all()


def test_labels_are_where_their_sound_is_at_any_speed(monkeypatch):
    """A hum of 60 frames that is louder from the middle on, where another phone begins."""
    middle, end = 30 * 2 * LABEL_HOP, 60 * 2 * LABEL_HOP
    hum = np.where(np.arange(end) < middle, 0.2, 0.4).astype(np.float32)
    phones = np.repeat([SILENCE + 1, SILENCE + 2], 60)
    corpus = SimpleNamespace(samples=lambda clip, a, n: hum[a : a + n], phones=lambda clip: phones)
    monkeypatch.setattr(encoder, "augment", lambda wave, rng, others: wave)
    monkeypatch.setattr(encoder, "voiceless", lambda n, rng: torch.zeros(n))
    waves, labels = PhoneBatches(corpus, [SimpleNamespace(length=end)])(np.random.default_rng(0))
    lengths = set()
    for wave, row in zip(waves.abs(), labels):
        loud = wave.unfold(0, 2 * LABEL_HOP, 2 * LABEL_HOP).mean(1)  # of each frame
        spoken = (loud > 0.01 * loud.max()) & (loud > 0)
        louder = (loud > 0.75 * loud.max()) & (loud > 0)
        assert ((row != SILENCE) == spoken).sum() >= CROP - 1 and (
            (row == SILENCE + 2) == louder
        ).sum() >= CROP - 2
        lengths.add(int(spoken.sum()))
    assert min(lengths) < 58 and max(lengths) > 62
