# SPDX-License-Identifier: GPL-3.0-or-later
"""Readings: a function of the seed, spread evenly around what is asked, never beyond what a style
may be."""

import numpy as np
import pytest

from thunder_core.direction import AXES, Direction, DIRECTION_NAMES, MOOD_NAMES, MOODS, Style
from thunder_core.engine.readings import add_stresses, emphases, reading

USUAL = Direction().vector()[None]


def test_without_spread_every_take_is_as_asked():
    asked = Direction(Style(energy=1.4, smile=0.3), "sad", 0.6).vector()[None]
    assert all(np.array_equal(reading(asked, seed, 0.0), asked) for seed in (0, 1, 99))


def test_a_reading_depends_on_its_seed_alone():
    first, again, other = (reading(USUAL, seed, 0.5) for seed in (12, 12, 13))
    assert np.array_equal(first, again) and not np.allclose(first, other)
    assert np.array_equal(USUAL, Direction().vector()[None])  # what was asked is not written to


def test_eight_takes_differ_as_speakers_do_at_the_usual_spread():
    takes = np.concatenate([reading(USUAL, seed, 0.5) for seed in range(64)])
    assert takes.shape == (64, len(DIRECTION_NAMES))
    assert 0.8 < takes[:, : len(AXES)].std(0).mean() < 1.1  # in deviations between speakers
    moods = takes[:, len(AXES) :]
    assert (
        ((moods > 0).sum(1) <= 1).all()
        and 0.3 < (moods > 0.05).any(1).mean() < 0.7
        and moods.max() <= 0.41
    )


def test_a_mood_that_is_asked_for_stays_and_only_varies_in_strength():
    asked = Direction(mood="angry", strength=0.6).vector()[None]
    takes = np.concatenate([reading(asked, seed, 1.0) for seed in range(32)])[:, len(AXES) :]
    angry = DIRECTION_NAMES.index("mood.angry") - len(AXES)
    assert (np.delete(takes, angry, 1) == 0).all()
    assert 0.85 * 0.6 - 1e-6 <= takes[:, angry].min() < 0.55 and 0.75 < takes[:, angry].max() <= 0.9


@pytest.mark.parametrize("mood", MOOD_NAMES)
def test_no_reading_takes_back_the_mood_that_was_asked_for(mood):
    asked = Direction(mood=mood, strength=0.7).vector()[None]
    changes = np.array([0.7 * MOODS[mood].changes.get(axis.name, 0.0) for axis in AXES])
    takes = np.concatenate([reading(asked, seed, 1.0) for seed in range(64)])[:, : len(AXES)]
    left = (np.sign(changes) * (takes + changes))[:, changes != 0]
    assert (left >= 0.6 * np.abs(changes[changes != 0]) - 1e-5).all()
    assert left.max() > 2.0, "a reading may go beyond it"
    others = np.concatenate([reading(USUAL, seed, 1.0) for seed in range(64)])[:, : len(AXES)]
    assert np.allclose(takes[:, changes == 0], others[:, changes == 0], atol=1e-5)


@pytest.mark.parametrize(
    "mood, axis",
    [
        ("warm", "smile"),
        ("amused", "smile"),
        ("sad", "smile"),
        ("angry", "frown"),
        ("surprised", "frown"),
    ],
)
@pytest.mark.parametrize("spread", [0.5, 1.0])
def test_a_mood_is_told_from_the_face_of_every_reading(mood, axis, spread):
    takes = np.concatenate(
        [reading(Direction(mood=mood).vector()[None], seed, spread) for seed in range(64)]
    )
    does = MOODS[mood].changes[axis]
    shows = (
        takes[:, DIRECTION_NAMES.index(axis)] / does
        + takes[:, DIRECTION_NAMES.index(f"mood.{mood}")]
    )
    assert 0.85 - 1e-5 <= shows.min() < 0.86, "of strength and axis together"
    assert shows.std() > 0.2, "takes differ in it nevertheless"


def test_no_reading_takes_back_what_is_asked_of_a_slider_by_much():
    axis = next(axis for axis in AXES if axis.name == "energy")

    def energies(asked: float) -> np.ndarray:
        vector = Direction(Style(energy=asked)).vector()[None]
        return np.array([reading(vector, seed, 1.0)[0, AXES.index(axis)] for seed in range(64)])

    loud, quiet, little = energies(2.0), energies(0.5), energies(1.02)
    assert (
        loud.min() >= 0.4 * axis.deviations(2.0) - 1e-5
        and quiet.max() <= 0.4 * axis.deviations(0.5) + 1e-5
    )
    assert np.abs(little - energies(1.0) - axis.deviations(1.02)).max() < 0.5, (
        "a little is no demand"
    )


def test_a_direction_that_changes_within_a_line_is_followed_by_every_take():
    asked = np.stack([Direction(Style(energy=e)).vector() for e in np.linspace(0.8, 1.1, 50)])
    take = reading(asked, 6, 0.5)
    assert np.allclose(np.diff(take[:, 0]), np.diff(asked[:, 0]), atol=1e-5)


def test_no_reading_and_no_emphasis_leaves_the_range_of_a_style():
    asked = Direction(Style(energy=2.0, smile=-1.0)).vector()[None]
    takes = np.concatenate([reading(asked, seed, 1.0) for seed in range(64)])
    stressed = add_stresses(Direction(Style(energy=2.0, brows=0.1)).vector()[None], 1, 1.0, ACCENTS)
    for column, axis in enumerate(AXES):
        values = np.concatenate([takes[:, column], stressed[:, column]])
        assert (
            axis.deviations(axis.least) - 1e-4 <= values.min()
            and values.max() <= axis.deviations(axis.most) + 1e-4
        )


# ---- stressed words


@pytest.mark.parametrize("frames", [1, 7, 250, 1500])
def test_emphases_depend_on_the_seed_alone_and_cancel_over_the_line(frames):
    one, again, other = (emphases(seed, frames) for seed in (4, 4, 5))
    assert one.shape == (frames,) and np.array_equal(one, again) and abs(one.mean()) < 1e-9
    assert frames == 1 or not np.allclose(one, other)


SILENT = np.zeros(200)
ACCENTS = np.exp(-0.5 * ((np.arange(200)[:, None] - [30, 80, 150]) / 2.5) ** 2).max(1)


def test_a_take_without_spread_has_the_voice_s_accents_and_none_of_its_own():
    asked = Direction(Style(energy=1.3)).vector()[None]
    assert np.array_equal(add_stresses(asked, 3, 0.0, SILENT), np.repeat(asked, 200, 0))
    assert np.array_equal(
        add_stresses(asked, 3, 0.0, ACCENTS), add_stresses(asked, 8, 0.0, ACCENTS)
    )


def test_stressed_words_are_louder_and_clearer_and_nothing_else_changes():
    played = add_stresses(USUAL, 3, 0.5, SILENT)
    column = {axis.name: played[:, i] for i, axis in enumerate(AXES)}
    assert np.array_equal(played.any(0), np.isin(DIRECTION_NAMES, ("energy", "articulation")))
    assert np.corrcoef(column["articulation"], column["energy"])[0, 1] > 0.95
    assert np.log(1.2) < AXES[0].speakers * column["energy"].std() < np.log(1.5)


def test_brows_and_head_do_more_on_accents_and_as_much_as_asked_over_the_line():
    played = add_stresses(USUAL, 3, 0.0, ACCENTS)
    for name in ("brows", "head"):
        own = played[:, DIRECTION_NAMES.index(name)]
        assert own[80] > 0.5 > 0 > own[110] and abs(own.mean()) < 0.05
