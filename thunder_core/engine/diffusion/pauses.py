# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds the head nearly still in the speaker's pauses, so that it does not wander, and keeps head and brows from jerking in speech."""

from __future__ import annotations

import numpy as np

from ...easing import smoothstep
from ...face.smoothing import slowed
from ...steps import CONSTRAINT, step, UNTAUGHT
from ...types import FPS
from ..speech.phrasing import quiet, runs

SHORTEST, LONGEST = 0.32, 2.2  # seconds of silence between phrases in which the head is held; in longer ones the face is idle
_EASE = 5  # frames over which the head comes to rest and starts again
_LEFT = 0.12  # share of its movement that remains
_RETURN = 1.2  # seconds of speech after which 1/e of the offset remains
_FAST, _JERK = 70.0, 130.0  # degrees per second at which a turn begins to be slowed down, and is slowed down most
_NEAR, _SLOWS = 4, 2.6  # frames around such a turn that are smoothed with it, and deviation of the smoothing
_BROW_FAST, _BROW_JERK = 0.1, 0.2  # change of a brow channel from frame to frame, likewise: people's brows take three to six frames
_BROW_NEAR, _BROW_SLOWS = 3, 1.5


def stillness(belief: np.ndarray, frames: int) -> np.ndarray:
    """Stillness of the head [frames], 0 … 1, from phone probabilities [N, 40] at 50 Hz: 1 in pauses between phrases."""
    result = np.zeros(frames)
    for start, end in runs(quiet(belief, frames)):
        if start > 0 and end < frames and SHORTEST <= (end - start) / FPS <= LONGEST:
            t = np.arange(max(0, start - _EASE), min(frames, end + _EASE))
            ease = smoothstep(np.clip((_EASE + np.minimum(t - start, end - 1 - t)) / _EASE, 0, 1))
            result[t] = np.maximum(result[t], ease)
    return result


@step(UNTAUGHT, "head", {"still": "a pause"})
def hold_head_in_pauses(head: np.ndarray, still: np.ndarray) -> np.ndarray:
    """A head's rotation vectors [T, 3] with `still` [T] of its movement held back; in speech it returns to where it would be."""
    first = int(np.argmax(still > 0)) if (still > 0).any() else len(head)  # before it nothing is held back
    first = max(1, first)
    if first >= len(head):
        return head.copy()
    keep = (1 - (1 - still[first:]) / (_RETURN * FPS)).tolist()
    more = ((1 - _LEFT) * still[first:, None] * np.diff(head[first - 1 :], axis=0)).tolist()
    held_back, every = [0.0] * head.shape[1], []
    for share, change in zip(keep, more):  # in Python's own numbers: three at a time are too few for numpy
        held_back = [held * share - by for held, by in zip(held_back, change)]
        every.append(held_back)
    return np.concatenate([head[:first], (head[first:] + np.array(every)).astype(head.dtype)])


@step(UNTAUGHT, "head")
def limit_head_speed(head: np.ndarray) -> np.ndarray:
    """A head's rotation vectors [T, 3] whose fastest turns are smoothed: necks do not jerk on a stressed syllable."""
    return slowed(head, (np.radians(_FAST) / FPS, np.radians(_JERK) / FPS), _NEAR, _SLOWS)


@step(UNTAUGHT, "brows")
def limit_brow_speed(brows: np.ndarray) -> np.ndarray:
    """Brow channels [T, c] whose fastest movements are smoothed: brows do not jump within a frame or two."""
    return slowed(brows, (_BROW_FAST, _BROW_JERK), _BROW_NEAR, _BROW_SLOWS)


@step(CONSTRAINT, "eyes")
def keep_gaze(eyes: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Rotation vectors of the eyes [T, 3] that look where they looked with the head at `before` [T, 3] when it is at `after`.

    Small angles, which add; eyes do not roll.
    """
    return eyes + (before - after) * np.array([1, 1, 0], eyes.dtype)
