# SPDX-License-Identifier: GPL-3.0-or-later
"""Guidance by mesh-to-speech: moves each estimate during sampling towards mouths that say the spoken units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..face.head import Head
from .m2s import MeshToSpeech
from .mouth import Mouth

STEP = 0.03  # standard deviations that an average channel moves per sampling step at strength 1; .1 already says less, not more


class SpeechGuidance:
    """Gradient of the evidence for the spoken units [2T] with respect to x̂_0, in steps of known size.

    weight [T]: 0 where nobody speaks.  mean, std [C]: standardisation of x̂_0.
    """

    def __init__(self, m2s: MeshToSpeech, mouth: Mouth, units: Tensor, weight: Tensor, mean: Tensor, std: Tensor, strength: float):
        self.m2s, self.mouth, self.units, self.weight = m2s, mouth, units, weight
        self.mean, self.std, self.strength = mean, std, strength

    @classmethod
    def load(
        cls, folder: Path, head: Head, units: np.ndarray, weight: np.ndarray, mean: np.ndarray, std: np.ndarray, strength: float,
        device: str,
    ) -> SpeechGuidance:  # fmt: skip
        """By the mesh-to-speech in a folder of weights. Raises BadWeights."""
        m2s = MeshToSpeech.load(folder).to(device)
        arrays = (torch.from_numpy(np.ascontiguousarray(each)).to(device) for each in (units, weight, mean, std))
        return cls(m2s, Mouth(m2s.mouth or head).to(device), *arrays, strength)

    def __call__(self, x0: np.ndarray, a: int, b: int) -> np.ndarray:
        """x̂_0 [B, b − a, C] of the frames a … b, pulled."""
        return self.pull(torch.from_numpy(np.ascontiguousarray(x0)).to(self.mean.device), a, b).cpu().numpy()

    def pull(self, x0: Tensor, a: int, b: int) -> Tensor:
        """The same of a tensor."""
        with torch.enable_grad():
            x = x0.detach().requires_grad_()
            motion = x * self.std + self.mean
            _, twice = self.m2s.encode(self.mouth.of_packed(motion))
            units = self.units[2 * a : 2 * b].expand(len(x), -1)
            miss = F.cross_entropy(self.m2s.unit_head(twice).float().transpose(1, 2), units, reduction="none")
            weight = self.weight[a:b].repeat_interleave(2)
            (gradient,) = torch.autograd.grad((miss * weight).sum(), x)
        size = gradient.square().mean((1, 2), keepdim=True).sqrt().clamp_min(1e-8)
        # Clipped, so that a frame with a steep gradient does not jump.
        return x0 - self.strength * STEP * (gradient / size).clamp(-3, 3)
