# SPDX-License-Identifier: GPL-3.0-or-later
"""The pitch of recordings, which the vocoder learns to predict: normalised autocorrelation, and the smoothest path through it."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..engine.m2s.pitch import CLASSES, classes, hertz_along, HIGHEST, LOWEST, smooth_path
from ..engine.speech.mel import HOP
from ..types import RATE

_WINDOW = 480  # samples (30 ms) of the autocorrelation
_LAGS = int(RATE / LOWEST) + 2
_REACH = _WINDOW + _LAGS
_TRANSFORM = 1024
_DEEP = 0.06  # penalty per octave down, since two periods correlate as well as one
_SHARP = 25.0  # factor from correlation to log odds near its peak
_LEAP = 0.05  # path cost per class and frame, as correlation
_ALIKE = 0.6  # correlation above which a frame is voiced
_QUIET = 3e-3  # RMS of levelled speech (30 dB under it) below which nothing is voiced


def _correlation(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Normalised autocorrelation [B, N, lags] of [B, 160 N] around every 10 ms, and the frames' RMS [B, N]."""
    frames = samples.shape[-1] // HOP
    before = _REACH // 2
    x = F.pad(samples, (before, _REACH))[:, : (frames - 1) * HOP + _REACH].unfold(1, _REACH, HOP)
    x = x - x.mean(-1, keepdim=True)
    head, whole = torch.fft.rfft(x[..., :_WINDOW], _TRANSFORM), torch.fft.rfft(x, _TRANSFORM)
    product = torch.fft.irfft(head.conj() * whole, _TRANSFORM)[..., :_LAGS]
    power = F.pad(x.square().cumsum(-1), (1, 0))
    power = (power[..., _WINDOW:] - power[..., :-_WINDOW])[..., :_LAGS]
    return product / (power[..., :1] * power + 1e-9).sqrt(), (power[..., 0] / _WINDOW).sqrt()


@torch.no_grad()
def track(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Pitch [B, N] in Hz of levelled speech [B, 160 N] at 16 kHz every 10 ms, and which frames are voiced [B, N].

    Between voiced parts the logarithm of the pitch is interpolated linearly.
    """
    correlation, rms = _correlation(samples.float())
    lag = RATE / classes(samples.device)
    low = lag.floor().long()
    share = lag - low
    similarity = correlation[..., low] * (1 - share) + correlation[..., low + 1] * share
    octaves = (HIGHEST / classes(samples.device)).log2()
    score = similarity - _DEEP * octaves
    path = smooth_path(score, _LEAP)
    hertz = hertz_along(_SHARP * score, path)
    inside = (path > 1) & (path < CLASSES - 2)  # periodicity at the ends of the scale is not a voice: a hum, a hiss
    voiced = (similarity.gather(-1, path[..., None])[..., 0] > _ALIKE) & (rms > _QUIET) & inside
    log, frames = hertz.log().cpu().numpy(), np.arange(hertz.shape[1])
    for row, on in zip(log, voiced.cpu().numpy()):
        row[:] = np.interp(frames, frames[on], row[on]) if on.any() else np.log(120.0)
    return torch.from_numpy(np.exp(log)).to(samples), voiced
