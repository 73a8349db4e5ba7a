# SPDX-License-Identifier: GPL-3.0-or-later
"""Describes how a take is played in a few words for the list: "calm, warm, small jaw"; numpy only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .direction import AXES, DIRECTION_NAMES, MOODS, NEUTRAL
from .types import SPEAKS

USUAL, AS_ASKED = "usual", "as asked"
_REMARKABLE = 0.75  # least deviation, in standard deviations between speakers, at which an axis is named
_MOOD = 0.1  # least strength at which a mood is named
_NEAR_USUAL = 1.0  # largest requested deviation of an axis at which a take is compared with usual ones
_DEVIATIONS_PER_MOOD = 3.0  # deviations of an axis that are as remarkable as a mood at full strength
_WORDS = {  # words for less and more than usual of each axis
    "energy": ("calm", "lively"),
    "jaw": ("small jaw", "large jaw"),
    "articulation": ("mumbling", "exact"),
    "smile": ("unsmiling", "smiling"),
    "brows": ("still brows", "lively brows"),
    "head": ("still head", "lively head"),
    "eyes": ("steady eyes", "restless eyes"),
    "width": ("narrow mouth", "wide mouth"),
    "rounding": ("flat lips", "round lips"),
    "asymmetry": ("more on the right", "more on the left"),
    "tension": ("slack lips", "tight lips"),
    "frown": ("open brows", "frowning"),
}
# Axis → the measures (`animation.shown`) that a word of it must not contradict: steady eyes neither blink nor look away more than usual.
MEASURES = {"smile": ("smile",), "brows": ("brows",), "head": ("head",), "eyes": ("eyes", "gaze")}
_SHOWN_IN_SPEECH = ("energy", "jaw", "articulation", "width", "rounding", "tension")  # axes that a face shows only where it speaks


def words(
    reading: np.ndarray, asked: np.ndarray | None = None, most: int = 3, speaks: bool = True, shown: Mapping[str, float] | None = None
) -> str:  # fmt: skip
    """Remarkable traits of a direction vector, strongest first: at most `most` words, "usual" if there are none.

    reading, asked: [DIRECTION_NAMES], or [T, DIRECTION_NAMES], whose mean is taken.  asked: the take's requested direction; then the words
    describe the difference from it, since traits shared by all takes of a batch do not help to choose.  speaks: False for a face that
    listens or is idle, of whose speech nothing is said.  shown: of the finished take (`animation.shown`); traits that it does not show, but
    their opposite, are left out.
    """
    by = _mean(reading) - (0.0 if asked is None else _mean(asked))
    before = np.zeros(len(DIRECTION_NAMES)) if asked is None else _mean(asked)
    traits = [(axis.name, x) for axis, x in zip(AXES, by) if speaks or axis.name not in _SHOWN_IN_SPEECH]
    some = [
        (abs(x), _WORDS[name][int(x > 0)])
        for name, x in traits
        if abs(x) >= _REMARKABLE and not (shown and _contradicted(name, x, before, shown))
    ]
    moods = [name for name in MOODS if name != NEUTRAL]
    for name, x, was in zip(moods, by[len(AXES) :], before[len(AXES) :]):
        if abs(x) >= _MOOD:
            label = MOODS[name].label.lower()
            some.append((_DEVIATIONS_PER_MOOD * abs(x), f"{'more' if x > 0 else 'less'} {label}" if was >= _MOOD else label))
    some.sort(key=lambda entry: -entry[0])
    return ", ".join(word for _, word in some[:most]) or USUAL


def _contradicted(axis: str, by: float, asked: np.ndarray, shown: Mapping[str, float]) -> bool:
    """Whether a finished take shows the opposite of an axis's deviation `by` from what was asked of it [DIRECTION_NAMES].

    Known only near the usual direction, where the scale of what takes show was laid: a mood moves the same parts of the face.
    """
    own = asked[DIRECTION_NAMES.index(axis)]
    if asked[len(AXES) :].max() >= _MOOD or abs(own) > _NEAR_USUAL:
        return False
    return any(np.sign(by) * (shown[name] - own) < 0 for name in MEASURES.get(axis, ()) if name in shown)


def measures_of(provenance: Mapping) -> dict[str, float]:
    """What a finished take shows, from its provenance; {} if that is not known, or damaged."""
    try:
        values = {str(name): float(value) for name, value in dict(provenance["shown"]).items()}
    except (KeyError, TypeError, ValueError):
        return {}
    return {name: value for name, value in values.items() if np.isfinite(value)}


def words_of_take(provenance: Mapping) -> str:
    """The words of a take from its provenance (`Sampling.provenance`); "" if it was not directed, or its data are inconsistent."""
    try:
        if provenance["as_asked"]:
            return AS_ASKED
        reading, asked = (np.array(provenance[name], float).reshape(-1, len(DIRECTION_NAMES)) for name in ("reading", "direction"))
        if not (np.isfinite(reading).all() and np.isfinite(asked).all() and len(reading) and len(asked)):
            return ""
    except (KeyError, TypeError, ValueError):
        return ""
    described = words(reading, asked, speaks=provenance.get("role", SPEAKS) == SPEAKS, shown=measures_of(provenance))
    return AS_ASKED if described == USUAL else described


def _mean(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector, float).reshape(-1, len(DIRECTION_NAMES)).mean(0)
