# SPDX-License-Identifier: GPL-3.0-or-later
"""Timing of the mouth: presence of speech, and slow noise that avoids exact repetition."""

from __future__ import annotations

import numpy as np

from .. import filters
from ..engine.speech.cues import segments
from ..engine.speech.phones import SILENCE
from ..filters import smoothstep
from ..types import FPS

PAUSE = 80  # labels (10 ms) of silence between sounds from which lips come to rest: in shorter pauses people's do as the map says


def presence(phones: np.ndarray, frames: int) -> np.ndarray:
    """Presence of speech [T]: 1 in speech, 0 in longer pauses, eased in ahead of the sound.

    phones: 10 ms labels [M].
    """
    quiet = phones == SILENCE
    for a, b in segments(quiet):
        if b - a < PAUSE and a > 0 and b < len(phones):
            quiet[a:b] = False
    active = (~quiet).astype(float)
    active = filters.highest(active, 13, origin=-1) if len(active) > 13 else active
    active = filters.gaussian(np.pad(active, 40, mode="edge"), 6.0)[40:-40]
    at = (np.arange(frames) * 4).clip(0, len(active) - 1)
    return smoothstep(np.clip((active[at] - 0.08) / 0.84, 0, 1))


def wander(frames: int, rng: np.random.Generator, hertz: float) -> np.ndarray:
    """Slow smooth noise [T] of unit deviation around `hertz`."""
    pad = int(2 * FPS / hertz)
    x = filters.gaussian(rng.standard_normal(frames + 2 * pad), FPS / (2 * np.pi * hertz))
    return (x / (x.std() + 1e-9))[pad : pad + frames]
