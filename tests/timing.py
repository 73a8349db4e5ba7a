# SPDX-License-Identifier: GPL-3.0-or-later
"""Promised times, held against a machine that may be slow or busy: a regression fails a test, a
neighbour's work does not.

The figures that README quotes come from research/ on an idle machine; what a run of the tests
measured is told at its end.
"""

import time
from functools import lru_cache

ROOM = 3.0  # how much longer than promised a single moment may take
# share of many moments that must keep the promise itself, and how many are many
USUAL, MANY = 0.9, 10
# of the loop below where the promises were measured: a core of an AMD EPYC, Python 3.13
LOOP_SECONDS = 0.03

measured: list[str] = []


@lru_cache(maxsize=1)
def pace() -> float:
    """How many times slower this machine runs Python than the one the promises were measured on; at
    least 1."""

    def loop():
        start, x = time.thread_time(), 0
        for i in range(1_000_000):
            x += i & 7
        return time.thread_time() - start

    return max(1.0, min(loop() for _ in range(3)) / LOOP_SECONDS)


def until(condition, seconds: float = 60.0):
    """Wait until a condition holds; returns its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return value


def keeps_in_steps(promise: float, steps, what: str):
    """Go through a generator, each step of which keeps a promise, in seconds of this thread; returns
    its value."""
    spent = []
    while True:
        start = time.thread_time()  # not the clock: on a busy machine that counts what others do
        try:
            next(steps)
        except StopIteration as end:
            keeps(promise, spent, what)
            return end.value
        spent.append(time.thread_time() - start)


def keeps(promise: float, spent, what: str) -> None:
    """Assert that what took `spent` seconds keeps a promise, in seconds.

    spent: one time, or many, each of them a number or (number, what it was spent on). One time, and
    the longest of many, may be ROOM times the promise; of MANY and more, nine in ten keep the
    promise itself; all on a machine's own pace.
    """
    spent = sorted(
        (s if isinstance(s, (tuple, list)) else (s, ""))
        for s in (spent if hasattr(spent, "__iter__") else [spent])
    )
    assert spent, f"nothing was measured of {what}"
    (longest, on), usual = spent[-1], spent[int(USUAL * (len(spent) - 1))][0]
    line = f"{what}: {1e3 * longest:.0f} ms" + (f" at “{on}”" if on else "")
    if len(spent) >= MANY:
        line += f" at most, {USUAL:.0%} of {len(spent)} within {1e3 * usual:.0f} ms"
    line += f"; promised {1e3 * promise:.0f} ms, pace {pace():.1f}"
    measured.append(line)
    assert longest <= ROOM * promise * pace(), line
    assert len(spent) < MANY or usual <= promise * pace(), line
