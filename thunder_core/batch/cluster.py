# SPDX-License-Identifier: GPL-3.0-or-later
"""Client for bakes on a Ray cluster: sends the request to a Python with Ray
(thunder_core/engine/cluster.py), and reads its events."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass

from ..engine_python import ROOT
from ..errors import NoEngine
from .baker import ADVICE, failure_event, LineProcess, Task
from .manifest import Maker
from .settings import OF_TAKES, path_names

BACK, SHARED = "back", "shared"  # transfer of results: over Ray, or through a shared disk
_DRIVER = f"{__package__.split('.')[-2]}.engine.cluster"
_ENVIRONMENT = {"PYTHONPATH": ROOT, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
ATTEMPTS = 3  # attempts to connect to a cluster
CPUS = 4  # processors per job; the engine of a bake uses as many threads


@dataclass(frozen=True)
class Cluster:
    """A cluster for bakes.  address: of a Ray cluster, “auto” for the one that runs here.  cpus: of
    each job.  results: BACK or SHARED."""

    address: str
    cpus: int = CPUS
    results: str = BACK


def bake_on(
    cluster: Cluster, python: str, command: Sequence[str], tasks: Sequence[Task], maker: Maker
) -> Generator[dict, None, None]:
    """Bake tasks on the machines of a cluster; yields their events, each with the “node” that it
    comes from, and “note” with a sentence if a machine cannot be used or is lost.

    python: a Python that has Ray.  command: starts a baking Blender there.  maker: versions and
    weights that the machines must have. Raises NoEngine if nothing can be baked.
    """
    waiting = {task.job: task for task in tasks}
    lost = 0
    while waiting:
        process = LineProcess([python, "-m", _DRIVER], _ENVIRONMENT)
        try:
            yield from _answers(
                process, _request(cluster, command, list(waiting.values()), maker), waiting
            )
            if not waiting:
                return
            lost += 1
            if lost == ATTEMPTS:
                for job in waiting:
                    yield failure_event(
                        job,
                        f"The connection to the cluster was lost {lost} times: bake again",
                        process.log,
                    )
                return
            yield {
                "event": "note",
                "sentence": "The connection to the cluster was lost: connecting again",
            }
        finally:
            process.close()


def _answers(process: LineProcess, request: dict, waiting: dict[str, Task]) -> Iterator[dict]:
    """The events of one connection, until all jobs have ended or it is lost; jobs that ended leave
    `waiting`."""
    process.send(request)
    connected = False
    while waiting and (event := process.next()) is not None:
        if event["event"] == "refused":
            raise NoEngine(event["sentence"])
        connected = True
        if event["event"] in ("done", "failed"):
            waiting.pop(event["job"], None)
        if event["event"] != "ready":
            yield event
    # Ray ends a process that finds no cluster without an error that could be caught
    if not connected:
        raise NoEngine(
            f"No Ray cluster answers at “{request['address']}” ({process.last_line}): {ADVICE}"
        )


def _request(cluster: Cluster, command: Sequence[str], tasks: Sequence[Task], maker: Maker) -> dict:
    return {
        **asdict(cluster),
        "root": ROOT,
        "command": list(command),
        "maker": asdict(maker),
        "tasks": [task.request() | {"files": path_names(task.settings)} for task in tasks],
        "of_takes": OF_TAKES.pattern,
    }
