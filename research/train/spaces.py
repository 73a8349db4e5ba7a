# SPDX-License-Identifier: GPL-3.0-or-later
"""The inputs of mesh-to-speech that the paper compares with the mouth's: its lips alone, the whole
face's vertices, and the coefficients themselves."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn, Tensor

from thunder_core.face.head import Head
from thunder_core.networks.speech import _Vertices, MouthNetwork, Space


class Lips(MouthNetwork):
    """`mouth2s` with lips only: the mouth [B, T, n_m, 3], in which teeth and tongue hold still."""

    def forward(self, expression: Tensor, jaw: Tensor) -> Tensor:
        """Expression [B, T, n] and jaw [B, T, 3] → offsets [B, T, m, 3], metres."""
        return super().forward(expression, jaw) * ~self.inner[:, None]


class Face(_Vertices):
    """`face2s`: V [B, T, n_v, 3], every vertex of the head."""

    def __init__(self, head: Head):
        super().__init__(head, np.arange(len(head.v_template)))


class Coefficients(Space):
    """`exp2s`: x = [ψ | θ_jaw] [B, T, n + 3], each in units of about its spread."""

    shake = 0.1

    def __init__(self, head: Head):
        super().__init__()
        self.channels = head.channels
        self.unit = nn.Buffer(
            torch.cat([torch.full((head.channels,), 0.15), torch.full((3,), 0.05)]),
            persistent=False,
        )
        self.size = len(self.unit)

    def forward(self, expression: Tensor, jaw: Tensor) -> Tensor:
        """Expression [B, T, n] and jaw [B, T, 3] → [B, T, n + 3]."""
        return torch.cat([expression, jaw], -1) / self.unit


SPACES: dict[str, Callable[[Head], Space]] = {
    "mouth": MouthNetwork,
    "face": Face,
    "exp": Coefficients,
    "lips": Lips,
}


def weights_name(space: str) -> str:
    """File name, without ending, of the mesh-to-speech for a space; mouth2s is the one that
    ships."""
    return "m2s" if space == "mouth" else f"m2s-{space}"
