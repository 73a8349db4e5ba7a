# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks in torch, filled from what `weight_files` reads."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar, Self, TypeVar

import torch
from torch import nn, Tensor

from ..errors import BadWeights
from ..weight_files import build_config, misfit, read_weights

N = TypeVar("N", bound=nn.Module)


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict]:
    """As `weight_files.read_weights`, in torch. Raises BadWeights."""
    arrays, config = read_weights(path)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}, config


def load_network(path: Path, make: Callable[[dict], N]) -> N:
    """The network that `make` builds from the configuration of `path`, filled, frozen and in eval
    mode.

    Every tensor of the network's state must be in the file with exactly its shape and kind of
    number, and nothing else may be. Raises BadWeights when the file is missing, damaged or made for
    another shape.
    """
    tensors, config = load_weights(path)
    # a network that is wider than its tensors would cost memory before it is found not to fit
    widest = max((max(tensor.shape, default=0) for tensor in tensors.values()), default=0)
    try:
        if isinstance(width := config.get("width"), int) and width > widest:
            raise misfit(path)
        network = make(config)
        wanted = network.state_dict()
        if wanted.keys() != tensors.keys() or any(
            wanted[name].shape != tensor.shape or wanted[name].dtype != tensor.dtype
            for name, tensor in tensors.items()
        ):
            raise misfit(path)
        network.load_state_dict(tensors)
    except (BadWeights, MemoryError):
        raise
    except Exception as error:  # a configuration that makes no sense can fail anywhere in a network
        raise misfit(path) from error
    return network.eval().requires_grad_(False)


class Network(nn.Module):
    """A network that a configuration describes. Config: its class.  file: the network's usual name
    among weights, without ending."""

    Config: ClassVar[type]
    file: ClassVar[str]

    def __init__(self, config):
        super().__init__()
        self.config = config

    @classmethod
    def load(cls, folder: Path, name: str = "") -> Self:
        """The network among the weights of a folder, under its usual name or another, frozen.
        Raises BadWeights."""
        path = folder / (name or cls.file)
        return load_network(path, lambda config: cls(build_config(path, config, cls.Config)))

    def settings(self) -> dict:
        """The configuration, for the card."""
        return asdict(self.config)
