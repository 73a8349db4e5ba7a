# SPDX-License-Identifier: GPL-3.0-or-later
"""The pitch of a voice: classes of a logarithmic scale, the smooth path through the classes' scores of every frame, and the scores
that recordings have by their normalised autocorrelation."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...types import FPS, RATE
from .mel import HOP, level

LOWEST, HIGHEST = 55.0, 500.0  # Hz: a bass's creak, a child's shout
CLASSES = 96  # 40 cents each
_AROUND = 3  # classes on either side of the path that are averaged
_WINDOW = 480  # samples (30 ms) of the autocorrelation
_LAGS = int(RATE / LOWEST) + 2
_REACH = _WINDOW + _LAGS
_TRANSFORM = 1024
_DEEP = 0.06  # penalty per octave down, since two periods correlate as well as one
_SHARP = 25.0  # factor from correlation to log odds near its peak
_LEAP = 0.05  # path cost per class and frame of 10 ms, as correlation
_ALIKE = 0.6  # correlation above which a frame is voiced
_QUIET = 3e-3  # RMS of levelled speech (30 dB under it) below which nothing is voiced
_PIECE = 60  # seconds that are tracked at once by `semitones`
_MOST_SEMITONES = 8.0


def classes(device: torch.device | str | None = None) -> Tensor:
    """Frequencies [96] in Hz, equal steps of the logarithm."""
    return LOWEST * (HIGHEST / LOWEST) ** (torch.arange(CLASSES, device=device) / (CLASSES - 1))


def class_of(hertz: Tensor) -> Tensor:
    """Position of a frequency on the scale of classes, 0 … 95, fractional."""
    return (hertz.clamp(LOWEST, HIGHEST) / LOWEST).log() * ((CLASSES - 1) / torch.log(torch.tensor(HIGHEST / LOWEST)).item())


def smooth_path(score: Tensor, leap: float) -> Tensor:
    """Viterbi through [B, N, 96]: the classes [B, N] of highest total score when a leap over d classes costs `leap` · d."""
    steps = np.arange(CLASSES)
    scores = score.detach().float().cpu().numpy()
    cost = np.float32(leap) * np.abs(steps[:, None] - steps).astype(np.float32)
    paths = np.stack([_smooth_path(row, cost) for row in scores])
    return torch.from_numpy(paths).to(score.device)


def _smooth_path(score: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Viterbi through [N, 96]: classes int64 [N]; cost [96, 96] of every leap.

    In numpy, whose calls cost less than torch's on so few numbers. Where a path came from is worked out along the best one only.
    """
    total, reached = score.copy(), np.empty_like(cost)
    for now, before in zip(total[1:], total):
        np.subtract(before[:, None], cost, out=reached)
        now += reached.max(0)
    path = np.empty(len(score), np.int64)
    path[-1] = total[-1].argmax()
    for i in range(len(score) - 1, 0, -1):
        path[i - 1] = (total[i - 1] - cost[path[i]]).argmax()
    return path


def hertz_along(score: Tensor, path: Tensor) -> Tensor:
    """Frequency [B, N] in Hz: the mean of the classes around a path, weighted by exp of their score."""
    at = (path[..., None] + torch.arange(-_AROUND, _AROUND + 1, device=path.device)).clamp(0, CLASSES - 1)
    weight = F.softmax(score.gather(-1, at), -1)
    return (weight * classes(score.device)[at].log()).sum(-1).exp()


def _correlation(samples: Tensor, hop: int) -> tuple[Tensor, Tensor]:
    """Normalised autocorrelation [B, N, lags] of [B, hop · N] around every hop, and the frames' RMS [B, N]."""
    frames = samples.shape[-1] // hop
    before = _REACH // 2
    x = F.pad(samples, (before, _REACH))[:, : (frames - 1) * hop + _REACH].unfold(1, _REACH, hop)
    x = x - x.mean(-1, keepdim=True)
    head, whole = torch.fft.rfft(x[..., :_WINDOW], _TRANSFORM), torch.fft.rfft(x, _TRANSFORM)
    product = torch.fft.irfft(head.conj() * whole, _TRANSFORM)[..., :_LAGS]
    power = F.pad(x.square().cumsum(-1), (1, 0))
    power = (power[..., _WINDOW:] - power[..., :-_WINDOW])[..., :_LAGS]
    return product / (power[..., :1] * power + 1e-9).sqrt(), (power[..., 0] / _WINDOW).sqrt()


@torch.no_grad()
def track(samples: Tensor, hop: int = HOP) -> tuple[Tensor, Tensor]:
    """Pitch [B, N] in Hz of levelled speech [B, hop · N] at 16 kHz every hop, in samples, and which frames are voiced [B, N].

    Between voiced parts the logarithm of the pitch is interpolated linearly.
    """
    correlation, rms = _correlation(samples.float(), hop)
    lag = RATE / classes(samples.device)
    low = lag.floor().long()
    share = lag - low
    similarity = correlation[..., low] * (1 - share) + correlation[..., low + 1] * share
    octaves = (HIGHEST / classes(samples.device)).log2()
    score = similarity - _DEEP * octaves
    path = smooth_path(score, _LEAP * HOP / hop)
    hertz = hertz_along(_SHARP * score, path)
    inside = (path > 1) & (path < CLASSES - 2)  # periodicity at the ends of the scale is not a voice: a hum, a hiss
    voiced = (similarity.gather(-1, path[..., None])[..., 0] > _ALIKE) & (rms > _QUIET) & inside
    log, frames = hertz.log().cpu().numpy(), np.arange(hertz.shape[1])
    for row, on in zip(log, voiced.cpu().numpy()):
        row[:] = np.interp(frames, frames[on], row[on]) if on.any() else np.log(120.0)
    return torch.from_numpy(np.exp(log)).to(samples), voiced


def semitones(samples: Tensor, frames: int) -> np.ndarray:
    """Pitch [frames] of a sound [samples] at 16 kHz at animation frames: semitones above its median, 0 where nothing is voiced."""
    hop = int(RATE / FPS)
    if len(samples) < _REACH + hop:
        return np.zeros(frames)
    levelled, tracked = level(samples[None].float()), []
    for start in range(0, levelled.shape[1], _PIECE * RATE):
        piece = F.pad(levelled[:, start : start + _PIECE * RATE], (0, hop))
        tracked.append([x[0].cpu().numpy() for x in track(piece, hop)])
    hertz, voiced = (np.concatenate(parts) for parts in zip(*tracked))
    if not voiced.any():
        return np.zeros(frames)
    above = np.clip(12 * np.log2(hertz / np.median(hertz[voiced])), -_MOST_SEMITONES, _MOST_SEMITONES)
    return np.pad(np.where(voiced, above, 0.0), (0, max(0, frames - len(above))), mode="edge")[:frames]
