# SPDX-License-Identifier: GPL-3.0-or-later
"""Readings: a function of the seed, spread evenly around what is asked, never beyond what a style may be."""

import numpy as np
import pytest

from thunder_core.direction import AXES, Direction, DIRECTION_NAMES, Style
from thunder_core.engine.readings import point, reading

USUAL = Direction().vector()[None]


def test_without_spread_every_take_is_as_asked():
    asked = Direction(Style(energy=1.4, smile=0.3), "sad", 0.6).vector()[None]
    assert all(np.array_equal(reading(asked, seed, 0.0), asked) for seed in (0, 1, 99))


def test_a_reading_depends_on_its_seed_alone():
    first, again, other = (reading(USUAL, seed, 0.5) for seed in (12, 12, 13))
    assert np.array_equal(first, again) and not np.allclose(first, other)
    assert np.array_equal(USUAL, Direction().vector()[None])  # what was asked is not written to


@pytest.mark.parametrize("start", [0, 1000, 123_456_789])
def test_consecutive_seeds_fill_the_space_more_evenly_than_chance(start):
    """The largest empty stretch of any axis among 16 takes; among 16 random numbers it is .2 on average."""
    points = np.sort([point(start + i) for i in range(16)], axis=0)
    gaps = np.diff(np.concatenate([np.zeros((1, points.shape[1])), points, np.ones((1, points.shape[1]))]), axis=0).max(0)
    assert gaps.mean() < 0.15


def test_eight_takes_differ_as_speakers_do_at_the_usual_spread():
    takes = np.concatenate([reading(USUAL, seed, 0.5) for seed in range(64)])
    assert takes.shape == (64, len(DIRECTION_NAMES))
    assert 0.8 < takes[:, : len(AXES)].std(0).mean() < 1.1  # in deviations between speakers
    moods = takes[:, len(AXES) :]
    assert ((moods > 0).sum(1) <= 1).all() and 0.3 < (moods > 0.05).any(1).mean() < 0.7 and moods.max() <= 0.41


def test_a_mood_that_is_asked_for_stays_and_only_varies_in_strength():
    asked = Direction(mood="angry", strength=0.6).vector()[None]
    takes = np.concatenate([reading(asked, seed, 1.0) for seed in range(32)])[:, len(AXES) :]
    angry = DIRECTION_NAMES.index("mood.angry") - len(AXES)
    assert (np.delete(takes, angry, 1) == 0).all()
    assert 0.3 <= takes[:, angry].min() < 0.45 and 0.75 < takes[:, angry].max() <= 0.9


def test_a_direction_that_changes_within_a_line_is_followed_by_every_take():
    asked = np.stack([Direction(Style(energy=e)).vector() for e in np.linspace(0.8, 1.1, 50)])
    take = reading(asked, 5, 0.5)
    assert np.allclose(np.diff(take[:, 0]), np.diff(asked[:, 0]), atol=1e-5)


def test_no_reading_leaves_the_range_of_a_style():
    asked = Direction(Style(energy=2.0, smile=-1.0)).vector()[None]
    takes = np.concatenate([reading(asked, seed, 1.0) for seed in range(64)])
    for column, axis in enumerate(AXES):
        ends = axis.deviations(axis.least) - 1e-4, axis.deviations(axis.most) + 1e-4
        assert (ends[0] <= takes[:, column]).all() and (takes[:, column] <= ends[1]).all()
