# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound out of a mel spectrogram: Griffin-Lim from `torchaudio`."""

from __future__ import annotations

import torch
import torchaudio
from torch import Tensor

from ..speech.mel import BINS, FLOOR, HOP
from ..types import RATE

WINDOW = 640  # samples, 40 ms: the spectrogram that mesh-to-speech draws
_ITERATIONS = 48
_CHUNK = 3000  # mel frames (30 s) inverted at once


def speak(mel: Tensor) -> Tensor:
    """Log-mel [N, 80] at 100 Hz → waveform [160 N] at 16 kHz, peak at most 0.9. Deterministic."""
    filters = torchaudio.functional.melscale_fbanks(
        WINDOW // 2 + 1, 0.0, RATE / 2, BINS, RATE, norm="slaney", mel_scale="slaney"
    ).to(mel.device)
    back = torch.linalg.pinv(filters)  # [80, 321] → linear spectrum by least squares, negative bins cut
    pieces = []
    for start in range(0, len(mel), _CHUNK):
        amplitude = mel[start : start + _CHUNK].float().exp()
        # The floor of the logarithm is silence, not hiss.
        amplitude = torch.where(amplitude <= 1.5 * FLOOR, torch.zeros_like(amplitude), amplitude)
        linear = (amplitude @ back).clamp_min(0).T
        pieces.append(
            torchaudio.functional.griffinlim(
                linear, torch.hann_window(WINDOW, device=mel.device), WINDOW, HOP, WINDOW, power=1.0,
                n_iter=_ITERATIONS, momentum=0.99, length=(linear.shape[1] - 1) * HOP, rand_init=False,
            )
        )  # fmt: skip
        pieces.append(pieces[-1].new_zeros(HOP))  # N frames have N − 1 hops between them
    sound = torch.cat(pieces)
    return sound * (0.9 / sound.abs().max().clamp_min(0.9))
