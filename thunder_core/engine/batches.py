# SPDX-License-Identifier: GPL-3.0-or-later
"""Portions of takes: worked on beside each other on a processor, made smaller where the memory of a graphics card does not hold them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from ..errors import Cancelled, is_out_of_device_memory

T = TypeVar("T")


class SharedProgress:
    """Progress of a request whose takes are worked on beside each other, from any thread."""

    def __init__(self, takes: int, report: Callable[[float, str], None]):
        """report: gets (0 … 1 of all takes, what is going on), one call at a time, and may raise to stop."""
        self._takes, self._report = takes, report
        self._done: dict[int, float] = {}  # by the first seed of a portion: its takes, times how far they are
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
        """Let whatever still reports raise: nobody waits for it any more."""
        self._stopped = True


def side_by_side(tasks: Sequence[Callable[[], T]], threads: int, stop: Callable[[], None]) -> Generator[T, None, None]:
    """What tasks return, in their order, worked on by so many threads, begun in their order.

    torch uses one thread for each task: the operations of our networks are so short that threads which wait for each other after every
    one gain nothing, and what a task computes does not depend on how many threads there are. Where a task raises, or the caller wants
    no more, `stop` is called, tasks that were not begun are dropped and those at work are waited for.
    """
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(min(threads, len(tasks)), "takes", torch.set_num_threads, (1,))
    waiting = deque(pool.submit(task) for task in tasks)
    try:
        while waiting:
            yield waiting.popleft().result()
    finally:
        if waiting:
            stop()
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # threads that are made later would have the number of the pool's


def in_portions(
    portions: list[list[int]], work: Callable[[list[int]], T], give_back: Callable[[], None]
) -> Generator[tuple[list[int], T], None, None]:  # fmt: skip
    """(seeds, what `work` makes of them) for portions of seeds, in order.

    Where the card's memory runs out, `give_back` is called and this portion and those after it are halved, down to one take;
    what one take needs and is not there raises, as every other error does.
    """
    waiting = deque(portions)
    while waiting:
        seeds = waiting.popleft()
        try:
            result = work(seeds)
        except RuntimeError as error:
            if len(seeds) == 1 or not is_out_of_device_memory(error):
                raise
            smaller = True
        else:
            smaller = False
        if smaller:  # the error is gone here, and with it what it held in memory
            give_back()
            most = len(seeds) // 2
            waiting = deque(each[at : at + most] for each in (seeds, *waiting) for at in range(0, len(each), most))
        else:
            yield seeds, result
