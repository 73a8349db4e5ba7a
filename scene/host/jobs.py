# SPDX-License-Identifier: GPL-3.0-or-later
"""Long jobs in slices: generators that an operator's timer advances step by step, or that run to
their end without a window.

A job is a Generator[Step, None, T]: it yields Steps and returns its value. Parts of it that report
only how far they are (thunder_core/progress.py) become Steps with `stage`.

An undo or redo, by a key or a script, ends a job with a sentence, since it may hold Blender's data.
A job that survives (`survives_undo`) holds them only within `restart_after_undo`, and looks them up
again after it.
"""

import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

import bpy

from ...thunder_core.errors import Cancelled, ThunderError, Undone
from ...thunder_core.progress import map_progress, time_in_words
from .session import session

P = TypeVar("P")
T = TypeVar("T")

PACE_SECONDS = 30.0  # window over which the time left is estimated
# work per timer call, plus at most one step: Blender must not block for more than 50 ms
SLICE_SECONDS = 0.018
# editors with curves and words over their frames
TIMELINES = ("SEQUENCE_EDITOR", "DOPESHEET_EDITOR")
# limit for a busy step plus the longest step so far; the window's events wait during it anyway
BUSY_SECONDS = 0.04


@dataclass(frozen=True)
class Step:
    """Progress of a job. busy: the job holds Blender data until the next step, so all events but
    undo and redo wait.
    begins: a new kind of work starts here; its pace is estimated anew.  note: a sentence that the
    animator should know while the job runs.
    """

    fraction: float
    message: str
    busy: bool = False
    begins: bool = False
    note: str | None = None


def stage(
    work: Generator[float, None, T],
    message: str,
    start: float = 0.0,
    end: float = 1.0,
    busy: bool = True,
) -> Generator[Step, None, T]:
    """Work that yields its progress 0 … 1 as Steps of that message from fraction `start` to `end`.
    Returns its value."""
    return map_progress(
        work, lambda fraction: Step(start + fraction * (end - start), message, busy)
    )


def restart_after_undo(make: Callable[[], Generator[P, None, T]]) -> Generator[P, None, T]:
    """Work that refers to Blender's data between steps, in a job that survives an undo: the
    undo closes the work, and make() begins it again with data that it looks up. Returns the value
    of the work."""
    while True:
        work = make()
        session.held.append(work)
        try:
            while True:
                try:
                    progress = next(work)
                except StopIteration as end:
                    return end.value
                yield progress
                if work.gi_frame is None:  # closed meanwhile
                    break
        finally:
            session.held.remove(work)
            work.close()


class Pace:
    """Speed of a job over the last PACE_SECONDS."""

    def __init__(self):
        self.began = time.monotonic()
        self.past: deque = deque([(self.began, 0.0)])  # (time, fraction)

    def note(self, fraction: float, begins: bool = False) -> None:
        """Record how far the work is now; begins: something else than before."""
        now = time.monotonic()
        if begins:
            self.began, self.past = now, deque([(now, fraction)])
        elif now - self.past[-1][0] > PACE_SECONDS / 20:
            self.past.append((now, fraction))
            # The window grows with the elapsed time, so that a pause of the engine does not change
            # the estimate much.
            while len(self.past) > 2 and now - self.past[1][0] > max(
                PACE_SECONDS, 0.7 * (now - self.began)
            ):
                self.past.popleft()

    def seconds_left(self, fraction: float) -> float | None:
        """Seconds that the rest will take at this pace; None while it is too early to know."""
        now, (then, before) = time.monotonic(), self.past[0]
        if fraction < 0.05 or now - then < 1.0 or fraction - before < 0.02:
            return None
        return (now - then) / (fraction - before) * (1.0 - fraction)

    def time_left(self, fraction: float) -> str:
        """The same in words; "" while it is too early."""
        seconds = self.seconds_left(fraction)
        return "" if seconds is None else time_in_words(seconds)


class Job:
    """A running generator of Steps; at most one runs in a session (session.job).

    survives_undo: whether it goes on after an undo or redo; otherwise that cancels it.  over:
    whether the generator has ended, and value: what it returned.
    note: the last note of a step, "" before there is one.
    """

    def __init__(
        self, title: str, steps: Generator[Step, None, object], survives_undo: bool = False
    ):
        self.title, self.steps, self.survives_undo = title, steps, survives_undo
        self.undone: Undone | None = None
        self.over, self.value = False, None  # type: bool, object
        self.step, self.note = Step(0.0, title), ""
        self.started = time.monotonic()
        self.pace = Pace()
        self.asked_to_stop = False
        self.longest = 0.0  # seconds of a step

    @property
    def time_left(self) -> str:
        """A guess in words: “12 s left”; "" while it is too early."""
        return self.pace.time_left(self.step.fraction)

    def advance(self, seconds: float | None = None) -> bool:
        """Run for about `seconds`, or as long as the window may be blocked. Returns whether the job
        is over."""
        if seconds is None:
            seconds = (
                max(SLICE_SECONDS, BUSY_SECONDS - self.longest) if self.step.busy else SLICE_SECONDS
            )
        now = time.monotonic()
        end = now + seconds
        while not self.over:
            if self.undone is not None:
                raise self.undone
            if self.asked_to_stop:
                self.close()
                raise Cancelled(f"{self.title} was cancelled")
            before = self.step
            try:
                self.step = next(self.steps)
            except StopIteration as stop:
                self.over, self.value = True, stop.value
                break
            self.note = self.note if self.step.note is None else self.step.note
            self.longest, now = max(self.longest, time.monotonic() - now), time.monotonic()
            self.pace.note(self.step.fraction, self.step.begins)
            # Steps that only wait for the engine end the slice at once, because there is nothing to
            # do. So does the first step that is no longer busy, because the animator's input has
            # been waiting.
            if now >= end or (not self.step.busy and (self.step == before or before.busy)):
                break
        return self.over

    def close(self) -> None:
        """Stop where it is; the generator's clean-up runs."""
        self.steps.close()

    def release(self, why: str, may_go_on: bool, renews: bool) -> None:
        """Blender's data are about to be replaced: stop, unless the job goes on afterwards.
        `advance` then raises the sentence.

        renews: whether what held them was closed and begins again."""
        if not (may_go_on and self.survives_undo and (renews or not self.step.busy)):
            self.close()
            self.undone = Undone(f"{self.title} was cancelled, because {why}: start it again")


def begin(title: str, steps: Generator[Step, None, object], survives_undo: bool = False) -> Job:
    """Make a job the one that runs (session.job); `end` must follow, whatever happens, also where
    this raises.

    survives_undo: as of `Job`. One that survives takes its first step here, in which it notes names
    of the data that it was given: an undo may come before the next.
    """
    session.job = Job(title, steps, survives_undo)
    if survives_undo:
        session.job.advance(0.0)
    return session.job


def end() -> None:
    """Close the job that runs, if there is one."""
    if session.job is not None:
        session.job.close()
    session.job = None
    redraw()


def run_through(
    title: str, steps: Generator[Step, None, T], on_step: Callable[[Step], None] | None = None
) -> T:
    """Run a job to its end, for Blender without a window. on_step gets every step with a note, and
    other steps that differ from the one before, at most two a second. Returns the job's value."""

    def report_note(step: Step) -> Step:
        if step.note and on_step is not None:
            on_step(step)
        return step

    job = begin(title, map_progress(steps, report_note))
    try:
        last = None
        while not job.advance(0.5):
            if on_step is not None and job.step != last and not job.step.note:
                on_step(job.step)
                last = job.step
            time.sleep(0.0 if job.step.busy else 0.01)
        return job.value
    finally:
        end()


def pop_up(message: str) -> None:
    """Show an animator a sentence where no operator can report it: when a property was set."""
    bpy.context.window_manager.popup_menu(
        lambda menu, context: menu.layout.label(text=message), title="Thunder", icon="ERROR"
    )


def pop_up_errors(function: Callable, *args) -> None:
    """Call a function where no operator can report an error, because a property was set: then its
    sentence pops up."""
    try:
        function(*args)
    except ThunderError as error:
        if bpy.app.background:
            raise
        pop_up(str(error))


def redraw(editors: tuple[str, ...] = ()) -> None:
    """Ask the sidebars and the preferences to show how far the work is. editors: types of areas
    that are drawn again too."""
    manager = getattr(bpy.context, "window_manager", None)
    for area in (
        area for window in (manager.windows if manager else ()) for area in window.screen.areas
    ):
        if area.type in editors:
            area.tag_redraw()
        for region in area.regions if area.type in ("VIEW_3D", "PREFERENCES") else ():
            if region.type == ("UI" if area.type == "VIEW_3D" else "WINDOW"):
                region.tag_redraw()
