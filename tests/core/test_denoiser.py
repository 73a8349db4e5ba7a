# SPDX-License-Identifier: GPL-3.0-or-later
"""The denoiser does what §4.2 says, checked against the plain, slow form of the same equations."""

import math

import pytest
import torch

from thunder_core.networks.denoiser import (
    alibi_bias,
    alibi_slopes,
    Denoiser,
    DenoiserConfig,
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
    logits = q @ k.transpose(-1, -2) / math.sqrt(width // layer.heads)
    visible = torch.cat(
        [torch.eye(frames, dtype=torch.bool), torch.ones(frames, 1, dtype=torch.bool)], 1
    )
    weights = logits.masked_fill(~visible, -torch.inf).softmax(-1)
    return layer.out((weights @ v).transpose(1, 2).flatten(2))


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


def small() -> Denoiser:
    torch.manual_seed(1)
    return Denoiser(
        DenoiserConfig(motion=6, audio=5, width=32, layers=2, heads=4, feedforward=64)
    ).eval()


def test_frame_sees_its_own_audio_only_through_its_neighbours_attention():
    """With one layer, changing the audio of one frame changes that frame's output alone."""
    torch.manual_seed(1)
    model = Denoiser(
        DenoiserConfig(motion=6, audio=5, width=32, layers=1, heads=4, feedforward=64)
    ).eval()
    x, step, audio = torch.randn(1, 9, 6), torch.tensor([500]), torch.randn(1, 9, 5)
    changed = audio.clone()
    changed[0, 4] += 1
    moved = (model(x, step, audio) - model(x, step, changed)).abs().amax(-1)[0]
    assert moved[4] > 1e-4
    assert moved[torch.arange(9) != 4].max() < 1e-6


def test_hidden_audio_is_the_same_for_every_sound():
    model, x, step = small(), torch.randn(2, 9, 6), torch.tensor([10, 700])
    hide = torch.ones(2, dtype=torch.bool)
    first, second = (model(x, step, torch.randn(2, 9, 5), hide) for _ in range(2))
    assert torch.equal(first, second)


def styled() -> Denoiser:
    torch.manual_seed(2)
    return Denoiser(
        DenoiserConfig(motion=6, audio=5, style=3, width=32, layers=2, heads=4, feedforward=64)
    ).eval()


def taught() -> Denoiser:
    model = styled()
    torch.nn.init.normal_(model.style_in[-1].weight, std=0.3)
    model.style_mean.normal_()
    model.style_std.uniform_(0.5, 2)
    model.no_style.data.normal_()
    return model


def test_free_rows_have_any_style_and_the_others_their_own():
    model = taught()
    x = torch.randn(2, 9, 6)
    step = torch.tensor([10, 700])
    audio = torch.randn(2, 9, 5)
    style, free = torch.randn(2, 1, 3), torch.tensor([True, False])
    y = model(x, step, audio, style=style, free=free)
    assert torch.allclose(y[0], model(x, step, audio)[0], atol=1e-6)
    assert torch.allclose(y[1], model(x, step, audio, style=style)[1], atol=1e-6)
    assert (y[1] - model(x, step, audio)[1]).abs().max() > 1e-3


def test_a_style_may_change_within_a_line():
    """What changes late in a line moves the frames before it less."""
    model = taught()
    x = torch.randn(1, 9, 6)
    step = torch.tensor([500])
    audio = torch.randn(1, 9, 5)
    held = torch.zeros(1, 9, 3)
    assert torch.allclose(
        model(x, step, audio, style=held), model(x, step, audio, style=held[:, :1]), atol=1e-6
    )
    changed = held.clone()
    changed[0, 6:] += 1
    moved = (
        (model(x, step, audio, style=held) - model(x, step, audio, style=changed)).abs().amax(-1)[0]
    )
    assert moved[6:].min() > moved[:3].max() > 0


def test_takes_of_several_styles_do_not_see_each_other():
    model = taught()
    x = torch.randn(5, 9, 6)
    audio = torch.randn(1, 9, 5)
    style = torch.randn(5, 1, 3)
    step = torch.full((1,), 300)
    together = model(x, step, audio, style=style)
    alone = torch.cat([model(x[i : i + 1], step, audio, style=style[i : i + 1]) for i in range(5)])
    assert torch.allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("gradients", [True, False])
def test_half_precision_is_near(gradients):
    model = taught()
    x = torch.randn(3, 9, 6)
    audio = torch.randn(1, 9, 5)
    style = torch.randn(3, 1, 3)
    step = torch.tensor([300])
    with torch.set_grad_enabled(gradients):
        exact = model(x, step, audio, style=style)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(x, step, audio, style=style)
    assert (half - exact).abs().mean() < 0.05 * exact.abs().mean()
