# SPDX-License-Identifier: GPL-3.0-or-later
"""Promised memory: what Python and numpy hold at one moment."""

import tracemalloc
from contextlib import contextmanager


@contextmanager
def held_at_most(size: float):
    """Asserts that no moment within holds more than so many bytes more."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < size, f"{peak / 2**20:.1f} MB, {size / 2**20:.1f} MB at most"
