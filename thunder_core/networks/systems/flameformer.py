# SPDX-License-Identifier: GPL-3.0-or-later
"""FlameFormer: FaceFormer (Fan et al. 2022) on expression and rotations instead of vertices.

An autoregressive transformer decoder: frame t is made from the frames before it, the speech of frame t and a training speaker.
Positions are a sinusoidal code that repeats with a period; self-attention is causal, biased towards the nearest periods;
cross-attention is aligned, so that frame t sees the speech of frame t alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn, Tensor

from ...progress import no_progress, Progress
from ..attention import attention
from ..denoiser import alibi_slopes
from .base import speakers_of, Standardised

CONTEXT = 500  # frames that attention looks back at most, so that memory and time stay bounded on long lines


@dataclass(frozen=True)
class FlameFormerConfig:
    """Sizes of a FlameFormer, as its card stores them."""

    motion: int  # channels of x: expression, jaw, head, eyes
    audio: int  # width of the speech features
    speakers: int  # number of training speakers
    width: int = 128
    layers: int = 4
    heads: int = 4
    feedforward: int = 512
    period: int = 25  # frames after which positional codes repeat: a second


def periodic_code(first: int, count: int, period: int, width: int) -> Tensor:
    """Sinusoidal code [count, width] of the frames from `first` on, modulo the period: sines in even columns, cosines in odd ones."""
    t = (torch.arange(first, first + count) % period).float()
    angle = t[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)


def causal_bias(frames: int, slopes: Tensor, period: int, context: int = CONTEXT) -> Tensor:
    """[heads, T, T]: −slope · ⌊(i − j) / period⌋ for the past j ≤ i, −∞ for the future and for frames `context` or more ago."""
    t = torch.arange(frames, device=slopes.device)
    ago = t[:, None] - t[None]
    bias = -slopes[:, None, None] * torch.div(ago, period, rounding_mode="floor")
    return bias.masked_fill((ago < 0) | (ago >= context), -torch.inf)


class CausalSelfAttention(nn.Module):
    """Multi-head self-attention under a bias, for all frames at once or for one more frame after those that are remembered."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor, memory: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x [B, n, width], bias [heads, n, m] → (result [B, n, width], keys and values of all m frames).

        memory: keys and values [B, heads, m − n, width / heads] of the frames before x.
        """
        q, k, v = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in self.qkv(x).chunk(3, -1))
        if memory is not None:
            k, v = torch.cat([memory[0], k], 2), torch.cat([memory[1], v], 2)
        y = attention(q, k, v, bias)
        return self.out(y.transpose(1, 2).flatten(2)), (k, v)


class AlignedCrossAttention(nn.Module):
    """Attention of frame t to one key, its own audio frame, in closed form.

    A softmax over one logit is 1: queries and keys cancel, and what remains is the value's projection.
    """

    def __init__(self, width: int):
        super().__init__()
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, audio: Tensor) -> Tensor:
        """audio [B, T, width] → what every frame gets of it, the same shape."""
        return self.out(self.value(audio))


class FlameFormerLayer(nn.Module):
    """Causal self-attention, aligned cross-attention and a perceptron; each normalised first and added."""

    def __init__(self, config: FlameFormerConfig):
        super().__init__()
        w = config.width
        self.norms = nn.ModuleList(nn.LayerNorm(w) for _ in range(2))
        self.self_attention = CausalSelfAttention(w, config.heads)
        self.cross_attention = AlignedCrossAttention(w)
        self.feedforward = nn.Sequential(nn.Linear(w, config.feedforward), nn.GELU(), nn.Linear(config.feedforward, w))

    def forward(
        self, x: Tensor, audio: Tensor, bias: Tensor, memory: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x, audio [B, n, width] → (the same shape, keys and values of the self-attention)."""
        attended, memory = self.self_attention(self.norms[0](x), bias, memory)
        x = x + attended + self.cross_attention(audio)
        return x + self.feedforward(self.norms[1](x)), memory


class FlameFormer(Standardised):
    """The motion before each frame [B, T, C], speech features [B, T, d] and a speaker [B] → motion [B, T, C], standardised."""

    name = "flameformer"
    Config = FlameFormerConfig

    def __init__(self, config: FlameFormerConfig):
        super().__init__(config)
        self.motion_in = nn.Linear(config.motion, config.width)
        self.audio_in = nn.Linear(config.audio, config.width)
        self.speaker_in = nn.Embedding(config.speakers, config.width)  # a one-hot vector times a matrix
        self.layers = nn.ModuleList(FlameFormerLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.motion_out = nn.Linear(config.width, config.motion)
        self.register_buffer("slopes", alibi_slopes(config.heads), persistent=False)

    def forward(self, before: Tensor, audio: Tensor, speaker: Tensor) -> Tensor:
        """All frames at once, as training has them: `before`[:, t] is the standardised motion of frame t − 1, zeros for the first."""
        frames, config = before.shape[1], self.config
        bias = causal_bias(frames, self.slopes, config.period)
        y, features = self._embedded(before, 0, speaker), self.audio_in(self.heard(audio))
        for layer in self.layers:
            y, _ = layer(y, features, bias)
        return self.motion_out(self.norm(y))

    def _embedded(self, before: Tensor, first: int, speaker: Tensor) -> Tensor:
        code = periodic_code(first, before.shape[1], self.config.period, self.config.width).to(before)
        return self.motion_in(before) + self.speaker_in(speaker)[:, None] + code

    @torch.no_grad()
    def free_run(self, audio: Tensor, speaker: Tensor, progress: Progress = no_progress) -> Tensor:
        """Standardised motions [B, T, C], frame after frame from the model's own, of features [1 or B, T, d] for speakers [B]."""
        frames, features = audio.shape[1], self.audio_in(self.heard(audio)).expand(len(speaker), -1, -1)
        row = causal_bias(min(frames, CONTEXT), self.slopes, self.config.period)[:, -1:].flip(-1)  # by how many frames ago
        before, memories, result = audio.new_zeros(len(speaker), 1, self.config.motion), [None] * len(self.layers), []
        for t in range(frames):
            progress(t / frames)
            y = self._embedded(before, t, speaker)
            bias = row[..., : min(t + 1, CONTEXT)].flip(-1)
            for i, layer in enumerate(self.layers):
                kept = None if memories[i] is None else tuple(m[:, :, -(CONTEXT - 1) :] for m in memories[i])
                y, memories[i] = layer(y, features[:, t : t + 1], bias, kept)
            before = self.motion_out(self.norm(y))
            result.append(before)
        return torch.cat(result, 1)

    @torch.no_grad()
    def sample(
        self, audio: Tensor, seeds: Sequence[int], condition: Tensor | None = None, steps: int = 20, guidance: float = 1.0,
        progress: Progress = no_progress,
    ) -> Tensor:  # fmt: skip
        """Packed motions [S, T, C]: every seed draws a training speaker, and nothing else is random (`base.SystemNetwork`)."""
        speakers = speakers_of(seeds, self.config.speakers).to(audio.device)
        return self.restore(self.free_run(audio, speakers, progress))
