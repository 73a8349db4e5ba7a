# SPDX-License-Identifier: GPL-3.0-or-later
"""What a commit records on an action, in its custom properties: the lines that name it, and of each
line its keys and its score.

Names: an action is named after its lines, with the animator's name before them if it has one. Keys:
those not edited since are replaced when the line is committed again. Scores: mesh-to-speech
responds to the invisible tenths of a millimetre that a commit leaves out to save keys. So the loss
of a line by its commit is measured once and added to all its later scores.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from ... import records

LINES = "thunder_lines"  # custom property of an action: the lines committed to it
_LONGEST = 60  # bytes of a name; Blender cuts longer ones, before 5.0 at 63
BLENDERS_NUMBER = re.compile(r"\.\d{3,}$")  # suffix that Blender appends to a name in use
_NUMBER = re.compile(r"(\.\d{3,}| \d+)$")  # the same, or the number appended here
# custom property of an action: checksums of the keys that each committed line wrote
KEYS = "thunder_keys"
_DIGITS = 6  # hexadecimal digits of a key's checksum
# custom property of an action: the take's score and the committed score of each line
SCORES = "thunder_line_scores"


# ---- names


@dataclass(frozen=True)
class CommittedLine:
    """One committed line: its name, and the scene frames it was committed to.

    start, end: the same with its lead-in and lead-out, 0 if unknown.  regions: those committed.
    voice: the record of the voice that it fits, "" if unknown.  late: frames by which it was moved
    since without its voice.
    """

    name: str
    first: int
    last: int
    start: int = 0
    end: int = 0
    regions: frozenset[str] = frozenset()
    voice: str = ""
    late: int = 0

    def later(self, frames: int) -> CommittedLine:
        """The same line moved by `frames`."""
        moved = ("first", "last", "start", "end", "late")
        return replace(self, **{name: getattr(self, name) + frames for name in moved})


@dataclass(frozen=True)
class CommittedLines:
    """The lines of an action in order of time.

    base: the animator's name for the action, "" for none (in files of earlier versions the
    character's name).
    """

    base: str = ""
    lines: tuple[CommittedLine, ...] = ()

    @property
    def name(self) -> str:
        """“one + two”, or “Scene 12 · one + two” where an animator named the action."""
        names = dict.fromkeys(line.name for line in sorted(self.lines, key=lambda line: line.first))
        start = f"{self.base} · " if self.base else ""
        return shorten(start + " + ".join(names), _LONGEST)

    def with_line(self, line: CommittedLine, how: str, shift: int) -> CommittedLines:
        """These lines with one more; `how` as in ThunderCommit: REPLACE drops those it covers,
        INSERT moves later ones."""
        lines = self.lines
        if how == "REPLACE":
            lines = tuple(old for old in lines if old.first < line.first or old.last > line.last)
        elif how == "INSERT":
            lines = tuple(old if old.first < line.first else old.later(shift) for old in lines)
        return CommittedLines(self.base, (*lines, line))

    def without(self, again: Sequence[CommittedLine], regions: frozenset[str]) -> CommittedLines:
        """These lines without those that are committed again in some regions; elsewhere they
        stay."""
        remaining = (
            replace(old, regions=old.regions - regions) if old in again else old
            for old in self.lines
        )
        return CommittedLines(
            self.base,
            tuple(
                old for old, was in zip(remaining, self.lines) if was not in again or old.regions
            ),
        )


@dataclass(frozen=True)
class Naming:
    """Names for the actions of a commit: the lines of the action that it goes into (None: the
    animator's action), before it and with the new line."""

    before: CommittedLines | None
    lines: CommittedLines

    def of_copy(self, name: str) -> str:
        """Name of the copy of an action of that name."""
        return new_name(name, self.before, self.lines) or self.lines.name

    def in_place(self, name: str) -> str:
        """Name of an action that is changed in place; an animator's name is kept."""
        return new_name(name, self.before, self.lines) or name


@records.if_readable(None)
def lines_of(action) -> CommittedLines | None:
    """The lines that were committed to an action, None if none was."""
    record = _record(action, LINES)
    return CommittedLines(str(record["base"]), tuple(_line(*line) for line in record["lines"]))


def _record(action, name: str) -> dict:
    """What a custom property of an action holds as JSON. Raises one of records.UNREADABLE if there
    is none, or not one of ours."""
    record = json.loads(action[name])
    if not records.is_readable(record):
        raise ValueError
    return record


def _line(name, *stored) -> CommittedLine:
    """A line from what is stored of it: its frames, in later records with its leads, its regions,
    and its voice."""
    first, last, start, end = [*map(records.frames, stored[:4]), 0, 0][:4]
    return CommittedLine(
        str(name),
        first,
        last,
        start,
        end,
        frozenset(map(str, stored[4])) if len(stored) > 4 else frozenset(),
        *((str(stored[5]), records.frames(stored[6])) if len(stored) > 6 else ()),
    )


def remember_lines(action, lines: CommittedLines) -> None:
    """Note the lines of an action in it."""
    action[LINES] = json.dumps(
        {
            records.KEY: records.VERSION,
            "base": lines.base,
            "lines": [
                [
                    *(line.name, line.first, line.last, line.start, line.end),
                    *(sorted(line.regions), line.voice, line.late),
                ]
                for line in lines.lines
            ],
        }
    )


def free_name(name: str, used: Collection[str]) -> str:
    """A name, with a number behind it if it is in use: “line one”, “line one 2”, “line one 3”."""
    return next(
        free
        for free in (name, *(f"{name} {number}" for number in range(2, len(used) + 3)))
        if free not in used
    )


def new_name(name: str, before: CommittedLines | None, now: CommittedLines) -> str | None:
    """The new name of an action that was called `name` while it had the lines `before`; None if an
    animator named it."""
    if before is None or not name.startswith(before.name):
        return None
    return now.name + _NUMBER.sub("", name[len(before.name) :])


def rename_lines(action, names: Mapping[str, str]) -> None:
    """Call lines of an action by new names: {old: new}."""
    before, keys = lines_of(action) or CommittedLines(), keys_of(action)
    renamed = {line.name for line in before.lines if line.name in names}
    if not renamed:
        return
    lines = (replace(line, name=names.get(line.name, line.name)) for line in before.lines)
    now = CommittedLines(before.base, tuple(lines))
    remember_lines(action, now)
    remember_keys(action, {names.get(name, name): of_line for name, of_line in keys.items()})
    action.name = new_name(action.name, before, now) or action.name
    scores = {names[old]: score_of(action, old) for old in renamed}
    for name, score in [*((old, None) for old in renamed), *scores.items()]:
        remember_score(action, name, score)


def shorten(text: str, most: int) -> str:
    """The text cut to at most `most` bytes."""
    if len(text.encode()) <= most:
        return text
    return text.encode()[: most - len("…".encode())].decode(errors="ignore").rstrip() + "…"


# ---- keys


@dataclass(frozen=True)
class LineKeys:
    """The keys that commits of one line set.

    shift: frames by which they have moved since.  curves: hashes of these keys, by curve name
    (`curve_name`).
    """

    shift: int = 0
    curves: dict[str, frozenset[str]] = field(default_factory=dict)

    def has(self, curve: str, keys: dict) -> np.ndarray:
        """Mask [count] of a curve's keys that are unchanged since they were set."""
        known = self.curves.get(curve, frozenset())
        return np.array([each in known for each in _sums(keys, self.shift)], bool)

    def with_keys(self, curves: dict[str, tuple[dict, dict]]) -> LineKeys:
        """Add what a commit set. curves: {name: (all keys now, keys it set)}. Hashes of keys that
        no longer exist are dropped."""
        known = dict(self.curves)
        for name, (now, new) in curves.items():
            set_keys = known.get(name, frozenset()).union(_sums(new, self.shift))
            known[name] = set_keys.intersection(_sums(now, self.shift))
        return replace(self, curves=known)

    def later(self, frames: int) -> LineKeys:
        """The same keys moved by `frames`."""
        return replace(self, shift=self.shift + frames)


def of_any_line(lines: Mapping[str, LineKeys], name: str, keys: dict) -> np.ndarray:
    """Mask [count] of the keys of the curve `name` that any line set and nobody has edited
    since."""
    return np.any(
        [np.zeros(len(keys["co"]), bool), *(line.has(name, keys) for line in lines.values())],
        axis=0,
    )


def curve_name(block: int, path: str, index: int) -> str:
    """Name of a curve in the record; block: index of its target in the rig."""
    return f"{block} {index} {path}"


def _sums(keys: dict, shift: int) -> list[str]:
    """A sum of every key's time and value, `shift` frames earlier."""
    times = np.rint(100 * (keys["co"][:, 0].astype(float) - shift)).astype("<i8")
    values = keys["co"][:, 1].astype("<f4")
    return [
        f"{zlib.crc32(time.tobytes() + value.tobytes()):08x}"[:_DIGITS]
        for time, value in zip(times, values)
    ]


@records.if_readable(MappingProxyType({}))
def keys_of(action) -> dict[str, LineKeys]:
    """Keys that lines set in an action, by line; empty if nothing is recorded. action: what has its
    custom properties."""
    return {
        str(name): LineKeys(
            records.frames(shift),
            {
                str(curve): frozenset(
                    sums[at : at + _DIGITS] for at in range(0, len(sums), _DIGITS)
                )
                for curve, sums in curves.items()
            },
        )
        for name, (shift, curves, *_) in _record(action, KEYS)["lines"].items()
    }


def remember_keys(action, lines: Mapping[str, LineKeys]) -> None:
    """Store in an action the keys that lines set in it."""
    kept = {
        name: [line.shift, {curve: "".join(sorted(sums)) for curve, sums in line.curves.items()}]
        for name, line in lines.items()
    }
    action[KEYS] = json.dumps({records.KEY: records.VERSION, "lines": kept})


# ---- scores


@dataclass(frozen=True)
class LineScore:
    """Lip-sync of a committed line, 0 … 100. take: of the take that was committed.  made: of the
    keys as they were committed, None until they were scored."""

    take: float
    made: float | None = None

    def correct(self, total: float, per_frame: np.ndarray) -> tuple[float, np.ndarray]:
        """The score to show where the line's keys now score total and per_frame [T]. As they are
        until `made` is known."""
        loss = 0.0 if self.made is None else self.take - self.made
        return float(np.clip(total + loss, 0, 100)), np.clip(per_frame + loss, 0, 100)


@records.if_readable(None)
def score_of(action, line: str) -> LineScore | None:
    """The score of a line that is stored in an action, None if there is none."""
    record = action[SCORES]["lines"][line] if records.is_readable(action[SCORES]) else {}
    made = float(record["made"]) if "made" in record else None
    score = LineScore(float(record["take"]), made)
    return score if np.isfinite([score.take, score.made or 0.0]).all() else None


def remember_score(action, line: str, score: LineScore | None) -> None:
    """Store a line's score in an action; None removes it."""
    stored = action.get(SCORES)
    lines = (
        dict(stored["lines"].to_dict())
        if hasattr(stored, "to_dict") and hasattr(stored.get("lines"), "to_dict")
        else {}
    )
    lines.pop(line, None)
    if score is not None:
        lines[line] = {name: value for name, value in vars(score).items() if value is not None}
    action[SCORES] = {records.KEY: records.VERSION, "lines": lines}


def is_as_committed(action, line: str, curves: dict, read: Callable) -> bool:
    """Whether no key of a line was moved, added or deleted since it was committed.

    curves: (place of target, path, index) → f-curve.  read: gives the keys of one.
    """
    known = keys_of(action).get(line, LineKeys())
    by_name = {curve_name(*key): curve for key, curve in curves.items()}
    return bool(known.curves) and all(
        name in by_name and known.has(name, read(by_name[name])).sum() >= len(sums)
        for name, sums in known.curves.items()
        if sums
    )
