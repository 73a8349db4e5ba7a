# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's process: reads requests as JSON lines from stdin, answers on stdout, and ends with
its client.

Started by thunder_core/client.py; docs/reference/protocol.md documents the lines. Only the standard
library is imported before the first request, so that a Python without the engine's libraries can
still report what is missing.
"""

import argparse
import contextlib
import gc
import json
import os
import platform
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from importlib import import_module

from ..errors import (
    BadRequest,
    Cancelled,
    is_full_disk,
    is_out_of_device_memory,
    is_out_of_memory,
    NoEngine,
    NoMicrophone,
    NoSpace,
    OutOfMemory,
    ThunderError,
)
from ..private_folder import PRIVATE, remove_if_orphaned
from ..protocol import HEARTBEAT, PROTOCOL
from ..shipped import VENDOR, WEIGHTS
from ..system_calls import find_runtime

OLDEST_PYTHON = (3, 11)
# seconds a running request has to notice its cancellation before it is answered for
CANCEL_PATIENCE = 0.3
GRACE = 1.0  # seconds a running request has to end when the client is gone
LONGEST_MESSAGE = 500  # letters; a request may name a path or value of any length
# seconds between progress events; Blender's timer does not read them more often
PROGRESS_EVERY = 0.05


class Worker:
    """One client, one engine, one request at a time; a thread listens for cancellation
    meanwhile."""

    def __init__(self, requests, replies, folder, weights, device, verbs="verbs"):
        self.requests = requests  # binary file of JSON lines
        self.replies = replies  # binary file, unbuffered lines
        # the client's private folder; removed here when the client is found dead
        self.folder = folder
        self.weights = weights
        self.device = device  # None: the best there is
        self.verbs = verbs  # module with what it does for each request
        self.engine = None
        self.preparation: Iterator[None] = iter(
            ()
        )  # remaining loading for the first takes, one part per step
        self.waiting: queue.Queue = queue.Queue()  # requests in order; None ends the work
        self.cancelled = {}  # request id → threading.Event
        self.answered = set()  # ids whose last event is out
        self.lock = threading.Lock()  # guards replies, answered, cancelled
        self.working = None  # id of the current request
        self.finished = threading.Event()
        self.stop_recording = threading.Event()  # ends a recording
        self.quit_requested = False

    def run(self):
        """Answer requests until “quit” or until the client is gone, then end the process."""
        self._send({"id": None, "event": "ready", "protocol": PROTOCOL})
        threading.Thread(target=self._listen_to_client, name="requests", daemon=True).start()
        threading.Thread(target=self._heartbeat_loop, name="heartbeat", daemon=True).start()
        while (request := self._next_request()) is not None:
            flag = self.cancelled.get(request[0])
            self.working = request[0]
            self._answer(request)
            self.working = None
            if flag is not None and flag.is_set():
                # the client may wait for the end of the request that it cancelled
                self._send_status()
        self.finished.set()
        self.leave()

    def _next_request(self):
        """The next request, None for the end. While idle, parts needed by the first takes are
        loaded."""
        while True:
            with contextlib.suppress(queue.Empty):
                return self.waiting.get_nowait()
            try:
                next(self.preparation)
            except StopIteration:
                return self.waiting.get()
            except Exception as error:  # a request that needs it will fail with a sentence
                self.preparation = iter(())
                traceback.print_exception(type(error), error, error.__traceback__)

    def leave(self):
        """Ends the process, with the client's private folder if the client is dead and can no
        longer remove it."""
        remove_if_orphaned(self.folder, patience=0.0 if self.quit_requested else GRACE)
        os._exit(0)  # not sys.exit: the other thread may sit in a read or a computation without end

    def _heartbeat_loop(self):
        """Thread: sends the client a heartbeat with the current task."""
        while not self.finished.wait(HEARTBEAT):
            if self.working is not None:
                self._send_status()

    def _send_status(self):
        self._send({"id": None, "event": "alive", "working": self.working})

    # -- the listening thread
    # ------------------------------------------------------------------------------------

    def _listen_to_client(self):
        """Thread: handle requests; when the client is gone, end what still runs."""
        with contextlib.suppress(OSError, ValueError):  # a broken pipe is the same as its end
            for line in self.requests:
                if line.strip():
                    self._handle_line(line)
        with self.lock:
            for flag in self.cancelled.values():
                flag.set()
        self.waiting.put(None)
        if not self.finished.wait(GRACE):
            # a long computation in the main thread must not keep an orphaned process alive
            self.leave()

    def _handle_line(self, line):
        try:
            request = json.loads(line)
            number, verb, args = request["id"], request["verb"], request.get("args") or {}
            if not (isinstance(number, int) and isinstance(args, dict)):
                raise TypeError
        except Exception:
            self._fail(
                None,
                BadRequest(
                    "A request was not a JSON line with an id, a verb and args: it was ignored"
                ),
            )
            return
        if verb == "cancel":
            self._cancel(number, args.get("request"))
            return
        if verb == "finish":
            self.stop_recording.set()
            self._done(number, {})
            return
        with self.lock:
            self.cancelled[number] = threading.Event()
        self.waiting.put((number, verb, args))
        if verb == "quit":
            self.quit_requested = True
            self.waiting.put(None)

    def _cancel(self, number, target):
        with self.lock:
            flag = self.cancelled.get(target) if isinstance(target, int) else None
        if flag is not None:
            flag.set()
            # The work checks the flag at each progress report. If that takes longer than an
            # animator waits, the answer is sent from here, and later results of the work are
            # dropped.
            threading.Timer(CANCEL_PATIENCE, self._fail, (target, _cancellation())).start()
        self._done(number, {"found": flag is not None})

    # -- replies
    # ------------------------------------------------------------------------------------

    def _send(self, message, last=False):
        line = (
            json.dumps(message, ensure_ascii=True, allow_nan=False, default=_plain).encode() + b"\n"
        )
        with self.lock:
            number = message["id"]
            if number is not None:
                if number in self.answered:
                    return
                if last:
                    self.answered.add(number)
                    self.cancelled.pop(number, None)
            # the client may be gone: stdin ends too, which ends this process
            with contextlib.suppress(OSError):
                self.replies.write(line)

    def _done(self, number, result):
        self._send({"id": number, "event": "done", "result": result}, last=True)

    def _fail(self, number, error):
        self._send(
            {
                "id": number,
                "event": "error",
                "kind": type(error).__name__,
                "message": str(error)[:LONGEST_MESSAGE],
            },
            last=True,
        )

    # -- the work
    # ------------------------------------------------------------------------------------

    def _answer(self, request):
        number, verb, args = request
        with self.lock:
            flag = self.cancelled.get(number)
        if flag is None:
            return  # cancelled and answered while it waited
        progress = _Progress(self, number, flag)
        if self.folder:
            # the current folder is gone if somebody cleaned it away; the client has made it again
            with contextlib.suppress(OSError):
                os.chdir(self.folder)
        try:
            if flag.is_set():
                raise _cancellation()
            if verb == "quit":
                return self._done(number, {})
            action = import_verbs(self.verbs).get(verb)
            if action is None:
                raise BadRequest(
                    f"The engine knows no “{verb}”: the extension and its engine differ in version"
                )
            try:
                result = action(self, args, progress)
            except BaseException as error:
                # memory may end while the engine is loaded: then the device is the worker's
                if not is_out_of_device_memory(error) or (self.engine or self).device == "cpu":
                    raise
                # The failed attempt must not stay referenced, or its memory is not released.
                error.__traceback__ = None
                progress(
                    0.0, "The graphics card has too little memory: using the processor instead"
                )
                self.device = "cpu"
                self.release()
                result = action(self, args, progress)
            self._done(number, result)
        except ThunderError as error:
            if error.__cause__ is not None:
                traceback.print_exception(type(error), error, error.__traceback__)
            self._fail(number, error)
        except BaseException as error:
            # A client that cancels takes its folder away at once: its line may come after that.
            if isinstance(error, FileNotFoundError) and flag.wait(CANCEL_PATIENCE):
                self._fail(number, _cancellation())
                return
            traceback.print_exception(type(error), error, error.__traceback__)
            self._fail(number, explain_failure(error, verb))

    def load_engine(self, progress, at_once=False):
        """The engine, loaded at the first request that needs it. at_once: as of `Engine.load`.
        Raises BadWeights."""
        if self.engine is None:
            progress(0.02, "Loading the engine")  # after the sound is read
            from .engine import Engine

            self.engine = Engine.load(self.weights, self.device, at_once)
            self.preparation = self.engine.prepare()
        return self.engine

    def release(self):
        """Forget the engine, end what recognises words, and give a graphics card's memory back."""
        if self.engine is not None:
            self.engine.recogniser.client.stop()
            from .voice import follow_text

            follow_text.cache_clear()
        self.engine, self.preparation = None, iter(())
        gc.collect()
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_available():
            torch.cuda.empty_cache()


class _Progress:
    """Progress callback (fraction 0 … 1, message): informs the client, and raises Cancelled on
    request."""

    def __init__(self, worker, number, flag):
        self.worker, self.number, self.flag, self.last = worker, number, flag, (-1.0, "")

    def __call__(self, fraction, message=""):
        if self.flag.is_set():
            raise _cancellation()
        now = time.monotonic()
        if now - self.last[0] < PROGRESS_EVERY and message == self.last[1]:
            return
        self.last = (now, message)
        self.worker._send(
            {
                "id": self.number,
                "event": "progress",
                "fraction": min(1.0, max(0.0, float(fraction))),
                "message": str(message),
            }
        )

    def give(self, event):
        """Send the client an event other than progress, unless the request was cancelled."""
        if self.flag.is_set():
            raise _cancellation()
        self.worker._send({"id": self.number, **event})


def import_verbs(name):
    """What the module of that name does for each request; NoEngine in a Python that is too old."""
    if sys.version_info < OLDEST_PYTHON:
        raise NoEngine(
            f"“{sys.executable}” is Python {sys.version_info[0]}.{sys.version_info[1]} and the "
            f"engine needs "
            f"{OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer: choose another Python"
        )
    return import_module(f".{name}", __package__).VERBS


def explain_failure(error, verb):
    """The ThunderError that explains another error, raised while doing `verb`, to an animator."""
    # no Ctrl-C reaches this process; numpy's OpenBLAS sends it when it can start no thread
    if is_out_of_memory(error) or isinstance(error, KeyboardInterrupt):
        return OutOfMemory(
            "There is too little memory for this: close other programs, ask for fewer takes or use "
            "a shorter piece of sound"
        )
    if is_full_disk(error):
        return NoSpace("No space is left on the disk for temporary files: free some and try again")
    if isinstance(error, ImportError):
        return _lacks(error)
    if isinstance(error, FileNotFoundError) and PRIVATE.search(str(error.filename)):
        return ThunderError("Temporary files were removed while they were needed: try again")
    return ThunderError(f"The engine failed at “{verb}” ({_brief(error)}): see the log")


def _lacks(error):
    module = getattr(error, "name", None)
    if module == "miniaudio" and platform.machine() in ("aarch64", "ARM64"):
        return NoMicrophone(
            "On this kind of processor Thunder cannot record: record elsewhere and choose the "
            "sound file"
        )
    if (
        isinstance(error, ModuleNotFoundError)
        and module
        and not module.startswith(__package__.partition(".")[0])
    ):
        problem = f"has no “{module.split('.')[0]}”"
    else:
        problem = f"cannot load the engine ({_brief(error)})"
    if str(VENDOR) in sys.path:
        return NoEngine(
            f"Blender's Python {problem}, which came with the extension: let no antivirus program "
            f"remove it, and reinstall the extension"
        )
    return NoEngine(
        f"The Python at “{sys.executable}” {problem}: install the engine into it, or choose "
        f"another Python"
    )


def _cancellation():
    return Cancelled("Cancelled, nothing was changed")


def _brief(error):
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__


def _plain(value):
    """numpy scalars and arrays in an answer, as JSON knows them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


def main():
    parser = argparse.ArgumentParser(
        prog="thunder_core.engine.worker", description="The engine's process; its client starts it."
    )
    parser.add_argument("--folder", help="the client's private folder for arrays")
    parser.add_argument("--weights", default=str(WEIGHTS), help="folder of the model files")
    parser.add_argument(
        "--device",
        default=None,
        help="cpu, cuda:0 (NVIDIA, or AMD by ROCm) or mps (Apple; not tested); default: cuda:0 if "
        "there is one, else cpu",
    )
    parser.add_argument("--verbs", default="verbs", help="module with what is done for requests")
    parser.add_argument("--kanji", default="", help="environment with what reads kanji")
    options = parser.parse_args()
    if options.kanji:
        from ..installer import packages_in

        sys.path += packages_in(options.kanji)  # last: all that the engine has is the engine's

    # Takes are worked on beside each other, and results must not depend on the number of cores.
    # numpy reads these when it is loaded.
    for limit in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
        os.environ.setdefault(limit, "1")

    find_runtime()

    # The pipes become private: libraries print to stderr, and child processes get an empty stdin.
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    import faulthandler

    faulthandler.enable()
    # not on Windows; the system sends it to a stopped worker whose client is gone: the end of stdin
    # ends it
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if options.folder:
        import tempfile

        # files left by libraries are removed with the client's folder
        tempfile.tempdir = options.folder
    Worker(requests, replies, options.folder, options.weights, options.device, options.verbs).run()


if __name__ == "__main__":
    main()
