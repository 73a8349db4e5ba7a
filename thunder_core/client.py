# SPDX-License-Identifier: GPL-3.0-or-later
"""The client in Blender's process: starts the engine's process, sends requests, survives its
crashes.

Standard library and numpy only. docs/reference/protocol.md describes the lines that go over the
pipes, and when a worker counts as stuck. Nothing here touches bpy, and nothing but `Pending.wait`
and `Client.stop` ever blocks.
"""

import atexit
import contextlib
import itertools
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from .engine_python import find_engine
from .errors import BadWeights, NoSpace, ThunderError
from .private_folder import PrivateFolder, sweep
from .worker_process import Pending, stopped_error, WorkerProcess


class Client:
    """One worker process and the private folder it shares; starts the process at the first request,
    again after a crash.

    python:  executable or virtual environment of the engine, None to look for it (find_engine).
    venvs:   further virtual environments to look in.
    weights: folder of the model files, None for those shipped with this package.
    device: "cpu", "cuda:0" …, None for the best available.
    verbs: module of the engine with what it does for requests, "" for `verbs`.
    kanji: virtual environments, the first of which has what reads kanji.
    """

    def __init__(
        self,
        python: str | None = None,
        venvs=(),
        weights: str | None = None,
        device: str | None = None,
        verbs: str = "",
        kanji=(),
    ):
        self.python, self.verbs = python, verbs
        self.venvs, self.kanji = tuple(venvs), tuple(kanji)
        self.weights = weights
        self.device = device
        self._process: WorkerProcess | None = None
        # guards _process; never taken while holding a process's lock
        self._mutex = threading.RLock()
        self._numbers = itertools.count(1)
        self._files = itertools.count(1)
        self._private: PrivateFolder | None = None

    def __enter__(self) -> "Client":
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
        return self._process.popen.pid if self._process is not None and self.running else None

    @property
    def folder(self) -> str:
        """The private folder (mode 0700) for sounds and arrays; made when first needed or cleaned
        away, at another path if something of others is there now; removed by stop."""
        try:
            if self._private is None:
                sweep()
                self._private = PrivateFolder()
                atexit.register(self.stop)
            self._private.restore()
        except OSError as error:
            raise NoSpace(
                f"No temporary folder can be created in “{tempfile.gettempdir()}” "
                f"({error.strerror}): free some space"
            ) from error
        return self._private.path

    def start(self) -> None:
        """Starts the worker if none runs, without waiting for it. Raises NoEngine or BadWeights
        when a path leads nowhere, NoSpace."""
        with self._mutex:
            folder = self.folder  # also for a worker that runs: it may have been cleaned away
            if self._process is not None and self.running:
                if self._process.folder == folder:
                    return
                # it would write into what is there now
                threading.Thread(target=self._process.end, daemon=True).start()
            python = find_engine(self.python, self.venvs)
            if self.weights and not os.path.isdir(self.weights):
                raise BadWeights(
                    f"There is no weights folder at “{self.weights}”: choose another, or leave it "
                    f"empty to use the bundled ones"
                )
            options = {
                "--folder": folder,
                "--weights": self.weights and os.path.abspath(self.weights),
                "--device": self.device,
                "--verbs": self.verbs,
                "--kanji": next(iter(self.kanji), ""),
            }
            command = [python.executable, "-m", __package__.rpartition(".")[2] + ".engine.worker"]
            for name, value in options.items():
                command += [name, value] if value else []
            self._process = WorkerProcess(command, folder, self._send_again, python.libraries)

    def request(self, verb: str, **args) -> Pending:
        """Sends a request and returns at once. “generate” gets a new folder for its arrays if none
        is given.

        Raises NoEngine, BadWeights, NoSpace; later errors arrive through the Pending.
        """
        with self._mutex:
            self.start()
            if verb == "generate" and not args.get("folder"):
                args["folder"] = self.new_folder()
            pending = Pending(next(self._numbers), verb, args, self._send_cancel)
            assert self._process is not None
            self._process.send(pending)
        return pending

    def put_array(self, array) -> str:
        """Writes an array for the worker; returns its path in the private folder. Raises
        NoSpace."""
        with self._new_path("array", ".npy") as path:
            np.save(path, np.asarray(array, dtype=np.float32), allow_pickle=False)
        return path

    @contextlib.contextmanager
    def _new_path(self, kind: str, ending: str = "") -> Iterator[str]:
        """A path in the private folder at which the block makes something. Raises NoSpace where it
        cannot."""
        folder = self.folder
        try:
            yield os.path.join(folder, f"{kind}_{next(self._files)}{ending}")
        except OSError as error:
            raise NoSpace(
                f"No space is left in “{folder}” for temporary files: free some and try again"
            ) from error

    def get_array(self, result: dict, name: str | None):
        """The float32 array a result names, None for None; looks in the result's folder. Raises
        ThunderError."""
        if name is None:
            return None
        try:
            return np.load(
                os.path.join(result.get("folder", self.folder), name), allow_pickle=False
            )
        except (OSError, ValueError, EOFError) as error:
            raise ThunderError(f"The engine's file “{name}” cannot be read: try again") from error

    def new_folder(self) -> str:
        """A folder for the arrays of one request, in the private one. Raises NoSpace."""
        with self._new_path("request") as path:
            os.mkdir(path)
        return path

    def delete_folder(self, folder: str) -> None:
        """Removes the folder of a request whose arrays were read or are no longer needed: takes of
        an hour are gigabytes."""
        if self._private is not None and os.path.dirname(folder) == self._private.path:
            shutil.rmtree(folder, ignore_errors=True)

    def stop(self) -> None:
        """Ends the worker and removes the private folder; waits 2 s at most before it uses force.
        May be called twice."""
        with self._mutex:
            process, self._process = self._process, None
        if process is not None:
            process.end()
        if self._private is not None:
            self._private.remove()
            self._private = None
        atexit.unregister(self.stop)

    def _send_cancel(self, pending: Pending) -> None:
        with self._mutex:
            if self._process is not None:
                self._process.cancel(pending, next(self._numbers))

    def _send_again(self, process: WorkerProcess, waiting: list[Pending]) -> None:
        """Sends requests that an ended worker had not begun to a new one."""
        with self._mutex:
            try:
                if self._process is None or self._process is not process and not self.running:
                    raise stopped_error(process.log)
                self.start()
            except ThunderError as error:
                for pending in waiting:
                    pending.fail(error)
            else:
                for pending in waiting:
                    self._process.send(pending)


@contextlib.contextmanager
def temporary_arrays(client: Client) -> Iterator[Callable[..., str]]:
    """A client's `put_array` for one request: the files are removed at the end of the block."""
    paths: list[str] = []

    def put(array) -> str:
        paths.append(client.put_array(array))
        return paths[-1]

    try:
        yield put
    finally:
        for path in paths:
            Path(path).unlink(missing_ok=True)
