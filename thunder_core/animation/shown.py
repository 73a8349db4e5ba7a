# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures how far a finished take shows each trait of a direction, so that its words say what is seen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..types import FPS, Motion
from .played import LEAST_SHARE, Played, shifts

# Measure → (value of the middle take without a request, how much takes differ in it per deviation that they differ in what is asked of
# them): `python bench/words.py CACHE`, on voices of `validation` at *Spread* 0.5. Units as in `Played.measure` and `measure_fine`; gaze:
# root of gaze shifts a second.
USUAL: Mapping[str, tuple[float, float]] = {
    "smile": (0.108, 1.242), "brows": (3.034, 1.448), "head": (14.148, 4.403), "eyes": (0.86, 0.301), "gaze": (0.62, 0.287),
    "asymmetry": (-0.002, 0.056), "frown": (0.105, 0.116),
}  # fmt: skip
# The same of what the voice itself decides for the most part: a loud one opens any mouth far. The first number is by how much the middle
# take is above what the model expects of the line as it was requested.
BEYOND_EXPECTED: Mapping[str, tuple[float, float]] = {
    "energy": (0.043, 0.191), "jaw": (0.002, 0.064), "articulation": (0.075, 0.084), "width": (0.494, 1.418), "rounding": (-0.848, 1.785),
    "tension": (0.001, 0.009),
}  # fmt: skip
_MOST_FRAMES = 120 * FPS  # of a take that are measured
_LEAST_SPOKEN = FPS  # frames with speech in a take, below which nothing is known of it


def measured(played: Played, motion: Motion, speaking: np.ndarray) -> dict[str, float]:
    """{measure of USUAL and BEYOND_EXPECTED: value} of a motion [T] of the head's channels; speaking: bool [T], where somebody speaks.

    {} if hardly anybody speaks. The jaw's is left out where the mouth never opens far enough to see it.
    """
    part = slice(0, round(_MOST_FRAMES))
    motion, speaking = motion.part(part), speaking[part]
    if speaking.sum() < _LEAST_SPOKEN:
        return {}
    values = played.measure(motion, speaking) | played.measure_fine(motion, speaking)
    values["gaze"] = float(np.sqrt(len(shifts(motion)) / (motion.frames / FPS)))
    if values["jaw"] <= np.log(LEAST_SHARE):
        del values["jaw"]
    return values


def shown(values: Mapping[str, float], expected: Mapping[str, float]) -> dict[str, float]:
    """How far a take goes, in deviations of the slider or axis: {measure of USUAL: above usual takes, of BEYOND_EXPECTED: above what was
    requested}.

    values: as `measured` of the take.  expected: as `measured` of what the model expects of the line in the requested direction.
    """
    usual = {name: (values[name] - middle) / step for name, (middle, step) in USUAL.items() if name in values}
    beyond = {
        name: (values[name] - expected[name] - middle) / step
        for name, (middle, step) in BEYOND_EXPECTED.items()
        if name in values and name in expected
    }
    return {name: round(value, 2) for name, value in (usual | beyond).items()}
