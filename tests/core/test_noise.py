# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeded noise and Sobol points are what torch draws, so that a seed keeps the take that it had."""

import numpy as np
import pytest
import torch

from thunder_core.direction import AXES
from thunder_core.engine import readings
from thunder_core.engine.diffusion import Normal, seeded_noise
from thunder_core.engine.readings import POINTS, sobol_point


@pytest.mark.parametrize("seed", [0, 1, 7, 123_456_789, 2**32 - 1, 2**32, 2**40 + 3, 2**63 - 1])
@pytest.mark.parametrize("count", [16, 17, 31, 32, 250 * 61])
def test_numbers_are_torch_s_draw_after_draw(seed, count):
    ours, theirs = Normal(seed), torch.Generator().manual_seed(seed)
    for size in (count, 40, count):
        made = ours.draw(size)
        assert made.dtype == np.float32
        assert np.abs(made - torch.randn(size, generator=theirs).numpy()).max() < 5e-7 * max(
            1, np.abs(made).max()
        )


def test_a_draw_has_the_shape_that_is_asked_for():
    theirs = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(4)).numpy()
    assert np.allclose(Normal(4).draw(5, 7, 3), theirs, atol=2e-6)
    with pytest.raises(ValueError, match="At least 16"):
        Normal(4).draw(3, 5)


def test_a_take_s_noise_depends_on_its_own_seed_alone():
    many, one = seeded_noise([3, 2**40 + 4, 5], 20, 6), seeded_noise([2**40 + 4], 20, 6)
    assert many.shape == (3, 20, 6) and many.dtype == np.float32 and np.array_equal(many[1], one[0])
    assert np.allclose(
        one[0],
        torch.randn(20, 6, generator=torch.Generator().manual_seed(2**40 + 4)).numpy(),
        atol=2e-6,
    )


def test_takes_around_another_are_like_it_and_of_deviation_one():
    first, (a, b) = seeded_noise([1], 250, 61)[0], seeded_noise([2, 3], 250, 61, like=[1])
    assert np.corrcoef(a.ravel(), first.ravel())[0, 1] == pytest.approx(0.75**0.5, abs=0.01)
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] == pytest.approx(0.75, abs=0.02)
    assert a.std() == pytest.approx(1, abs=0.01) and seeded_noise(
        [2], 250, 61, like=[1, 9]
    ).std() == pytest.approx(1, abs=0.01)


def test_the_tables_are_torch_s():
    made = torch.quasirandom.SobolEngine(len(AXES) + 2, scramble=True, seed=7)
    assert np.array_equal(readings._DIRECTIONS, made.sobolstate[:, :16]) and np.array_equal(
        readings._SHIFT, made.shift
    )


@pytest.mark.parametrize("start, count", [(0, 301), (5000, 1), (65535, 1)])
def test_points_are_torch_s_and_start_over_beyond_the_last(start, count):
    made = (
        torch.quasirandom.SobolEngine(len(AXES) + 2, scramble=True, seed=7)
        .fast_forward(start)
        .draw(count, dtype=torch.float64)
    )
    for first in (start, start + 2**40 * POINTS):
        assert np.array_equal([sobol_point(first + i) for i in range(count)], made)


def test_no_coordinate_of_any_point_is_zero_or_one():
    numbers = np.arange(POINTS)
    chosen = (numbers ^ (numbers >> 1))[:, None] >> np.arange(16) & 1
    for directions, shift in zip(readings._DIRECTIONS, readings._SHIFT):
        points = np.bitwise_xor.reduce(chosen * directions, axis=1) ^ shift
        assert points.min() > 0 and points.max() < 2**30


@pytest.mark.parametrize("start", [0, 1000, 123_456_789])
def test_consecutive_seeds_fill_the_space_more_evenly_than_chance(start):
    """The largest empty stretch of any axis among 16 takes; among 16 random numbers it is .2 on
    average."""
    points = np.sort([sobol_point(start + i) for i in range(16)], axis=0)
    gaps = np.diff(
        np.concatenate([np.zeros((1, points.shape[1])), points, np.ones((1, points.shape[1]))]),
        axis=0,
    ).max(0)
    assert gaps.mean() < 0.15
