# SPDX-License-Identifier: GPL-3.0-or-later
"""The side of the process boundary that lives in Blender: starts the engine's process, asks it, survives its death.

Standard library and numpy only. docs/reference/protocol.md describes the lines that go over the pipes, and when a worker counts as
stuck. Nothing here touches bpy, and nothing but `Pending.wait` and `Client.stop` ever blocks.
"""

from __future__ import annotations

import atexit
import collections
import contextlib
import itertools
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time

import numpy as np

from . import system_calls
from .errors import (
    BadWeights,
    Cancelled,
    error_of,
    NoEngine,
    NoSpace,
    OutOfMemory,
    says_memory_ran_out,
    ThunderError,
    WorkerDied,
)
from .installer import python_in
from .private_folder import PrivateFolder, sweep
from .protocol import is_sound, LONGEST_LINE, PROTOCOL, read_event

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOG_LINES, LOG_WIDTH = 200, 4000  # of the worker's stderr that are kept: lines, and bytes of each
STOP_PATIENCE = 2.0  # seconds a worker has to leave by itself before it is made to
# Deadlines in seconds during which this process ran: while it sleeps itself, they stand still.
READY_DEADLINE = 60.0  # for the first sign of life: Python alone has to start, from a slow disk perhaps
CANCEL_DEADLINE = 1.5  # for the answer to Cancel
STUCK_DEADLINE = 2.0  # to leave a cancelled request, when another one waits
SILENCE_SHOWN = 10.0  # without a sign of life until the animator is told; Python's own lock may be held that long
SILENCE_DEADLINE = 300.0  # and until the worker is ended, although nobody cancelled: no honest work holds the lock so long
_KILLED = -9  # how Linux ends a process when memory runs out; Windows has no such code
_TICK = 0.1  # between two looks at the deadlines while an answer is owed


def find_engine_python(python: str | None = None, venvs=(), option: str = "") -> str:
    """Path of the Python that runs the engine.

    In this order: `python` (an executable or the folder of a virtual environment; named in the preferences, or by the command
    line's `option`), the environment variable THUNDER_PYTHON, the virtual environments `venvs`, the one beside this
    extension. Raises NoEngine when the named one does not exist, or none does.
    """
    for given, source in ((python, "in the preferences"), (os.environ.get("THUNDER_PYTHON"), "in THUNDER_PYTHON")):
        if given:
            found = _python_of(given)
            if found is None:
                if python and option:
                    raise NoEngine(f"There is no Python at “{given}”: {_another_python(python, option)}")
                raise NoEngine(f"There is no Python at “{given}”, named {source}: correct it or install the engine")
            return found
    for venv in (*venvs, os.path.join(ROOT, ".venv", "engine")):
        found = _python_of(venv)
        if found is not None:
            return found
    raise NoEngine("The engine is not installed: install it, or name its Python in the preferences or in THUNDER_PYTHON")


def _another_python(python: str | None, option: str) -> str:
    """What to do about an engine's Python that cannot run it, as the end of a sentence; it depends on who named it."""
    if python:
        return f"name another with {option}" if option else "choose another Python in the preferences"
    return "correct THUNDER_PYTHON" if os.environ.get("THUNDER_PYTHON") else "reinstall the engine"


class Pending:
    """A request that was sent; its events arrive while the caller does something else."""

    def __init__(self, client: Client, number: int, verb: str, args: dict):
        self.client, self.number, self.verb, self.args = client, number, verb, args
        self.fraction = 0.0  # how far the work was when it was last looked at
        self.begun = False  # the worker has said something about it
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

        Raises TimeoutError after `timeout` seconds; the request goes on then.
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
            self.client._send_cancel(self)

    def _seen(self, event: dict) -> dict:
        if event["event"] == "progress":
            self.fraction = event["fraction"]
        elif event["event"] == "done":
            self.result, self._over = event["result"], True
        elif event["event"] == "error":
            self.error = event.pop("_error", None) or error_of(event["kind"], event["message"])
            self._over = True
        return event

    def _fail(self, error: ThunderError) -> None:
        self._events.put(
            {
                "id": self.number,
                "event": "error",
                "kind": error.kind,
                "message": str(error),
                "_error": error,
            }
        )


class Client:
    """One worker process and the private folder it shares; starts the process when first asked, again after a death.

    python:  executable or virtual environment of the engine, None to look for it (find_engine_python).
    venvs:   further virtual environments to look in.
    weights: folder of the model files, None for the ones shipped beside this package.
    device:  "cpu", "cuda:0" …, None for the best there is.
    option:  of the command line that named `python`, "" if it comes from the preferences.
    """

    def __init__(self, python: str | None = None, venvs=(), weights: str | None = None, device: str | None = None, option: str = ""):
        self.python, self.venvs, self.weights, self.device, self.option = python, tuple(venvs), weights, device, option
        self._process: _Process | None = None
        self._mutex = threading.RLock()  # guards _process; never taken while holding a process's own
        self._numbers = itertools.count(1)
        self._files = itertools.count(1)
        self._private: PrivateFolder | None = None
        self._last_log = ""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether the worker process is alive."""
        return self._process is not None and self._process.alive

    @property
    def pid(self) -> int | None:
        """Process id of the worker, None when none runs."""
        return self._process.popen.pid if self.running else None

    @property
    def log(self) -> str:
        """The last lines that the worker, or the one before it, wrote to stderr."""
        return self._process.log if self._process is not None else self._last_log

    @property
    def folder(self) -> str:
        """The private folder (mode 0700) for sounds and arrays; made when first needed, removed by stop."""
        if self._private is None:
            sweep()
            try:
                self._private = PrivateFolder()
            except OSError as error:
                raise NoSpace(
                    f"No temporary folder can be created in “{tempfile.gettempdir()}” ({error.strerror}): free some space"
                ) from error
            atexit.register(self.stop)
        return self._private.path

    def start(self) -> None:
        """Starts the worker if none runs, without waiting for it. Raises NoEngine or BadWeights when a path leads nowhere."""
        with self._mutex:
            if not self.running:
                self._start()

    def _start(self) -> None:
        python = find_engine_python(self.python, self.venvs, self.option)
        if self.weights and not os.path.isdir(self.weights):
            raise BadWeights(f"There is no weights folder at “{self.weights}”: choose another, or leave it empty to use the bundled ones")
        command = [python, "-m", __package__.rpartition(".")[2] + ".engine.worker", "--folder", self.folder]
        if self.weights:
            command += ["--weights", os.path.abspath(self.weights)]
        if self.device:
            command += ["--device", self.device]
        if self._process is not None:
            self._last_log = self._process.log
        self._process = _Process(command, self.folder, self._send_again, _another_python(self.python, self.option))

    def request(self, verb: str, **args) -> Pending:
        """Sends a request and returns at once. “generate” gets a folder of its own for its arrays if none is given.

        Raises NoEngine, BadWeights, NoSpace; whatever happens later arrives through the Pending.
        """
        with self._mutex:
            self.start()
            if verb == "generate" and not args.get("folder"):
                args["folder"] = self.new_folder()
            pending = Pending(self, next(self._numbers), verb, args)
            self._process.send(pending)
        return pending

    def put_array(self, array) -> str:
        """Writes an array for the worker; returns its path in the private folder. Raises NoSpace."""
        path = os.path.join(self.folder, f"array_{next(self._files)}.npy")
        try:
            np.save(path, np.asarray(array, dtype=np.float32), allow_pickle=False)
        except OSError as error:
            raise self._full() from error
        return path

    def _full(self) -> NoSpace:
        return NoSpace(f"No space is left in “{self.folder}” for temporary files: free some and try again")

    def get_array(self, result: dict, name: str | None):
        """The float32 array a result names, None for None; looks in the result's folder. Raises ThunderError."""
        if name is None:
            return None
        try:
            return np.load(os.path.join(result.get("folder", self.folder), name), allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ThunderError(f"The engine's file “{name}” cannot be read: try again") from error

    def new_folder(self) -> str:
        """A folder for the arrays of one request, in the private one. Raises NoSpace."""
        path = os.path.join(self.folder, f"request_{next(self._files)}")
        try:
            os.mkdir(path)
        except OSError as error:
            raise self._full() from error
        return path

    def forget(self, folder: str) -> None:
        """Removes the folder of a request whose arrays were read, or are no longer wanted: takes of an hour are gigabytes."""
        if self._private is not None and os.path.dirname(folder) == self._private.path:
            shutil.rmtree(folder, ignore_errors=True)

    def stop(self) -> None:
        """Ends the worker and removes the private folder; waits 2 s at most before it uses force. May be called twice."""
        with self._mutex:
            process, self._process = self._process, None
        if process is not None:
            process.end()
            self._last_log = process.log
        if self._private is not None:
            self._private.remove()
            self._private = None
        atexit.unregister(self.stop)

    def _send_cancel(self, pending: Pending) -> None:
        with self._mutex:
            if self._process is not None:
                self._process.cancel(pending, next(self._numbers))

    def _send_again(self, process: _Process, waiting: list[Pending]) -> None:
        """Sends requests that an ended worker had not begun to a new one."""
        with self._mutex:
            if self._process is None or self._process is not process and not self.running:
                error: ThunderError | None = _stopped(process.log)
            else:
                try:
                    self.start()
                    error = None
                except ThunderError as caught:
                    error = caught
            for pending in waiting:
                if error is None:
                    self._process.send(pending)
                else:
                    pending._fail(error)


class _Process:
    """A running worker, the threads that serve its pipes and its deadlines, and the requests it still owes an answer.

    send_again(process, pendings): called when the worker was ended, with the requests that it had not begun.
    advice: what to do if its Python cannot run the engine, as the end of a sentence.
    """

    def __init__(self, command: list[str], folder: str, send_again, advice: str):
        self.owed: dict[int, Pending] = {}
        self.cancelled: dict[int, float] = {}  # requests that were cancelled and may still be at work → seconds since
        self.working: int | None = None  # the request that the worker said it works on
        self.lines: collections.deque[str] = collections.deque(maxlen=LOG_LINES)
        self.since_answer: collections.deque[str] = collections.deque(maxlen=LOG_LINES)  # what of the log may say why it ended
        self.outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.mutex = threading.Lock()
        self.changed = threading.Condition(self.mutex)
        self.ready = self.dead = self.ending = False
        self.age = self.silence = 0.0  # seconds since an answer was first owed, and since the last event
        self.shown = SILENCE_SHOWN  # silence at which the animator is told next
        self.refusal: ThunderError | None = None  # why this worker was ended by us
        self.send_again = send_again
        self.python, self.advice = command[0], advice
        try:  # Ctrl-C in a terminal is for the client, which then stops the worker
            self.popen = subprocess.Popen(
                command,
                cwd=folder,
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                **system_calls.own_group(),
            )
        except OSError as error:
            raise NoEngine(f"“{self.python}” cannot be run ({error.strerror or error}): {advice}") from error
        self.threads = [
            threading.Thread(target=target, name=f"thunder {name}", daemon=True)
            for name, target in (
                ("log", self._read_log),
                ("replies", self._read_replies),
                ("requests", self._write_requests),
                ("deadlines", self._watch),
            )
        ]
        for thread in self.threads:
            thread.start()

    @property
    def alive(self) -> bool:
        return not self.dead and self.popen.poll() is None

    @property
    def log(self) -> str:
        return "\n".join(list(self.lines))

    def send(self, pending: Pending) -> None:
        with self.mutex:
            if not self.dead:
                self.owed[pending.number] = pending
                self._put({"id": pending.number, "verb": pending.verb, "args": pending.args})
                self.changed.notify_all()
                return
        pending._fail(self._why())

    def cancel(self, pending: Pending, number: int) -> None:
        with self.mutex:
            if not self.dead and pending.number in self.owed and pending.number not in self.cancelled:
                self.cancelled[pending.number] = 0.0
                self._put({"id": number, "verb": "cancel", "args": {"request": pending.number}})
                self.changed.notify_all()

    def _put(self, message: dict) -> None:
        self.outgoing.put(json.dumps(message).encode() + b"\n")

    def end(self) -> None:
        with self.mutex:
            self.ending = True
            self.outgoing.put(b'{"id": 0, "verb": "quit"}\n')
            self.outgoing.put(None)  # closes stdin, which also ends a worker that is in the middle of something
        self._wait()
        self._kill()
        self._wait()
        for thread in self.threads:
            thread.join(STOP_PATIENCE)

    def _wait(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):  # in a driver that hangs not even a killed process ends
            self.popen.wait(STOP_PATIENCE)

    def _kill(self) -> None:
        """Ends the worker at once, and what it started."""
        if self.popen.poll() is None:
            system_calls.kill_group(self.popen)

    def _write_requests(self) -> None:
        try:
            while (line := self.outgoing.get()) is not None:
                self.popen.stdin.write(line)
                self.popen.stdin.flush()
        except (OSError, ValueError):
            pass  # it died this moment; the reading thread tells all that wait
        with contextlib.suppress(OSError, ValueError):
            self.popen.stdin.close()

    def _read_replies(self) -> None:
        try:
            while line := self.popen.stdout.readline(LONGEST_LINE):
                try:
                    self._take_in(read_event(line))
                except ValueError:
                    self._note(line)
        except (OSError, ValueError):
            pass
        self._wait()
        self._kill()  # it closed its pipe and yet stays: it can answer nobody any more
        self._wait()
        self.popen.stdout.close()
        self.threads[0].join(STOP_PATIENCE)  # the log first, the reason may be in it
        with self.mutex:
            self.dead = True
            owed, self.owed = list(self.owed.values()), {}
            self.changed.notify_all()
        self.outgoing.put(None)
        for pending in owed:
            pending._fail(self._why())

    def _take_in(self, event: dict) -> None:
        """Notes what an event says of the worker, and hands it to the request it belongs to."""
        kind, number = event["event"], event["id"] if "id" in event else None
        with self.mutex:
            if self.dead:
                return
            self.silence, self.shown = 0.0, SILENCE_SHOWN
            if kind == "ready":
                self.ready = True
                if event.get("protocol") != PROTOCOL:
                    self.refusal = NoEngine(
                        f"The engine of “{self.python}” is of another version than this add-on (protocol {event.get('protocol')!r:.20}, "
                        f"not {PROTOCOL}): reinstall the engine and the extension"
                    )
                    self._kill()
                return
            if kind == "alive":
                working = event.get("working")
                self.working = working if isinstance(working, int) else None
                if self.working in self.owed:
                    self.owed[self.working].begun = True
                self._forget_cancelled()
                return
            pending = self.owed.get(number)
            if pending is None:
                return
            pending.begun = True
            self.working = number
            if not is_sound(event, pending.verb):
                self.lines.append(f"an event of “{pending.verb}” that makes no sense: {str(event)[:500]}")
                if kind == "progress":
                    return
                if kind not in ("done", "error"):
                    self._put({"id": -number, "verb": "cancel", "args": {"request": number}})
                error = ThunderError(f"The engine's answer to “{pending.verb}” cannot be read: reinstall the engine and the extension")
                event = {"id": number, "event": "error", "kind": error.kind, "message": str(error)}
            elif kind == "progress":
                event["fraction"] = min(1.0, max(0.0, event["fraction"]))
            if event["event"] in ("done", "error"):
                self.since_answer.clear()
                del self.owed[number]
                if kind == "done" or number not in self.cancelled:
                    self.working = None
                self._forget_cancelled()
        pending._events.put(event)

    def _forget_cancelled(self) -> None:
        """Drops the cancelled requests that were answered and that the worker has left."""
        for number in [n for n in self.cancelled if n not in self.owed and n != self.working]:
            del self.cancelled[number]

    def _watch(self) -> None:
        """Keeps the deadlines while an answer is owed."""
        last = time.monotonic()
        while True:
            with self.mutex:
                if not self.owed and not self.dead:
                    self.changed.wait()
                    last, self.silence = time.monotonic(), 0.0
                else:
                    self.changed.wait(_TICK)
                if self.dead:
                    return
                now = time.monotonic()
                waiting = self._count(min(now - last, 2 * _TICK))
                last = now
            if waiting:
                self.send_again(self, waiting)

    def _count(self, seconds: float) -> list[Pending]:
        """Lets time pass. Ends the worker when a deadline is over, and returns the requests that another one is to answer."""
        if not self.owed:
            return []
        self.age += seconds
        self.silence += seconds
        for number in self.cancelled:
            self.cancelled[number] += seconds
        for number in [n for n, since in self.cancelled.items() if since >= CANCEL_DEADLINE and n in self.owed]:
            self.owed.pop(number)._fail(Cancelled("Cancelled, nothing was changed"))
            if not any(each.begun and each.number not in self.cancelled for each in self.owed.values()):
                return self._give_up(WorkerDied("The engine did not answer to Cancel and was ended: try again", self.log), again=True)
        if self.cancelled.get(self.working, 0.0) >= STUCK_DEADLINE and all(not each.begun for each in self.owed.values()):
            return self._give_up(WorkerDied("The engine did not stop the cancelled work and was ended: try again", self.log), again=True)
        if not self.ready and self.age >= READY_DEADLINE:
            self._give_up(
                NoEngine(
                    f"The Python at “{self.python}” was started but the engine did not answer within {READY_DEADLINE:.0f} s: {self.advice}"
                )
            )
        elif self.silence >= SILENCE_DEADLINE:
            self._give_up(
                WorkerDied(f"The engine did not respond for {SILENCE_DEADLINE / 60:.0f} minutes and was ended: try again", self.log)
            )
        elif self.silence >= self.shown:
            for pending in self.owed.values():
                pending._events.put(
                    {
                        "id": pending.number,
                        "event": "progress",
                        "fraction": pending.fraction,
                        "message": f"The engine has not answered for {self.silence:.0f} s: wait, or cancel to restart it",
                    }
                )
            self.shown += SILENCE_SHOWN
        return []

    def _give_up(self, why: ThunderError, again: bool = False) -> list[Pending]:
        """Ends the worker. Its requests fail; with `again` those that were neither begun nor cancelled are returned instead."""
        self.dead, self.refusal = True, why
        owed, self.owed = list(self.owed.values()), {}
        self.lines.append(str(why))
        self._kill()
        self.outgoing.put(None)
        self.changed.notify_all()
        waiting = []
        for pending in owed:
            if pending.number in self.cancelled:
                pending._fail(Cancelled("Cancelled, nothing was changed"))
            elif again and not pending.begun:
                waiting.append(pending)
            else:
                pending._fail(why)
        return waiting

    def _read_log(self) -> None:
        try:
            while line := self.popen.stderr.readline(LONGEST_LINE):
                self._note(line)
        except (OSError, ValueError):
            pass
        self.popen.stderr.close()

    def _note(self, line: bytes) -> None:
        text = line[:LOG_WIDTH].decode("utf-8", "replace").rstrip()
        self.lines.append(text)
        self.since_answer.append(text)

    def _why(self) -> ThunderError:
        if self.ending:
            return _stopped(self.log)
        if self.refusal is not None:
            return self.refusal
        said = [line for line in self.since_answer if line.strip()]
        code, last = self.popen.poll(), said[-1] if said else ""
        if any(map(says_memory_ran_out, said)):  # not only the last line: a crash writes its stack after the reason
            return OutOfMemory("The engine ended because memory ran out: close other programs, or ask for fewer takes")
        if not self.ready:
            reason = f" ({last.strip()[:200]})" if last else ""
            return NoEngine(f"The Python at “{self.python}” cannot run the engine{reason}: {self.advice}")
        if code is not None and code < 0:
            if code == _KILLED:
                return WorkerDied(
                    "The engine was killed (signal 9) while it was working, which happens when memory runs out: "
                    "close other programs, or ask for fewer takes",
                    self.log,
                )
            how = f"was ended by signal {-code}"
        else:
            how = f"ended with code {code}"
        return WorkerDied(f"The engine {how} while it was working: try again, see the log", self.log)


def _stopped(log: str) -> WorkerDied:
    return WorkerDied("The engine was stopped before it could answer: ask again", log)


def _python_of(place: str) -> str | None:
    """The Python executable that `place` is, or that the virtual environment `place` holds."""
    place = os.path.expanduser(place)
    if os.path.isfile(place):
        return os.path.abspath(place)
    for python in (python_in(place), os.path.join(place, "bin", "python3")):
        if os.path.isfile(python):
            return os.path.abspath(python)
    return None if os.sep in place or os.path.isdir(place) else shutil.which(place)


def _environment() -> dict[str, str]:
    """This process's environment, less what would lead another Python astray, and with no way to a model hub."""
    led_astray_by = ("PYTHONHOME", "PYTHONSTARTUP", "PYTHONPATH", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    environment = {name: value for name, value in os.environ.items() if name not in led_astray_by}
    environment.update(
        PYTHONPATH=ROOT,
        PYTHONNOUSERSITE="1",
        PYTHONSAFEPATH="1",
        PYTHONUTF8="1",
        PYTHONUNBUFFERED="1",
        PYTHONDONTWRITEBYTECODE="1",
        HF_HUB_OFFLINE="1",
        TRANSFORMERS_OFFLINE="1",
        TOKENIZERS_PARALLELISM="false",
    )
    # Threads that spin while they wait take the processor from Blender, and with both at work the engine itself
    # becomes several times slower.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return environment
