# SPDX-License-Identifier: GPL-3.0-or-later
"""Where jobs are baked on a cluster, and what happens where none can be; Ray itself is in tests/blender/test_cluster.py."""

import hashlib
import re
import sys

import pytest

from thunder_core.batch import cluster as client
from thunder_core.batch.baker import Task
from thunder_core.batch.manifest import Maker
from thunder_core.engine import cluster
from thunder_core.errors import NoEngine

MAKER = Maker("0.1.0", "5.0.1", "f" * 64)


def node(name, cpus, gpus=0, alive=True):
    return {"NodeID": name, "Alive": alive, "NodeManagerHostname": name, "Resources": {"CPU": cpus, **({"GPU": gpus} if gpus else {})}}


def placed(nodes, cpus=4):
    return [(slot.node, slot.cpus, slot.gpus) for slot in cluster.slots(nodes, cpus)]


def test_a_machine_gets_a_job_for_each_share_of_its_processors_first_one_each():
    assert placed([node("a", 9), node("b", 4)]) == [("a", 4, 0), ("b", 4, 0), ("a", 4, 0)]


def test_a_small_machine_gets_one_job_and_one_without_processors_or_power_none():
    assert placed([node("a", 2), node("b", 0), node("c", 8, alive=False), {"NodeID": "d", "Alive": True, "Resources": {}}]) == [("a", 2, 0)]


def test_where_machines_have_graphics_cards_jobs_are_baked_on_these_alone():
    assert placed([node("a", 64), node("b", 16, gpus=2), node("c", 1, gpus=4)]) == [("b", 4, 1), ("c", 1, 1), ("b", 4, 1)]


def test_files_of_a_job_are_brought_where_they_are_not_there(tmp_path):
    (tmp_path / "here.wav").write_bytes(b"voice")
    other = {"audio": (hashlib.sha256(b"other").hexdigest(), b"other")}
    settings, brought = cluster._with_inputs({"audio": str(tmp_path / "here.wav"), "takes": 2}, other, str(tmp_path))
    assert brought == ["audio"] and settings["takes"] == 2
    assert settings["audio"] == str(tmp_path / "audio" / "here.wav") and (tmp_path / "audio" / "here.wav").read_bytes() == b"other"
    same = {"audio": (hashlib.sha256(b"voice").hexdigest(), b"voice")}
    settings, brought = cluster._with_inputs({"audio": str(tmp_path / "here.wav")}, same, str(tmp_path / "unused"))
    assert (settings, brought) == ({"audio": str(tmp_path / "here.wav")}, []) and not (tmp_path / "unused").exists()


def test_files_that_come_back_replace_those_of_the_job_and_nothing_of_yours(tmp_path):
    request = {"job": "a", "out": str(tmp_path / "a"), "options": [], "settings": {}, "files": []}
    takes = re.compile(r"take_\d+\.npz")

    def written(content):
        return cluster._written(request, {"event": "done", "job": "a", "report": {}}, content, takes)

    assert written({"take_01.npz": b"1", "take_02.npz": b"2", "report.json": b"{}"})["event"] == "done"
    assert written({"take_01.npz": b"3", "report.json": b"{}"})["event"] == "done"
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["report.json", "take_01.npz", "thunder-files.json"]
    (tmp_path / "a" / "take_01.npz").write_bytes(b"mine")
    refused = written({"take_01.npz": b"4", "report.json": b"{}"})
    assert refused["event"] == "failed" and "has changed since" in refused["sentence"]
    assert (tmp_path / "a" / "take_01.npz").read_bytes() == b"mine"


def test_a_python_without_ray_is_said(tmp_path):
    without = tmp_path / "python"
    without.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "import sys; sys.exit(\'this Python has no Ray\')"\n')
    without.chmod(0o755)
    tasks = [Task("a", {}, str(tmp_path))]
    with pytest.raises(NoEngine, match="this Python has no Ray"):
        list(client.bake_on(client.Cluster("auto"), str(without), ["blender"], tasks, MAKER))
    with pytest.raises(NoEngine, match="cannot be run"):
        list(client.bake_on(client.Cluster("auto"), str(tmp_path / "none"), ["blender"], tasks, MAKER))


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
    """Ray ends the process that speaks to it with the machine that it is connected by; here a script does that after each job."""
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
