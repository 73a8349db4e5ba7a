# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells when the rows of a captured table were recorded, from its columns of timecodes, times or
frame numbers; numpy only. What these do not tell is asked for, never assumed."""

import math
import re
from collections.abc import Sequence

import numpy as np

from ..face.reading.conventions import words

# frames that a second of a timecode may have
_RATES = (15, 24, 25, 30, 48, 50, 60, 90, 100, 120)
_UNITS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
# rows per second of what films faces, where a column names its unit, and where they tell the unit:
# narrower than the factor 1000 between two units
_POSSIBLE, _LIKELY = (0.5, 1000.0), (4.0, 500.0)
_MOST_REPEATED = 0.6  # share of rows that may have the time of the row before
# what a column counts, by the words of its name, the surest first
_KINDS = {
    "code": r"(?:smpte )?time ?code|smpte|tc",
    "time": r"(?:(?:elapsed|capture|device|video|media|recording|relative|unix|system) )*"
    r"(?:times?|time ?stamps?|ts|clock|elapsed|t)?(?: in)? ?(?:(?P<s>s|secs?|seconds?)"
    r"|(?P<ms>ms|msecs?|millis|milliseconds?)|(?P<µs>[uµμ] ?s|usecs?|micros|microseconds?)"
    r"|(?P<ns>ns|nsecs?|nanos|nanoseconds?))?",
    "frame": r"frames?(?: ?(?:number|num|no|nr|index|idx|id|count|counter))?|index|idx|row",
}
# what may follow in a name: how the time is written, how many frames a second has
_FORMAT = re.compile(r"(?: h+ m+ s+(?: [fms]+)?)?(?: (?:\d+ )+fps)?$")
_FPS = re.compile(r"(\d{1,3}(?:\.\d{1,3})?) ?fps\b", re.IGNORECASE | re.ASCII)
# hours (or none), minutes, seconds, and frames or decimals, behind a date
_CODE = re.compile(
    r"(?:\d{4}-\d\d-\d\d[T ])?(?:(\d{1,3})[:;])?(\d{1,2})[:;](\d{1,2})"
    r"(?:([:;.,])(\d{1,9}(?:[.,]\d{1,9})?))?(?:Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)


class UnknownRate(Exception):
    """A table does not tell how many rows it has a second; the message says why."""


def kind_of(name: str) -> str:
    """What a column counts by its name, “code”, “time” or “frame”; “” for none of these."""
    spelt = _spell(name)
    return next((kind for kind in _KINDS if spelt and re.fullmatch(_KINDS[kind], spelt)), "")


def _spell(name: str) -> str:
    return _FORMAT.sub("", " ".join(words(name)))


def _unit_of(name: str) -> str:
    """The unit that a column of times names, one of _UNITS, “” for none."""
    match = re.fullmatch(_KINDS["time"], _spell(name))
    return next((unit for unit, text in match.groupdict().items() if text), "") if match else ""


def number_in(cell: str) -> float:
    """The number in a cell, with a decimal point or comma. Raises ValueError."""
    try:
        value = float(cell.replace(",", ".").rstrip("% "))
    except ValueError:
        what = f"“{_shorten(cell)}” in place of a number" if cell.strip() else "empty cells"
        raise ValueError(f"it holds {what}") from None
    if not math.isfinite(value):
        raise ValueError("it holds values that are not numbers")
    return value


def _shorten(cell: str) -> str:
    return "".join(filter(str.isprintable, cell))[:20]


def times_of(
    columns: Sequence[tuple[str, list[str]]], count: int, rate: float = 0.0
) -> tuple[np.ndarray, str]:
    """Times [count] of rows in seconds, and how they are known, such as “at 60 frames a second, by
    its column “Timecode””.

    columns: names and cells of those that have a kind.  rate: frames per second that somebody says,
    at which frames are counted, and rows where none are; 0: as the columns say. Raises UnknownRate,
    ValueError.
    """
    problem, order = "it has no column of times", list(_KINDS)
    ranked = sorted(
        columns, key=lambda each: (order.index(kind_of(each[0])), not _unit_of(each[0]))
    )
    for name, cells in ranked if count else ():
        fps = _FPS.search(name)
        named = float(fps[1]) if fps else 0.0
        try:
            if ":" in cells[0] or ";" in cells[0]:
                seconds, rows = _times_of_codes(cells, rate, named)
            elif kind_of(name) == "frame":
                seconds, rows = _times_of_frames(cells, rate or named)
            else:
                seconds, rows = _times_of_numbers(cells, _unit_of(name), rate)
        except UnknownRate as unknown:
            problem = f"its column “{name}” {unknown}"
            continue
        return seconds, f"{rows}, by its column “{name}”" + ", as set" * bool(rate)
    if count > 1 and not rate:
        raise UnknownRate(problem)
    return np.arange(count) / (rate or 1.0), f"at {rate:g} rows a second, as set" if rate else ""


def _times_of_codes(cells: list[str], rate: float, named: float) -> tuple[np.ndarray, str]:
    """Times of hours:minutes:seconds with frames (behind : or ;) or decimals, and their rate.
    named: frames per second that the column's name has, 0 for none."""
    found = []
    for cell in cells:
        match = _CODE.fullmatch(cell.strip())
        if match is None:
            raise UnknownRate(f"has a time that cannot be read, “{_shorten(cell)}”")
        found.append(match.groups())
    marks = {mark for *_, mark, _ in found if mark}
    whole = np.array([3600 * int(h or 0) + 60 * int(m) + int(s) for h, m, s, *_ in found], float)
    whole += 86400.0 * np.cumsum(np.diff(whole, prepend=whole[0]) < -43200)  # past midnight
    if marks and marks <= {":", ";"}:
        frames = np.array([number_in(part or "0") for *_, part in found])
        base = rate or named or _frames_a_second(whole, frames)
        nominal = math.ceil(base)  # 29.97 frames a second are counted to 30
        if frames.max() >= nominal:
            raise ValueError(f"its timecodes count to {frames.max():g}, beyond {base:g} frames")
        # those that drop numbers keep to the clock
        seconds = whole + frames / nominal if ";" in marks else (whole * nominal + frames) / base
        return seconds, f"at {base:g} frames a second"
    if rate or not marks:
        raise UnknownRate("has whole seconds only")
    return _check_steps(whole + [float(f".{part or 0}") for *_, part in found], "s")


def _frames_a_second(whole: np.ndarray, frames: np.ndarray) -> float:
    """How many frames a second has by timecodes that pass from one second [T] to the next; frames
    [T]. Raises UnknownRate."""
    possible = [rate for rate in _RATES if rate > frames.max()]
    if not possible:
        raise ValueError(f"its timecodes count to {frames.max():g} frames")
    if not np.ptp(frames):
        return float(possible[0])
    ahead, steps = np.diff(whole), np.diff(frames)
    inside = steps[(ahead == 0) & (steps > 0)]
    step = float(np.median(inside)) if len(inside) else 0.0
    # as many frames as the numbers fall where a second passes, and the row's own step
    falls = (step - steps)[ahead == 1]
    if not len(falls) or not step:
        raise UnknownRate("stays within one second")
    rate = min(possible, key=lambda rate: float(abs(np.median(falls) - rate)))
    if abs(np.median(falls) - rate) > step + 1:
        raise UnknownRate("does not tell where its seconds end")
    return float(rate)


def _times_of_frames(cells: list[str], rate: float) -> tuple[np.ndarray, str]:
    """Times of frame numbers, and their rate."""
    numbers = np.array([number_in(cell) for cell in cells])
    if not rate:
        raise UnknownRate("counts frames without saying how many a second has")
    return (numbers - numbers[0]) / rate, f"at {rate:g} frames a second"


def _times_of_numbers(cells: list[str], unit: str, rate: float) -> tuple[np.ndarray, str]:
    """Times of numbers in a unit, which the rows tell where it is “”, and how many a second has."""
    if rate:
        raise UnknownRate("is not used")
    times = np.array([number_in(cell) for cell in cells])
    times = times - times[0]
    if unit:
        return _check_steps(times * _UNITS[unit], unit)
    step = _step_of(times)
    fitting = [
        unit for unit, size in _UNITS.items() if _LIKELY[0] <= 1 / (step * size) <= _LIKELY[1]
    ]
    if not fitting:
        raise UnknownRate("has times of an unknown unit")
    return _check_steps(times * _UNITS[fitting[0]], fitting[0])


def _step_of(times: np.ndarray) -> float:
    """The usual time between two rows. Raises UnknownRate, ValueError."""
    steps = np.diff(times)
    if not (steps >= 0).all():
        raise ValueError("its times do not follow each other")
    if not len(steps) or (steps == 0).mean() > _MOST_REPEATED:
        raise UnknownRate("has the same time in many rows")
    median = float(np.median(steps[steps > 0]))
    # times in whole milliseconds alternate, and rows that were dropped leave longer steps
    return float(steps[(steps > 0) & (steps < 1.6 * median)].mean())


def _check_steps(seconds: np.ndarray, unit: str) -> tuple[np.ndarray, str]:
    """Times in seconds, and their rate and unit. Raises UnknownRate where no camera films so."""
    rate = 1 / _step_of(seconds)
    if not _POSSIBLE[0] <= rate <= _POSSIBLE[1]:
        raise UnknownRate(f"in {unit} would mean {rate:.3g} rows a second")
    return seconds, f"at {round(rate, 1):g} rows a second (times in {unit})"
