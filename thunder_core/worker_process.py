# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's process on the client's side: started, asked over pipes, watched, ended; and the
requests that it owes an answer."""

import collections
import contextlib
import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import cast, IO

from . import system_calls
from .engine_python import ADVICE, ROOT
from .errors import (
    Cancelled,
    KINDS,
    NoEngine,
    OutOfMemory,
    says_memory_ran_out,
    ThunderError,
    WorkerDied,
)
from .protocol import LONGEST_LINE, PROTOCOL, read_event

LOG_WIDTH = 4000  # bytes kept of a line of a process's stderr
STOP_PATIENCE = 2.0  # seconds that a worker has to stop before it is ended
# Deadlines in seconds of this process's running time: they pause while it sleeps.
READY_DEADLINE = 60.0  # time until the first answer: Python has to start, perhaps from a slow disk
CANCEL_DEADLINE = 1.5  # time until Cancel is answered
# time until cancelled work ends when another request waits, or the worker shows no sign of life
STUCK_DEADLINE = 2.0
# silence after which the animator gets a message; Python's lock may be held that long
SILENCE_SHOWN = 10.0
# silence after which the worker is ended without a Cancel: no valid work holds the lock that long
SILENCE_DEADLINE = 300.0
LONGEST_MESSAGE = 500  # letters of an engine's error that the animator reads
# said where an engine sends an error without a message
SILENT_ERROR = "The engine failed and gave no reason: try again, or use Report a Problem"
MISUNDERSTOOD = (
    "The engine does not answer as expected: install the extension and the engine again, or use "
    "Report a Problem"
)
KILLED = -9  # Linux's exit code when memory runs out; Windows has none
_TICK = 0.1  # interval of checking deadlines while an answer is pending


class Pending:
    """A request that was sent; its events arrive while the caller does something else."""

    def __init__(
        self, number: int, verb: str, args: dict, send_cancel: "Callable[[Pending], None]"
    ):
        """send_cancel: gets this request, and asks the worker to stop it."""
        self.number, self.verb, self.args, self._send_cancel = number, verb, args, send_cancel
        self.fraction = 0.0  # how far the work was when it was last looked at
        self.begun = False  # the worker has sent an event about it
        # the last event was seen by poll or wait: `result` or `error` is set
        self.done = False
        self.result: dict | None = None
        self.error: ThunderError | None = None
        self.events: queue.SimpleQueue = queue.SimpleQueue()

    def poll(self) -> list[dict]:
        """The events that arrived since the last call, oldest first; never blocks, never raises.

        {"event": "progress", "fraction": 0..1, "message": str} · {"event": "take", "take": dict, …}
        of “generate” · {"event": "done", "result": dict} · {"event": "error", "kind": str,
        "message": str}; after the last two `done` is true.
        """
        events = []
        while True:
            try:
                events.append(self._seen(self.events.get_nowait()))
            except queue.Empty:
                return events

    def wait(self, on_event=None, timeout: float | None = None) -> dict:
        """Blocks until the answer: the result, or the error raised again. `on_event` gets every
        event.

        Raises TimeoutError after `timeout` seconds; the request then continues.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self.done:
            left = None if end is None else end - time.monotonic()
            try:
                # Short waits: an uninterruptible lock would swallow Ctrl-C on Windows.
                event = self._seen(
                    self.events.get(timeout=0.2 if left is None else max(0.0, min(left, 0.2)))
                )
            except queue.Empty:
                if left is not None and left <= 0:
                    raise TimeoutError(
                        f"The engine did not answer “{self.verb}” within {timeout:g} seconds"
                    ) from None
                continue
            if on_event is not None:
                on_event(event)
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result

    def cancel(self) -> None:
        """Asks the worker to stop this request, and returns at once.

        The request ends with Cancelled within half a second, or after CANCEL_DEADLINE if the worker
        does not answer. The worker is ended after STUCK_DEADLINE if it is silent or another request
        waits; those that waited go to a new worker.
        """
        if not self.done:
            self._send_cancel(self)

    def _seen(self, event: dict) -> dict:
        """Update the request's fields by an event; returns the event."""
        try:
            if event["event"] == "progress":
                self.fraction = event["fraction"]
            elif event["event"] == "done":
                self.result, self.done = {**event["result"]}, True
            elif event["event"] == "error":
                self.error = event.pop("_error", None) or KINDS.get(event["kind"], ThunderError)(
                    event["message"][:LONGEST_MESSAGE] or SILENT_ERROR
                )
                self.done = True
        except (KeyError, TypeError):  # it lacks a field, or has one of another type
            self.error, self.done = ThunderError(MISUNDERSTOOD), True
        return event

    def fail(self, error: ThunderError) -> None:
        """End the request with an error, as if the worker had sent it."""
        self.events.put(
            {
                "id": self.number,
                "event": "error",
                "kind": type(error).__name__,
                "message": str(error),
                "_error": error,
            }
        )


class PipedProcess:
    """A process in a separate group, to which we talk over pipes; the last lines that it writes to
    stderr are kept.

    environment: variables, None for ours.  advice: what to do if it cannot be run, as the end of a
    sentence.  Raises NoEngine.
    """

    log_lines = 200  # lines that are kept
    patience = STOP_PATIENCE

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None,
        advice: str,
        folder: str | None = None,
    ):
        self.lines: collections.deque[str] = collections.deque(maxlen=self.log_lines)
        try:  # Ctrl-C in a terminal is for us, who then stop it
            self.popen = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                **system_calls.new_group(),
            )
        except OSError as error:
            raise NoEngine(
                f"“{command[0]}” cannot be run ({error.strerror or error}): {advice}"
            ) from error
        # all three are pipes
        self.stdin = cast(IO[bytes], self.popen.stdin)
        self.stdout = cast(IO[bytes], self.popen.stdout)
        self.stderr = cast(IO[bytes], self.popen.stderr)

    @property
    def log(self) -> str:
        """The last lines that it wrote to stderr."""
        return "\n".join(list(self.lines))

    def _start_threads(self, **targets: Callable[[], None]) -> None:
        self.threads = {
            name: threading.Thread(target=target, name=f"thunder {name}", daemon=True)
            for name, target in targets.items()
        }
        for thread in self.threads.values():
            thread.start()

    def _wait(self) -> None:
        """Wait a little for the process to end."""
        # in a driver that hangs not even a killed process ends
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(self.patience)

    def _end(self) -> None:
        """Give the process its patience to end, then end it by force. Returns when it is gone."""
        self._wait()
        self._kill()
        self._wait()
        for thread in self.threads.values():
            thread.join(self.patience)

    def _kill(self) -> None:
        """End it and its child processes at once."""
        if self.popen.poll() is None:
            system_calls.kill_group(self.popen)

    def _read_log(self) -> None:
        """Thread: collect the lines that it writes to stderr."""
        with contextlib.suppress(OSError, ValueError):
            while line := self.stderr.readline(LONGEST_LINE):
                self._note(line)
        self.stderr.close()

    def _note(self, line: bytes) -> None:
        """Store a line of the log."""
        self.lines.append(line[:LOG_WIDTH].decode("utf-8", "replace").rstrip())


class LineProcess(PipedProcess):
    """A process that reads JSON lines from its stdin and answers by events on its stdout, started
    at once. patience: seconds that it has to stop."""

    log_lines = 60

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], patience: float):
        super().__init__(command, environment, "check the path")
        self.patience = patience
        self._events: queue.SimpleQueue[dict | None] = queue.SimpleQueue()
        self._start_threads(log=self._read_log, events=self._read_events)

    @property
    def last_line(self) -> str:
        """The last of the lines of its log that is not empty."""
        return next(
            (line.strip()[:300] for line in reversed(list(self.lines)) if line.strip()),
            "no reason was given",
        )

    def send(self, request: Mapping) -> None:
        """Send a request; if the process has ended, reading reports it."""
        with contextlib.suppress(OSError):
            self.stdin.write(json.dumps(request).encode() + b"\n")
            self.stdin.flush()

    def next(self, seconds: float | None = None) -> dict | None:
        """The next event; None when the process has ended. Raises TimeoutError if none comes in so
        many seconds, and then ends it."""
        try:
            return self._events.get(timeout=seconds)
        except queue.Empty:
            self._kill()
            self._end()
            raise TimeoutError from None

    def close(self) -> None:
        """End it: politely at first. Returns when it is gone. May be called twice."""
        with contextlib.suppress(OSError):
            self.stdin.close()
        self._end()
        self.stdout.close()

    def _read_events(self) -> None:
        """Thread: queue the events, then None. What else is printed on its stdout (Blender's
        greeting) is skipped."""
        for line in self.stdout:
            with contextlib.suppress(ValueError, RecursionError):
                self._events.put(read_event(line))
        self._wait()
        self.threads["log"].join(self.patience)  # the log first, the reason may be in it
        self._events.put(None)


class WorkerProcess(PipedProcess):
    """A running worker, the threads that serve its pipes and its deadlines, and the requests it
    still owes an answer.

    send_again(process, pendings): called when the worker has ended, with the requests that it had
    not begun.
    libraries: folder of packages for this process alone, "" for none.
    """

    def __init__(self, command: list[str], folder: str, send_again, libraries: str = ""):
        self.owed: dict[int, Pending] = {}
        # requests that were cancelled and may still be at work → seconds since
        self.cancelled: dict[int, float] = {}
        self.working: int | None = None  # the request that the worker works on, as it reports
        # of the log: it may show why it ended
        self.since_answer: collections.deque[str] = collections.deque(maxlen=self.log_lines)
        self.outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.mutex = threading.Lock()
        self.changed = threading.Condition(self.mutex)
        self.ready = self.dead = self.ending = False
        self.idle = False  # it has answered all that it began, and that was something
        # seconds since an answer was first owed, and since the last event
        self.age = self.silence = 0.0
        self.shown = SILENCE_SHOWN  # silence at which the animator gets the next message
        self.refusal: ThunderError | None = None  # why this worker was ended by us
        self.send_again = send_again
        self.python, self.folder = command[0], folder
        super().__init__(command, environment(libraries), ADVICE, folder)
        self._start_threads(
            log=self._read_log,
            replies=self._read_replies,
            requests=self._write_requests,
            deadlines=self._watch,
        )

    @property
    def alive(self) -> bool:
        """Whether the process runs and has not been given up."""
        return not self.dead and self.popen.poll() is None

    def send(self, pending: Pending) -> None:
        """Send a request; as `_return` where the worker has ended."""
        with self.mutex:
            if not self.dead:
                self.owed[pending.number] = pending
                self._put({"id": pending.number, "verb": pending.verb, "args": pending.args})
                self.changed.notify_all()
                return
        self._return([pending])

    def cancel(self, pending: Pending, number: int) -> None:
        """Ask the worker, in a request of this number, to stop another request. Returns at once."""
        with self.mutex:
            if (
                not self.dead
                and pending.number in self.owed
                and pending.number not in self.cancelled
            ):
                self.cancelled[pending.number] = 0.0
                self._put({"id": number, "verb": "cancel", "args": {"request": pending.number}})
                self.changed.notify_all()

    def _put(self, message: dict) -> None:
        """Queue a message for the worker."""
        self.outgoing.put(json.dumps(message).encode() + b"\n")

    def end(self) -> None:
        """Stop the worker: by request, and after its patience by force. Blocks until it
        has ended."""
        with self.mutex:
            self.ending = True
            self.outgoing.put(b'{"id": 0, "verb": "quit"}\n')
            self.outgoing.put(None)  # closes stdin, which also ends a busy worker
        self._end()

    def _write_requests(self) -> None:
        """Thread: write queued messages to the worker's stdin, until None closes it."""
        # it has just ended; the reading thread fails the pending requests
        with contextlib.suppress(OSError, ValueError):
            while (line := self.outgoing.get()) is not None:
                self.stdin.write(line)
                self.stdin.flush()
        with contextlib.suppress(OSError, ValueError):
            self.stdin.close()

    def _read_replies(self) -> None:
        """Thread: read the worker's events until it ends; then fail all pending requests."""
        with contextlib.suppress(OSError, ValueError):
            while line := self.stdout.readline(LONGEST_LINE):
                try:
                    self._handle_event(read_event(line))
                except (ValueError, TypeError, RecursionError):
                    self._note(line)
        self._wait()
        self._kill()  # it closed its pipe but still runs: it can no longer answer
        self._wait()
        self.stdout.close()
        self.threads["log"].join(self.patience)  # the log first, the reason may be in it
        with self.mutex:
            self.dead = True
            owed, self.owed = list(self.owed.values()), {}
            self.changed.notify_all()
        self.outgoing.put(None)
        self._return(owed)

    def _return(self, owed: list[Pending]) -> None:
        """Fail requests that this worker can no longer answer; where it ended while it was idle,
        another one is to answer them. That may happen once, as the next worker was never idle."""
        if owed and self.idle and not (self.ending or self.refusal or self.cancelled):
            self.send_again(self, owed)
            return
        for pending in owed:
            pending.fail(self._failure())

    def _handle_event(self, event: dict) -> None:
        """Update the worker's state by an event, and pass the event on to its request."""
        kind, number = event["event"], event.get("id", -1)  # none has the number −1
        with self.mutex:
            if self.dead:
                return
            self.silence, self.shown = 0.0, SILENCE_SHOWN
            if kind == "ready":
                self.ready = True
                if event.get("protocol") != PROTOCOL:
                    self.refusal = NoEngine(
                        f"The engine of “{self.python}” is of another version than this add-on "
                        f"(protocol {event.get('protocol')!r:.20}, "
                        f"not {PROTOCOL}): reinstall the engine and the extension"
                    )
                    self._kill()
                return
            if kind == "alive":
                working = event.get("working")
                self.working = working if isinstance(working, int) else None
                if self.working in self.owed:
                    self.owed[self.working].begun, self.idle = True, False
                self._forget_cancelled()
                return
            pending = self.owed.get(number)
            if pending is None:
                return
            pending.begun, self.idle = True, False
            self.working = number
            if kind in ("done", "error"):
                self.since_answer.clear()
                del self.owed[number]
                self.idle = not any(each.begun for each in self.owed.values())
                if kind == "done" or number not in self.cancelled:
                    self.working = None
                self._forget_cancelled()
        pending.events.put(event)

    def _forget_cancelled(self) -> None:
        """Drops the cancelled requests that were answered and that the worker has left."""
        for number in [n for n in self.cancelled if n not in self.owed and n != self.working]:
            del self.cancelled[number]

    def _watch(self) -> None:
        """Keeps the deadlines while an answer is owed, or cancelled work goes on."""
        last = time.monotonic()
        while True:
            with self.mutex:
                if not self.owed and not self.cancelled and not self.dead:
                    self.changed.wait()
                    last, self.silence = time.monotonic(), 0.0
                else:
                    self.changed.wait(_TICK)
                if self.dead:
                    return
                now = time.monotonic()
                waiting = self._advance_deadlines(min(now - last, 2 * _TICK))
                last = now
            if waiting:
                self.send_again(self, waiting)

    def _advance_deadlines(self, seconds: float) -> list[Pending]:
        """Advance the deadlines. Ends the worker when one is over, and returns the requests that
        another worker is to answer."""
        self.silence += seconds
        for number in self.cancelled:
            self.cancelled[number] += seconds
            if self.cancelled[number] >= CANCEL_DEADLINE and number in self.owed:
                self.owed.pop(number).fail(Cancelled("Cancelled, nothing was changed"))
        is_stuck = max(self.cancelled.values(), default=0.0) >= STUCK_DEADLINE
        is_of_use = any(pending.begun for pending in self.owed.values())
        if is_stuck and not is_of_use and (self.owed or self.silence >= STUCK_DEADLINE):
            return self._give_up(
                WorkerDied(
                    "The engine did not stop the cancelled work and was ended: try again", self.log
                ),
                again=True,
            )
        if not self.owed:
            return []
        self.age += seconds
        if not self.ready and self.age >= READY_DEADLINE:
            self._give_up(
                NoEngine(
                    f"The Python at “{self.python}” was started but the engine did not answer "
                    f"within {READY_DEADLINE:.0f} s: {ADVICE}"
                )
            )
        elif self.silence >= SILENCE_DEADLINE:
            self._give_up(
                WorkerDied(
                    f"The engine did not respond for {SILENCE_DEADLINE / 60:.0f} minutes and was "
                    f"ended: try again",
                    self.log,
                )
            )
        elif self.silence >= self.shown:
            for pending in self.owed.values():
                pending.events.put(
                    {
                        "id": pending.number,
                        "event": "progress",
                        "fraction": pending.fraction,
                        "message": f"The engine has not answered for {self.silence:.0f} s: wait, "
                        f"or cancel to restart it",
                    }
                )
            self.shown += SILENCE_SHOWN
        return []

    def _give_up(self, why: ThunderError, again: bool = False) -> list[Pending]:
        """Ends the worker. Its requests fail; with `again` those that were neither begun nor
        cancelled are returned instead."""
        self.dead, self.refusal = True, why
        owed, self.owed = list(self.owed.values()), {}
        self.lines.append(str(why))
        self._kill()
        self.outgoing.put(None)
        self.changed.notify_all()
        waiting = []
        for pending in owed:
            if pending.number in self.cancelled:
                pending.fail(Cancelled("Cancelled, nothing was changed"))
            elif again and not pending.begun:
                waiting.append(pending)
            else:
                pending.fail(why)
        return waiting

    def _note(self, line: bytes) -> None:
        super()._note(line)
        self.since_answer.append(self.lines[-1])

    def _failure(self) -> ThunderError:
        """The error for requests that this worker can no longer answer."""
        if self.ending:
            return stopped_error(self.log)
        if self.refusal is not None:
            return self.refusal
        lines = [line for line in self.since_answer if line.strip()]
        code, last = self.popen.poll(), lines[-1] if lines else ""
        # not only the last line: a crash writes its stack after the reason
        if any(map(says_memory_ran_out, lines)):
            return OutOfMemory(
                "The engine ended because memory ran out: close other programs, or ask for fewer "
                "takes"
            )
        if not self.ready:
            reason = f" ({last.strip()[:200]})" if last else ""
            return NoEngine(
                f"The Python at “{self.python}” cannot run the engine{reason}: {ADVICE}"
            )
        if code == KILLED:
            return WorkerDied(
                "The engine was killed (signal 9) while it was working, which happens when memory "
                "runs out: "
                "close other programs, or ask for fewer takes",
                self.log,
            )
        return WorkerDied(
            f"The engine {system_calls.how_it_ended(self.popen)} while it was working: try again, "
            f"see the log",
            self.log,
        )


def stopped_error(log: str) -> WorkerDied:
    """The error for requests that a worker owed when the client stopped it."""
    return WorkerDied("The engine was stopped before it could answer: ask again", log)


def environment(libraries: str) -> dict[str, str]:
    """This process's environment, without variables that mislead another Python, with model hubs
    switched off, and with a folder of packages ("" for none) on the path."""
    removed = ("PYTHONHOME", "PYTHONSTARTUP", "PYTHONPATH", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    return {
        # Threads that spin while they wait take the processor from Blender, and with both at work
        # the engine itself becomes several times slower.
        "OMP_WAIT_POLICY": "PASSIVE",
        **{name: value for name, value in os.environ.items() if name not in removed},
        "PYTHONPATH": os.pathsep.join(filter(None, (ROOT, libraries))),
        "PYTHONNOUSERSITE": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
