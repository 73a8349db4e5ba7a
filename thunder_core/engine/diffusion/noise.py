# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeded noise: the numbers that torch draws on a processor, so that a seed keeps its take wherever it is sampled."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_AT_ONCE = 16  # numbers that torch makes together: eight pairs
_APART = 0.5  # weight of its own noise in that of a take that is sampled around another


class Normal:
    """A stream of normal numbers of mean 0 and deviation 1: `torch.randn` of a generator on the processor, to 5e-7."""

    def __init__(self, seed: int):
        self._bits = np.random.RandomState(seed % 2**32)  # the Mersenne Twister, of which torch too uses 32 bits of a seed

    def draw(self, *shape: int) -> np.ndarray:
        """The next numbers, float32 [*shape]. Raises ValueError for fewer than 16, which torch draws in another way."""
        count = math.prod(shape)
        if count < _AT_ONCE:
            raise ValueError(f"At least {_AT_ONCE} numbers are drawn at once, not {count}")
        x = self._uniform(count)
        rest = count % _AT_ONCE
        made = np.empty(count, np.float32)
        made[: count - rest] = _normal(x[: count - rest])
        if rest:  # the last sixteen are drawn anew
            made[-_AT_ONCE:] = _normal(self._uniform(_AT_ONCE))
        return made.reshape(shape)

    def _uniform(self, count: int) -> np.ndarray:
        """Numbers [count] from 0 up to 1 in steps of 2^-24, float32."""
        bits = self._bits.randint(0, 2**32, count, np.uint32) & np.uint32(0xFFFFFF)
        return bits.astype(np.float32) * np.float32(2**-24)


def _normal(x: np.ndarray) -> np.ndarray:
    """Normal numbers of uniform ones [16 n] by Box and Muller's formula: eight radii and eight angles make eight cosines and sines."""
    radius, angle = x.reshape(-1, 2, _AT_ONCE // 2).transpose(1, 0, 2)
    radius = np.sqrt(-2 * np.log(1 - radius))
    angle = np.float32(2 * math.pi) * angle
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], 1).ravel()


def seeded_noise(seeds: Sequence[int], frames: int, channels: int, like: Sequence[int] = ()) -> np.ndarray:
    """ε float32 [takes, frames, channels], drawn from each take's own seed: the same take on every device, whatever its neighbours are.

    like: seeds of takes, each sampled around the one before, around the last of which these are. Raises ValueError for fewer than 16
    values of a take.
    """

    def around(near: np.ndarray | None, seed: int) -> np.ndarray:
        own = Normal(seed).draw(frames, channels)
        if near is None:
            return own
        return np.float32(math.sqrt(1 - _APART**2)) * near + np.float32(_APART) * own  # of deviation 1 again

    near = None
    for seed in like:
        near = around(near, seed)
    return np.stack([around(near, seed) for seed in seeds])
