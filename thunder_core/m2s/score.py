# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranking by mesh-to-speech: does what the mouth says agree with what is heard, and where does it drift?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..types import LipSyncScore
from .model import MeshToSpeech

_SMOOTH = 13  # animation frames (half a second) that one value of the drift curve looks at
_VOICED = -1.0  # loudness channel 1 below this (40 dB under the voice) is silence


def evidence(logits: Tensor, units: Tensor, log_prior: Tensor) -> Tensor:
    """Nats that the mouth gives for the units that were said: log p(u | V_m) − log p(u), [B, T] from [B, 2T, n], [2T].

    The prior is taken off so that a clip full of common sounds does not score better than one of rare ones.
    """
    log_p = F.log_softmax(logits.float(), -1)
    said = units.expand(len(logits), -1)[..., None]
    gain = log_p.gather(-1, said)[..., 0] - log_prior[units]
    return gain.unflatten(-1, (-1, 2)).mean(-1)


def grade(model: MeshToSpeech, logits: Tensor, units: Tensor, loudness: Tensor, scale: tuple[float, float]) -> list[LipSyncScore]:
    """Scores of a batch of motions of one sound.

    logits [B, 2T, units] of the motions · units [2T] of the sound · loudness [T, 2] · scale: evidence of motions of
    other sentences and of the training truth, on average, which get 0 and 93 points.
    """
    gain = evidence(logits, units, model.unit_log_prior)  # [B, T]
    frames = gain.shape[1]
    weight = (loudness[:, 1] > _VOICED).float().to(gain)
    if weight.sum() < 1:
        weight = torch.ones_like(weight)
    kernel = torch.hann_window(_SMOOTH + 2, periodic=False, device=gain.device)[1:-1].to(gain)[None, None]
    half = _SMOOTH // 2

    def smooth(x: Tensor) -> Tensor:
        return F.conv1d(F.pad(x[:, None], (half, half)), kernel)[:, 0, :frames]

    local = smooth(gain * weight) / smooth(weight.expand_as(gain)).clamp_min(1e-3)
    total = (gain * weight).sum(1) / weight.sum()
    low, high = scale

    def points(x: Tensor) -> Tensor:
        x = ((x - low) / max(high - low, 1e-6)).clamp_min(0)
        # Bends towards 100 from 70 on: a hard limit there would make all very good takes equal, and lose their order.
        return 100 * torch.where(x < 0.7, x, 0.7 + 0.3 * torch.tanh((x - 0.7) / 0.3))

    # Where nobody speaks nothing can drift: those frames carry the clip's own score.
    drift = torch.where(smooth(weight.expand_as(gain)) > 0.5, points(local), points(total)[:, None])
    return [LipSyncScore(float(t), d.float().cpu().numpy()) for t, d in zip(points(total), drift)]
