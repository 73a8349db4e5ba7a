# SPDX-License-Identifier: GPL-3.0-or-later
"""The sound of a vocoder's spectra in torch, with gradients, as training hears it;
`engine.m2s.vocoder` makes the same one in numpy."""

import torch
import torch.nn.functional as F
from torch import nn, Tensor

from thunder_core.acoustics import HOP
from thunder_core.engine.m2s import (
    bands_to_bins,
    BREATH,
    DEEPEST,
    LOG_FLOOR,
    LOUDEST,
    TO_BINS,
    TOP,
    WINDOW,
)
from thunder_core.types import RATE


class ShapedSound(nn.Module):
    """Log amplitudes of pulses and noise, a pitch and noise → waveform."""

    def __init__(self):
        super().__init__()
        self.window = nn.Buffer(torch.hann_window(WINDOW), persistent=False)
        self.spread = nn.Buffer(torch.from_numpy(bands_to_bins()), persistent=False)

    def forward(self, amplitude: Tensor, hertz: Tensor, turned: Tensor, noise: Tensor) -> Tensor:
        """Waveform [B, 160 N] of log amplitudes [B, N, 2, 80], a pitch [B, N] in Hz whose phase at
        every frame is `turned` [B, N] (float64, whole turns), and noise [B, 160 N] of unit
        variance."""
        pulses = self._spectrum(pulse_train(hertz, turned))
        hiss = self._spectrum(noise) / BREATH
        log = torch.cat([amplitude, amplitude[:, -1:]], 1) + TO_BINS
        log = (log @ self.spread).transpose(1, 3)  # [B, 321, 2, N + 1]
        voiced, breath = log.exp().unbind(2)
        spectrum = pulses * torch.polar(voiced, _minimum_phase(log[:, :, 0])) + hiss * breath
        return torch.istft(spectrum, WINDOW, HOP, WINDOW, self.window, length=noise.shape[-1])

    def _spectrum(self, sound: Tensor) -> Tensor:
        """Short-time Fourier transform [B, 321, N + 1] of a waveform [B, 160 N]."""
        return torch.stft(
            sound, WINDOW, HOP, WINDOW, self.window, pad_mode="constant", return_complex=True
        )


def limit_mel(mel: Tensor) -> Tensor:
    """Log-mel [N, 80] in the range of voices: no missing numbers, nothing under the floor, no frame
    louder than speech."""
    mel = torch.nan_to_num(mel.float(), LOG_FLOOR, 20.0, LOG_FLOOR).clamp(LOG_FLOOR, 20.0)
    loud = torch.logsumexp(2 * mel, -1, keepdim=True)
    return (mel - (loud - LOUDEST).clamp_min(0) / 2).clamp_min(LOG_FLOOR)


def turns(hertz: Tensor) -> Tensor:
    """Phase [B, N] in whole turns, float64, at every frame of a pitch [B, N] in Hz that is linear
    between frames."""
    here = hertz.double()
    step = (HOP * here[:, :-1] + (HOP - 1) / 2 * here.diff(dim=1)) / RATE
    return F.pad(step.cumsum(1), (1, 0))


def pulse_train(hertz: Tensor, turned: Tensor) -> Tensor:
    """Pulses [B, 160 N] at a pitch [B, N]: all its harmonics up to 7.6 kHz at one amplitude, such
    that the mean magnitude of their short-time spectrum is 1 whatever the pitch. Closed form
    (Dirichlet's kernel), so that cost does not grow with their number."""
    i = torch.arange(HOP, device=hertz.device, dtype=torch.float64)
    here = hertz.double()[..., None]
    rise = F.pad(here[:, 1:] - here[:, :-1], (0, 0, 0, 1))
    angle = turned[..., None] + (i * here + rise * i * (i - 1) / (2 * HOP)) / RATE
    angle = ((angle - angle.round()) * (2 * torch.pi)).flatten(1).float()
    pitch = (here + rise * i / HOP).flatten(1).float()
    count = (TOP / pitch).floor()
    half = torch.sin(angle / 2)
    near = half.abs() < 1e-4
    kernel = torch.where(
        near, count, torch.sin((count + 0.5) * angle) / torch.where(near, 1.0, 2 * half) - 0.5
    )
    last = (TOP / pitch - count) * torch.cos((count + 1) * angle)
    return (kernel + last) * (pitch / (RATE / 2))


def _minimum_phase(log: Tensor) -> Tensor:
    """Phase [B, 321, ...] of the minimum-phase filter with log magnitudes [B, 321, ...]: a pulse
    rings after it, not before. Without gradient, since magnitudes are fitted."""
    with torch.no_grad():
        cepstrum = torch.fft.irfft(log.clamp_min(DEEPEST), WINDOW, 1)
        fold = torch.zeros(WINDOW, 1, device=log.device)
        fold[0], fold[1 : WINDOW // 2], fold[WINDOW // 2] = 1, 2, 1
        return torch.fft.rfft(cepstrum * fold, WINDOW, 1).imag
