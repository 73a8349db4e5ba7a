# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the activity of brows, mouth or eyes, and head of a take over time, as shown in all pictures of takes; numpy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..channels import BLINKS
from ..filters import gaussian
from ..types import Motion

TRACKS = ("brows", "mouth", "head")
QUIET_TRACKS = ("brows", "eyes", "head")  # of faces that do not speak
# Display colour of each track.
COLOURS = {"brows": (0.80, 0.64, 1.0), "mouth": (1.0, 0.72, 0.30), "eyes": (0.95, 0.60, 0.62), "head": (0.45, 0.80, 0.45)}
# Full height of a track: a quantile over the frames of all takes of a line, and at least the second number (brows 0 … 1, mouth mm,
# eyes and head degrees), so that small movement looks small.
_FULL = {"brows": (0.995, 0.15), "mouth": (1.0, 5.0), "eyes": (0.995, 6.0), "head": (0.995, 2.0)}
_SMILE = "mouthSmile"
_NOD_FRAMES = 10.0  # standard deviation of the average that a nod stands out of: a head that sinks slowly does not nod


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


def eyes(motion: Motion) -> np.ndarray:
    """Angle of a motion's gaze from where it usually rests, [T] degrees; eyes that make up for a turn of the head stay where they are."""
    gaze = sum((part for part in (motion.eyes, motion.head) if part is not None), np.zeros((motion.frames, 3)))[:, :2]
    return np.degrees(np.linalg.norm(gaze - np.median(gaze, axis=0), axis=1))


def gestures(motion: Motion, channels: Sequence[str]) -> dict[str, np.ndarray]:
    """What a face does that does not speak, [T] each, 0 as usual: a nod, degrees, raised brows and a smile, channel values, a look away,
    degrees."""
    raised, smiles = (
        motion.expression[:, [column for column, name in enumerate(channels) if name.startswith(group)]].sum(axis=1) / most
        for group, most in ((("browInnerUp", "browOuterUp"), 3), ((_SMILE,), 2))
    )
    pitch = np.zeros(motion.frames) if motion.head is None else np.degrees(motion.head[:, 0])
    usual = {"nod": gaussian(pitch, _NOD_FRAMES, "nearest"), "raised": np.median(raised), "smile": np.median(smiles)}
    above = {name: np.maximum(values - usual[name], 0.0) for name, values in (("nod", pitch), ("raised", raised), ("smile", smiles))}
    return above | {"away": eyes(motion)}


def tracks(motion: Motion, channels: Sequence[str], opening: np.ndarray) -> dict[str, np.ndarray]:
    """Activity of a take by TRACKS, [T] each. opening: of its mouth, mm."""
    return {"brows": brows(motion, channels), "mouth": np.asarray(opening, np.float64), "head": head(motion)}


def quiet_tracks(motion: Motion, channels: Sequence[str]) -> dict[str, np.ndarray]:
    """Activity of a face that does not speak by QUIET_TRACKS, [T] each."""
    return {"brows": brows(motion, channels), "eyes": eyes(motion), "head": head(motion)}


def full(takes: Sequence[dict[str, np.ndarray]]) -> dict[str, float]:
    """The value that fills each track in a picture of takes of one line."""
    result = {}
    for name in takes[0]:
        share, least = _FULL[name]
        result[name] = max(least, float(np.quantile(np.concatenate([take[name] for take in takes]), share)))
    return result
