# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranking by mesh-to-speech: does what the mouth says agree with what is heard, how well, and where does it drift?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...types import LipSyncScore

SMOOTH = 13  # animation frames (half a second) that one value of the drift curve looks at
OFF_FRAMES, DAMPED = 3, 0.6  # 120 ms, 60 %: the faults that a scale is laid by
_LEAST_GAP = 0.1  # between the merits of a scale
_VOICED = -1.0  # loudness channel 1 below this (40 dB under the voice) is silence


def evidence(logits: Tensor, units: Tensor, log_prior: Tensor) -> Tensor:
    """Nats that the mouth gives for the units that were said: log p(u | V_m) − log p(u), [B, T] from [B, 2T, n], [2T].

    The prior is taken off so that a clip full of common sounds does not score better than one of rare ones.
    """
    log_p = F.log_softmax(logits.float(), -1)
    said = units.expand(len(logits), -1)[..., None]
    gain = log_p.gather(-1, said)[..., 0] - log_prior[units]
    return gain.unflatten(-1, (-1, 2)).mean(-1)


def shift_frames(x: np.ndarray, frames: int) -> np.ndarray:
    """A motion [T, C] played `frames` later, or earlier if negative, its ends held."""
    return x[np.clip(np.arange(len(x)) - frames, 0, len(x) - 1)]


@dataclass(frozen=True)
class Scale:
    """What merits are worth on one sound: three of them, ascending, and their points.

    How much can be told from a voice differs from voice to voice. So a sound's own scale is laid by what its usual
    performances get as they are, damped, and late: equal faults cost equal points on every sound.
    """

    merits: tuple[float, float, float]
    points: tuple[float, float, float] = (8.0, 45.0, 75.0)  # 120 ms off, damped to 60 %, usual
    # By how much the usual performances are thought worse at a frame than on average, [T] from frame `start` on: some sounds are
    # hard to read off any lips, and that is no drift.
    usual: Tensor | None = None
    start: int = 0

    def __call__(self, merit: Tensor) -> Tensor:
        """Points 0 … 100 of merits of any shape."""
        low, middle, high = self.merits
        middle = max(middle, low + _LEAST_GAP)
        high = max(high, middle + _LEAST_GAP)
        p = self.points
        below = p[0] + (merit - low) * ((p[1] - p[0]) / (middle - low))
        above = p[1] + (merit - middle) * ((p[2] - p[1]) / (high - middle))
        x = torch.where(merit < middle, below, above).clamp_min(0) / 100
        # Bends towards 100 from 70 on: a hard limit there would make all very good takes equal, and lose their order.
        return 100 * torch.where(x < 0.7, x, 0.7 + 0.3 * torch.tanh((x - 0.7) / 0.3))

    def expected(self, frames: int) -> Tensor:
        """`usual` for the first frames of the sound, [frames]; 0 where no performance was looked at."""
        expected = torch.zeros(frames)
        if self.usual is not None and self.start < frames:
            known = self.usual[: frames - self.start]
            expected[self.start : self.start + len(known)] = known
        return expected


def smoothed(values: Tensor, weight: Tensor) -> Tensor:
    """Values [T] averaged over half a second of the frames that count, weight [T] of 0 or 1; 0 where none does."""
    kernel = torch.hann_window(SMOOTH + 2, periodic=False, device=values.device)[1:-1].to(values)[None, None]
    half = SMOOTH // 2
    sums = F.conv1d(F.pad(torch.stack([values * weight, weight])[:, None], (half, half)), kernel)[:, 0]
    return torch.where(sums[1] > 1e-6, sums[0] / sums[1].clamp_min(1e-6), torch.zeros_like(values))


def voiced(loudness: Tensor) -> Tensor:
    """Weight [T] 0 or 1 of frames in a score, from loudness [T, 2]: those that sound, all if none does."""
    weight = (loudness[:, 1] > _VOICED).float()
    return weight if weight.sum() >= 1 else torch.ones_like(weight)


def merits(opinion: Tensor, loudness: Tensor) -> Tensor:
    """One number [B] for each of a batch of opinions [B, T]: minus the mean log relative lip error where the sound is."""
    weight = voiced(loudness).to(opinion)
    return -(opinion * weight).sum(1) / weight.sum()


def grade(opinion: Tensor, loudness: Tensor, scale: Scale) -> list[LipSyncScore]:
    """Scores of a batch of motions of one sound, from the judge's opinions [B, T] and the sound's loudness [T, 2]."""
    opinion = opinion.float()
    frames = opinion.shape[1]
    weight = voiced(loudness).to(opinion)
    kernel = torch.hann_window(SMOOTH + 2, periodic=False, device=opinion.device)[1:-1].to(opinion)[None, None]
    half = SMOOTH // 2
    near = F.conv1d(F.pad(weight[None, None], (half, half)), kernel)[0, 0, :frames]
    total = scale(merits(opinion, loudness))
    # Where nobody speaks nothing can drift: those frames carry the clip's own score.
    drift = torch.where(near > 0.5, scale(scale.expected(frames).to(opinion) - opinion), total[:, None])
    return [LipSyncScore(float(t), d.cpu().numpy()) for t, d in zip(total, drift)]
