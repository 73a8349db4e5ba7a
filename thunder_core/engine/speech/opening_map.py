# SPDX-License-Identifier: GPL-3.0-or-later
"""Predicts how lips open from inner layers of the speech encoder.

Its last layer knows phones; layers before it still know how strongly a vowel is said. A linear map of two of them, fitted to measured
lips (`research.train.opening`), errs elsewhere than the model and the teacher, which read the last layer, so it can tell takes apart
(`m2s.judge`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...files import hash_of
from ..weights import check_shapes, misfit, read_weights, sizes_of, unusable
from .encoder import at_frames, EncoderConfig

NAME = "opening"
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
        path = folder / NAME
        arrays, config = read_weights(path)
        sizes: OpeningMapConfig = sizes_of(path, config, OpeningMapConfig)
        check_shapes(path, arrays, kernel=(2 * REACH + 1, len(sizes.layers) * sizes.width))
        if len(arrays) > 1 or arrays["kernel"].dtype != np.float32:
            raise misfit(path)
        return cls(sizes, arrays["kernel"])


def opening_map(folder: Path, encoder: EncoderConfig) -> OpeningMap | None:
    """The map in a folder of weights, None if there is none or it was fitted to another encoder. Raises BadWeights."""
    card = folder / f"{NAME}.json"
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
