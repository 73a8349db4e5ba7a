# SPDX-License-Identifier: GPL-3.0-or-later
"""The 1000-step sampler of the paper on normal data, where every step of it is known in closed form."""

import numpy as np
import pytest

from thunder_core.engine.diffusion import alpha_bar, ancestral_sample, Normal, STEPS

MEAN, DEVIATION = np.array([1.5, -0.7, 0.0, 0.4], np.float32), np.array([0.8, 0.2, 1.4, 0.0], np.float32)


def gaussian_denoiser(x, step):
    """E[x_0 | x̃] for x_0 ~ N(MEAN, DEVIATION²), exactly."""
    a = alpha_bar()[step]
    gain = np.sqrt(a) * DEVIATION**2 / (a * DEVIATION**2 + 1 - a)
    return MEAN + gain * (x - np.sqrt(a) * MEAN)


def test_normal_data_comes_out_with_its_mean_and_deviation():
    noise = Normal(0).draw(100, 200, 4)
    x = ancestral_sample(gaussian_denoiser, noise, Normal(1)).reshape(-1, 4)
    assert np.allclose(x.mean(0), MEAN, atol=0.03)
    assert np.allclose(x.std(0), DEVIATION, rtol=0.03, atol=0.005)
    correlation = np.corrcoef(x[:, 0], noise.reshape(-1, 4)[:, 0])[0, 1]
    assert abs(correlation) < 0.05, "unlike the solver's, these draws do not depend on where they started"


def test_one_step_is_a_draw_from_the_posterior_by_bayes():
    """x̃_d → x̃_{d−1} for known x_0, against the product of the two normal densities that defines it."""
    d, x0 = 700, 0.3
    a, b = (float(alpha_bar()[i]) for i in (d - 1, d))
    drawn = {}

    def denoise(x, step):
        if step in (d, d - 1):
            drawn[step] = x.astype(np.float64)
        return np.full_like(x, x0)

    ancestral_sample(denoise, Normal(2).draw(1, 40000, 1), Normal(3))
    forward = b / a  # x̃_d = √forward · x̃_{d−1} + √(1 − forward) ε, and x̃_{d−1} ~ N(√a x_0, 1 − a)
    precision = forward / (1 - forward) + 1 / (1 - a)
    expected = (forward**0.5 * drawn[d] / (1 - forward) + a**0.5 * x0 / (1 - a)) / precision
    missed = drawn[d - 1] - expected
    assert abs(float(missed.mean())) < 4 * (1 / precision / 40000) ** 0.5
    assert float(missed.std()) == pytest.approx(precision**-0.5, rel=0.02)


def test_every_step_is_asked_once_from_most_noise_to_least():
    asked, counted = [], []

    def denoise(x, step):
        asked.append(step)
        return x

    ancestral_sample(denoise, np.zeros((1, 16, 1), np.float32), Normal(0), counted.append)
    assert asked == list(range(STEPS - 1, -1, -1)) and counted == [done / STEPS for done in range(STEPS)]
