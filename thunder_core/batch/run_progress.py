# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows how far a run of many bakes is: a line every now and then, on a terminal and in a log."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from ..progress import time_in_words

LOG_EVERY = 30.0  # least seconds between two lines
LISTED = 8  # most jobs that are listed at once; a cluster may bake more
_LEAST_SECONDS, _LEAST_JOBS = 5.0, 0.25  # what must be done before the time left is guessed


@dataclass
class _Baking:
    """A job that is being baked.  begun: time of its first event.  node: its machine, "" for this
    one."""

    begun: float
    node: str
    fraction: float = 0.0
    message: str = ""


class RunProgress:
    """Progress of a run of `count` jobs.

    say: prints a line.  log_every: least seconds between two lines.
    """

    def __init__(self, count: int, say: Callable[[str], None], log_every: float = LOG_EVERY):
        self.count, self.ended = count, 0
        self._baked = 0
        self._say, self._every = say, log_every
        self._baking: dict[str, _Baking] = {}
        self._begun: float | None = None  # time of the first event
        self._shown = time.monotonic()

    def update(self, job: str, fraction: float, message: str, node: str = "") -> None:
        """Note how far a job is, 0 … 1, and what it does."""
        now = time.monotonic()
        if self._begun is None:
            self._begun = now
        row = self._baking.get(job)
        if row is None or row.node != node:  # another machine begins again
            row = self._baking[job] = _Baking(now, node)
        row.fraction, row.message = min(1.0, max(0.0, fraction)), message
        if now - self._shown >= self._every:
            self._shown = now
            rows = [f"{name}: {about}" for name, about in self.running().items()]
            more = [f"and {len(rows) - LISTED} more"] if len(rows) > LISTED else []
            self._say(f"      {self.summary()}; now {'; '.join(rows[:LISTED] + more)}")

    def end(self, job: str, is_baked: bool) -> float:
        """Note that a job has ended; returns the seconds that it took. A failed one says nothing
        about the pace."""
        row = self._baking.pop(job, None)
        self.ended += 1
        self._baked += is_baked
        return time.monotonic() - row.begun if row else 0.0

    def forget(self, job: str) -> None:
        """Note that a job is not being baked any more and waits again."""
        self._baking.pop(job, None)

    def stop(self) -> None:
        """Note that no job is being baked any more."""
        self._baking.clear()

    def summary(self) -> str:
        """Jobs that have ended, and a guess of the time left: “12 of 140 done, 3 h left”."""
        running = sum(row.fraction for row in self._baking.values())
        done, jobs_left = self._baked + running, self.count - self.ended - running
        seconds = 0.0 if self._begun is None else time.monotonic() - self._begun
        left = ""
        if seconds >= _LEAST_SECONDS and done >= _LEAST_JOBS:
            left = f", {time_in_words(seconds / done * jobs_left)}"
        return f"{self.ended} of {self.count} done{left}"

    def running(self) -> dict[str, str]:
        """What each job does that is being baked, by its name."""
        now = time.monotonic()
        return {job: _about(row, now) for job, row in self._baking.items()}


def _about(row: _Baking, now: float) -> str:
    """What a job does: “45 %, 2 of 4 sampled, for 2 min (on anna)”."""
    what = f"{row.message[:1].lower()}{row.message[1:]}"
    return f"{row.fraction:.0%}, {what}, for {duration(now - row.begun)}" + (
        f" (on {row.node})" if row.node else ""
    )


def duration(seconds: float) -> str:
    """Seconds as one says them: “42 s”, “3 min”, “2.5 h”."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 99.5 * 60 else f"{seconds / 3600:.1f} h"
