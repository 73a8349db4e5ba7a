# SPDX-License-Identifier: GPL-3.0-or-later
"""Attention in bfloat16, which is computed otherwise than the fused one, is the same attention."""

import pytest
import torch
import torch.nn.functional as F

from thunder_core.engine.attention import attention
from thunder_core.engine.diffusion.denoiser import alibi_bias, alibi_slopes
from thunder_core.engine.systems.flameformer import causal_bias


@pytest.mark.parametrize("bias", [None, "alibi", "causal"])
def test_in_half_precision_attention_and_its_gradients_are_near_the_exact_ones(bias, monkeypatch):
    torch.manual_seed(0)
    drawn = [torch.randn(3, 4, 21, 8) for _ in range(3)]
    added = {"alibi": alibi_bias(21, alibi_slopes(4)), "causal": causal_bias(21, alibi_slopes(4), 5)}.get(bias)
    fused, results = [], []
    original = F.scaled_dot_product_attention
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda *args, **kw: fused.append(args[0].dtype) or original(*args, **kw))
    for kind in (torch.float32, torch.bfloat16):
        q, k, v = (x.to(kind).requires_grad_() for x in drawn)
        result = attention(q, k, v, added)
        weights = torch.linspace(-1, 1, result.numel()).reshape(result.shape).to(kind)
        results.append([result, *torch.autograd.grad((result * weights).sum(), (q, k, v))])
    assert fused == [torch.float32], "bfloat16 does without the fused attention"
    for exact, half in zip(*results):
        assert half.dtype == torch.bfloat16 and (half.float() - exact).abs().mean() < 0.02 * exact.abs().mean()


@pytest.mark.parametrize("bias", [None, "alibi", "causal"])
def test_products_in_half_precision_are_near_the_exact_attention_for_any_number_of_takes(bias):
    torch.manual_seed(0)
    drawn = [torch.randn(3, 4, 21, 8) for _ in range(3)]
    added = {"alibi": alibi_bias(21, alibi_slopes(4)), "causal": causal_bias(21, alibi_slopes(4), 5)}.get(bias)
    exact, half = attention(*drawn, added), attention(*(x.bfloat16() for x in drawn), added)
    assert half.dtype == torch.bfloat16 and half.shape == exact.shape
    assert (half.float() - exact).abs().mean() < 0.01 * exact.abs().mean()
    alone = attention(*(x[1:2].bfloat16() for x in drawn), added)
    assert torch.equal(alone, half[1:2]), "a take does not depend on those beside it"


@pytest.mark.parametrize("logit", [200.0, -200.0])
def test_logits_too_large_for_products_go_to_the_fused_attention(logit, monkeypatch):
    fused, original = [], F.scaled_dot_product_attention
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda *args, **kw: fused.append(args[0].dtype) or original(*args, **kw))
    q, v = torch.ones(1, 1, 5, 4), torch.arange(20.0).reshape(1, 1, 5, 4)
    small = attention(*(x.bfloat16() for x in (q, q, v)))
    assert not fused
    large = attention(*(x.bfloat16() for x in (q, q * logit / 2, v)))  # 4 channels: a logit is the sum over them, divided by 2
    assert fused == [torch.bfloat16]
    assert torch.allclose(large.float(), v.mean(2, keepdim=True).expand_as(v), atol=0.1)
    assert torch.allclose(small.float(), large.float(), atol=0.1)
