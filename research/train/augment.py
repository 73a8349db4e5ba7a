# SPDX-License-Identifier: GPL-3.0-or-later
"""Augments training crops as recordings vary: gain, noise, music, other voices, rooms, narrow
bands, codecs."""

import io
from collections.abc import Sequence

import numpy as np
import soundfile
import torch
import torchaudio.functional as AF
from torch import Tensor

from thunder_core.types import RATE


def noise(n: int, rng: np.random.Generator) -> np.ndarray:
    """[n] of unit-RMS noise with a random spectral slope, white to brown, as rooms and microphones
    have."""
    white = np.fft.rfft(rng.standard_normal(n))
    slope = rng.uniform(0.0, 1.0)
    colour = white / np.maximum(np.fft.rfftfreq(n, 1 / RATE), 40.0) ** slope
    x = np.fft.irfft(colour, n)
    return (x / (x.std() + 1e-9)).astype(np.float32)


def music(n: int, rng: np.random.Generator) -> Tensor:
    """[n] of unit-RMS accompaniment without a voice: struck or held chords of harmonic tones,
    sometimes with a beat."""
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
                    x[here] += (
                        envelope
                        * np.sin(2 * np.pi * pitch * h * local + rng.uniform(0, 6))
                        / h ** rng.uniform(0.7, 2)
                    )
        if rng.random() < 0.4:
            x[here] += 0.5 * np.exp(-local * 40) * rng.standard_normal(len(local))
        at += length
    return torch.from_numpy((x / (x.std() + 1e-9)).astype(np.float32))


def change_speed(samples: Tensor, n: int) -> Tensor:
    """[m] samples played in the time of n: faster or slower, pitch and formants with it."""
    return torch.nn.functional.interpolate(
        samples[None, None], n, mode="linear", align_corners=False
    )[0, 0]


def room(n: int, rng: np.random.Generator) -> Tensor:
    """Impulse response [n] of a small or large room: the direct sound, and noise that decays by 60
    dB within .15 to .9 s."""
    t = np.arange(n) / RATE
    seconds = 0.15 * 6 ** rng.random()
    tail = rng.standard_normal(n) * 10 ** (-3 * t / seconds) * (t > rng.uniform(0.001, 0.01))
    # energy of the room beside that of the direct sound
    tail *= 10 ** (-rng.uniform(0, 15) / 20) / (np.linalg.norm(tail) + 1e-9)
    tail[0] = 1.0
    return torch.from_numpy(tail.astype(np.float32))


def compress(samples: Tensor, rng: np.random.Generator) -> Tensor:
    """[samples] as a lossy codec leaves them: Vorbis at its lowest rates, or a telephone's eight
    logarithmic bits at 8 kHz."""
    n, top = len(samples), samples.abs().max() + 1e-6
    if rng.random() < 0.3:
        narrow = AF.resample(samples / top, RATE, RATE // 2)
        return (
            AF.resample(AF.mu_law_decoding(AF.mu_law_encoding(narrow, 256), 256), RATE // 2, RATE)[
                :n
            ]
            * top
        )
    file = io.BytesIO()
    soundfile.write(
        file,
        (samples / top).numpy(),
        RATE,
        format="OGG",
        subtype="VORBIS",
        compression_level=float(rng.uniform(0.7, 1.0)),
    )
    file.seek(0)
    decoded = torch.from_numpy(soundfile.read(file, dtype="float32")[0])[:n]
    return torch.nn.functional.pad(decoded, (0, n - len(decoded))) * top


def augment(samples: Tensor, rng: np.random.Generator, others: Sequence[Tensor] = ()) -> Tensor:
    """[samples] → [samples]: random gain, and for some crops a room, a narrow band, a codec, noise,
    music or other voices beneath.

    others: crops of other voices as long, which talk behind this one if there are any.
    """
    n = len(samples)
    loud = samples.std()
    if others:  # a single voice is further behind, or nobody could say whose phones are meant
        babble = torch.stack([other / (other.std() + 1e-6) for other in others]).sum(0)
        samples = samples + babble / (babble.std() + 1e-6) * loud * 10 ** (
            -rng.uniform(10 if len(others) < 3 else 3, 20) / 20
        )
    if rng.random() < 0.2:
        samples = AF.fftconvolve(samples, room(RATE // 2, rng))[:n]
    if rng.random() < 0.12:  # telephone and bad microphones
        samples = AF.lowpass_biquad(samples, RATE, float(rng.uniform(3000, 6000)))
    if rng.random() < 0.12:
        samples = AF.highpass_biquad(samples, RATE, float(rng.uniform(80, 300)))
    if rng.random() < 0.35:
        samples = samples + torch.from_numpy(noise(n, rng)) * loud * 10 ** (
            -rng.uniform(5, 40) / 20
        )
    if rng.random() < 0.12:
        samples = samples + music(n, rng) * loud * 10 ** (-rng.uniform(3, 25) / 20)
    if rng.random() < 0.12:
        samples = compress(samples, rng)
    if rng.random() < 0.05:  # recorded too hot
        samples = samples.clamp(-3 * loud, 3 * loud)
    return samples * 10 ** (rng.uniform(-6, 6) / 20)
