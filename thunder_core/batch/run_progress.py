# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows how far a run of many bakes is: in place on a terminal, elsewhere (a log file, a pipe) as a
line every now and then."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
import unicodedata
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from ..files import VISIBLE
from ..progress import time_in_words

LOG_EVERY = 30.0  # least seconds between two lines where the output is no terminal
DRAW_EVERY = 0.25  # least seconds between two pictures on a terminal
LISTED = 8  # most jobs that are listed at once; a cluster may bake more
_WINDOW = 1800.0  # seconds over which the pace is measured
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

    print_line: prints a line on a stream.  stream: of the progress.  on_terminal: None to see
    whether `stream` is one.
    log_every: least seconds between two lines where it is none.
    """

    def __init__(
        self,
        count: int,
        print_line: Callable[[str, TextIO], None],
        stream: TextIO,
        on_terminal: bool | None = None,
        log_every: float = LOG_EVERY,
    ):
        self.count, self.ended = count, 0
        self.on_terminal = is_terminal(stream) if on_terminal is None else on_terminal
        self._print, self._stream = print_line, stream
        self._every = DRAW_EVERY if self.on_terminal else log_every
        self._baking: dict[str, _Baking] = {}
        self._pace = _Pace()
        self._has_begun = False
        self._lines = 0  # of the picture on the terminal
        self._shown = time.monotonic()
        self._mutex = threading.RLock()
        self._closed = threading.Event()
        self._clock = threading.Thread(target=self._tick, name="thunder progress", daemon=True)

    def __enter__(self) -> RunProgress:
        self._clock.start()
        self._draw()
        return self

    def __exit__(self, *_) -> None:
        self._closed.set()
        with self._mutex:
            self._erase()
            self._baking.clear()

    def update(self, job: str, fraction: float, message: str, node: str = "") -> None:
        """Note how far a job is, 0 … 1, and what it does."""
        with self._mutex:
            self._has_begun = True
            now = time.monotonic()
            row = self._baking.get(job)
            if row is None or row.node != node:  # another machine begins again
                row = self._baking[job] = _Baking(now, node)
            row.fraction, row.message = min(1.0, max(0.0, fraction)), message
            self._pace.note(now, self._done)
            self._show_now_and_then(now)

    def end(self, job: str, is_baked: bool) -> float:
        """Note that a job has ended; returns the seconds that it took. A failed one says nothing
        about the pace."""
        with self._mutex:
            now = time.monotonic()
            row = self._baking.pop(job, None)
            self.ended += 1
            self._pace.baked += is_baked
            self._pace.note(now, self._done)
            return now - row.begun if row else 0.0

    def forget(self, job: str) -> None:
        """Note that a job is not being baked any more and waits again."""
        with self._mutex:
            self._baking.pop(job, None)

    def say(self, text: str, stream: TextIO | None = None) -> None:
        """Print lines that stay."""
        with self._mutex:
            self._erase()
            self._print(text, stream or self._stream)
            self._draw()

    def summary(self) -> str:
        """Jobs that have ended, and a guess of the time left: “12 of 140 done, 3 h left”."""
        left = self._pace.seconds_left(
            time.monotonic(), self._done, self.count - self.ended - self._running
        )
        return f"{self.ended} of {self.count} done" + (f", {time_in_words(left)}" if left else "")

    def running(self) -> dict[str, str]:
        """What each job does that is being baked, by its name."""
        with self._mutex:
            now = time.monotonic()
            return {job: _about(row, now) for job, row in self._baking.items()}

    @property
    def _running(self) -> float:
        return sum(row.fraction for row in self._baking.values())

    @property
    def _done(self) -> float:
        """Jobs baked, parts of jobs included, without failed ones."""
        return self._pace.baked + self._running

    def _tick(self) -> None:
        """Thread: refresh the picture, also while no event comes, so that a long film shows signs
        of life."""
        while not self._closed.wait(1.0 if self.on_terminal else self._every / 4):
            with self._mutex:
                if not self._closed.is_set():
                    self._show_now_and_then(time.monotonic())

    def _show_now_and_then(self, now: float) -> None:
        if now - self._shown < self._every:
            return
        if self.on_terminal:
            self._erase()
            self._draw()
        elif self._baking:
            self._shown = now
            line = f"{_INDENT}{self.summary()}; now {'; '.join(self._list_running())}"
            self._print(line, self._stream)

    def _list_running(self) -> list[str]:
        """What is being baked, a text for each job; of many the first, and how many more."""
        rows = [f"{job}: {about}" for job, about in self.running().items()]
        return rows if len(rows) <= LISTED else [*rows[:LISTED], f"and {len(rows) - LISTED} more"]

    # ---- the picture on a terminal

    def _picture(self) -> list[str]:
        summary = self.summary() + ("" if self._has_begun else "; starting Blender")
        return [f"{_INDENT}{row}" for row in (*self._list_running(), summary)]

    def _draw(self) -> None:
        if not self.on_terminal or self._closed.is_set() or self.ended == self.count:
            return
        self._shown = time.monotonic()
        width = shutil.get_terminal_size().columns - 1
        lines = [cut(line.translate(VISIBLE), width) for line in self._picture()]
        self._lines = len(lines)
        self._write("\n".join(lines))

    def _erase(self) -> None:
        if self._lines:
            up = f"\x1b[{self._lines - 1}A" if self._lines > 1 else ""
            self._write(f"\r{up}\x1b[J")
            self._lines = 0

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # the terminal was closed
            self.on_terminal, self._lines = False, 0


class _Pace:
    """Jobs per second of a run, over the last _WINDOW. baked: jobs that were baked."""

    def __init__(self):
        self.baked = 0
        self._past: deque[tuple[float, float]] = deque()  # (time, jobs done)

    def note(self, now: float, done: float) -> None:
        """Record how much is done."""
        if not self._past or now - self._past[-1][0] > _WINDOW / 100:
            self._past.append((now, done))
        while len(self._past) > 2 and now - self._past[1][0] > _WINDOW:
            self._past.popleft()

    def seconds_left(self, now: float, done: float, jobs: float) -> float | None:
        """Seconds for so many jobs at this pace; None while it is too early to know."""
        if not self._past:
            return None
        then, before = self._past[0]
        if now - then < _LEAST_SECONDS or done - before < _LEAST_JOBS:
            return None
        return (now - then) / (done - before) * jobs


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


def is_terminal(stream: TextIO) -> bool:
    """Whether lines can be rewritten in place on a stream."""
    if os.environ.get("TERM") == "dumb" or (
        sys.platform == "win32" and "WT_SESSION" not in os.environ
    ):
        return False  # an old console of Windows shows the codes
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # none, or closed
        return False


def cut(line: str, width: int) -> str:
    """A line that fits on a terminal of so many columns: one that wraps could not be erased."""
    columns = 0
    for place, letter in enumerate(line):
        columns += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if columns > width:
            return line[: max(0, place - 1)] + "…"
    return line
