# SPDX-License-Identifier: GPL-3.0-or-later
"""The teacher: a procedural animator that performs phones on the default head's channels, as it is directed.

The mouth is in `teacher_mouth`, lids, brows, gaze and head are in `teacher_upper_face`; what they draw comes from generators
of their own, so that one can change without the other.
"""

from __future__ import annotations

import numpy as np

from ..direction import Direction
from ..types import Motion
from .teacher_mouth import mouth
from .teacher_timing import presence
from .teacher_upper_face import upper_face


def perform(
    phones: np.ndarray, heard: np.ndarray, channels: list[str], rng: np.random.Generator, direction: Direction | None = None
) -> Motion:
    """Animate phones (10 ms labels [M]) with loudness `heard` [T, 2] (see `encoder.loudness`) → Motion of T frames.

    Without a direction one is drawn, of a speaker of its own. Raises BadRequest unless `channels` are the default head's.
    """
    of_mouth, of_upper_face, of_direction = rng.spawn(3)
    if direction is None:
        direction = Direction.of_clip(str(of_direction.integers(1 << 32)), of_direction)
    alive = presence(phones, len(heard))
    expression, jaw = mouth(phones, heard, alive, channels, direction, of_mouth)
    upper, head, eyes = upper_face(heard, alive, direction, of_upper_face)
    for name, values in upper.items():
        for side in (name,) if name in channels else (name + "Left", name + "Right"):
            column = expression[:, channels.index(side)]
            column[:] = np.clip(column + values, 0, 1.2)
    return Motion(*(values.astype(np.float32) for values in (expression, jaw, head, eyes)))
