# SPDX-License-Identifier: GPL-3.0-or-later
"""A captured face becomes a take beside the sampled ones, where it belongs in the voice; bad files
are refused with a sentence."""

import math
import os
import subprocess

import bpy
import numpy as np
import pytest
from performances import noise, performance, write_wav
from thunder.scene.heads import head
from thunder.scene.takes import grades, mix, take_list, take_record, voice_fit
from thunder.scene.voice import strip
from thunder.thunder_core import engine_python, progress
from thunder.thunder_core.animation import livelink, motion_file

SECONDS = 3.0


@pytest.fixture
def line(needs_sound, scene, rig, client, play, voice):
    """A head with a line of three seconds at frame 10, and one sampled take of it, shown."""
    play(client)
    strip.add(scene, noise(voice, SECONDS), "line", 10)
    scene.thunder.count = 1
    assert bpy.ops.thunder.generate() == {"FINISHED"}


def write(path, seconds=SECONDS, rate=60.0):
    """A capture of `performance` as a .csv of Live Link Face."""
    rows = livelink.table(performance(seconds=seconds).motion, head.channel_names())
    at = np.arange(0, (len(rows) - 1) / 25 + 1e-9, 1 / rate)
    rows = np.stack([np.interp(at, np.arange(len(rows)) / 25, column) for column in rows.T], 1)
    with open(path, "w", encoding="ascii") as file:
        livelink.write(file, rows, 12.5, rate)
    return str(path)


def captured_take(scene):
    return next(entry for entry in scene.thunder.takes if entry.kind == "CAPTURED")


def test_a_capture_is_a_take_beside_the_sampled_one(blender, line, scene, rig, tmp_path):
    assert blender.ops.thunder.import_capture(filepath=write(tmp_path / "Slate_1.csv")) == {
        "FINISHED"
    }
    entry = captured_take(scene)
    assert (entry.name, entry.voice, entry.head, entry.role) == (
        "Slate_1",
        "line",
        rig.mesh,
        "SPEAKS",
    )
    assert entry.score == 51.0 and len(take_record.sync_of(entry.action)) == 75
    assert grades.of_take(entry).name == "check" and not grades.has_old_score(entry)
    assert (
        take_list.shown_take(scene.thunder) == entry
        and len(take_list.visible_places(blender.context)) == 2
    )
    assert (entry.first, entry.last) == (scene.thunder.takes[0].first, scene.thunder.takes[0].last)
    assert "Captured from a face, Slate_1.csv" in entry.tooltip
    made = take_record.load(entry.action).motion
    wanted = performance(seconds=SECONDS).motion
    for part in ("expression", "jaw", "head", "eyes"):
        # a frame's closure is softened
        assert getattr(made, part)[1:-2] == pytest.approx(getattr(wanted, part)[1:-2], abs=0.1), (
            part
        )
    assert np.abs(made.expression - wanted.expression)[:-2].max() < 5e-3


def test_a_take_of_ours_comes_back_exactly(blender, line, scene, tmp_path):
    motion = performance(seconds=SECONDS).motion
    np.savez(tmp_path / "take_01.npz", **motion_file.arrays(motion, head.channel_names()))
    assert blender.ops.thunder.import_capture(filepath=str(tmp_path / "take_01.npz")) == {
        "FINISHED"
    }
    made = take_record.load(captured_take(scene).action).motion
    assert all(
        np.array_equal(getattr(made, part), getattr(motion, part))
        for part in ("expression", "jaw", "head", "eyes")
    )


@pytest.mark.parametrize("found, begins", [(0.8, 20), (-0.8, -20)])
def test_it_begins_where_it_fits_the_voice(blender, line, scene, client, tmp_path, found, begins):
    client.place = {"seconds": found, "sure": 1.4, "by": "mouth"}
    blender.ops.thunder.import_capture(filepath=write(tmp_path / "a.csv"))
    brow = head.channel_names().index("browInnerUp")
    made, wanted = (
        each.expression[:, brow]
        for each in (take_record.load(captured_take(scene).action).motion, performance(3.0).motion)
    )
    first, last = max(0, -begins), min(75, 75 - begins) - 2
    assert made[first + begins : last + begins] == pytest.approx(wanted[first:last], abs=5e-3)
    assert abs(made[-1 if begins < 0 else 0]) < 0.01  # at rest where it has nothing


def test_the_sound_beside_it_is_asked_and_an_unsure_place_is_the_beginning_and_said(
    blender, line, client, tmp_path
):
    client.place = {"seconds": 0.8, "sure": 0.2, "by": "mouth"}
    recorded = write_wav(tmp_path / "a.wav", np.zeros(8000))
    steps = voice_fit.list_capture(client, blender.context, write(tmp_path / "a.csv"), 60.0)
    entered = progress.result(steps)
    assert next(args for verb, args in client.asked if verb == "align")["recorded"] == recorded
    assert (
        entered.place.seconds == 0.0 and "neither its sound nor its mouth" in entered.place.sentence
    )
    assert (
        voice_fit.CapturePlace(0.5, 1.2, "sound").sentence
        == "begins +0.50 s from the beginning of the voice, found by its sound"
    )
    unsure = voice_fit.CapturePlace(-0.5, 0.7, "mouth").sentence
    assert "probably" in unsure and "-0.50 s" in unsure
    assert voice_fit.CapturePlace(0.4).sentence == "begins +0.40 s from the beginning of the voice"


def test_without_a_voice_it_begins_at_the_playhead(blender, scene, tmp_path):
    scene.frame_set(40)
    assert blender.ops.thunder.import_capture(filepath=write(tmp_path / "a.csv")) == {"FINISHED"}
    entry = captured_take(scene)
    assert entry.first == 40 and math.isnan(entry.score) and entry.voice == "a"


def test_our_mouth_with_the_actors_brows_is_one_button_and_clearing_takes_keeps_the_capture(
    blender, line, scene, tmp_path
):
    sampled = scene.thunder.takes[0].action
    blender.ops.thunder.import_capture(filepath=write(tmp_path / "a.csv"))
    assert mix.chosen_take(blender.context, "mouth").action == sampled and take_list.holds_work(
        captured_take(scene)
    )
    assert blender.ops.thunder.mix_takes() == {"FINISHED"}
    made = next(entry for entry in scene.thunder.takes if entry.kind == "MIXED")
    assert dict(made.action["thunder"]["mixed"]) == {
        "mouth": "Take 1",
        "upper_face": "a",
        "eyes": "a",
        "head": "a",
    }
    assert take_list.shown_take(scene.thunder) == made


def test_a_listeners_capture_has_no_score(blender, line, scene, client, tmp_path):
    blender.ops.thunder.add_head()
    scene.thunder.head, scene.thunder.voice, scene.thunder.head_role = (
        head.in_scene(scene)[1],
        "line",
        "LISTENS",
    )
    client.place = {"seconds": 0.8, "sure": 1.4, "by": "mouth"}
    blender.ops.thunder.import_capture(filepath=write(tmp_path / "a.csv"))
    entry = captured_take(scene)
    assert entry.role == "LISTENS" and math.isnan(entry.score) and entry.first == 10
    # where it was: a mouth that listens tells no place
    assert take_record.load(entry.action).motion.jaw[25, 0] < 0.1


def test_a_rate_that_no_column_tells_is_asked_for_and_what_was_read_is_said(
    blender, line, scene, client, tmp_path
):
    path, whole = str(tmp_path / "short.csv"), write(tmp_path / "a.csv")
    with open(whole) as file, open(path, "w") as short:
        short.writelines(file.readlines()[:26])
    with pytest.raises(RuntimeError, match="stays within one second: set Frames per Second"):
        blender.ops.thunder.import_capture(filepath=path)
    assert len(scene.thunder.takes) == 1
    assert blender.ops.thunder.import_capture(filepath=path, rate=60.0) == {"FINISHED"}
    read = progress.result(voice_fit.list_capture(client, blender.context, whole, 0.0)).read
    assert read == "“a.csv” was read at 60 frames a second, by its column “Timecode”"


@pytest.mark.parametrize("name, text, sentence", [
    ("gone.csv", None, "cannot be read"),
    ("empty.csv", "", "it is empty"),
    ("table.csv", "a,b\n1,2\n", "has no columns of ARKit"),
    ("nan.csv", "Timecode,JawOpen\n00:00:00:00.0,nan\n", "values that are not numbers"),
    ("notes.txt", "notes", "is no recording: choose"),
    ("other.npz", "no zip", "other.npz"),
])  # fmt: skip
def test_a_bad_file_changes_nothing(blender, line, scene, tmp_path, name, text, sentence):
    if text is not None:
        (tmp_path / name).write_text(text)
    before = take_list.shown_take(scene.thunder).action, len(blender.data.actions)
    with pytest.raises(RuntimeError, match=sentence):
        blender.ops.thunder.import_capture(filepath=str(tmp_path / name))
    assert (take_list.shown_take(scene.thunder).action, len(blender.data.actions)) == before


def test_a_video_without_what_follows_faces_gets_a_sentence(
    blender, line, scene, tmp_path, monkeypatch
):
    monkeypatch.setenv("THUNDER_TRACKER", str(tmp_path / "none"))
    (tmp_path / "actor.mp4").write_bytes(b"video")
    with pytest.raises(RuntimeError, match="There is no Python at"):
        blender.ops.thunder.import_capture(filepath=str(tmp_path / "actor.mp4"))
    assert len(scene.thunder.takes) == 1


def test_a_video_of_an_actor_is_a_take(blender, line, scene, tmp_path, monkeypatch):
    """A drawn head, followed by MediaPipe in its own environment."""
    python = engine_python.find_tracker()
    wanted = performance(seconds=SECONDS).motion
    np.savez(tmp_path / "take.npz", **motion_file.arrays(wanted, head.channel_names()))
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    subprocess.run(
        [python, "-m", "research.faces.films", tmp_path / "take.npz", tmp_path, "squeezed"],
        cwd=root, check=True, capture_output=True,
    )  # fmt: skip
    path, asked = str(tmp_path / "take" / "squeezed.avi"), []
    follow = voice_fit.follow_face

    def kept(*arguments):
        motion, notes = yield from follow(*arguments)
        asked.append((arguments[1:], notes))
        return motion, notes

    monkeypatch.setattr(voice_fit, "follow_face", kept)
    assert blender.ops.thunder.import_capture(filepath=path) == {"FINISHED"}
    [(how, notes)] = asked
    assert how == (False, 0.0) and "as Pixel Aspect" in notes[0]
    entry = captured_take(scene)
    made = take_record.load(entry.action).motion
    assert entry.name == "squeezed" and made.frames == wanted.frames
    assert made.expression.std(0).max() > 0.02
