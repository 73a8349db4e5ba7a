# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of actions after the lines committed to them: the lines, behind its own name if an animator gave it one."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from ... import records

PROPERTY = "thunder_lines"  # custom property of an action: the lines committed to it
_LONGEST = 60  # bytes of a name; Blender cuts longer ones, before 5.0 at 63
_LONGEST_PART = 24  # letters of the name's first part, and of each line if there are several
_BLENDERS_NUMBER = re.compile(r"\.\d{3,}$")  # suffix that Blender appends to a name in use
_NUMBER = re.compile(r"(\.\d{3,}| \d+)$")  # the same, or the number appended here


@dataclass(frozen=True)
class Line:
    """One committed line: its name, and the scene frames it was committed to.

    start, end: the same with its lead-in and lead-out, 0 if unknown.  regions: those committed.
    """

    name: str
    first: int
    last: int
    start: int = 0
    end: int = 0
    regions: frozenset[str] = frozenset()

    def later(self, frames: int) -> Line:
        """The same line moved by `frames`."""
        moved = {name: getattr(self, name) + frames for name in ("first", "last", "start", "end")}
        return replace(self, **moved)


@dataclass(frozen=True)
class Lines:
    """The lines of an action in order of time.

    base: the animator's own name for the action, "" for none (in files of earlier versions the character's name).
    """

    base: str = ""
    lines: tuple[Line, ...] = ()

    @property
    def name(self) -> str:
        """“one + two”, after an action's own name “Scene 12 · one + two”; too many lines for a name are “one + two + 7 more”."""
        names = list(dict.fromkeys(line.name for line in sorted(self.lines, key=lambda line: line.first)))
        start = f"{cut(self.base, _LONGEST_PART)} · " if self.base else ""
        for shown in range(len(names), 0, -1):
            more = len(names) - shown
            rest = f" + {more} more" if more else ""
            left = _LONGEST - _length(start) - _length(rest)
            joined = " + ".join(cut(name, _LONGEST_PART if len(names) > 1 else left) for name in names[:shown])
            if _length(joined) <= left:
                return start + joined + rest
        return f"{start}{len(names)} lines"

    def with_line(self, line: Line, how: str, shift: int) -> Lines:
        """These lines with one more; `how` as in ThunderCommit: REPLACE drops those it covers, INSERT moves later ones."""
        lines = self.lines
        if how == "REPLACE":
            lines = tuple(old for old in lines if old.first < line.first or old.last > line.last)
        elif how == "INSERT":
            lines = tuple(old if old.first < line.first else old.later(shift) for old in lines)
        return Lines(self.base, (*lines, line))

    def without(self, again: Sequence[Line], regions: frozenset[str]) -> Lines:
        """These lines without those that are committed again in some regions; elsewhere they stay."""
        remaining = (replace(old, regions=old.regions - regions) if old in again else old for old in self.lines)
        return Lines(self.base, tuple(old for old, was in zip(remaining, self.lines) if was not in again or old.regions))


@dataclass(frozen=True)
class Naming:
    """Names for the actions of a commit: the lines of the action it goes into before it (None: an animator's own), and
    with the new line."""

    before: Lines | None
    lines: Lines

    @property
    def new(self) -> str:
        """Name of a new action."""
        return self.lines.name

    def of_copy(self, name: str) -> str:
        """Name of the copy of an action of that name."""
        return renamed(name, self.before, self.lines) or self.lines.name

    def in_place(self, name: str) -> str:
        """Name of an action that is changed in place; an animator's name is kept."""
        return renamed(name, self.before, self.lines) or name


def of(action) -> Lines | None:
    """The lines that were committed to an action, None if none was."""
    if action is None or PROPERTY not in action:
        return None
    try:
        record = json.loads(action[PROPERTY])
        if not records.is_readable(record):
            return None
        return Lines(str(record["base"]), tuple(_line(*line) for line in record["lines"]))
    except records.UNREADABLE:
        return None  # written by something else: treated as having no lines


def _line(name, *stored) -> Line:
    """A line from what is stored of it: its frames, in later records with its leads, and its regions."""
    first, last, start, end = [*map(records.frames, stored[:4]), 0, 0][:4]
    return Line(str(name), first, last, start, end, frozenset(map(str, stored[4])) if len(stored) > 4 else frozenset())


def remember(action, lines: Lines) -> None:
    """Note the lines of an action in it."""
    action[PROPERTY] = json.dumps(
        {
            records.KEY: records.VERSION,
            "base": lines.base,
            "lines": [[line.name, line.first, line.last, line.start, line.end, sorted(line.regions)] for line in lines.lines],
        }
    )


def unnumbered(name: str) -> str:
    """A name without the number that Blender appended."""
    return _BLENDERS_NUMBER.sub("", name)


def free(name: str, used: Collection[str]) -> str:
    """A name, with a number behind it if it is in use: “line one”, “line one 2”, “line one 3”."""
    return next(free for free in (name, *(f"{name} {number}" for number in range(2, len(used) + 3))) if free not in used)


def renamed(name: str, before: Lines | None, now: Lines) -> str | None:
    """The new name of an action that was called `name` while it had the lines `before`; None if an animator named it."""
    if before is None or not name.startswith(before.name):
        return None
    return now.name + _NUMBER.sub("", name[len(before.name) :])


def _length(text: str) -> int:
    """Length in bytes."""
    return len(text.encode())


def cut(text: str, most: int) -> str:
    """The text cut to at most `most` bytes."""
    if _length(text) <= most:
        return text
    return text.encode()[: most - len("…".encode())].decode(errors="ignore").rstrip() + "…"
