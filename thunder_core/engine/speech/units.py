# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech units U: k-means classes of the encoder's features at 50 Hz."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..weights import check_shapes, misfit, read_weights, sizes_of

_PIECE = 6000  # features classified at once: the distances of an hour to all centroids would be larger than its features


@dataclass(frozen=True)
class UnitsConfig:
    """Sizes of the units, as their card stores them."""

    count: int
    width: int


class Units:
    """Hidden features [N, width] → nearest of `count` centroids."""

    def __init__(self, centroids: np.ndarray):
        """centroids: float32 [count, width]."""
        self.centroids = centroids

    @classmethod
    def load(cls, folder: Path) -> Units:
        """The units among the weights of a folder. Raises BadWeights."""
        path = folder / "units"
        arrays, config = read_weights(path)
        sizes: UnitsConfig = sizes_of(path, config, UnitsConfig)
        check_shapes(path, arrays, centroids=(sizes.count, sizes.width))
        if len(arrays) > 1 or arrays["centroids"].dtype != np.float32:
            raise misfit(path)
        return cls(arrays["centroids"])

    def __call__(self, hidden: np.ndarray) -> np.ndarray:
        """Units int64 [N] of hidden features [N, width]."""
        lengths = np.square(self.centroids).sum(1) / 2
        parts = [hidden[start : start + _PIECE] for start in range(0, len(hidden), _PIECE)]
        return np.concatenate([(lengths - part @ self.centroids.T).argmin(1) for part in parts])

    def over(self, hidden: np.ndarray, frames: int) -> np.ndarray:
        """Units [2 · frames] of the sound behind hidden features [N, width], the last one held where they end early."""
        return self(hidden)[np.minimum(np.arange(2 * frames), len(hidden) - 1)]

    @property
    def count(self) -> int:
        """Number of units."""
        return len(self.centroids)
