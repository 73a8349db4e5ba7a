# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines spoken into a microphone, which plays a file: where their strips lie, what is kept, what is
said when it cannot be."""

import importlib
import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from performances import write_wav
from played_microphone import engine_with
from thunder.scene.host import compat, jobs
from thunder.scene.host.jobs import session
from thunder.scene.voice import mixdown, recording, strip
from thunder.thunder_core import engine_python, errors, progress
from thunder.thunder_core.client import Client
from timing import until

pytestmark = pytest.mark.skipif(
    os.name == "nt", reason="the engine's Python is a shell script here"
)
operators = importlib.import_module("thunder.operators.add")


@pytest.fixture
def booth(needs_sound, blender, tmp_path, monkeypatch):
    """Makes a recording of a scene at 25 fps, whose microphone has a fault: booth(fault,
    **settings)."""
    monkeypatch.setenv("THUNDER_PYTHON", engine_python.find_engine_python())
    sound = write_wav(
        tmp_path / "spoken.wav", 0.3 * np.random.default_rng(3).standard_normal(4 * 48000), 48000
    )
    scene = blender.context.scene
    scene.render.fps, scene.frame_end = 25, 200
    monkeypatch.setattr(recording.compat, "user_folder", lambda name: tmp_path / name)

    def make(fault="", **settings):
        for name, value in {"countdown": 0, **settings}.items():
            setattr(scene.thunder.recording, name, value)
        return scene, recording.Recording(Client(engine_with(tmp_path, sound, fault)), scene)

    yield make
    jobs.end_job()


def speak(taken, seconds=0.6):
    """What a recording of about so many seconds gives."""
    jobs.begin("Recording", taken.steps(), survives_undo=True)
    try:
        while not session.job.advance():
            if taken.spoken >= seconds:
                recording.stop()
            time.sleep(0.01)
        return session.job.value
    finally:
        jobs.end_job()


def heard(scene, added, folder):
    """What a strip plays, as the engine gets it."""
    path = str(folder / "heard.wav")
    progress.result(mixdown.mix_down(strip.of_strip(scene, added), path))
    return np.frombuffer(Path(path).read_bytes()[44:], np.float32)


def test_a_line_begins_at_the_playhead_and_is_packed_into_a_file_without_a_name(booth, tmp_path):
    scene, taken = booth()
    scene.frame_current = taken.first = 31
    result = speak(taken)
    added = recording.lay(scene, taken, result)
    first, last = compat.strip_span(added)
    assert first == 31 and 31 + 0.6 * 25 <= last <= 31 + 1.5 * 25 and added.channel == 1
    assert (
        Path(result["path"]) == tmp_path / "recordings" / "untitled_voice_01.wav"
        and added.sound.packed_file is not None
    )
    assert heard(scene, added, tmp_path).std() > 0.2


def test_a_marked_range_is_filled_above_the_old_line_and_its_handles_reach_the_rest(
    booth, tmp_path, blender
):
    scene, _ = booth()
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot 3.blend"))
    scene = blender.context.scene
    old = strip.add(scene, str(tmp_path / "spoken.wav"), "old", 35)
    scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = True, 40, 59
    scene, taken = booth(punch_in=True, countdown=1)
    assert (taken.first, taken.last, taken.begin, taken.hold) == (40, 59, 15, 0)
    result = speak(taken, seconds=9)
    added = recording.lay(scene, taken, result)
    assert (
        compat.strip_span(added) == (40, 60) and added.channel == old.channel + 1 and not old.mute
    )
    assert (
        compat.content_start(added) == pytest.approx(40 - 25, abs=2)
        and result["seconds"] > 1 + 20 / 25
    )
    assert added.sound.filepath == "//shot 3_voice_01.wav" and added.sound.packed_file is None
    said = np.frombuffer((tmp_path / "spoken.wav").read_bytes()[44:], "<i2") / 32768
    piece = heard(scene, added, tmp_path)[:4800]
    begin = round((taken.started - result["began"]) * 48000)
    found = int(np.argmax(np.correlate(said, piece)))
    assert abs(found - begin) <= 48, (
        "what plays on the first frame was not said at its time, to a millisecond"
    )
    assert old.mute is False


def test_a_line_begins_with_its_first_frame_though_frames_are_drawn_late(booth, monkeypatch):
    scene, _ = booth()
    scene.frame_set(31)
    scene, taken = booth(countdown=1)
    with monkeypatch.context() as patch:
        patch.setattr(recording.playback, "is_on", lambda: True)
        for frame, drawn in ((6, 40.0), (11, 50.25), (21, 50.61), (31, 51.3)):  # 6: the jump there
            patch.setattr(recording.time, "perf_counter", lambda at=drawn: at)
            scene.frame_set(frame)
            taken._note_frame(scene)
    assert taken.started == pytest.approx(50.61 + 10 / 25)
    result = {"path": taken.path, "began": taken.started - 0.42, "seconds": 2.0}
    write_wav(taken.path, np.zeros(2 * 48000), 48000)
    added = recording.lay(scene, taken, result)
    assert compat.strip_span(added) == (31, 71)
    assert compat.content_start(added) == 31 - 11 and added.sound_offset == pytest.approx(0.02)


def test_who_stops_in_the_countdown_keeps_nothing(booth):
    _, taken = booth(countdown=5)
    jobs.begin("Recording", taken.steps(), survives_undo=True)
    with pytest.raises(errors.Cancelled, match="before it began"):
        while not session.job.advance():
            if taken.motion.level:
                assert session.job.step.message == "Recording in 5"
                recording.stop()
            time.sleep(0.01)
    jobs.end_job()
    until(lambda: not Path(taken.path).exists(), 10)
    assert not recording.is_on()


def test_an_undo_while_somebody_speaks_loses_nothing(booth, blender):
    scene, taken = booth()
    blender.context.preferences.edit.use_global_undo = True
    blender.ops.ed.undo_push(message="before")
    scene.frame_step = 3
    blender.ops.ed.undo_push(message="an edit")
    jobs.begin("Recording", taken.steps(), survives_undo=True)
    while taken.spoken < 0.3:
        session.job.advance()
        time.sleep(0.01)
    blender.ops.ed.undo()
    while not session.job.advance():
        if taken.spoken > 0.6:
            recording.stop()
        time.sleep(0.01)
    scene, result = blender.context.scene, session.job.value
    jobs.end_job()
    assert scene.frame_step == 1 and recording.lay(scene, taken, result) is not None


def test_what_was_spoken_before_a_fault_becomes_a_strip(booth):
    scene, taken = booth("lost:0.7")
    result = speak(taken, seconds=9)
    assert 0.5 * 25 <= np.diff(compat.strip_span(recording.lay(scene, taken, result)))[0] <= 25
    assert result["ended"].endswith("is kept")


@pytest.mark.parametrize(
    "fault, error, sentence",
    [
        *((fault, errors.NoMicrophone, "") for fault in ("none", "busy", "crash:0")),
        (
            "silent",
            errors.BadRequest,
            "Only silence arrives: check that Blender may use the microphone",
        ),
    ],
)
def test_without_a_microphone_or_with_silence_there_is_a_sentence_and_no_file(
    booth, fault, error, sentence, monkeypatch
):
    monkeypatch.setattr(recording, "LISTENED", 0.3)
    _, taken = booth(fault)
    with pytest.raises(error, match=sentence):
        speak(taken, seconds=0.4)
    until(lambda: not Path(taken.path).exists(), 10)


def test_who_stops_at_once_is_not_told_that_the_microphone_is_silent(booth):
    _, taken = booth("silent")
    with pytest.raises(errors.Cancelled, match="stopped before anything was heard"):
        speak(taken, seconds=0.02)
    until(lambda: not Path(taken.path).exists(), 10)


@pytest.mark.parametrize("space", ["SEQUENCE_EDITOR", "VIEW_3D", None])
def test_a_line_goes_into_the_scene_of_the_sequencer_where_that_is_under_the_mouse(space):
    context = SimpleNamespace(scene="shot", sequencer_scene="edit", space_data=None)
    context.space_data = space and SimpleNamespace(type=space)
    wanted = "edit" if space == "SEQUENCE_EDITOR" else "shot"
    assert operators.scene_of(context) == wanted
