# SPDX-License-Identifier: GPL-3.0-or-later
"""Mesh-to-speech as the engine asks it, in arrays: `networks.m2s` says what it computes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ..network import open_network
from ..weights import check_shapes, read_sizes, read_some


@dataclass(frozen=True)
class MeshToSpeechConfig:
    """Sizes of a mesh-to-speech network, as its card stores them."""

    inputs: int  # input values per frame
    space: str = "mouth"  # entry of `networks.mouth.SPACES`
    units: int = 200
    speaker: int = 256
    width: int = 192
    layers: int = 4
    heads: int = 4
    feedforward: int = 768
    kernel: int = 15  # width of the depthwise convolution, frames of 40 ms
    dropout: float = 0.1


class MeshToSpeech:
    """The mesh-to-speech of a folder of weights."""

    def __init__(self, folder: Path, device: str):
        """Raises BadWeights."""
        self.path = folder / "m2s"
        self.config: MeshToSpeechConfig = read_sizes(self.path, MeshToSpeechConfig)
        self.network = open_network(self.path, device)

    @cached_property
    def log_prior(self) -> np.ndarray:
        """How often each unit is said, the logarithm [units]."""
        arrays, _ = read_some(self.path, ["unit_log_prior"])
        check_shapes(self.path, arrays, unit_log_prior=(self.config.units,))
        return arrays["unit_log_prior"]

    def __call__(self, mouths: np.ndarray, speaker: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mouths [T, n, 3], metres from rest, and a speaker [256] → features [T, width], unit logits [2T, units], log-mel [4T, 80]."""
        features, logits, mel = self.network(mouths=mouths.reshape(1, len(mouths), -1), speaker=speaker[None])
        return features[0], logits[0], mel[0]
