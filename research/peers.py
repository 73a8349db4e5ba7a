# SPDX-License-Identifier: GPL-3.0-or-later
"""Sampling cost of other designs of speech-driven faces: networks of their published sizes with random weights.

Only the part that makes motion from speech features is built, in its plainest form: no speech encoder (theirs are wav2vec 2.0 or
HuBERT, larger than all of these), no renderer. So times favour the peers. Each function makes motions of a sound for some takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, Tensor

VERTICES = 5023 * 3  # coordinates that FaceFormer's decoder returns per frame of VOCASET, 30 frames per second
FACEFORMER = dict(width=64, heads=4, feedforward=128, fps=30)  # Fan et al. 2022, its VOCASET model
AUDIO2FACE = dict(latent=169, features=256, width=256, layers=2, hubert=768, steps=2, fps=60)  # diffusion_rnn of its training framework
ARTALK = dict(width=768, heads=12, depth=12, levels=(1, 5, 25, 50, 100), code=32, fps=25)  # Chu et al. 2025; the depth is assumed


class FaceFormer(nn.Module):
    """One transformer decoder layer, frame by frame: its output is fed back. Keys and values of earlier frames are cached."""

    def __init__(self, width: int, heads: int, feedforward: int, fps: int):
        super().__init__()
        self.heads, self.fps, self.width = heads, fps, width
        self.audio_in, self.face_in, self.face_out = nn.Linear(768, width), nn.Linear(VERTICES, width), nn.Linear(width, VERTICES)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.value, self.cross_out = nn.Linear(width, width), nn.Linear(width, width)
        self.feedforward = nn.Sequential(nn.Linear(width, feedforward), nn.ReLU(), nn.Linear(feedforward, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))

    def forward(self, takes: int, seconds: float) -> Tensor:
        """The face [takes, width] of the last frame."""
        frames = round(seconds * self.fps)
        audio = self.audio_in(torch.randn(takes, frames, 768))
        keys, values = (torch.empty(takes, self.heads, frames, self.width // self.heads) for _ in range(2))
        x = torch.zeros(takes, self.width)
        for t in range(frames):
            q, k, v = (y.unflatten(-1, (self.heads, -1)) for y in self.qkv(x).chunk(3, -1))
            keys[:, :, t], values[:, :, t] = k, v
            y = F.scaled_dot_product_attention(q[:, :, None], keys[:, :, : t + 1], values[:, :, : t + 1])
            x = self.norms[0](x + self.out(y.flatten(1)))
            x = self.norms[1](x + self.cross_out(self.value(audio[:, t])))  # its mask limits a frame to its own sound
            x = self.norms[2](x + self.feedforward(x))
            x = self.face_in(self.face_out(x))
        return x


class Audio2Face(nn.Module):
    """A GRU over frames that denoises the latent motion of the whole face in two steps."""

    def __init__(self, latent: int, features: int, width: int, layers: int, hubert: int, steps: int, fps: int):  # noqa: PLR0913
        super().__init__()
        self.latent, self.hubert, self.steps, self.fps = latent, hubert, steps, fps
        self.audio_in, self.noise_in = nn.Linear(2 * hubert, features), nn.Linear(latent, features)
        self.gru, self.out = nn.GRU(2 * features + 64, width, layers, batch_first=True), nn.Linear(width, latent)

    def forward(self, takes: int, seconds: float) -> Tensor:
        """Latent motion [takes, T, latent]."""
        frames = round(seconds * self.fps)
        audio = self.audio_in(torch.randn(1, frames, 2 * self.hubert)).expand(takes, -1, -1)
        manner, x = torch.randn(takes, frames, 64), torch.randn(takes, frames, self.latent)
        for _ in range(self.steps):
            hidden, _ = self.gru(torch.cat([self.noise_in(x), audio, manner], -1))
            x = self.out(hidden)
        return x


class ARTalk(nn.Module):
    """A transformer that makes motion codes of four seconds from coarse to fine, each level seeing those before and the window before."""

    def __init__(self, width: int, heads: int, depth: int, levels: tuple[int, ...], code: int, fps: int):  # noqa: PLR0913
        super().__init__()
        self.levels, self.fps, self.width = levels, fps, width
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, batch_first=True, norm_first=True, dropout=0.0)
        self.blocks = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.out, self.code_in = nn.Linear(width, 2 * code), nn.Linear(code, width)

    def forward(self, takes: int, seconds: float) -> Tensor:
        """Codes [takes, T, code] of the last window. Without a cache of keys: a level sees all tokens before it again."""
        bits = torch.zeros(takes, self.levels[-1], self.out.out_features // 2)
        for _ in range(math.ceil(seconds * self.fps / self.levels[-1])):
            before, tokens = self.code_in(bits), None
            for size in self.levels:
                audio = torch.randn(takes, size, self.width)
                tokens = audio if tokens is None else torch.cat([tokens, audio], 1)
                hidden = self.blocks(torch.cat([before, tokens], 1))[:, -size:]
                odds = self.out(hidden).unflatten(-1, (-1, 2)).softmax(-1)
                bits = torch.bernoulli(odds[..., 0])
        return bits


def ddim_sample(denoise: Callable[[np.ndarray, int], np.ndarray], noise: np.ndarray, steps: int = 50) -> np.ndarray:
    """DDIM without noise (Song et al. 2021), steps evenly spaced in time: ε [B, T, C] → x_0."""
    from thunder_core.engine.diffusion import alpha_bar, STEPS

    alpha, x = alpha_bar().astype(float).tolist(), noise
    times = np.linspace(STEPS - 1, 0, steps).round().astype(int).tolist()
    for now, then in zip(times, [*times[1:], -1]):
        x0 = denoise(x, now)
        if then < 0:
            return x0
        a, b = alpha[now], alpha[then]
        x = b**0.5 * x0 + (1 - b) ** 0.5 / (1 - a) ** 0.5 * (x - a**0.5 * x0)
    return x


def peers() -> dict[str, nn.Module]:
    """The designs by name, random weights from one seed, ready to run."""
    torch.manual_seed(0)
    return {
        "FaceFormer's shape, frame by frame": FaceFormer(**FACEFORMER).eval(),
        "Audio2Face-3D's shape, GRU, two steps": Audio2Face(**AUDIO2FACE).eval(),
        "ARTalk's shape, coarse to fine": ARTalk(**ARTALK).eval(),
    }
