# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's systems: masks, codes and losses against their plain, slow form; each trains and
samples; the chain goes on where it was; the second data set differs from the first in heads alone."""

import itertools
import math

import numpy as np
import pytest
import torch
from made_motions import FEATURES, made_motions

from research.__main__ import main
from research.faces.head_motion import HeadStatistics, with_heads
from research.systems import load_system, regressors
from research.systems.denoisers import TokenCrossAttention
from research.systems.regressors import causal_bias, FlameFormer, FlameFormerConfig
from research.train import paper
from research.train.encoder import TrainableEncoder
from research.train.motions import MotionSet
from research.train.paper import Budget, Chain, folder_of, select_stages, train_chain
from research.train.systems import before, build_learner, Labels, LEARNERS, ThunderLearner
from thunder_core.engine.speech.encoder import phonetic
from thunder_core.face.head import load_head
from thunder_core.networks.denoiser import alibi_slopes
from thunder_core.types import Columns
from thunder_core.weight_files import SHIPPED

# ---- masks, codes and attention


def test_causal_bias_is_that_of_every_pair_of_frames():
    slopes = alibi_slopes(2)
    bias = causal_bias(30, slopes, period=5, context=20)
    for head, i, j in itertools.product(range(2), range(30), range(30)):
        hidden = j > i or i - j >= 20
        assert bias[head, i, j] == (-math.inf if hidden else -float(slopes[head]) * ((i - j) // 5))


@pytest.mark.parametrize("per_frame", [False, True])
def test_token_cross_attention_equals_masked_attention_over_all_keys(per_frame):
    torch.manual_seed(0)
    layer = TokenCrossAttention(24, 4).double()
    x, audio = torch.randn(3, 11, 24).double(), torch.randn(1, 11, 24).double()
    step, told = torch.randn(1, 1, 24).double(), torch.randn(3, 11 if per_frame else 1, 24).double()
    tokens = told.expand(-1, 11, -1)
    # T audio frames, a step, T conditions
    memory = torch.cat([audio.expand(3, -1, -1), step.expand(3, 1, -1), tokens], 1)
    q, (k, v) = layer.q(x), layer.kv(memory).chunk(2, -1)
    q, k, v = (y.unflatten(-1, (4, -1)).transpose(1, 2) for y in (q, k, v))
    eye = torch.eye(11, dtype=torch.bool)
    visible = torch.cat([eye, torch.ones(11, 1, dtype=torch.bool), eye], 1)
    heard = torch.nn.functional.scaled_dot_product_attention(q, k, v, visible)
    slow = layer.out(heard.transpose(1, 2).flatten(2))
    assert torch.allclose(layer(x, audio, step, told), slow, atol=1e-12)


# ---- FlameFormer


def small_former() -> FlameFormer:
    torch.manual_seed(1)
    model = FlameFormer(
        FlameFormerConfig(
            motion=6, audio=5, speakers=3, width=32, layers=2, heads=4, feedforward=64, period=4
        )
    ).eval()
    model.motion_mean.normal_()
    model.motion_std.uniform_(0.5, 2)
    return model


@pytest.mark.parametrize("context", [500, 6])
def test_running_free_frame_by_frame_is_what_all_frames_at_once_give(monkeypatch, context):
    """Also on lines longer than what a frame looks back at."""
    monkeypatch.setattr(regressors, "CONTEXT", context)
    monkeypatch.setattr(regressors, "causal_bias", lambda *a: causal_bias(*a[:3], context))
    model, audio, speakers = small_former(), torch.randn(1, 23, 5), torch.tensor([0, 2])
    run = model.free_run(audio, speakers)
    assert torch.allclose(model(before(run), audio.expand(2, -1, -1), speakers), run, atol=1e-5)


# ---- training


@pytest.fixture(scope="module")
def motions(tmp_path_factory):
    torch.set_num_threads(1)
    return made_motions(tmp_path_factory.mktemp("motions") / "set", load_head())


def chain(motions, runs, budget, weights=SHIPPED):
    return Chain(motions, load_head(), weights, runs, budget, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("system", sorted(LEARNERS))
def test_a_system_trains_and_samples(motions, tmp_path, system):
    stages = [
        s
        for s in select_stages([system])
        if s.system == system and not s.space and not s.trained_encoder
    ]
    lines = train_chain(chain(motions, tmp_path, Budget(steps=2, together=1, batch=2)), stages)
    assert len(lines) == 2 and all("validation_worst_vertex_mm" in line for line in lines)
    network = load_system(system, folder_of(tmp_path, 1, system))
    start = build_learner(system, motions, Labels.of(motions), load_head()).network
    assert (
        torch.equal(network.motion_mean, start.motion_mean) and not network.motion_mean.eq(0).all()
    )
    made = network.sample(torch.randn(1, 12, FEATURES), [1, 2], steps=2)
    assert made.shape == (2, 12, motions.motions.shape[2]) and made.isfinite().all()


@pytest.mark.slow
def test_a_chain_that_was_stopped_goes_on_and_ends_as_one_that_was_not(motions, tmp_path):
    budget, stages = Budget(steps=3, together=3, batch=2), select_stages(["flameformer"])[:2]
    whole, part = (chain(motions, tmp_path / name, budget) for name in ("whole", "part"))
    train_chain(whole, stages)
    train_chain(part, stages[:1])
    base = folder_of(tmp_path / "part", 1, "flameformer.base") / f"{paper.NETWORK}.safetensors"
    written = base.stat().st_mtime_ns
    lines = train_chain(part, stages)
    assert "was done" in lines[0] and base.stat().st_mtime_ns == written
    one, other = (
        load_system("flameformer", each.folder("flameformer")).state_dict()
        for each in (whole, part)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def people() -> HeadStatistics:
    return HeadStatistics.load()


def test_the_second_data_set_has_other_heads_and_all_else_as_it_was(tmp_path, people, capsys):
    head = load_head()
    made = made_motions(tmp_path / "cache", head)
    before = np.array(made.motions)
    words = ["--cache", str(tmp_path / "cache"), "--runs", str(tmp_path), "--threads", "1", "heads"]
    main(["train", *words, "--to", str(tmp_path / "second")])
    assert "7 performances with heads of their own" in capsys.readouterr().out
    second = MotionSet(made.corpus, tmp_path / "second" / "motions")
    columns = Columns(head.channels)
    others = np.ones(columns.count, bool)
    others[columns.head] = False
    assert np.array_equal(made.motions, before) and np.array_equal(
        second.motions[..., others], before[..., others]
    )
    turned = second.motions[..., columns.head].astype(float)
    assert np.array_equal(second.features, made.features) and second.rows == made.rows
    frames = second.rows[0].frames
    # every performance has its own
    assert all(np.abs(turned[0, :frames] - turned[v, :frames]).max() > 1e-3 for v in (1, 2))
    main(["train", *words, "--to", str(tmp_path / "second")])
    assert np.array_equal(
        MotionSet(made.corpus, tmp_path / "second" / "motions").motions[..., columns.head], turned
    )
    with pytest.raises(SystemExit, match="another folder"):
        with_heads(
            made,
            tmp_path / "cache" / "motions",
            tmp_path / "cache" / "motions",
            columns.head,
            people,
        )


def test_thunder_t_hears_what_its_own_encoder_does():
    encoder = TrainableEncoder.load(SHIPPED)
    waves, features = 0.1 * torch.randn(1, 16000), torch.randn(1, 25, 298)
    learner = ThunderLearner(torch.nn.Identity(), encoder)
    heard = learner.features({"waves": waves, "features": features})
    arrays = [each[0].numpy() for each in encoder(encoder.prepare(waves))]
    assert np.allclose(heard[0, :, :-2], phonetic(*arrays, 25), atol=1e-4)
    assert torch.equal(heard[..., -2:], features[..., -2:])
