# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads groups of phones off the encoder's phone probabilities, at the rate of animation or of phone labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...types import FPS
from .closure_envelope import LABELS_PER_SECOND
from .encoder import ENCODER_RATE


def over_frames(belief: np.ndarray, phones: Sequence[int], frames: int) -> np.ndarray:
    """Probability [frames] of some phones at animation frames, from phone probabilities [N, 40] at 50 Hz."""
    at = np.arange(frames) * (ENCODER_RATE / FPS) + 0.5
    return np.interp(at, np.arange(len(belief)), belief[:, list(phones)].sum(1))


def likely(belief: np.ndarray, phones: Sequence[int], above: float) -> np.ndarray:
    """Where some phones are more probable than `above`, bool [2N] at LABELS_PER_SECOND, from phone probabilities [N, 40] at 50 Hz."""
    return np.repeat(belief[:, list(phones)].sum(1) > above, int(LABELS_PER_SECOND / ENCODER_RATE))
