# SPDX-License-Identifier: GPL-3.0-or-later
"""Augments training crops as recordings vary: gain, noise, rooms, narrow bands."""

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


def music(n: int, rng: np.random.Generator) -> Tensor:
    """[n] of unit-RMS accompaniment without a voice: struck or held chords of harmonic tones, sometimes with a beat."""
    t = np.arange(n) / RATE
    x = np.zeros(n)
    root = 55 * 2 ** (rng.integers(0, 24) / 12)
    at = 0.0
    while at < n / RATE:
        length = rng.uniform(0.2, 1.5)
        here = slice(int(at * RATE), min(n, int((at + length) * RATE)))
        local = t[here] - at
        envelope = np.exp(-local * rng.uniform(0, 6)) * np.minimum(1, local / 0.01)
        for semitone in rng.choice([0, 3, 4, 5, 7, 9, 12, 16, 19], 3):
            pitch = root * 2 ** (semitone / 12)
            for h in range(1, rng.integers(2, 9)):
                if pitch * h < RATE / 2:
                    x[here] += envelope * np.sin(2 * np.pi * pitch * h * local + rng.uniform(0, 6)) / h ** rng.uniform(0.7, 2)
        if rng.random() < 0.4:
            x[here] += 0.5 * np.exp(-local * 40) * rng.standard_normal(len(local))
        at += length
    return torch.from_numpy((x / (x.std() + 1e-9)).astype(np.float32))


def change_speed(samples: Tensor, n: int) -> Tensor:
    """[m] samples played in the time of n: faster or slower, pitch and formants with it."""
    return torch.nn.functional.interpolate(samples[None, None], n, mode="linear", align_corners=False)[0, 0]


def augment(samples: Tensor, rng: np.random.Generator) -> Tensor:
    """[samples] → [samples]: random gain, and for some crops a room, a narrow band, a codec, noise or music beneath."""
    n = len(samples)
    loud = samples.std()
    if rng.random() < 0.2:  # a small room: exponentially decaying noise as impulse response
        decay = rng.uniform(0.03, 0.2)
        t = np.arange(int(0.3 * RATE)) / RATE
        reverb = torch.from_numpy((rng.standard_normal(len(t)) * np.exp(-t / decay) * rng.uniform(0.02, 0.1)).astype(np.float32))
        reverb[0] = 1.0
        samples = AF.fftconvolve(samples, reverb)[:n]
    if rng.random() < 0.12:  # telephone and bad microphones
        samples = AF.lowpass_biquad(samples, RATE, float(rng.uniform(3000, 6000)))
    if rng.random() < 0.12:
        samples = AF.highpass_biquad(samples, RATE, float(rng.uniform(80, 300)))
    if rng.random() < 0.35:  # 10 to 40 dB below the voice
        samples = samples + noise(n, rng) * loud * 10 ** (-rng.uniform(10, 40) / 20)
    if rng.random() < 0.08:
        samples = samples + music(n, rng) * loud * 10 ** (-rng.uniform(8, 25) / 20)
    if rng.random() < 0.05:  # telephone codec: 8 bits, logarithmic
        top = samples.abs().max() + 1e-6
        samples = AF.mu_law_decoding(AF.mu_law_encoding(samples / top, 256), 256) * top
    if rng.random() < 0.05:  # recorded too hot
        samples = samples.clamp(-3 * loud, 3 * loud)
    return samples * 10 ** (rng.uniform(-6, 6) / 20)
