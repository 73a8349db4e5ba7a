# SPDX-License-Identifier: GPL-3.0-or-later
"""Promised memory: what Python and numpy hold at one moment, and what the whole process does."""

import contextlib
import tracemalloc


@contextlib.contextmanager
def held_at_most(size: float):
    """Asserts that no moment within holds more than so many bytes more."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < size, f"{peak / 2**20:.1f} MB, {size / 2**20:.1f} MB at most"


@contextlib.contextmanager
def grows_at_most(megabytes: float):
    """Asserts that this process, Blender's own data included, is at no moment within larger by more
    than so much; anything passes where the system does not tell."""
    before = reset_peak()
    yield
    assert status("VmHWM") - before < megabytes


def reset_peak() -> float:
    """Forget the peak of this process's memory; megabytes in use now, 0 where the system does not
    tell."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return status("VmRSS")


def status(name: str) -> float:
    """Megabytes that Linux lists of this process under a name, 0 elsewhere."""
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        for line in file:
            if line.startswith(name):
                return int(line.split()[1]) / 1024
    return 0.0
