# SPDX-License-Identifier: GPL-3.0-or-later
"""ARKit curves as a table in the layout of Live Link Face: 52 blend shapes and the angles of head
and eyes; numpy only.

Tables of other programs are read too: columns in any order, names in any spelling and behind any
prefix, values between commas, semicolons or tabs, and any times (`row_times`).
"""

import csv
import os
import re
from array import array
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import IO, TextIO

import numpy as np

from ..errors import BadRequest
from ..face.moving.driving import derived_keys, motion_of
from ..face.reading.conventions import match, words
from ..files import open_input
from ..rotation import euler_to_rotvec, matrix_to_euler, rotvec_to_matrix
from ..text_files import encoding_of, NotText
from ..types import FPS, LONGEST_RECORDING, MOST_FRAMES, Motion
from .row_times import kind_of, number_in, times_of, UnknownRate

# frames per second of recordings by Live Link Face
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
_LARGEST = 2**28  # largest file that is read, bytes
_FARTHEST = 180.0  # largest value, far beyond any face: an angle in degrees
_HEAD = 2**16  # bytes that tell its encoding
# letters of a line, letters and words of a name, columns, those that count
_LONGEST_LINE, _LONGEST_NAME, _MOST_WORDS, _MOST_COLUMNS, _MOST_CLOCKS = 2**16, 64, 12, 4096, 4
_MOST_ABOVE = 50  # lines, not counting empty ones, in which the names of columns are looked for
_LINES_OF_PIECE = 200  # that are read at once: some 5 ms
_OF_EMPTY_ROWS = " \t,;\r\n"
# above this blend shapes are no overshoot, and above that percent
_MOST_SHAPE, _LEAST_PERCENT = 1.5, 10.0
# radians that no head turns, beyond which angles are degrees: beside a telephone that is turned
# itself, and in other tables
_FARTHEST_TURN, _FARTHEST_LIKELY = 4.0, 1.6
_ANGLE_UNITS = {"degrees": {"deg", "degree", "degrees"}, "radians": {"rad", "radian", "radians"}}
_MOST_NAMED = 3  # columns that a sentence names
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


def read(
    path: str | os.PathLike, channels: Sequence[str], rate: float = 0.0
) -> Generator[float, None, tuple[Motion, str]]:
    """A recording as a motion at 25 fps whose expression columns are `channels`, and a sentence on
    how it was read: its rate, units, and columns that were left out. Yields progress.

    The jaw's and the eyes' rotations are those of the blend shapes, the head's is that of its
    angles; columns that are missing are still. Rows that were dropped are filled in between.  rate:
    frames per second, 0: as the file says. Raises BadRequest with a sentence, which asks for the
    rate where the file does not say it.
    """
    name = os.path.basename(path)
    try:
        size = os.path.getsize(path)
        if size > _LARGEST:
            raise ValueError(f"it is larger than {_LARGEST >> 20} MB")
        with open_input(path) as data:
            encoding = encoding_of(data.read(_HEAD))
        with open_input(path, mode="r", encoding=encoding, newline="") as file:
            table = yield from _read_table(file, size)
        seconds, read_at = times_of(table.clocks, len(table.values), rate)
        seconds = seconds - seconds[0]
        if not ((np.diff(seconds) >= 0).all() and seconds[-1] <= LONGEST_RECORDING):
            raise ValueError("its times do not follow each other")
        curves, notes = _values_of(table)
    except UnknownRate as unknown:
        raise BadRequest(
            f"“{name}” does not tell how many rows it has a second, because {unknown}: set Frames "
            f"per Second (in a bake: --performed-rate)"
        ) from unknown
    except (OSError, ValueError, IndexError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "".join(
            filter(str.isprintable, str(error)[:80])
        )
        if isinstance(error, UnicodeDecodeError):
            reason = "it is not text in UTF-8"
        if isinstance(error, NotText):
            reason = f"it {error}"
        raise BadRequest(
            f"“{name}” cannot be read ({reason}): choose a CSV file of Live Link Face, or export "
            f"it again"
        ) from error
    said = f"“{name}” was read {'; '.join(filter(None, (read_at, *notes)))}"
    wanted = np.arange(max(1, round(float(seconds[-1]) * FPS) + 1)) / FPS
    curves = {each: np.interp(wanted, seconds, column) for each, column in curves.items()}
    motion = motion_of(
        {each: curve for each, curve in curves.items() if each in _SHAPES}, channels, len(wanted)
    )
    if all(each in curves for each in _ANGLES[:3]):
        turns = np.stack([curves[each] for each in ("headPitch", "headYaw", "headRoll")], 1)
        motion = replace(motion, head=euler_to_rotvec(-turns, "ZXY").astype(np.float32))
    return motion, said if read_at or notes else ""


@dataclass(frozen=True)
class _Table:
    """columns: NAMES that it has → their headings.  values: [T, columns].  clocks: headings of
    columns that count, and their cells.  left_out: headings of the others.  is_live_link: whether
    it has the layout of the app, whose angles are radians."""

    columns: dict[str, str]
    values: np.ndarray
    clocks: list[tuple[str, list[str]]]
    left_out: list[str]
    is_live_link: bool


@dataclass(frozen=True)
class _Heading:
    """The line with the names of a table's columns.  separator: between them.  places: names → of
    their columns.  columns: NAMES that it has → their headings."""

    separator: str
    places: dict[str, int]
    columns: dict[str, str]

    @classmethod
    def of(cls, line: str) -> "_Heading":
        """The names in a line; none where it can be no such line."""
        separator = max("\t;,", key=line.count)
        cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
        places: dict[str, int] = {}
        for place, cell in enumerate(cells if len(cells) <= _MOST_COLUMNS else ()):
            each = "".join(filter(str.isprintable, cell)).strip()
            if each and len(each) <= _LONGEST_NAME and len(words(each)) <= _MOST_WORDS:
                places.setdefault(each, place)
        found = match(NAMES, list(places)) if "jaw" in line.lower() else {}
        return cls(separator, places, {each: names[0] for each, names in found.items()})


def _find_heading(file: IO[str]) -> _Heading:
    """The line with names of columns, which programs write below others: what made the file, its
    version, when. Raises ValueError."""
    is_long, units = False, ""
    lines = islice(iter(lambda: file.readline(_LONGEST_LINE), ""), MOST_FRAMES)
    for line in islice((each for each in lines if each.strip(_OF_EMPTY_ROWS)), _MOST_ABOVE):
        heading = _Heading.of(line)
        if "jawOpen" in heading.columns:
            return heading
        is_long |= len(line) == _LONGEST_LINE
        if any(re.fullmatch(r"(?i)au_?\d+.*", each) for each in heading.places):
            units = " but action units"
    if is_long:
        raise ValueError("its first line is too long for names of columns")
    raise ValueError(f"it has no columns of ARKit, such as JawOpen{units}")


def _read_table(file: IO[str], size: int) -> Generator[float, None, _Table]:
    """The table in a file of values between commas, semicolons or tabs; yields progress. size: of
    the file, bytes. Raises ValueError, IndexError, csv.Error."""
    heading = _find_heading(file)
    separator, places, columns = heading.separator, heading.places, heading.columns
    clocks = [(each, list[str]()) for each in places if kind_of(each)][:_MOST_CLOCKS]
    of_values = [places[each] for each in columns.values()]
    last = max([*of_values, *(places[each] for each, _ in clocks)])
    numbers, read = array("d"), 0
    # a line is a row, whatever quotes it begins
    lines = iter(lambda: file.readline(_LONGEST_LINE), "")
    for number, line in enumerate(lines):
        read += len(line)
        if number % _LINES_OF_PIECE == 0:
            if number > 2 * MOST_FRAMES:
                raise ValueError(f"it has more than {2 * MOST_FRAMES:,} lines")
            yield min(read / size, 1.0)
        if not line.strip(_OF_EMPTY_ROWS):
            continue
        (row,) = csv.reader([line], delimiter=separator, skipinitialspace=True)
        if any(row):
            if len(numbers) == MOST_FRAMES * len(columns):
                raise ValueError(f"it has more than {MOST_FRAMES:,} rows")
            if len(row) <= last:
                raise ValueError("it has a row with fewer values than its first line has names")
            numbers.extend([number_in(row[place]) for place in of_values])
            for each, cells in clocks:
                cells.append(row[places[each]])
    values = np.frombuffer(numbers).reshape(-1, len(columns))
    if not len(values) or not (np.abs(values) <= _FARTHEST).all():
        raise ValueError(
            f"it holds no frames, or values that are not numbers up to {_FARTHEST:.0f}"
        )
    used = {*columns.values(), *(each for each in places if kind_of(each))}
    others = {each: "".join(words(each)) for each in places if each not in used}
    is_live_link = "blendshapecount" in others.values()
    left_out = [each for each, spelt in others.items() if spelt != "blendshapecount"]
    return _Table(columns, values, clocks, left_out, is_live_link)


def _values_of(table: _Table) -> tuple[dict[str, np.ndarray], list[str]]:
    """The columns of a table by name, blend shapes from 0 to 1 and angles in radians, and notes on
    them."""
    curves = dict(zip(table.columns, table.values.T))
    notes = []
    shapes = [each for each in curves if each in _SHAPES]
    highest = max(float(np.abs(curves[each]).max()) for each in shapes)
    if highest > _MOST_SHAPE:
        is_percent = highest > _LEAST_PERCENT
        notes.append(
            f"blend shapes reach {highest:.3g} and were read as "
            + ("percent" if is_percent else "1 for the whole movement")
        )
        curves |= {each: curves[each] / 100 for each in shapes if is_percent}
    angles = [each for each in _ANGLES[:3] if each in curves]
    if len(angles) == len(_ANGLES[:3]):
        farthest = max(float(np.abs(curves[each]).max()) for each in angles)
        spelt = {word for each in angles for word in words(table.columns[each])}
        named = next((unit for unit, names in _ANGLE_UNITS.items() if spelt & names), "")
        limit = _FARTHEST_TURN if table.is_live_link else _FARTHEST_LIKELY
        unit = named or ("degrees" if farthest > limit else "radians")
        if unit == "degrees":
            curves |= {each: np.radians(curves[each]) for each in angles}
        if not named and farthest and (unit == "degrees" or not table.is_live_link):
            notes.append(f"the head's angles as {unit}")
    if table.left_out:
        named = ", ".join(f"“{each}”" for each in table.left_out[:_MOST_NAMED])
        more = len(table.left_out) - _MOST_NAMED
        notes.append(
            f"without columns that are not ARKit's: {named}" + f" and {more} more" * (more > 0)
        )
    return curves, notes
