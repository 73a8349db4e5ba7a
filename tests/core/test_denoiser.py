# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks do what their papers say, checked against the plain, slow form of the same equations,
or against other programs with the same weights."""

import pytest
import torch
import torch.nn.functional as F

from research.systems.regressors import causal_bias
from research.train.loop import start_from
from thunder_core.networks.bodies import attention, Conformer
from thunder_core.networks.denoiser import (
    alibi_bias,
    alibi_slopes,
    DenoiserConfig,
    DenoiserNetwork,
    DiagonalCrossAttention,
)


def masked_cross_attention(layer, x, audio, step):
    """The paper's form: T × (T + 1) attention over all audio frames and the step token, masked to a
    diagonal and a column."""
    batch, frames, width = x.shape
    memory = torch.cat([audio.expand(batch, -1, -1), step[:, None]], 1)
    q = layer.q(x).view(batch, frames, layer.heads, -1).transpose(1, 2)
    k, v = (
        y.view(batch, frames + 1, layer.heads, -1).transpose(1, 2)
        for y in layer.kv(memory).chunk(2, -1)
    )
    visible = torch.cat(
        [torch.eye(frames, dtype=torch.bool), torch.ones(frames, 1, dtype=torch.bool)], 1
    )
    heard = F.scaled_dot_product_attention(q, k, v, visible)
    return layer.out(heard.transpose(1, 2).flatten(2))


@pytest.mark.parametrize("audio_batch", [1, 3])
def test_diagonal_cross_attention_equals_masked_attention(audio_batch):
    torch.manual_seed(0)
    layer = DiagonalCrossAttention(24, 4).double()
    x, step = torch.randn(3, 11, 24).double() * 3, torch.randn(3, 24).double() * 3
    audio = torch.randn(audio_batch, 11, 24).double() * 3
    assert torch.allclose(
        layer(x, audio, step), masked_cross_attention(layer, x, audio, step), atol=1e-12
    )


def test_alibi_is_symmetric_and_falls_with_distance():
    bias = alibi_bias(7, alibi_slopes(4))
    assert torch.equal(bias, bias.transpose(1, 2))
    assert (bias[:, 0].diff(dim=-1) < 0).all()
    assert bias[0, 2, 5] == -3 * 0.25  # slope 2^(−8/4) of the first head


def made(**config) -> DenoiserNetwork:
    """A small denoiser that nobody trained."""
    torch.manual_seed(1)
    sizes = dict(motion=6, audio=5, width=32, layers=2, heads=4, feedforward=64)
    return DenoiserNetwork(DenoiserConfig(**sizes | config)).eval()


def given(takes=1):
    """(motions, a step, a sound, styles) of nine frames."""
    sound = torch.randn(1, 9, 5)
    return torch.randn(takes, 9, 6), torch.tensor([500]), sound, torch.randn(takes, 1, 3)


def test_frame_sees_its_own_audio_only_through_its_neighbours_attention():
    """With one layer, changing the audio of one frame changes that frame's output alone."""
    model, (x, step, audio, _) = made(layers=1), given()
    changed = audio.clone()
    changed[0, 4] += 1
    moved = (model(x, step, audio) - model(x, step, changed)).abs().amax(-1)[0]
    assert moved[4] > 1e-4
    assert moved[torch.arange(9) != 4].max() < 1e-6


def test_hidden_audio_is_the_same_for_every_sound():
    model, x, step = made(), torch.randn(2, 9, 6), torch.tensor([10, 700])
    hide = torch.ones(2, dtype=torch.bool)
    first, second = (model(x, step, torch.randn(2, 9, 5), hide) for _ in range(2))
    assert torch.equal(first, second)


def test_a_new_model_that_hears_the_map_is_the_one_that_it_started_from():
    """Then a map's curves move it, also where the sound is hidden."""
    before, (x, step, audio, _), hide = made(), given(2), torch.ones(2, dtype=torch.bool)
    model, mouth = made(mouth=4), torch.randn(1, 9, 4)
    assert start_from(model, before.state_dict()) == {"mouth_in.weight"}
    assert torch.equal(model(x, step, audio, mouth=mouth), before(x, step, audio))
    torch.nn.init.normal_(model.mouth_in.weight)
    for silent in (None, hide):
        moved = model(x, step, audio, silent, mouth=mouth) - model(x, step, audio, silent)
        assert moved.abs().amax(-1).min() > 1e-3
    assert torch.equal(before(x, step, audio, mouth=mouth), before(x, step, audio))


def taught() -> DenoiserNetwork:
    model = made(style=3)
    torch.nn.init.normal_(model.style_in[-1].weight, std=0.3)
    model.style_mean.normal_()
    model.style_std.uniform_(0.5, 2)
    model.no_style.data.normal_()
    return model


def test_free_rows_have_any_style_and_the_others_their_own():
    model, (x, step, audio, style) = taught(), given(2)
    y = model(x, step, audio, style=style, free=torch.tensor([True, False]))
    assert torch.allclose(y[0], model(x, step, audio)[0], atol=1e-6)
    assert torch.allclose(y[1], model(x, step, audio, style=style)[1], atol=1e-6)
    assert (y[1] - model(x, step, audio)[1]).abs().max() > 1e-3


def test_a_style_may_change_within_a_line():
    """What changes late in a line moves the frames before it less."""
    model, (x, step, audio, style) = taught(), given()
    held = style.repeat(1, 9, 1)
    assert torch.allclose(
        model(x, step, audio, style=held), model(x, step, audio, style=style), atol=1e-6
    )
    changed = held.clone()
    changed[0, 6:] += 1
    moved = (
        (model(x, step, audio, style=held) - model(x, step, audio, style=changed)).abs().amax(-1)[0]
    )
    assert moved[6:].min() > moved[:3].max() > 0


def reference(inputs, width, layers, heads, kernel):
    """transformers' network of the same sizes, in eval mode."""
    from transformers import Wav2Vec2BertConfig, Wav2Vec2BertModel

    return Wav2Vec2BertModel(
        Wav2Vec2BertConfig(
            hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
            intermediate_size=4 * width,
            feature_projection_input_dim=inputs, conv_depthwise_kernel_size=kernel,
            position_embeddings_type="rotary",
        )
    ).eval()  # fmt: skip


@pytest.mark.parametrize("frames", [1, 7, 90])
def test_untrained_networks_of_any_size_agree(frames):
    torch.manual_seed(0)
    theirs, ours = reference(24, 32, 3, 4, 9), Conformer(24, 32, 3, 4, 9).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, frames, 24)
    with torch.no_grad():
        assert torch.allclose(ours(x)[-1], theirs(x).last_hidden_state, atol=1e-5)


@pytest.mark.parametrize("bias", [None, "alibi", "causal"])
def test_in_half_precision_attention_and_its_gradients_are_near_the_exact_ones(bias, monkeypatch):
    torch.manual_seed(0)
    drawn = [torch.randn(3, 4, 21, 8) for _ in range(3)]
    added = {
        "alibi": alibi_bias(21, alibi_slopes(4)),
        "causal": causal_bias(21, alibi_slopes(4), 5),
    }.get(bias)
    fused, results = [], []
    original = F.scaled_dot_product_attention
    monkeypatch.setattr(
        F,
        "scaled_dot_product_attention",
        lambda *args, **kw: fused.append(args[0].dtype) or original(*args, **kw),
    )
    for kind in (torch.float32, torch.bfloat16):
        q, k, v = (x.to(kind).requires_grad_() for x in drawn)
        result = attention(q, k, v, added)
        weights = torch.linspace(-1, 1, result.numel()).reshape(result.shape).to(kind)
        results.append([result, *torch.autograd.grad((result * weights).sum(), (q, k, v))])
    assert fused == [torch.float32], "bfloat16 does without the fused attention"
    for exact, half in zip(*results):
        assert (
            half.dtype == torch.bfloat16
            and (half.float() - exact).abs().mean() < 0.02 * exact.abs().mean()
        )
