# SPDX-License-Identifier: GPL-3.0-or-later
"""The first layers of Whisper's encoder (Radford et al. 2022), which a speech encoder may stand on.

Parameters have the names that transformers' `WhisperEncoder` gives them, and it computes the same;
written out because layers in the middle are wanted, in windows of any length, and as a graph.
"""

import math
from collections.abc import Sequence
from typing import Self

import torch
import torch.nn.functional as F
from torch import nn, Tensor

from ..acoustics import BINS
from .conformer import attention

_LONGEST_WAVE = 10000.0  # of the positions' sines, over 2π frames
_SIZES = ("d_model", "encoder_layers", "encoder_attention_heads", "encoder_ffn_dim")
_MOST_LAYERS = 32


class WhisperAttention(nn.Module):
    """Every frame attends to all, [B, N, width] → the same."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, N, width] → [B, N, width]."""
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.out_proj(attention(q, k, v).transpose(1, 2).flatten(2))


class WhisperLayer(nn.Module):
    """Attention and a perceptron, each normalised before and added, [B, N, width] → the same."""

    def __init__(self, width: int, heads: int, inner: int):
        super().__init__()
        self.self_attn = WhisperAttention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, N, width] → [B, N, width]."""
        x = x + self.self_attn(self.self_attn_layer_norm(x))
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))


class Whisper(nn.Module):
    """Whisper's log-mels [B, 2N, 80] → the outputs of some of its layers side by side, [B, N,
    heard_width] at 50 Hz."""

    def __init__(self, width: int, layers: int, heads: int, inner: int, heard: Sequence[int] = ()):
        """heard: numbers of the layers whose outputs are given, from 1; none: of all."""
        super().__init__()
        self.width, self.heard = width, tuple(heard) or tuple(range(1, layers + 1))
        self.sizes = width, layers, heads, inner
        self.conv1 = nn.Conv1d(BINS, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.layers = nn.ModuleList(WhisperLayer(width, heads, inner) for _ in range(layers))

    @classmethod
    def of_config(cls, body: dict) -> Self:
        """The network that a card describes, in the words of `config`. Raises KeyError, ValueError
        or TypeError where it does not."""
        width, layers, heads, inner = (body[name] for name in _SIZES)
        if not 0 < layers <= _MOST_LAYERS or width % heads:
            raise ValueError(f"{layers} layers, {heads} heads")
        return cls(width, layers, heads, inner, body["heard"])

    def config(self) -> dict:
        """Its sizes, for a card, in transformers' words."""
        return {"model_type": "whisper", **dict(zip(_SIZES, self.sizes)), "heard": list(self.heard)}

    @property
    def heard_width(self) -> int:
        """Channels of the result."""
        return self.width * len(self.heard)

    def forward(self, mel: Tensor) -> Tensor:
        """Outputs of the heard layers [B, N, heard_width], of log-mels [B, 2N, 80]."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel.transpose(1, 2))))).transpose(1, 2)
        x, outputs = x + positions(x.shape[1], self.width, x), []
        for layer in self.layers:
            x = layer(x)
            outputs.append(x)
        return torch.cat([outputs[number - 1] for number in self.heard], -1)


def positions(frames: int, width: int, like: Tensor) -> Tensor:
    """Sines and cosines [frames, width] of the frames' numbers, which Whisper adds to its input."""
    half = width // 2
    pace = torch.exp(
        torch.arange(half, device=like.device) * -(math.log(_LONGEST_WAVE) / (half - 1))
    )
    angle = torch.arange(frames, device=like.device).float()[:, None] * pace
    return torch.cat([angle.sin(), angle.cos()], -1).to(like)
