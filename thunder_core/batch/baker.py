# SPDX-License-Identifier: GPL-3.0-or-later
"""Client of the baking process: starts it, sends requests over pipes, watches and ends it; on this
machine, or on those of a Ray cluster (`bake_on`, `engine.cluster`).

It is a separate Blender (`bake.py --baker`, cli/batch.py), so that a crash costs one job, and it
bakes one job after the other, so that its engine starts once. Requests and events are lines of
JSON. Standard library only.

request: {"job": name, "settings": {…}, "out": folder, "options": […]}
events:  ready (maker: versions and the weights' hash), progress (job, fraction, message), done
(job, report),
         failed (job, sentence, log), note (sentence, and job if that waits again on a cluster).
         From a cluster also refused (sentence) if it cannot be used at all.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from .. import system_calls
from ..engine_python import ROOT
from ..errors import NoEngine, WorkerDied
from ..progress import time_in_words
from ..worker_process import LineProcess
from .manifest import Maker
from .settings import OF_TAKES, path_names

PATIENCE = 10.0  # seconds that a process has to stop: its engine stops, files are restored
# longest start of the process: Blender with all its add-ons, from a slow disk
START_SECONDS = 300.0
# longest time without a sign of a job: a step such as opening a scene or exporting one take
STALL_SECONDS = 1800.0
# advice if no cluster answers
ADVICE = "start one with “ray start --head”, or name another with --cluster"


@dataclass(frozen=True)
class BakeTask:
    """A job to bake.  out: its folder.  options: of `bake.py` that are no settings of a job."""

    job: str
    settings: Mapping[str, object]
    out: str
    options: Sequence[str] = ()


class EventWriter:
    """Writes events to the original stdout of this process. All other output goes to stderr from
    then on."""

    def __init__(self):
        sys.stdout.flush()
        self._file = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)

    def write(self, event: Mapping) -> None:
        """Write an event; if nobody reads it any more, the end of stdin ends this process."""
        with contextlib.suppress(OSError):
            self._file.write(json.dumps(event).encode() + b"\n")


def failure_event(job: str, sentence: str, log: str = "") -> dict:
    """The event of a job that failed."""
    return {"event": "failed", "job": job, "sentence": sentence, "log": log}


class Baker(LineProcess):
    """A process that bakes, started at once, and once more if it ends before it is ready.

    maker: its versions and weights, known once it is ready.  restarted: a sentence where it was
    started once more, else "".
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None):
        self.maker: dict | None = None
        self.restarted = ""
        self._start = [*command, "--baker"], {**os.environ, **(environment or {})}, PATIENCE
        super().__init__(*self._start)

    def wait(self) -> dict:
        """Wait until it is ready; returns `maker`. Raises NoEngine if it cannot bake at all, or is
        not ready after START_SECONDS."""
        if self.maker is None:
            event = self._first_event()
            if event is None:
                why = f"{system_calls.how_it_ended(self.popen)} while it started"
                self.restarted = f"Blender {why} ({self.last_line}), and is started once more"
                self.close()
                super().__init__(*self._start)
                event = self._first_event()
            if event is None:
                how = system_calls.how_it_ended(self.popen)
                raise NoEngine(
                    f"No Blender could be started to bake in: it was tried twice, and {how} "
                    f"({self.last_line}): correct that and bake again"
                )
            if not isinstance(maker := event.get("maker"), dict):
                raise NoEngine(
                    "What was started to bake in does not say its version: start it with the "
                    "Blender and the bake.py of one version of Thunder"
                )
            self.maker = maker
        return self.maker

    def _first_event(self) -> dict | None:
        """What it says once it is ready, None if it ends before. Raises NoEngine."""
        try:
            return self.next(START_SECONDS)
        except TimeoutError:
            what = (
                f"not ready to bake after {duration(START_SECONDS)} (its last line: "
                f"{self.last_line})"
            )
            raise NoEngine(
                f"Blender was {what}: start it in a terminal to see what it waits for, and "
                f"bake again"
            ) from None

    def bake(self, task: BakeTask) -> Iterator[dict]:
        """The events of a job, the last of them “done” or “failed”. Raises NoEngine, or WorkerDied
        if the process ends or, for STALL_SECONDS, does nothing."""
        self.wait()
        self.send(asdict(task))
        doing = "nothing yet"
        while True:
            try:
                event = self.next(STALL_SECONDS)
                why = f"{system_calls.how_it_ended(self.popen)} while it baked this"
            except TimeoutError:
                event = None
                why = (
                    f"did not go on for {duration(STALL_SECONDS)} and was ended (the last: {doing})"
                )
            if event is None:
                raise WorkerDied(f"Blender {why}: bake it alone, with --only, to see why", self.log)
            doing = event.get("message", doing)
            yield event
            if event["event"] in ("done", "failed"):
                return


def bake_here(command: Sequence[str], tasks: Sequence[BakeTask]) -> Generator[dict, None, None]:
    """Bake tasks one after the other in one process on this machine; yields their events, and a
    “note” if the process ended while it started. A task at which it dies fails, and the next one
    gets a new process. Raises NoEngine if none can be started."""
    baker: Baker | None = None
    try:
        for task in tasks:
            if baker is None:
                baker = Baker(command)
                baker.wait()
                if baker.restarted:
                    yield {"event": "note", "sentence": baker.restarted}
            try:
                yield from baker.bake(task)
            except WorkerDied as error:
                baker.close()
                baker = None
                yield failure_event(task.job, str(error), error.log)
    finally:
        if baker is not None:
            baker.close()


# ---- on a cluster

_DRIVER = f"{__package__.split('.')[-2]}.engine.cluster"
_ENVIRONMENT = {"PYTHONPATH": ROOT, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
CPUS = 4  # processors per job; the engine of a bake uses as many threads


@dataclass(frozen=True)
class Cluster:
    """A cluster for bakes.  address: of a Ray cluster, “auto” for the one that runs here.  cpus: of
    each job."""

    address: str
    cpus: int = CPUS


def bake_on(
    cluster: Cluster, python: str, command: Sequence[str], tasks: Sequence[BakeTask], maker: Maker
) -> Generator[dict, None, None]:
    """Bake tasks on the machines of a cluster; yields their events, each with the “node” that it
    comes from, and “note” with a sentence if a machine cannot be used or is lost.

    python: a Python that has Ray.  command: starts a baking Blender there.  maker: versions and
    weights that the machines must have. Raises NoEngine if nothing can be baked.
    """
    waiting = [task.job for task in tasks]
    process = LineProcess([python, "-m", _DRIVER], {**os.environ, **_ENVIRONMENT}, PATIENCE)
    try:
        process.send(
            {
                **asdict(cluster),
                "root": ROOT,
                "command": list(command),
                "maker": asdict(maker),
                "tasks": [asdict(task) | {"files": path_names(task.settings)} for task in tasks],
                "of_takes": OF_TAKES.pattern,
            }
        )
        event = process.next()
        if event is None:  # Ray ends a process that finds no cluster without an error
            raise NoEngine(
                f"No Ray cluster answers at “{cluster.address}” ({process.last_line}): {ADVICE}"
            )
        while waiting and event is not None:
            if event["event"] == "refused":
                raise NoEngine(event["sentence"])
            if event["event"] in ("done", "failed"):
                waiting.remove(event["job"])
            yield event
            event = process.next() if waiting else None
        for job in waiting:
            why = "The connection to the cluster was lost: bake again"
            yield failure_event(job, why, process.log)
    finally:
        process.close()


# ---- how far a run of many bakes is: a line every now and then

LOG_EVERY = 30.0  # least seconds between two lines
LISTED = 8  # most jobs that are listed at once; a cluster may bake more
_LEAST_SECONDS, _LEAST_JOBS = 5.0, 0.25  # what must be done before the time left is guessed


@dataclass
class _Baking:
    """A job that is being baked.  begun: time of its first event.  node: its machine, "" for this
    one."""

    begun: float
    node: str
    fraction: float = 0.0
    message: str = ""


class RunProgress:
    """Progress of a run of `count` jobs.

    say: prints a line.  log_every: least seconds between two lines.
    """

    def __init__(self, count: int, say: Callable[[str], None], log_every: float = LOG_EVERY):
        self.count, self.ended = count, 0
        self._baked = 0
        self._say, self._every = say, log_every
        self._baking: dict[str, _Baking] = {}
        self._begun: float | None = None  # time of the first event
        self._shown = time.monotonic()

    def update(self, job: str, fraction: float, message: str, node: str = "") -> None:
        """Note how far a job is, 0 … 1, and what it does."""
        now = time.monotonic()
        if self._begun is None:
            self._begun = now
        row = self._baking.get(job)
        if row is None or row.node != node:  # another machine begins again
            row = self._baking[job] = _Baking(now, node)
        row.fraction, row.message = min(1.0, max(0.0, fraction)), message
        if now - self._shown >= self._every:
            self._shown = now
            rows = [f"{name}: {about}" for name, about in self.running().items()]
            more = [f"and {len(rows) - LISTED} more"] if len(rows) > LISTED else []
            self._say(f"      {self.summary()}; now {'; '.join(rows[:LISTED] + more)}")

    def end(self, job: str, is_baked: bool) -> float:
        """Note that a job has ended; returns the seconds that it took. A failed one says nothing
        about the pace."""
        row = self._baking.pop(job, None)
        self.ended += 1
        self._baked += is_baked
        return time.monotonic() - row.begun if row else 0.0

    def requeue(self, job: str) -> None:
        """Note that a job is not being baked any more and waits again."""
        self._baking.pop(job, None)

    def stop(self) -> None:
        """Note that no job is being baked any more."""
        self._baking.clear()

    def summary(self) -> str:
        """Jobs that have ended, and a guess of the time left: “12 of 140 done, 3 h left”."""
        running = sum(row.fraction for row in self._baking.values())
        done, jobs_left = self._baked + running, self.count - self.ended - running
        seconds = 0.0 if self._begun is None else time.monotonic() - self._begun
        left = ""
        if seconds >= _LEAST_SECONDS and done >= _LEAST_JOBS:
            left = f", {time_in_words(seconds / done * jobs_left)}"
        return f"{self.ended} of {self.count} done{left}"

    def running(self) -> dict[str, str]:
        """What each job does that is being baked, by its name."""
        now = time.monotonic()
        return {job: _about(row, now) for job, row in self._baking.items()}


def _about(row: _Baking, now: float) -> str:
    """What a job does: “45 %, 2 of 4 sampled, for 2 min (on anna)”."""
    what = f"{row.message[:1].lower()}{row.message[1:]}"
    return f"{row.fraction:.0%}, {what}, for {duration(now - row.begun)}" + (
        f" (on {row.node})" if row.node else ""
    )


def duration(seconds: float) -> str:
    """Seconds as one says them: “42 s”, “3 min”, “2.5 h”."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 99.5 * 60 else f"{seconds / 3600:.1f} h"
