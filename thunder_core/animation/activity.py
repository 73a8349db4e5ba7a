# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the activity of brows, mouth and head of a take over time, as shown in all pictures of takes; numpy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..channels import BLINKS
from ..types import Motion

TRACKS = ("brows", "mouth", "head")
COLOURS = {"brows": (0.80, 0.64, 1.0), "mouth": (1.0, 0.72, 0.30), "head": (0.45, 0.80, 0.45)}  # display colour of each track
# Full height of a track: a quantile over the frames of all takes of a line, and at least the second number (brows 0 … 1, mouth mm, head
# degrees), so that small movement looks small.
_FULL = {"brows": (0.995, 0.15), "mouth": (1.0, 5.0), "head": (0.995, 2.0)}


def brows(motion: Motion, channels: Sequence[str]) -> np.ndarray:
    """The strongest of a motion's brow channels, [T] 0 … 1."""
    columns = [column for column, name in enumerate(channels) if name.startswith("brow")]
    return np.abs(motion.expression[:, columns]).max(axis=1, initial=0.0)


def lids(motion: Motion, channels: Sequence[str]) -> np.ndarray:
    """How far a motion's eyes are shut, [T] 0 … 1; the eye that is shut further."""
    columns = [column for column, name in enumerate(channels) if name.startswith(BLINKS)]
    return motion.expression[:, columns].max(axis=1, initial=0.0)


def head(motion: Motion) -> np.ndarray:
    """Angle of a motion's head from its median pose, [T] degrees."""
    if motion.head is None:
        return np.zeros(motion.frames)
    return np.degrees(np.linalg.norm(motion.head - np.median(motion.head, axis=0), axis=1))


def tracks(motion: Motion, channels: Sequence[str], opening: np.ndarray) -> dict[str, np.ndarray]:
    """Activity of a take by TRACKS, [T] each. opening: of its mouth, mm."""
    return {"brows": brows(motion, channels), "mouth": np.asarray(opening, np.float64), "head": head(motion)}


def full(takes: Sequence[dict[str, np.ndarray]]) -> dict[str, float]:
    """The value that fills each track in a picture of takes of one line."""
    result = {}
    for name, (share, least) in _FULL.items():
        result[name] = max(least, float(np.quantile(np.concatenate([take[name] for take in takes]), share)))
    return result
