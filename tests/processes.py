# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that tests start or kill: whether one still runs, and requests to workers that are
cancelled."""

import os
from pathlib import Path

import pytest

from thunder_core.errors import Cancelled


def is_alive(pid) -> bool:
    """Whether a process runs; one that only waits to be collected by its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        if Path("/proc/self").exists():
            return False
    try:
        os.kill(int(pid), 0)
        return True
    except ProcessLookupError:
        return False


def cancel(pending) -> None:
    """Cancel a request to a worker and wait until it has ended so."""
    pending.cancel()
    with pytest.raises(Cancelled):
        pending.wait(timeout=60)
