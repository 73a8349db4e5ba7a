# SPDX-License-Identifier: GPL-3.0-or-later
"""Portions of takes: in parallel on a CPU; halved on a GPU that runs out of memory."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from typing import TypeVar

from ..errors import Cancelled, is_out_of_device_memory
from ..progress import Progress

T = TypeVar("T")
_SWITCH_SECONDS = 1e-4  # after which Python's lock is handed on: at the usual 5 ms one thread's numpy holds up the other's network


class SharedProgress:
    """Progress of a request whose takes are sampled in parallel, from any thread."""

    def __init__(self, takes: int, report: Progress):
        """report: gets the progress of all takes, one call at a time."""
        self._takes, self._report = takes, report
        self._done: dict[int, float] = {}  # first seed of a portion → number of its takes times their progress
        self._lock = threading.Lock()
        self._stopped = False

    def __call__(self, seeds: Sequence[int], fraction: float, message: str) -> None:
        """Note how far the takes of some seeds are, 0 … 1. Raises Cancelled after `stop`."""
        with self._lock:
            if self._stopped:
                raise Cancelled("Cancelled, nothing was changed")
            self._done[seeds[0]] = len(seeds) * fraction
            self._report(sum(self._done.values()) / self._takes, message)

    def stop(self) -> None:
        """Make further reports raise, because nobody waits for the result any more."""
        self._stopped = True


def side_by_side(tasks: Sequence[Callable[[], T]], threads: int, deliver: Callable[[T], None], stop: Callable[[], None]) -> None:
    """Run tasks on `threads` threads and `deliver` their results in the order of `tasks`.

    If a task or `deliver` raises, `stop` is called, tasks not started are dropped and running ones are awaited.
    """
    with _lock_handed_on_soon():
        begun = [_threads(threads).submit(task) for task in tasks]
        waiting = deque(begun)
        try:
            while waiting:
                deliver(waiting.popleft().result())
        finally:
            if waiting:
                stop()
            for task in reversed(waiting):  # backwards: a later task may wait for an earlier one
                task.cancel()
            wait(begun)


@lru_cache(maxsize=None)
def _threads(count: int) -> ThreadPoolExecutor:
    """Threads that wait for the next request, since to start them takes milliseconds."""
    return ThreadPoolExecutor(count, "takes")


@contextlib.contextmanager
def _lock_handed_on_soon() -> Iterator[None]:
    """Within it Python's lock is handed on soon."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def in_portions(
    portions: list[list[int]], work: Callable[[list[int]], T], deliver: Callable[[T], None], give_back: Callable[[], None]
) -> None:  # fmt: skip
    """`deliver` the result of `work` for the seeds of each portion, in order.

    When GPU memory runs out, `give_back` is called and the remaining portions are halved, down to one take. Raises RuntimeError
    when a single take does not fit, and whatever else `work` raises.
    """
    waiting = deque(portions)
    while waiting:
        seeds = waiting.popleft()
        try:
            result = work(seeds)
        except RuntimeError as error:
            if len(seeds) == 1 or not is_out_of_device_memory(error):
                raise
        else:
            deliver(result)
            continue
        give_back()  # here the error, and the memory that it referenced, are released
        most = len(seeds) // 2
        waiting = deque(each[at : at + most] for each in (seeds, *waiting) for at in range(0, len(each), most))
