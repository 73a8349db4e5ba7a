# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings as training reads them: mono at 16 kHz, as loud as they are. (The engine reads users' files: speech/audio.py.)"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio

from ..types import RATE


def at_rate(samples: np.ndarray, rate: int) -> np.ndarray:
    """Samples float32 [n] of a mono sound at `rate` Hz, resampled to 16 kHz."""
    mono = torch.from_numpy(np.ascontiguousarray(samples, np.float32))
    return torchaudio.functional.resample(mono, rate, RATE).numpy() if rate != RATE else mono.numpy()


def read_recording(path: Path) -> np.ndarray:
    """Samples float32 [n] at 16 kHz, the mean of a file's channels. Raises soundfile.LibsndfileError or OSError."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return at_rate(samples.mean(1), rate)
