# SPDX-License-Identifier: GPL-3.0-or-later
"""The one idle timer: small tasks run in small steps while nobody edits, plays or runs a job.

A call of the timer runs one step of one task, so the window is never held longer than the longest
step.
"""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import bpy

from . import playback
from .session import Part, session

STEP_SECONDS = 0.02  # target length of a step
# pause between steps of different tasks, in which Blender draws and handles events
PAUSE_SECONDS = 0.01
LOOK_SECONDS = 0.3  # interval of checking whether playback or a job has ended


@dataclass(eq=False)
class Task:
    """Work that is done when Blender is idle, a step at a time.

    step: does a little; returns the seconds until its next step, None when there is nothing left to
    do.
    any_time: also while the scene plays or a job runs.  any_file: continues when another file is
    opened.
    """

    step: Callable[[], float | None]
    any_time: bool = False
    any_file: bool = False
    due: float | None = None  # time.monotonic() of the next step, None while there is nothing to do

    def start(self, seconds: float) -> None:
        """Schedule the task in `seconds`; a task already scheduled keeps its time."""
        if self.due is None:
            self.postpone(seconds)

    def postpone(self, seconds: float) -> None:
        """Schedule the task `seconds` from now, replacing an earlier time."""
        self.due = time.monotonic() + seconds
        _idle.add(self)

    def stop(self) -> None:
        """Forget it until it is started again."""
        self.due = None


class _Idle(Part):
    """The tasks that wait, and the timer."""

    def __init__(self):
        self.tasks: list[Task] = []
        self.is_stepping = False

    def add(self, task: Task) -> None:
        if task not in self.tasks:
            self.tasks.append(task)
        if not self.is_stepping:  # else the timer's return value sets its next call
            self.stop_timer()
            bpy.app.timers.register(tick, first_interval=self.wait(), persistent=True)

    def wait(self) -> float | None:
        """Seconds until the timer is needed again, None if no task waits."""
        self.tasks = [task for task in self.tasks if task.due is not None]
        now, busy = time.monotonic(), is_busy()
        waits = (
            LOOK_SECONDS if busy and not task.any_time else max(PAUSE_SECONDS, task.due - now)
            for task in self.tasks
        )
        return min(waits, default=None)

    def step(self) -> None:
        """Run a step of the task that is due longest."""
        now, busy = time.monotonic(), is_busy()
        ready = [
            task
            for task in self.tasks
            if task.due is not None and task.due <= now and (task.any_time or not busy)
        ]
        if not ready:
            return
        task = min(ready, key=lambda task: task.due)
        task.due = None
        self.is_stepping = True
        try:
            pause = task.step()
        except Exception:  # a bug: the other tasks continue
            traceback.print_exc()
            return
        finally:
            self.is_stepping = False
        if pause is not None and task.due is None:
            task.due = time.monotonic() + pause

    def stop_timer(self) -> None:
        if bpy.app.timers.is_registered(tick):
            bpy.app.timers.unregister(tick)

    def file_opened(self) -> None:
        for task in self.tasks:
            if not task.any_file:
                task.stop()

    def close(self) -> None:
        for task in self.tasks:
            task.stop()
        self.stop_timer()


_idle = session.add(_Idle())


def is_busy() -> bool:
    """Whether a job runs or the scene plays."""
    return session.job is not None or playback.is_on()


def tick() -> float | None:
    """Called by Blender's timer; returns the seconds until the next call, None for no more."""
    _idle.step()
    return _idle.wait()
