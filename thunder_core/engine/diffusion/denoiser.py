# SPDX-License-Identifier: GPL-3.0-or-later
"""The diffusion model as the engine samples it, in arrays: `networks.denoiser` says what it computes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...direction import DIRECTION_NAMES
from ..network import open_network
from ..weights import check_shapes, read_some, sizes_of

Values = Any  # arrays of numpy, or tensors of torch
_EYES = DIRECTION_NAMES.index("eyes")


@dataclass(frozen=True)
class DenoiserConfig:
    """Sizes of a denoiser, as its card stores them."""

    motion: int  # channels of x: expression, jaw, head, eyes
    audio: int  # width of the speech features a
    style: int = 0  # number of direction values; 0: the model has no styles
    width: int = 128
    layers: int = 8
    heads: int = 4
    feedforward: int = 512
    dropout: float = 0.0
    steps: int = 0  # step count that it was distilled for (train/distil.py); 0: any number
    least_noise: float = 0.0  # σ/α of the last step
    whole: str = ""  # SHA-256 of the undistilled model's file
    blinks_by_eyes: float = 0.0  # extra shift of the lids' initial noise per deviation of the style's “eyes”


def first_noise(config: DenoiserConfig, mean: Values, noise: Values, style: Values | None) -> Values:
    """The start of sampling [B, T, motion], from normal noise.

    mean [motion]: by which it is shifted, so that faces blink.  style: [B, T or 1, style], None for any style.
    """
    if style is not None and config.blinks_by_eyes:
        mean = mean + config.blinks_by_eyes * style[..., _EYES, None] * (mean != 0)
    return noise + mean


class Denoiser:
    """A denoiser of a folder of weights."""

    def __init__(self, folder: Path, device: str, name: str = "denoiser"):
        """Raises BadWeights."""
        path = folder / name
        arrays, config = read_some(path, ["motion_mean", "motion_std"], ["noise_mean"])
        self.config: DenoiserConfig = sizes_of(path, config, DenoiserConfig)
        check_shapes(path, arrays, **dict.fromkeys(arrays, (self.config.motion,)))
        self.mean, self.deviation = arrays["motion_mean"], arrays["motion_std"]
        self.noise_mean = arrays.get("noise_mean")  # for the initial noise of sampling (train/blinks.py)
        self.network = open_network(path, device)

    def estimate(
        self, x: np.ndarray, step: int, audio: np.ndarray, silent: bool = False, style: np.ndarray | None = None
    ) -> np.ndarray:  # fmt: skip
        """x̂_0 [B, T, motion] of noisy standardised motions x at a diffusion step, of speech features [T, audio] or [B, T, audio].

        silent: without the sound (classifier-free guidance).  style [B, T or 1, style]: None is any style.
        """
        known = np.zeros((1, 1, self.config.style), np.float32) if style is None else style
        return self.network(
            x=x, step=np.array([step]), audio=audio if audio.ndim == 3 else audio[None], silent=np.array([silent]), style=known, free=np.array([style is None])
        )[0]

    def first_noise(self, noise: np.ndarray, style: np.ndarray | None = None) -> np.ndarray:
        """As the function `first_noise`."""
        return noise if self.noise_mean is None else first_noise(self.config, self.noise_mean, noise, style)

    def standardise(self, motion: np.ndarray) -> np.ndarray:
        """Packed motion [..., motion] in the units of the network: mean 0, deviation 1 over the training set."""
        return (motion - self.mean) / self.deviation

    def restore(self, x: np.ndarray) -> np.ndarray:
        """The inverse of `standardise`."""
        return x * self.deviation + self.mean
