# SPDX-License-Identifier: GPL-3.0-or-later
"""Portions of takes that are sampled together, made smaller where the memory of a graphics card does not hold them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeVar

from ..errors import is_out_of_device_memory

T = TypeVar("T")


def in_portions(portions: list[list[int]], work: Callable[[list[int]], T], give_back: Callable[[], None]) -> Iterator[tuple[list[int], T]]:
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
