# SPDX-License-Identifier: GPL-3.0-or-later
"""The score of a committed line: that of its take, plus or minus the effect of edits.

Mesh-to-speech responds to the invisible tenths of a millimetre that a commit leaves out to save keys. So the loss of a line by its commit
is measured once and added to all its later scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ... import records
from . import line_keys

PROPERTY = "thunder_line_scores"  # custom property of an action: the take's score and the committed score of each line
UNSEEN_MM = 0.6  # invisible lip error; a commit's loss within it is not counted


@dataclass(frozen=True)
class LineScore:
    """Data of a committed line's lip-sync; scores are 0 … 100, per frame [T] at 25 fps from the sound's start on.

    take, take_per_frame: of the take that was committed.  made, made_per_frame: of the keys as they were committed, None until
    they were scored.  share: of their difference that is not counted, 0 … 1.
    """

    take: float
    take_per_frame: np.ndarray | None
    share: float
    made: float | None = None
    made_per_frame: np.ndarray | None = None

    def measured(self, total: float, per_frame: np.ndarray) -> LineScore:
        """The same with the score of the keys as they were committed."""
        return replace(self, made=float(total), made_per_frame=np.asarray(per_frame, np.float32))

    def corrected(self, total: float, per_frame: np.ndarray) -> tuple[float, np.ndarray]:
        """The score to show where the line's keys now score total and per_frame [T]. As they are until `made` is known."""
        if self.made is None or self.made_per_frame is None:
            return total, per_frame
        shown = _corrected(np.array([total]), np.array([self.take]), np.array([self.made]), self.share)
        take, made = (np.full(len(per_frame), whole, float) for whole in (self.take, self.made))
        for values, known in ((take, self.take_per_frame), (made, self.made_per_frame)):
            if known is not None and self.take_per_frame is not None:
                count = min(len(values), len(known))
                values[:count] = known[:count]
        return float(shown[0]), _corrected(np.asarray(per_frame, float), take, made, self.share).astype(np.float32)


def _corrected(now: np.ndarray, take: np.ndarray, made: np.ndarray, share: float) -> np.ndarray:
    """Scores with the correction; lips that match less than the committed ones get less of it, so that they do not rank higher."""
    alike = np.minimum(1.0, now / np.maximum(made, 1.0))
    return np.clip(now + share * (take - made) * alike, 0.0, 100.0)


def of_take(total: float, per_frame: np.ndarray | None, error_mm: float) -> LineScore | None:
    """The score of a line that was just committed from a take, None if the take has none yet.

    error_mm: by which its lips may be off.
    """
    if not np.isfinite(total):
        return None
    return LineScore(float(total), per_frame, min(1.0, UNSEEN_MM / error_mm) if error_mm > 0 else 1.0)


def of(action, line: str) -> LineScore | None:
    """The score of a line that is stored in an action, None if there is none."""
    try:
        stored = action[PROPERTY]
        if not records.is_readable(stored):
            return None
        record = stored["lines"][line]
        arrays = {name: np.array(record[name], np.float32) if name in record else None for name in ("take_per_frame", "made_per_frame")}
        numbers = [float(record[name]) for name in ("take", "share", *(("made",) if "made" in record else ()))]
    except records.UNREADABLE:
        return None  # written by something else, or not at all
    known = [array for array in arrays.values() if array is not None]
    if not np.isfinite(numbers).all() or any(array.ndim != 1 or not np.isfinite(array).all() for array in known):
        return None
    made = numbers[2] if len(numbers) > 2 else None
    return LineScore(numbers[0], arrays["take_per_frame"], numbers[1], made, arrays["made_per_frame"])


def remember(action, line: str, score: LineScore | None) -> None:
    """Store a line's score in an action; None removes it."""
    stored = action.get(PROPERTY)
    lines = (
        dict(stored["lines"].to_dict()) if hasattr(stored, "to_dict") and "lines" in stored and hasattr(stored["lines"], "to_dict") else {}
    )
    lines.pop(line, None)
    if score is not None:
        lines[line] = {
            name: np.asarray(value, np.float32).ravel() if isinstance(value, np.ndarray) else float(value)
            for name, value in vars(score).items()
            if value is not None
        }
    if lines:
        action[PROPERTY] = {records.KEY: records.VERSION, "lines": lines}
    elif PROPERTY in action:
        del action[PROPERTY]


def is_as_committed(action, line: str, curves: dict, read: Callable) -> bool:
    """Whether no key of a line was moved, added or deleted since it was committed.

    curves: (place of target, path, index) → f-curve.  read: gives the keys of one.
    """
    known = line_keys.of(action).get(line)
    if known is None or not known.curves:
        return False
    by_name = {line_keys.name_of(*key): curve for key, curve in curves.items()}
    for name, sums in known.curves.items():
        if sums and (name not in by_name or int(known.has(name, read(by_name[name])).sum()) < len(sums)):
            return False
    return True
