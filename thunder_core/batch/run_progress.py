# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows how far a run of many bakes is: in one line on a terminal, which is written again and
again; elsewhere (a log file, a pipe) as a line every now and then."""

import shutil
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from ..files import VISIBLE
from ..progress import time_in_words

LOG_EVERY = 30.0  # least seconds between two lines where the output is no terminal
DRAW_EVERY = 0.25  # least seconds between two lines on a terminal
LISTED = 8  # most jobs that are listed at once; a cluster may bake more
_LEAST_SECONDS, _LEAST_JOBS = 5.0, 0.25  # what must be done before the time left is guessed
_INDENT = "      "


@dataclass
class _Baking:
    """A job that is being baked.  begun: time of its first event.  node: its machine, "" for this
    one."""

    begun: float
    node: str
    fraction: float = 0.0
    message: str = ""


class RunProgress:
    """Progress of a run of `count` jobs. Everything that the run prints meanwhile goes through
    `say`.

    print_line: prints a line on a stream.  stream: of the progress.  log_every: least seconds
    between two lines where it is no terminal.
    """

    def __init__(
        self,
        count: int,
        print_line: Callable[[str, TextIO], None],
        stream: TextIO,
        log_every: float = LOG_EVERY,
    ):
        self.count, self.ended = count, 0
        self._baked = 0
        self._print, self._stream = print_line, stream
        self._on_terminal = stream.isatty()
        self._every = DRAW_EVERY if self._on_terminal else log_every
        self._baking: dict[str, _Baking] = {}
        self._begun: float | None = None  # time of the first event
        self._shown = time.monotonic()
        self._width = 0  # of the line on the terminal

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
            self._show()

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
        self._erase()
        self._baking.clear()

    def say(self, text: str, stream: TextIO | None = None) -> None:
        """Print lines that stay."""
        self._erase()
        self._print(text, stream or self._stream)

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

    def _show(self) -> None:
        rows = [f"{job}: {about}" for job, about in self.running().items()]
        more = [f"and {len(rows) - LISTED} more"] if len(rows) > LISTED else []
        line = f"{_INDENT}{self.summary()}; now {'; '.join(rows[:LISTED] + more)}"
        if self._on_terminal:
            self._erase()
            self._width = shutil.get_terminal_size().columns - 1
            self._write(cut(line.translate(VISIBLE), self._width))
        else:
            self._print(line, self._stream)

    def _erase(self) -> None:
        if self._width:
            self._write(f"\r{' ' * self._width}\r")
            self._width = 0

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # the terminal was closed
            self._on_terminal, self._width = False, 0


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


def cut(line: str, width: int) -> str:
    """A line that fits on a terminal of so many columns: one that wraps could not be erased."""
    columns = 0
    for place, letter in enumerate(line):
        columns += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if columns > width:
            return line[: max(0, place - 1)] + "…"
    return line
