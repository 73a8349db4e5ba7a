# SPDX-License-Identifier: GPL-3.0-or-later
"""Marks on words of a line: what an animator wants of single words, as part of a direction; no
numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .errors import BadRequest

STRESSED = "stressed"
THROWN_AWAY = "thrown away"
HELD = "held"
CLOSED = "closed"
OPEN = "open"
SOUND = "sound"
MOVED = "moved"
KINDS = (STRESSED, THROWN_AWAY, HELD, CLOSED, OPEN, SOUND, MOVED)
MOST_MARKS = 10_000


@dataclass(frozen=True)
class Mark:
    """What an animator wants of one word or sound.

    kind: one of KINDS.  start, end: of the word or sound in the line, seconds from its start.
    sound: for SOUND, the phone to perform there (ARPABET).  to: for MOVED, (start, end) in
    seconds, when lips perform it instead.
    """

    kind: str
    start: float
    end: float
    sound: str = ""
    to: tuple[float, float] | None = None

    def later(self, seconds: float) -> Mark:
        """The mark in a line that begins earlier by so many seconds."""
        to = self.to and (self.to[0] + seconds, self.to[1] + seconds)
        return replace(self, start=self.start + seconds, end=self.end + seconds, to=to)

    def row(self) -> list:
        """As a row of JSON; `read_mark` is the inverse."""
        return [
            self.kind,
            self.start,
            self.end,
            *([self.sound] if self.kind == SOUND else self.to or ()),
        ]


def read_mark(row: object) -> Mark:
    """The mark of a row [kind, start, end], with the sound or the new start and end behind it.
    Raises BadRequest."""
    wrong = BadRequest(f"“{str(row)[:60]}” is no mark of a word: remove it and mark the word again")
    if not isinstance(row, Sequence) or isinstance(row, str) or not row or row[0] not in KINDS:
        raise wrong
    kind, times, sound = row[0], list(row[1:]), ""
    if kind == SOUND:
        sound = times.pop() if times else ""
    wanted = 4 if kind == MOVED else 2
    if len(times) != wanted or not all(
        isinstance(each, (int, float)) and math.isfinite(each) for each in times
    ):
        raise wrong
    if (
        not all(start < end for start, end in zip(times[::2], times[1::2]))
        or not isinstance(sound, str)
        or (kind == SOUND) != bool(sound)
    ):
        raise wrong
    return Mark(
        kind,
        float(times[0]),
        float(times[1]),
        sound,
        (float(times[2]), float(times[3])) if kind == MOVED else None,
    )


def read_marks(rows: object) -> tuple[Mark, ...]:
    """Marks of rows, in the order of their starts. Raises BadRequest."""
    if not isinstance(rows, list) or len(rows) > MOST_MARKS:
        raise BadRequest(
            f"“marks” must be a list of at most {MOST_MARKS} marks: remove them and mark the "
            f"words again"
        )
    return tuple(sorted((read_mark(row) for row in rows), key=lambda mark: (mark.start, mark.kind)))
