# SPDX-License-Identifier: GPL-3.0-or-later
"""The grade of a lip-sync as panels and the list show it: good, check or poor, and the frame that
is worst."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...thunder_core import grades
from ...thunder_core.animation.timing import Clock
from ...thunder_core.recent import Recent
from ...thunder_core.types import FPS
from ..host.session import Memory, session
from . import provenance

_ICONS = {grades.GOOD: "CHECKMARK", grades.CHECK: "QUESTION", grades.POOR: "ERROR"}


@dataclass(frozen=True)
class Grade:
    """icon: Blender's name.  name: good, check or poor.  frame: scene frame that is worst, None of
    good ones."""

    icon: str
    name: str
    frame: int | None

    @classmethod
    def of(cls, total: float, per_frame: np.ndarray | None, clock: Clock) -> Grade | None:
        """The grade of a score and its per-frame scores, at 25 fps [T] from clock.start on; None if
        one is not known."""
        if per_frame is None or not len(per_frame) or not np.isfinite(total):
            return None
        name, place = grades.grade_take(total, per_frame)
        return cls(
            _ICONS[name],
            name,
            None if name == grades.GOOD else round(float(clock.frame(place / FPS))),
        )

    @property
    def text(self) -> str:
        """As it is shown."""
        return self.name if self.frame is None else f"{self.name} · frame {self.frame}"


# grades of takes, by their action, score and first frame
_grades = session.add(Memory(Recent(256)))


def of_take(entry) -> Grade | None:
    """The grade of a take that speaks; None if it is not known, or is of a longer line. Quick: for
    every redraw of a list."""
    if entry.action is None or entry.of_whole or entry.role != "SPEAKS":
        return None
    key = entry.action.session_uid, entry.score, entry.first
    if key not in _grades.known:
        _grades.known[key] = Grade.of(
            entry.score, provenance.sync_of(entry.action), provenance.clock_of_take(entry)
        )
    return _grades.known[key]
