# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds and numbers of a take's gestures: a function of its seed, with a larger deviation from the usual at a larger *Spread*."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, unique
from typing import NamedTuple

import numpy as np

from ...direction import AXES, Axis, DIRECTION_NAMES, HABITS, Habits, MOODS, over_frames
from ...request import TOGETHER

_SEEDS = 1 << 32
_NODS, _RAISES = 0.62, 0.5  # shares of accents that a usual take marks with head and brows
_SHARES_APART = 0.9  # standard deviation of these shares' log-odds at a spread of 1
_SIZES_APART = 0.45  # standard deviation of the sizes' logarithm
_KINDS_APART = 2.4  # standard deviation of the logarithm of each kind's frequency
# Relative frequencies of each kind of gesture in usual takes, of brows: both up, the inner ends, one side, drawn together; and of the head:
# down, turned or tilted, up.
BROW_KINDS, HEAD_KINDS = np.array([0.55, 0.1, 0.15, 0.2]), np.array([0.62, 0.28, 0.1])
UP = 2  # index in HEAD_KINDS
_KNIT_BY_FROWN, _SIDED_BY_ASYMMETRY = 3.0, 3.0  # factors per unit of these axes: frequency of knit brows, of one raised brow
_RAISED_MORE, _RAISED_LESS = 0.3, 0.6  # of one-sided brows: what the raised side does more and the other less
_KNIT_MORE = 1.5  # size of knitting relative to raising
_ENERGY = 0.3  # exponent of energy in the size of head movements


@dataclass(frozen=True)
class Manner:
    """The manner in which one take makes its gestures.

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


@unique
class Stream(IntEnum):
    """What a take draws random numbers for, each once. A number is part of every take that was ever made: it stays."""

    MANNER = 0
    ACCENTS = 1
    HELD_BROWS = 2
    BREATHS = 3
    STIR = 4
    IDLE_DRIFT = 5
    IDLE_BROWS = 6
    IDLE_POSES = 7
    IDLE_RAISES = 8
    IDLE_LOOKS = 9
    FELT = 10
    WANDERING_GAZE = 11
    BLINKS = 12
    GLANCES = 13
    PAUSE_BLINKS = 14
    MARKED = 15
    LIP_PRESSES = 16
    CORNERS = 17
    SWALLOWS = 18
    MARKED_TURNS = 20
    GAZE_RETURNS = 21
    NODS_BACK = 22
    NODS_BACK_TURNS = 23
    ANSWERS = 24


def generator(seed: int, stream: Stream) -> np.random.Generator:
    """Random numbers of a take for one part of its gestures; streams are independent of each other."""
    return np.random.default_rng([stream, seed % _SEEDS])


def evenly(seed: int, stream: Stream, among: Stream, shape: tuple[int, ...]) -> np.ndarray:
    """Random numbers [shape], 0 … 1, of a take for one part of its gestures, of which those of takes that are usually made together are
    spread evenly: if something happens below one half, it happens in half of them. among: the stream by which they share them out."""
    together, place = divmod(seed % _SEEDS, TOGETHER)
    places = generator(together, among).permuted(np.tile(np.arange(TOGETHER), (*shape, 1)), axis=-1)[..., place]
    return (places + generator(seed, stream).random(shape)) / TOGETHER


def brow_shape(kind: int, size: float, side: float) -> tuple[np.ndarray, np.ndarray]:
    """(raised [3], knit [2]) of a gesture of one of the manner's kinds; side: −1 right, 1 left."""
    left, right = (1.0, 0.15) if side > 0 else (0.15, 1.0)
    raised = ((1.0, 0.8, 0.8), (1.35, 0.25, 0.25), (0.35, 1.5 * left, 1.5 * right), (0.0, 0.0, 0.0))[kind]
    knit = ((0.0, 0.0), (0.25, 0.25), (0.5 * (1 - left), 0.5 * (1 - right)), (_KNIT_MORE, _KNIT_MORE))[kind]
    return size * np.array(raised), size * np.array(knit)


def between(bounds: tuple[float, float], u: float) -> float:
    """The value at u, 0 … 1, of the way from the first bound to the second."""
    return float(bounds[0] + (bounds[1] - bounds[0]) * u)


def _odds(share: float, by: float) -> float:
    return float(1 / (1 + np.exp(-(np.log(share / (1 - share)) + by))))


def manner_of(seed: int, spread: float) -> Manner:
    """The manner of a seed's take; at a spread of 0 takes make usual gestures, but at different times."""
    z = generator(seed, Stream.MANNER).standard_normal(15).clip(-2, 2)
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
    """Style of gestures at a frame, 1 as usual: sizes of head and brow movements, speed, frequency of looks away; frequency of knit brows
    and of one raised brow, as factors; side: −1 … 1, the side that moves more, above 0 the left; one_sided: −1 … 1, the same of brows
    in a mood, which hold the other side down; wanders: 0 … 1, how much more often than usual the gaze leaves in speech."""

    head: float
    brows: float
    tempo: float
    looks: float
    knit: float
    sided: float
    side: float
    one_sided: float
    wanders: float


_COLUMN = {name: i for i, name in enumerate(Played._fields)}


@dataclass(frozen=True)
class Directed:
    """Style of gestures over a line: [1 or T, Played]."""

    rows: np.ndarray

    @classmethod
    def of(cls, styles: np.ndarray | None, turned: bool = False) -> Directed:
        """From styles [1 or T, DIRECTION_NAMES], including the effect of their moods; None: the usual style. turned: doubt is on the other
        side."""
        styles = np.zeros((1, len(DIRECTION_NAMES))) if styles is None else np.asarray(styles, float)
        moods = styles[:, len(AXES) :]
        changes, sides = (_TURNED_CHANGES, _TURNED_SIDES) if turned else (_MOOD_CHANGES, _MOOD_SIDES)
        deviations = styles[:, : len(AXES)] + moods @ changes
        own = {axis.name: _values(axis, by) for axis, by in zip(AXES, deviations.T) if axis.name in _USED}
        return cls(np.stack([
            own["head"] * own["energy"]**_ENERGY * (1 + moods @ (_MOOD_NODS - 1)), own["brows"] * (1 + moods @ (_MOOD_RAISES - 1)),
            np.exp(moods @ _MOOD_TEMPOS), own["eyes"],
            np.exp(_KNIT_BY_FROWN * own["frown"]), np.exp(_SIDED_BY_ASYMMETRY * np.abs(own["asymmetry"])), own["asymmetry"],
            np.clip(moods @ sides, -1, 1), np.clip(moods @ (_MOOD_LOOKS - 1), 0, 1),
        ], 1))  # fmt: skip

    @property
    def brow_sides(self) -> np.ndarray:
        """Factors of left and right brow [1 or T, 2] in moods that raise one of them."""
        one_sided = self.rows[:, _COLUMN["one_sided"]]
        more, less = _RAISED_MORE * np.abs(one_sided), _RAISED_LESS * np.abs(one_sided)
        left = one_sided > 0
        return 1 + np.stack([np.where(left, more, -less), np.where(left, -less, more)], 1)

    def curve(self, name: str, frames: int) -> np.ndarray:
        """One of Played over so many frames, [frames]."""
        return np.broadcast_to(over_frames(self.rows[:, _COLUMN[name]], frames), frames)

    def at(self, frame: float) -> Played:
        """The style at a frame; beyond the line that of its end."""
        return Played(*self.rows[min(max(0, int(frame)), len(self.rows) - 1)].tolist())

    @property
    def usual(self) -> Played:
        """The average over the line."""
        return Played(*self.rows.mean(0).tolist())


_USED = ("head", "brows", "eyes", "frown", "asymmetry", "energy")
_MOODS = [MOODS[name.removeprefix("mood.")] for name in DIRECTION_NAMES[len(AXES) :]]
_MOOD_CHANGES = np.array([[mood.changes.get(axis.name, 0.0) for axis in AXES] for mood in _MOODS])
_MOOD_TEMPOS = np.log([mood.tempo for mood in _MOODS])
_MOOD_HABITS = [HABITS.get(mood.name, Habits()) for mood in _MOODS]
_MOOD_NODS, _MOOD_RAISES = (np.array([getattr(habits, name) for habits in _MOOD_HABITS]) for name in ("nods", "raises"))
_MOOD_LOOKS = np.array([max(1.0, habits.looks) for habits in _MOOD_HABITS])
_MOOD_SIDES = np.array([habits.one_sided for habits in _MOOD_HABITS])
# Those of takes whose doubt is on the other side.
_TURNS = np.array([-1.0 if mood.name == "doubtful" else 1.0 for mood in _MOODS])
_TURNED_SIDES, _TURNED_CHANGES = _TURNS * _MOOD_SIDES, _MOOD_CHANGES.copy()
_TURNED_CHANGES[:, DIRECTION_NAMES.index("asymmetry")] *= _TURNS


def _values(axis: Axis, deviations: np.ndarray) -> np.ndarray:
    """`Axis.value` for an array of deviations."""
    by = deviations * axis.speakers
    return np.clip(axis.usual * np.exp(by) if axis.factor else axis.usual + by, axis.least, axis.most)
