# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures how far a finished take shows each trait of a direction, so that its words say what is
seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..types import FPS, IDLE, LISTENS, Motion
from .performance_meter import gaze_shifts, LEAST_SHARE, PerformanceMeter

# Measure → (median of takes without a request, how much takes differ in it per deviation of what is
# requested): `python -m research words --cache CACHE`, on voices of `validation` at *Variety* 0.5.
# Units as in `PerformanceMeter.measure` and `measure_other_axes`; gaze: root of gaze shifts a
# second.
USUAL: Mapping[str, tuple[float, float]] = {
    "smile": (0.071, 1.176), "brows": (1.841, 1.150), "head": (13.974, 5.159),
    "eyes": (0.894, 0.226), "gaze": (0.630, 0.237),
    "asymmetry": (-0.009, 0.044), "frown": (0.087, 0.112),
}  # fmt: skip
# The same for measures that the voice mostly decides: a loud one opens any mouth far. The first
# number is how far the median is above what the model expects of the line as it was requested.
BEYOND_EXPECTED: Mapping[str, tuple[float, float]] = {
    "energy": (0.098, 0.173), "jaw": (-0.007, 0.064), "articulation": (0.080, 0.099),
    "width": (0.604, 1.512), "rounding": (-0.575, 1.679),
    "tension": (0.002, 0.012),
}  # fmt: skip
# How a take carries brows and head throughout: (median of the middle take, deviation between takes
# of a line). height: of raised over lowered brows, channel values.  nod, turn, tilt: down, to the
# head's left, to its right; degrees.
CARRIED: Mapping[str, tuple[float, float]] = {
    "height": (0.0, 0.135),
    "nod": (2.4, 2.7),
    "turn": (0.0, 3.4),
    "tilt": (0.0, 2.4),
}
# Effect of the line on a usual take: heads and brows mark its stressed syllables. Measure → what
# one more of these a second adds, and one more of their weight; found where lines differ (`python
# -m research words --seconds 2`, 3 and 5 on `validation`), like IN_SHORT.
ON_ACCENTS: Mapping[str, tuple[float, float]] = {"head": (5.0, 0.0), "brows": (0.0, 4.3)}
# Measure → what a shorter line adds to the variance between takes, for each 1 / s: chance matters
# more in a few words.
IN_SHORT: Mapping[str, float] = {
    "head": 18.0,
    "brows": 1.0,
    "eyes": 0.22,
    "gaze": 0.14,
    "articulation": 0.017,
}
# The same for faces that do not speak (`python -m research words --role idle`, `listens`); how
# brows and head are carried is seen there from the same deviation on.
QUIET: Mapping[str, Mapping[str, tuple[float, float]]] = {
    IDLE: {
        "smile": (0.098, 1.204), "brows": (0.393, 0.359), "head": (2.594, 0.800),
        "eyes": (0.935, 0.183), "gaze": (0.707, 0.138),
        "frown": (0.075, 0.099), "height": (0.0, 0.135), "nod": (0.5, 2.7), "turn": (0.0, 3.4),
        "tilt": (0.0, 2.4),
    },
    LISTENS: {
        "smile": (0.068, 1.202), "brows": (1.398, 1.300), "head": (2.716, 1.699),
        "eyes": (0.772, 0.214), "gaze": (0.463, 0.219),
        "frown": (0.069, 0.101), "height": (0.0, 0.135), "nod": (0.2, 2.7), "turn": (0.0, 3.4),
        "tilt": (0.0, 2.4),
    },
}  # fmt: skip
# The same as IN_SHORT: idle takes of 3 s beside some of 8 s.
QUIET_IN_SHORT: Mapping[str, float] = {"head": 0.7, "eyes": 0.4, "gaze": 0.6}
_MOST_FRAMES = 120 * FPS  # of a take that are measured
_LEAST_SECONDS = 1.0  # length below which a line counts as one of that length
_LEAST_SPOKEN = FPS  # frames with speech in a take, below which nothing is known of it


def measure(meter: PerformanceMeter, motion: Motion, speaking: np.ndarray) -> dict[str, float]:
    """{measure of USUAL, BEYOND_EXPECTED and CARRIED: value} of a motion [T] of the head's
    channels; speaking: bool [T], where somebody speaks.

    {} if hardly anybody speaks. The jaw's is left out where the mouth never opens far enough to see
    it.
    """
    part = slice(0, round(_MOST_FRAMES))
    motion, speaking = motion.part(part), speaking[part]
    if speaking.sum() < _LEAST_SPOKEN:
        return {}
    values = _measure_all(meter, motion, speaking)
    if values["jaw"] <= np.log(LEAST_SHARE):
        del values["jaw"]
    return values


def measure_quiet(meter: PerformanceMeter, motion: Motion) -> dict[str, float]:
    """{measure of QUIET: value} of a motion of a face that does not speak."""
    motion = motion.part(slice(0, round(_MOST_FRAMES)))
    values = _measure_all(meter, motion, np.ones(motion.frames, bool))
    return {name: values[name] for name in QUIET[IDLE] if name in values}


def _measure_all(meter: PerformanceMeter, motion: Motion, speaking: np.ndarray) -> dict[str, float]:
    """All measures of a motion that counts as speech on the frames `speaking`."""
    names = meter.head.expression_names
    raised, lowered = (
        motion.expression[:, [i for i, name in enumerate(names) if name.startswith(stems)]].mean(1)
        for stems in (("browInnerUp", "browOuterUp"), ("browDown",))
    )
    # whose noise is the same at any rate
    gaze = np.sqrt(len(gaze_shifts(motion)) / (motion.frames / FPS))
    values = {"height": np.median(raised - lowered), "gaze": gaze}
    if motion.head is not None:
        values |= dict(zip(("nod", "turn", "tilt"), np.degrees(np.median(motion.head, axis=0))))
    carried = {name: float(value) for name, value in values.items()}
    return meter.measure(motion, speaking) | meter.measure_other_axes(motion, speaking) | carried


@dataclass(frozen=True)
class Line:
    """What is known of a line.

    seconds: its length.  accents, weight: its stressed syllables and the sum of their weights, per
    second. By default those of the lines of USUAL.
    """

    seconds: float = 7.5
    accents: float = 1.0
    weight: float = 0.37

    @classmethod
    def of(cls, seconds: float, weights: np.ndarray) -> Line:
        """A line of some seconds, whose stressed syllables have these weights [k]."""
        return cls(seconds, len(weights) / seconds, float(np.sum(weights)) / seconds)


USUAL_LINE = Line()


def scale(line: Line) -> dict[str, tuple[float, float]]:
    """USUAL, BEYOND_EXPECTED and CARRIED for takes of a line."""
    shorter = _shortness(line.seconds)
    result = {}
    for name, (middle, step) in {**USUAL, **BEYOND_EXPECTED, **CARRIED}.items():
        by_count, by_weight = ON_ACCENTS.get(name, (0.0, 0.0))
        middle += by_count * (line.accents - USUAL_LINE.accents) + by_weight * (
            line.weight - USUAL_LINE.weight
        )
        result[name] = middle, float(np.sqrt(step**2 + shorter * IN_SHORT.get(name, 0.0)))
    return result


def _shortness(seconds: float) -> float:
    """Excess of a line's 1 / s over a usual line's, 0 for longer ones."""
    return max(0.0, 1 / max(seconds, _LEAST_SECONDS) - 1 / USUAL_LINE.seconds)


def deviations(
    values: Mapping[str, float], expected: Mapping[str, float], line: Line = USUAL_LINE
) -> dict[str, float]:
    """How far a take goes, in deviations of the slider or axis: {measure of USUAL and CARRIED:
    above usual takes, of BEYOND_EXPECTED: above what was requested}.

    values: as `measure` of the take.  expected: as `measure` of what the model expects of the line
    in the requested direction.
    line: of the take.
    """
    levels = {name: 0.0 for name in (*USUAL, *CARRIED)} | {
        name: expected[name] for name in BEYOND_EXPECTED if name in expected
    }
    steps = scale(line)
    return {
        name: round((values[name] - level - steps[name][0]) / steps[name][1], 2)
        for name, level in levels.items()
        if name in values
    }


def deviations_quiet(values: Mapping[str, float], role: str, seconds: float) -> dict[str, float]:
    """`deviations` of a face that is idle or listens (`role`), of some seconds: {measure of QUIET:
    deviations above usual takes of such faces}.

    values: as of `measure_quiet`.
    """
    result = {}
    for name, (middle, step) in QUIET[role].items():
        if name in values:
            deviation = np.sqrt(step**2 + _shortness(seconds) * QUIET_IN_SHORT.get(name, 0.0))
            result[name] = round((values[name] - middle) / float(deviation), 2)
    return result


def visible_deviations(
    made: Mapping[str, float], seen: Mapping[str, float] | None = None
) -> dict[str, float]:
    """The smaller of what a take does and what a face shows of it, each as of `deviations`; 0 where
    they differ in sign. seen: None if the face shows everything.

    A face without a neck is still in every take, and one without brows never raises them: neither
    tells takes apart.
    """
    if seen is None:
        return dict(made)
    both = {name: (value, seen[name]) for name, value in made.items() if name in seen}
    return {
        name: min(pair, key=abs) if pair[0] * pair[1] > 0 else 0.0 for name, pair in both.items()
    }
