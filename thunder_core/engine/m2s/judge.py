# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge as the engine asks it, in arrays: `networks.judge` says what it estimates and how it was trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...direction import AXES, DIRECTION_NAMES
from ..network import open_network
from ..speech.encoder import LOUDNESS
from ..speech.phones import PHONES, SILENCE
from ..weights import misfit, read_sizes

Array = Any  # of numpy, or a tensor of torch

STRESSED, PLAIN = 0, 1  # the opinions: where a take's own stresses are no errors, and where they are
SAID = len(PHONES) + LOUDNESS  # last columns of the speech features: phone probabilities and loudness
SILENT = 0.5  # probability of silence from which on nobody speaks
UNCLEAR = 1.4  # doubt above which phones are hard to recognise: no validation line of 40, 28 with other voices 5 dB below (by hand)


@dataclass(frozen=True)
class JudgeConfig:
    """Sizes of a judge and the scale of its scores, as its card stores them."""

    heard: int = 0  # width of mesh-to-speech's features; 0: not an input
    speech: int = 234  # width of the speech features
    width: int = 64
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 2, 4, 1)
    # Anchors of the score (`score.Scale`): merits of takes of unseen voices 120 ms off, damped to 15 %, and unchanged.
    # Set by `train.judge.train_judge`.
    off: float = 0.0
    damped: float = 1.0
    right: float = 2.0
    # The same without the whole-clip term (`Judge.in_all`), for the curve over time.
    off_near: float = 0.0
    damped_near: float = 1.0
    right_near: float = 2.0
    # By how much the opinions of takes in each mood at full strength are higher than their errors, in the order of `DIRECTION_NAMES`: of
    # the total, and of the curve (`Judge.allowance`). Set by `train.judge.lay_moods`; empty: nothing.
    moods: tuple[float, ...] = ()
    moods_near: tuple[float, ...] = ()


def silence(speech: Array) -> Array:
    """Probability [..., T] that no phone sounds, of speech features [..., T, d]."""
    return speech[..., speech.shape[-1] - SAID + SILENCE]


def opening_and_width(lips: Array) -> tuple[Array, Array]:
    """Opening and width of lips [..., T, 4, 3] beyond rest, each [..., T], millimetres."""
    upper, lower, left, right = (lips[..., point, :] for point in range(4))
    return 1e3 * (upper[..., 1] - lower[..., 1]), 1e3 * (left[..., 0] - right[..., 0])


def doubt(speech: np.ndarray, weight: np.ndarray) -> float:
    """Mean entropy of the phone probabilities in speech features [T, d] over frames of weight [T], nats."""
    phones = np.maximum(speech[:, -SAID:-LOUDNESS], 1e-6)
    phones = phones / phones.sum(-1, keepdims=True)
    return float((-(phones * np.log(phones)).sum(-1) * weight).sum() / max(weight.sum(), 1.0))


@dataclass(frozen=True)
class Opinion:
    """What the judge thinks of the lips of one take.

    frames [T, 2]: log(FLOOR + relative lip error), STRESSED and PLAIN.  in_all: the term of the whole clip, added to their mean.
    hard [T]: the opinion that usual takes of the sound get at each frame.
    """

    frames: np.ndarray
    in_all: float
    hard: np.ndarray


class Judge:
    """The judge of a folder of weights."""

    def __init__(self, folder: Path, device: str):
        """Raises BadWeights."""
        self.config = read_sizes(folder / "judge", JudgeConfig)
        if any(len(each) not in (0, len(DIRECTION_NAMES) - len(AXES)) for each in (self.config.moods, self.config.moods_near)):
            raise misfit(folder / "judge")
        self.network = open_network(folder / "judge", device)

    def opinion(self, speech: np.ndarray, lips: np.ndarray, opening: np.ndarray, **others: np.ndarray) -> Opinion:
        """Of lips [T, 4, 3], offsets from rest in metres, of a sound with features [T, d] and predicted opening [T].

        others: what the model expects of the sound, [T, 4, 3] each: `expected` in the motion's own direction, `asked` in the requested one,
        `plain` as asked or in the own one without stresses; and of a judge that mesh-to-speech tells of the lips, its `features` [T, heard]
        and `evidence` [T].
        """
        given = {"speech": speech, "lips": lips, "opening": opening, **others}
        frames, in_all, hard = self.network(**{name: value[None] for name, value in given.items()})
        return Opinion(frames[0], float(in_all[0]), hard[0])

    def allowance(self, direction: np.ndarray) -> np.ndarray:
        """What is subtracted from the opinions, float32 [n, 2], for the moods of a direction [n, DIRECTION_NAMES].

        The network takes the smile of a mood in part for an error, because its teacher smiles less. For the total this is allowed for in
        the requested direction alone, so that the order of a batch is as it was; for the curve over time in a take's own.
        """
        result = np.zeros((len(direction), 2), np.float32)
        for opinion, costs in ((STRESSED, self.config.moods_near), (PLAIN, self.config.moods)):
            if costs:
                result[:, opinion] = direction[:, len(AXES) :] @ np.array(costs, np.float32)
        return result
