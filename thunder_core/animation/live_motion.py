# SPDX-License-Identifier: GPL-3.0-or-later
"""A live performance as it is seen: frames arrive some at a time and late, and are shown as far
behind their sound as is needed for the next to be there in time; never going back."""

import itertools
import math
from collections import deque
from collections.abc import Mapping

import numpy as np

from ..protocol import CURVES, LEVEL
from ..spoken import PHONES, SILENCE
from ..types import FPS

_HELD = 100  # frames that are kept
_LATEST = 25  # arrivals by whose lateness the delay goes
# of these the share that is there in time: what comes later than usual is dropped, else the delay
# would creep on a busy computer
_IN_TIME = 0.8
# seconds in which the delay follows what is needed: soon where frames are late, slowly back; and
# those after the last arrival in which what is left is shown
_LONGER, _SHORTER, _WAITS = 0.15, 3.0, 5.0


class LiveMotion:
    """The frames of events “curves” of the engine, as rows of a packed motion.

    level: the latest event “level”, empty before the first.  loudest: peak so far.  began:
    time.perf_counter() of the sound's first sample.  delay: seconds that the last row shown was
    behind its sound.  hop: seconds from one arrival to the next.
    """

    def __init__(self):
        self.began, self.delay, self.hop, self.loudest = math.inf, 0.0, 0.0, 0.0
        self.level: Mapping = {}
        self._rows, self._first = np.zeros((0, 0)), 0
        self._phones: list[str] = []
        self._needed: deque[float] = deque(maxlen=_LATEST)
        self._behind, self._at, self._asked = 0.0, -math.inf, -math.inf

    def add(self, event: Mapping) -> None:
        """Take in an event. Frames count as there since they were made, though they are looked for
        later: what is shown is looked for at the same times."""
        if event["event"] == LEVEL:
            self.level, self.began = event, event["began"]
            self.loudest = max(self.loudest, event["peak"])
        if event["event"] != CURVES:
            return
        rows, self.hop, self._made = np.array(event["values"]), event["hop"], event["made"]
        if not len(self._rows) or event["first"] != self._first + len(self._rows):
            self._rows, self._first, self._phones = rows[:0], event["first"], []
        rows = np.concatenate([self._rows, rows])
        self._first += max(0, len(rows) - _HELD)
        self._rows, self._phones = rows[-_HELD:], [*self._phones, *event["phones"]][-_HELD:]
        late = self._made - self.began - (self._first + len(self._rows) - 1) / FPS
        self._needed.append(late + self.hop)

    def is_over(self, now: float) -> bool:
        """Whether all that has arrived was shown, or will not be soon, once nothing arrives any
        more."""
        return (
            not len(self._rows)
            or self._at >= self._first + len(self._rows) - 1
            or now > self._made + _WAITS
        )

    def sounds(self) -> tuple[list[tuple[str, float, float]], float]:
        """Phone, start and end (s after the first frame that is kept) of each sound, and when of
        these the row is that was shown last."""
        runs = [(phone, len(list(run))) for phone, run in itertools.groupby(self._phones)]
        ends = np.cumsum([count for _, count in runs]) / FPS
        said = [
            (phone, end - count / FPS, end)
            for (phone, count), end in zip(runs, ends.tolist())
            if phone != PHONES[SILENCE]
        ]
        return said, (self._at - self._first) / FPS

    def at(self, now: float) -> np.ndarray | None:
        """The row [C] to be seen now, None before the first."""
        if not len(self._rows):
            return None
        needed = sorted(self._needed)[math.ceil(_IN_TIME * len(self._needed)) - 1]
        passed = max(0.0, now - self._asked)  # infinite at first
        seconds = _LONGER if needed > self._behind else _SHORTER
        self._behind += (needed - self._behind) * -math.expm1(-passed / seconds)
        last = self._first + len(self._rows) - 1
        place = max(self._at, (now - self.began - self._behind) * FPS)
        self._asked, self._at = now, min(max(place, self._first), last)
        self.delay = now - self.began - self._at / FPS
        before, share = divmod(self._at - self._first, 1.0)
        row, after = int(before), min(int(before) + 1, len(self._rows) - 1)
        return (1 - share) * self._rows[row] + share * self._rows[after]
