# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits speech units to features of the encoder."""

from __future__ import annotations

import numpy as np
import torch

from ..engine.speech.features import Units


def fit_units(features: np.ndarray, count: int, seed: int, rounds: int = 30) -> Units:
    """Lloyd's algorithm on float32 features [M, width]; empty classes restart on random points."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.from_numpy(np.ascontiguousarray(features, np.float32))
    first = torch.randperm(len(points), generator=generator)[torch.arange(count) % len(points)]  # a few seconds have fewer
    centroids = points[first]
    for _ in range(rounds):
        labels = torch.from_numpy(Units(centroids.numpy())(points.numpy()))
        sums = torch.zeros_like(centroids).index_add_(0, labels, points)
        sizes = torch.bincount(labels, minlength=count)
        fresh = points[torch.randint(len(points), (count,), generator=generator)]
        centroids = torch.where(sizes[:, None] > 0, sums / sizes.clamp_min(1)[:, None], fresh)
    return Units(centroids.numpy())
