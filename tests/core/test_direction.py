# SPDX-License-Identifier: GPL-3.0-or-later
"""Directions: speakers are themselves on any machine, readings differ less than speakers do, vectors
lead back; presets of them are read again, and damaged ones named in a sentence."""

import json

import numpy as np
import pytest

from research.train.readings import direction_of_clip, draw_reading, style_of_speaker
from thunder_core.direction import AXES, Direction, DIRECTION_NAMES, MOODS, NEUTRAL, SLIDERS, Style
from thunder_core.direction_presets import Preset, Presets, SHIPPED
from thunder_core.direction_words import words
from thunder_core.errors import BadRequest, NoSpace
from thunder_core.named_files import NamedFiles

SPEAKERS = [style_of_speaker(f"speaker {i}") for i in range(400)]


def test_the_usual_style_is_the_origin_and_the_panels_sliders_are_numbers_of_it():
    assert not Style().vector().any() and not Direction().vector().any()
    assert len(Direction().vector()) == len(DIRECTION_NAMES)
    assert SLIDERS == ("energy", "jaw", "articulation", "smile", "brows", "head", "eyes")
    assert set(SLIDERS) < set(Style().values())


def test_a_speaker_is_known_by_name_and_readings_of_one_are_more_alike_than_speakers():
    assert style_of_speaker("3331") == style_of_speaker("3331") != style_of_speaker("3332")
    assert style_of_speaker("3331").energy == pytest.approx(1.132, abs=1e-3), (
        "corpora made before have other speakers"
    )
    rng = np.random.default_rng(0)
    readings = np.array([draw_reading(Style(), rng).vector() for _ in range(300)])
    assert (readings.std(0) < 0.7).all() and (readings.std(0) > 0.1).all()


def test_speakers_differ_by_what_the_axes_say_and_stay_within_them():
    vectors = np.array([style.vector() for style in SPEAKERS])
    assert np.abs(vectors.mean(0)).max() < 0.2 and np.abs(vectors.std(0) - 1).max() < 0.15
    for axis in AXES:
        values = [getattr(style, axis.name) for style in SPEAKERS]
        assert axis.least <= min(values) and max(values) <= axis.most
    assert np.abs(np.corrcoef(vectors.T) - np.eye(len(AXES))).max() < 0.2, (
        "one axis tells nothing of another"
    )


@pytest.mark.parametrize("mood", MOODS)
def test_a_mood_changes_more_the_stronger_it_is_and_a_vector_leads_back(mood):
    def far(strength):
        return np.linalg.norm(Direction(mood=mood, strength=strength).style_in_mood.vector())

    assert far(0.0) == 0.0
    assert far(1.0) > far(0.4) > 0 if mood != NEUTRAL else far(1.0) == 0
    direction = Direction(SPEAKERS[3], mood, 0.6 if mood != NEUTRAL else 1.0)
    back = Direction.of_vector(direction.vector())
    assert back.mood == direction.mood and back.strength == pytest.approx(direction.strength)
    assert back.style.vector() == pytest.approx(direction.style.vector(), abs=1e-5)


def test_the_corpus_has_every_mood_and_much_that_is_neutral():
    rng = np.random.default_rng(1)
    drawn = [direction_of_clip("somebody", rng) for _ in range(600)]
    moods = [direction.mood for direction in drawn]
    assert set(moods) == set(MOODS) and 0.28 < moods.count(NEUTRAL) / len(moods) < 0.42
    assert min(d.strength for d in drawn) >= 0.25


MINE = Preset(
    "Calm: 1/2", Direction(Style(energy=0.7, smile=0.2), "warm", 0.4), "How she reads", 0.3
)


@pytest.fixture
def presets(tmp_path):
    return Presets(tmp_path / "directions")


def test_what_is_saved_is_read_again(presets):
    path = presets.save(MINE)
    assert presets.load(MINE.name) == MINE and presets.user_names() == [MINE.name]
    assert list(path.parent.iterdir()) == [path], "nothing else is left in the folder"
    assert set(json.loads(path.read_text())["style"]) == {"energy", "smile"}  # the rest is usual
    assert Presets(path.parent / "new" / "folder").save(MINE).exists()
    for name in ("beta", "Alpha"):
        presets.save(Preset(name, MINE.direction))
    assert presets.user_names() == ["Alpha", "beta", MINE.name]
    presets.save(Preset(MINE.name, Direction(Style(head=2.0))))
    assert (
        presets.load(MINE.name).direction == Direction(Style(head=2.0))
        and presets.load(MINE.name).spread is None
    )


def test_ones_own_preset_goes_before_a_shipped_one_of_its_name(presets):
    shipped = presets.load("Newsreader")
    presets.save(Preset("Newsreader", Direction(Style(energy=1.5))))
    assert (
        presets.load("Newsreader").direction.style.energy == 1.5
        and presets.names().count("Newsreader") == 1
    )
    presets.delete("Newsreader")
    assert presets.load("Newsreader") == shipped
    with pytest.raises(BadRequest, match="shipped ones stay"):
        presets.delete("Newsreader")


SHIPPED_NAMES = NamedFiles(SHIPPED).names()


@pytest.mark.parametrize("name", SHIPPED_NAMES)
def test_a_shipped_preset_says_what_it_is_and_asks_for_something(presets, name):
    preset = presets.load(name)
    assert (
        preset == Preset.read(SHIPPED / f"{name}.json") and preset.about and 0 < preset.spread <= 1
    )
    assert words(preset.direction.vector()) != "usual"
    played = preset.direction.style_in_mood
    at_the_end = [
        axis.name for axis in AXES if getattr(played, axis.name) in (axis.least, axis.most)
    ]
    assert len(at_the_end) <= 1, (
        "a direction at the ends of its ranges leaves takes no space on that side"
    )


GOOD = {
    "thunder_direction": 1,
    "name": "Mine",
    "style": {"energy": 1.2},
    "mood": "warm",
    "strength": 0.5,
    "spread": 0.5,
}


@pytest.mark.parametrize(
    "damaged, said",
    [
        ("{", "not readable as JSON"),
        ("[" * 10**4, "JSON"),
        ("[]", "not one of Thunder's"),
        ("{}", "not one of Thunder's"),
        (" " * 10**6, "larger than 64 kB"),
        (GOOD | {"thunder_direction": 2}, "version 2"),
        (GOOD | {"thunder_direction": True}, "version true"),
        (GOOD | {"style": [1.2]}, "table of numbers"),
        (GOOD | {"style": {"volume": 1.2}}, 'unknown "volume"'),
        (GOOD | {"style": {"energy": 7}}, "“energy” 7, which is not a number from 0.35 to 2"),
        (GOOD | {"style": {"energy": "much"}}, "“energy”"),
        (GOOD | {"style": {"energy": True}}, "“energy”"),
        (json.dumps(GOOD).replace("1.2", "NaN"), "“energy” NaN"),
        (GOOD | {"mood": "hungry"}, "unknown mood"),
        (GOOD | {"mood": ["warm"]}, "unknown mood"),
        (GOOD | {"strength": 2}, "“strength” 2"),
        (GOOD | {"spread": -0.1}, "“spread” -0.1"),
        (GOOD | {"about": 5}, "“about” 5"),
    ],
)
def test_a_damaged_preset_is_named_in_a_sentence(presets, damaged, said):
    presets.folder.mkdir()
    (presets.folder / "Mine.json").write_text(
        damaged if isinstance(damaged, str) else json.dumps(damaged)
    )
    with pytest.raises(BadRequest, match="“Mine”") as error:
        presets.load("Mine")
    assert said in str(error.value) and ": " in str(error.value)


def test_a_preset_that_is_gone_or_no_text_is_said_to_be(presets):
    with pytest.raises(BadRequest, match="no preset “Opera”.*Newsreader"):
        presets.load("Opera")
    presets.folder.mkdir()
    (presets.folder / "Bytes.json").write_bytes(b"\xff\xfe\x00")
    (presets.folder / "Folder.json").mkdir()
    with pytest.raises(BadRequest, match="“Bytes” cannot be read"):
        presets.load("Bytes")
    with pytest.raises(BadRequest, match="no preset"):
        presets.load("Folder")


def test_a_preset_without_a_name_or_a_folder_to_write_to_is_refused(presets):
    with pytest.raises(BadRequest, match="no name"):
        presets.save(Preset(" . "))
    presets.folder.write_text("a file in its place")
    with pytest.raises(NoSpace, match="cannot be written"):
        presets.save(MINE)
