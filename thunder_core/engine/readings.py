# SPDX-License-Identifier: GPL-3.0-or-later
"""Directions of the takes of a batch: variations around the requested direction, as wide as *Variety* allows.

Each take has a style for the whole line (`reading`) and its own stressed words (`emphasised`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from ..direction import Asked, AXES, DIRECTION_NAMES, MOODS, NEUTRAL, over_frames
from .sobol import sobol_point

_WORDS = 7  # part of the seed of stressed words; another value changes those of all seeds
_AXIS_SPREAD = 2.0  # spread of an axis at *Variety* 1, in standard deviations between speakers
_ENERGY_SPREAD = 2.95  # the same for energy; more, because word emphasis averages part of it out
_FURTHEST = 2.2  # largest deviation from the request, in units of _AXIS_SPREAD times *Variety*
_MOOD_SPREAD = 0.8  # strongest mood added at *Variety* 1 where none is requested
_STRENGTH_SPREAD = 0.5  # change of a requested mood's strength at *Variety* 1
_LEAST_STRENGTH = 0.85  # share of a requested mood's strength that every reading keeps: the score knows lips alone, so any take may lead
# Share of what a requested mood does to an axis that a reading may take back, with what its strength takes back: a warm take smiles.
_AGAINST_MOOD = np.array([0.15 if axis.name in ("smile", "frown") else 0.4 for axis in AXES])
_AGAINST_SLIDER = 0.6  # the same of much that is asked of the axis itself; of little, more: a take of high energy is not quiet
_EMPHASIS = 0.6  # standard deviation of log energy between the words of a line at *Variety* 1
_WORD_FRAMES = 15  # approximate length of an emphasis, frames
_SMOOTHED = 1.45  # restores the deviation that smoothing removes
CLEARER = 0.6  # deviations of articulation per deviation of energy
_ACCENTED = {"brows": 0.8, "head": 1.0}  # deviations added on accents
_MOOD_NAMES = tuple(name for name in MOODS if name != NEUTRAL)
# What each mood at full strength adds to each axis, in deviations.
_MOOD_CHANGES = np.array([[MOODS[name].changes.get(axis.name, 0.0) for axis in AXES] for name in _MOOD_NAMES], np.float32)
_ENERGY = next(axis for axis in AXES if axis.name == "energy")
_SPREADS = np.array([_ENERGY_SPREAD if axis is _ENERGY else _AXIS_SPREAD for axis in AXES])
# Ranges of a style, in deviations.
_LEAST = np.array([axis.deviations(axis.least) for axis in AXES])
_MOST = np.array([axis.deviations(axis.most) for axis in AXES])


def as_heard(asked: Asked, heard: np.ndarray, frames: int) -> Asked:
    """A request over so many frames whose direction follows the voice wherever that is asked for (`Asked.as_heard`).

    heard: deviations of a style [len(AXES)] that the voice asks for (`speech.arousal.moves`).
    """
    if not asked.as_heard.any():
        return asked
    by = over_frames(asked.as_heard, frames)[:, None] * heard
    wanted = over_frames(asked.requested, frames)
    style = np.clip(wanted[:, : len(AXES)] + by, _LEAST, _MOST)
    moods = np.broadcast_to(wanted[:, len(AXES) :], (len(style), len(_MOOD_NAMES)))
    both = np.concatenate([style, moods], 1).astype(np.float32)
    return replace(asked, vectors=both) if asked.original is None else replace(asked, original=both)


def reading(asked: np.ndarray, seed: int, spread: float, heard: np.ndarray | None = None) -> np.ndarray:
    """The direction of a seed's take: float32 [n, DIRECTION_NAMES].

    asked: direction vectors [n, DIRECTION_NAMES], one for the line or one for every frame.  spread: 0 (exactly as requested) … 1 (as
    different as people are). If no mood is requested, every other reading has a slight one; if one is, no reading takes it back. Nor does
    one take back what is asked of a slider by much.
    heard: deviations [len(AXES)] that the voice asks for: where no mood is requested, readings without a slight one follow them, by half at
    *Variety* .5.
    """
    asked = np.array(asked, np.float32)
    if spread <= 0:
        return asked
    x = sobol_point(seed)  # those of consecutive seeds fill space evenly; axes, a mood, a strength
    normal = np.array([NormalDist().inv_cdf(share) for share in x[: len(AXES)]]).clip(-_FURTHEST, _FURTHEST)
    style, moods = asked[:, : len(AXES)], asked[:, len(AXES) :]
    by, asked_by = spread * _SPREADS * normal, np.abs(style)
    slight = 0.0 if moods.any() else spread * _MOOD_SPREAD * max(0.0, 2 * x[-1] - 1)
    if heard is not None and not moods.any() and not slight:
        by += spread * heard
    most = np.maximum(_AGAINST_SLIDER * asked_by, _FURTHEST * (spread * _SPREADS - asked_by))
    by = np.where(by * style < 0, np.sign(by) * np.minimum(np.abs(by), most), by)
    strength = max(_LEAST_STRENGTH, 1 + spread * _STRENGTH_SPREAD * (2 * x[-1] - 1))
    does = moods @ _MOOD_CHANGES
    back = (max(0.0, 1 - strength) - _AGAINST_MOOD) * does  # the most that may be taken back
    by = np.where(does > 0, np.maximum(by, back), np.where(does < 0, np.minimum(by, back), by))
    style[:] = np.clip(style + by, np.minimum(_LEAST, style), np.maximum(_MOST, style))
    if moods.any():
        moods[:] = np.clip(moods * strength, 0, 1)
    else:
        moods[:, int(x[-2] * len(_MOOD_NAMES)) % len(_MOOD_NAMES)] = slight
    return asked


def emphases(seed: int, frames: int) -> np.ndarray:
    """Additional emphasis of each frame [frames] of a line in a seed's take: mean 0, deviation about 1."""
    rng = np.random.default_rng([_WORDS, seed % (1 << 32)])
    count = frames // _WORD_FRAMES + 4
    at = (np.arange(count) - 1.5 + rng.random() + rng.uniform(-0.3, 0.3, count)) * _WORD_FRAMES
    ease = np.hanning(_WORD_FRAMES + 2)[1:-1]
    half = _WORD_FRAMES // 2
    words = np.interp(np.arange(-half, frames + half), at, rng.standard_normal(count))
    stress = np.convolve(words, ease / ease.sum(), "valid") * _SMOOTHED
    return stress - stress.mean()


def emphasised(
    played: np.ndarray, seed: int, spread: float, accents: np.ndarray, others: Sequence[tuple[int, float]] = ()
) -> np.ndarray:  # fmt: skip
    """A reading [1 or T, DIRECTION_NAMES] as the take of a seed plays it over a line: float32 [T, DIRECTION_NAMES].

    accents: [T] 0 … 1, where the voice stresses a syllable (`speech.accents`): brows and head do more there and less elsewhere.
    others: (seed, spread) of takes whose stressed words are added to its own.
    """
    played = np.array(np.broadcast_to(played, (len(accents), played.shape[1])), np.float32)
    words = sum(by * emphases(whose, len(accents)) for whose, by in ((seed, spread), *others))
    energy = _EMPHASIS / _ENERGY.speakers * words
    more = {"energy": energy, "articulation": CLEARER * energy}
    more |= {name: by * (accents - accents.mean()) for name, by in _ACCENTED.items()}
    return moved(played, more)


def moved(played: np.ndarray, more: Mapping[str, np.ndarray]) -> np.ndarray:
    """A direction float32 [T, DIRECTION_NAMES], changed in place by deviations [T] of axes, within the range of each."""
    for name, by in more.items():
        column = DIRECTION_NAMES.index(name)
        own = played[:, column]
        played[:, column] = np.clip(own + by, np.minimum(_LEAST[column], own), np.maximum(_MOST[column], own))
    return played
