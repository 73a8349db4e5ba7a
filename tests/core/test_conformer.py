# SPDX-License-Identifier: GPL-3.0-or-later
"""The encoder's conformer computes what transformers' Wav2Vec2BertModel does, with the same
weights; in bfloat16 nearly."""

import pytest
import torch
import torch.nn.functional as F

from thunder_core.engine.weights import SHIPPED
from thunder_core.networks.conformer import attention, Conformer
from thunder_core.networks.denoiser import alibi_bias, alibi_slopes
from thunder_core.networks.encoder import SpeechEncoder
from thunder_core.networks.systems.regressors import causal_bias


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


def test_the_shipped_encoder_agrees_and_its_gradients_do():
    torch.manual_seed(0)
    ours = SpeechEncoder.load(SHIPPED).body
    theirs = reference(320, 192, 5, 4, 31)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(1, 150, 320)
    with torch.no_grad():
        assert torch.allclose(ours(x)[-1], theirs(x).last_hidden_state, atol=1e-5)
    gradients = []
    for network in (lambda x: ours(x)[-1], lambda x: theirs(x).last_hidden_state):
        leaf = x.clone().requires_grad_()
        network(leaf).square().mean().backward()
        gradients.append(leaf.grad)
    assert torch.allclose(*gradients, atol=1e-6 + 1e-4 * float(gradients[1].abs().max()))


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
