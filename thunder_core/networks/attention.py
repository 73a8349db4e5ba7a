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
    # A processor's fused attention takes ten times as long for gradients in bfloat16; a graph has no fused one.
    if torch.jit.is_tracing() or (q.dtype == torch.bfloat16 and q.device.type == "cpu" and q.requires_grad):
        logits = ((q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)).float()
        return (logits if bias is None else logits + bias).softmax(-1).to(v.dtype) @ v
    return F.scaled_dot_product_attention(q, k, v, attn_mask=None if bias is None else bias.to(q.dtype)[None])
