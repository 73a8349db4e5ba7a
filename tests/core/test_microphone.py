# SPDX-License-Identifier: GPL-3.0-or-later
"""A recording by the real worker from a file played as the device: what was spoken is in the file,
whatever ends it."""

import contextlib
import os
import queue
import re
import shutil
import threading
import time
import wave

import numpy as np
import pytest
import soundfile
from played_microphone import engine_with
from processes import cancel
from timing import until

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
def out(tmp_path):
    return tmp_path / "out.wav"


@pytest.fixture
def record(tmp_path, spoken, out):
    """Asks an engine whose microphone has a fault for a recording: (its client, the request)."""
    with contextlib.ExitStack() as open_clients:

        def run(fault="", path=out, name=""):
            client = open_clients.enter_context(Client(engine_with(tmp_path, spoken, fault, 1.0)))
            return client, client.request("record", path=str(path), microphone=name)

        yield run


def levels(pending, seconds):
    """The events until so much is recorded."""
    events = []
    until(
        lambda: (
            events.extend(event for event in pending.poll() if event["event"] == "level")
            or pending.done
            or (events and events[-1]["seconds"] >= seconds)
        )
    )
    assert not pending.done, pending.error
    return events


def test_what_is_spoken_is_in_the_file_sample_for_sample(record, spoken, out):
    client, pending = record()
    events = levels(pending, 1.0)
    assert abs(time.perf_counter() - events[-1]["seconds"] - events[-1]["began"]) < 0.5
    peaks = [event["peak"] for event in events]
    assert min(peaks) >= 0 and 0.2 < max(peaks) <= 1
    client.request("finish").wait(timeout=5)
    result, kept = pending.wait(timeout=5), read(out)
    assert result["path"] == str(out) and result["ended"] == ""
    assert len(kept) == round(result["seconds"] * RATE) >= RATE
    assert (kept == read(spoken)[: len(kept)]).all()


def test_a_recording_begins_when_its_first_sample_was_spoken_though_blocks_arrive_late(out):
    blocks, stop = queue.SimpleQueue(), threading.Event()
    for number, late in enumerate((0.2, 0.03, 0.3, 0.1), start=1):
        blocks.put((100.0 + 0.1 * number + late, bytes(2 * RATE // 10)))
    on_level = lambda level: stop.set() if level["seconds"] > 0.25 else None  # noqa: E731
    result = microphone._write(str(out), blocks, stop, on_level)
    assert result["began"] == pytest.approx(100.03) and result["seconds"] == pytest.approx(0.4)


def test_the_file_is_whole_while_it_grows_and_when_the_process_is_killed(record, spoken, out):
    _, pending = record("crash:1.2")
    levels(pending, 0.5)
    assert len(read(out)) >= 0.4 * RATE
    with pytest.raises(errors.WorkerDied):
        pending.wait(timeout=10)
    kept = read(out)
    assert (kept == read(spoken)[: len(kept)]).all() and len(kept) >= 1.1 * RATE


def test_a_cancelled_recording_stays_on_disk(record, out):
    _, pending = record()
    levels(pending, 0.4)
    cancel(pending)
    assert len(read(out)) >= 0.4 * RATE


def test_an_unplugged_microphone_keeps_what_it_recorded(record, out):
    assert record("lost:0.6")[1].wait(timeout=10)["ended"] == "lost"
    assert len(read(out)) == round(0.6 * RATE)


def test_the_microphone_that_is_chosen_records(record, out):
    client, other = record(name="Desk")  # which hears nothing
    levels(other, 0.4)
    client.request("finish").wait(timeout=10)
    assert not other.wait(timeout=10)["peak"]
    assert client.request("microphones").wait(timeout=10) == {"names": ["Booth", "Desk"]}
    with pytest.raises(errors.NoMicrophone, match="^“Radio” is not connected: connect it, or"):
        record(name="Radio", path=out.with_name("other.wav"))[1].wait(timeout=20)


FAULTS = {
    "none": "No microphone was found: connect one, and check that the system lists it",
    "busy": "The microphone cannot be opened (failed to init device): close other programs that "
            "record, and check that the system lets this one use the microphone",
    "hang": "The microphone does not respond: reconnect it, or choose another in the system's "
            "settings",
    "mute": "The microphone delivers no sound: reconnect it, or choose another in the system's "
            "settings",
}  # fmt: skip


def test_a_microphone_that_cannot_record_says_why_and_leaves_no_file(record, tmp_path):
    """All at once, since two of them are waited for."""
    asked = {fault: record(fault, tmp_path / f"{fault}.wav")[1] for fault in FAULTS}
    for fault, sentence in FAULTS.items():
        with pytest.raises(errors.NoMicrophone, match=f"^{re.escape(sentence)}"):
            asked[fault].wait(timeout=20)
        assert not (tmp_path / f"{fault}.wav").exists()


def test_the_worker_answers_while_a_driver_hangs(record):
    _, pending = record("hang")
    time.sleep(0.5)
    cancel(pending)


def test_a_disk_that_fills_up_ends_the_recording_and_keeps_it(out, monkeypatch):
    blocks, spaces, seen = microphone.queue.SimpleQueue(), iter([10**9] * 5), []
    for _ in range(9):
        blocks.put((0.0, b"\1\0" * 960))
    usage = shutil._ntuple_diskusage
    monkeypatch.setattr(
        microphone.shutil, "disk_usage", lambda folder: usage(0, 0, next(spaces, 0))
    )
    about = microphone._write(str(out), blocks, microphone.Event(), seen.append)
    assert about["ended"] == "full" and len(read(out)) == 6 * 960 and len(seen) == 6


def test_a_full_disk_is_refused_before_anybody_speaks(tmp_path, monkeypatch):
    monkeypatch.setattr(
        microphone.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(0, 0, 0)
    )
    with pytest.raises(
        errors.NoSpace, match="No space is left in .* free some, or choose another folder"
    ):
        microphone.record(str(tmp_path / "out.wav"), "", microphone.Event(), print)


def test_a_system_without_wheels_says_so(monkeypatch):
    lacks = ModuleNotFoundError("No module named 'miniaudio'", name="miniaudio")
    monkeypatch.setattr(worker.platform, "machine", lambda: "aarch64")
    assert str(worker.explain_failure(lacks, "record")).startswith(
        "On this kind of processor Thunder cannot record"
    )
    monkeypatch.setattr(worker.platform, "machine", lambda: "x86_64")
    assert "has no “miniaudio”" in str(worker.explain_failure(lacks, "record"))
