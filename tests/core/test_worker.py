# SPDX-License-Identifier: GPL-3.0-or-later
"""The real worker in a real process: it answers, can be cancelled, dies cleanly, and leaves nothing
behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from processes import cancel, is_alive
from timing import keeps, until

from research.harness import ROOT
from research.train.weight_writing import save_weights
from thunder_core import errors
from thunder_core.client import Client
from thunder_core.engine import verbs, worker
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.voice import read_line
from thunder_core.engine_python import find_engine_python
from thunder_core.face.head import load_head
from thunder_core.networks.denoiser import DenoiserConfig, DenoiserNetwork
from thunder_core.networks.weights import load_weights
from thunder_core.types import unpack
from thunder_core.weight_files import SHIPPED

CHANNELS = len(load_head().expression_names)
SAMPLE = str(ROOT / "assets" / "sample.wav")
POSIX = pytest.mark.skipif(os.name == "nt", reason="signals of this kind are POSIX")
# minutes of work, to be interrupted
LONG = {"sound": SAMPLE, "takes": 64, "seed": 1, "steps": 1000}


@pytest.fixture(autouse=True)
def temporary_folder(temporary):
    """Every private folder of these tests lies here, so that what a crash leaves can be seen."""
    return temporary


@pytest.fixture
def client(temporary_folder):
    with Client(sys.executable) as client:
        yield client
    assert not client.running
    assert list(temporary_folder.iterdir()) == []


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """A client whose worker has loaded its models, for the tests that only ask; what another
    extension put on Python's path is not looked for."""
    others = tmp_path_factory.mktemp("others")
    (others / "onnxruntime.py").write_text("raise ImportError('of another extension')")
    with pytest.MonkeyPatch.context() as patch, Client(sys.executable) as client:
        patch.setenv("PYTHONPATH", str(others))
        client.request("hello").wait(timeout=120)
        yield client


def wait_for_sampling(pending):
    """Until the models are loaded and the denoiser is at work."""
    seen = []
    until(lambda: seen.extend(pending.poll()) or any(e.get("fraction", 0) > 0 for e in seen), 120)
    assert not pending.done, pending.error


# -- what it answers
# ---------------------------------------------------------------------------------------------------


def test_hello_tells_what_answers(warm):
    hello = warm.request("hello").wait(timeout=60)
    assert hello["protocol"] == worker.PROTOCOL and hello["engine"] == "thunder"
    assert len(hello["channels"]) == CHANNELS and hello["channels"][0] == "browDownLeft"
    assert re.fullmatch("[0-9a-f]{16}", hello["weights"])
    assert hello["weights_origin"] == "shipped" and hello["weights_note"] == ""
    assert hello["versions"]["torch"].startswith("2.")
    assert hello["device"].startswith(("cpu", "cuda"))


def test_the_protocols_page_names_the_verbs_that_are_there():
    page = (ROOT / "docs" / "reference" / "protocol.md").read_text()
    table = page.partition("| verb |")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, re.M)
    own = re.findall(r'verb == "(\w+)"', Path(worker.__file__).read_text())
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted({*verbs.VERBS, *own})


@pytest.fixture(scope="module")
def performed(warm):
    """(result, events) of more takes than are worked on at once; then their folder is
    forgotten."""
    events = []
    request = warm.request("generate", sound=SAMPLE, takes=16, seed=3, steps=5)
    result = request.wait(on_event=events.append, timeout=240)
    yield result, events
    warm.delete_folder(result["folder"])
    assert not os.path.exists(result["folder"]) and os.path.isdir(warm.folder)


def test_takes_come_best_first_with_their_arrays_and_before_the_last_is_done(warm, performed):
    result, events = performed
    frames = round(result["sound_seconds"] * 25)
    scores = [take["score"] for take in result["takes"]]
    fractions = [event["fraction"] for event in events if "fraction" in event]
    assert scores == sorted(scores, reverse=True)
    assert fractions == sorted(fractions) and len(fractions) > 3
    wanted = {"expression": (frames, CHANNELS), "jaw": (frames, 3)} | dict.fromkeys(
        ("opening", "width", "drift"), (frames,)
    )
    for take in result["takes"]:
        arrays = {name: warm.get_array(result, take[name]) for name in wanted}
        assert {name: array.shape for name, array in arrays.items()} == wanted
        assert all(np.isfinite(array).all() for array in arrays.values())
        assert np.ptp(arrays["opening"]) > 1.0  # mm: the mouth moves
    arrived, scored = (
        [event for event in events if event["event"] == kind] for kind in ("take", "score")
    )
    assert [event["take"]["seed"] for event in arrived] == list(range(3, 19))
    about = {name: result[name] for name in ("fps", "channels", "folder", "weights", "audio")}
    of_score = {"score": None, "drift": None, "provenance": None}
    for sampled, score in zip(arrived, scored, strict=True):
        assert score["take"] in result["takes"] and about.items() <= score.items()
        assert events.index(sampled) < events.index(score)
        assert sampled["take"] | of_score == score["take"] | of_score
        assert sampled["take"]["score"] is None
        assert score["take"]["provenance"].keys() >= {"parts", "findings"}
    between = events[events.index(arrived[0]) : events.index(arrived[-1])]
    assert any("ampl" in event.get("message", "") for event in between)


@pytest.mark.parametrize("gone", [False, True])
def test_what_arrived_before_a_cancellation_can_be_read_and_a_folder_that_goes_is_no_fault(
    warm, gone
):
    folder, events, log = warm.new_folder(), [], warm._process.log
    pending = warm.request("generate", sound=SAMPLE, takes=64, seed=1, steps=5, folder=folder)
    until(
        lambda: events.extend(pending.poll()) or any(event["event"] == "take" for event in events),
        120,
    )
    take = next(event for event in events if event["event"] == "take")
    if gone:
        warm.delete_folder(folder)
    cancel(pending)
    assert gone or warm.get_array(take, take["take"]["jaw"]).shape[1] == 3
    warm.delete_folder(folder)
    assert warm.request("hello").wait(timeout=60)["device"]
    assert "FileNotFoundError" not in warm._process.log[len(log) :] and not os.path.exists(folder)


def test_the_score_of_a_take_is_the_one_it_came_with(warm, performed):
    result, _ = performed
    take = min(result["takes"], key=lambda take: take["seed"])  # as directed
    files = {name: os.path.join(result["folder"], take[name]) for name in ("expression", "jaw")}
    score = warm.request("score", sound=SAMPLE, **files).wait(timeout=120)
    assert abs(score["total"] - take["score"]) < 1
    assert score["findings"] == take["provenance"]["findings"]
    assert score["parts"] == pytest.approx(take["provenance"]["parts"], abs=0.05)
    assert (
        warm.get_array(score, score["per_frame"]).shape
        == warm.get_array(result, take["drift"]).shape
    )


def test_a_face_is_heard_for_as_long_as_it_moves_in_the_voice_that_is_named(warm, tmp_path):
    arrays = {"expression": np.zeros((50, CHANNELS)), "jaw": np.zeros((50, 3))}
    still, sounds = {name: warm.put_array(x) for name, x in arrays.items()}, []
    for voice in (None, SAMPLE):
        out = str(tmp_path / "says.wav")
        heard = warm.request("listen", voice=voice, out=out, **still).wait(timeout=120)
        assert heard["sound"] == out and heard["rate"] == 16000
        assert abs(heard["seconds"] - 2.0) < 0.1 and os.path.getsize(out) > 2 * 16000
        sounds.append((tmp_path / "says.wav").read_bytes())
    assert sounds[0] != sounds[1], "the speaker's voice is not the average one"


@pytest.mark.parametrize(
    "sizes, said", [({"style": 5}, "other styles"), ({"mouth": 4}, "another map of mouths")]
)
def test_weights_of_other_inputs_are_refused(temporary_folder, tmp_path, sizes, said):
    folder, (_, config) = tmp_path / "weights", load_weights(SHIPPED / "denoiser")
    shutil.copytree(SHIPPED, folder, ignore=shutil.ignore_patterns("denoiser.*"))
    other = DenoiserNetwork(replace(DenoiserConfig(**config), **sizes))
    save_weights(folder / "denoiser", other.state_dict(), other.settings(), {})
    with Client(sys.executable, weights=str(folder)) as client:
        with pytest.raises(errors.BadWeights, match=said):
            client.request("hello").wait(timeout=120)


# -- what it refuses
# ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind, more, silent",
    [
        ("silent", {}, [True]),
        ("noise", {}, [False]),
        ("quiet", {}, []),
        ("noise", {"role": "listens"}, []),
    ],
)
def test_that_nobody_speaks_is_said_before_anything_is_sampled(warm, tmp_path, kind, more, silent):
    voice, rate = soundfile.read(SAMPLE)
    samples = {
        "silent": np.zeros(rate),
        "noise": 0.01 * np.random.default_rng(0).standard_normal(rate),
        "quiet": 3e-4 * voice / np.abs(voice).max(),  # −70 dB
    }[kind]
    soundfile.write(tmp_path / "sound.wav", samples, rate, "FLOAT")
    given = {"sound": str(tmp_path / "sound.wav"), "folder": str(tmp_path), "takes": 1, "steps": 1}
    events = []
    warm.request("generate", **given, **more).wait(on_event=events.append, timeout=60)
    assert [event["silent"] for event in events if event["event"] == "unspoken"] == silent
    order = [event["event"] for event in events if "ampling" in event.get("message", "sampling")]
    assert not silent or order.index("unspoken") == 0


def test_what_a_library_prints_never_reaches_the_answers(tmp_path):
    (tmp_path / "soundfile.py").write_text(
        "import os, subprocess, sys\nprint('printed'); os.write(1, b'written\\n')\n"
        "subprocess.run([sys.executable, '-c', 'print(\"child\")'])\n"
        "import does_not_exist_anywhere\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "thunder_core.engine.worker"],
        **dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
    )
    request = {"id": 1, "verb": "generate", "args": {"sound": SAMPLE, "folder": str(tmp_path)}}
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()
    events = (json.loads(line)["event"] for line in process.stdout)
    assert next(event for event in events if event in ("done", "error")) == "error"
    rest, log = process.communicate(timeout=60)
    assert all(json.loads(line)["event"] == "alive" for line in rest.splitlines())
    assert {b"printed", b"written", b"child"} <= {line.strip() for line in log.splitlines()}


# -- what it does while nobody asks
# --------------------------------------------------------------------------------------


@pytest.fixture
def prepared():
    return worker.Worker(None, None, None, None, "cpu")


def test_what_the_first_takes_need_is_loaded_while_no_request_waits(prepared):
    done = []

    def steps():
        for i in range(3):
            done.append(i)
            if i == 1:
                prepared.waiting.put("request")  # comes while the second step runs
            yield

    prepared.preparation = steps()
    assert prepared._next_request() == "request" and done == [0, 1], (
        "a request waits for one step at most"
    )
    prepared.waiting.put(None)
    assert prepared._next_request() is None and done == [0, 1]


def test_a_preparation_that_fails_is_logged_and_the_worker_goes_on(prepared, capsys):
    def steps():
        prepared.waiting.put("request")
        raise ImportError("No module named 'soundfile'")
        yield

    prepared.preparation = steps()
    assert prepared._next_request() == "request"
    assert "soundfile" in capsys.readouterr().err and next(prepared.preparation, "over") == "over"


def test_nothing_of_a_voice_is_left_after_a_release(prepared):
    engine = prepared.load_engine(lambda *_: None)
    voice = engine.analyse(read_sound(SAMPLE))
    said, _ = read_line(voice, "the quick brown fox")
    motion = unpack(np.zeros((voice.frames, engine.head.channels + 9)), engine.head.channels)
    engine.scorer.score([motion], said, [None], "the quick brown fox")
    left = [weakref.ref(each) for each in (engine, voice, said)]
    del engine, voice, said, motion
    prepared.release()
    assert [each() for each in left] == [None] * 3


# -- an engine that is not there
# ---------------------------------------------------------------------------------------


def test_a_python_that_lacks_packages_is_named(tmp_path):
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True, timeout=60)
    with Client(str(tmp_path / "bare")) as client:
        with pytest.raises(errors.NoEngine, match=r"has no “\w+”: install the engine"):
            client.request("hello").wait(timeout=60)


def test_the_engine_is_looked_for_in_the_promised_order(tmp_path, monkeypatch):
    pythons = [tmp_path / name / "bin" / "python" for name in ("chosen", "named", "installed")]
    for python in pythons:
        python.parent.mkdir(parents=True)
        python.touch()
    chosen, named, installed = map(str, pythons)
    venvs = [str(tmp_path / name) for name in ("absent", "installed")]
    monkeypatch.delenv("THUNDER_PYTHON", raising=False)
    assert find_engine_python(venvs=venvs) == installed
    monkeypatch.setenv("THUNDER_PYTHON", named)
    assert find_engine_python(venvs=venvs) == named
    assert find_engine_python(str(tmp_path / "chosen"), venvs=venvs) == chosen
    monkeypatch.setenv("THUNDER_PYTHON", str(tmp_path / "python"))
    with pytest.raises(errors.NoEngine, match="in THUNDER_PYTHON"):
        find_engine_python()


# -- cancelling
# --------------------------------------------------------------------------------------------------------


def test_cancel_is_answered_within_half_a_second_and_the_worker_stays(warm):
    pending = warm.request("generate", **LONG)
    wait_for_sampling(pending)
    pid, asked = warm.pid, time.monotonic()
    cancel(pending)
    keeps(0.5, time.monotonic() - asked, "an answer to Cancel while sampling")
    assert warm.request("hello").wait(timeout=60)["protocol"] == worker.PROTOCOL
    assert warm.pid == pid


def test_cancel_is_answered_while_the_models_load(client):
    pending = client.request("generate", **LONG)
    until(lambda: any("oading" in event.get("message", "") for event in pending.poll()), 120)
    asked = time.monotonic()
    cancel(pending)
    keeps(
        1.0,
        time.monotonic() - asked,
        "an answer to Cancel while torch is imported, which holds Python's lock",
    )


def test_a_request_can_be_cancelled_before_its_turn(warm):
    running, queued = warm.request("generate", **LONG), warm.request("generate", **LONG)
    wait_for_sampling(running)
    cancel(queued)
    assert not any(event["event"] == "error" for event in running.poll())
    cancel(running)


# -- dying
# -------------------------------------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_that_dies_costs_the_running_request_and_a_crash_leaves_its_trace(client, by):
    pending = client.request("generate", **LONG)
    wait_for_sampling(pending)
    first = client.pid
    os.kill(first, by)
    with pytest.raises(errors.WorkerDied, match=f"signal {by:d}") as caught:
        pending.wait(timeout=60)
    log = caught.value.log
    assert by == signal.SIGKILL or "Segmentation fault" in log and "worker.py" in log
    assert not client.running
    with pytest.raises(errors.BadRequest):
        client.request("sing").wait(timeout=60)
    assert client.pid not in (None, first)


@pytest.mark.parametrize(
    "end", ["", pytest.param("time.sleep(600)", marks=POSIX)], ids=["ends", "is killed at work"]
)
def test_a_client_that_ends_takes_its_worker_along(temporary_folder, end):
    code = (
        "import sys, time; from thunder_core.client import Client\n"
        f"c = Client(sys.executable); p = c.request('generate', **{LONG!r})\n"
        "while not any(e.get('fraction', 0) > 0 for e in p.poll()): time.sleep(0.02)\n"
        f"print(c.pid, flush=True)\n{end}"
    )
    host = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    pid = host.stdout.readline().strip()
    if end:
        assert is_alive(pid) and any(temporary_folder.iterdir())
        host.kill()
    assert bool(host.wait(timeout=60)) == bool(end)
    until(lambda: not is_alive(pid))
    assert list(temporary_folder.iterdir()) == []


def test_stop_is_quick_even_in_the_middle_of_work(temporary_folder):
    client = Client(sys.executable)
    pending = client.request("generate", **LONG)
    wait_for_sampling(pending)
    pid, started = client.pid, time.monotonic()
    client.stop()
    keeps(3.0, time.monotonic() - started, "stopping a worker at work")
    assert not is_alive(pid) and list(temporary_folder.iterdir()) == []
    with pytest.raises(errors.ThunderError):
        pending.wait(timeout=60)
    client.stop()


# -- files
# -------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full to fill")
@pytest.mark.parametrize("name", ["take_01_expression.npy", "says.wav"])
def test_a_full_disk_is_a_sentence(warm, tmp_path, name):
    (tmp_path / name).symlink_to("/dev/full")
    arrays = {"expression": np.zeros((25, CHANNELS)), "jaw": np.zeros((25, 3))}
    still = {part: warm.put_array(values) for part, values in arrays.items()}
    verb, given = {
        "says.wav": ("listen", {"voice": None, "out": str(tmp_path / name), **still}),
        "take_01_expression.npy": (
            "generate",
            {"sound": SAMPLE, "takes": 1, "seed": 1, "steps": 2},
        ),
    }[name]
    with pytest.raises(errors.NoSpace, match="No space"):
        warm.request(verb, folder=str(tmp_path), **given).wait(timeout=120)
