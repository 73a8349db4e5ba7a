# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves over time as the judge compares them: means, deviations and correlations over the frames that count; and what
mesh-to-speech's opinion of a mouth is worth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..engine.scorer import SMOOTH

LAGS = (-4, -2, 0, 2, 4)  # frames at which a whole clip is compared
_NEAR = 25  # frames over which curves are compared near a frame
_LEAST_DEVIATION = 0.3  # lower bound of a curve's standard deviation, in mm or in deviations: below it is noise


def evidence(logits: Tensor, units: Tensor, log_prior: Tensor) -> Tensor:
    """Log-odds, in nats, that the mouth gives for the spoken units: log p(u | V_m) − log p(u), [B, T] from [B, 2T, n], [2T].

    The prior is taken off so that a clip full of common sounds does not score better than one of rare ones.
    """
    log_p = F.log_softmax(logits.float(), -1)
    indices = units.expand(len(logits), -1)[..., None]
    return (log_p.gather(-1, indices)[..., 0] - log_prior[units]).unflatten(-1, (-1, 2)).mean(-1)


def hann(frames: int, like: Tensor) -> Tensor:
    """A Hann window [1, 1, frames], as a kernel with the device and type of `like`."""
    return torch.hann_window(frames + 2, periodic=False)[1:-1].to(like)[None, None]


def smoothed(x: Tensor) -> Tensor:
    """The mean [B, T] of values [B, T] around each frame, over SMOOTH of them; beyond the ends they are held."""
    kernel = hann(SMOOTH, x)
    return F.conv1d(F.pad(x[:, None], (SMOOTH // 2, SMOOTH // 2), mode="replicate"), kernel / kernel.sum())[:, 0]


def mean(x: Tensor, weight: Tensor) -> Tensor:
    """Mean [B, …] of x [B, T, …] over frames of weight [B, T]."""
    weight = weight.reshape(*weight.shape, *[1] * (x.dim() - 2))
    return (x * weight).sum(1) / weight.sum(1).clamp_min(1.0)


def standard(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Curves [B, T, …] in deviations above their means over the frames that count, and both [B, …]."""
    middle = mean(x, weight)
    deviation = mean((x - middle[:, None]).square(), weight).sqrt().clamp_min(_LEAST_DEVIATION)
    return (x - middle[:, None]) / deviation[:, None], middle, deviation


def _lagged(x: Tensor) -> Tensor:
    """Curves [..., T] delayed by each of LAGS, zero where they are unknown: [..., LAGS, T]."""
    frames = torch.arange(x.shape[-1], device=x.device)
    at = frames - torch.tensor(LAGS, device=x.device)[:, None]
    return torch.where((at >= 0) & (at <= frames[-1]), x[..., torch.minimum(at.clamp_min(0), frames[-1])], 0.0)


def _near(x: Tensor, weight: Tensor) -> Tensor:
    """Weighted sums [B, …, T] of curves [B, …, T] within half a second of each frame; weight [B, T]."""
    weight = weight.reshape(len(weight), *[1] * (x.dim() - 2), -1)
    rows = (x * weight).reshape(-1, 1, x.shape[-1])
    return F.conv1d(F.pad(rows, (_NEAR // 2, _NEAR // 2)), hann(_NEAR, x)).reshape(x.shape)


@dataclass(frozen=True)
class Guesses:
    """What c curves are compared with: k guesses of each, standardised, [B, c, k, T], over frames of weight [B, T].

    near_weight [B, T], near_mean and near_square [B, c, k, T]: within half a second of each frame.  lag_weight [B, LAGS, T].
    """

    curves: Tensor
    weight: Tensor
    near_weight: Tensor
    near_mean: Tensor
    near_square: Tensor
    lag_weight: Tensor

    @classmethod
    def of(cls, curves: Tensor, weight: Tensor) -> Guesses:
        """Of standardised curves [B, c, k, T] over frames of weight [B, T]."""
        count = _near(torch.ones_like(weight), weight).clamp_min(1e-3)
        near, square = _near(torch.stack([curves, curves * curves], 1), weight).unbind(1)
        of_all = count[:, None, None]
        return cls(curves, weight, count, near / of_all, square / of_all, weight[:, None] * _lagged(weight))

    def near_correlations(self, own: Tensor) -> Tensor:
        """Correlations [B, c, k, T] of standardised curves [B, c, T] with their guesses within half a second of each frame."""
        guesses = self.curves.shape[2]
        each = torch.cat([own[:, :, None] * self.curves, (own * own)[:, :, None], own[:, :, None]], 2)
        product, square, near = (_near(each, self.weight) / self.near_weight[:, None, None]).split([guesses, 1, 1], 2)
        spread = (square - near.square()).clamp_min(0) * (self.near_square - self.near_mean.square()).clamp_min(0)
        return (product - near * self.near_mean) / (spread + 0.01).sqrt()  # undefined without movement

    def clip_agreements(self, own: Tensor) -> Tensor:
        """Mean products [B, c, k, LAGS] of standardised curves [B, c, T], delayed by each of LAGS, with their guesses."""
        products = _lagged(own)[:, :, None] * self.curves[:, :, :, None] * self.lag_weight[:, None, None]
        return products.sum(-1) / self.lag_weight.sum(-1).clamp_min(1.0)[:, None, None]
