# SPDX-License-Identifier: GPL-3.0-or-later
"""Log-mel spectrograms: what the encoder hears and what mesh-to-speech draws."""

from __future__ import annotations

import torch
import torchaudio
from torch import Tensor, nn

from ..types import RATE

HOP = 160  # samples; 100 frames per second
BINS = 80
FLOOR = 1e-5


class LogMel(nn.Module):
    """Waveform [B, samples] at 16 kHz → natural-log mel [B, frames, 80]; frame j is centred on j · 10 ms.

    `window` in samples: 400 (25 ms) resolves stops for the encoder; 640 (40 ms) is what Choi et al. draw with M2S.
    """

    def __init__(self, window: int):
        super().__init__()
        self.window = window
        self.mel = torchaudio.transforms.MelSpectrogram(
            RATE, n_fft=max(512, window), win_length=window, hop_length=HOP, n_mels=BINS,
            f_min=0.0, f_max=RATE / 2, power=1.0, norm="slaney", mel_scale="slaney",
        )  # fmt: skip

    def forward(self, samples: Tensor) -> Tensor:
        return self.mel(samples.float()).clamp_min(FLOOR).log().transpose(1, 2)


def active_level(samples: Tensor) -> Tensor:
    """Speech level [B, 1] of [B, samples]: RMS of the loud 20 ms frames (95th percentile), so pauses do not count."""
    n = samples.shape[-1] // 320 * 320
    if n == 0:
        return samples.square().mean(-1, keepdim=True).sqrt()
    rms = samples[..., :n].unflatten(-1, (-1, 320)).square().mean(-1).sqrt()
    return torch.quantile(rms, 0.95, dim=-1, keepdim=True)


def gain(samples: Tensor, target: float = 0.1, least: float = 3e-3) -> Tensor:
    """Factor [B, 1] that brings speech [B, samples] to one level; `least` bounds it so that a silent clip stays silent."""
    return target / active_level(samples).clamp_min(least)


def level(samples: Tensor) -> Tensor:
    """Speech [B, samples] at one level."""
    return samples * gain(samples)
