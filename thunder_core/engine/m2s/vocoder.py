# SPDX-License-Identifier: GPL-3.0-or-later
"""The vocoder: sound from a mel spectrogram, speech units and a speaker, by an inverse-STFT network that shapes a pulse train and noise.

A network that draws each spectral frame for itself cannot know how far a tone's phase has moved since the last one, nor do
mesh-to-speech's soft mels show it. So the pitch is predicted from the frames, its phase is summed up over time, and the network (ConvNeXt
blocks at 100 Hz) decides how loud the pulses and how loud the noise sound in every band of every frame. Both are products in
the short-time Fourier domain and come back by one inverse transform. The mel itself sets the level and the network can add at
most 13 dB to it, so no input makes the sound dangerously loud.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
import torchaudio
from torch import nn, Tensor

from ...types import RATE
from ..speech.mel import BINS, FLOOR, HOP
from ..speech.pitch import CLASSES, hertz_along, smooth_path
from ..weights import load_network, typed

WINDOW = 640  # samples, 40 ms: window of mesh-to-speech's spectrogram
LOG_FLOOR = math.log(FLOOR)
_SPECTRUM = WINDOW // 2 + 1
_TOP = 7600.0  # Hz: the highest harmonic; the next one fades in below it to avoid clicks
_LOUDEST = 2.1  # logsumexp of twice a frame's log-mel, for the loudest of 12 800 frames of levelled speech
_MOST = 1.5  # nats (13 dB) that the network may add to the mel's own level
_SILENT = -200.0  # log amplitude of a band at the floor: digital silence
_NOISE_SEAM = 1 << 17  # samples after which the noise repeats (8 s)
_LEAP = 0.35  # path cost in nats per pitch class and frame
_CHUNK, _MARGIN = 3000, 40  # mel frames synthesised at once, and the context on either side (more than the network's reach)


@dataclass(frozen=True)
class VocoderConfig:
    """Sizes of a vocoder, as its card stores them."""

    units: int = 200
    speaker: int = 256
    width: int = 224
    layers: int = 6
    expansion: int = 3
    kernel: int = 7  # frames of 10 ms


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
    """Log-mel [B, N, 80] at 100 Hz, units [B, N / 2] at 50 Hz and speaker [B, 256] → waveform [B, 160 N] at 16 kHz."""

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
        self.register_buffer("spread", _bands_to_bins(), persistent=False)
        noise = torch.randn(_NOISE_SEAM, generator=torch.Generator().manual_seed(1))
        self.register_buffer("noise", noise, persistent=False)

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
        hiss = self._spectrum(noise) / (0.886 * 240**0.5)  # mean magnitude of unit noise under this window
        log = torch.cat([amplitude, amplitude[:, -1:]], 1) + 3.219  # ln(1 / 25): from the mel filters' area to one bin
        log = (log @ self.spread).transpose(1, 3)  # [B, 321, 2, N + 1]
        voiced, breath = log.exp().unbind(2)
        spectrum = pulses * torch.polar(voiced, _minimum_phase(log[:, :, 0])) + hiss * breath
        return torch.istft(spectrum, WINDOW, HOP, WINDOW, self.window, length=noise.shape[-1])

    def _spectrum(self, sound: Tensor) -> Tensor:
        """Short-time Fourier transform [B, 321, N + 1] of a waveform [B, 160 N]."""
        return torch.stft(sound, WINDOW, HOP, WINDOW, self.window, pad_mode="constant", return_complex=True)

    @torch.no_grad()
    def speak(self, mel: Tensor, units: Tensor, speaker: Tensor) -> Tensor:
        """Log-mel [N, 80], units [N / 2] and speaker [256] → waveform [160 N] at 16 kHz, peak at most 0.9. Deterministic.

        Any values are accepted: NaN becomes silence, and levels above speech are reduced.
        """
        if not len(mel):
            return mel.new_zeros(0)
        mel = tamed(mel)
        speaker = torch.nan_to_num(speaker.float(), 0.0, 0.0, 0.0)[None]
        if not len(units):
            units = torch.zeros(1, dtype=torch.long, device=mel.device)
        units = units.long().clamp(0, self.config.units - 1)
        count = len(mel)
        scores, amplitudes, spans = [], [], []
        for start in range(0, count, _CHUNK):
            end = min(start + _CHUNK, count)
            a, b = max(0, start - _MARGIN), min(count, end + _MARGIN)  # both even, as units are two frames long
            score, amplitude = self.shape(mel[None, a:b], units[None, min(a // 2, len(units) - 1) : -(-b // 2)], speaker)
            scores.append(score[0, start - a : end - a])
            amplitudes.append(amplitude[0, start - a : end - a])
            spans.append((start, end, a, b))
        score, amplitude = torch.cat(scores)[None], torch.cat(amplitudes)
        hertz = hertz_along(score, smooth_path(score.log_softmax(-1), _LEAP).to(score.device))[0]
        amplitude = torch.where(mel[:, None] <= LOG_FLOOR + 0.4, _SILENT, amplitude)
        turned = turns(hertz[None])
        pieces = []
        for start, end, a, b in spans:
            t = torch.arange(a * HOP, b * HOP, device=mel.device) % _NOISE_SEAM
            made = self.sound(amplitude[None, a:b], hertz[None, a:b], turned[:, a:b], self.noise[t][None])
            pieces.append(made[0, (start - a) * HOP : (end - a) * HOP])
        sound = torch.cat(pieces)
        return sound * (0.9 / sound.abs().max().clamp_min(0.9))


def tamed(mel: Tensor) -> Tensor:
    """Log-mel [N, 80] in the range of voices: no missing numbers, nothing under the floor, no frame louder than speech."""
    mel = torch.nan_to_num(mel.float(), LOG_FLOOR, 20.0, LOG_FLOOR).clamp(LOG_FLOOR, 20.0)
    loud = torch.logsumexp(2 * mel, -1, keepdim=True)
    return (mel - (loud - _LOUDEST).clamp_min(0) / 2).clamp_min(LOG_FLOOR)


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
    count = (_TOP / pitch).floor()
    half = torch.sin(angle / 2)
    near = half.abs() < 1e-4
    kernel = torch.where(near, count, torch.sin((count + 0.5) * angle) / torch.where(near, 1.0, 2 * half) - 0.5)
    last = (_TOP / pitch - count) * torch.cos((count + 1) * angle)
    return (kernel + last) * (pitch / (RATE / 2))


def _minimum_phase(log: Tensor) -> Tensor:
    """Phase [B, 321, ...] of the minimum-phase filter with log magnitudes [B, 321, ...]: a pulse rings after it, not before. Without
    gradient, since magnitudes are fitted."""
    with torch.no_grad():
        cepstrum = torch.fft.irfft(log.clamp_min(-9.0), WINDOW, 1)
        fold = torch.zeros(WINDOW, 1, device=log.device)
        fold[0], fold[1 : WINDOW // 2], fold[WINDOW // 2] = 1, 2, 1
        return torch.fft.rfft(cepstrum * fold, WINDOW, 1).imag


def _bands_to_bins() -> Tensor:
    """[80, 321]: linear interpolation between the mel bands' middles at the frequencies of the spectrum's bins."""
    filters = torchaudio.functional.melscale_fbanks(RATE // 2 + 1, 0.0, RATE / 2, BINS, RATE, norm="slaney", mel_scale="slaney")
    middles = filters.argmax(0).double()  # Hz, on a grid of 1 Hz
    bins = torch.arange(_SPECTRUM, dtype=torch.float64) * (RATE / WINDOW)
    above = torch.searchsorted(middles, bins).clamp(1, BINS - 1)
    share = ((bins - middles[above - 1]) / (middles[above] - middles[above - 1])).clamp(0, 1)
    return (
        torch.zeros(BINS, _SPECTRUM, dtype=torch.float64)
        .scatter_add(0, (above - 1)[None], (1 - share)[None])
        .scatter_add(0, above[None], share[None])
        .float()
    )
