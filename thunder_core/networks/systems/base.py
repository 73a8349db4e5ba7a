# SPDX-License-Identifier: GPL-3.0-or-later
"""Base of all compared systems: interface, standardisation, and loading from weights."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar, Protocol

import torch
from torch import nn, Tensor

from ...engine.weights import typed
from ...errors import BadRequest
from ...progress import no_progress, Progress
from ...systems import DEFAULT, FOLDER, SYSTEMS
from ..weights import load_network

# Module of each network: imported on demand, so that one system does not depend on the others.
_NETWORKS = {
    DEFAULT: (".plain", "PlainThunder"),
    "diffposetalk": (".diffposetalk", "DiffPoseTalk"),
    "media2face": (".media2face", "Media2Face"),
    "flameformer": (".flameformer", "FlameFormer"),
    "flameselftalk": (".flameselftalk", "FlameSelfTalk"),
}


class SystemNetwork(Protocol):
    """A trained system: a network that turns speech features into motions.

    The bench and the engine use only this; training is in `research/train/systems.py`.
    """

    name: ClassVar[str]

    def sample(
        self, audio: Tensor, seeds: Sequence[int], condition: Tensor | None = None, steps: int = 20, guidance: float = 1.0,
        progress: Progress = no_progress,
    ) -> Tensor:  # fmt: skip
        """Packed motions [S, T, C] of one sound's speech features [1, T, d], one per seed.

        condition: [S or 1, T or 1, c], an input besides the sound (style token, mood); None: none.
        steps, guidance: of diffusion; regression systems ignore them.  `progress` gets 0 … 1 and may raise to stop.
        """
        ...

    def settings(self) -> dict:
        """The configuration, for the card."""
        ...


class Standardised(nn.Module):
    """A network with mean and deviation of motion [C] and speech features [d] over its training set."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.register_buffer("motion_mean", torch.zeros(config.motion))
        self.register_buffer("motion_std", torch.ones(config.motion))
        self.register_buffer("audio_mean", torch.zeros(config.audio))
        self.register_buffer("audio_std", torch.ones(config.audio))

    def settings(self) -> dict:
        """The configuration, for the card."""
        return asdict(self.config)

    def standardise(self, motion: Tensor) -> Tensor:
        """Packed motion [B, T, C] in the units of the network: mean 0, deviation 1 over the training set."""
        return (motion - self.motion_mean) / self.motion_std

    def restore(self, x: Tensor) -> Tensor:
        """The inverse of `standardise`."""
        return x * self.motion_std + self.motion_mean

    def heard(self, audio: Tensor) -> Tensor:
        """Speech features [B, T, d] in the units of the network."""
        return (audio - self.audio_mean) / self.audio_std


def speakers_of(seeds: Sequence[int], count: int) -> Tensor:
    """A training speaker for every seed, int64 [S]: the same seed has the same one whatever its neighbours are."""
    draws = [torch.randint(count, (1,), generator=torch.Generator().manual_seed(int(seed) % 2**63)) for seed in seeds]
    return torch.cat(draws)


def network_class(name: str) -> type:
    """The class of a trained system's network. Raises BadRequest for an unknown name."""
    if name not in _NETWORKS:
        raise BadRequest(f"There is no system “{name}”: choose one of {', '.join(SYSTEMS)}")
    module, attribute = _NETWORKS[name]
    return getattr(importlib.import_module(module, __package__), attribute)


def load_system(name: str, folder: Path, file: str | None = None) -> nn.Module:
    """A system's network among the weights of a folder, frozen, in eval mode.

    file: its name without ending; by default `systems/NAME`. Raises BadRequest for an unknown name, BadWeights.
    """
    kind = network_class(name)
    return load_network(folder / (file or f"{FOLDER}/{name}"), lambda config: kind(typed(kind.Config, config)))
