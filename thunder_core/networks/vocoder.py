# SPDX-License-Identifier: GPL-3.0-or-later
"""The vocoder's network, and its sound in torch, with gradients: an inverse-STFT network that shapes a pulse train and noise.

A network that draws each spectral frame for itself cannot know how far a tone's phase has moved since the last one, nor do
mesh-to-speech's soft mels show it. So the pitch is predicted from the frames, its phase is summed up over time, and the network (ConvNeXt
blocks at 100 Hz) decides how loud the pulses and how loud the noise sound in every band of every frame. Both are products in
the short-time Fourier domain and come back by one inverse transform. `engine.vocoder` makes the same sound in numpy.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn, Tensor

from ..engine.speech.mel import BINS, HOP
from ..engine.speech.pitch import CLASSES
from ..engine.vocoder import bands_to_bins, BREATH, DEEPEST, LOG_FLOOR, LOUDEST, TO_BINS, TOP, VocoderConfig, WINDOW
from ..engine.weights import typed
from ..types import RATE
from .weights import load_network

_MOST = 1.5  # nats (13 dB) that the network may add to the mel's own level


class Block(nn.Module):
    """ConvNeXt in one dimension: a depthwise convolution over time, then a two-layer perceptron per frame, added to the input."""

    def __init__(self, width: int, kernel: int, expansion: int, scale: float):
        super().__init__()
        self.over_time = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, expansion * width), nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """x [B, N, width] → [B, N, width]."""
        y = self.norm(self.over_time(x.transpose(1, 2)).transpose(1, 2))
        return x + self.scale * self.down(F.gelu(self.up(y)))


class Vocoder(nn.Module):
    """Log-mel [B, N, 80] at 100 Hz, units [B, N / 2] at 50 Hz and speaker [B, 256] → the spectrum of each frame, and its sound."""

    def __init__(self, config: VocoderConfig = VocoderConfig()):
        super().__init__()
        self.config = config
        w = config.width
        self.register_buffer("mel_mean", torch.zeros(BINS))
        self.register_buffer("mel_std", torch.ones(BINS))
        self.mel_in = nn.Conv1d(BINS, w, config.kernel, padding=config.kernel // 2)
        self.unit_in = nn.Embedding(config.units, w)
        self.speaker_in = nn.Linear(config.speaker, w)
        self.norm_in = nn.LayerNorm(w)
        self.blocks = nn.ModuleList(Block(w, config.kernel, config.expansion, 1 / config.layers) for _ in range(config.layers))
        self.norm_out = nn.LayerNorm(w)
        self.pitch_head = nn.Linear(w, CLASSES)
        self.share_head = nn.Linear(w, 2 * BINS)
        nn.init.normal_(self.unit_in.weight, std=0.3)
        nn.init.zeros_(self.share_head.weight)
        nn.init.constant_(self.share_head.bias, -1.8)  # pulses and noise start at two thirds of the mel's level each
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)
        self.register_buffer("spread", torch.from_numpy(bands_to_bins()), persistent=False)

    @classmethod
    def load(cls, folder: Path) -> Vocoder:
        """The network among the weights of a folder. Raises BadWeights."""
        return load_network(folder / "vocoder", lambda config: cls(typed(VocoderConfig, config)))

    def settings(self) -> dict:
        """The configuration, for the card."""
        return asdict(self.config)

    def shape(self, mel: Tensor, units: Tensor, speaker: Tensor) -> tuple[Tensor, Tensor]:
        """Spectrum of each frame: pitch scores [B, N, 96] and log amplitudes [B, N, 2, 80] of pulses and noise."""
        x = self.mel_in(((mel - self.mel_mean) / self.mel_std).transpose(1, 2)).transpose(1, 2)
        at = (torch.arange(mel.shape[1], device=mel.device) // 2).clamp(max=units.shape[1] - 1)
        x = self.norm_in(x + self.unit_in(units)[:, at] + self.speaker_in(speaker)[:, None])
        for block in self.blocks:
            x = block(x)
        x = self.norm_out(x)
        share = F.logsigmoid(self.share_head(x).float()).unflatten(-1, (2, BINS)) + _MOST
        return self.pitch_head(x).float(), share + mel.float()[:, :, None]

    def sound(self, amplitude: Tensor, hertz: Tensor, turned: Tensor, noise: Tensor) -> Tensor:
        """Waveform [B, 160 N] of log amplitudes [B, N, 2, 80], a pitch [B, N] in Hz whose phase at every frame is `turned`
        [B, N] (float64, whole turns), and noise [B, 160 N] of unit variance."""
        pulses = self._spectrum(pulse_train(hertz, turned))
        hiss = self._spectrum(noise) / BREATH
        log = torch.cat([amplitude, amplitude[:, -1:]], 1) + TO_BINS
        log = (log @ self.spread).transpose(1, 3)  # [B, 321, 2, N + 1]
        voiced, breath = log.exp().unbind(2)
        spectrum = pulses * torch.polar(voiced, _minimum_phase(log[:, :, 0])) + hiss * breath
        return torch.istft(spectrum, WINDOW, HOP, WINDOW, self.window, length=noise.shape[-1])

    def _spectrum(self, sound: Tensor) -> Tensor:
        """Short-time Fourier transform [B, 321, N + 1] of a waveform [B, 160 N]."""
        return torch.stft(sound, WINDOW, HOP, WINDOW, self.window, pad_mode="constant", return_complex=True)


def tamed(mel: Tensor) -> Tensor:
    """Log-mel [N, 80] in the range of voices: no missing numbers, nothing under the floor, no frame louder than speech."""
    mel = torch.nan_to_num(mel.float(), LOG_FLOOR, 20.0, LOG_FLOOR).clamp(LOG_FLOOR, 20.0)
    loud = torch.logsumexp(2 * mel, -1, keepdim=True)
    return (mel - (loud - LOUDEST).clamp_min(0) / 2).clamp_min(LOG_FLOOR)


def turns(hertz: Tensor) -> Tensor:
    """Phase [B, N] in whole turns, float64, at every frame of a pitch [B, N] in Hz that is linear between frames."""
    here = hertz.double()
    step = (HOP * here[:, :-1] + (HOP - 1) / 2 * here.diff(dim=1)) / RATE
    return F.pad(step.cumsum(1), (1, 0))


def pulse_train(hertz: Tensor, turned: Tensor) -> Tensor:
    """Pulses [B, 160 N] at a pitch [B, N]: all its harmonics up to 7.6 kHz at one amplitude, such that the mean magnitude of their
    short-time spectrum is 1 whatever the pitch. Closed form (Dirichlet's kernel), so that cost does not grow with their number."""
    i = torch.arange(HOP, device=hertz.device, dtype=torch.float64)
    here = hertz.double()[..., None]
    rise = F.pad(here[:, 1:] - here[:, :-1], (0, 0, 0, 1))
    angle = turned[..., None] + (i * here + rise * i * (i - 1) / (2 * HOP)) / RATE
    angle = ((angle - angle.round()) * (2 * torch.pi)).flatten(1).float()
    pitch = (here + rise * i / HOP).flatten(1).float()
    count = (TOP / pitch).floor()
    half = torch.sin(angle / 2)
    near = half.abs() < 1e-4
    kernel = torch.where(near, count, torch.sin((count + 0.5) * angle) / torch.where(near, 1.0, 2 * half) - 0.5)
    last = (TOP / pitch - count) * torch.cos((count + 1) * angle)
    return (kernel + last) * (pitch / (RATE / 2))


def _minimum_phase(log: Tensor) -> Tensor:
    """Phase [B, 321, ...] of the minimum-phase filter with log magnitudes [B, 321, ...]: a pulse rings after it, not before. Without
    gradient, since magnitudes are fitted."""
    with torch.no_grad():
        cepstrum = torch.fft.irfft(log.clamp_min(DEEPEST), WINDOW, 1)
        fold = torch.zeros(WINDOW, 1, device=log.device)
        fold[0], fold[1 : WINDOW // 2], fold[WINDOW // 2] = 1, 2, 1
        return torch.fft.rfft(cepstrum * fold, WINDOW, 1).imag
