# SPDX-License-Identifier: GPL-3.0-or-later
"""A character's manner: how an animator's takes of it depart from sampled ones, as a small readable
file; learned from corrected lines (`engine.manner_learning`), performed after sampling
(`engine.manner_step`). Standard library only.

Example: {"thunder_manner": 1, "lines": 14, "changes": [{"what": "width", "where": "OO", "offset":
-2.1, "size": 1.0, "mean": -2.1, "lines": 12}, …]}
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .errors import BadRequest
from .named_files import read_document, read_file, read_number
from .spoken import NAMES

VERSION = 1
LONGEST = 50_000  # largest manner, letters
_MOST_BYTES = 4 * LONGEST
DECIMALS = 4  # of numbers in files
_MOST_WORDS = 6  # changes that a sentence says
LEAST_LINES = 2  # fewer show no manner
MOST_LINES = 10_000  # lines that one manner was learned from
EVERYWHERE, PAUSES, PHRASE_ENDS = "everywhere", "pauses", "phrase ends"
KINDS = (*NAMES, PAUSES, PHRASE_ENDS)  # of sound: the mouths that animators tell apart, and quiet
# What of a mouth changes, millimetres beyond rest: what lips do by themselves in the order of
# `face.moving.mouth_shape.SIGNALS`, and how far the jaw takes the chin down. Then a channel that is
# a mood's; then what only has a size, and what has a rate.
MOUTH = ("lips", "width", "upper lip", "jaw", "left corner", "right corner")
SMILE, SIZES, BLINKS = "smile", ("brows", "head", "gaze"), "blinks"
WHAT = (*MOUTH, SMILE, *SIZES, BLINKS)
_MOST_OFFSET = 30.0  # millimetres, or values of a channel
_MOST_SIZE = 4.0
# name, what is said of less of it, and of more
_OF_SIZE = {row[0]: row[1:] for row in (
    ("jaw", "Jaw smaller", "Jaw larger"), ("smile", "Smiles smaller", "Smiles larger"),
    ("brows", "Brows calmer", "Brows livelier"), ("head", "Head calmer", "Head livelier"),
    ("gaze", "Gaze calmer", "Gaze livelier"), ("blinks", "Blinks rarer", "Blinks more often"),
    ("lips", "Lips move less", "Lips move more"),
    ("width", "Rounding and width smaller", "Rounding and width larger"),
    ("upper_lip", "Upper lip calmer", "Upper lip livelier"),
    ("left_corner", "Left corner calmer", "Left corner livelier"),
    ("right_corner", "Right corner calmer", "Right corner livelier"),
)}  # fmt: skip
_PLACES = dict((("pauses", "Pauses"), ("phrase ends", "Phrase ends")))
_OF_OFFSET = {row[0]: row[1:] for row in (
    ("jaw", "Jaw smaller", "Jaw larger"), ("smile", "Smiles less", "Smiles more"),
    ("lips", "Lips closer", "Lips further apart"), ("width", "Rounder", "Wider"),
    ("upper_lip", "Upper lip lower", "Upper lip higher"),
    ("left_corner", "Left corner lower", "Left corner higher"),
    ("right_corner", "Right corner lower", "Right corner higher"),
)}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """One departure.

    what: one of WHAT.  where: EVERYWHERE or one of KINDS.  offset: millimetres, of a smile its
    channel's value.  size: factor of what the take does; of blinks, of their rate.  mean: what both
    come to on average there, in the unit of `offset`; 0 for what has a size alone.  lines: number
    of lines that show it.  is_used: whether it is performed.
    """

    what: str
    where: str = EVERYWHERE
    offset: float = 0.0
    size: float = 1.0
    mean: float = 0.0
    lines: int = 0
    is_used: bool = True

    @property
    def words(self) -> str:
        """What it does, in English: “OO: Rounder by 2.1 mm”, “Blinks rarer by 50 %”."""
        name = self.what.replace(" ", "_")
        if self.where == EVERYWHERE:
            text, amount = _OF_SIZE[name][self.size > 1], f"{100 * abs(self.size - 1):.0f} %"
            return f"{text} by {amount}"
        value = self.mean or self.offset
        text = _OF_OFFSET[name][value > 0]
        amount = f"{abs(value):.2f}" if self.what == SMILE else f"{abs(value):.1f} mm"
        place = _PLACES.get(self.where, self.where)
        return f"{place}: {text} by {amount}"


@dataclass(frozen=True)
class Manner:
    """The manner of a character. lines: that it was learned from."""

    changes: tuple[Change, ...] = ()
    lines: int = 0

    @property
    def used(self) -> tuple[Change, ...]:
        """The changes that are performed."""
        return tuple(change for change in self.changes if change.is_used)

    def drop_as(self, other: "Manner | None") -> "Manner":
        """The same without the changes that another leaves out."""
        left = {(row.what, row.where) for row in (other or Manner()).changes if not row.is_used}
        changes = (replace(row, is_used=(row.what, row.where) not in left) for row in self.changes)
        return replace(self, changes=tuple(changes))

    def of(self, what: str, where: str = EVERYWHERE) -> Change:
        """A change that is performed; one that changes nothing where there is none."""
        found = (each for each in self.used if (each.what, each.where) == (what, where))
        return next(found, Change(what, where))

    def data(self) -> dict:
        """The content of its file; usual values are left out."""
        rows = [
            {name: value for name, value in asdict(change).items() if value != _USUAL.get(name)}
            for change in self.changes
        ]
        rounded = [
            {name: round(v, DECIMALS) if isinstance(v, float) else v for name, v in row.items()}
            for row in rows
        ]
        return {"thunder_manner": VERSION, "lines": self.lines, "changes": rounded}

    def to_json(self) -> str:
        """The text of its file."""
        return json.dumps(self.data(), indent=1, ensure_ascii=False) + "\n"

    @staticmethod
    def from_json(text: str, name: str = "") -> "Manner":
        """The manner in a JSON text. name: of its file, for messages. Raises BadRequest."""
        where = f"The manner “{name}”" if name else "The manner"
        advice = "choose a file that was saved as a manner", "save it again"
        data = read_document(text, "thunder_manner", VERSION, LONGEST, where, advice, BadRequest)
        return Manner.from_data(data, where)

    @staticmethod
    def from_data(data: Any, where: str) -> "Manner":
        """The manner in a table, of a file or a preset. where: it is, in a sentence. Raises
        BadRequest."""
        if not isinstance(data, dict):
            raise BadRequest(f"{where} has a manner that is not a table: save it again")
        if "changes" not in data:
            raise BadRequest(
                f"{where} has no “changes”, which a manner has: choose a file that was saved as a "
                f"manner"
            )
        rows = data["changes"]
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise BadRequest(f"{where} has “changes” that are not a list of tables: save it again")
        lines = round(read_number(data.get("lines", 0), "lines", where, 0, MOST_LINES))
        changes = tuple(_read_change(row, where) for row in rows)
        if len({(each.what, each.where) for each in changes}) < len(changes):
            raise BadRequest(f"{where} names the same change twice: leave one of them")
        return Manner(changes, lines)

    @staticmethod
    def read(path: Path) -> "Manner":
        """The manner in a file. Raises BadRequest."""
        advice = "choose another, or save it again"
        text = read_file(path, _MOST_BYTES, f"The manner “{path.name}”", advice)
        return Manner.from_json(text, path.stem)


_USUAL: Mapping[str, object] = MappingProxyType(
    {field.name: field.default for field in fields(Change) if field.name != "what"}
)


def _read_change(row: dict, where: str) -> Change:
    """One row of a file. Raises BadRequest."""
    for key, known in (("what", WHAT), ("where", (EVERYWHERE, *KINDS))):
        value = row.get(key, EVERYWHERE if key == "where" else None)
        if value not in known:
            shown = json.dumps(value, ensure_ascii=False)[:40]
            raise BadRequest(
                f"{where} has {shown} as “{key}” of a change, which is none of "
                f"{', '.join(known)}: correct it"
            )
    what, place = row["what"], row.get("where", EVERYWHERE)
    if what in (*SIZES, BLINKS) and place != EVERYWHERE:
        raise BadRequest(
            f"{where} has “{what}” on “{place}”, which changes {EVERYWHERE} alone: correct it"
        )
    bounds = {
        "offset": (-_MOST_OFFSET, _MOST_OFFSET), "mean": (-_MOST_OFFSET, _MOST_OFFSET),
        "size": (0.0, _MOST_SIZE), "lines": (0, MOST_LINES),
    }  # fmt: skip
    values = {
        name: read_number(row.get(name, _USUAL[name]), name, where, *bound)
        for name, bound in bounds.items()
    }
    used = row.get("is_used", True)
    if not isinstance(used, bool):
        raise BadRequest(f"{where} has “is_used” that is neither true nor false: correct it")
    return Change(
        what, place, values["offset"], values["size"], values["mean"], round(values["lines"]), used,
    )  # fmt: skip


def describe(manner: Manner) -> str:
    """A sentence on what was learned, in English, what most lines show first, in six changes at
    most."""
    if not manner.changes:
        return f"{manner.lines} lines show no manner: each departs from its take in its own way"
    ordered = sorted(manner.changes, key=lambda change: -change.lines)
    changes = "; ".join(change.words for change in ordered[:_MOST_WORDS])
    said = f"From {manner.lines} lines: {changes}"
    more = len(ordered) - _MOST_WORDS
    return f"{said}; {more} more in the list beside Manner" if more > 0 else said
