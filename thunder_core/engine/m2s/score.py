# SPDX-License-Identifier: GPL-3.0-or-later
"""The lip-sync score: how well the lips agree with the sound, overall and per frame, and where they drift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...grades import WRONG
from ...types import LipSyncScore

SMOOTH = 13  # animation frames (half a second) averaged in one value of the drift curve
OFF_FRAMES = 3  # 120 ms
DAMPED = 0.15  # the middle anchor of the scale: takes damped to 15 %, further than *Energy* can ask for (35 %)
_LEAST_GAP = 0.1  # minimum distance between two anchors' merits
# Lips stand still that move less in a frame, millimetres, in a stretch with so many frames of speech: in 320 takes of validation voices, as
# they are and damped to 60 %, there is none.
_STILL_MM, _STILL_FRAMES = 0.05, 4
VOICED = -1.0  # loudness channel 1 below this (40 dB under the voice) is silence


def evidence(logits: np.ndarray, units: np.ndarray, log_prior: np.ndarray) -> np.ndarray:
    """Log-odds, in nats, that the mouth gives for the spoken units: log p(u | V_m) − log p(u), [T] from [2T, n], [2T].

    The prior is taken off so that a clip full of common sounds does not score better than one of rare ones.
    """
    highest = logits.max(-1)
    log_p = logits[np.arange(len(units)), units] - highest - np.log(np.exp(logits - highest[:, None]).sum(-1))
    return (log_p - log_prior[units]).reshape(-1, 2).mean(-1)


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

    def __call__(self, merit: np.ndarray) -> np.ndarray:
        """Points 0 … 100 of merits of any shape."""
        low, middle, high = self.merits
        middle = max(middle, low + _LEAST_GAP)
        high = max(high, middle + _LEAST_GAP)
        p = self.points
        below = p[0] + (merit - low) * ((p[1] - p[0]) / (middle - low))
        above = p[1] + (merit - middle) * ((p[2] - p[1]) / (high - middle))
        x = np.maximum(np.where(merit < middle, below, above), 0) / 100
        # Bends towards 100 from 70 on: a hard limit there would make all very good takes equal, and lose their order.
        return 100 * np.where(x < 0.7, x, 0.7 + 0.3 * np.tanh((x - 0.7) / 0.3))


def voiced(loudness: np.ndarray) -> np.ndarray:
    """Weight [T] 0 or 1 of frames in a score, from loudness [T, 2]: those that sound, all if none does."""
    weight = (loudness[:, 1] > VOICED).astype(np.float32)
    return weight if weight.any() else np.ones_like(weight)


def stands_still(lips: np.ndarray, speaking: np.ndarray) -> np.ndarray:
    """Where lips [T, n, 3], metres, stand still though somebody speaks (bool [T]), bool [T]."""
    still = 1 + np.flatnonzero(1e3 * np.abs(np.diff(lips, axis=0)).max((1, 2), initial=0.0) < _STILL_MM)
    result = np.zeros(len(lips), bool)
    for run in np.split(still, np.flatnonzero(np.diff(still) > 1) + 1):
        result[run] = speaking[run].sum() >= _STILL_FRAMES
    said = np.flatnonzero(speaking)
    return result & (np.arange(len(lips)) >= said[0]) & (np.arange(len(lips)) <= said[-1]) if len(said) else result


def merit_of(opinion: np.ndarray, loudness: np.ndarray) -> float:
    """Merit of opinions [T]: minus the mean log relative lip error over the voiced frames. Higher is better."""
    weight = voiced(loudness)
    return -float((opinion * weight).sum() / weight.sum())


def grade(
    opinion: np.ndarray, loudness: np.ndarray, scale: Scale, hard: np.ndarray | None = None, near_scale: Scale | None = None,
    in_all: float = 0.0, near_opinion: np.ndarray | None = None, speaking: np.ndarray | None = None,
) -> LipSyncScore:  # fmt: skip
    """Score of a motion, from the judge's opinions [T] and the sound's loudness [T, 2].

    scale: for totals, from which `in_all` is subtracted first.  near_scale, near_opinion [T]: for the curve over time (None: `scale`
    and `opinion`).
    hard [T]: the opinion that usual takes of this sound get at each frame. It is subtracted from the curve, so that frames on
    which every mouth scores low do not count as drift. The total does not change.
    speaking: bool [T], where somebody speaks (None: where it sounds).
    """
    near_opinion = opinion if near_opinion is None else near_opinion
    weight = voiced(loudness)
    near = np.convolve(np.pad(weight, SMOOTH // 2), np.hanning(SMOOTH + 2)[1:-1], "valid")
    total = float(scale(np.float64(merit_of(opinion, loudness) - in_all)))
    expected = 0.0 if hard is None else hard - (hard * weight).sum() / weight.sum()
    # Without speech nothing can drift: those frames get the clip's own score, and none is wrong. The half second that a value is a mean of
    # would reach before the first word and behind the last one.
    said = np.flatnonzero((weight > 0) & (True if speaking is None else speaking))
    if len(said):
        near[: said[0]] = near[said[-1] + 1 :] = 0.0
    drift = np.where(near > 0.5, (near_scale or scale)(expected - near_opinion), max(total, WRONG))
    return LipSyncScore(total, drift.astype(np.float32))
