# SPDX-License-Identifier: GPL-3.0-or-later
"""What every take of a batch is played like: around what the animator asks, as far apart as *Spread* lets them be."""

from __future__ import annotations

import numpy as np
import torch

from ..direction import AXES, MOODS, NEUTRAL

_SCRAMBLE = 7  # of the Sobol sequence: another number is another set of readings for the same seeds
_POINTS = 1 << 16  # of the sequence that are used; seeds beyond begin again
_AXIS_SPREAD = 2.0  # deviations between speakers that readings are apart at a spread of 1
_FURTHEST = 2.2  # deviations from what is asked, at a spread of 1 times _AXIS_SPREAD
_MOOD_SPREAD = 0.8  # strongest mood that a reading adds at a spread of 1, where none is asked for
_STRENGTH_SPREAD = 0.5  # how much stronger or weaker the mood that is asked for gets at a spread of 1
_MOOD_NAMES = tuple(name for name in MOODS if name != NEUTRAL)
# What a style may be, in deviations.
_LEAST = np.array([axis.deviations(axis.least) for axis in AXES])
_MOST = np.array([axis.deviations(axis.most) for axis in AXES])


def point(seed: int) -> np.ndarray:
    """A seed's point of the scrambled Sobol sequence [len(AXES) + 2], 0 … 1: those of consecutive seeds fill space evenly."""
    sequence = torch.quasirandom.SobolEngine(len(AXES) + 2, scramble=True, seed=_SCRAMBLE)
    return sequence.fast_forward(seed % _POINTS).draw(1, dtype=torch.float64)[0].numpy()


def reading(asked: np.ndarray, seed: int, spread: float) -> np.ndarray:
    """How the take of a seed is played: float32 [n, DIRECTION_NAMES].

    asked: direction vectors [n, DIRECTION_NAMES], one for the line or one for every frame.  spread: 0 (just as asked) … 1
    (as far apart as people are). Where no mood is asked for, every other reading has a touch of one.
    """
    asked = np.array(asked, np.float32)
    if spread <= 0:
        return asked
    x = point(seed)
    normal = torch.special.ndtri(torch.from_numpy(x[: len(AXES)])).numpy().clip(-_FURTHEST, _FURTHEST)
    style, moods = asked[:, : len(AXES)], asked[:, len(AXES) :]
    style[:] = np.clip(style + spread * _AXIS_SPREAD * normal, np.minimum(_LEAST, style), np.maximum(_MOST, style))
    if moods.any():
        moods[:] = np.clip(moods * (1 + spread * _STRENGTH_SPREAD * (2 * x[-1] - 1)), 0, 1)
    else:
        moods[:, int(x[-2] * len(_MOOD_NAMES)) % len(_MOOD_NAMES)] = spread * _MOOD_SPREAD * max(0.0, 2 * x[-1] - 1)
    return asked
