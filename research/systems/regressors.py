# SPDX-License-Identifier: GPL-3.0-or-later
"""Systems that are regressors, on expression and rotations instead of vertices: FlameFormer, which
is FaceFormer (Fan et al. 2022), and FlameSelfTalk, which is SelfTalk (Peng et al. 2023).

FlameFormer is an autoregressive transformer decoder: frame t is made from the frames before it, the
speech of frame t and a training speaker. Positions are a sinusoidal code that repeats with a
period; self-attention is causal, biased towards the nearest periods; cross-attention is aligned, so
that frame t sees the speech of frame t alone.

FlameSelfTalk makes all frames at once from speech and a training speaker. In training a lip reader
transcribes the lips (`research/train/lip_reader.py`).
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn, Tensor

from thunder_core.engine.diffusion import in_windows
from thunder_core.networks.bodies import attention
from thunder_core.networks.denoiser import alibi_bias, alibi_slopes, BiasedAttention, Standardised
from thunder_core.progress import no_progress, Progress

# frames that attention looks back at most, so that memory and time stay bounded on long lines
CONTEXT = 500


@dataclass(frozen=True)
class RegressorConfig:
    """Sizes of a regressor, as its card stores them."""

    motion: int  # channels of x: expression, jaw, head, eyes
    audio: int  # width of the speech features
    speakers: int  # number of training speakers
    width: int = 128
    layers: int = 4
    heads: int = 4
    feedforward: int = 512


@dataclass(frozen=True)
class FlameFormerConfig(RegressorConfig):
    """Sizes of a FlameFormer."""

    period: int = 25  # frames after which positional codes repeat: a second


def periodic_code(first: int, count: int, period: int, width: int) -> Tensor:
    """Sinusoidal code [count, width] of the frames from `first` on, modulo the period: sines in
    even columns, cosines in odd ones."""
    t = (torch.arange(first, first + count) % period).float()
    angle = t[:, None] * torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)


def causal_bias(frames: int, slopes: Tensor, period: int, context: int = CONTEXT) -> Tensor:
    """[heads, T, T]: −slope · ⌊(i − j) / period⌋ for the past j ≤ i, −∞ for the future and for
    frames `context` or more ago."""
    t = torch.arange(frames, device=slopes.device)
    ago = t[:, None] - t[None]
    bias = -slopes[:, None, None] * torch.div(ago, period, rounding_mode="floor")
    return bias.masked_fill((ago < 0) | (ago >= context), -torch.inf)


class CausalSelfAttention(BiasedAttention):
    """Multi-head self-attention under a bias, for all frames at once or for one more frame after
    those that are remembered."""

    def forward(
        self, x: Tensor, bias: Tensor, memory: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x [B, n, width], bias [heads, n, m] → (result [B, n, width], keys and values of all m
        frames).

        memory: keys and values [B, heads, m − n, width / heads] of the frames before x.
        """
        q, k, v = (
            y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in self.qkv(x).chunk(3, -1)
        )
        if memory is not None:
            k, v = torch.cat([memory[0], k], 2), torch.cat([memory[1], v], 2)
        y = attention(q, k, v, bias)
        return self.out(y.transpose(1, 2).flatten(2)), (k, v)


class AlignedCrossAttention(nn.Sequential):
    """Attention of frame t to one key, its audio frame, in closed form: audio [B, T, width] → what
    every frame gets of it.

    A softmax over one logit is 1: queries and keys cancel, and what remains is the value's
    projection.
    """

    def __init__(self, width: int):
        super().__init__(OrderedDict(value=nn.Linear(width, width), out=nn.Linear(width, width)))


class ParallelLayer(nn.Module):
    """Self-attention over all frames, aligned cross-attention to the speech, a perceptron; each
    normalised first and added."""

    Attention: ClassVar[type[nn.Module]] = BiasedAttention

    def __init__(self, width: int, heads: int, feedforward: int):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.self_attention = self.Attention(width, heads)
        self.cross_attention = AlignedCrossAttention(width)
        self.feedforward = nn.Sequential(
            nn.Linear(width, feedforward), nn.GELU(), nn.Linear(feedforward, width)
        )

    def forward(self, x: Tensor, audio: Tensor, bias: Tensor) -> Tensor:
        """x, audio [B, T, width], bias [heads, T, T] → [B, T, width]."""
        x = x + self.self_attention(self.norms[0](x), bias) + self.cross_attention(audio)
        return x + self.feedforward(self.norms[1](x))


class FlameFormerLayer(ParallelLayer):
    """The same with causal self-attention."""

    Attention = CausalSelfAttention

    def forward(
        self, x: Tensor, audio: Tensor, bias: Tensor, memory: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x, audio [B, n, width] → (the same shape, keys and values of the self-attention)."""
        attended, memory = self.self_attention(self.norms[0](x), bias, memory)
        x = x + attended + self.cross_attention(audio)
        return x + self.feedforward(self.norms[1](x)), memory


def speakers_of(seeds: Sequence[int], count: int) -> Tensor:
    """A training speaker for every seed, int64 [S]: the same seed has the same one in every
    batch."""
    return torch.cat(
        [
            torch.randint(count, (1,), generator=torch.Generator().manual_seed(int(seed) % 2**63))
            for seed in seeds
        ]
    )


class Regressor(Standardised):
    """A decoder that makes motion of speech features and a training speaker: the base of
    FlameFormer and FlameSelfTalk.

    They have `free_run(audio [1 or B, T, d], speaker [B], progress)` → standardised motions [B, T,
    C].
    """

    Layer: ClassVar[type[ParallelLayer]] = ParallelLayer

    def __init__(self, config: RegressorConfig):
        super().__init__(config)
        w = config.width
        self.audio_in = nn.Linear(config.audio, w)
        self.speaker_in = nn.Embedding(config.speakers, w)  # a one-hot vector times a matrix
        self.layers = nn.ModuleList(
            self.Layer(w, config.heads, config.feedforward) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(w)
        self.motion_out = nn.Linear(w, config.motion)
        self.slopes = nn.Buffer(alibi_slopes(config.heads), persistent=False)

    @torch.no_grad()
    def sample(
        self, audio: Tensor, seeds: Sequence[int], condition: Tensor | None = None,
        steps: int = 20, guidance: float = 1.0,
        progress: Progress = no_progress,
    ) -> Tensor:  # fmt: skip
        """Packed motions [S, T, C]: every seed draws a training speaker, and nothing else is random
        (`systems`)."""
        speakers = speakers_of(seeds, self.config.speakers).to(audio.device)
        return self.restore(self.free_run(audio, speakers, progress))


class FlameFormer(Regressor):
    """The motion before each frame [B, T, C], speech features [B, T, d] and a speaker [B] → motion
    [B, T, C], standardised."""

    name = "flameformer"
    Config = FlameFormerConfig
    Layer = FlameFormerLayer

    def __init__(self, config: FlameFormerConfig):
        super().__init__(config)
        self.motion_in = nn.Linear(config.motion, config.width)

    def forward(self, before: Tensor, audio: Tensor, speaker: Tensor) -> Tensor:
        """All frames at once, as training has them: `before`[:, t] is the standardised motion of
        frame t − 1, zeros for the first."""
        frames, config = before.shape[1], self.config
        bias = causal_bias(frames, self.slopes, config.period)
        y, features = self._embed(before, 0, speaker), self.audio_in(self.standardise_audio(audio))
        for layer in self.layers:
            y, _ = layer(y, features, bias)
        return self.motion_out(self.norm(y))

    def _embed(self, before: Tensor, first: int, speaker: Tensor) -> Tensor:
        code = periodic_code(first, before.shape[1], self.config.period, self.config.width).to(
            before
        )
        return self.motion_in(before) + self.speaker_in(speaker)[:, None] + code

    @torch.no_grad()
    def free_run(self, audio: Tensor, speaker: Tensor, progress: Progress = no_progress) -> Tensor:
        """Standardised motions [B, T, C], each frame made from those before it, of features [1 or
        B, T, d] for speakers [B]."""
        frames = audio.shape[1]
        features = self.audio_in(self.standardise_audio(audio)).expand(len(speaker), -1, -1)
        # by how many frames ago
        row = causal_bias(min(frames, CONTEXT), self.slopes, self.config.period)[:, -1:].flip(-1)
        before = audio.new_zeros(len(speaker), 1, self.config.motion)
        memories: list[tuple[Tensor, Tensor] | None] = [None] * len(self.layers)
        result = []
        for t in range(frames):
            progress(t / frames)
            y = self._embed(before, t, speaker)
            bias = row[..., : min(t + 1, CONTEXT)].flip(-1)
            for i, layer in enumerate(self.layers):
                kept = (
                    None
                    if memories[i] is None
                    else tuple(m[:, :, -(CONTEXT - 1) :] for m in memories[i])
                )
                y, memories[i] = layer(y, features[:, t : t + 1], bias, kept)
            before = self.motion_out(self.norm(y))
            result.append(before)
        return torch.cat(result, 1)


class FlameSelfTalk(Regressor):
    """Speech features [B, T, d] and a speaker [B] → standardised motion [B, T, C], all frames at
    once."""

    name = "flameselftalk"
    Config = RegressorConfig

    def forward(self, audio: Tensor, speaker: Tensor) -> Tensor:
        """audio [B, T, d], speaker int64 [B] → [B, T, C]."""
        features = self.audio_in(self.standardise_audio(audio))
        y = features + self.speaker_in(speaker)[:, None]
        bias = alibi_bias(audio.shape[1], self.slopes)
        for layer in self.layers:
            y = layer(y, features, bias)
        return self.motion_out(self.norm(y))

    @torch.no_grad()
    def free_run(self, audio: Tensor, speaker: Tensor, progress: Progress = no_progress) -> Tensor:
        """Standardised motions [B, T, C], window by window, of features [1, T, d] for speakers
        [B]."""
        frames = audio.shape[1]

        def window(x: np.ndarray, step: int, a: int, b: int) -> np.ndarray:
            progress(a / frames)
            return self(audio[:, a:b].expand(len(speaker), -1, -1), speaker).cpu().numpy()

        blank = np.zeros((len(speaker), frames, self.config.motion), np.float32)
        return torch.from_numpy(in_windows(window, frames)(blank, 0)).to(audio.device)
