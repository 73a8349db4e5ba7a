# SPDX-License-Identifier: GPL-3.0-or-later
"""Lids of takes close as often as those of the motion they were trained on."""

import json

import pytest
import torch

from thunder_core.direction import DIRECTION_NAMES
from thunder_core.engine.diffusion import alpha_bar, sample
from thunder_core.engine.weights import SHIPPED
from thunder_core.networks.denoiser import Denoiser, DenoiserConfig
from thunder_core.networks.weights import load_weights
from thunder_core.train.blinks import bisected, blinks_a_minute

MEAN, DEVIATION = 0.2, 0.2


def gaussian(x, step):
    """E[x_0 | x] for x_0 ~ N(MEAN, DEVIATION²)."""
    a = float(alpha_bar()[step])
    gain = a**0.5 * DEVIATION**2 / (a * DEVIATION**2 + 1 - a)
    return MEAN + gain * (x - a**0.5 * MEAN)


def test_blinks_are_counted_where_lids_begin_to_close():
    motion = torch.zeros(1, 250, 3)
    motion[0, 20:24, 1:] = 0.9
    motion[0, 100:130, 1:] = 0.8  # a long one is one
    motion[0, 200:203, 1] = 0.9  # one eye alone
    assert blinks_a_minute(motion, [1, 2]) == pytest.approx(12, rel=0.01)


@pytest.mark.parametrize("wanted", [0.05, 0.1])
def test_a_shift_of_the_first_noise_gives_the_share_that_is_wanted(wanted):
    noise = torch.randn(64, 100, 1, generator=torch.Generator().manual_seed(0))

    def share(shift):
        return float((sample(gaussian, noise + shift, 10) > 0.5).float().mean())

    shift = bisected(share, wanted)
    assert share(shift) == pytest.approx(wanted, abs=0.01)
    # The solution of the flow is MEAN + DEVIATION · noise, so the shift is known.
    expected = (0.5 - MEAN) / DEVIATION - torch.special.ndtri(torch.tensor(1 - wanted)).item()
    assert shift == pytest.approx(expected, abs=0.06) or abs(expected) > 0.5


def test_a_share_out_of_reach_is_approached():
    assert bisected(lambda shift: 0.0, 0.5) > 0.48 and bisected(lambda shift: 1.0, 0.5) < -0.48


def test_busy_eyes_shift_the_noise_of_the_lids_and_of_nothing_else():
    model = Denoiser(DenoiserConfig(motion=4, audio=3, style=len(DIRECTION_NAMES), blinks_by_eyes=0.2))
    model.noise_mean[1] = 0.3
    style = torch.zeros(2, 1, len(DIRECTION_NAMES))
    style[:, 0, DIRECTION_NAMES.index("eyes")] = torch.tensor([1.5, -1.0])
    noise = torch.randn(2, 6, 4)
    shift = model.first_noise(noise, style) - noise
    assert shift[..., [0, 2, 3]].abs().max() < 1e-6
    assert shift[0, :, 1].tolist() == pytest.approx([0.6] * 6, abs=1e-6) and shift[1, :, 1].tolist() == pytest.approx([0.1] * 6, abs=1e-6)
    assert (model.first_noise(noise) - noise)[..., 1].flatten().tolist() == pytest.approx([0.3] * 12, abs=1e-6), "any style"


def test_the_shipped_model_blinks_as_often_as_its_teacher():
    figures = json.loads((SHIPPED / "denoiser.json").read_text())["card"]["figures"]
    assert figures["blinks"] == pytest.approx(figures["blinks_taught"], rel=0.15)
    assert load_weights(SHIPPED / "denoiser")[0]["noise_mean"].abs().max() < 0.5
