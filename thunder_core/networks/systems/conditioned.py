# SPDX-License-Identifier: GPL-3.0-or-later
"""Systems that are denoisers: THUNDER's, and one with a condition besides the sound, the base of DiffPoseTalk and Media2Face.

The condition is an extra token: a frame's keys are its own speech, the diffusion step, and the condition at that frame. All else is as in
THUNDER's denoiser.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn, Tensor

from ...engine.diffusion.ancestral import ancestral_sample
from ...engine.diffusion.noise import Normal, seeded_noise
from ...engine.diffusion.sampling import in_windows, sample, STEPS
from ...progress import no_progress
from ..denoiser import alibi_bias, alibi_slopes, DecoderLayer, Denoiser, DiagonalCrossAttention, Standardised, step_embedding
from .base import Progress


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


class TokenCrossAttention(DiagonalCrossAttention):
    """Attention of frame t to its own audio frame and to tokens that belong to frame t (or to all), without a T × T matrix."""

    def forward(self, x: Tensor, *sources: Tensor) -> Tensor:
        """x [B, T, width]; sources: keys of each frame, each [B or 1, T or 1, width] → [B, T, width]."""
        query = self.q(x).unflatten(-1, (self.heads, -1))
        keys, values = zip(*map(self.read, sources))
        logits = torch.stack([(query * key).sum(-1) for key in keys], -1) * self.scale
        share = logits.softmax(-1).unbind(-1)
        return self.out(sum(part[..., None] * value for part, value in zip(share, values)).flatten(-2))


@torch.no_grad()
def sample_denoised(
    network, audio: Tensor, seeds: Sequence[int], condition: Tensor | None = None, steps: int = 20, guidance: float = 1.0,
    progress: Progress = no_progress,
) -> Tensor:  # fmt: skip
    """Packed motions [S, T, C] (`systems.base`) by DPM-Solver++ through a denoiser, with classifier-free guidance of the sound (§4.2).

    condition: [S or 1, T or 1, c], None for any.  steps: of the solver; STEPS are all there are, sampled as the paper does, one draw
    after the other (then a motion depends on how many are sampled with it).
    """
    frames, at, device = audio.shape[1], {"step": 0}, audio.device
    hide = torch.ones(1, dtype=torch.bool, device=device)
    per_frame = condition is not None and condition.shape[1] > 1

    def denoise(x: np.ndarray, step: int, a: int, b: int) -> np.ndarray:
        progress((at["step"] + a / frames) / steps)
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

    def count(step: int, _: int) -> None:
        at["step"] = step

    made = ancestral_sample(whole, noise, Normal(seeds[0]), count) if steps == STEPS else sample(whole, noise, steps, count)
    return network.restore(torch.from_numpy(made).to(device))


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
        self.layers = nn.ModuleList(DecoderLayer(config, TokenCrossAttention) for _ in range(config.layers))
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
            y = layer(y, bias, *sources)
        return self.motion_out(self.norm(y))

    sample = sample_denoised


class PlainThunder(Denoiser):
    """THUNDER as compared in the paper: the denoiser alone, conditioned on sound only; Blender uses `thunder`. Weights of the one that
    performs in Blender fit too."""

    name = "thunder"
    sample = sample_denoised
