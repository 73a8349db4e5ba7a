# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that bakes jobs (`bake.py --baker`): reads requests from stdin and answers on stdout,
as described in thunder_core/batch/baker.py.

It ends when its stdin is closed, even during a job, which then leaves no files.
"""

import _thread
import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from dataclasses import asdict

import bpy

from ..scene.engine import connection
from ..scene.host.jobs import Step
from ..thunder_core.batch import manifest
from ..thunder_core.batch.job_file import Job
from ..thunder_core.errors import ThunderError
from . import bake, directing

PACE = 0.5  # interval of progress reports with the same message, s


class _Events:
    """Writer of events to the original stdout. All other output goes to stderr from now on."""

    def __init__(self):
        sys.stdout.flush()
        self.file = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)

    def put(self, event: str, **more) -> None:
        """Write an event; if nobody reads it any more, the end of stdin ends this process."""
        with contextlib.suppress(OSError):
            self.file.write(json.dumps({"event": event, **more}).encode() + b"\n")


def serve(_chosen=None) -> None:
    """Bake requested jobs until stdin ends."""
    events = _Events()
    requests: queue.SimpleQueue[dict | None] = queue.SimpleQueue()
    busy = threading.Event()
    threading.Thread(
        target=_queue_requests, args=(requests, busy), name="thunder requests", daemon=True
    ).start()
    makers: dict[str | None, manifest.Maker] = {}
    events.put("ready", maker=asdict(maker_of(None, makers)))
    while (request := requests.get()) is not None:
        job = request["job"]
        busy.set()
        try:
            events.put("done", job=job, report=_bake(request, events, makers))
        except ThunderError as error:
            events.put("failed", job=job, sentence=str(error), log="")
        except SystemExit:  # argparse has printed the error
            events.put(
                "failed",
                job=job,
                sentence="The options of this job are refused: see the log",
                log="",
            )
        except Exception as error:
            sentence = f"Unexpected error ({type(error).__name__}: {error}): see the log"
            events.put("failed", job=job, sentence=sentence, log=traceback.format_exc())
        finally:
            busy.clear()


def _queue_requests(requests: queue.SimpleQueue, busy: threading.Event) -> None:
    """Thread: queue the requests; at their end stop the job that is going on."""
    with contextlib.suppress(OSError, ValueError):
        for line in sys.stdin.buffer:
            requests.put(json.loads(line))
    requests.put(None)
    if busy.is_set():
        _thread.interrupt_main(signal.SIGTERM)


def _bake(request: dict, events: _Events, makers: dict) -> dict:
    """Bake one job; returns its report. Raises what `bake.bake` does."""
    job = Job(request["job"], request["settings"])
    chosen = bake.options([*job.arguments(request["out"]), *request["options"]])
    maker = maker_of(chosen.weights, makers)
    last, said = 0.0, ""

    def tell(step: Step) -> None:
        nonlocal last, said
        # the last message may stay for minutes: none is left out
        if step.message != said or time.monotonic() - last >= PACE:
            last, said = time.monotonic(), step.message
            events.put(
                "progress", job=job.name, fraction=round(step.fraction, 3), message=step.message
            )

    styles = directing.named_styles(job.settings)

    def made_from(used: list[str], hashes: dict[str, str]) -> dict:
        return manifest.made_from(job.settings, maker, styles, used, hashes)

    if not chosen.blend:  # not the scene of the job before
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    return bake.bake(chosen, tell, made_from)


def maker_of(weights: str | None, known: dict[str | None, manifest.Maker]) -> manifest.Maker:
    """This process's versions with a folder of weights, None for that of the preferences."""
    if weights not in known:
        folder = os.path.abspath(weights) if weights else connection.weights()
        known[weights] = manifest.Maker(
            manifest.version(), bpy.app.version_string, manifest.hash_of_weights(folder)
        )
    return known[weights]
