# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that bakes may die: that costs one job. Where jobs are baked on a cluster, and what happens
where none can be; Ray itself is in tests/blender/test_cluster.py."""

import dis
import hashlib
import re
import sys
import threading
import time
import types

import pytest
from processes import is_alive

from thunder_core.batch import baker, baker as client
from thunder_core.batch.baker import bake_here, Task
from thunder_core.batch.manifest import Maker
from thunder_core.engine import cluster
from thunder_core.errors import NoEngine

PLAYED = """
import json, os, signal, sys, time
def put(**event): print(json.dumps(event), flush=True)
print("Blender 9.9 (a greeting)", flush=True)
open(os.environ["STARTS"], "a").write("x")
put(event="ready", maker={"thunder": "1"})
for line in sys.stdin:
    job = json.loads(line)["job"]
    put(event="progress", job=job, fraction=0.5, message="Baking")
    if job == "crash":
        print("the last words", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL) if os.name != "nt" else os._exit(9)
    if job == "slow":  # longer than the limit, but it goes on
        for _ in range(5):
            time.sleep(0.4)
            put(event="progress", job=job, fraction=0.5, message="Baking")
    if job == "wait":
        time.sleep(60)
    put(event="failed", job=job, sentence="no", log="") if job == "bad" else put(event="done", job=job, report={})
"""


@pytest.fixture
def command(tmp_path, monkeypatch):
    script = tmp_path / "played.py"
    script.write_text(PLAYED)
    monkeypatch.setenv("STARTS", str(tmp_path / "starts"))
    return [sys.executable, str(script)]


def bake(command, *jobs):
    """The events of jobs, and how each of them ended."""
    events = list(bake_here(command, [Task(name, {}, "") for name in jobs]))
    return events, [(each["job"], each["event"]) for each in events if each["event"] != "progress"]


def test_jobs_are_baked_by_one_process_and_one_that_fails_or_dies_costs_its_job_alone(
    command, tmp_path
):
    _, ends = bake(command, "a", "bad", "b")
    assert ends == [("a", "done"), ("bad", "failed"), ("b", "done")]
    assert (tmp_path / "starts").read_text() == "x"
    events, ends = bake(command, "a", "crash", "b")
    assert ends == [("a", "done"), ("crash", "failed"), ("b", "done")]
    failed = next(event for event in events if event["event"] == "failed")
    assert "while it baked this" in failed["sentence"] and "--only" in failed["sentence"]
    assert "the last words" in failed["log"]
    assert (tmp_path / "starts").read_text() == "xxx"


@pytest.mark.parametrize("cannot", ["none.py", "none"])
def test_a_process_that_cannot_start_is_said_once(tmp_path, cannot):
    (tmp_path / "none.py").write_text("raise SystemExit('no bpy here')")
    python = [sys.executable] if cannot == "none.py" else []
    with pytest.raises(NoEngine, match="no bpy here" if python else "cannot be run"):
        bake([*python, str(tmp_path / cannot)], "a", "b")


def test_a_process_that_is_never_ready_is_given_up_with_what_it_printed_last(tmp_path, monkeypatch):
    monkeypatch.setattr(baker, "START_SECONDS", 1.0)
    script = tmp_path / "hangs.py"
    script.write_text(
        "import os, sys, time\nprint('waiting for a licence server', file=sys.stderr, flush=True)\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)\n"
    )
    begun = time.monotonic()
    with pytest.raises(NoEngine, match="(?s)not ready to bake after 1 s.*for a licence server"):
        bake([sys.executable, str(script)], "a")
    assert time.monotonic() - begun < 20 and not is_alive((tmp_path / "pid").read_text())


def test_a_job_that_does_not_go_on_is_ended_and_the_next_one_is_baked(
    command, tmp_path, monkeypatch
):
    monkeypatch.setattr(baker, "STALL_SECONDS", 1.0)
    begun = time.monotonic()
    events, ends = bake(command, "a", "slow", "wait", "b")
    assert ends == [("a", "done"), ("slow", "done"), ("wait", "failed"), ("b", "done")]
    failed = next(event for event in events if event["event"] == "failed")
    assert failed["sentence"].startswith(
        "Blender did not go on for 1 s and was ended (the last: Baking)"
    )
    assert time.monotonic() - begun < 20 and (tmp_path / "starts").read_text() == "xx"


def test_stopping_in_the_middle_ends_the_process(command, monkeypatch):
    monkeypatch.setattr(baker.LineProcess, "patience", 0.2)
    events = bake_here(command, [Task("wait", {}, "")])
    assert next(events)["event"] == "progress"
    begun = time.monotonic()
    events.close()
    assert time.monotonic() - begun < 10


MAKER = Maker("0.1.0", "5.0.1", "f" * 64)
BAKES = {"thunder": "1", "blender": "5.0.1", "weights": "f"}


def node(name, cpus, gpus=0, alive=True):
    return {
        "NodeID": name,
        "Alive": alive,
        "NodeManagerHostname": name,
        "Resources": {"CPU": cpus, **({"GPU": gpus} if gpus else {})},
    }


@pytest.mark.parametrize(
    "nodes, slots",
    [
        ([node("a", 9), node("b", 4)], [("a", 4, 0), ("b", 4, 0), ("a", 4, 0)]),
        ([node("a", 2), node("b", 0), node("c", 8, alive=False),
        {"NodeID": "d", "Alive": True, "Resources": {}}], [("a", 2, 0)]),
        ([node("a", 64), node("b", 16, gpus=2), node("c", 1, gpus=4)],
        [("b", 4, 1), ("c", 1, 1), ("b", 4, 1)]),
    ],
    ids=[
        "a job for each share of the processors, first one each", "one on a small machine, none "
                                                                  "without processors or power",
        "on graphics cards alone where there are any",
    ],
)  # fmt: skip
def test_jobs_are_placed(nodes, slots):
    assert [(slot.node, slot.cpus, slot.gpus) for slot in cluster.slots(nodes, 4)] == slots


def test_files_of_a_job_are_brought_where_they_are_not_there(tmp_path):
    (tmp_path / "here.wav").write_bytes(b"voice")
    other = {"audio": (hashlib.sha256(b"other").hexdigest(), b"other")}
    settings, brought = cluster.with_inputs(
        {"audio": str(tmp_path / "here.wav"), "takes": 2}, other, str(tmp_path)
    )
    assert brought == ["audio"] and settings["takes"] == 2
    assert (
        settings["audio"] == str(tmp_path / "audio" / "here.wav")
        and (tmp_path / "audio" / "here.wav").read_bytes() == b"other"
    )
    same = {"audio": (hashlib.sha256(b"voice").hexdigest(), b"voice")}
    settings, brought = cluster.with_inputs(
        {"audio": str(tmp_path / "here.wav")}, same, str(tmp_path / "unused")
    )
    assert (settings, brought) == ({"audio": str(tmp_path / "here.wav")}, []) and not (
        tmp_path / "unused"
    ).exists()


def test_files_that_come_back_replace_those_of_the_job_and_nothing_of_yours(tmp_path):
    request = {"job": "a", "out": str(tmp_path / "a"), "options": [], "settings": {}, "files": []}
    takes = re.compile(r"take_\d+\.npz")

    def written(content):
        return cluster._write_result(
            request, {"event": "done", "job": "a", "report": {}}, content, takes
        )

    assert (
        written({"take_01.npz": b"1", "take_02.npz": b"2", "report.json": b"{}"})["event"] == "done"
    )
    assert written({"take_01.npz": b"3", "report.json": b"{}"})["event"] == "done"
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "report.json",
        "take_01.npz",
        "thunder-files.json",
    ]
    (tmp_path / "a" / "take_01.npz").write_bytes(b"mine")
    refused = written({"take_01.npz": b"4", "report.json": b"{}"})
    assert refused["event"] == "failed" and "has changed since" in refused["sentence"]
    assert (tmp_path / "a" / "take_01.npz").read_bytes() == b"mine"


def test_a_python_without_ray_is_said(tmp_path):
    without = tmp_path / "python"
    without.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -c "import sys; sys.exit(\'this Python has no '
        f"Ray')\"\n"
    )
    without.chmod(0o755)
    tasks = [Task("a", {}, str(tmp_path))]
    with pytest.raises(NoEngine, match="this Python has no Ray"):
        list(client.bake_on(client.Cluster("auto"), str(without), ["blender"], tasks, MAKER))
    with pytest.raises(NoEngine, match="cannot be run"):
        list(
            client.bake_on(
                client.Cluster("auto"), str(tmp_path / "none"), ["blender"], tasks, MAKER
            )
        )


DRIVER = """
import json, os, sys
request = json.loads(sys.stdin.readline())
jobs = [task["job"] for task in request["tasks"]]
print(json.dumps({"event": "ready"}), flush=True)
print(json.dumps({"event": "done", "job": jobs[0], "report": {}, "node": "n"}), flush=True)
os._exit(1)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a script that stands for a Python")
def test_a_connection_that_is_lost_is_made_again_for_the_jobs_that_are_left(tmp_path):
    """Ray ends the process that speaks to it with the machine that it is connected by; here a
    script does that after each job."""
    (tmp_path / "driver.py").write_text(DRIVER)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path}/driver.py"\n')
    python.chmod(0o755)
    tasks = [Task(name, {}, str(tmp_path)) for name in "abcde"]
    events = list(client.bake_on(client.Cluster("auto"), str(python), ["blender"], tasks, MAKER))
    assert [(event["event"], event.get("job")) for event in events if event["event"] != "note"] == [
        ("done", "a"), ("done", "b"), ("done", "c"), ("failed", "d"), ("failed", "e"),
    ]  # fmt: skip
    assert "was lost 3 times" in events[-1]["sentence"]


def test_what_is_sent_to_a_machine_names_nothing_that_it_may_not_have():
    """Ray unpacks the class before any of its methods can say where the add-on is."""
    methods = [
        value for value in vars(cluster.NodeBaker).values() if isinstance(value, types.FunctionType)
    ]
    named = {
        each.argval
        for method in methods
        for each in dis.get_instructions(method)
        if each.opname == "LOAD_GLOBAL"
    }
    assert {"sys", "importlib"} <= named and all(
        name in sys.stdlib_module_names for name in named & vars(cluster).keys()
    )


def test_a_machine_without_the_add_on_says_so(monkeypatch, tmp_path):
    def absent(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(cluster.importlib, "import_module", absent)
    monkeypatch.setattr(sys, "path", list(sys.path))
    maker, why = cluster.NodeBaker(str(tmp_path), ["blender"], 1).ready()
    assert (
        maker == {}
        and f"“{tmp_path}”" in why
        and "No module named 'thunder_core.batch.baker'" in why
        and "install it" in why
    )


RAY_ERROR = (
    "The actor died because of an error raised in its creation task, "
    "\x1b[36mray::NodeBaker.__init__()\x1b[39m (pid=1, repr=<cluster>)\n"
    "  File \"x.py\", line 3\nModuleNotFoundError: No module named 'pickled'"
    + " of a long name" * 30
    + "\n"
)


class RayError(Exception):
    pass


def remote(function):
    """What Ray calls as `.options(…).remote(…)`."""
    return types.SimpleNamespace(
        options=lambda **chosen: types.SimpleNamespace(
            remote=lambda *given: function(*given, **chosen)
        )
    )


class PlayedRay:
    """Ray whose machines bake at once as `maker`; those of some names cannot start anything or
    never answer."""

    exceptions = types.SimpleNamespace(RayError=RayError)
    util = None

    def __init__(self, nodes, maker=None, failing=(), stuck=()):
        self.nodes = lambda: nodes
        self.maker, self.failing, self.stuck = maker, failing, stuck
        self.started, self.killed = [], []
        self.kill = self.killed.append

    def remote(self, kind):
        return remote(self.begin)

    def begin(self, *_, scheduling_strategy, **__):
        node = scheduling_strategy.node_id
        self.started.append(node)
        return types.SimpleNamespace(
            ready=remote(lambda **_: (node, len(self.started))),
            bake=remote(
                lambda request, *_, **__: iter(
                    [{"event": "done", "job": request["job"], "report": {}}]
                )
            ),
        )

    def wait(self, awaited, **_):
        time.sleep(0.01)
        there = [one for one in awaited if not isinstance(one, tuple) or one[0] not in self.stuck]
        return there[:1], [one for one in awaited if one not in there[:1]]

    def get(self, answer):
        if isinstance(answer, dict):
            return answer
        if answer[0] in self.failing:
            raise RayError(RAY_ERROR)
        return self.maker, ""


@pytest.fixture
def spread(monkeypatch):
    """Run a request of two jobs on a Ray that fails; its events."""
    strategy = types.SimpleNamespace(
        NodeAffinitySchedulingStrategy=lambda node_id, soft: types.SimpleNamespace(node_id=node_id)
    )
    for name in ("ray", "ray.util", "ray.util.scheduling_strategies"):
        monkeypatch.setitem(sys.modules, name, strategy)
    monkeypatch.setattr(cluster, "NEW_MACHINES", 0.0)
    monkeypatch.setattr(cluster, "TURN", 0.0)

    def run(ray):
        tasks = [
            {"job": name, "settings": {}, "out": "", "options": [], "files": []} for name in "ab"
        ]
        request = {
            "tasks": tasks,
            "cpus": 4,
            "root": "",
            "command": [],
            "maker": BAKES,
            "results": "back",
            "of_takes": "",
        }
        events, stopped = [], threading.Event()
        # a run that retries for ever fails instead of hanging
        guard = threading.Timer(20.0, stopped.set)
        guard.start()
        cluster.Spread(ray, request, events.append, stopped).run()
        guard.cancel()
        assert not stopped.is_set()
        return events

    return run


def test_machines_that_cannot_start_are_given_up_with_the_cause(spread):
    ray = PlayedRay([node("one", 8), node("two", 4)], failing=("one", "two"))
    events = spread(ray)
    failed = [event for event in events if event["event"] == "failed"]
    assert [event["job"] for event in failed] == ["a", "b"]
    assert {*ray.started} == {"one", "two"}
    sentence = failed[0]["sentence"]
    assert (
        "one one: ModuleNotFoundError: No module named 'pickled' of a long name" in sentence
        and "two two: Module" in sentence
    )
    assert (
        sentence.count("of a long name") == 60
        and "\x1b" not in sentence
        and "bake again" in sentence
    )
    notes = [event["sentence"] for event in events if event["event"] == "note"]
    assert all(any(f"machine {name} {name}" in each for each in notes) for name in ("one", "two"))


def test_a_machine_whose_start_hangs_keeps_no_job(spread, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 0.2)
    events = spread(PlayedRay([node("stuck", 4), node("works", 4)], BAKES, stuck=("stuck",)))
    assert sorted(event["job"] for event in events if event["event"] == "done") == ["a", "b"]
    events = spread(PlayedRay([node("stuck", 4)], BAKES, stuck=("stuck",)))
    failed = [event for event in events if event["event"] == "failed"]
    assert [event["job"] for event in failed] == ["a", "b"]
    assert "No machine of the cluster can bake" in failed[0]["sentence"]
