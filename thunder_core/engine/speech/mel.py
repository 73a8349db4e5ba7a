# SPDX-License-Identifier: GPL-3.0-or-later
"""Log-mel spectrograms, the input of the encoder and the output of mesh-to-speech, and the level of speech."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np

from ...types import RATE

HOP = 160  # samples; 100 frames per second
BINS = 80
FLOOR = 1e-5
PIECE = 60  # seconds processed at once, so that an hour needs little more memory than its result
LEVEL_FRAME = RATE // 50  # samples per level measurement
LOUDEST = 25  # frames: half a second, the shortest voice whose level can be measured; no click lasts as long
RARE = 8.0  # ratio of the loudest half second to the 95th percentile: a voice in at most one twentieth of the time
VOICE = 20.0  # ratio to the loudest half second down to which frames belong to the voice (26 dB)
_SHORTEST = 512  # samples of a transform: shorter windows are filled with zeros, so that the lowest bands have bins
_LINEAR, _STEP = 200 / 3, 1000.0  # Slaney's scale: Hz per mel, up to a frequency in Hz beyond which it is logarithmic
_LOGARITHMIC = np.log(6.4) / 27  # octaves of e per mel above it


def mel_filters(bins: int, count: int) -> np.ndarray:
    """Triangular filters float32 [bins, count] of equal area (Slaney's scale), from 0 to 8 kHz, for spectra of `bins` values from 0 to
    8 kHz."""
    frequencies = np.linspace(0, RATE / 2, bins)
    top = _STEP / _LINEAR + np.log(RATE / 2 / _STEP) / _LOGARITHMIC
    mels = np.linspace(0, top, count + 2)
    edges = np.where(mels < _STEP / _LINEAR, _LINEAR * mels, _STEP * np.exp(_LOGARITHMIC * (mels - _STEP / _LINEAR)))
    widths = np.diff(edges)
    slopes = edges - frequencies[:, None]
    triangles = np.minimum(-slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:])
    return (np.maximum(triangles, 0) * (2 / (edges[2:] - edges[:-2]))).astype(np.float32)


@lru_cache
def hann(window: int) -> np.ndarray:
    """Hann's window float32 [window], one period."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)


def transform(samples: np.ndarray, window: int, size: int, pad: Literal["reflect", "constant"] = "reflect") -> np.ndarray:
    """Short-time Fourier transform complex64 [frames, size / 2 + 1] of a sound [n], all of it in memory; frame j is centred on sample
    j · HOP, and there are n // HOP + 1.

    window: samples of Hann's window, in the middle of the `size` ≥ window samples of each frame.  pad: how the sound goes on beyond its
    ends.
    """
    padded = np.pad(np.asarray(samples, np.float32), size // 2, pad)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::HOP]
    before = (size - window) // 2
    weights = np.pad(hann(window), (before, size - window - before))
    return np.fft.rfft(frames * weights).astype(np.complex64, copy=False)


def log_mel(samples: np.ndarray, window: int) -> np.ndarray:
    """Natural-log mel float32 [frames, 80] of a sound [n] at 16 kHz; frame j is centred on j · 10 ms.

    `window` in samples: 400 (25 ms) resolves stops for the encoder; 640 (40 ms) is what Choi et al. draw with M2S. Long sounds are
    processed a piece at a time, with the same result.
    """
    size = max(_SHORTEST, window)
    filters = mel_filters(size // 2 + 1, BINS)
    piece, frames = PIECE * RATE // HOP, len(samples) // HOP + 1
    around = size // 2 // HOP + 1  # frames on either side that are affected by a piece's ends
    result = np.empty((frames, BINS), np.float32)
    for start in range(0, frames, piece):
        first, end = max(0, start - around), min(start + piece, frames)
        spectrum = transform(samples[first * HOP : (start + piece + around) * HOP], window, size)[start - first : end - first]
        np.log(np.maximum(np.abs(spectrum) @ filters, FLOOR), out=result[start:end])
    return result


def active_level(samples: np.ndarray) -> float:
    """Level of speech [n]: RMS of the loud 20 ms frames (95th percentile), so pauses do not count.

    If speech is so rare that this percentile lies in a pause, only frames near the loudest half second are used. Clicks and knocks are too
    short to count in either.
    """
    samples = np.asarray(samples, np.float32)
    count = len(samples) // LEVEL_FRAME
    if count == 0:
        return float(np.sqrt(np.mean(np.square(samples))))
    rms = frame_rms(samples[: count * LEVEL_FRAME].reshape(count, LEVEL_FRAME))
    usual = np.quantile(rms, 0.95)
    rank = min(LOUDEST, max(1, count // 20))
    loudest = np.partition(rms, -rank)[-rank]
    if loudest > RARE * usual:
        usual = np.quantile(rms[rms > loudest / VOICE], 0.95)
    return float(usual)


def frame_rms(frames: np.ndarray) -> np.ndarray:
    """Root mean square [N] of frames [N, samples], which may overlap: their squares are not kept."""
    return np.sqrt(np.einsum("ij,ij->i", frames, frames) / np.float32(frames.shape[1]))


def gain(samples: np.ndarray, target: float = 0.1, least: float = 1e-5) -> float:
    """Factor that brings speech [n] to one level; `least`, far below the audible, bounds it."""
    return target / max(active_level(samples), least)


def level(samples: np.ndarray) -> np.ndarray:
    """Speech [n] at one level, float32."""
    return np.asarray(samples, np.float32) * np.float32(gain(samples))
