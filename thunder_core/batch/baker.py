# SPDX-License-Identifier: GPL-3.0-or-later
"""Client of the baking process: starts it, sends requests over pipes, watches and ends it.

It is a separate Blender (`bake.py --baker`, cli/baker.py), so that a crash costs one job, and it bakes one job after the other, so that its
engine starts once. Requests and events are lines of JSON. Standard library only.

request: {"job": name, "settings": {…}, "out": folder, "options": […]}
events:  ready (maker: versions and the weights' hash), progress (job, fraction, message), done (job, report),
         failed (job, sentence, log).  From a cluster also note (sentence, and job if that waits again), and refused (sentence) if it
         cannot be used at all.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .. import system_calls
from ..errors import NoEngine, ThunderError
from .run_progress import duration

LOG_LINES = 60  # lines of the process's output kept for error messages
PATIENCE = 10.0  # seconds that a process has to stop: its engine stops, files are restored
START_SECONDS = 300.0  # longest start of the process: Blender with all its add-ons, from a slow disk
STALL_SECONDS = 1800.0  # longest time without a sign of a job: a step such as opening a scene or exporting one take
ADVICE = "start one with “ray start --head”, or name another with --cluster"  # advice if no cluster answers
EVENTS = ("ready", "progress", "done", "failed", "note", "refused")


@dataclass(frozen=True)
class Task:
    """A job to bake.  out: its folder.  options: of `bake.py` that are no settings of a job."""

    job: str
    settings: Mapping[str, object]
    out: str
    options: Sequence[str] = ()

    def request(self) -> dict:
        """The request for one job."""
        return {"job": self.job, "settings": dict(self.settings), "out": self.out, "options": list(self.options)}


class BakerDied(ThunderError):
    """The process ended in the middle of a job; `log` holds the last lines it printed."""

    def __init__(self, message: str, log: str):
        super().__init__(message)
        self.log = log


def failed(job: str, sentence: str, log: str = "") -> dict:
    """The event of a job that failed."""
    return {"event": "failed", "job": job, "sentence": sentence, "log": log}


class LineProcess:
    """A process that reads JSON lines from its stdin and answers by events on its stdout, started at once."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None):
        self._lines: collections.deque[str] = collections.deque(maxlen=LOG_LINES)
        try:  # Ctrl-C in a terminal is for the requesting process
            self._popen = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=None if environment is None else {**os.environ, **environment},
                **system_calls.new_group(),
            )
        except OSError as error:
            raise NoEngine(f"“{command[0]}” cannot be run ({error.strerror or error}): check the path") from error
        self._log_reader = threading.Thread(target=self._read_log, name="thunder baker log", daemon=True)
        self._log_reader.start()

    @property
    def log(self) -> str:
        """The last lines that it wrote to stderr."""
        return "\n".join(list(self._lines))

    @property
    def last_line(self) -> str:
        """The last of them that is not empty."""
        return next((line.strip()[:300] for line in reversed(list(self._lines)) if line.strip()), "no reason was given")

    def send(self, request: Mapping) -> None:
        """Send a request; if the process has ended, reading reports it."""
        with contextlib.suppress(OSError):
            self._popen.stdin.write(json.dumps(request).encode() + b"\n")
            self._popen.stdin.flush()

    def next(self) -> dict | None:
        """The next event; None when the process has ended. What else is printed on its stdout (Blender's greeting) is skipped."""
        while line := self._popen.stdout.readline():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and event.get("event") in EVENTS:
                return event
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(PATIENCE)
        self._log_reader.join(PATIENCE)
        return None

    def how(self) -> str:
        """Description of how the process ended."""
        code = self._popen.poll()
        if code is not None and code < 0:
            return f"was ended by signal {-code}"
        return f"ended with code {code}"

    def kill(self) -> None:
        """End it at once; the thread that reads its events goes on."""
        system_calls.kill_group(self._popen)

    def close(self) -> None:
        """End it: politely at first. Returns when it is gone. May be called twice."""
        with contextlib.suppress(OSError):
            self._popen.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(PATIENCE)
        if self._popen.poll() is None:
            system_calls.kill_group(self._popen)
            self._popen.wait()
        self._log_reader.join(PATIENCE)
        self._popen.stdout.close()

    def _read_log(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in self._popen.stderr:
                self._lines.append(line.decode("utf-8", "replace").rstrip())


class Baker:
    """A process that bakes, started at once. `maker`: its versions and weights, known once it is ready."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None):
        self.maker: dict | None = None
        self._process = LineProcess([*command, "--baker"], environment)

    def wait(self) -> dict:
        """Wait until it is ready; returns `maker`. Raises NoEngine if it cannot bake at all, or is not ready after START_SECONDS."""
        if self.maker is None:
            with _Limit(self._process, START_SECONDS) as limit:
                while self.maker is None:
                    event = self._process.next()
                    if event is None:
                        raise NoEngine(self._why_not_ready(limit.is_over))
                    if event["event"] == "ready":
                        self.maker = event["maker"]
        return self.maker

    def _why_not_ready(self, is_too_slow: bool) -> str:
        if not is_too_slow:
            return f"No Blender could be started to bake in ({self._process.last_line}): correct that and bake again"
        advice = "start it in a terminal to see what it waits for, and bake again"
        return f"Blender was not ready to bake after {duration(START_SECONDS)} (its last line: {self._process.last_line}): {advice}"

    def bake(self, task: Task) -> Iterator[dict]:
        """The events of a job, the last of them “done” or “failed”. Raises NoEngine, or BakerDied if the process ends or, for
        STALL_SECONDS, does nothing."""
        self.wait()
        self._process.send(task.request())
        doing = "nothing yet"
        with _Limit(self._process, STALL_SECONDS) as limit:
            while True:
                event = self._process.next()
                limit.extend()
                if event is None and limit.is_over:
                    after = duration(STALL_SECONDS)
                    sentence = (
                        f"Blender did not go on for {after} and was ended (the last: {doing}): bake it alone, with --only, to see why"
                    )
                    raise BakerDied(sentence, self._process.log)
                if event is None:
                    sentence = f"Blender {self._process.how()} while it baked this: bake it alone, with --only, to see why"
                    raise BakerDied(sentence, self._process.log)
                if event.get("job") == task.job:
                    doing = event.get("message", doing)
                    yield event
                    if event["event"] in ("done", "failed"):
                        return

    def close(self) -> None:
        """End it. May be called twice."""
        self._process.close()


class _Limit:
    """Ends a process that gives no sign of life for so many seconds. is_over: whether it was ended."""

    def __init__(self, process: LineProcess, seconds: float):
        self.is_over = False
        self._process, self._seconds = process, seconds
        self._end = time.monotonic() + seconds
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="thunder baker limit", daemon=True)

    def __enter__(self) -> _Limit:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._closed.set()

    def extend(self) -> None:
        """Begin to count again."""
        self._end = time.monotonic() + self._seconds

    def _watch(self) -> None:
        while not self._closed.wait(max(0.01, self._end - time.monotonic())):
            if time.monotonic() >= self._end:
                self.is_over = True
                self._process.kill()
                return


def bake_here(command: Sequence[str], tasks: Sequence[Task]) -> Generator[dict, None, None]:
    """Bake tasks one after the other in one process on this machine; yields their events. A task at which the process dies
    fails, and the next one gets a new process. Raises NoEngine if none can be started."""
    baker: Baker | None = None
    try:
        for task in tasks:
            if baker is None:
                baker = Baker(command)
            try:
                yield from baker.bake(task)
            except BakerDied as error:
                baker.close()
                baker = None
                yield failed(task.job, str(error), error.log)
    finally:
        if baker is not None:
            baker.close()
