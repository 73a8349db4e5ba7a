# SPDX-License-Identifier: GPL-3.0-or-later
"""ARKit curves as a table in the layout of Live Link Face: 52 blend shapes and the angles of head
and eyes; numpy only.

Tables of other programs are read too: columns in any order and case, `eyeBlink_L` for
`eyeBlinkLeft`, timecodes, seconds, numbers of frames or none of these.
"""

import csv
import os
import re
from array import array
from collections.abc import Sequence
from dataclasses import replace
from typing import TextIO

import numpy as np

from ..errors import BadRequest
from ..files import open_input
from ..rotation import euler_to_rotvec, matrix_to_euler, rotvec_to_matrix
from ..types import FPS, Motion
from .mapping import derived_keys, motion_of

# frames per second of recordings by Live Link Face; readers count timecodes at this rate
RATE = 60.0

_SHAPES = (
    *(f"eye{what}{side}" for side in ("Left", "Right")
      for what in ("Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide")),
    "jawForward", "jawRight", "jawLeft", "jawOpen",
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthRight", "mouthLeft",
    *(f"mouth{what}{side}" for what in ("Smile", "Frown", "Dimple", "Stretch") for side in ("Left",
    "Right")),
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    *(f"mouth{what}{side}" for what in ("Press", "LowerDown", "UpperUp") for side in ("Left",
    "Right")),
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight",
    "tongueOut",
)  # fmt: skip
_RATES = (24, 25, 30, 50, 60, 100, 120)  # frame rates supported for timecodes
_LARGEST = 2**28  # largest file that is read, bytes
_FARTHEST = 180.0  # largest value, far beyond any face: an angle in degrees
_LONGEST = 4 * 3600.0  # seconds
# columns that count instead of a timecode
_FRAMES, _SECONDS = (("frame", "framenumber", "frameindex"), ("time", "seconds", "timestamp"))
_FARTHEST_TURN = 4.0  # radians that no head turns: angles beyond them are degrees
_ANGLES = tuple(
    f"{part}{angle}"
    for part in ("head", "leftEye", "rightEye")
    for angle in ("Yaw", "Pitch", "Roll")
)

NAMES = (*_SHAPES, *_ANGLES)
COLUMNS = tuple(name[0].upper() + name[1:] for name in NAMES)  # column names as the app writes them
# number of leading columns that are blend shapes, 0 … 1; the rest are angles, radians
SHAPES = len(_SHAPES)


def table(motion: Motion, channels: Sequence[str]) -> np.ndarray:
    """A motion whose expression columns are `channels` as rows of COLUMNS, float64 [T, 61]; not
    limited to 0 … 1.

    Head and eyes are turned by R = yaw · pitch · roll. Yaw, pitch and roll of the head are about
    the down, right and inward axes of the head (positive: to its right, up, left ear down), as the
    app counts them; those of the eyes about its up, left and outward axes. The blend shapes
    eyeLook… encode the same rotation of the eyes.
    """
    values = derived_keys(motion) | {
        name: motion.expression[:, column] for column, name in enumerate(channels)
    }
    rows = np.zeros((motion.frames, len(COLUMNS)))
    for column, name in enumerate(_SHAPES):
        if name in values:
            rows[:, column] = values[name]
    for place, (turn, sign) in enumerate(
        ((motion.head, -1.0), (motion.eyes, 1.0), (motion.eyes, 1.0))
    ):
        if turn is not None:
            first = SHAPES + 3 * place
            x, y, z = matrix_to_euler(rotvec_to_matrix(turn), "ZXY").T
            rows[:, first : first + 3] = sign * np.stack([y, x, z], axis=1)
    return rows


def curves(motion: Motion, channels: Sequence[str]) -> dict[str, np.ndarray]:
    """The values of a motion by name, each float32 [T]: NAMES, then the channels that have no name
    in ARKit."""
    values = dict(zip(NAMES, table(motion, channels).T)) | {
        name: motion.expression[:, column] for column, name in enumerate(channels)
    }
    return {name: np.ascontiguousarray(value, np.float32) for name, value in values.items()}


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
    """HH:MM:SS:FF.fff, the time of a row: whole seconds, frames at `rate`, thousandths of a frame;
    never negative."""
    thousandths = round(max(seconds, 0.0) * rate * 1000)
    total_seconds, left = divmod(thousandths, round(rate * 1000))
    minutes, seconds = divmod(total_seconds, 60)
    clock = f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    return f"{clock}:{left // 1000:02d}.{left % 1000:03d}"


def read(path: str | os.PathLike, channels: Sequence[str], rate: float = RATE) -> Motion:
    """A recording as a motion at 25 fps whose expression columns are `channels`.

    The jaw's and the eyes' rotations are those of the blend shapes, the head's is that of its
    angles; columns that are missing are still. Rows that were dropped are filled in between.  rate:
    rows per second where the file has neither timecodes nor seconds. Raises BadRequest with a
    sentence.
    """
    name = os.path.basename(path)
    try:
        if os.path.getsize(path) > _LARGEST:
            raise ValueError(f"it is larger than {_LARGEST >> 20} MB")
        with open_input(path, mode="r", encoding="utf-8-sig", newline="") as file:
            heading, seconds, values = _table_of(file, rate)
    except (OSError, ValueError, IndexError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or ascii(str(error))[1:-1][:80]
        raise BadRequest(
            f"“{name}” cannot be read ({reason}): choose a CSV file of Live Link Face, or export "
            f"it again"
        ) from error
    wanted = np.arange(max(1, round(float(seconds[-1]) * FPS) + 1)) / FPS
    curves = {each: np.interp(wanted, seconds, column) for each, column in zip(heading, values.T)}
    motion = motion_of(
        {each: curve for each, curve in curves.items() if each in _SHAPES}, channels, len(wanted)
    )
    if not all(each in curves for each in _ANGLES[:3]):
        return motion
    turns = np.stack([curves[each] for each in ("headPitch", "headYaw", "headRoll")], 1)
    if np.abs(turns).max() > _FARTHEST_TURN:
        turns = np.radians(turns)
    return replace(motion, head=euler_to_rotvec(-turns, "ZXY").astype(np.float32))


def _plain(name: str) -> str:
    """The name of a column without case and underscores, its side in full."""
    name = name.strip().lower()
    if name.endswith(("_l", "_r")):
        name = name[:-1] + {"l": "left", "r": "right"}[name[-1]]
    return name.replace("_", "").replace(" ", "")


def _table_of(file: TextIO, rate: float) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names of the columns that are known, times [T] in seconds from the first on, values [T,
    columns]. Raises ValueError, IndexError, csv.Error."""
    names, rows = {each.lower(): each for each in NAMES}, csv.reader(file)
    heading = {_plain(each): place for place, each in enumerate(next(rows, []))}
    columns = {names[each]: place for each, place in heading.items() if each in names}
    if "jawOpen" not in columns:
        raise ValueError("it has no columns of ARKit, such as JawOpen")
    clock = next((each for each in ("timecode", *_SECONDS, *_FRAMES) if each in heading), "")
    codes: list[str] = []
    numbers = array("d")
    for row in filter(None, rows):
        numbers.extend([float(row[place]) for place in columns.values()])
        codes.append(row[heading[clock]] if clock else str(len(codes)))
    values = np.array(numbers).reshape(-1, len(columns))
    if not len(values) or not (np.abs(values) <= _FARTHEST).all():
        raise ValueError("it holds no frames, or values that are not numbers")
    seconds = _parse_timecodes(codes) if clock == "timecode" else np.array(codes, float)
    if clock not in ("timecode", *_SECONDS):
        seconds = seconds / rate
    seconds = seconds - seconds[0]
    if not ((np.diff(seconds) >= 0).all() and seconds[-1] <= _LONGEST):
        raise ValueError("its times do not follow each other")
    return list(columns), seconds, values


def _parse_timecodes(codes: list[str]) -> np.ndarray:
    """Times [T] in seconds of timecodes, hours:minutes:seconds:frames. Raises ValueError,
    IndexError."""
    numbers = np.array([[float(part) for part in re.split("[:;]", code)] for code in codes])
    rate = min(rate for rate in _RATES if rate > numbers[:, 3].max())
    seconds = numbers @ [3600.0, 60.0, 1.0, 1.0 / rate]
    # past midnight
    return seconds + 86400.0 * np.cumsum(np.diff(seconds, prepend=seconds[0]) < -43200)
