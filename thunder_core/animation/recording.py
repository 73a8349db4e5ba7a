# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads recorded performances: curves of Live Link Face or ARKit, and takes of ours."""

import os
from dataclasses import replace

import numpy as np

from ..errors import BadRequest
from ..face import livelink
from ..filters import smoothstep
from ..types import FPS, Motion, pack, reorder, unpack
from . import motion_file
from .timing import monotone_cubic

ENDINGS = (".csv", ".npz")
_EASE_SECONDS = 0.5  # from the ends of a recording to rest


def read(path: str, channels: tuple[str, ...], rate: float = livelink.RATE) -> Motion:
    """The motion of a recording at 25 fps, its expression columns `channels`.  rate: as of
    `livelink.read`. Raises BadRequest."""
    ending = os.path.splitext(path)[1].lower()
    if ending not in ENDINGS:
        raise BadRequest(
            f"“{os.path.basename(path)}” is no recording: choose a .csv of Live Link Face or an "
            f".npz of bake.py or Export"
        )
    if ending == ".csv":
        return livelink.read(path, channels, rate)
    motion, names = motion_file.read(path)
    motion = replace(
        motion, expression=reorder(motion.expression, names, channels).astype(np.float32)
    )
    count = max(1, round((motion.frames - 1) / motion.fps * FPS) + 1)
    return unpack(
        monotone_cubic(
            pack(motion), np.clip(np.arange(count) * motion.fps / FPS, 0, motion.frames - 1)
        ),
        len(channels),
    )


def place_in_voice(motion: Motion, seconds: float, frames: int) -> Motion:
    """So many frames of a motion from `seconds` on (below 0: before its beginning). Beyond its ends
    the face eases to rest."""
    position, last = np.arange(frames) + seconds * FPS, motion.frames - 1
    beyond = np.maximum(-position, position - last) / (_EASE_SECONDS * FPS)
    weight = 1.0 - smoothstep(beyond.clip(0.0, 1.0))
    values = monotone_cubic(pack(motion).astype(np.float64), position.clip(0, last))
    return unpack(values * weight[:, None], motion.expression.shape[1])
