# SPDX-License-Identifier: GPL-3.0-or-later
"""The ease and the cubic of all fades and keys are those of scipy's Hermite spline."""

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicHermiteSpline

from thunder_core.filters import hermite, smoothstep

X = np.linspace(0, 1, 101)


def test_smoothstep_is_the_cubic_that_is_level_at_both_ends():
    assert np.allclose(smoothstep(X), CubicHermiteSpline([0, 1], [0, 1], [0, 0])(X), atol=1e-14)


def test_hermite_weighs_values_and_slopes_as_scipy_does():
    ends = np.random.default_rng(0).normal(size=(4, 6))  # values before and after, slopes before and after, of six curves
    expected = CubicHermiteSpline([0, 1], ends[:2], ends[2:])(X)
    assert np.allclose(np.stack(hermite(X), 1) @ ends, expected, atol=1e-13)


@pytest.mark.parametrize("kind", [float, torch.tensor])
def test_numbers_and_tensors_are_eased_alike(kind):
    assert [float(smoothstep(kind(x))) for x in X] == pytest.approx(smoothstep(X).tolist(), abs=1e-6)
