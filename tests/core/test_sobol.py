# SPDX-License-Identifier: GPL-3.0-or-later
"""Points of the Sobol sequence are torch's, so that seeds keep their readings."""

import numpy as np
import pytest
import torch

from thunder_core.direction import AXES
from thunder_core.engine import sobol
from thunder_core.engine.sobol import POINTS, sobol_point


def test_the_tables_are_torch_s():
    made = torch.quasirandom.SobolEngine(len(AXES) + 2, scramble=True, seed=7)
    assert np.array_equal(sobol._DIRECTIONS, made.sobolstate[:, :16]) and np.array_equal(sobol._SHIFT, made.shift)


@pytest.mark.parametrize("start, count", [(0, 301), (5000, 1), (65535, 1)])
def test_points_are_torch_s(start, count):
    made = torch.quasirandom.SobolEngine(len(AXES) + 2, scramble=True, seed=7).fast_forward(start).draw(count, dtype=torch.float64)
    assert np.array_equal([sobol_point(start + i) for i in range(count)], made)


def test_numbers_beyond_the_last_point_start_over():
    assert np.array_equal(sobol_point(2**40 + 3 * POINTS + 12), sobol_point(12))


def test_no_coordinate_of_any_point_is_zero_or_one():
    numbers = np.arange(POINTS)
    chosen = (numbers ^ (numbers >> 1))[:, None] >> np.arange(16) & 1
    for directions, shift in zip(sobol._DIRECTIONS, sobol._SHIFT):
        points = np.bitwise_xor.reduce(chosen * directions, axis=1) ^ shift
        assert points.min() > 0 and points.max() < 2**30


@pytest.mark.parametrize("start", [0, 1000, 123_456_789])
def test_consecutive_seeds_fill_the_space_more_evenly_than_chance(start):
    """The largest empty stretch of any axis among 16 takes; among 16 random numbers it is .2 on average."""
    points = np.sort([sobol_point(start + i) for i in range(16)], axis=0)
    gaps = np.diff(np.concatenate([np.zeros((1, points.shape[1])), points, np.ones((1, points.shape[1]))]), axis=0).max(0)
    assert gaps.mean() < 0.15
