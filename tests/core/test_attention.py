# SPDX-License-Identifier: GPL-3.0-or-later
"""Attention in bfloat16, which is computed otherwise than the fused one, is the same attention."""

import pytest
import torch
import torch.nn.functional as F

from thunder_core.networks.conformer import attention
from thunder_core.networks.denoiser import alibi_bias, alibi_slopes
from thunder_core.networks.systems.regressors import causal_bias


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
