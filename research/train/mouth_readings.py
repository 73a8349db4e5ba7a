# SPDX-License-Identifier: GPL-3.0-or-later
"""How people differ from what `planning.mouth_map` says of a voice: their residuals are a
first-order autoregression, so that map and residual together move as people do."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from thunder_core.engine.planning.mouth_map import constants, phone_probabilities
from thunder_core.engine.speech.encoder import presence_of
from thunder_core.face.moving.mouth_shape import SIGNALS
from thunder_core.spoken import PHONES, SILENCE


@dataclass(frozen=True)
class Residual:
    """How measured mouths differ from the map's: a first-order autoregression.

    persistence [6]: correlation from frame to frame.  covariance [6, 6]: in squared deviations of
    the person's signals.
    """

    persistence: np.ndarray
    covariance: np.ndarray

    def draw(self, frames: int, rng: np.random.Generator) -> np.ndarray:
        """A course of residuals [T, 6]."""
        new = self.covariance * (1 - np.outer(self.persistence, self.persistence))
        values, vectors = np.linalg.eigh(new)
        steps = rng.standard_normal((frames, len(SIGNALS))) @ (vectors * np.sqrt(values.clip(0))).T
        steps[0] = rng.multivariate_normal(np.zeros(len(SIGNALS)), self.covariance)
        for t in range(1, frames):
            steps[t] += self.persistence * steps[t - 1]
        return steps


@lru_cache
def residual() -> Residual:
    """The residual of the people that the map was fitted to."""
    return Residual(**constants("residual"))


def read_again(
    curves: np.ndarray, variety: float | np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The map's curves [T, 6] of unit deviation as one person reads them: with `variety` (one, or
    of each signal) times the residual of people, 1 as between two people, 0 as nobody does."""
    own = variety**2 * residual().covariance.diagonal()
    drawn = variety * residual().draw(len(curves), rng)
    return np.sqrt(np.maximum(1 - own, 0.0)) * curves + drawn


def occupancy(phones: np.ndarray, frames: int) -> np.ndarray:
    """10 ms labels → share [frames, 40] of each animation frame (±20 ms around t/25 s) that each
    phone fills."""
    at = (np.arange(frames)[:, None] * 4 + np.arange(-2, 2)[None]).clip(0, len(phones) - 1)
    return np.eye(len(PHONES), dtype=np.float32)[phones[at]].mean(1)


# loudness channel 1 of no voice and of one, whether or not a phone of English is known in it
_VOICED = (-0.6, -0.2)


def presence_of_voice(features: np.ndarray) -> np.ndarray:
    """Presence of a voice [T], 0 … 1, in whatever language, from speech features [T, d]."""
    loud = np.interp(features[:, -1], _VOICED, (0.0, 1.0))
    return presence_of(np.maximum(1 - phone_probabilities(features)[:, SILENCE], loud))


def presence_in(features: np.ndarray) -> np.ndarray:
    """Presence of speech [T], 0 … 1 as `encoder.presence`, from speech features [T, d]."""
    return presence_of(1 - phone_probabilities(features)[:, SILENCE])
