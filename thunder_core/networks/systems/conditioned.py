# SPDX-License-Identifier: GPL-3.0-or-later
"""A denoiser with one condition besides the sound, as an extra token: the base of DiffPoseTalk and Media2Face.

As THUNDER's denoiser, but a frame's keys are its own speech, the diffusion step, and the condition at that frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn, Tensor

from ...engine.diffusion import ancestral_sample, in_windows, Normal, sample, seeded_noise, STEPS
from ...progress import no_progress, Progress
from ..denoiser import alibi_bias, alibi_slopes, SelfAttention, step_embedding
from .base import Standardised


@dataclass(frozen=True)
class ConditionedConfig:
    """Sizes of a conditioned denoiser, as its card stores them."""

    motion: int
    audio: int
    condition: int  # width of the condition
    width: int = 128
    layers: int = 8
    heads: int = 4
    feedforward: int = 512


class TokenCrossAttention(nn.Module):
    """Attention of frame t to its own audio frame and to tokens that belong to frame t (or to all), without a T × T matrix."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, sources: Sequence[Tensor]) -> Tensor:
        """x [B, T, width]; sources: keys of each frame, each [B or 1, T or 1, width] → [B, T, width]."""

        def split(y: Tensor) -> Tensor:
            return y.unflatten(-1, (self.heads, -1))

        q = split(self.q(x))
        keys, values = zip(*([split(y) for y in self.kv(source).chunk(2, -1)] for source in sources))
        logits = torch.stack([(q * k).sum(-1) for k in keys], -1) / math.sqrt(q.shape[-1])
        share = logits.softmax(-1).unbind(-1)
        return self.out(sum(s[..., None] * v for s, v in zip(share, values)).flatten(-2))


class ConditionedLayer(nn.Module):
    """Self-attention over frames, cross-attention to speech and tokens, a perceptron; each normalised first and added."""

    def __init__(self, config: ConditionedConfig):
        super().__init__()
        w = config.width
        self.norms = nn.ModuleList(nn.LayerNorm(w) for _ in range(3))
        self.self_attention = SelfAttention(w, config.heads)
        self.cross_attention = TokenCrossAttention(w, config.heads)
        self.feedforward = nn.Sequential(nn.Linear(w, config.feedforward), nn.GELU(), nn.Linear(config.feedforward, w))

    def forward(self, x: Tensor, sources: Sequence[Tensor], bias: Tensor) -> Tensor:
        """x [B, T, width], sources as `TokenCrossAttention`, bias [heads, T, T] → [B, T, width]."""
        x = x + self.self_attention(self.norms[0](x), bias)
        x = x + self.cross_attention(self.norms[1](x), sources)
        return x + self.feedforward(self.norms[2](x))


class ConditionedDenoiser(Standardised):
    """Noisy standardised motion [B, T, C], step [B], speech features [B, T, d], condition [B, 1 or T, c] → x̂_0 [B, T, C]."""

    Config = ConditionedConfig

    def __init__(self, config: ConditionedConfig):
        super().__init__(config)
        w = config.width
        self.motion_in, self.audio_in = nn.Linear(config.motion, w), nn.Linear(config.audio, w)
        self.step_in = nn.Sequential(nn.Linear(w, w), nn.SiLU(), nn.Linear(w, w))
        self.condition_in = nn.Sequential(nn.Linear(config.condition, w), nn.SiLU(), nn.Linear(w, w))
        self.no_audio = nn.Parameter(torch.zeros(config.audio))
        self.no_condition = nn.Parameter(torch.zeros(config.condition))
        self.layers = nn.ModuleList(ConditionedLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(w)
        self.motion_out = nn.Linear(w, config.motion)
        self.register_buffer("slopes", alibi_slopes(config.heads), persistent=False)

    def forward(
        self, x: Tensor, step: Tensor, audio: Tensor, silent: Tensor | None = None, style: Tensor | None = None,
        free: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Estimate x̂_0 of a noisy motion x; arguments as `diffusion.denoiser.Denoiser`, of which `style` is the condition."""
        audio = self.heard(audio)
        if silent is not None:
            audio = torch.where(silent[:, None, None], self.no_audio, audio)
        known = self.no_condition[None, None] if style is None else style
        if style is not None and free is not None:
            known = torch.where(free[:, None, None], self.no_condition, known)
        sources = (self.audio_in(audio), self.step_in(step_embedding(step, self.config.width))[:, None], self.condition_in(known))
        y, bias = self.motion_in(x), alibi_bias(x.shape[1], self.slopes)
        for layer in self.layers:
            y = layer(y, sources, bias)
        return self.motion_out(self.norm(y))

    @torch.no_grad()
    def sample(
        self, audio: Tensor, seeds: Sequence[int], condition: Tensor | None = None, steps: int = 20, guidance: float = 1.0,
        progress: Progress = no_progress,
    ) -> Tensor:  # fmt: skip
        """Packed motions [S, T, C] (`base.SystemNetwork`)."""
        return sample_denoised(self, audio, seeds, condition, steps, guidance, progress)


def sample_denoised(
    network, audio: Tensor, seeds: Sequence[int], condition: Tensor | None = None, steps: int = 20, guidance: float = 1.0,
    progress: Progress = no_progress,
) -> Tensor:  # fmt: skip
    """Packed motions [S, T, C] by DPM-Solver++ through a denoiser, with classifier-free guidance of the sound (§4.2).

    condition: [S or 1, T or 1, c], None for any.  steps: of the solver; STEPS are all there are, sampled as the paper does, one draw
    after the other (then a motion depends on how many are sampled with it).
    """
    frames, at, device = audio.shape[1], {"done": 0.0}, audio.device
    hide = torch.ones(1, dtype=torch.bool, device=device)
    per_frame = condition is not None and condition.shape[1] > 1

    def denoise(x: np.ndarray, step: int, a: int, b: int) -> np.ndarray:
        progress(at["done"] + a / frames / steps)
        some = condition[:, a:b] if per_frame else condition
        mixed, now = torch.from_numpy(np.ascontiguousarray(x)).to(device), torch.tensor([step], device=device)
        x0 = network(mixed, now, audio[:, a:b], style=some)
        if guidance != 1.0:
            x0 = guidance * x0 + (1 - guidance) * network(mixed, now, audio[:, a:b], hide, some)
        return x0.cpu().numpy()

    noise = seeded_noise(seeds, frames, network.config.motion)
    if hasattr(network, "first_noise"):  # of weights that perform in Blender: shifted, so that faces blink
        noise = network.first_noise(torch.from_numpy(noise).to(device)).cpu().numpy()
    whole = in_windows(denoise, frames)

    def count(fraction: float, _: str = "") -> None:
        at["done"] = fraction

    made = ancestral_sample(whole, noise, Normal(seeds[0]), count) if steps == STEPS else sample(whole, noise, steps, count)
    return network.restore(torch.from_numpy(made).to(device))
