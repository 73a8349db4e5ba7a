# SPDX-License-Identifier: GPL-3.0-or-later
"""Spreads bakes over the machines of a Ray cluster: `python -m thunder_core.engine.cluster`, in a
Python that has Ray.

thunder_core/batch/baker.py starts it, sends one request and reads events. Each job is a task that
Ray runs where processors are free; its process keeps a Blender that bakes one job after another, so
that an engine starts once. Where machines have graphics cards a task gets a card, and the other
machines get none, because takes are identical only on one kind of device. A job whose machine is
lost is baked by another one.
"""

import collections
import contextlib
import functools
import hashlib
import importlib
import json
import os
import re
import shutil
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

from ..batch.baker import ADVICE, Baker, BakeTask, EventWriter, failure_event
from ..errors import NoEngine, ThunderError, WorkerDied
from ..files import hash_of, Transaction

ATTEMPTS = 3  # machines that a job may lose
TURN = 0.5  # seconds between two checks for cancellation
# codes that colour a terminal, which Ray's errors contain
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


# ---- on a machine of the cluster


def bake_there(root: str, *given) -> Iterator[dict]:
    """The events of `bake_job`, with the machine's name, on one that has the add-on in the folder
    `root`.

    Ray sends this function there. It uses what a Python with Ray has until it has found the add-on.
    """
    node = importlib.import_module("ray").get_runtime_context().get_node_id()
    # and the beginning of its id, since a test's machines share their name
    about = {"node": f"{socket.gethostname()} {node[:6]}", "node_id": node}
    if root not in sys.path:
        sys.path.insert(0, root)
    try:
        there = importlib.import_module("thunder_core.engine.cluster")
    except Exception as error:
        why = f"the add-on cannot be loaded from “{root}” there ({type(error).__name__}: {error})"
        yield {"event": "unfit", "sentence": f"{why}: install it at the same path", **about}
        return
    for event in there.bake_job(*given):
        yield event | about


@functools.cache
def _baker(command: tuple[str, ...], threads: int) -> Baker:
    """The process that bakes for this one. Raises NoEngine."""
    return Baker(command, {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)})


def bake_job(request: dict, job: dict, inputs: dict) -> Iterator[dict]:
    """The events of a job of a request; the last holds its files. “unfit” has a sentence if this
    machine cannot bake at all.

    inputs: setting → (hash, content) of the files that it names.
    """
    folder = tempfile.mkdtemp(prefix="thunder_job_")
    try:
        baker = _baker(tuple(request["command"]), request["cpus"])
        if why := _difference(baker.wait(), request["maker"]):
            yield {"event": "unfit", "sentence": why}
            return
        settings, brought = with_inputs(job["settings"], inputs, folder)
        packs = ["--pack"] if {"audio", "listen-to"} & set(brought) else []
        out = os.path.join(folder, "out")
        for event in baker.bake(BakeTask(job["job"], settings, out, [*job["options"], *packs])):
            if event["event"] == "done":
                event = event | {"files": content_of(out)}
            yield event
    except NoEngine as error:
        _baker.cache_clear()
        yield {"event": "unfit", "sentence": str(error)}
    except WorkerDied as error:
        baker.close()
        _baker.cache_clear()
        yield failure_event(job["job"], str(error), error.log)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        yield failure_event(job["job"], f"The machine could not bake this ({why}): bake it again")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _difference(theirs: dict, ours: dict) -> str:
    """Why a machine with these versions and weights would not bake the same, "" if it would."""
    for part, words in (("thunder", "THUNDER"), ("blender", "Blender"), ("weights", "weights")):
        if theirs[part] != ours[part]:
            return (
                f"it has {words} {theirs[part][:12]} where this machine has {ours[part][:12]}: "
                f"install the same on both"
            )
    return ""


def with_inputs(settings: dict, inputs: dict, folder: str) -> tuple[dict, list[str]]:
    """Settings with the paths of this machine, and the files that had to be copied because they are
    not at the same path already."""
    changed, brought = dict(settings), []
    for name, (digest, content) in inputs.items():
        path = settings[name]
        with contextlib.suppress(OSError):
            if hash_of(path) == digest:
                continue
        place = os.path.join(folder, name)
        os.makedirs(place)
        changed[name] = os.path.join(place, os.path.basename(path))
        with open(changed[name], "wb") as file:
            file.write(content)
        brought.append(name)
    return changed, brought


def content_of(folder: str) -> dict[str, bytes]:
    """The files of a folder except their list, which the receiver writes anew."""
    return {
        path.name: path.read_bytes()
        for path in sorted(Path(folder).iterdir())
        if path.name != "thunder-files.json"
    }


# ---- on the machine that asks


class ClusterRun:
    """The jobs of one request on the machines of a cluster. send: gets each event."""

    def __init__(self, ray, request: dict, send):
        self.ray, self.send = ray, send
        self.request = {name: value for name, value in request.items() if name != "tasks"}
        self.waiting = collections.deque(request["tasks"])
        self.running: dict = {}  # a job's events, as Ray gives them → the job
        self.nodes: dict[str, str] = {}  # job → name of the machine that bakes it
        self.lost: collections.Counter[str] = collections.Counter()  # machines, by job
        self.refused: dict[str, str] = {}  # id of a machine that cannot bake → its name and why
        machines = [node["Resources"] for node in self._nodes()]
        has_cards = any(machine.get("GPU", 0) >= 1 for machine in machines)
        most = max((machine["CPU"] for machine in machines), default=1)
        self.options = {
            "num_cpus": 1 if has_cards else min(request["cpus"], int(most)),
            "num_gpus": int(has_cards),
            "num_returns": "streaming",
            "max_retries": 0,  # progress that was told cannot be told again
            "scheduling_strategy": "SPREAD",
        }

    def _nodes(self) -> list[dict]:
        """The machines that have processors for bakes, as Ray describes them."""
        return [
            node
            for node in self.ray.nodes()
            if node.get("Alive") and node["Resources"].get("CPU", 0) > 0
        ]

    def run(self, stopped: threading.Event) -> None:
        """Bake all requested jobs, or report for each job why it was not baked."""
        while (self.waiting or self.running) and not stopped.is_set():
            if self.refused and all(node["NodeID"] in self.refused for node in self._nodes()):
                self._give_up()
                return
            # few more than can run: Ray holds their files
            while self.waiting and len(self.running) <= self.ray.cluster_resources().get("CPU", 0):
                self._begin(self.waiting.popleft())
            if self.running:
                ready, _ = self.ray.wait(list(self.running), num_returns=1, timeout=TURN)
                for stream in ready:
                    self._handle_event(stream)

    def _begin(self, job: dict) -> None:
        """Give a job to Ray."""
        try:
            content = {name: Path(job["settings"][name]).read_bytes() for name in job["files"]}
        except OSError as error:
            name = os.path.basename(error.filename or "")
            why = f"“{name}” cannot be read ({error.strerror}): name another"
            self.send(failure_event(job["job"], why))
            return
        inputs = {name: (hashlib.sha256(data).hexdigest(), data) for name, data in content.items()}
        labels = {"ray.io/node-id": f"!in({','.join(self.refused)})"} if self.refused else {}
        task = self.ray.remote(bake_there).options(**self.options, label_selector=labels)
        self.running[task.remote(self.request["root"], self.request, job, inputs)] = job

    def _handle_event(self, stream) -> None:
        """Handle the next event of a job."""
        job = self.running[stream]
        try:
            event = self.ray.get(next(stream))
        except StopIteration:
            event = failure_event(job["job"], "The machine gave no answer: bake again")
        except self.ray.exceptions.RayError as error:
            del self.running[stream]
            self._handle_loss(job, error)
            return
        node_id = event.pop("node_id", "")
        self.nodes[job["job"]] = event.get("node", "")
        if event["event"] == "progress":
            self.send(event)
            return
        del self.running[stream]
        if event["event"] == "unfit":
            self.waiting.appendleft(job)
            if node_id not in self.refused:
                sentence = f"The machine {event['node']} cannot bake: {event['sentence']}"
                self.send({"event": "note", "sentence": sentence})
            self.refused[node_id] = f"{event['node']}: {event['sentence']}"
            return
        files = event.pop("files", None)
        if files is not None:
            event = _write_result(job, event, files, re.compile(self.request["of_takes"]))
        self.send(event)

    def _handle_loss(self, job: dict, error: Exception) -> None:
        """Give a job whose machine is lost to another machine."""
        name, node = job["job"], self.nodes.get(job["job"], "")
        self.lost[name] += 1
        if self.lost[name] >= ATTEMPTS:
            sentence = (
                f"{ATTEMPTS} machines were lost while they baked this, the last one "
                f"{node}: bake it alone, with --only, to see why"
            )
            self.send(failure_event(name, sentence, _COLOUR.sub("", str(error))))
            return
        sentence = f"The machine {node} was lost while it baked “{name}”: another one bakes it"
        self.send({"event": "note", "sentence": sentence, "job": name})
        self.waiting.appendleft(job)

    def _give_up(self) -> None:
        """Report for all jobs that are left that there is no machine for them."""
        why = "; ".join(sorted(self.refused.values()))
        for job in [*self.waiting, *self.running.values()]:
            sentence = f"No machine of the cluster can bake ({why}): correct that and bake again"
            self.send(failure_event(job["job"], sentence))


def _write_result(
    request: dict, event: dict, content: dict[str, bytes], of_takes: re.Pattern
) -> dict:
    """Write the files of a job into its folder; returns the event with the result."""
    try:
        out = Transaction(
            request["out"],
            "--force" in request["options"],
            [request["settings"][name] for name in request["files"]],
        )
        out.check(content)
        with out:
            for name, data in content.items():
                out.write(name, data)
            out.remove(of_takes)
        return event
    except ThunderError as error:
        return failure_event(request["job"], str(error))


def cause(error: Exception) -> str:
    """The last line of an error, which in Ray's errors is the true cause; without colours and a
    full stop."""
    lines = [line.strip() for line in _COLOUR.sub("", str(error)).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[-1].rstrip(".")


def main() -> int:
    """Read the request, bake, write events; the exit code."""
    request = json.loads(sys.stdin.buffer.readline())
    stopped = threading.Event()

    def watch() -> None:
        sys.stdin.buffer.read()
        stopped.set()

    send = EventWriter().write  # Ray's output is not an event
    try:
        import ray
    except ImportError:
        sentence = (
            f"“{sys.executable}” has no Ray: install requirements/cluster.txt into it, or "
            f"name another with --cluster-python"
        )
        send({"event": "refused", "sentence": sentence})
        return 1
    try:
        host, _, port = request["address"].rpartition(":")
        if host and port.isdigit():  # Ray would wait a minute for an answer and end the process
            socket.create_connection((host, int(port)), 5.0).close()
        ray.init(
            address=request["address"],
            log_to_driver=False,
            logging_level="ERROR",
            namespace="thunder",
            configure_logging=False,
        )
    except (OSError, RuntimeError, ValueError) as error:
        sentence = f"No Ray cluster answers at “{request['address']}” ({cause(error)}): {ADVICE}"
        send({"event": "refused", "sentence": sentence})
        return 1
    threading.Thread(target=watch, name="thunder stop", daemon=True).start()
    node_id = ray.get_runtime_context().get_node_id()[:6]
    send({"event": "note", "sentence": f"Connected to the cluster by its machine {node_id}"})
    ClusterRun(ray, request, send).run(stopped)
    ray.shutdown()
    return 0


if __name__ == "__main__":
    try:
        code = main()
    except BaseException:  # for example if the machine that it is connected to is lost
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)  # a thread waits for stdin, which would disturb Python's shutdown
