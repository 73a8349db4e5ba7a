# SPDX-License-Identifier: GPL-3.0-or-later
"""ARKit curves as a table in the layout of Live Link Face: 52 blend shapes and the angles of head and eyes; numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

import numpy as np

from ..rotation import matrix_to_euler, rotvec_to_matrix
from ..types import Motion
from .mapping import derived

RATE = 60.0  # frames per second of Live Link Face's own recordings; what reads them counts timecodes so

_SHAPES = (
    *(f"eye{what}{side}" for side in ("Left", "Right")
      for what in ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")),
    "jawForward", "jawRight", "jawLeft", "jawOpen",
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthRight", "mouthLeft",
    *(f"mouth{what}{side}" for what in ("Smile", "Frown", "Dimple", "Stretch") for side in ("Left", "Right")),
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    *(f"mouth{what}{side}" for what in ("Press", "LowerDown", "UpperUp") for side in ("Left", "Right")),
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
_ANGLES = tuple(f"{part}{angle}" for part in ("head", "leftEye", "rightEye") for angle in ("Yaw", "Pitch", "Roll"))

NAMES = (*_SHAPES, *_ANGLES)
COLUMNS = tuple(name[0].upper() + name[1:] for name in NAMES)  # as the app spells them
SHAPES = len(_SHAPES)  # of the columns, the first so many are blend shapes, 0 … 1; the rest are angles, radians


def table(motion: Motion, channels: Sequence[str]) -> np.ndarray:
    """A motion whose expression columns are `channels` as rows of COLUMNS, float64 [T, 61]; not limited to 0 … 1.

    Head and eyes are turned by R = yaw · pitch · roll. Yaw, pitch and roll of the head are about the down, right and
    inward axes of the head (positive: to its right, up, left ear down), as the app counts them; those of the eyes
    about its up, left and outward axes. The blend shapes eyeLook… say the same of the eyes.
    """
    values = derived(motion) | {name: motion.expression[:, column] for column, name in enumerate(channels)}
    rows = np.zeros((motion.frames, len(COLUMNS)))
    for column, name in enumerate(_SHAPES):
        if name in values:
            rows[:, column] = values[name]
    for place, (turn, sign) in enumerate(((motion.head, -1.0), (motion.eyes, 1.0), (motion.eyes, 1.0))):
        if turn is not None:
            first = SHAPES + 3 * place
            x, y, z = matrix_to_euler(rotvec_to_matrix(turn), "ZXY").T
            rows[:, first : first + 3] = sign * np.stack([y, x, z], axis=1)
    return rows


def write(file: TextIO, rows: np.ndarray, start: float, rate: float = RATE) -> None:
    """Write rows [T, 61] as comma-separated values, blend shapes limited to 0 … 1.

    start: time of the first row, seconds.  rate: rows per second.
    """
    file.write("Timecode,BlendShapeCount," + ",".join(COLUMNS) + "\n")
    limited = np.array(rows, dtype=np.float64)
    limited[:, :SHAPES] = np.clip(limited[:, :SHAPES], 0.0, 1.0)
    for number, row in enumerate(limited):
        numbers = ",".join(f"{value:.10f}" for value in row)
        file.write(f"{timecode(start + number / rate, rate)},{len(COLUMNS)},{numbers}\n")


def timecode(seconds: float, rate: float) -> str:
    """HH:MM:SS:FF.fff, the time of a row: whole seconds, frames at `rate`, thousandths of a frame; never negative."""
    thousandths = round(max(seconds, 0.0) * rate * 1000)
    whole, left = divmod(thousandths, round(rate * 1000))
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}:{left // 1000:02d}.{left % 1000:03d}"
