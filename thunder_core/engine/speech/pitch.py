# SPDX-License-Identifier: GPL-3.0-or-later
"""The pitch of a voice: classes of a logarithmic scale, the smooth path through the classes' scores of every frame, and the scores
that recordings have by their normalised autocorrelation."""

from __future__ import annotations

import numpy as np

from ...types import FPS, RATE
from .mel import HOP, level

LOWEST, HIGHEST = 55.0, 500.0  # Hz: a bass's creak, a child's shout
CLASSES = 96  # 40 cents each
_AROUND = 3  # classes on either side of the path that are averaged
_WINDOW = 480  # samples (30 ms) of the autocorrelation
_LAGS = int(RATE / LOWEST) + 2
_REACH = _WINDOW + _LAGS
_TRANSFORM = 800  # samples: fast, and at least _REACH, so that no lag wraps around
_DEEP = 0.06  # penalty per octave down, since two periods correlate as well as one
_SHARP = 25.0  # factor from correlation to log odds near its peak
_LEAP = 0.05  # path cost per class and frame of 10 ms, as correlation
_ALIKE = 0.6  # correlation above which a frame is voiced
_QUIET = 3e-3  # RMS of levelled speech (30 dB under it) below which nothing is voiced
_PIECE = 60  # seconds that are tracked at once by `semitones`
_MOST_SEMITONES = 8.0


def classes() -> np.ndarray:
    """Frequencies float32 [96] in Hz, equal steps of the logarithm."""
    return np.geomspace(LOWEST, HIGHEST, CLASSES, dtype=np.float32)


def smooth_path(score: np.ndarray, leap: float) -> np.ndarray:
    """Viterbi through [N, 96]: the classes int64 [N] of highest total score when a leap over d classes costs `leap` · d.

    Where a path came from is worked out along the best one only.
    """
    steps = np.arange(CLASSES)
    cost = np.float32(leap) * np.abs(steps[:, None] - steps).astype(np.float32)
    total, reached = np.array(score, np.float32), np.empty_like(cost)
    for now, before in zip(total[1:], total):
        np.subtract(before[:, None], cost, out=reached)
        now += reached.max(0)
    path = np.empty(len(total), np.int64)
    path[-1] = total[-1].argmax()
    for i in range(len(total) - 1, 0, -1):
        path[i - 1] = (total[i - 1] - cost[path[i]]).argmax()
    return path


def hertz_along(score: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Frequency float32 [N] in Hz: the mean of the classes around a path [N], weighted by exp of their score [N, 96]."""
    at = np.clip(path[:, None] + np.arange(-_AROUND, _AROUND + 1), 0, CLASSES - 1)
    near = np.take_along_axis(score, at, 1)
    weight = np.exp(near - near.max(1, keepdims=True))
    return np.exp((weight * np.log(classes())[at]).sum(1) / weight.sum(1)).astype(np.float32)


def _correlation(samples: np.ndarray, hop: int) -> tuple[np.ndarray, np.ndarray]:
    """Normalised autocorrelation [N, lags] of a sound [hop · N] around every hop, and the frames' RMS [N]."""
    frames = len(samples) // hop
    padded = np.pad(samples, (_REACH // 2, _REACH))
    x = np.lib.stride_tricks.sliding_window_view(padded, _REACH)[: frames * hop : hop]
    x = x - x.mean(1, keepdims=True)
    head, whole = np.fft.rfft(x[:, :_WINDOW], _TRANSFORM), np.fft.rfft(x, _TRANSFORM)
    product = np.fft.irfft(head.conj() * whole, _TRANSFORM)[:, :_LAGS]
    power = np.pad(np.square(x, dtype=np.float64).cumsum(1), ((0, 0), (1, 0)))
    power = (power[:, _WINDOW:] - power[:, :-_WINDOW])[:, :_LAGS]
    return (product / np.sqrt(power[:, :1] * power + 1e-9)).astype(np.float32), np.sqrt(power[:, 0] / _WINDOW)


def track(samples: np.ndarray, hop: int = HOP) -> tuple[np.ndarray, np.ndarray]:
    """Pitch float32 [N] in Hz of levelled speech [hop · N] at 16 kHz every hop, in samples, and which frames are voiced, bool [N].

    Between voiced parts the logarithm of the pitch is interpolated linearly.
    """
    correlation, rms = _correlation(np.asarray(samples, np.float32), hop)
    lag = RATE / classes()
    low = lag.astype(int)
    share = lag - low.astype(np.float32)
    similarity = correlation[:, low] * (1 - share) + correlation[:, low + 1] * share
    score = similarity - _DEEP * np.log2(HIGHEST / classes())
    path = smooth_path(score, _LEAP * HOP / hop)
    hertz = hertz_along(_SHARP * score, path)
    inside = (path > 1) & (path < CLASSES - 2)  # periodicity at the ends of the scale is not a voice: a hum, a hiss
    frames = np.arange(len(hertz))
    voiced = (similarity[frames, path] > _ALIKE) & (rms > _QUIET) & inside
    if not voiced.any():
        return np.full(len(hertz), 120, np.float32), voiced
    return np.exp(np.interp(frames, frames[voiced], np.log(hertz[voiced]))).astype(np.float32), voiced


def semitones(samples: np.ndarray, frames: int) -> np.ndarray:
    """Pitch [frames] of a sound [n] at 16 kHz at animation frames: semitones above its median, 0 where nothing is voiced."""
    hop = int(RATE / FPS)
    if len(samples) < _REACH + hop:
        return np.zeros(frames)
    levelled = level(samples)
    pieces = (levelled[start : start + _PIECE * RATE] for start in range(0, len(levelled), _PIECE * RATE))
    hertz, voiced = (np.concatenate(parts) for parts in zip(*(track(np.pad(piece, (0, hop)), hop) for piece in pieces)))
    if not voiced.any():
        return np.zeros(frames)
    above = np.clip(12 * np.log2(hertz / np.median(hertz[voiced])), -_MOST_SEMITONES, _MOST_SEMITONES)
    return np.pad(np.where(voiced, above, 0.0), (0, max(0, frames - len(above))), mode="edge")[:frames]
