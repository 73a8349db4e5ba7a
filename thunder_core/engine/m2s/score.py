# SPDX-License-Identifier: GPL-3.0-or-later
"""The lip-sync score: how well the lips agree with the sound, overall and per frame, and where they drift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...grades import WRONG
from ...types import LipSyncScore

SMOOTH = 13  # animation frames (half a second) averaged in one value of the drift curve
OFF_FRAMES = 3  # 120 ms
DAMPED = 0.15  # the middle anchor of the scale: takes damped to 15 %, further than *Energy* can ask for (35 %)
_LEAST_GAP = 0.1  # minimum distance between two anchors' merits
# Lips stand still that move less in a frame, millimetres, in a stretch with so many frames of speech: in 320 takes of validation voices, as
# they are and damped to 60 %, there is none.
_STILL_MM, _STILL_FRAMES = 0.05, 4
_VOICED = -1.0  # loudness channel 1 below this (40 dB under the voice) is silence
LAGS = (-4, -2, 0, 2, 4)  # frames at which a whole clip is compared
_NEAR = 25  # frames over which curves are compared near a frame
_LEAST_DEVIATION = 0.3  # lower bound of a curve's standard deviation, in mm or in deviations: below it is noise


def evidence(logits: Tensor, units: Tensor, log_prior: Tensor) -> Tensor:
    """Log-odds, in nats, that the mouth gives for the spoken units: log p(u | V_m) − log p(u), [B, T] from [B, 2T, n], [2T].

    The prior is taken off so that a clip full of common sounds does not score better than one of rare ones.
    """
    log_p = F.log_softmax(logits.float(), -1)
    indices = units.expand(len(logits), -1)[..., None]
    gain = log_p.gather(-1, indices)[..., 0] - log_prior[units]
    return gain.unflatten(-1, (-1, 2)).mean(-1)


def shift_frames(x: np.ndarray, frames: int) -> np.ndarray:
    """A motion [T, C] played `frames` later, or earlier if negative, its ends held."""
    return x[np.clip(np.arange(len(x)) - frames, 0, len(x) - 1)]


@dataclass(frozen=True)
class Scale:
    """Maps merits (see `merits`) to points 0 … 100, by three anchors.

    merits: mean merit of takes 120 ms off, damped to 15 %, and unchanged. `train.judge.measure` measures them on validation
    voices; they are stored in the judge's card.  points: of these anchors. The same scale holds for every sound.
    """

    merits: tuple[float, float, float]
    points: tuple[float, float, float] = (8.0, 45.0, 75.0)  # 120 ms off, damped, usual

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


def hann(frames: int, like: Tensor) -> Tensor:
    """A Hann window [1, 1, frames], as a kernel with the device and type of `like`."""
    return torch.hann_window(frames + 2, periodic=False)[1:-1].to(like)[None, None]


def smoothed(x: Tensor) -> Tensor:
    """The mean [B, T] of values [B, T] around each frame, over SMOOTH of them; beyond the ends they are held."""
    kernel = hann(SMOOTH, x)
    return F.conv1d(F.pad(x[:, None], (SMOOTH // 2, SMOOTH // 2), mode="replicate"), kernel / kernel.sum())[:, 0]


def voiced(loudness: Tensor, there: Tensor | None = None) -> Tensor:
    """Weight [T] 0 or 1 of frames in a score, from loudness [T, 2]: those that sound, all if none does.

    there: bool [T], frames that are part of the clip (None: all).
    """
    there = torch.ones_like(loudness[:, 1]) if there is None else there.to(loudness)
    weight = (loudness[:, 1] > _VOICED) * there
    return weight if weight.sum() >= 1 else there


def stands_still(lips: np.ndarray, speaking: np.ndarray) -> np.ndarray:
    """Where lips [T, n, 3], metres, stand still though somebody speaks (bool [T]), bool [T]."""
    still = 1 + np.flatnonzero(1e3 * np.abs(np.diff(lips, axis=0)).max((1, 2), initial=0.0) < _STILL_MM)
    result = np.zeros(len(lips), bool)
    for run in np.split(still, np.flatnonzero(np.diff(still) > 1) + 1):
        result[run] = speaking[run].sum() >= _STILL_FRAMES
    said = np.flatnonzero(speaking)
    return result & (np.arange(len(lips)) >= said[0]) & (np.arange(len(lips)) <= said[-1]) if len(said) else result


def merits(opinion: Tensor, loudness: Tensor) -> Tensor:
    """Merit [B] of opinions [B, T]: minus the mean log relative lip error over the voiced frames. Higher is better."""
    weight = voiced(loudness).to(opinion)
    return -(opinion * weight).sum(1) / weight.sum()


def grade(
    opinion: Tensor, loudness: Tensor, scale: Scale, hard: Tensor | None = None, near_scale: Scale | None = None,
    in_all: Tensor | float = 0.0, near_opinion: Tensor | None = None, speaking: Tensor | None = None,
) -> list[LipSyncScore]:  # fmt: skip
    """Scores of a batch of motions of one sound, from the judge's opinions [B, T] and the sound's loudness [T, 2].

    scale: for totals, from which `in_all` [B] is subtracted first.  near_scale, near_opinion [B, T]: for the curve over time (None: `scale`
    and `opinion`).
    hard [T]: the opinion that usual takes of this sound get at each frame. It is subtracted from the curve, so that frames on
    which every mouth scores low do not count as drift. Totals do not change.
    speaking: bool [T], where somebody speaks (None: where it sounds).
    """
    opinion = opinion.float()
    near_opinion, frames = opinion if near_opinion is None else near_opinion.float(), opinion.shape[1]
    weight = voiced(loudness).to(opinion)
    half = SMOOTH // 2
    near = F.conv1d(F.pad(weight[None, None], (half, half)), hann(SMOOTH, opinion))[0, 0, :frames]
    total = scale(merits(opinion, loudness) - in_all)
    expected = torch.zeros_like(weight) if hard is None else hard.float() - (hard.float() * weight).sum() / weight.sum()
    # Without speech nothing can drift: those frames get the clip's own score, and none is wrong. The half second that a value is a mean of
    # would reach before the first word and behind the last one.
    said = torch.nonzero((weight > 0) & (True if speaking is None else speaking))[:, 0]
    if len(said):
        near[: said[0]] = near[said[-1] + 1 :] = 0.0
    drift = torch.where(near > 0.5, (near_scale or scale)(expected - near_opinion), total[:, None].clamp_min(WRONG))
    return [LipSyncScore(float(t), d.cpu().numpy()) for t, d in zip(total, drift)]


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
    frames = x.shape[-1]
    at = torch.arange(frames, device=x.device) - torch.tensor(LAGS, device=x.device)[:, None]
    return torch.where((at >= 0) & (at < frames), x[..., at.clamp(0, frames - 1)], 0.0)


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
