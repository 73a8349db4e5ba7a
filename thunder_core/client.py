# SPDX-License-Identifier: GPL-3.0-or-later
"""The side of the process boundary that lives in Blender: starts the engine's process, asks it, survives its death.

Standard library and numpy only. docs/protocol.md tells the lines that go over the pipes. Nothing here touches bpy, and
nothing but `Pending.wait` and `Client.stop` ever blocks.
"""

from __future__ import annotations

import atexit
import collections
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

from .errors import NoEngine, NoSpace, ThunderError, WorkerDied, error_of
from .private_folder import PrivateFolder, sweep

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOG_LINES = 200  # of the worker's stderr that are kept
STOP_PATIENCE = 2.0  # seconds a worker has to leave by itself before it is made to


def find_engine_python(python: str | None = None, venvs=()) -> str:
    """Path of the Python that runs the engine.

    In this order: `python` (the preferences; an executable or the folder of a virtual environment), the environment
    variable THUNDER_PYTHON, the virtual environments `venvs`, the one beside this extension. Raises NoEngine when the
    named one does not exist, or none does.
    """
    for given, source in ((python, "in the preferences"), (os.environ.get("THUNDER_PYTHON"), "in THUNDER_PYTHON")):
        if given:
            found = _python_of(given)
            if found is None:
                raise NoEngine(f"There is no Python at “{given}”, named {source}: correct it or install the engine")
            return found
    for venv in (*venvs, os.path.join(ROOT, ".venv", "engine")):
        found = _python_of(venv)
        if found is not None:
            return found
    raise NoEngine("The engine is not installed: install it, or name its Python in the preferences or in THUNDER_PYTHON")


class Pending:
    """A request that was sent; its events arrive while the caller does something else."""

    def __init__(self, client: Client, number: int, verb: str):
        self.client, self.number, self.verb = client, number, verb
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
        """Asks the worker to stop this request; it answers error kind "Cancelled" within half a second."""
        if not self._over:
            self.client._send_cancel(self.number)

    def _seen(self, event: dict) -> dict:
        if event["event"] == "done":
            self.result, self._over = event["result"], True
        elif event["event"] == "error":
            self.error = event.pop("_error", None) or error_of(event["kind"], event["message"])
            self._over = True
        return event

    def _fail(self, error: ThunderError) -> None:
        self._events.put({
            "id": self.number, "event": "error", "kind": error.kind, "message": str(error), "_error": error,
        })


class Client:
    """One worker process and the private folder it shares; starts the process when first asked, again after a death.

    python:  executable or virtual environment of the engine, None to look for it (find_engine_python).
    venvs:   further virtual environments to look in.
    weights: folder of the model files, None for the ones shipped beside this package.
    device:  "cpu", "cuda:0" …, None for the best there is.
    """

    def __init__(self, python: str | None = None, venvs=(), weights: str | None = None, device: str | None = None):
        self.python, self.venvs, self.weights, self.device = python, tuple(venvs), weights, device
        self._process: _Process | None = None
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
                    f"No temporary folder can be made in “{tempfile.gettempdir()}” ({error.strerror}): free some space"
                ) from error
            atexit.register(self.stop)
        return self._private.path

    def start(self) -> None:
        """Starts the worker if none runs, without waiting for it. Raises NoEngine when there is nothing to start."""
        if self.running:
            return
        python = find_engine_python(self.python, self.venvs)
        command = [python, "-m", __package__.rpartition(".")[2] + ".worker", "--folder", self.folder]
        if self.weights:
            command += ["--weights", os.path.abspath(self.weights)]
        if self.device:
            command += ["--device", self.device]
        self._process = _Process(command, self.folder)

    def request(self, verb: str, **args) -> Pending:
        """Sends a request and returns at once. “generate” gets a folder of its own for its arrays if none is given.

        Raises NoEngine, NoSpace; whatever happens later arrives through the Pending.
        """
        self.start()
        number = next(self._numbers)
        if verb == "generate" and not args.get("folder"):
            args["folder"] = self.new_folder()
        pending = Pending(self, number, verb)
        self._process.send({"id": number, "verb": verb, "args": args}, pending)
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
        """The float32 array a result names, None for None; looks in the result's folder."""
        if name is None:
            return None
        return np.load(os.path.join(result.get("folder", self.folder), name), allow_pickle=False)

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
        if self._process is not None:
            self._process.end()
            self._last_log = self._process.log
            self._process = None
        if self._private is not None:
            self._private.remove()
            self._private = None
        atexit.unregister(self.stop)

    def _send_cancel(self, target: int) -> None:
        if self.running:
            number = next(self._numbers)
            self._process.send({"id": number, "verb": "cancel", "args": {"request": target}}, None)


class _Process:
    """A running worker, the threads that read its pipes, and the requests it still owes an answer."""

    def __init__(self, command: list[str], folder: str):
        self.owed: dict[int, Pending] = {}
        self.lines: collections.deque[str] = collections.deque(maxlen=LOG_LINES)
        self.mutex = threading.Lock()
        self.ready = self.dead = self.ending = False
        self.python = command[0]
        options = {"start_new_session": True}  # Ctrl-C in a terminal is for the client, which then stops the worker
        if os.name == "nt":
            options = {"creationflags": subprocess.CREATE_NO_WINDOW}
        try:
            self.popen = subprocess.Popen(
                command, cwd=folder, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, **options,
            )
        except OSError as error:
            raise NoEngine(
                f"“{self.python}” cannot be run ({error.strerror or error}): choose the engine's Python in the preferences"
            ) from error
        self.log_thread = threading.Thread(target=self._read_log, name="thunder log", daemon=True)
        self.reply_thread = threading.Thread(target=self._read_replies, name="thunder replies", daemon=True)
        self.log_thread.start()
        self.reply_thread.start()

    @property
    def alive(self) -> bool:
        return not self.dead and self.popen.poll() is None

    @property
    def log(self) -> str:
        return "\n".join(list(self.lines))

    def send(self, message: dict, pending: Pending | None) -> None:
        line = json.dumps(message).encode() + b"\n"
        with self.mutex:
            if not self.dead:
                if pending is not None:
                    self.owed[pending.number] = pending
                try:
                    self.popen.stdin.write(line)
                    self.popen.stdin.flush()
                except (OSError, ValueError):
                    pass  # it died this moment; the reading thread tells all that wait, this one included
                return
        if pending is not None:
            pending._fail(self._why())

    def end(self) -> None:
        with self.mutex:
            self.ending = True
            try:
                self.popen.stdin.write(b'{"id": 0, "verb": "quit"}\n')
                self.popen.stdin.close()  # also ends a worker that is in the middle of something
            except (OSError, ValueError):
                pass
        try:
            self.popen.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self.reply_thread.join(STOP_PATIENCE)
        self.log_thread.join(STOP_PATIENCE)
        self.popen.stdout.close()
        self.popen.stderr.close()

    def _read_replies(self) -> None:
        try:
            for line in self.popen.stdout:
                try:
                    event = json.loads(line)
                except ValueError:
                    self.lines.append(line.decode("utf-8", "replace").rstrip())
                    continue
                if event.get("event") == "ready":
                    self.ready = True
                    continue
                with self.mutex:
                    last = event.get("event") in ("done", "error")
                    pending = self.owed.pop(event.get("id"), None) if last else self.owed.get(event.get("id"))
                if pending is not None:
                    pending._events.put(event)
        except (OSError, ValueError):
            pass  # the pipe was closed under us by end()
        try:
            self.popen.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            self.popen.kill()  # it closed its pipe and yet stays: it can answer nobody any more
            self.popen.wait()
        self.log_thread.join(STOP_PATIENCE)  # the log first, the reason may be in it
        with self.mutex:
            self.dead = True
            owed, self.owed = list(self.owed.values()), {}
        for pending in owed:
            pending._fail(self._why())

    def _read_log(self) -> None:
        try:
            for line in self.popen.stderr:
                self.lines.append(line.decode("utf-8", "replace").rstrip())
        except (OSError, ValueError):
            pass

    def _why(self) -> ThunderError:
        if self.ending:
            return WorkerDied("The engine was stopped before it could answer: ask again", self.log)
        code, last = self.popen.poll(), next((line for line in reversed(list(self.lines)) if line.strip()), "")
        if not self.ready:
            reason = f" ({last.strip()[:200]})" if last else ""
            return NoEngine(f"The Python at “{self.python}” cannot run the engine{reason}: install the engine again")
        if code is not None and code < 0:
            how = f"was ended by signal {-code}" + (", most often for lack of memory" if code == -9 else "")
        else:
            how = f"ended with code {code}"
        return WorkerDied(f"The engine {how} in the middle of its work: try again, the log tells more", self.log)


def _python_of(place: str) -> str | None:
    """The Python executable that `place` is, or that the virtual environment `place` holds."""
    place = os.path.expanduser(place)
    if os.path.isfile(place):
        return os.path.abspath(place)
    for inside in (("bin", "python"), ("bin", "python3"), ("Scripts", "python.exe")):
        found = os.path.join(place, *inside)
        if os.path.isfile(found):
            return os.path.abspath(found)
    return None if os.sep in place or os.path.isdir(place) else shutil.which(place)


def _environment() -> dict[str, str]:
    """This process's environment, less what would lead another Python astray, and with no way to a model hub."""
    led_astray_by = ("PYTHONHOME", "PYTHONSTARTUP", "PYTHONPATH", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    environment = {name: value for name, value in os.environ.items() if name not in led_astray_by}
    environment.update(
        PYTHONPATH=ROOT, PYTHONNOUSERSITE="1", PYTHONSAFEPATH="1", PYTHONUTF8="1", PYTHONUNBUFFERED="1",
        PYTHONDONTWRITEBYTECODE="1", HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false",
    )
    # Threads that spin while they wait take the processor from Blender, and with both at work the engine itself
    # becomes several times slower.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    return environment
