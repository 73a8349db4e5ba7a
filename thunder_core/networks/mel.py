# SPDX-License-Identifier: GPL-3.0-or-later
"""Log-mel spectrograms and levels of batches of sounds, which training needs; `engine.speech.mel` has those of one sound in arrays."""

from __future__ import annotations

import torch
import torchaudio
from torch import nn, Tensor

from ..engine.speech.mel import BINS, FLOOR, HOP, LEVEL_FRAME, LOUDEST, RARE, VOICE
from ..types import RATE


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
        """Log-mel [B, frames, 80] of [B, samples]."""
        return self.mel(samples.float()).clamp_min(FLOOR).log().transpose(1, 2)


def active_level(samples: Tensor) -> Tensor:
    """Speech level [B, 1] of [B, samples]: RMS of the loud 20 ms frames (95th percentile), so pauses do not count.

    If speech is so rare that this percentile lies in a pause, only frames near the loudest half second are used. Clicks and knocks are too
    short to count in either.
    """
    n = samples.shape[-1] // LEVEL_FRAME
    if n == 0:
        return samples.square().mean(-1, keepdim=True).sqrt()
    rms = samples[..., : n * LEVEL_FRAME].unflatten(-1, (-1, LEVEL_FRAME)).square().mean(-1).sqrt()
    usual = torch.quantile(rms, 0.95, dim=-1, keepdim=True)
    loudest = rms.topk(min(LOUDEST, max(1, n // 20)), -1).values[..., -1:]
    for row in torch.nonzero((loudest > RARE * usual)[:, 0])[:, 0].tolist():
        voice = rms[row][rms[row] > loudest[row] / VOICE]
        usual[row] = torch.quantile(voice, 0.95)
    return usual


def gain(samples: Tensor, target: float = 0.1, least: float = 1e-5) -> Tensor:
    """Factor [B, 1] that brings speech [B, samples] to one level; `least`, far below the audible, bounds it."""
    return target / active_level(samples).clamp_min(least)


def level(samples: Tensor) -> Tensor:
    """Speech [B, samples] at one level."""
    return samples * gain(samples)
