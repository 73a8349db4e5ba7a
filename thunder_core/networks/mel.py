# SPDX-License-Identifier: GPL-3.0-or-later
"""Log-mel spectrograms of batches of sounds, which training needs; `engine.speech.mel` has those of one sound in arrays."""

from __future__ import annotations

import torch
from torch import nn, Tensor
from torchaudio.functional import melscale_fbanks

from ..engine.speech.mel import BINS, FLOOR, HOP
from ..types import RATE


class LogMel(nn.Module):
    """Waveform [B, samples] at 16 kHz → natural-log mel [B, frames, 80]; frame j is centred on j · 10 ms.

    `window` in samples: 400 (25 ms) resolves stops for the encoder; 640 (40 ms) is what Choi et al. draw with M2S. Window and filters are
    not stored with a network's weights: their last bits depend on the machine.
    """

    def __init__(self, window: int):
        super().__init__()
        self.size = max(512, window)
        filters = melscale_fbanks(self.size // 2 + 1, 0.0, RATE / 2, BINS, RATE, norm="slaney", mel_scale="slaney")
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hann_window(window), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Log-mel [B, frames, 80] of [B, samples]."""
        spectrum = torch.stft(samples.float(), self.size, HOP, len(self.window), self.window, return_complex=True)
        return (spectrum.abs().transpose(1, 2) @ self.filters).clamp_min(FLOOR).log()
