# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that bakes may die: that costs one job. Where jobs are baked on a cluster, and what happens
where none can be; Ray itself is in tests/blender/test_cluster.py. How a run of many bakes shows its progress."""

import dis
import hashlib
import os
import re
import sys
import threading
import time
import types

import pytest
from processes import is_alive

from thunder_core.batch import baker, baker as client, baker as run_progress
from thunder_core.batch.baker import bake_here, BakeTask, RunProgress
from thunder_core.batch.manifest import Maker
from thunder_core.engine import cluster
from thunder_core.errors import NoEngine

PLAYED = """
import json, os, signal, sys, time
def put(**event): print(json.dumps(event), flush=True)
print("Blender 9.9 (a greeting)", flush=True)
open(os.environ["STARTS"], "a").write("x")
if str(len(open(os.environ["STARTS"]).read())) in os.environ.get("DIES", "").split():
    print("no memory for me", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL) if os.name != "nt" else os._exit(9)
put(event="ready", maker={"thunder": "1", "blender": "5.0.1", "weights": "f"})
for line in sys.stdin:
    job = json.loads(line)["job"]
    put(event="progress", job=job, fraction=0.5, message="Baking")
    if job == "crash":
        print("the last words", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL) if os.name != "nt" else os._exit(9)
    if job == "slow":  # longer than the limit, but it goes on
        for _ in range(5):
            time.sleep(0.2)
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
    events = list(bake_here(command, [BakeTask(name, {}, "") for name in jobs]))
    ends = [each for each in events if each["event"] not in ("progress", "note")]
    return events, [(each["job"], each["event"]) for each in ends]


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


def test_a_process_that_dies_while_it_starts_is_started_once_more(command, tmp_path, monkeypatch):
    """The first of all, and one after another has died."""
    monkeypatch.setenv("DIES", "1 3")
    events, ends = bake(command, "a", "crash", "b")
    notes = [each["sentence"] for each in events if each["event"] == "note"]
    assert ends == [("a", "done"), ("crash", "failed"), ("b", "done")]
    assert len(notes) == 2 and (tmp_path / "starts").read_text() == "xxxx"
    assert notes[0].startswith("Blender ") and "while it started (no memory for me)" in notes[0]
    monkeypatch.setenv("DIES", "5 6")
    tried = r"tried twice, and was ended by signal 9 \(no memory for me"
    with pytest.raises(NoEngine, match=tried if os.name != "nt" else "tried twice, and ended"):
        bake(command, "a")


def test_a_process_that_does_not_say_its_version_is_refused_with_a_sentence(tmp_path):
    script = tmp_path / "old.py"
    script.write_text('import sys\nprint(\'{"event": "ready"}\', flush=True)\nsys.stdin.read()')
    with pytest.raises(NoEngine, match="does not say its version: start it with"):
        bake([sys.executable, str(script)], "a")


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
    monkeypatch.setattr(baker, "STALL_SECONDS", 0.8)
    begun = time.monotonic()
    events, ends = bake(command, "a", "slow", "wait", "b")
    assert ends == [("a", "done"), ("slow", "done"), ("wait", "failed"), ("b", "done")]
    failed = next(event for event in events if event["event"] == "failed")
    assert failed["sentence"].startswith(
        "Blender did not go on for 1 s and was ended (the last: Baking)"
    )
    assert time.monotonic() - begun < 20 and (tmp_path / "starts").read_text() == "xx"


def test_stopping_in_the_middle_ends_the_process(command, monkeypatch):
    monkeypatch.setattr(baker, "PATIENCE", 0.2)
    events = bake_here(command, [BakeTask("wait", {}, "")])
    assert next(events)["event"] == "progress"
    begun = time.monotonic()
    events.close()
    assert time.monotonic() - begun < 10


MAKER = Maker("0.1.0", "5.0.1", "f" * 64)
BAKES = {"thunder": "1", "blender": "5.0.1", "weights": "f"}


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
    tasks = [BakeTask("a", {}, str(tmp_path))]
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
print(json.dumps({"event": "done", "job": jobs[0], "report": {}, "node": "n"}), flush=True)
os._exit(1)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a script that stands for a Python")
def test_a_connection_that_is_lost_is_said_of_the_jobs_that_are_left(tmp_path):
    """Ray ends the process that speaks to it with the machine that it is connected by."""
    (tmp_path / "driver.py").write_text(DRIVER)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tmp_path}/driver.py"\n')
    python.chmod(0o755)
    tasks = [BakeTask(name, {}, str(tmp_path)) for name in "abc"]
    events = list(client.bake_on(client.Cluster("auto"), str(python), ["blender"], tasks, MAKER))
    ends = [(event["event"], event["job"]) for event in events]
    assert ends == [("done", "a"), ("failed", "b"), ("failed", "c")]
    assert "was lost: bake again" in events[-1]["sentence"]


def test_what_is_sent_to_a_machine_names_nothing_that_it_may_not_have():
    """Ray unpacks the function before it can say where the add-on is."""
    instructions = dis.get_instructions(cluster.bake_there)
    named = {each.argval for each in instructions if each.opname == "LOAD_GLOBAL"}
    assert {"sys", "importlib"} <= named and all(
        name in sys.stdlib_module_names for name in named & vars(cluster).keys()
    )


class RayError(Exception):
    pass


class PlayedRay:
    """Ray, whose machines “one”, “two” … run a task each at once: as a function from the name of a
    machine to its events says."""

    exceptions = types.SimpleNamespace(RayError=RayError)

    def __init__(self, answers, **resources):
        self.answers, self.chosen = answers, []
        self.cluster_resources = lambda: {"CPU": 1}
        self.nodes = lambda: [
            {"NodeID": name, "Alive": True, "Resources": {"CPU": 8, **resources}}
            for name in ("one", "two")
        ]

    def remote(self, function):
        def options(**chosen):
            self.chosen.append(chosen)
            refused = str(chosen["label_selector"])
            node = next(name for name in ("one", "two") if name not in refused)
            return types.SimpleNamespace(remote=lambda *given: self.run(node, given[2]["job"]))

        return types.SimpleNamespace(options=options)

    def run(self, node, job):
        for event in self.answers(node):
            yield event if event is None else {"job": job, "node": node, "node_id": node} | event

    def wait(self, running, **_):
        return running[:1], running[1:]

    def get(self, event):
        if event is None:
            raise RayError("\x1b[36mlost\x1b[39m")
        return event


def spread(ray):
    """The events of a request of two jobs."""
    tasks = [{"job": name, "settings": {}, "out": "", "options": [], "files": []} for name in "ab"]
    request = {"tasks": tasks, "cpus": 4, "root": "", "of_takes": ""}
    events, stopped = [], threading.Event()
    # a run that retries for ever fails instead of hanging
    guard = threading.Timer(20.0, stopped.set)
    guard.start()
    cluster.ClusterRun(ray, request, events.append).run(stopped)
    guard.cancel()
    assert not stopped.is_set()
    return events


DONE, UNFIT = {"event": "done", "report": {}}, {"event": "unfit", "sentence": "it has Blender 9"}


@pytest.mark.parametrize("resources, cpus, cards", [({}, 4, 0), ({"GPU": 2}, 1, 1)])
def test_a_job_gets_its_processors_or_a_graphics_card(resources, cpus, cards):
    ray = PlayedRay(lambda node: [DONE], **resources)
    assert [event["event"] for event in spread(ray)] == ["done", "done"]
    assert {(each["num_cpus"], each["num_gpus"]) for each in ray.chosen} == {(cpus, cards)}


def test_a_machine_that_cannot_bake_gets_no_more_jobs():
    events = spread(PlayedRay(lambda node: [UNFIT] if node == "one" else [DONE]))
    assert sorted(e["job"] for e in events if e["event"] == "done") == ["a", "b"]
    notes = [event["sentence"] for event in events if event["event"] == "note"]
    assert notes == ["The machine one cannot bake: it has Blender 9"]
    failed = [e for e in spread(PlayedRay(lambda node: [UNFIT])) if e["event"] == "failed"]
    assert sorted(event["job"] for event in failed) == ["a", "b"]
    assert "one: it has Blender 9; two: it has" in failed[0]["sentence"]


def test_a_job_is_given_up_when_it_has_lost_several_machines():
    events = spread(PlayedRay(lambda node: [{"event": "progress"}, None]))
    failed = [event for event in events if event["event"] == "failed"]
    assert sorted(event["job"] for event in failed) == ["a", "b"]
    assert "3 machines were lost" in failed[0]["sentence"] and failed[0]["log"] == "lost"
    notes = [event["sentence"] for event in events if event["event"] == "note"]
    assert len(notes) == 4 and "The machine one was lost while it baked" in notes[0]


def test_a_machine_that_differs_or_whose_process_cannot_start_is_unfit(command, monkeypatch):
    monkeypatch.setattr(cluster, "content_of", lambda folder: {})  # this process writes no files
    request = {"command": command, "cpus": 1, "maker": BAKES}
    job = {"job": "a", "settings": {}, "out": "", "options": []}

    def events(**changed):
        cluster._baker.cache_clear()
        return list(cluster.bake_job({**request, **changed}, job, {}))

    assert [event["event"] for event in events()] == ["progress", "done"]
    different = events(maker={**BAKES, "blender": "9"})
    assert (
        different[0]["event"] == "unfit" and "has Blender 5.0.1 where" in different[0]["sentence"]
    )
    cannot = events(command=["no such program"])
    assert cannot[0]["event"] == "unfit" and "cannot be run" in cannot[0]["sentence"]


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless the test moves it: [seconds]."""
    now = [1000.0]
    monkeypatch.setattr(run_progress.time, "monotonic", lambda: now[0])
    return now


def made(count):
    said = []
    return RunProgress(count, said.append), said


def test_a_line_is_said_now_and_then(clock):
    progress, lines = made(140)
    for number in range(120):  # two minutes of two machines, an event a second of each
        progress.update("shot 12", number / 120, f"Sampled {number}", "anna")
        progress.update("shot 13", 0.5, "Writing the scene", "bert")
        clock[0] += 1.0
    assert len(lines) == 120 // run_progress.LOG_EVERY - 1
    assert lines[0].strip() == (
        "0 of 140 done, 93 min left; now shot 12: 25%, sampled 30, for 30 s (on anna); shot 13: "
        "50%, writing the scene, for 30 s (on bert)"
    )


def test_the_time_left_counts_jobs_that_were_baked_not_those_that_failed(clock):
    progress, _ = made(10)
    progress.update("a", 0.0, "")
    assert progress.summary() == "0 of 10 done"  # too early to know
    clock[0] += 60.0
    progress.end("a", True)
    for name in "bcd":
        progress.update(name, 0.0, "")
        progress.end(name, False)
    assert progress.summary() == "4 of 10 done, 6 min left"
    progress.update("e", 0.5, "")
    clock[0] += 30.0
    assert progress.summary() == "4 of 10 done, 6 min left"  # a minute for each of 5.5
