# SPDX-License-Identifier: GPL-3.0-or-later
"""The microphones of this machine, asked for in the background."""

import threading
import time

from ...thunder_core.client import Client
from ...thunder_core.errors import attempt
from ..host.session import Part, session
from . import connection

FRESH_SECONDS = 10.0  # age up to which the list is taken as it is: microphones come and go


class _Microphones(Part):
    """The names that the last answer held, and the reason why there are none, "" while that is not known."""

    names: tuple[str, ...] = ()
    problem = ""
    asked_at = -FRESH_SECONDS  # time.monotonic()


found = session.add(_Microphones())


def look() -> None:
    """Ask for a newer list, if the last one is old. Quick: for panels."""
    if time.monotonic() - found.asked_at >= FRESH_SECONDS:
        found.asked_at = time.monotonic()
        client, found.problem = attempt(connection.recorder)
        if client is not None:
            threading.Thread(target=_ask, args=(client,), name="thunder microphones", daemon=True).start()


def _ask(client: Client) -> None:
    """Thread: wait for the answer."""
    with client:
        answer, problem = attempt(lambda: client.request("microphones").wait())
    found.names = tuple(answer["names"]) if answer else ()
    found.problem = problem if problem or found.names else "No microphone was found: connect one"
