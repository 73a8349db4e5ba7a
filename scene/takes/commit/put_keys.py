# SPDX-License-Identifier: GPL-3.0-or-later
"""Which keys of an action a commit put there and nobody has edited since: a line that is committed again replaces those."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, replace

import numpy as np

from ....thunder_core import records

PROPERTY = "thunder_keys"  # of an action: for each line that was committed to it, a sum of every key that it put
_DIGITS = 6  # hexadecimal, of a key's sum


@dataclass(frozen=True)
class Put:
    """The keys that commits of one line put.

    shift: how many frames later they are since.  curves: sums of the keys of a curve, by its name (`name_of`).
    """

    shift: int = 0
    curves: dict[str, frozenset[str]] | None = None

    def has(self, curve: str, keys: dict) -> np.ndarray:
        """Which of a curve's keys are such keys as they were put, a mask [count]."""
        known = (self.curves or {}).get(curve, frozenset())
        return np.array([one in known for one in _sums(keys, self.shift)] if known else np.zeros(len(keys["co"])), bool)

    def with_keys(self, curves: dict[str, tuple[dict, dict]]) -> Put:
        """With what a commit put on curves, {name: (all their keys now, those that were put)}; sums of keys that are gone go."""
        all_curves = dict(self.curves or {})
        for name, (now, put) in curves.items():
            known = all_curves.get(name, frozenset()).union(_sums(put, self.shift))
            all_curves[name] = known.intersection(_sums(now, self.shift))
        return replace(self, curves=all_curves)

    def later(self, frames: int) -> Put:
        """The same keys so many frames later."""
        return replace(self, shift=self.shift + frames)


def name_of(block: int, path: str, index: int) -> str:
    """Name of a curve in the record; block: the place of its target among its rig's."""
    return f"{block} {index} {path}"


def _sums(keys: dict, shift: int) -> list[str]:
    """A sum of every key's time and value, `shift` frames earlier."""
    times = np.rint(100 * (keys["co"][:, 0].astype(float) - shift)).astype("<i8")
    values = keys["co"][:, 1].astype("<f4")
    return [f"{zlib.crc32(time.tobytes() + value.tobytes()):08x}"[:_DIGITS] for time, value in zip(times, values)]


def of(action) -> dict[str, Put]:
    """What lines put into an action, by their names; none where nothing is known."""
    if action is None or PROPERTY not in action:
        return {}
    try:
        record = json.loads(action[PROPERTY])
        if not records.is_readable(record):
            return {}
        return {
            str(name): Put(
                int(shift),
                {str(curve): frozenset(sums[at : at + _DIGITS] for at in range(0, len(sums), _DIGITS)) for curve, sums in curves.items()},
            )
            for name, (shift, curves) in record["lines"].items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}  # written by something else


def remember(action, lines: dict[str, Put]) -> None:
    """Store in an action the keys that lines put into it."""
    action[PROPERTY] = json.dumps(
        {
            records.KEY: records.VERSION,
            "lines": {
                name: [put.shift, {curve: "".join(sorted(sums)) for curve, sums in (put.curves or {}).items()}]
                for name, put in lines.items()
            },
        }
    )
