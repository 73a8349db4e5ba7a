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
    if q.dtype == torch.bfloat16 and q.requires_grad and q.device.type == "cpu":
        return _in_steps(q, k, v, bias)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=None if bias is None else bias.to(q.dtype)[None])


def _in_steps(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """The same from single operations: a processor's fused attention takes ten times as long for gradients in bfloat16."""
    logits = (q @ k.transpose(-1, -2)).float() * q.shape[-1] ** -0.5
    if bias is not None:
        logits = logits + bias
    return logits.softmax(-1).to(v.dtype) @ v
