# SPDX-License-Identifier: GPL-3.0-or-later
"""Ancestral sampling (Ho et al. 2020, algorithm 2) over all diffusion steps: the paper's sampler, the reference for ours.

Slow on purpose: takes of the compared systems are sampled with it when all 1000 steps are requested, and `research/speed.py` measures the
usual sampler against it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .noise import Normal
from .sampling import BETA, Denoise, STEPS


def ancestral_sample(
    denoise: Denoise, noise: np.ndarray, normal: Normal, callback: Callable[[int, int], None] | None = None
) -> np.ndarray:  # fmt: skip
    """From ε [B, T, C] to x_0 [B, T, C] in STEPS draws from q(x̃_{d−1} | x̃_d, x̂_0), noise from `normal`.

    With β_d, α_d = 1 − β_d and ᾱ_d = Π α the draw is normal, of variance β̃_d = β_d (1 − ᾱ_{d−1}) / (1 − ᾱ_d) and mean
    √ᾱ_{d−1} β_d / (1 − ᾱ_d) · x̂_0 + √α_d (1 − ᾱ_{d−1}) / (1 − ᾱ_d) · x̃_d. The last one has no noise.
    `callback(done, STEPS)` runs before each evaluation and may raise.
    """
    beta = np.linspace(*BETA, STEPS)
    after = np.cumprod(1 - beta)  # ᾱ_d
    before = np.append(1.0, after[:-1])  # ᾱ_{d−1}
    of_estimate = (np.sqrt(before) * beta / (1 - after)).tolist()
    of_noisy = (np.sqrt(1 - beta) * (1 - before) / (1 - after)).tolist()
    deviation = np.sqrt(beta * (1 - before) / (1 - after)).tolist()
    x = noise
    for done, d in enumerate(reversed(range(STEPS))):
        if callback:
            callback(done, STEPS)
        x = of_estimate[d] * denoise(x, d) + of_noisy[d] * x
        if d:
            x = x + deviation[d] * normal.draw(*x.shape)
    return x
