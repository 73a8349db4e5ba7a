# SPDX-License-Identifier: GPL-3.0-or-later
"""From a voice to ranked takes, cues and sound again, with the real engine; what goes wrong costs
nothing but the request; the Python API makes the same takes."""

import json
import os
import subprocess
import sys
import time
import wave

import numpy as np
import pytest
from performances import jaws, read_wav, write_wav
from processes import is_alive
from running_engine import connection, ROOT, SAMPLE, scene, speak, stop_engine  # noqa: F401
from thunder.cli import bake as command, products, script
from thunder.cli.options import read_options
from thunder.scene.animation import display, keying
from thunder.scene.engine import connection as connection_module
from thunder.scene.heads import head
from thunder.scene.host import compat, jobs
from thunder.scene.media import export as export_module
from thunder.scene.takes import take_list, take_record, transcript, word_places
from thunder.scene.takes.direction import sliders
from thunder.scene.takes.generation import How, perform
from thunder.scene.voice import strip as strip_module
from thunder.thunder_core import engine_python, errors
from thunder.thunder_core.animation.timing import Clock
from thunder.thunder_core.face.moving.lips import opening_mm
from thunder.thunder_core.progress import result
from thunder.thunder_core.request import Request
from thunder.thunder_core.shipped import SAMPLE_TEXT
from thunder.thunder_core.types import CLOSED_MM
from timing import keeps


def contents(bpy):
    """Names of everything in the file, and what is on the heads: what must not change when
    something fails."""
    kinds = (
        "scenes",
        "objects",
        "meshes",
        "actions",
        "armatures",
        "materials",
        "sounds",
        "shape_keys",
        "worlds",
    )
    names = {kind: sorted(block.name for block in getattr(bpy.data, kind)) for kind in kinds}
    names["takes"] = [entry.name for entry in bpy.context.scene.thunder.takes]
    names["animated"] = sorted(
        (block.name, getattr(block.animation_data.action, "name", ""))
        for block in (*bpy.data.objects, *bpy.data.shape_keys)
        if block.animation_data
    )
    scene = bpy.context.scene
    names["frames"] = (scene.frame_current, scene.frame_start, scene.frame_end)
    strips = compat.strips(scene.sequence_editor) if scene.sequence_editor else []
    names["strips"] = sorted((strip.name, strip.mute, strip.channel) for strip in strips)
    return names


def test_a_strip_becomes_ranked_takes_and_is_heard_again(blender, scene, connection):
    scene.render.fps, scene.render.fps_base = 30, 1.001
    speak(scene, start=41)
    assert blender.ops.thunder.generate() == {"FINISHED"}
    listed = list(scene.thunder.takes)
    assert len(listed) == 2 and {entry.seed for entry in listed} == {11, 12}
    assert [entry.score for entry in listed] == sorted(
        (entry.score for entry in listed), reverse=True
    )
    assert scene.thunder.active_take == 0 and all(0 <= entry.score <= 100 for entry in listed)
    first, second = sorted(listed, key=lambda entry: entry.seed)
    assert first.words == "as directed" and "hits " in second.words
    assert "hits" in second.action["thunder"]["choice"], "also in the file"
    with wave.open(SAMPLE) as file:
        seconds = file.getnframes() / file.getframerate()
    assert listed[0].first == 41 and abs(listed[0].last - (41 + seconds * 30 / 1.001)) < 3
    angles = jaws(scene, head.find(scene), range(listed[0].first, listed[0].last, 2))
    assert np.ptp([*angles.values()]) > 0.01  # the mouth moves
    for entry in listed:
        assert {"seed", "score", "weights", "audio", "quality"} <= set(
            entry.action["thunder"].keys()
        )
    if strip_module.has_audio():
        assert blender.ops.thunder.listen() == {"FINISHED"}
        spoken = next(
            s for s in compat.strips(scene.sequence_editor) if s.name.startswith("Thunder Listen")
        )
        first, last = compat.strip_span(spoken)
        assert (
            spoken.mute
            and spoken.sound.packed_file
            and first == 41
            and abs(last - listed[0].last) <= 2
        )
        assert [s.name for s in strip_module.sound_strips(scene)] == ["line"]
    pid, folder = connection.client().pid, connection.client().folder
    kept = [name for name in os.listdir(folder) if name.endswith((".wav", ".npy"))]
    # the voice, kept for the next time
    assert len(kept) <= 1 and all(name.startswith("voice_cache_") for name in kept)
    connection.stop()
    assert not os.path.exists(folder) and not is_alive(pid)


def one_sentence(caught):
    text = str(caught.value).strip()
    assert (
        text.startswith("Error: ")
        and "\n" not in text
        and "Traceback" not in text
        and len(text) < 320
    )


def no_head(bpy, scene):
    scene.thunder.head = None
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)


def strange_head(bpy, scene):
    scene.thunder.head = bpy.data.objects.new("Cube", bpy.data.meshes.new("Cube"))
    scene.collection.objects.link(scene.thunder.head)


def engine_at(path):
    return lambda bpy, scene: setattr(connection_module.preferences(), "engine_python", path)


@pytest.mark.parametrize(
    "spoil, said",
    [
        (None, "no sound strip"),
        (no_head, "No head is selected"),
        (strange_head, "no shape keys that Thunder knows"),
        (engine_at("/nowhere/python"), "no Python at"),
        (engine_at(sys.executable), "engine|install"),
    ],
)
def test_what_is_missing_is_said_and_changes_nothing(blender, scene, connection, spoil, said):
    if spoil:
        speak(scene)
        spoil(blender, scene)
    before = contents(blender)
    try:
        with pytest.raises(RuntimeError, match=said) as caught:
            blender.ops.thunder.generate()
    finally:
        connection.preferences().engine_python = ""
    one_sentence(caught)
    assert contents(blender) == before


def sound_files(connection):
    """Names of the sounds and requests in the folder that the engine is given."""
    folder = connection.client().folder
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return {name for name in names if name.endswith(".wav") or name.startswith("request")}


def half_way(scene, connection, context):
    """A generation that has begun to sample."""
    how = How(Request(4, 1, steps=100), None)
    voice = strip_module.find(context)
    steps = perform(connection.client(), scene, head.find(scene), voice, how)
    running = jobs.begin("Generating takes", steps)
    while running.step.fraction < 0.2:
        assert not running.advance()
        time.sleep(0.01)
    return running


def test_cancelling_is_quick_and_changes_nothing(blender, scene, connection):
    speak(scene)
    before = contents(blender)
    left = sound_files(connection)  # of voices that earlier requests came to their end with
    running = half_way(scene, connection, blender.context)
    start = time.perf_counter()
    assert blender.ops.thunder.cancel() == {"FINISHED"}
    with pytest.raises(errors.Cancelled):
        running.advance()
    jobs.end_job()
    keeps(0.5, time.perf_counter() - start, "cancelling")
    assert contents(blender) == before and connection.client().running
    assert sound_files(connection) <= left
    assert blender.ops.thunder.generate() == {"FINISHED"}


# ---- cues


SAID = "My brother moves both big blue boxes from the front room."  # how the sample begins


def export(blender, form, path, **more):
    return blender.ops.thunder.export_performance(filepath=str(path), form=form, **more)


def table_of(path):
    """Rows of a cue file: (start, end, kind, value)."""
    head_row, *lines = path.read_text(encoding="utf-8").splitlines()
    assert head_row == "start\tend\tkind\tvalue"
    split = [line.split("\t") for line in lines]
    return [(float(start), float(end), kind, value) for start, end, kind, value in split]


@pytest.mark.one_blender
def test_the_panel_writes_cues_of_a_take_and_says_what_it_needs(
    blender,
    scene,
    tmp_path,  # noqa: F811
):
    line = speak(scene, start=13)
    if line is None:
        pytest.skip("this Blender has no sound")
    scene.render.fps = 24
    with pytest.raises(RuntimeError, match="the sounds of “line” in frames 1 to 250: choose that"):
        export(blender, "CUES", tmp_path / "no.tsv", frames="SCENE")
    transcript.ensure(scene, "line").text = SAID
    assert blender.ops.thunder.generate() == {"FINISHED"}
    entry = take_list.shown_take(scene.thunder)
    assert export(blender, "CUES", tmp_path / "line.tsv", frames="TAKE") == {"FINISHED"}
    rows = table_of(tmp_path / "line.tsv")
    [found] = word_places.lines(scene, scene)
    late = (13 - entry.first) / 24  # the file begins with the take's lead-in
    sounds = [row for row in rows if row[2] == "sound"]
    assert [row[3] for row in sounds] == [each[0] for each in found.spoken.sounds]
    assert sounds[0][0] == pytest.approx(found.spoken.sounds[0][1] + late, abs=2e-3)
    assert [row[3] for row in rows if row[2] == "word"] == SAID.rstrip(".").split()
    # in the scene's own time; words found in another strip of the recording are not looked at
    record, other = transcript.of(scene, "line"), transcript.ensure(scene, "again")
    other.recording, other.spoken, other.version = record.recording, record.spoken, record.version
    assert export(blender, "RHUBARB", tmp_path / "line.json", frames="TAKE", from_zero=False) == {
        "FINISHED"
    }
    mouths = json.loads((tmp_path / "line.json").read_text())["mouthCues"]
    shapes = [row for row in rows if row[2] == "shape"]
    assert [mouth["value"] for mouth in mouths] == [row[3] for row in shapes]
    assert mouths[0]["start"] - shapes[0][0] == pytest.approx(entry.first / 24, abs=6e-3)
    # lips are shut where it says A, and open where it says D
    shot = export_module.Shot(scene, None, head.find(scene), entry.first, entry.last, 25.0)
    seen = opening_mm(export_module.motion_of(shot))
    gap = {
        letter: np.median(
            [seen[round((row[0] + row[1]) / 2 * 25)] for row in shapes if row[3] == letter]
        )
        for letter in ("A", "D")
    }
    assert gap["A"] < 1.0 and gap["D"] > 8.0


@pytest.mark.one_blender
def test_a_bake_writes_cues_and_vrm_animation_of_every_take(
    blender,
    connection,
    tmp_path,
    monkeypatch,  # noqa: F811
):
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    arguments = [
        "--audio", SAMPLE, "--takes", "2", "--outputs", "cues,rhubarb,vrma", "--out",
        str(tmp_path / "out"),
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["bake.py", *arguments])
    assert script.exit_code("bake.py", read_options, command.bake) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {f"take_0{n}.{end}" for n in (1, 2) for end in ("tsv", "json", "vrma")} <= names
    mouths = json.loads((tmp_path / "out" / "take_01.json").read_text())
    assert mouths["metadata"]["soundFile"] == "sample.wav"
    assert {"A", "B", "D", "X"} <= {mouth["value"] for mouth in mouths["mouthCues"]}
    rows = table_of(tmp_path / "out" / "take_01.tsv")
    assert any(row[2:] == ("sound", "M") for row in rows)


# ---- the Python API


PERFORM = """
import json, sys
import thunder_core as thunder
sound, out, settings = sys.argv[1:]
takes = thunder.perform(thunder.load(sound), **json.loads(settings))
for rank, take in enumerate(takes, start=1):
    take.save(f"{out}/api_{rank:02d}.npz")
    take.save(f"{out}/api_{rank:02d}.csv")
print([take.seed for take in takes])
"""


def performed(voice, folder, **settings):
    """Save takes of the Python API, made by the engine's Python, as api_01.npz …; their seeds, best
    take first."""
    done = subprocess.run(
        [
            engine_python.find_engine_python(),
            "-c",
            PERFORM,
            str(voice),
            str(folder),
            json.dumps(settings),
        ],
        capture_output=True,
        text=True,
        timeout=150,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.one_blender
def test_the_api_makes_the_takes_of_the_panel_bit_for_bit(blender, scene, tmp_path):
    samples, rate = read_wav(SAMPLE)
    voice = write_wav(tmp_path / "Anna.wav", samples[8000 : 8000 + 2 * rate], rate)
    scene.thunder.property_unset("seed")
    scene.thunder.source, scene.thunder.sound_file = "FILE", str(voice)
    sliders.ensure(head.find(scene).owner).mood = "warm"
    assert blender.ops.thunder.generate() == {"FINISHED"}
    entries = list(scene.thunder.takes)
    assert performed(voice, tmp_path, takes=2, mood="warm") == [entry.seed for entry in entries]
    for rank, entry in enumerate(entries, start=1):
        products.write_npz(str(tmp_path / "panel.npz"), take_record.load(entry.action))
        assert (tmp_path / "panel.npz").read_bytes() == (
            tmp_path / f"api_{rank:02d}.npz"
        ).read_bytes()
    with np.load(tmp_path / "panel.npz") as take:
        assert np.ptp(take["jaw"][:, 0]) > 0.02


# ---- around what is kept of a take; where a text closes lips; where a take belongs


@pytest.fixture
def take(blender, scene):
    """A sampled take of the sample, shown: (scene, rig, its entry)."""
    speak(scene)
    scene.thunder.count = 1
    assert blender.ops.thunder.generate() == {"FINISHED"}
    return scene, head.find(scene), scene.thunder.takes[0]


@pytest.mark.parametrize("text, marked", [("room", True), ("both", True), ("room", False)])
def test_a_retaken_word_shuts_its_lips_where_its_performance_does(blender, take, text, marked):
    """At 24 frames a second, whose keys lie between the rows that are sampled."""
    scene, rig, entry = take
    lead, voice = entry.action.name, entry.voice
    transcript.ensure(scene, voice).text = SAMPLE_TEXT
    blender.ops.thunder.find_words()
    line = word_places.line(blender.context)
    word = next(word for word in line.spoken.words if word.text.startswith(text))
    scene.frame_set(round(line.origin + (word.start + word.end) / 2 * line.fps))
    place = word_places.current(blender.context)
    if marked:
        blender.ops.thunder.mark_word(kind="closed")
    assert blender.ops.thunder.retake(what="WORD") == {"FINISHED"}
    made = [each for each in scene.thunder.takes if each.action.name != lead]
    assert len(made) == 8
    for each in made:
        sampled = take_record.opening_of(each.action)
        gap, frames = keyed_opening(scene, each), np.arange(*place.frames) + 1
        rows = take_record.clock_of_take(each).seconds(frames) * 25
        shut = np.maximum(sampled[np.floor(rows).astype(int)], sampled[np.ceil(rows).astype(int)])
        assert (gap[frames] < CLOSED_MM)[shut < 0.1].all()
        assert not marked or (gap[frames[1:-1]] < CLOSED_MM).all()
        assert np.abs(np.diff(gap[frames[0] - 5 : frames[-1] + 6])).max() < 6, "lips pop"


def keyed_opening(scene, entry):
    """The opening that the keys of a take play, mm, on scene frame 0 and each one after it."""
    rig, clock = head.find(scene), Clock.of(scene, 0)
    display.show(rig, entry)
    seconds = (entry.last + 1) / clock.fps
    motion = result(keying.read(rig, head.channel_names(), clock, seconds))
    rows = np.arange(entry.last + 1) / clock.fps * 25
    return np.interp(rows, np.arange(motion.frames), opening_mm(motion))


CUT_SECONDS = 0.6


@pytest.fixture
def cut(blender, take, tmp_path):
    """A scene with a sampled take of the sample, and its ARKit curves from CUT_SECONDS on: (scene,
    path)."""
    path = tmp_path / "Slate_1.csv"
    assert blender.ops.thunder.export_performance(
        filepath=str(path), form="ARKIT", frames="TAKE"
    ) == {"FINISHED"}
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], *lines[1 + round(60 * CUT_SECONDS) :]]))
    return take[0], str(path)


@pytest.mark.slow
@pytest.mark.parametrize("with_sound", [False, True])
def test_a_capture_is_put_where_it_belongs(blender, cut, tmp_path, with_sound):
    scene, path = cut
    if with_sound:
        samples, rate = read_wav(SAMPLE)
        heard = samples[round(CUT_SECONDS * rate) :]
        write_wav(
            tmp_path / "Slate_1.wav",
            0.5 * heard + 0.01 * np.random.default_rng(0).standard_normal(len(heard)),
            rate,
        )
    assert blender.ops.thunder.import_capture(filepath=path) == {"FINISHED"}
    one, two = (
        next(each for each in scene.thunder.takes if each.kind == kind)
        for kind in ("SAMPLED", "CAPTURED")
    )
    was, now = (take_record.load(each.action).motion.jaw[:, 0] for each in (one, two))
    after = slice(round(25 * CUT_SECONDS) + 2, -3)
    r = [np.corrcoef(was[after], np.roll(now, -shift)[after])[0, 1] for shift in (-2, -1, 0, 1, 2)]
    assert np.argmax(r) in (1, 2, 3) and max(r) > 0.97
    assert two.score > 50  # 8 where lips are three frames off


# ---- a Python that the preferences name


@pytest.fixture
def environment(connection, tmp_path):
    """The folder of an environment whose Python is the engine's and leaves a mark when it is
    run."""
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    real = engine_python.find_engine_python()
    python.write_text(f'#!/bin/sh\ntouch "{tmp_path}/was_run"\nexec "{real}" "$@"\n')
    python.chmod(0o755)
    connection.stop()
    yield tmp_path / "env"
    connection.preferences().engine_python = ""
    connection.stop()


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for the Python")
@pytest.mark.parametrize(
    "named",
    [
        pytest.param("{}", id="environment", marks=pytest.mark.one_blender),
        pytest.param("{}/bin/python", id="executable", marks=pytest.mark.one_blender),
        pytest.param("//env", id="beside the file"),
    ],
)
def test_the_python_that_is_named_runs_the_engine(blender, connection, environment, named):
    if named.startswith("//") and blender.app.version >= (5, 0):
        pytest.skip("from 5.0 on Blender offers no path beside the file here")
    blender.ops.wm.save_as_mainfile(filepath=str(environment.parent / "shot.blend"))
    connection.preferences().engine_python = named.format(environment)
    assert connection.current_python() == (str(environment / "bin" / "python"), "")
    beside = f"{environment.parent}/env" if named.startswith("//") else named.format(environment)
    assert connection.recorder().python == beside
    assert blender.ops.thunder.check_engine() == {"FINISHED"}
    assert connection.running_engine()["device"] and (environment.parent / "was_run").exists()


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for the Python")
@pytest.mark.one_blender
def test_the_engine_that_a_bake_names_comes_before_all_others(
    blender, connection, environment, tmp_path, monkeypatch
):
    """Before that of the preferences and of THUNDER_PYTHON."""
    connection.preferences().engine_python = sys.executable
    monkeypatch.setenv("THUNDER_PYTHON", engine_python.find_engine_python())
    named = str(environment / "bin" / "python")
    client = command.client_of(str(environment), None)
    jobs.run_through("Asking", connection.ask(client, "hello", (0.0, 1.0), "Starting engine"))
    assert (tmp_path / "was_run").exists()
    assert engine_python.find_engine_python(str(environment)) == named
