# SPDX-License-Identifier: GPL-3.0-or-later
"""The client against engines that hang, babble, lie about their version or send what makes no
sense."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from processes import cancel, is_alive
from timing import keeps, until

from thunder_core import errors, protocol, worker_process
from thunder_core.client import Client
from thunder_core.engine import worker
from thunder_core.engine_python import ROOT
from thunder_core.private_folder import is_orphaned

pytestmark = pytest.mark.skipif(
    os.name == "nt", reason="the engines are POSIX scripts, and are stopped by signals"
)

PLAYED = f"""#!{sys.executable}
import json, os, sys, time
def say(**event): print(json.dumps(event), flush=True)
def ready(): say(id=None, event="ready", protocol={protocol.PROTOCOL})
def requests():
    for line in sys.stdin:
        yield json.loads(line)
def first_time():
    try:
        os.close(os.open(__file__ + ".ran", os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False
def answer_all():
    ready()
    for each in requests():
        if each["verb"] == "quit":
            break
        say(id=each["id"], event="done", result={{}})
"""


@pytest.fixture(autouse=True)
def temporary_folder(temporary, monkeypatch):
    monkeypatch.setattr(worker_process.PipedProcess, "patience", 0.5)  # of engines that hang


def test_the_next_engine_reads_what_the_first_has_compiled(tmp_path, monkeypatch):
    tree = tmp_path / "tree"
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(ROOT, "thunder_core"), tree / "thunder_core", ignore=without)
    for folder in ("weights", "assets"):
        (tree / folder).symlink_to(Path(ROOT, folder))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "")
    start = (
        "import sys; from thunder_core.client import Client\n"
        "with Client(sys.executable) as client: client.request('hello').wait()"
    )

    def compiled():
        """{compiled file of the engine: when it was written, which file it is}."""
        engine = tree / "thunder_core" / "engine"
        found = (path.stat() for path in sorted(engine.rglob("*.pyc")))
        return [(each.st_mtime_ns, each.st_ino) for each in found]

    subprocess.run([sys.executable, "-c", start], cwd=tree, check=True)
    first = compiled()
    assert len(first) > 10, "the engine compiles its modules at each start"
    subprocess.run([sys.executable, "-c", start], cwd=tree, check=True)
    assert compiled() == first


@pytest.fixture
def play(tmp_path, monkeypatch):
    """A client of an engine that does what a piece of Python says; deadlines are changed."""
    script = tmp_path / "engine"
    with Client(str(script)) as client:

        def start(code, **deadlines):
            for name, seconds in deadlines.items():
                monkeypatch.setattr(worker_process, name, seconds)
            script.write_text(PLAYED + code)
            script.chmod(0o755)
            return client

        yield start


@pytest.fixture
def real():
    """A client of the real worker, which loads no models for what is asked here."""
    with Client(sys.executable) as client:
        client.request("release").wait(timeout=60)
        yield client


def test_a_private_folder_that_was_cleaned_away_is_made_again(real):
    lost, pid = real.folder, real.pid
    shutil.rmtree(lost)
    real.request("release").wait(timeout=60)
    assert real.pid == pid and os.readlink(f"/proc/{pid}/cwd") == lost
    shutil.rmtree(lost)
    assert os.path.isfile(real.put_array([1.0])) and os.path.isdir(real.new_folder())
    assert os.stat(real.folder).st_mode & 0o777 == 0o700 and not is_orphaned(real.folder)
    real.stop()
    assert not os.path.exists(lost)


def test_a_worker_whose_folder_was_taken_by_others_is_replaced(real, tmp_path):
    lost, pid = real.folder, real.pid
    shutil.rmtree(lost)
    lost_now = tmp_path / "theirs"
    lost_now.mkdir()
    os.symlink(lost_now, lost)
    real.request("release").wait(timeout=60)
    assert real.pid != pid and os.readlink(f"/proc/{real.pid}/cwd") == real.folder != lost
    assert os.path.isfile(real.put_array([1.0])) and not os.listdir(lost_now)
    os.remove(lost)


def test_a_worker_that_was_killed_while_it_was_idle_costs_no_request(real):
    for _ in range(3):
        killed = real.pid
        os.kill(killed, signal.SIGKILL)
        real.request("release").wait(timeout=60)
        assert real.pid != killed


def test_a_request_that_ends_every_worker_fails_at_the_second(play, tmp_path):
    client = play(
        f"ready()\n"
        f"for each in requests():\n"
        f"    if each['verb'] == 'end':\n"
        f"        open({str(tmp_path / 'ends')!r}, 'a').write('x')\n"
        f"        os._exit(1)\n"
        f"    say(id=each['id'], event='done', result={{}})\n"
    )
    client.request("hello").wait(timeout=20)
    with pytest.raises(errors.WorkerDied, match="while it was working"):
        client.request("end").wait(timeout=20)
    assert (tmp_path / "ends").read_text() == "xx"


# -- an engine that hangs
# ----------------------------------------------------------------------------------------------


def test_cancel_ends_a_stopped_worker_and_the_next_request_starts_another(real):
    first = real.pid
    os.kill(first, signal.SIGSTOP)
    started = time.monotonic()
    cancel(real.request("release"))
    keeps(2.0, time.monotonic() - started, "an answer to Cancel of a worker that is stopped")
    assert real.request("release").wait(timeout=60) == {} and real.pid not in (None, first)
    until(lambda: not is_alive(first))
    second = real.pid
    os.kill(second, signal.SIGSTOP)
    real.stop()
    assert not is_alive(second) and not os.listdir(tempfile.gettempdir())


def test_requests_behind_a_stuck_one_are_answered_by_the_next_worker(real):
    first = real.pid
    os.kill(first, signal.SIGSTOP)
    stuck, waiting = real.request("release"), real.request("release")
    stuck.cancel()
    assert waiting.wait(timeout=60) == {} and real.pid != first
    with pytest.raises(errors.Cancelled):
        stuck.wait(timeout=60)


def test_a_request_that_fills_the_pipe_of_a_stopped_worker_holds_nobody(real):
    os.kill(real.pid, signal.SIGSTOP)
    started = time.monotonic()
    pending = real.request("spoken", text="x" * 2**21)
    keeps(0.5, time.monotonic() - started, "a request of 2 MB to a stopped worker")
    cancel(pending)


KILLED = """
import sys, time
from thunder_core.client import Client
client = Client(sys.executable)
client.request("release").wait(timeout=60)
print(client.pid, flush=True)
time.sleep(60)
"""


def test_a_stopped_worker_ends_when_its_client_is_killed(temporary):
    process = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, cwd=ROOT)
    worker = int(process.stdout.readline())
    os.kill(worker, signal.SIGSTOP)
    # all its threads
    until(
        lambda: all(
            b") T " in stat.read_bytes() for stat in Path(f"/proc/{worker}/task").glob("*/stat")
        )
    )
    process.kill()
    process.wait()
    process.stdout.close()
    until(lambda: not is_alive(worker), 10)
    until(lambda: not [name for name in os.listdir(temporary) if name.startswith("thunder-")], 5)


LIFE = """
ready()
work = next(requests())
for _ in range(20):
    say(id=None, event="alive", working=work["id"])
    time.sleep(0.05)
say(id=work["id"], event="done", result={})
"""
BUSY = """
ready()
work = next(requests())
time.sleep(1.0)  # as in a call that holds Python's lock
say(id=work["id"], event="done", result={})
"""


def test_cancelling_a_request_that_waits_does_not_end_the_work_of_another(play):
    code = """
ready()
asked = requests()
work = next(asked)
say(id=work["id"], event="progress", fraction=0.1, message="at work")
next(asked), next(asked)  # the second request and its cancellation, which are not answered
next(asked)
say(id=work["id"], event="done", result={"whole": True})
"""
    client = play(code, CANCEL_DEADLINE=0.2)
    working, waiting = client.request("work"), client.request("wait")
    until(lambda: working.poll())
    cancel(waiting)
    client.request("more")
    assert working.wait(timeout=60) == {"whole": True}


STUCK = """
if not first_time():
    answer_all()
    sys.exit()
ready()
asked = requests()
work, cancel = next(asked), next(asked)
say(id=cancel["id"], event="done", result={"found": True})
say(id=work["id"], event="error", kind="Cancelled", message="Cancelled")
"""


@pytest.mark.parametrize(
    "then, stays",
    [
        (
            """
while True:
    say(id=None, event="alive", working=work["id"])
    time.sleep(0.05)
""",
            False,
        ),
        (
            """
say(id=None, event="alive", working=None)
late = next(asked)
time.sleep(1.2)
say(id=late["id"], event="done", result={})
time.sleep(600)
""",
            True,
        ),
    ],
)
def test_a_worker_that_does_not_leave_its_cancelled_work_is_replaced_and_one_that_does_stays(
    play, then, stays
):
    client = play(STUCK + then, STUCK_DEADLINE=0.5)
    work, first = client.request("work"), client.pid
    cancel(work)
    assert client.request("next").wait(timeout=60) == {} and (client.pid == first) == stays
    until(lambda: is_alive(first) == stays)


def test_silence_is_told_and_ends_at_last(play):
    client = play("ready()\ntime.sleep(600)\n", SILENCE_SHOWN=0.2, SILENCE_DEADLINE=0.7)
    seen = []
    with pytest.raises(errors.WorkerDied, match="did not respond for"):
        client.request("work").wait(on_event=seen.append, timeout=60)
    assert any(
        "has not answered" in event.get("message", "")
        for event in seen
        if event["event"] == "progress"
    )
    assert not client.running


@pytest.mark.parametrize(
    "code, deadlines",
    [(BUSY, {"CANCEL_DEADLINE": 0.2, "STUCK_DEADLINE": 0.2}), (LIFE, {"SILENCE_DEADLINE": 0.5})],
)
def test_a_busy_worker_that_nobody_cancelled_and_a_silent_one_that_shows_life_are_waited_for(
    play, code, deadlines
):
    assert play(code, **deadlines).request("work").wait(timeout=60) == {}


def test_the_real_worker_shows_life_while_it_works(play):
    client = play(f"""
sys.argv[1:3] = []  # -m thunder_core.engine.worker
sys.path.insert(0, {ROOT!r})
from thunder_core.engine import verbs, worker
worker.HEARTBEAT = 0.02
def nap(worker, args, progress):
    time.sleep(0.5)
    return {{}}
verbs.VERBS["nap"] = nap
worker.main()
""")
    pending = client.request("nap")
    seen, process = [], client._process
    handle_event = process._handle_event
    process._handle_event = lambda event: (seen.append(dict(event)), handle_event(event))
    pending.wait(timeout=60)
    assert {"id": None, "event": "alive", "working": pending.number} in seen


# -- an engine that is none
# --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code, sentence",
    [
        ("", "did not answer"),
        (
            "while True:\n    print('still here', flush=True)\n    time.sleep(0.02)\n",
            "did not answer",
        ),
        *(
            (f"say(id=None, event='ready', **{said!r})\n", "another version .*: reinstall")
            for said in (
                {"protocol": 1},
                {"protocol": str(protocol.PROTOCOL)},
                {"protocol": [2] * 999},
                {},
            )
        ),
    ],
)
def test_an_engine_that_is_never_ready_or_of_another_protocol_is_a_sentence(play, code, sentence):
    client = play(code + "time.sleep(600)\n", READY_DEADLINE=0.5 if "answer" in sentence else 60)
    with pytest.raises(errors.NoEngine, match=sentence):
        client.request("hello").wait(timeout=60)
    assert "answer" not in sentence or not client.running


# -- too little memory
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        ImportError(
            "DLL load failed while importing _C: The paging file is too small for this operation "
            "to complete."
        ),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("std::bad_alloc"),
        RuntimeError(
            "unable to mmap 4096 bytes from file <m2s.safetensors>: Cannot allocate memory (12)"
        ),
        MemoryError(),
        ValueError("field 'target' is required for AnnAssign"),
        SystemError("<built-in function compile> returned NULL without setting an exception"),
    ],
)
def test_memory_that_ran_out_is_known_by_its_words(error):
    caused = RuntimeError("the models could not be loaded")
    caused.__cause__ = error
    for each in (error, caused):
        assert type(worker.explain_failure(each, "generate")).__name__ == "OutOfMemory"


def test_temporary_files_that_somebody_removed_are_said_to_be_gone():
    for path, said in (("/tmp/thunder-cc4xepbu/array_2.npy", "try again"), ("/x/y", "failed at")):
        error = FileNotFoundError(2, "No such file or directory", path)
        assert said in str(worker.explain_failure(error, "generate"))


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'torch'", name="torch"),
        ImportError("libgomp.so.1: cannot allocate memory in static TLS block"),
        ImportError("libcudart.so.12: cannot open shared object file: No such file or directory"),
    ],
)
def test_what_is_missing_or_broken_is_still_said_to_be_that(error):
    assert type(worker.explain_failure(error, "generate")).__name__ == "NoEngine"
