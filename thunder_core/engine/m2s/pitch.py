# SPDX-License-Identifier: GPL-3.0-or-later
"""Pitch as classes of a logarithmic scale, and the smooth path through the classes' scores of every frame."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LOWEST, HIGHEST = 55.0, 500.0  # Hz: a bass's creak, a child's shout
CLASSES = 96  # 40 cents each
_AROUND = 3  # classes on either side of the path that are averaged


def classes(device: torch.device | str | None = None) -> Tensor:
    """Frequencies [96] in Hz, equal steps of the logarithm."""
    return LOWEST * (HIGHEST / LOWEST) ** (torch.arange(CLASSES, device=device) / (CLASSES - 1))


def class_of(hertz: Tensor) -> Tensor:
    """Position of a frequency on the scale of classes, 0 … 95, fractional."""
    return (hertz.clamp(LOWEST, HIGHEST) / LOWEST).log() * ((CLASSES - 1) / torch.log(torch.tensor(HIGHEST / LOWEST)).item())


def smooth_path(score: Tensor, leap: float) -> Tensor:
    """Viterbi through [B, N, 96]: the classes [B, N] of highest total score when a leap over d classes costs `leap` · d."""
    steps = torch.arange(CLASSES, device=score.device)
    cost = leap * (steps[:, None] - steps).abs().to(score.dtype)
    total = score[:, 0]
    back_pointers = []
    for i in range(1, score.shape[1]):
        best, previous = (total[:, None] - cost).max(-1)
        back_pointers.append(previous)
        total = best + score[:, i]
    path = [total.argmax(-1)]
    for previous in reversed(back_pointers):
        path.append(previous.gather(1, path[-1][:, None])[:, 0])
    return torch.stack(path[::-1], 1)


def hertz_along(score: Tensor, path: Tensor) -> Tensor:
    """Frequency [B, N] in Hz: the mean of the classes around a path, weighted by exp of their score."""
    at = (path[..., None] + torch.arange(-_AROUND, _AROUND + 1, device=path.device)).clamp(0, CLASSES - 1)
    weight = F.softmax(score.gather(-1, at), -1)
    return (weight * classes(score.device)[at].log()).sum(-1).exp()
