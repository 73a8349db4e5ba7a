# SPDX-License-Identifier: GPL-3.0-or-later
"""Attention of frames to frames, as all networks here compute it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Attention [B, heads, t, d] of queries q [B, heads, t, d] to keys and values [B, heads, T, d].

    bias [heads, t, T] is added to the logits.
    """
    if q.dtype == torch.bfloat16 and q.device.type == "cpu":
        if q.requires_grad:
            return _in_steps(q, k, v, bias)
        attended = _by_products(q, k, v, bias)
        if attended is not None:
            return attended
    return F.scaled_dot_product_attention(q, k, v, attn_mask=None if bias is None else bias.to(q.dtype)[None])


def _in_steps(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """The same from single operations: a processor's fused attention takes ten times as long for gradients in bfloat16."""
    logits = (q @ k.transpose(-1, -2)).float() * q.shape[-1] ** -0.5
    if bias is not None:
        logits = logits + bias
    return logits.softmax(-1).to(v.dtype) @ v


def _by_products(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor | None:
    """The same from matrix products in bfloat16, which takes a processor .7 of the time of its fused attention; None if logits are too
    large for it.

    Logits are rounded to bfloat16, and their exponentials are not made small by the largest logit of a row first: bfloat16 reaches as far
    as float32 does.
    """
    batch, heads, frames, width = q.shape
    result = q.new_empty([batch, frames, heads, width])
    scale, start = width**-0.5, q.new_empty([]) if bias is None else bias.to(q.dtype)
    for i in range(batch):  # one after the other: the logits of more would not fit into the cache, and a take would depend on its batch
        odds = torch.baddbmm(start, q[i], k[i].transpose(1, 2), beta=0 if bias is None else 1, alpha=scale).exp_()
        total = odds.sum(-1, keepdim=True)
        least, most = torch.aminmax(total)
        if not (least > 1e-30 and most < 1e30):  # within, no exponential that counts is lost
            return None
        torch.div(torch.bmm(odds, v[i]), total, out=result[i].transpose(0, 1))
    return result.transpose(1, 2)
