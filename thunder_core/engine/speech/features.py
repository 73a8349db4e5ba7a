# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine reads off the speech encoder's features besides phones: speech units, and how lips open.

Units U are k-means classes of the features at 50 Hz. The opening comes from inner layers: the encoder's last layer knows phones; layers
before it still know how strongly a vowel is said. A linear map of two of them, fitted to measured lips (`research.train.opening`), errs
elsewhere than the model and the teacher, which read the last layer, so it can tell takes apart (`scorer.Judge`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...files import hash_of
from ..weights import check_shapes, misfit, read_weights, sizes_of, unusable
from .encoder import at_frames, EncoderConfig

# ---- units

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


# ---- how lips open

OPENING = "opening"
REACH = 3  # frames to either side that a prediction reads


@dataclass(frozen=True)
class OpeningMapConfig:
    """layers: numbers of those that are read.  width: of each.  encoder: hash of the weights of the encoder that the map was fitted to."""

    layers: tuple[int, ...] = (1, 3)
    width: int = 192
    encoder: str = ""


@dataclass(frozen=True)
class OpeningMap:
    """kernel float32 [2 · REACH + 1, layers · width]: what each frame around adds to a frame's opening."""

    config: OpeningMapConfig
    kernel: np.ndarray

    @classmethod
    def load(cls, folder: Path) -> OpeningMap:
        """The map among the weights of a folder. Raises BadWeights."""
        path = folder / OPENING
        arrays, config = read_weights(path)
        sizes: OpeningMapConfig = sizes_of(path, config, OpeningMapConfig)
        check_shapes(path, arrays, kernel=(2 * REACH + 1, len(sizes.layers) * sizes.width))
        if len(arrays) > 1 or arrays["kernel"].dtype != np.float32:
            raise misfit(path)
        return cls(sizes, arrays["kernel"])


def opening_map(folder: Path, encoder: EncoderConfig) -> OpeningMap | None:
    """The map in a folder of weights, None if there is none or it was fitted to another encoder. Raises BadWeights."""
    card = folder / f"{OPENING}.json"
    if not card.exists():
        return None
    read = OpeningMap.load(folder)
    if read.config.encoder != hash_of(folder / "encoder.safetensors"):
        return None
    if read.config.width != encoder.width or not all(0 <= layer < encoder.layers - 1 for layer in read.config.layers):
        raise unusable(card, "does not fit the encoder")
    return read


class PredictedOpening:
    """The opening of one sound, collected while the encoder reads it."""

    ahead = 0

    def __init__(self, by: OpeningMap):
        self.layers, self._kernel = by.config.layers, by.kernel
        self._parts: list[np.ndarray] = []

    def read(self, outputs: np.ndarray) -> None:
        """See `encoder.LayerReader`."""
        self._parts.append(outputs @ self._kernel.T)

    def over(self, frames: int) -> np.ndarray:
        """The opening float32 [frames] at 25 fps, in deviations; only its course counts, not its mean."""
        taps = np.pad(at_frames(np.concatenate(self._parts), frames), ((REACH, REACH), (0, 0)), "edge")
        return sum(taps[tap : tap + frames, tap] for tap in range(2 * REACH + 1))
