# SPDX-License-Identifier: GPL-3.0-or-later
"""The real engine samples the rest of a take around what is kept of it, hears where a text closes the
lips, and finds where an exported take, cut, belongs in its voice."""

import numpy as np
import pytest
from performances import read_wav, write_wav
from running_engine import connection, SAMPLE, scene, speak, stop_engine  # noqa: F401
from thunder.scene.animation import display, keying
from thunder.scene.heads import head
from thunder.scene.takes import take_record, transcript, word_places
from thunder.thunder_core.animation.timing import Clock
from thunder.thunder_core.face.lips import CLOSED_MM, opening_mm
from thunder.thunder_core.progress import result

SAID = (
    "My brother moves both big blue boxes from the front room. Who can forgive such a foolish "
    "thief, and put up with his thunder?"
)


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
    transcript.ensure(scene, voice).text = SAID
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
def cut(blender, scene, tmp_path):
    """A scene with a sampled take of the sample, and its ARKit curves from CUT_SECONDS on: (scene,
    path)."""
    speak(scene)
    scene.thunder.count, path = 1, tmp_path / "Slate_1.csv"
    assert blender.ops.thunder.generate() == {"FINISHED"}
    assert blender.ops.thunder.export_performance(
        filepath=str(path), form="ARKIT", frames="TAKE"
    ) == {"FINISHED"}
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], *lines[1 + round(60 * CUT_SECONDS) :]]))
    return scene, str(path)


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
