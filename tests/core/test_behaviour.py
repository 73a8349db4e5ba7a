# SPDX-License-Identifier: GPL-3.0-or-later
"""Moods are files: what is wrong in one is said in a sentence, a new one is one file more, and takes
of earlier moods are read as they were."""

import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from memory import held_at_most
from mood_file import copy_with, FREE, of_sad, ROOT
from timing import keeps

from research.train.teacher_mouth import cues_of, Part, SpeakingMouth
from thunder_core import behaviour, own_files
from thunder_core.behaviour import read_mood, read_moods
from thunder_core.direction import (
    AXES,
    CHOICES,
    Direction,
    DIRECTION_NAMES,
    DirectionRequest,
    MOODS,
)
from thunder_core.direction_words import words_of_request
from thunder_core.errors import BadRequest
from thunder_core.face.points import bundled_articulators
from thunder_core.request import DRAFT, Request
from thunder_core.types import pack

SLIDERS = [axis.name for axis in AXES]


def test_moods_keep_the_numbers_by_which_files_know_them():
    names = "neutral warm amused sad tense angry afraid surprised disgusted contemptuous doubtful"
    known = {name: number for number, name in enumerate([*names.split(), "bored", "as heard"])}
    assert known.items() <= {name: mood.number for name, mood in CHOICES.items()}.items()


def test_moods_may_move_what_the_head_and_the_teacher_have():
    head = set(bundled_articulators().names)
    assert all({name, name + "Left"} & head for name in behaviour.CHANNELS)
    silent = SpeakingMouth(*np.zeros((8, 25)))
    cues = cues_of(np.zeros(100, int), silent, [], 1.0, np.random.default_rng(1))
    for mood in MOODS.values():
        for part in (Part(*row) for row in mood.mouth):
            assert part.channel in behaviour.CHANNELS and part.cue in cues
            assert 0 < part.amount <= 1 and part.leaning in ("", "leaning")


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"sliders": {"smil": -1.8}}, "unknown “sliders.smil”: did you mean “smile”?"),
        ({"sliders": {"smile": "low"}}, "“sliders.smile” \"low\", which is not a number from -4"),
        ({"sliders": [1]}, "“sliders”, which is not a table"),
        ({"habbits": {}}, "unknown “habbits”: did you mean “habits”?"),
        ({"habits": {"pose": [1.0]}}, "“habits.pose”, which is not a list of 3 numbers"),
        ({"habits": {"tempo": 2.0}}, "unknown “habits.tempo”"),
        ({"rest": {"least": {"mouthFron": 1}}}, "unknown “rest.least.mouthFron”"),
        ({"rest": {"least": {"mouthFrown": 2}}}, "“rest.least.mouthFrown” 2, which is not a num"),
        ({"speech": {"lids": True}}, "“speech.lids” true, which is not a number"),
        ({"held": {"mouthSmile": None}}, "“held.mouthSmile” null, which is not a number"),
        ({"tempo": 0}, "“tempo” 0, which is not a number from 0.25 to 4"),
        ({"number": None}, "“number” 0, which is not a number from 1"),
        ({"label": ""}, "no text as “label”"),
        ({"source": None}, "no text as “source”"),
        ({"thunder_mood": 2}, "of version 2"),
    ],
)  # fmt: skip
def test_a_broken_mood_is_a_sentence_with_its_file_and_key(tmp_path, changes, sentence):
    path = tmp_path / "gloomy.json"
    path.write_text(json.dumps(of_sad(**changes)), encoding="utf-8")
    with pytest.raises(BadRequest) as error:
        read_mood(path, SLIDERS)
    assert "“gloomy.json”" in str(error.value) and sentence in str(error.value)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


def test_a_file_that_is_no_mood_is_refused(tmp_path):
    for name, content, sentence in (
        ("gloomy.json", b"{", "“gloomy.json” is not readable as JSON"),
        ("gloomy.json", b"\xff", "“gloomy.json” cannot be read"),
        ("gloomy.json", b"[]", "“gloomy.json” is not one of Thunder's"),
        ("Very Gloomy.json", json.dumps(of_sad()).encode(), "“Very Gloomy.json” has a name"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadRequest, match=sentence):
            read_mood(tmp_path / name, SLIDERS)
        (tmp_path / name).unlink()


def test_a_mood_is_read_as_editors_save_it(tmp_path):
    data = json.dumps(of_sad(number=FREE), ensure_ascii=False)
    for encoding in ("utf-8", "utf-8-sig"):
        (tmp_path / "gloomy.json").write_bytes(data.encode(encoding))
        assert read_mood(tmp_path / "gloomy.json", SLIDERS).number == FREE


def put_pipe(path):
    os.mkfifo(path)


def put_sparse_file(path):
    path.touch()
    os.truncate(path, 2**40)


DAMAGE = [
    put_pipe,
    put_sparse_file,
    lambda path: path.mkdir(),
    lambda path: path.write_text(json.dumps(of_sad(number=FREE, held=[[["mouthFrown"], [], {}]]))),
    lambda path: path.write_text(json.dumps(of_sad(number=FREE, label=["Gloomy"]))),
    lambda path: path.write_text(json.dumps(of_sad(number=[FREE]))),
    lambda path: path.write_text(json.dumps(of_sad(number=FREE, habits={"pose": [[]] * 3}))),
    lambda path: path.write_text('{"thunder_mood": 1, "source": ' + "[" * 9000 + "}"),
    lambda path: path.write_text('{"thunder_mood": 1, "number": ' + "9" * 9000 + "}"),
    lambda path: path.write_text(json.dumps(of_sad(number=3))),  # of sad
    lambda path: path.write_text(json.dumps(of_sad(number=4))),  # of tense
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_mood_is_left_out_and_the_others_are_there(tmp_path, monkeypatch, damage):
    """In little time and memory; one that the networks know keeps its place."""
    folder = tmp_path / "moods"
    shutil.copytree(behaviour.MOODS_FOLDER, folder)
    monkeypatch.setattr(behaviour, "MOODS_FOLDER", folder)
    monkeypatch.setattr(own_files, "damaged", {})
    whole = read_moods(SLIDERS, {12: "as heard"})
    assert {mood.name for mood in whole} >= set(behaviour.TRAINED) and not own_files.damaged
    damage(folder / "gloomy.json")
    with held_at_most(2**24):
        assert read_moods(SLIDERS, {12: "as heard"}) == whole
    (sentence,) = own_files.say_damaged()
    assert "“gloomy.json”" in sentence and ": " in sentence and len(sentence) < 500
    gloomy = folder / "gloomy.json"
    gloomy.rmdir() if gloomy.is_dir() else gloomy.unlink()
    (folder / "sad.json").unlink()
    if damage is not DAMAGE[-2]:
        damage(folder / "sad.json")
        moods = read_moods(SLIDERS, {12: "as heard"})
        assert [mood.name for mood in moods] == [mood.name for mood in whole]
        assert moods[2].label == "Sad" and not moods[2].changes and moods[:2] == whole[:2]
        assert moods[3:] == whole[3:]


@pytest.mark.parametrize(
    "row, sentence",
    [
        ([0.4, "s"], "“press.first”, which is no row of numbers, their unit and what they are"),
        ([[0.4, "7"], "s", "from"], "“press.first”, which is no row"),
        ([0.4, "", "from"], "“press.first”, which is no row"),
        (0.4, "“press.first”, which is no row"),
        (None, "lacks “press.first”: put it back"),
    ],
)
def test_a_number_of_a_habit_without_unit_or_meaning_is_refused(
    tmp_path, monkeypatch, row, sentence
):
    habits = json.loads((ROOT / "thunder_core" / "habits.json").read_text(encoding="utf-8"))
    habits["press"]["first"] = row
    if row is None:
        del habits["press"]["first"]
    (tmp_path / "habits.json").write_text(json.dumps(habits), encoding="utf-8")
    monkeypatch.setattr(behaviour, "__file__", str(tmp_path / "behaviour.py"))
    with pytest.raises(BadRequest) as error:
        behaviour.read_habits()["press"].first  # noqa: B018
    assert str(error.value).startswith("The file “habits.json”") and sentence in str(error.value)
    monkeypatch.setattr(own_files, "damaged", {})
    assert behaviour.read_emotions() == {}
    assert "“emotions.json” cannot be read" in str(own_files.say_damaged())


def test_every_number_of_a_habit_is_used_where_the_habit_is():
    sources = [
        text
        for folder in (ROOT / "thunder_core", ROOT / "research" / "train")
        for path in folder.rglob("*.py")
        if "HABITS[" in (text := path.read_text(encoding="utf-8"))
    ]
    for name, habit in behaviour.HABITS.items():
        users = "".join(text for text in sources if f'"{name}"' in text)
        for key in habit.__dict__.keys() - {"_name"}:
            assert f".{key}" in users, f"nobody uses {name}.{key}"


NEW = """
import sys
import numpy as np
import thunder_core as thunder
from thunder_core.batch import job_file, settings
from thunder_core.shipped import SAMPLE
from thunder_core.types import pack

assert settings.read_mood("gloomy=.6") == ("gloomy", 0.6) and "gloomy" in settings.MOOD_LIST
jobs = job_file.read({"jobs": {"a": {"audio": "a.wav", "mood": "gloomy=.6"}}}, "j.toml", ".")
assert jobs.jobs[0].settings["mood"] == "gloomy=.6" and not jobs.mistakes, jobs.mistakes
voice = thunder.load(SAMPLE)
gloomy, plain = (
    thunder.perform(voice, takes=1, seed=2, mood=mood, quality="draft", exact_first=False)[0]
    for mood in ("gloomy", None)
)
np.savez(sys.argv[1], gloomy=pack(gloomy.motion), plain=pack(plain.motion))
assert thunder.perform(voice, takes=1, seed=3, mood="gloomy", strength=0.0).best
"""


def test_a_new_mood_is_one_file_and_takes_without_it_stay_the_same(tmp_path, engine, sample):
    data = of_sad(number=FREE, label="Gloomy", description="Like sad", tempo=0.65)
    copy_with(tmp_path, "gloomy", data)
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", NEW, tmp_path / "takes.npz"], cwd=tmp_path, timeout=300,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    keeps(20, time.monotonic() - start, "a mood as a new file, performed")
    takes = np.load(tmp_path / "takes.npz")
    assert not np.array_equal(takes["gloomy"], takes["plain"])
    names = list(engine.head.expression_names)
    frown = [names.index(f"mouthFrown{side}") for side in ("Left", "Right")]
    assert takes["gloomy"][:, frown].mean() > takes["plain"][:, frown].mean() + 0.2
    here = DirectionRequest(exact_first=False)
    (take,) = engine.generate(sample, Request(1, 2, DRAFT, direction=here))
    assert np.array_equal(takes["plain"], pack(take.motion))


def test_directions_of_fewer_and_more_moods_are_read():
    whole = Direction(mood="sad", strength=0.5).vector()
    for stored in (whole[:-2], np.append(whole, 0.7)):  # before two moods were; one is gone
        record = {"direction": [*stored, *stored], "reading": stored.tolist()}
        read = DirectionRequest.of_record(record)
        assert read.vectors.shape == (2, len(DIRECTION_NAMES))
        assert (read.vectors == whole).all() and words_of_request(record) == "sad"
