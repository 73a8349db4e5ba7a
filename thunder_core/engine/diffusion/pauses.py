# SPDX-License-Identifier: GPL-3.0-or-later
"""What a head does while its speaker pauses: it stays about where the phrase left it, instead of wandering on."""

from __future__ import annotations

import numpy as np

from ...easing import smoothstep
from ...types import FPS
from ..speech.phones import SILENCE

SHORTEST, LONGEST = 0.32, 2.2  # seconds of silence between phrases that are a pause; in longer ones a face has a life of its own
_QUIET = 0.5  # probability of silence
_EASE = 3  # frames in which a head comes to rest before a pause, and leaves it after
_LEFT = 0.15  # of its movement while it rests
_RETURN = 1.2  # seconds of speech in which what it stayed behind is made up for, to 1/e


def stillness(belief: np.ndarray, frames: int) -> np.ndarray:
    """How still a head is to be [frames], 0 … 1, from phone probabilities [N, 40] at 50 Hz: 1 in pauses between phrases."""
    at = np.minimum(np.arange(frames) * len(belief) // max(1, frames), len(belief) - 1)
    quiet = belief[at, SILENCE] > _QUIET
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]).astype(int)))
    result = np.zeros(frames)
    for start, end in edges.reshape(-1, 2):
        if start > 0 and end < frames and SHORTEST <= (end - start) / FPS <= LONGEST:
            t = np.arange(max(0, start - _EASE), min(frames, end + _EASE))
            ease = smoothstep(np.clip((_EASE + np.minimum(t - start, end - 1 - t)) / _EASE, 0, 1))
            result[t] = np.maximum(result[t], ease)
    return result


def settled(pose: np.ndarray, still: np.ndarray) -> np.ndarray:
    """A head's rotation vectors [T, 3] with `still` [T] of its movement held back; in speech it returns to where it would be."""
    held_back, result = np.zeros(pose.shape[1]), pose.copy()
    keep = 1 - (1 - still) / (_RETURN * FPS)
    for t in range(1, len(pose)):
        held_back = held_back * keep[t] - (1 - _LEFT) * still[t] * (pose[t] - pose[t - 1])
        result[t] = pose[t] + held_back
    return result
