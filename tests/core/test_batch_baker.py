# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that bakes may die: that costs one job. Blender is played by a script that speaks its
protocol."""

import os
import sys
import time

import pytest

from thunder_core.batch import baker
from thunder_core.batch.baker import bake_here, Task
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


def ends(events):
    return [(event["job"], event["event"]) for event in events if event["event"] != "progress"]


def test_jobs_are_baked_by_one_process_and_one_that_fails_stops_no_other(command, tmp_path):
    events = list(bake_here(command, [Task(name, {}, "") for name in ("a", "bad", "b")]))
    assert ends(events) == [("a", "done"), ("bad", "failed"), ("b", "done")]
    assert (tmp_path / "starts").read_text() == "x"


def test_a_process_that_dies_costs_its_job_alone(command, tmp_path):
    events = list(bake_here(command, [Task(name, {}, "") for name in ("a", "crash", "b")]))
    assert ends(events) == [("a", "done"), ("crash", "failed"), ("b", "done")]
    failed = next(event for event in events if event["event"] == "failed")
    assert (
        "while it baked this" in failed["sentence"]
        and "--only" in failed["sentence"]
        and "the last words" in failed["log"]
    )
    assert (tmp_path / "starts").read_text() == "xx"


def test_a_process_that_cannot_start_is_said_once(tmp_path):
    (tmp_path / "none.py").write_text("raise SystemExit('no bpy here')")
    for command, words in (
        ([sys.executable, str(tmp_path / "none.py")], "no bpy here"),
        ([str(tmp_path / "none")], "cannot be run"),
    ):
        with pytest.raises(NoEngine, match=words):
            list(bake_here(command, [Task("a", {}, ""), Task("b", {}, "")]))


def test_a_process_that_is_never_ready_is_given_up_with_what_it_printed_last(tmp_path, monkeypatch):
    monkeypatch.setattr(baker, "START_SECONDS", 1.0)
    script = tmp_path / "hangs.py"
    script.write_text(
        "import os, sys, time\nprint('waiting for a licence server', file=sys.stderr, flush=True)\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)\n"
    )
    begun = time.monotonic()
    with pytest.raises(NoEngine) as refusal:
        list(bake_here([sys.executable, str(script)], [Task("a", {}, "")]))
    assert time.monotonic() - begun < 20
    assert "not ready to bake after 1 s" in str(
        refusal.value
    ) and "waiting for a licence server" in str(refusal.value)
    if os.name != "nt":
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_job_that_does_not_go_on_is_ended_and_the_next_one_is_baked(
    command, tmp_path, monkeypatch
):
    monkeypatch.setattr(baker, "STALL_SECONDS", 1.0)
    begun = time.monotonic()
    events = list(bake_here(command, [Task(name, {}, "") for name in ("a", "slow", "wait", "b")]))
    assert ends(events) == [("a", "done"), ("slow", "done"), ("wait", "failed"), ("b", "done")]
    failed = next(event for event in events if event["event"] == "failed")
    assert failed["sentence"].startswith(
        "Blender did not go on for 1 s and was ended (the last: Baking)"
    )
    assert time.monotonic() - begun < 20 and (tmp_path / "starts").read_text() == "xx"


def test_stopping_in_the_middle_ends_the_process(command):
    events = bake_here(command, [Task("wait", {}, "")])
    assert next(events)["event"] == "progress"
    patience, baker.PATIENCE = baker.PATIENCE, 0.2
    try:
        begun = time.monotonic()
        events.close()
    finally:
        baker.PATIENCE = patience
    assert time.monotonic() - begun < 10
