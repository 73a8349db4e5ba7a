# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the engine when the panel is shown, so that the first takes come sooner."""

from __future__ import annotations

from ...thunder_core.errors import ThunderError
from ...thunder_core.pending import Pending
from ..host import idle
from ..host.session import Part, session
from . import connection

_WAIT = 1.0  # seconds the ready panel must be visible before the engine starts
_LOOK = 0.25  # interval of checking whether it runs, seconds


class _Early(Part):
    """The request that starts the engine early, at most once per session: an engine that fails is not restarted in a loop."""

    def __init__(self):
        self.pending: Pending | None = None
        self.tried = False

    def file_opened(self) -> None:
        """Keep an engine starting when another file is opened."""

    def close(self) -> None:
        self.pending, self.tried = None, False
        _start.stop()


def start_soon() -> None:
    """Schedule the engine's start once per session, unless it runs or the preferences forbid it. Quick: for panels."""
    chosen = connection.preferences()
    if not _early.tried and chosen is not None and chosen.starts_early:
        _early.tried = True
        _start.start(_WAIT)


def _step() -> float | None:
    """Start the engine and note its answer. Errors are reported by the first request that needs it."""
    try:
        if _early.pending is None:
            client = connection.client()
            if client.running:
                return None
            _early.pending = client.request("hello")
    except ThunderError:
        return None
    if not _early.pending.done:
        _early.pending.poll()
        return _LOOK
    if _early.pending.error is None:
        connection.tell(_early.pending.result)
    _early.pending = None
    return None


_start = idle.Task(_step, any_time=True, any_file=True)
_early = session.add(_Early())
