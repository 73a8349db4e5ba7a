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
from collections.abc import Iterator, Sequence
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
_TIMECODE = re.compile(r"([0-9]{1,3}):([0-9]{2}):([0-9]{2})[:;]([0-9]{1,3}(?:\.[0-9]{1,9})?)")
_LARGEST = 2**28  # largest file that is read, bytes
_FARTHEST = 180.0  # largest value, far beyond any face: an angle in degrees
_LONGEST = 4 * 3600.0  # seconds
_MOST_ROWS = int(_LONGEST * RATE)
_LONGEST_LINE = 2**14  # letters; the app writes about 900
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
            raise BadRequest(
                f"“{name}” is larger than {_LARGEST >> 20} MB: choose a shorter recording"
            )
        with open_input(path, mode="r", encoding="utf-8-sig", newline="") as file:
            heading, clock, codes, values = _table_of(file, name)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "it is no text of comma-separated values"
        raise BadRequest(
            f"“{name}” cannot be read ({reason}): choose a CSV file of Live Link Face"
        ) from error
    if not (np.abs(values) <= _FARTHEST).all():
        raise BadRequest(f"“{name}” holds values that are not numbers: export the recording again")
    seconds = _seconds(clock, codes, name, rate)
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


def _table_of(file: TextIO, name: str) -> tuple[list[str], str, list[str], np.ndarray]:
    """Names of the columns that are known, that of the column of times ("" for none), times [T],
    values [T, columns]. Raises BadRequest, csv.Error."""
    names, rows = {each.lower(): each for each in NAMES}, _rows_of(file, name)
    heading = {_plain(each): place for place, each in enumerate(next(rows, []))}
    columns = {names[each]: place for each, place in heading.items() if each in names}
    if "jawOpen" not in columns:
        raise BadRequest(
            f"“{name}” has no columns of ARKit, such as “JawOpen”: choose a CSV file of Live Link "
            f"Face"
        )
    clock = next((each for each in ("timecode", *_SECONDS, *_FRAMES) if each in heading), "")
    codes: list[str] = []
    values = array("d")
    for row in rows:
        try:
            values.extend([float(row[place]) for place in columns.values()])
            codes.append(row[heading[clock]] if clock else str(len(codes)))
        except (ValueError, IndexError) as error:
            raise BadRequest(
                f"“{name}” has a row that is not whole ({ascii(str(error))[1:-1][:60]}): export "
                f"the recording again"
            ) from error
        if len(codes) > _MOST_ROWS:
            raise BadRequest(
                f"“{name}” holds more than {_MOST_ROWS:,} frames: choose a shorter recording"
            )
    if not codes:
        raise BadRequest(f"“{name}” holds no frames: record again")
    return list(columns), clock, codes, np.array(values).reshape(len(codes), len(columns))


def _rows_of(file: TextIO, name: str) -> Iterator[list[str]]:
    """The rows of a file that hold something, one at a time: the text of a file takes ten times its
    size in memory. Raises BadRequest, csv.Error."""
    while line := file.readline(_LONGEST_LINE + 1):
        if len(line) > _LONGEST_LINE:
            raise BadRequest(
                f"“{name}” has a line of more than {_LONGEST_LINE:,} letters: choose a CSV file "
                f"of Live Link Face"
            )
        if row := next(csv.reader([line]), []):
            yield row


def _seconds(clock: str, codes: list[str], name: str, rate: float) -> np.ndarray:
    """Times [T] from the first on, ascending, of what a column `clock` counts. Raises
    BadRequest."""
    seconds = (
        _parse_timecodes(codes, name)
        if clock == "timecode"
        else _parse_numbers(codes, name) / (1.0 if clock in _SECONDS else rate)
    )
    seconds -= seconds[0]
    if not ((np.diff(seconds) >= 0).all() and seconds[-1] <= _LONGEST):
        raise BadRequest(
            f"“{name}” has timecodes that do not follow each other: export the recording again"
        )
    return seconds


def _parse_numbers(codes: list[str], name: str) -> np.ndarray:
    """Seconds or numbers of frames [T]. Raises BadRequest."""
    try:
        return np.array([float(code) for code in codes])
    except ValueError as error:
        raise BadRequest(
            f"“{name}” has a time that is not a number: export the recording again"
        ) from error


def _parse_timecodes(codes: list[str], name: str) -> np.ndarray:
    """Times [T] of timecodes. Raises BadRequest."""
    parts = [_TIMECODE.fullmatch(code.strip()) for code in codes]
    if not all(parts):
        bad = codes[[part is None for part in parts].index(True)]
        raise BadRequest(
            f"“{name}” has the timecode “{bad[:20]}”, which is not hours:minutes:seconds:frames: "
            f"export the recording again"
        )
    numbers = np.array([[float(number) for number in part.groups()] for part in parts if part])
    rate = next((rate for rate in _RATES if numbers[:, 3].max() < rate), None)
    if rate is None:
        raise BadRequest(
            f"“{name}” counts more than {_RATES[-1]} frames a second: export the recording again"
        )
    seconds = numbers @ [3600.0, 60.0, 1.0, 1.0 / rate]
    # past midnight
    return seconds + 86400.0 * np.cumsum(np.diff(seconds, prepend=seconds[0]) < -43200)
