# SPDX-License-Identifier: GPL-3.0-or-later
"""Log-mel spectrograms: the input of the encoder and the output of mesh-to-speech."""

from __future__ import annotations

import torch
import torchaudio
from torch import nn, Tensor

from ...types import RATE

HOP = 160  # samples; 100 frames per second
BINS = 80
FLOOR = 1e-5
PIECE = 60  # seconds processed at once, so that an hour needs little more memory than its result
_FRAME = RATE // 50  # samples per level measurement
_LOUDEST = 25  # frames: half a second, the shortest voice whose level can be measured; no click lasts as long
_RARE = 8.0  # ratio of the loudest half second to the 95th percentile: a voice in at most one twentieth of the time
_VOICE = 20.0  # ratio to the loudest half second down to which frames belong to the voice (26 dB)


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
        """Log-mel [B, frames, 80] of [B, samples]; long sounds a piece at a time, with the same result."""
        piece, frames = PIECE * RATE // HOP, samples.shape[-1] // HOP + 1
        if frames <= piece:
            return self._of(samples)
        around = self.mel.n_fft // 2 // HOP + 1  # frames on either side that are affected by a piece's ends
        done = []
        for start in range(0, frames, piece):
            a, b = max(0, start - around), start + piece + around
            part = self._of(samples[..., a * HOP : b * HOP])
            done.append(part[:, start - a : min(start + piece, frames) - a])
        return torch.cat(done, 1)

    def _of(self, samples: Tensor) -> Tensor:
        return self.mel(samples.float()).clamp_min(FLOOR).log().transpose(1, 2)


def active_level(samples: Tensor) -> Tensor:
    """Speech level [B, 1] of [B, samples]: RMS of the loud 20 ms frames (95th percentile), so pauses do not count.

    If speech is so rare that this percentile lies in a pause, only frames near the loudest half second are used. Clicks and knocks are too
    short to count in either.
    """
    n = samples.shape[-1] // _FRAME
    if n == 0:
        return samples.square().mean(-1, keepdim=True).sqrt()
    frames = samples[..., : n * _FRAME].unflatten(-1, (-1, _FRAME))
    rms = torch.cat([part.square().mean(-1).sqrt() for part in frames.split(PIECE * RATE // _FRAME, -2)], -1)
    usual = torch.quantile(rms, 0.95, dim=-1, keepdim=True)
    loudest = rms.topk(min(_LOUDEST, max(1, n // 20)), -1).values[..., -1:]
    for row in torch.nonzero((loudest > _RARE * usual)[:, 0])[:, 0].tolist():
        voice = rms[row][rms[row] > loudest[row] / _VOICE]
        usual[row] = torch.quantile(voice, 0.95)
    return usual


def gain(samples: Tensor, target: float = 0.1, least: float = 1e-5) -> Tensor:
    """Factor [B, 1] that brings speech [B, samples] to one level; `least`, far below the audible, bounds it."""
    return target / active_level(samples).clamp_min(least)


def level(samples: Tensor) -> Tensor:
    """Speech [B, samples] at one level."""
    return samples * gain(samples)
