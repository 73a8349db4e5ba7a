# SPDX-License-Identifier: GPL-3.0-or-later
"""A request that the engine has not answered yet."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable

from .errors import error_of, ThunderError


class Pending:
    """A request that was sent; its events arrive while the caller does something else."""

    def __init__(self, number: int, verb: str, args: dict, send_cancel: Callable[[Pending], None]):
        """send_cancel: asks the worker to stop this request."""
        self.number, self.verb, self.args, self._send_cancel = number, verb, args, send_cancel
        self.fraction = 0.0  # how far the work was when it was last looked at
        self.begun = False  # the worker has sent an event about it
        self.result: dict | None = None
        self.error: ThunderError | None = None
        self._events: queue.SimpleQueue = queue.SimpleQueue()
        self._over = False

    @property
    def done(self) -> bool:
        """Whether the last event was seen by poll or wait; then `result` or `error` is set."""
        return self._over

    def poll(self) -> list[dict]:
        """The events that arrived since the last call, oldest first; never blocks, never raises.

        {"event": "progress", "fraction": 0..1, "message": str} · {"event": "take", "take": dict, …} of “generate” ·
        {"event": "done", "result": dict} · {"event": "error", "kind": str, "message": str}; after the last two `done` is true.
        """
        events = []
        while True:
            try:
                events.append(self._seen(self._events.get_nowait()))
            except queue.Empty:
                return events

    def wait(self, on_event=None, timeout: float | None = None) -> dict:
        """Blocks until the answer: the result, or the error raised again. `on_event` gets every event.

        Raises TimeoutError after `timeout` seconds; the request then continues.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self._over:
            left = None if end is None else end - time.monotonic()
            try:
                # Short waits: an uninterruptible lock would swallow Ctrl-C on Windows.
                event = self._seen(self._events.get(timeout=0.2 if left is None else max(0.0, min(left, 0.2))))
            except queue.Empty:
                if left is not None and left <= 0:
                    raise TimeoutError(f"The engine did not answer “{self.verb}” within {timeout:g} seconds") from None
                continue
            if on_event is not None:
                on_event(event)
        if self.error is not None:
            raise self.error
        return self.result

    def cancel(self) -> None:
        """Asks the worker to stop this request, and returns at once.

        The request ends with Cancelled within half a second. A worker that does not answer within CANCEL_DEADLINE is ended,
        the request ends with Cancelled all the same, and those that waited behind it go to a new worker.
        """
        if not self._over:
            self._send_cancel(self)

    def _seen(self, event: dict) -> dict:
        """Update the request's fields by an event; returns the event."""
        if event["event"] == "progress":
            self.fraction = event["fraction"]
        elif event["event"] == "done":
            self.result, self._over = event["result"], True
        elif event["event"] == "error":
            self.error = event.pop("_error", None) or error_of(event["kind"], event["message"])
            self._over = True
        return event

    def _fail(self, error: ThunderError) -> None:
        """End the request with an error, as if the worker had sent it."""
        self._events.put(
            {
                "id": self.number,
                "event": "error",
                "kind": error.kind,
                "message": str(error),
                "_error": error,
            }
        )
