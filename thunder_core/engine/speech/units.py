# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech units U: k-means classes of the encoder's features at 50 Hz."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn, Tensor

from ..weights import load_network, typed

_PIECE = 6000  # features classified at once


class Units(nn.Module):
    """Hidden features [N, width] → nearest of `count` centroids [N] (int64)."""

    def __init__(self, count: int, width: int):
        super().__init__()
        self.register_buffer("centroids", torch.zeros(count, width))

    @classmethod
    def load(cls, folder: Path) -> Units:
        """The units among the weights of a folder. Raises BadWeights."""
        return load_network(folder / "units", lambda config: typed(cls, config, count=int, width=int))

    def forward(self, hidden: Tensor) -> Tensor:
        """Units int64 [N] of hidden features [N, width]."""
        # In pieces: the distances of an hour to all centroids would be larger than its features.
        return torch.cat([torch.cdist(part.float(), self.centroids).argmin(-1) for part in hidden.split(_PIECE)])

    def over(self, hidden: Tensor, frames: int) -> Tensor:
        """Units [2 · frames] of the sound behind hidden features [N, width], the last one held where they end early."""
        return self(hidden)[torch.arange(2 * frames, device=hidden.device).clamp(max=len(hidden) - 1)]

    @property
    def count(self) -> int:
        """Number of units."""
        return len(self.centroids)


def fit_units(features: Tensor, count: int, seed: int, rounds: int = 30) -> Units:
    """Lloyd's algorithm on features [M, width]; empty classes restart on random points."""
    generator = torch.Generator().manual_seed(seed)
    units = Units(count, features.shape[1])
    first = torch.randperm(len(features), generator=generator)[torch.arange(count) % len(features)]  # a few seconds have fewer
    units.centroids.copy_(features[first])
    for _ in range(rounds):
        labels = units(features)
        sums = torch.zeros_like(units.centroids).index_add_(0, labels, features)
        sizes = torch.bincount(labels, minlength=count)
        fresh = features[torch.randint(len(features), (count,), generator=generator)]
        units.centroids.copy_(torch.where(sizes[:, None] > 0, sums / sizes.clamp_min(1)[:, None], fresh))
    return units
