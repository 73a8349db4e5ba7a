# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's timers, which a Blender without a window never calls."""

import time

from thunder.scene.host import jobs


def tick():
    """Let the tasks that are due do a step; seconds until the next one, None if no task waits."""
    tasks = [part for part in jobs.session.parts if isinstance(part, jobs.Task)]
    for task in tasks:
        if task.due is not None and task.due <= time.monotonic():
            jobs.Task.last_step = 0.0
            task.tick()
    return min(
        (task.due - time.monotonic() for task in tasks if task.due is not None), default=None
    )
