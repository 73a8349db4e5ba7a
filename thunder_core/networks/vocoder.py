# SPDX-License-Identifier: GPL-3.0-or-later
"""The vocoder's network: an inverse-STFT network that shapes a pulse train and noise.

A network that draws each spectral frame for itself cannot know how far a tone's phase has moved
since the last one, nor do mesh-to-speech's soft mels show it. So the pitch is predicted from the
frames, its phase is summed up over time, and the network (ConvNeXt blocks at 100 Hz) decides how
loud the pulses and how loud the noise sound in every band of every frame. Both are products in the
short-time Fourier domain and come back by one inverse transform. `engine.vocoder` makes that sound.
"""

import torch
import torch.nn.functional as F
from torch import nn, Tensor

from ..engine.speech.acoustics import BINS, CLASSES
from ..engine.vocoder import VocoderConfig
from .weights import Network

_MOST = 1.5  # nats (13 dB) that the network may add to the mel's level


class Block(nn.Module):
    """ConvNeXt in one dimension: a depthwise convolution over time, then a two-layer perceptron per
    frame, added to the input."""

    def __init__(self, width: int, kernel: int, expansion: int, scale: float):
        super().__init__()
        self.over_time = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = (
            nn.Linear(width, expansion * width),
            nn.Linear(expansion * width, width),
        )
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """x [B, N, width] → [B, N, width]."""
        y = self.norm(self.over_time(x.transpose(1, 2)).transpose(1, 2))
        return x + self.scale * self.down(F.gelu(self.up(y)))


class Vocoder(Network):
    """Log-mel [B, N, 80] at 100 Hz, units [B, N / 2] at 50 Hz and speaker [B, 256] → the spectrum
    of each frame."""

    Config, file = VocoderConfig, "vocoder"

    def __init__(self, config: VocoderConfig = VocoderConfig()):
        super().__init__(config)
        w = config.width
        self.register_buffer("mel_mean", torch.zeros(BINS))
        self.register_buffer("mel_std", torch.ones(BINS))
        self.mel_in = nn.Conv1d(BINS, w, config.kernel, padding=config.kernel // 2)
        self.unit_in = nn.Embedding(config.units, w)
        self.speaker_in = nn.Linear(config.speaker, w)
        self.norm_in = nn.LayerNorm(w)
        self.blocks = nn.ModuleList(
            Block(w, config.kernel, config.expansion, 1 / config.layers)
            for _ in range(config.layers)
        )
        self.norm_out = nn.LayerNorm(w)
        self.pitch_head = nn.Linear(w, CLASSES)
        self.share_head = nn.Linear(w, 2 * BINS)
        nn.init.normal_(self.unit_in.weight, std=0.3)
        nn.init.zeros_(self.share_head.weight)
        # pulses and noise start at two thirds of the mel's level each
        nn.init.constant_(self.share_head.bias, -1.8)

    def forward(self, mel: Tensor, units: Tensor, speaker: Tensor) -> tuple[Tensor, Tensor]:
        """Spectrum of each frame: pitch scores [B, N, 96] and log amplitudes [B, N, 2, 80] of
        pulses and noise."""
        x = self.mel_in(((mel - self.mel_mean) / self.mel_std).transpose(1, 2)).transpose(1, 2)
        at = (torch.arange(mel.shape[1], device=mel.device) // 2).clamp(max=units.shape[1] - 1)
        x = self.norm_in(x + self.unit_in(units)[:, at] + self.speaker_in(speaker)[:, None])
        for block in self.blocks:
            x = block(x)
        x = self.norm_out(x)
        share = F.logsigmoid(self.share_head(x).float()).unflatten(-1, (2, BINS)) + _MOST
        return self.pitch_head(x).float(), share + mel.float()[:, :, None]
