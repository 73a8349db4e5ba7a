# SPDX-License-Identifier: GPL-3.0-or-later
"""The vocoder's discriminators: some read the waveform folded at a period, others its spectrum at a resolution.

Kong et al. 2020 (HiFi-GAN) for the periods, Jang et al. 2021 (UnivNet) for the resolutions; both small, least squares.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn, Tensor

PERIODS = (2, 3, 5, 7, 11)  # samples
RESOLUTIONS = ((256, 64), (640, 160), (1280, 320))  # samples: window and hop
_CHANNELS = (16, 32, 64, 128)
_SLOPE = 0.1


class PeriodDiscriminator(nn.Module):
    """Waveform [B, n] folded into columns of one period → scores [B, ...] and the output of each layer."""

    def __init__(self, period: int):
        super().__init__()
        self.period = period
        widths = (1, *_CHANNELS)
        self.layers = nn.ModuleList(nn.Conv2d(a, b, (5, 1), (3, 1), (2, 0)) for a, b in zip(widths, widths[1:]))
        self.out = nn.Conv2d(widths[-1], 1, (3, 1), 1, (1, 0))

    def forward(self, sound: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores and the output of each layer, of a waveform [B, n]."""
        x = F.pad(sound, (0, -sound.shape[-1] % self.period)).unflatten(-1, (-1, self.period))[:, None]
        return _run_layers(x, self.layers, self.out)


class SpectrumDiscriminator(nn.Module):
    """Waveform [B, n] as log magnitudes at one resolution → scores [B, ...] and the output of each layer."""

    def __init__(self, window: int, hop: int):
        super().__init__()
        self.hop = hop
        self.register_buffer("window", torch.hann_window(window), persistent=False)
        widths = (1, *_CHANNELS[:3])
        self.layers = nn.ModuleList(nn.Conv2d(a, b, (7, 3), (2, 1), (3, 1)) for a, b in zip(widths, widths[1:]))
        self.out = nn.Conv2d(widths[-1], 1, 3, 1, 1)

    def forward(self, sound: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores and the output of each layer, of a waveform [B, n]."""
        n = len(self.window)
        x = torch.stft(sound.float(), n, self.hop, n, self.window, return_complex=True).abs().clamp_min(1e-3).log()
        return _run_layers(x[:, None], self.layers, self.out)


def _run_layers(x: Tensor, layers: nn.ModuleList, out: nn.Module) -> tuple[Tensor, list[Tensor]]:
    outputs = []
    for layer in layers:
        x = F.leaky_relu(layer(x), _SLOPE)
        outputs.append(x)
    return out(x), outputs


class Discriminators(nn.Module):
    """All of them: waveform [B, n] → a list of (scores, the output of each layer)."""

    def __init__(self):
        super().__init__()
        self.each = nn.ModuleList([*(PeriodDiscriminator(p) for p in PERIODS), *(SpectrumDiscriminator(w, h) for w, h in RESOLUTIONS)])

    def forward(self, sound: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        """(scores, the output of each layer) of every discriminator, of a waveform [B, n]."""
        return [discriminator(sound) for discriminator in self.each]


def discriminator_loss(real: list, made: list) -> Tensor:
    """Real sound should be 1, made sound 0; mean over the discriminators."""
    return torch.stack([(1 - r).float().square().mean() + m.float().square().mean() for (r, _), (m, _) in zip(real, made)]).mean()


def vocoder_loss(real: list, made: list) -> tuple[Tensor, Tensor]:
    """Adversarial and feature-matching losses (made sound should be 1, its features like the real one's), means over the discriminators."""
    fooled = torch.stack([(1 - m).float().square().mean() for m, _ in made]).mean()
    pictures = [(a.detach() - b).float().abs().mean() for (_, r), (_, m) in zip(real, made) for a, b in zip(r, m)]
    return fooled, torch.stack(pictures).mean()
