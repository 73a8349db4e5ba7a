# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress of long work: in Blender a generator yields it; in the engine, whose work runs on
threads, a callback gets it.

A generator yields 0 … 1 and returns its value: Generator[float, None, T]. `yield from` runs such a
generator inside another one and gives its value; the functions here do the same with its progress
changed, or without a caller that waits. Closing the outer generator closes the inner one.
"""

import math
from collections.abc import Callable, Generator, Sequence
from typing import Protocol, TypeVar

P = TypeVar("P")
Q = TypeVar("Q")
T = TypeVar("T")


class Progress(Protocol):
    """Called several times a second with how far the work is, 0 … 1, and what is being done; may
    raise to stop it."""

    def __call__(self, fraction: float, message: str = "") -> None: ...


def no_progress(fraction: float, message: str = "") -> None:
    """A progress callback that does nothing."""


def share(progress: Progress, start: float, end: float, what: str = "") -> Progress:
    """The progress of a part of the work, whose 0 … 1 becomes start … end of the whole. what:
    message where the part gives none."""

    def report(fraction: float, message: str = "") -> None:
        progress(start + fraction * (end - start), message or what)

    return report


def time_in_words(seconds: float) -> str:
    """The time left, coarse, so that it counts down and does not flicker: “12 s left”."""
    if seconds < 10:
        return f"{max(1, round(seconds))} s left"
    if seconds < 100:
        return f"{5 * math.ceil(seconds / 5) if seconds < 60 else 10 * round(seconds / 10)} s left"
    minutes = round(seconds / 60)
    return f"{minutes} min left" if minutes < 100 else f"{math.ceil(minutes / 60)} h left"


def map_progress(work: Generator[P, None, T], change: Callable[[P], Q]) -> Generator[Q, None, T]:
    """The same work, with its yielded values passed through `change`. Returns the value of the
    work."""
    try:
        while True:
            try:
                progress = next(work)
            except StopIteration as end:
                return end.value
            yield change(progress)
    finally:
        work.close()


def rescale(work: Generator[float, None, T], start: float, end: float) -> Generator[float, None, T]:
    """Work as a part of other work: its progress 0 … 1 becomes start … end. Returns the value of
    the work."""
    return map_progress(work, lambda fraction: start + fraction * (end - start))


def in_turn(
    works: Sequence[Generator[float, None, T]], start: float, end: float
) -> Generator[float, None, list[T]]:
    """Works one after the other, each an equal part of the progress from start to end. Returns
    their values."""
    results = []
    for place, work in enumerate(works):
        begins, ends = (start + (end - start) * part / len(works) for part in (place, place + 1))
        results.append((yield from rescale(work, begins, ends)))
    return results


def result(work: Generator[object, None, T]) -> T:
    """Do all of the work at once and return its value."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value
