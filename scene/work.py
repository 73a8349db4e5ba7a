# SPDX-License-Identifier: GPL-3.0-or-later
"""Long work in slices: a generator that an operator's timer advances a little at a time, or runs through headless."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import bpy

from ..thunder_core.errors import Cancelled

SLICE_SECONDS = 0.025  # of a timer call: the window must not be held for more than 50 ms


@dataclass(frozen=True)
class Step:
    """How far the work is. While `busy` is set it holds Blender data between steps: nothing may be undone,
    and the window's events wait for the moment."""

    fraction: float
    message: str
    busy: bool = False


class Work:
    """One piece of long work; at most one runs in a session (`running`)."""

    def __init__(self, title: str, steps: Iterator[Step]):
        self.title, self.steps = title, steps
        self.step = Step(0.0, title)
        self.started = time.monotonic()
        self.asked_to_stop = False

    @property
    def seconds_left(self) -> float | None:
        """A guess from the pace so far; None while it is too early."""
        spent = time.monotonic() - self.started
        if self.step.fraction < 0.05 or spent < 1.0:
            return None
        return spent / self.step.fraction * (1.0 - self.step.fraction)

    def advance(self, seconds: float = SLICE_SECONDS) -> bool:
        """Go on for about so long; True when the work is over. Raises whatever the work raises."""
        end = time.monotonic() + seconds
        while True:
            if self.asked_to_stop:
                self.close()
                raise Cancelled(f"{self.title} was cancelled")
            before = self.step
            try:
                self.step = next(self.steps)
            except StopIteration:
                return True
            # Steps that only wait for the engine leave at once: there is nothing to do in the rest of the slice.
            if time.monotonic() >= end or (self.step == before and not self.step.busy):
                return False

    def close(self) -> None:
        """Stop where it is; the generator's own clean-up runs."""
        self.steps.close()


running: Work | None = None


def begin(title: str, steps: Iterator[Step]) -> Work:
    global running
    running = Work(title, steps)
    return running


def end() -> None:
    global running
    if running is not None:
        running.close()
    running = None
    redraw()


def run_through(title: str, steps: Iterator[Step], on_step=None) -> None:
    """The same work in one go, for Blender without a window."""
    work = begin(title, steps)
    try:
        last = None
        while not work.advance(0.5):
            if on_step is not None and work.step != last:
                on_step(work.step)
                last = work.step
            time.sleep(0.0 if work.step.busy else 0.01)
    finally:
        end()


def redraw() -> None:
    """Ask the sidebars to show how far the work is."""
    manager = getattr(bpy.context, "window_manager", None)
    for window in manager.windows if manager else ():
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()
