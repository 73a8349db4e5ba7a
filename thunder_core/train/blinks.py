# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a sampled face blinks.

A blink is rare and short, and a diffusion model that was trained for hours, not for weeks, plays too few of them: about half of
the teacher's. Whether there is one is decided at the highest noise, where the lids' channels hardly tell signal from noise. So
the noise that sampling starts from is shifted there, by as much as makes lids close as often as in the training motion.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..channels import BLINKS, in_group
from ..engine.diffusion.denoiser import Denoiser
from ..engine.diffusion.sampling import sample
from ..face.head import Head
from .m2s import SpeechBatches
from .motions import MotionSet

FRAMES = (150, 70)  # of a crop: as long as the set has clips
CROPS, CROPS_PER_ROW = 64, 4  # at most
STEPS = 10  # of sampling: twenty make as many blinks
CLOSED = 0.5  # of a blink channel
_FURTHEST = 1.0  # deviations of noise that are tried, either way
_ROUNDS = 7  # of bisection: to a hundredth of a deviation


def closed_share(motion: Tensor, lids: list[int]) -> float:
    """The share of frames of motions [..., C] in which the channels `lids` are closed."""
    return float((motion[..., lids] > CLOSED).float().mean())


def bisected(share: Callable[[float], float], wanted: float) -> float:
    """The shift of noise, deviations, at which `share` of it, which grows, is what is wanted, or the furthest towards it."""
    low, high = -_FURTHEST, _FURTHEST
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        low, high = (middle, high) if share(middle) < wanted else (low, middle)
    return (low + high) / 2


@torch.no_grad()
def match_blinks(denoiser: Denoiser, motions: MotionSet, head: Head) -> dict[str, float]:
    """Set the lids' `noise_mean` so that they close as often as those of the watched voices. Returns the figures for the card."""
    device = denoiser.motion_mean.device
    lids = [i for i, blinks in enumerate(in_group(head.expression_names, BLINKS)) if blinks]
    frames, rows = next((length, rows) for length in FRAMES if (rows := motions.watched(length)))
    batches = SpeechBatches(motions, rows, frames, min(CROPS, CROPS_PER_ROW * len(rows)), mel=False)
    item = {name: value.to(device) for name, value in batches(np.random.default_rng(5)).items()}
    style, free = item["direction"].nan_to_num(), item["direction"].isnan().any(2)[:, 0]
    noise = torch.randn(item["motion"].shape, generator=torch.Generator().manual_seed(5)).to(device)

    def share(shift: float) -> float:
        denoiser.noise_mean[lids] = shift
        x = sample(lambda x, step: denoiser(x, step, item["features"], style=style, free=free), denoiser.first_noise(noise), STEPS)
        return closed_share(denoiser.restore(x), lids)

    wanted, before = closed_share(item["motion"], lids), share(0.0)
    after = share(bisected(share, wanted))
    return {"lids_closed_taught": round(wanted, 4), "lids_closed_unshifted": round(before, 4), "lids_closed": round(after, 4)}
