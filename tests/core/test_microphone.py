# SPDX-License-Identifier: GPL-3.0-or-later
"""A recording by the real worker from a file played as the device: what was spoken is in the file,
whatever ends it."""

import contextlib
import os
import shutil
import time
import wave

import numpy as np
import pytest
import soundfile
from played_microphone import engine_with
from processes import cancel

from thunder_core import errors
from thunder_core.client import Client
from thunder_core.engine import microphone, worker

pytestmark = pytest.mark.skipif(
    os.name == "nt", reason="the engine's Python is a shell script here"
)
RATE = microphone.RATE


def read(path):
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


@pytest.fixture
def spoken(tmp_path):
    """Two seconds of noise."""
    noise = np.random.default_rng(1).integers(-9000, 9000, 2 * RATE).astype("<i2")
    soundfile.write(tmp_path / "spoken.wav", noise, RATE)
    return tmp_path / "spoken.wav"


@pytest.fixture
def listen(tmp_path, spoken):
    """A client of an engine whose microphone has a fault."""
    with contextlib.ExitStack() as open_clients:
        yield lambda fault="", speed=1.0: open_clients.enter_context(
            Client(engine_with(tmp_path, spoken, fault, speed))
        )


def levels(pending, seconds):
    """The events until so much is recorded."""
    events, end = [], time.monotonic() + 30
    while not (events and events[-1]["seconds"] >= seconds):
        assert time.monotonic() < end and not pending.done, pending.error
        events += [event for event in pending.poll() if event["event"] == "level"]
        time.sleep(0.005)
    return events


def test_what_is_spoken_is_in_the_file_sample_for_sample(listen, spoken, tmp_path):
    client, path = listen(), tmp_path / "out.wav"
    pending = client.request("record", path=str(path))
    events = levels(pending, 1.0)
    assert abs(time.perf_counter() - events[-1]["seconds"] - events[-1]["began"]) < 0.5
    assert (
        all(0 <= event["peak"] <= 1 for event in events)
        and max(event["peak"] for event in events) > 0.2
    )
    client.request("finish").wait(timeout=5)
    result = pending.wait(timeout=5)
    kept = read(path)
    assert (
        result["path"] == str(path)
        and result["ended"] == ""
        and len(kept) == round(result["seconds"] * RATE)
    )
    assert (kept == read(spoken)[: len(kept)]).all() and len(kept) >= RATE


def test_the_file_is_whole_while_it_grows_and_when_the_process_is_killed(listen, spoken, tmp_path):
    client, path = listen("crash:1.2"), tmp_path / "out.wav"
    pending = client.request("record", path=str(path))
    levels(pending, 0.5)
    assert len(read(path)) >= 0.4 * RATE
    with pytest.raises(errors.WorkerDied):
        pending.wait(timeout=10)
    assert (read(path) == read(spoken)[: len(read(path))]).all() and len(read(path)) >= 1.1 * RATE


def test_a_cancelled_recording_stays_on_disk(listen, tmp_path):
    client, path = listen(), tmp_path / "out.wav"
    pending = client.request("record", path=str(path))
    levels(pending, 0.4)
    cancel(pending)
    assert len(read(path)) >= 0.4 * RATE


def test_an_unplugged_microphone_keeps_what_it_recorded(listen, tmp_path):
    path = tmp_path / "out.wav"
    result = listen("lost:0.6").request("record", path=str(path)).wait(timeout=10)
    assert result["ended"] == "lost" and len(read(path)) == round(0.6 * RATE)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("none", "No microphone was found: connect one, and check that the system lists it"),
        ("busy", "The microphone cannot be opened (failed to init device): close other "
                 "programs that record, and check that "
                 "Blender may use the microphone"),
        ("hang", "The microphone does not respond: reconnect it, or choose another in the "
                 "system's settings"),
        ("mute", "The microphone delivers no sound: reconnect it, or choose another in the "
                 "system's settings"),
    ],
)  # fmt: skip
def test_a_microphone_that_cannot_record_says_why_and_leaves_no_file(
    listen, tmp_path, fault, sentence
):
    path = tmp_path / "out.wav"
    with pytest.raises(errors.NoMicrophone) as caught:
        listen(fault).request("record", path=str(path)).wait(timeout=15)
    assert str(caught.value).startswith(sentence) and not path.exists()


def test_the_worker_answers_while_a_driver_hangs(listen, tmp_path):
    client = listen("hang")
    pending = client.request("record", path=str(tmp_path / "out.wav"))
    time.sleep(0.5)
    cancel(pending)


def test_a_disk_that_fills_up_ends_the_recording_and_keeps_it(listen, tmp_path, monkeypatch):
    blocks = microphone.queue.SimpleQueue()
    for _ in range(9):
        blocks.put((0.0, b"\1\0" * 960))
    spaces = iter([10**9] * 5)
    usage = shutil._ntuple_diskusage
    monkeypatch.setattr(
        microphone.shutil, "disk_usage", lambda folder: usage(0, 0, next(spaces, 0))
    )
    seen = []
    about = microphone._write(str(tmp_path / "out.wav"), blocks, microphone.Event(), seen.append)
    assert (
        about["ended"] == "full" and len(read(tmp_path / "out.wav")) == 6 * 960 and len(seen) == 6
    )


def test_a_full_disk_is_refused_before_anybody_speaks(tmp_path, monkeypatch):
    monkeypatch.setattr(
        microphone.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(0, 0, 0)
    )
    with pytest.raises(
        errors.NoSpace, match="No space is left in .* free some, or choose another folder"
    ):
        microphone.record(str(tmp_path / "out.wav"), microphone.Event(), print)


def test_a_system_without_wheels_says_so(monkeypatch):
    lacks = ModuleNotFoundError("No module named 'miniaudio'", name="miniaudio")
    monkeypatch.setattr(worker.platform, "machine", lambda: "aarch64")
    assert str(worker.explain(lacks, "record")).startswith(
        "On this kind of processor Thunder cannot record"
    )
    monkeypatch.setattr(worker.platform, "machine", lambda: "x86_64")
    assert "has no “miniaudio”" in str(worker.explain(lacks, "record"))
