# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that bakes may die: that costs one job. Blender is played by a script that speaks its
protocol."""

import sys
import time

import pytest
from processes import is_alive

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
