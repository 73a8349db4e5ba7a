# SPDX-License-Identifier: GPL-3.0-or-later
"""What recordings go through on their way to a user: gain, noise, rooms, narrow bands. Applied to training crops."""

from __future__ import annotations

import numpy as np
import torch
import torchaudio.functional as AF
from torch import Tensor

from ..types import RATE


def noise(n: int, rng: np.random.Generator) -> Tensor:
    """[n] of unit-RMS noise with a random spectral slope, white to brown, as rooms and microphones have."""
    white = np.fft.rfft(rng.standard_normal(n))
    slope = rng.uniform(0.0, 1.0)
    colour = white / np.maximum(np.fft.rfftfreq(n, 1 / RATE), 40.0) ** slope
    x = np.fft.irfft(colour, n)
    return torch.from_numpy((x / (x.std() + 1e-9)).astype(np.float32))


def augment(samples: Tensor, rng: np.random.Generator) -> Tensor:
    """[samples] → [samples]: random gain, and for some crops noise, a room, a narrow band or a tilt."""
    n = len(samples)
    if rng.random() < 0.25:  # a small room: exponentially decaying noise as impulse response
        decay = rng.uniform(0.03, 0.2)
        t = np.arange(int(0.3 * RATE)) / RATE
        room = torch.from_numpy((rng.standard_normal(len(t)) * np.exp(-t / decay) * rng.uniform(0.02, 0.1)).astype(np.float32))
        room[0] = 1.0
        samples = AF.fftconvolve(samples, room)[:n]
    if rng.random() < 0.15:  # telephone and bad microphones
        samples = AF.lowpass_biquad(samples, RATE, float(rng.uniform(3000, 6000)))
    if rng.random() < 0.15:
        samples = AF.highpass_biquad(samples, RATE, float(rng.uniform(80, 300)))
    if rng.random() < 0.5:  # 8 to 40 dB below the voice
        samples = samples + noise(n, rng) * samples.std() * 10 ** (-rng.uniform(8, 40) / 20)
    return samples * 10 ** (rng.uniform(-6, 6) / 20)
