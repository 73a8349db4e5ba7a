# SPDX-License-Identifier: GPL-3.0-or-later
"""Adjusts how often a sampled face blinks.

Blinks are rare and short; a diffusion model trained for hours instead of weeks plays about half as many as the teacher. Whether a
blink occurs is decided at the highest noise level, so the noise of the lid channels is shifted until takes blink as often as the
training motion, and a little more where the style has busy eyes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..channels import BLINKS, in_group
from ..direction import AXES
from ..engine.diffusion import sample
from ..face.head import Head
from ..networks.denoiser import Denoiser
from ..types import FPS
from .m2s import SpeechBatches
from .motions import MotionSet

FRAMES = (150, 70)  # crop lengths, tried in order until the clips are long enough
CROPS, CROPS_PER_ROW = 64, 4  # most crops in total and per row
STEPS = 10  # sampling steps; 20 give as many blinks
CLOSED = 0.5  # blink value from which a lid is closed
MOODLESS = 0.3  # sum of mood strengths below which a line counts as without a mood
WHOLE_LINES = 0.12  # extra shift: on lines longer than a crop the model blinks less (research/habits.py)
_FURTHEST = 0.5  # largest shift tried, in deviations of the noise; beyond it lids stay closed and the rate falls again
BY_EYES = 0.15  # shift per deviation of “eyes”; without it takes follow that slider less (research/direction.py)
_ROUNDS = 6  # bisection steps: precise to 0.01 deviations


def blinks_a_minute(motion: Tensor, lids: list[int]) -> float:
    """Blinks per minute in motions [B, T, C]: how often the channels `lids` close."""
    closed = motion[..., lids].mean(-1) > CLOSED
    return float((closed[:, 1:] & ~closed[:, :-1]).float().mean()) * 60 * FPS


def bisected(rate: Callable[[float], float], wanted: float) -> float:
    """The shift of noise, in deviations, at which the increasing function `rate` reaches the wanted value, or comes nearest to it."""
    low, high = -_FURTHEST, _FURTHEST
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        low, high = (middle, high) if rate(middle) < wanted else (low, middle)
    return (low + high) / 2


@torch.no_grad()
def match_blinks(denoiser: Denoiser, motions: MotionSet, head: Head) -> dict[str, float]:
    """Set the lids' `noise_mean`, and how it follows the style, so that they close as often as those of the watched voices do
    where they are played without a mood.

    Returns the figures for the card.
    """
    device = denoiser.motion_mean.device
    lids = [i for i, blinks in enumerate(in_group(head.expression_names, BLINKS)) if blinks]
    frames, rows = next((length, rows) for length in FRAMES if (rows := motions.watched(length)))
    batches = SpeechBatches(motions, rows, frames, min(CROPS, CROPS_PER_ROW * len(rows)), mel=False)
    item = {name: value.to(device) for name, value in batches(np.random.default_rng(5)).items()}
    style, free = item["direction"].nan_to_num(), item["direction"].isnan().any(2)[:, 0]
    noise = torch.randn(item["motion"].shape, generator=torch.Generator().manual_seed(5)).to(device)

    # Moods have blinks of their own; most lines are played without one.
    calm = style[:, 0, len(AXES) :].sum(-1) < MOODLESS
    if not calm.any():  # a small corpus
        calm[:] = True
    denoiser.config = replace(denoiser.config, blinks_by_eyes=BY_EYES)

    def rate(shift: float) -> float:
        denoiser.noise_mean[lids] = shift
        start = denoiser.first_noise(noise, style)

        def denoise(x: torch.Tensor, step: int) -> torch.Tensor:
            return denoiser(x, torch.full((len(x),), step, device=device), item["features"], style=style, free=free)

        return blinks_a_minute(denoiser.restore(sample(denoise, start, STEPS))[calm], lids)

    wanted, before = blinks_a_minute(item["motion"][calm], lids), rate(0.0)
    shift = bisected(rate, wanted)
    after = rate(shift)
    denoiser.noise_mean[lids] = shift + WHOLE_LINES
    return {"blinks_taught": round(wanted, 2), "blinks_unshifted": round(before, 2), "blinks": round(after, 2)}
