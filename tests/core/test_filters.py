# SPDX-License-Identifier: GPL-3.0-or-later
"""Our filters, splines and easing give what scipy's give."""

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicHermiteSpline, CubicSpline
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, minimum_filter1d
from scipy.signal import find_peaks, lfilter

from thunder_core import filters
from thunder_core.filters import hermite, smoothstep


@pytest.mark.parametrize("mode", ["reflect", "nearest"])
@pytest.mark.parametrize("length, deviation", [(300, 2.0), (300, 0.6), (25, 12.0), (5, 6.0)])
@pytest.mark.parametrize("width", [(), (3,)])
def test_smoothing(length, deviation, mode, width):
    values = np.random.default_rng(1).standard_normal((length, *width))
    expected = gaussian_filter1d(values, deviation, axis=0, mode=mode)
    assert np.allclose(filters.gaussian(values, deviation, mode), expected, atol=1e-12)


@pytest.mark.parametrize("size, origin", [(13, -1), (13, 0), (8, 0), (3, 1)])
def test_neighbours(size, origin):
    values = np.random.default_rng(2).standard_normal(40)
    assert (
        filters.highest(values, size, origin) == maximum_filter1d(values, size, origin=origin)
    ).all()
    assert (filters.lowest(values, size) == minimum_filter1d(values, size)).all()


def test_a_low_pass():
    values = np.random.default_rng(3).standard_normal((50, 2))
    assert np.allclose(
        filters.low_pass(values, 0.8), lfilter([0.2], [1, -0.8], values, axis=0), atol=1e-12
    )


@pytest.mark.parametrize("count", [4, 5, 60])
def test_a_spline(count):
    values, at = np.random.default_rng(4).standard_normal(count), np.linspace(0, count - 1, 333)
    assert np.allclose(
        filters.spline(values, at), CubicSpline(np.arange(count), values)(at), atol=1e-9
    )


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("rounded", [False, True])  # rounded values have plateaus
def test_peaks(seed, rounded):
    values = gaussian_filter1d(np.random.default_rng(seed).standard_normal(400), 2.0)
    values = np.round(values, 1) if rounded else values
    wanted, about = find_peaks(values, distance=1 if rounded else 9, prominence=0.2)
    got, rises = filters.peaks(values, 1 if rounded else 9, 0.2)
    assert (got == wanted).all() and np.allclose(rises, about["prominences"])
    assert (
        len(filters.peaks(np.zeros(30), 9, 0.2)[0])
        == len(filters.peaks(values[:1], 9, 0.2)[0])
        == 0
    )


X = np.linspace(0, 1, 101)


def test_smoothstep_is_the_cubic_that_is_level_at_both_ends():
    assert np.allclose(smoothstep(X), CubicHermiteSpline([0, 1], [0, 1], [0, 0])(X), atol=1e-14)


def test_hermite_weighs_values_and_slopes_as_scipy_does():
    # values before and after, slopes before and after, of six curves
    ends = np.random.default_rng(0).normal(size=(4, 6))
    expected = CubicHermiteSpline([0, 1], ends[:2], ends[2:])(X)
    assert np.allclose(np.stack(hermite(X), 1) @ ends, expected, atol=1e-13)


@pytest.mark.parametrize("kind", [float, torch.tensor])
def test_numbers_and_tensors_are_eased_alike(kind):
    assert [float(smoothstep(kind(x))) for x in X] == pytest.approx(
        smoothstep(X).tolist(), abs=1e-6
    )
