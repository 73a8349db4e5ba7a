# SPDX-License-Identifier: GPL-3.0-or-later
"""Directions: speakers are themselves on any machine, readings differ less than speakers do,
vectors lead back."""

import numpy as np
import pytest

from thunder_core.direction import AXES, Direction, DIRECTION_NAMES, MOODS, NEUTRAL, SLIDERS, Style

SPEAKERS = [Style.of_speaker(f"speaker {i}") for i in range(400)]


def test_the_panel_s_sliders_are_numbers_of_a_style():
    assert SLIDERS == ("energy", "jaw", "articulation", "smile", "brows", "head", "eyes")
    assert set(SLIDERS) < set(Style().values())


def test_the_usual_style_is_the_origin():
    assert not Style().vector().any() and not Direction().vector().any()
    assert len(Direction().vector()) == len(DIRECTION_NAMES)


def test_a_speaker_is_known_by_name_alone():
    assert Style.of_speaker("3331") == Style.of_speaker("3331") != Style.of_speaker("3332")
    assert Style.of_speaker("3331").energy == pytest.approx(1.132, abs=1e-3), (
        "corpora made before have other speakers"
    )


def test_speakers_differ_by_what_the_axes_say_and_stay_within_them():
    vectors = np.array([style.vector() for style in SPEAKERS])
    assert np.abs(vectors.mean(0)).max() < 0.2 and np.abs(vectors.std(0) - 1).max() < 0.15
    for axis in AXES:
        values = [getattr(style, axis.name) for style in SPEAKERS]
        assert axis.least <= min(values) and max(values) <= axis.most
    assert np.abs(np.corrcoef(vectors.T) - np.eye(len(AXES))).max() < 0.2, (
        "one axis tells nothing of another"
    )


def test_readings_of_a_speaker_are_more_alike_than_speakers():
    rng = np.random.default_rng(0)
    readings = np.array([Style().draw_reading(rng).vector() for _ in range(300)])
    assert (readings.std(0) < 0.7).all() and (readings.std(0) > 0.1).all()


@pytest.mark.parametrize("mood", MOODS)
def test_a_mood_changes_more_the_stronger_it_is(mood):
    def far(strength):
        return np.linalg.norm(Direction(mood=mood, strength=strength).style_in_mood.vector())

    assert far(0.0) == 0.0
    assert far(1.0) > far(0.4) > 0 if mood != NEUTRAL else far(1.0) == 0


@pytest.mark.parametrize("mood", MOODS)
def test_a_vector_leads_back_to_its_direction(mood):
    direction = Direction(SPEAKERS[3], mood, 0.6 if mood != NEUTRAL else 1.0)
    back = Direction.of_vector(direction.vector())
    assert back.mood == direction.mood and back.strength == pytest.approx(direction.strength)
    assert back.style.vector() == pytest.approx(direction.style.vector(), abs=1e-5)


def test_the_corpus_has_every_mood_and_much_that_is_neutral():
    rng = np.random.default_rng(1)
    drawn = [Direction.of_clip("somebody", rng) for _ in range(600)]
    moods = [direction.mood for direction in drawn]
    assert set(moods) == set(MOODS) and 0.28 < moods.count(NEUTRAL) / len(moods) < 0.42
    assert min(d.strength for d in drawn) >= 0.25
