# SPDX-License-Identifier: GPL-3.0-or-later
"""Records the keys that a commit wrote into an action; those not edited since are replaced when the line is committed again."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ... import records

PROPERTY = "thunder_keys"  # custom property of an action: checksums of the keys that each committed line wrote
_DIGITS = 6  # hexadecimal digits of a key's checksum


@dataclass(frozen=True)
class LineKeys:
    """The keys that commits of one line set.

    shift: frames by which they have moved since.  curves: hashes of these keys, by curve name (`name_of`).  ends: of these, keys
    kept as the ends of a replaced line (`remaining.Remaining`).
    """

    shift: int = 0
    curves: dict[str, frozenset[str]] | None = None
    ends: dict[str, frozenset[str]] | None = None

    def has(self, curve: str, keys: dict) -> np.ndarray:
        """Mask [count] of a curve's keys that are unchanged since they were set."""
        return _is_among(keys, self.shift, (self.curves or {}).get(curve, frozenset()))

    def has_end(self, curve: str, keys: dict) -> np.ndarray:
        """Mask [count] of a curve's keys that were kept as the end of a replaced line."""
        return _is_among(keys, self.shift, (self.ends or {}).get(curve, frozenset()))

    def with_keys(self, curves: dict[str, tuple[dict, dict, dict]]) -> LineKeys:
        """Add what a commit set. curves: {name: (all keys now, keys it set, kept ends)}. Hashes of keys that no longer exist are
        dropped."""
        all_curves, all_ends = dict(self.curves or {}), dict(self.ends or {})
        for name, (now, set_now, ends) in curves.items():
            there, new = _sums(now, self.shift), frozenset(_sums(set_now, self.shift))
            all_curves[name] = all_curves.get(name, frozenset()).union(new).intersection(there)
            all_ends[name] = all_ends.get(name, frozenset()).union(_sums(ends, self.shift)).difference(new).intersection(there)
        return replace(self, curves=all_curves, ends={name: sums for name, sums in all_ends.items() if sums})

    def later(self, frames: int) -> LineKeys:
        """The same keys moved by `frames`."""
        return replace(self, shift=self.shift + frames)


def of_any_line(lines: Mapping[str, LineKeys], name: str, keys: dict) -> np.ndarray:
    """Mask [count] of the keys of the curve `name` that any line set and nobody has edited since."""
    return np.any([np.zeros(len(keys["co"]), bool), *(line.has(name, keys) for line in lines.values())], axis=0)


def name_of(block: int, path: str, index: int) -> str:
    """Name of a curve in the record; block: index of its target in the rig."""
    return f"{block} {index} {path}"


def _is_among(keys: dict, shift: int, known: frozenset[str]) -> np.ndarray:
    """True for keys with a recorded checksum, a mask [count]."""
    return np.array([one in known for one in _sums(keys, shift)] if known else np.zeros(len(keys["co"])), bool)


def _sums(keys: dict, shift: int) -> list[str]:
    """A sum of every key's time and value, `shift` frames earlier."""
    times = np.rint(100 * (keys["co"][:, 0].astype(float) - shift)).astype("<i8")
    values = keys["co"][:, 1].astype("<f4")
    return [f"{zlib.crc32(time.tobytes() + value.tobytes()):08x}"[:_DIGITS] for time, value in zip(times, values)]


def of(action) -> dict[str, LineKeys]:
    """Keys that lines set in an action, by line; empty if nothing is recorded. action: what has its custom properties."""
    if action is None or PROPERTY not in action:
        return {}
    try:
        record = json.loads(action[PROPERTY])
        if not records.is_readable(record):
            return {}
        return {
            str(name): LineKeys(records.frames(shift), *map(_split, (curves, *more)))  # older records have no ends
            for name, (shift, curves, *more) in record["lines"].items()
        }
    except records.UNREADABLE:
        return {}  # written by something else


def _split(curves: dict[str, str]) -> dict[str, frozenset[str]]:
    """The sums of each curve from one text."""
    return {str(curve): frozenset(sums[at : at + _DIGITS] for at in range(0, len(sums), _DIGITS)) for curve, sums in curves.items()}


def _joined(curves: dict[str, frozenset[str]] | None) -> dict[str, str]:
    """The sums of each curve as one text."""
    return {curve: "".join(sorted(sums)) for curve, sums in (curves or {}).items()}


def remember(action, lines: Mapping[str, LineKeys]) -> None:
    """Store in an action the keys that lines set in it."""
    kept = {name: [line.shift, _joined(line.curves), *([_joined(line.ends)] if line.ends else [])] for name, line in lines.items()}
    action[PROPERTY] = json.dumps({records.KEY: records.VERSION, "lines": kept})
