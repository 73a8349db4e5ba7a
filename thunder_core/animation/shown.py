# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what a finished take shows of smile, brows, head and eyes against usual takes, so that its words do not say otherwise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..types import FPS, Motion
from .played import Played, shifts

# Measure → (its median over takes without a request, its change per deviation of its slider): `python bench/words.py CACHE`, on voices of
# `validation` at *Spread* 0.5. Units as in `Played.measure`; gaze: root of gaze shifts a second.
USUAL: Mapping[str, tuple[float, float]] = {
    "smile": (0.108, 1.082), "brows": (3.034, 1.13), "head": (14.148, 3.768), "eyes": (0.86, 0.23), "gaze": (0.62, 0.122),
}  # fmt: skip
_MOST_FRAMES = 120 * FPS  # of a take that are measured


def measured(played: Played, motion: Motion, speaking: np.ndarray) -> dict[str, float]:
    """{measure of USUAL: value} of a motion [T] of the head's channels; speaking: bool [T], where somebody speaks."""
    values = played.measure(motion, speaking)
    return {name: values[name] for name in USUAL if name in values} | {"gaze": float(np.sqrt(len(shifts(motion)) / (motion.frames / FPS)))}


def shown(played: Played, motion: Motion, speaking: np.ndarray) -> dict[str, float]:
    """{measure of USUAL: deviations of its slider above usual takes} of a motion, as `measured`; {} if nobody speaks in it."""
    part = slice(0, round(_MOST_FRAMES))
    if not speaking[part].any():
        return {}
    values = measured(played, motion.part(part), speaking[part])
    return {name: round((values[name] - usual) / step, 2) for name, (usual, step) in USUAL.items()}
