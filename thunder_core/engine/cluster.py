# SPDX-License-Identifier: GPL-3.0-or-later
"""Spreads bakes over the machines of a Ray cluster: `python -m thunder_core.engine.cluster`, in a
Python that has Ray.

thunder_core/batch/baker.py starts it, sends one request and reads events. Each machine runs
processes that bake one job after another (thunder_core/batch/baker.py), so that an engine starts
once. Machines with graphics cards get a job per card; if there are such machines, the others get
none, because takes are identical only on one kind of device. A job whose machine is lost is baked
by another one.
"""

import collections
import contextlib
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
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..batch.baker import ADVICE, START_SECONDS
from ..errors import ThunderError
from ..files import hash_of, Transaction

ATTEMPTS = 3  # machines that a job may lose
NEW_MACHINES = 10.0  # seconds between two checks for machines that joined
# seconds to wait where nothing is baked: a process says after START_SECONDS what its Blender waits
# for
PATIENCE = START_SECONDS + 60.0
TURN = 0.5  # seconds between two checks for cancellation
# codes that colour a terminal, which Ray's errors contain
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Slot:
    """A slot that bakes one job after another.  node: id of the machine.  number: index of the slot
    on the machine."""

    node: str
    host: str
    number: int
    cpus: float
    gpus: float


def slots(nodes: list[dict], cpus: int) -> list[Slot]:
    """The slots of a cluster. nodes: of ray.nodes(). cpus: of a job; a smaller machine still gets
    one slot."""
    alive = [node for node in nodes if node.get("Alive") and node["Resources"].get("CPU", 0) > 0]
    with_gpus = [node for node in alive if node["Resources"].get("GPU", 0) >= 1]
    places = []
    for node in with_gpus or alive:
        has, gpus = node["Resources"]["CPU"], int(node["Resources"].get("GPU", 0))
        count = max(1, min(gpus, int(has)) if gpus else int(has // cpus))
        each = min(float(cpus), has / count)
        each = float(int(each)) if each >= 1 else each  # Ray takes fractions below 1 only
        places += [
            Slot(
                node["NodeID"], node.get("NodeManagerHostname", ""), number, each, float(bool(gpus))
            )
            for number in range(count)
        ]
    # the first job of each machine before the second of any
    return sorted(places, key=lambda slot: (slot.number, slot.node))


class NodeBaker:
    """A process that bakes on one machine. Ray sends its code there and runs it as an actor.

    Its methods use only Python's standard library: a machine knows the add-on only once `ready` has
    said where it is.
    """

    def __init__(self, root: str, command: list[str], threads: int):
        self.root, self.module, self.transfer = root, None, None
        self.command = command
        self.environment = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        self.baker = None

    def ready(self) -> tuple[dict, str]:
        """(description of this machine's baker, "" or the reason why it cannot bake)."""
        try:
            if self.root not in sys.path:
                sys.path.insert(0, self.root)
            self.module = importlib.import_module("thunder_core.batch.baker")
            self.transfer = importlib.import_module("thunder_core.engine.cluster")
        except Exception as error:
            return (
                {},
                f"the add-on cannot be loaded from “{self.root}” there ({type(error).__name__}: "
                f"{error}): install it at the same path",
            )
        try:
            self.baker = self.baker or self.module.Baker(self.command, self.environment)
            return self.baker.wait(), ""
        except Exception as error:  # its class may be unknown where it would arrive
            if self.baker is not None:
                self.baker.close()
            self.baker = None
            return {}, str(error)

    def bake(self, request: dict, inputs: dict, shared: bool) -> Iterator[dict]:
        """The events of a job. inputs: setting → (hash, content) of the files that it names;
        shared: whether its folder is that of the process that asks; else the last event holds its
        files."""
        folder = tempfile.mkdtemp(prefix="thunder_job_")
        try:
            settings, brought = self.transfer.with_inputs(request["settings"], inputs, folder)
            options = [
                *request["options"],
                *(["--pack"] if {"audio", "listen-to"} & set(brought) else []),
            ]
            out = request["out"] if shared else os.path.join(folder, "out")
            self.baker = self.baker or self.module.Baker(self.command, self.environment)
            for event in self.baker.bake(self.module.Task(request["job"], settings, out, options)):
                if event["event"] == "done" and not shared:
                    event = event | {"files": self.transfer.content_of(out)}
                yield event
        except self.module.BakerDied as error:
            self.baker.close()
            self.baker = None
            yield self.module.failed(request["job"], str(error), error.log)
        except Exception as error:
            yield self.module.failed(
                request["job"],
                f"The machine could not bake this ({type(error).__name__}: {error}): bake it again",
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)


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


@dataclass
class Spread:
    """State of one request: waiting jobs, busy slots, lost machines. put: gets each event."""

    ray: object
    request: dict
    put: object
    stopped: threading.Event
    waiting: collections.deque = field(default_factory=collections.deque)
    attempts: collections.Counter = field(default_factory=collections.Counter)
    free: dict = field(default_factory=dict)  # slot → actor
    # reference that `ready` resolves → (slot, actor)
    starting: dict = field(default_factory=dict)
    # a job's events, as Ray gives them → (request, slot, actor)
    running: dict = field(default_factory=dict)
    # id of a machine that cannot bake → its name and the reason
    refused: dict = field(default_factory=dict)

    def run(self) -> None:
        """Bake all requested jobs, or report for each job why it was not baked."""
        self.waiting.extend(self.request["tasks"])
        looked, idle_since = -NEW_MACHINES, time.monotonic()
        while (self.waiting or self.running) and not self.stopped.is_set():
            if self.waiting and time.monotonic() - looked >= NEW_MACHINES:
                looked = time.monotonic()
                self._look_for_machines()
            while self.waiting and self.free:
                self._begin(*self.free.popitem())
            if self.running:
                idle_since = time.monotonic()
            elif self._none_can_bake() or time.monotonic() - idle_since > PATIENCE:
                self._give_up()
                return
            self._poll()

    def _none_can_bake(self) -> bool:
        """Whether there are machines, and none of them can bake."""
        return bool(self.refused) and all(
            slot.node in self.refused for slot in slots(self.ray.nodes(), self.request["cpus"])
        )

    def _look_for_machines(self) -> None:
        """Start a baking process in each empty slot, at most one per waiting job."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        used = {
            *self.free,
            *(slot for slot, _ in self.starting.values()),
            *(slot for _, slot, _ in self.running.values()),
        }
        for slot in slots(self.ray.nodes(), self.request["cpus"]):
            if (
                slot in used
                or slot.node in self.refused
                or len(self.free) + len(self.starting) >= len(self.waiting)
            ):
                continue
            options = {
                "num_cpus": slot.cpus,
                "num_gpus": slot.gpus,
                "max_restarts": 0,
                "scheduling_strategy": NodeAffinitySchedulingStrategy(
                    node_id=slot.node, soft=False
                ),
            }
            actor = (
                self.ray.remote(NodeBaker)
                .options(**options)
                .remote(self.request["root"], self.request["command"], self.request["cpus"])
            )
            self.starting[actor.ready.options(num_returns=1).remote()] = slot, actor

    def _begin(self, slot: Slot, actor) -> None:
        """Start the next job in a slot."""
        request = self.waiting.popleft()
        try:
            inputs = _read_inputs(request)
        except OSError as error:
            self.free[slot] = actor
            name = os.path.basename(error.filename or "")
            self.put(
                {
                    "event": "failed",
                    "job": request["job"],
                    "sentence": f"“{name}” cannot be read ({error.strerror}): name another",
                }
            )
            return
        stream = actor.bake.options(num_returns="streaming").remote(
            request, inputs, self.request["results"] == "shared"
        )
        self.running[stream] = (request, slot, actor)

    def _poll(self) -> None:
        """Wait briefly for results of the machines, and handle them."""
        awaited = [*self.starting, *self.running]
        if not awaited:
            time.sleep(TURN)
            return
        ready, _ = self.ray.wait(awaited, num_returns=1, timeout=TURN)
        for reference in ready:
            if reference in self.starting:
                self._handle_start(reference)
            else:
                self._handle_event(reference)

    def _handle_start(self, answer) -> None:
        """Handle that a slot is ready or cannot bake."""
        slot, actor = self.starting.pop(answer)
        try:
            maker, why = self.ray.get(answer)
        except self.ray.exceptions.RayError as error:
            maker, why = {}, cause(error)
        for part, words in (("thunder", "THUNDER"), ("blender", "Blender"), ("weights", "weights")):
            if not why and maker[part] != self.request["maker"][part]:
                theirs, ours = maker[part][:12], self.request["maker"][part][:12]
                why = (
                    f"it has {words} {theirs} where this machine has {ours}: install the same "
                    f"on both"
                )
        if not why:
            self.free[slot] = actor
            return
        self.ray.kill(actor)
        if slot.node not in self.refused:
            sentence = f"The machine {_name_of(slot)} cannot bake: {why}"
            self.put({"event": "note", "sentence": sentence, "node": _name_of(slot)})
        self.refused[slot.node] = f"{_name_of(slot)}: {why}"

    def _handle_event(self, stream) -> None:
        """Handle the next event of a job."""
        request, slot, actor = self.running[stream]
        try:
            event = self.ray.get(next(stream))
        except StopIteration:
            event = {
                "event": "failed",
                "job": request["job"],
                "sentence": "The machine gave no answer: bake again",
            }
        except self.ray.exceptions.RayError as error:
            self._handle_loss(stream, error)
            return
        if event["event"] not in ("done", "failed"):
            self.put(event | {"node": _name_of(slot)})
            return
        del self.running[stream]
        self.free[slot] = actor
        files = event.pop("files", None)
        if files is not None:
            event = _write_result(request, event, files, re.compile(self.request["of_takes"]))
        self.put(event | {"node": _name_of(slot)})

    def _handle_loss(self, stream, error: Exception) -> None:
        """Give a job whose machine is lost to another machine."""
        request, slot, _ = self.running.pop(stream)
        job, node = request["job"], _name_of(slot)
        self.attempts[job] += 1
        if self.attempts[job] >= ATTEMPTS:
            sentence = (
                f"{ATTEMPTS} machines were lost while they baked this, the last one "
                f"{node}: bake it alone, with --only, to see why"
            )
            self.put(
                {
                    "event": "failed",
                    "job": job,
                    "sentence": sentence,
                    "log": _COLOUR.sub("", str(error)),
                    "node": node,
                }
            )
            return
        sentence = f"The machine {node} was lost while it baked “{job}”: another one bakes it"
        self.put({"event": "note", "sentence": sentence, "node": node, "job": job})
        self.waiting.appendleft(request)

    def _give_up(self) -> None:
        """Report for all waiting jobs that there is no machine for them."""
        why = "; ".join(sorted(self.refused.values()))
        sentence = (
            f"No machine of the cluster can bake "
            f"({why or 'none has a free processor, see “ray status”'}): correct that and bake again"
        )
        for request in self.waiting:
            self.put({"event": "failed", "job": request["job"], "sentence": sentence})
        self.waiting.clear()


def _read_inputs(request: dict) -> dict[str, tuple[str, bytes]]:
    """Hash and content of the files that the settings of a job name. Raises OSError."""
    content = {name: Path(request["settings"][name]).read_bytes() for name in request["files"]}
    return {name: (hashlib.sha256(data).hexdigest(), data) for name, data in content.items()}


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
        return {"event": "failed", "job": request["job"], "sentence": str(error), "log": ""}


def _name_of(slot: Slot) -> str:
    """A readable name of a machine: its name and the beginning of its id, since a test's machines
    share their name."""
    return f"{slot.host} {slot.node[:6]}".strip()


def _check_address(address: str) -> None:
    """Raise OSError if nothing answers at HOST:PORT, because Ray would wait a minute and then end
    the process."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), 5.0).close()


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

    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # Ray's output is not an event

    def put(event: dict) -> None:
        with contextlib.suppress(OSError):
            out.write(json.dumps(event).encode() + b"\n")

    try:
        import ray
    except ImportError:
        sentence = (
            f"“{sys.executable}” has no Ray: install requirements/cluster.txt into it, or "
            f"name another with --cluster-python"
        )
        put({"event": "refused", "sentence": sentence})
        return 1
    try:
        _check_address(request["address"])
        ray.init(
            address=request["address"],
            log_to_driver=False,
            logging_level="ERROR",
            namespace="thunder",
            configure_logging=False,
        )
    except (OSError, RuntimeError, ValueError) as error:
        sentence = f"No Ray cluster answers at “{request['address']}” ({cause(error)}): {ADVICE}"
        put({"event": "refused", "sentence": sentence})
        return 1
    threading.Thread(target=watch, name="thunder stop", daemon=True).start()
    node_id = ray.get_runtime_context().get_node_id()[:6]
    put({"event": "ready"})
    put({"event": "note", "sentence": f"Connected to the cluster by its machine {node_id}"})
    Spread(ray, request, put, stopped).run()
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
