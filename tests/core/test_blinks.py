# SPDX-License-Identifier: GPL-3.0-or-later
"""Lids of takes close as often as those of the motion they were trained on."""

import json

import pytest
import torch

from thunder_core.engine.diffusion.sampling import alpha_bar, sample
from thunder_core.engine.weights import load_weights, SHIPPED
from thunder_core.train.blinks import bisected, closed_share

MEAN, DEVIATION = 0.2, 0.2


def gaussian(x, step):
    """E[x_0 | x] for x_0 ~ N(MEAN, DEVIATION²)."""
    a = alpha_bar()[step][:, None, None]
    gain = a.sqrt() * DEVIATION**2 / (a * DEVIATION**2 + 1 - a)
    return MEAN + gain * (x - a.sqrt() * MEAN)


@pytest.mark.parametrize("wanted", [0.02, 0.2])
def test_a_shift_of_the_first_noise_gives_the_share_that_is_wanted(wanted):
    noise = torch.randn(64, 100, 1, generator=torch.Generator().manual_seed(0))

    def share(shift):
        return closed_share(sample(gaussian, noise + shift, 10), [0])

    shift = bisected(share, wanted)
    assert share(shift) == pytest.approx(wanted, abs=0.01)
    # The solution of the flow is MEAN + DEVIATION · noise, so the shift is known.
    expected = (0.5 - MEAN) / DEVIATION - torch.special.ndtri(torch.tensor(1 - wanted)).item()
    assert shift == pytest.approx(expected, abs=0.06) or abs(expected) > 1


def test_a_share_out_of_reach_is_approached():
    assert bisected(lambda shift: 0.0, 0.5) > 0.98 and bisected(lambda shift: 1.0, 0.5) < -0.98


def test_the_shipped_model_blinks_as_often_as_its_teacher():
    figures = json.loads((SHIPPED / "denoiser.json").read_text())["card"]["figures"]
    assert figures["lids_closed"] == pytest.approx(figures["lids_closed_taught"], rel=0.15)
    assert load_weights(SHIPPED / "denoiser")[0]["noise_mean"].abs().max() < 0.5
