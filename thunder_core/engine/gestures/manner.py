# SPDX-License-Identifier: GPL-3.0-or-later
"""What kind of gestures a take makes, and how many: a function of its seed, further from the usual the larger *Spread* is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...direction import AXES, Axis, DIRECTION_NAMES, MOODS

_SEEDS = 1 << 32
_NODS, _RAISES = 0.62, 0.5  # share of accents that a usual take marks with the head, and with brows
_SHARES_APART = 0.9  # deviation of the log-odds of these shares, at a spread of 1
_SIZES_APART = 0.45  # of the logarithm of sizes
_KINDS_APART = 2.4  # of the logarithm of how often a kind of gesture is made
# How often usual takes make each kind of gesture of brows: both up, the inner ends, one side, drawn together; and of the head: down,
# turned or tilted, up.
BROW_KINDS, HEAD_KINDS = np.array([0.55, 0.1, 0.15, 0.2]), np.array([0.7, 0.22, 0.08])
UP = 2  # of HEAD_KINDS
_KNIT_BY_FROWN, _SIDED_BY_ASYMMETRY = 3.0, 3.0  # how much oftener brows are knit, or one is raised, for 1 of these axes
_ENERGY = 0.3  # power of energy with which heads move


@dataclass(frozen=True)
class Manner:
    """How one take makes its gestures.

    nods, raises: share of accents that it marks.  head_size, brow_size: against usual takes.  brow_kinds [4], head_kinds [3]: how often
    each kind occurs, summing to 1.  side: −1 … 1, the side that it prefers, above 0 the left.  pose [3]: degrees that its head rests
    away from where the model has it, where nobody speaks.
    """

    nods: float
    raises: float
    head_size: float
    brow_size: float
    brow_kinds: np.ndarray
    head_kinds: np.ndarray
    side: float
    pose: np.ndarray


def generator(seed: int, part: int) -> np.random.Generator:
    """Random numbers of a take for one part of what it does; parts do not disturb each other."""
    return np.random.default_rng([part, seed % _SEEDS])


def _odds(share: float, by: float) -> float:
    return float(1 / (1 + np.exp(-(np.log(share / (1 - share)) + by))))


def manner_of(seed: int, spread: float) -> Manner:
    """The manner of the take of a seed; at a spread of 0 takes make usual gestures, but not at the same places."""
    z = generator(seed, 0).standard_normal(15).clip(-2, 2)
    brows, head = (
        usual * np.exp(spread * _KINDS_APART * by - (spread * _KINDS_APART) ** 2 / 4)
        for usual, by in ((BROW_KINDS, z[4:8]), (HEAD_KINDS, z[8:11]))
    )
    return Manner(
        _odds(_NODS, spread * _SHARES_APART * z[0]), _odds(_RAISES, spread * _SHARES_APART * z[1]),
        float(np.exp(spread * _SIZES_APART * z[2])), float(np.exp(spread * _SIZES_APART * z[3])),
        brows / brows.sum(), head / head.sum(), float(np.tanh(z[11])), z[12:15],
    )  # fmt: skip


class Played(NamedTuple):
    """How gestures are played at a frame, 1 as usual: sizes of what head and brows do, quickness, how often eyes look away; how often
    brows are knit and one side raised, as factors; side: −1 … 1, that moves more, above 0 the left."""

    head: float
    brows: float
    tempo: float
    looks: float
    knit: float
    sided: float
    side: float


@dataclass(frozen=True)
class Directed:
    """How gestures are played over a line: [1 or T, Played]."""

    rows: np.ndarray

    @classmethod
    def of(cls, styles: np.ndarray | None) -> Directed:
        """In styles [1 or T, DIRECTION_NAMES], as their moods change them; None: as usual."""
        styles = np.zeros((1, len(DIRECTION_NAMES))) if styles is None else np.asarray(styles, float)
        moods = styles[:, len(AXES) :]
        deviations = styles[:, : len(AXES)] + moods @ _MOOD_CHANGES
        own = {axis.name: _values(axis, by) for axis, by in zip(AXES, deviations.T) if axis.name in _USED}
        return cls(np.stack([
            own["head"] * own["energy"]**_ENERGY, own["brows"], np.exp(moods @ _MOOD_TEMPOS), own["eyes"],
            np.exp(_KNIT_BY_FROWN * own["frown"]), np.exp(_SIDED_BY_ASYMMETRY * np.abs(own["asymmetry"])), own["asymmetry"],
        ], 1))  # fmt: skip

    def at(self, frame: float) -> Played:
        """At a frame; beyond the line as at its end."""
        return Played(*self.rows[min(max(0, int(frame)), len(self.rows) - 1)].tolist())

    @property
    def usual(self) -> Played:
        """On average."""
        return Played(*self.rows.mean(0).tolist())


_USED = ("head", "brows", "eyes", "frown", "asymmetry", "energy")
_MOODS = [MOODS[name.removeprefix("mood.")] for name in DIRECTION_NAMES[len(AXES) :]]
_MOOD_CHANGES = np.array([[mood.changes.get(axis.name, 0.0) for axis in AXES] for mood in _MOODS])
_MOOD_TEMPOS = np.log([mood.tempo for mood in _MOODS])


def _values(axis: Axis, deviations: np.ndarray) -> np.ndarray:
    """`Axis.value` of many deviations."""
    by = deviations * axis.speakers
    return np.clip(axis.usual * np.exp(by) if axis.factor else axis.usual + by, axis.least, axis.most)
