# SPDX-License-Identifier: GPL-3.0-or-later
"""Guidance by mesh-to-speech: moves each estimate during sampling towards mouths that say the spoken units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ..face.head import Head
from .m2s import MeshToSpeech
from .mouth import Mouth

STEP = 0.03  # standard deviations that an average channel moves per sampling step at strength 1; .1 already says less, not more


class SpeechGuidance:
    """Gradient of the evidence for the spoken units [2T] with respect to x̂_0, in steps of known size.

    weight [T]: 0 where nobody speaks.  mean, std [C]: standardisation of x̂_0.
    """

    def __init__(
        self, folder: Path, head: Head, units: np.ndarray, weight: np.ndarray, mean: np.ndarray, std: np.ndarray, strength: float,
        device: str,
    ):  # fmt: skip
        """By the mesh-to-speech in a folder of weights. Raises BadWeights."""
        self.m2s, self.strength = MeshToSpeech.load(folder).to(device), strength
        self.mouth = Mouth(self.m2s.mouth or head).to(device)
        self.units, self.weight, self.mean, self.std = (
            torch.from_numpy(np.ascontiguousarray(each)).to(device) for each in (units, weight, mean, std)
        )

    def __call__(self, x0: np.ndarray, a: int, b: int) -> np.ndarray:
        """x̂_0 [B, b − a, C] of the frames a … b, pulled."""
        start = torch.from_numpy(np.ascontiguousarray(x0)).to(self.mean.device)
        with torch.enable_grad():
            x = start.clone().requires_grad_()
            motion = x * self.std + self.mean
            _, twice = self.m2s.encode(self.mouth.of_packed(motion))
            units = self.units[2 * a : 2 * b].expand(len(x), -1)
            miss = F.cross_entropy(self.m2s.unit_head(twice).float().transpose(1, 2), units, reduction="none")
            weight = self.weight[a:b].repeat_interleave(2)
            (gradient,) = torch.autograd.grad((miss * weight).sum(), x)
        size = gradient.square().mean((1, 2), keepdim=True).sqrt().clamp_min(1e-8)
        # Clipped, so that a frame with a steep gradient does not jump.
        return (start - self.strength * STEP * (gradient / size).clamp(-3, 3)).cpu().numpy()
