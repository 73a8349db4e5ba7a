# SPDX-License-Identifier: GPL-3.0-or-later
"""The input of mesh-to-speech (§4.1): the mouth's vertices, its lips alone, the whole face's, or the coefficients themselves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn, Tensor

from ..channels import Columns
from ..engine.m2s import lip_places, LIPS, trained_mouth as trained_mouth
from ..face.head import Head
from .flame import vertex_layer


class _Space(nn.Module):
    """An input of mesh-to-speech: a function of expression and jaw. channels: n of the expression basis."""

    channels: int

    def of_packed(self, x: Tensor) -> Tensor:
        """The same of packed motions x [B, T, n + 9]."""
        columns = Columns(self.channels)
        return self(x[..., columns.expression], x[..., columns.jaw])


class _Vertices(_Space):
    """Expression [B, T, n] and jaw [B, T, 3] → offsets of some vertices [B, T, m, 3], metres from the rest pose.

    The head's rotation is left out, because it does not change what a mouth says.
    """

    shake = 2e-4  # noise in training, metres: samples are not as smooth as the teacher's motion

    def __init__(self, head: Head, ids: np.ndarray):
        super().__init__()
        self.channels = head.channels
        self.layer = vertex_layer(head, ids)
        self.register_buffer("rest", torch.from_numpy(head.v_template[ids].astype(np.float32)), persistent=False)

    @property
    def size(self) -> int:
        """Values per frame."""
        return 3 * len(self.rest)

    def forward(self, expression: Tensor, jaw: Tensor) -> Tensor:
        """Expression [B, T, n] and jaw [B, T, 3] → offsets [B, T, m, 3], metres."""
        return (self.layer(expression.flatten(0, 1), jaw.flatten(0, 1)) - self.rest).unflatten(0, jaw.shape[:2])


class Mouth(_Vertices):
    """`mouth2s`: V_m [B, T, n_m, 3], the mouth that listening and scoring use.

    inner: bool [n_m], teeth and tongue.  lips: indices [4] of the inner lips' middles, upper and lower, and of the corners.
    """

    def __init__(self, head: Head):
        super().__init__(head, head.mouth_vertices)
        self.register_buffer("lips", torch.from_numpy(lip_places(head)), persistent=False)
        self.register_buffer("inner", torch.from_numpy(head.mouth_parts != LIPS), persistent=False)

    def shape(self, moved: Tensor) -> Tensor:
        """Gap of the inner lips and distance of the corners [B, T, 2], metres, of offsets [B, T, n_m, 3]."""
        upper, lower, left, right = (moved[:, :, self.lips] + self.rest[self.lips]).unbind(2)
        return torch.stack([(upper - lower).norm(dim=-1), (left - right).norm(dim=-1)], -1)


class Lips(Mouth):
    """`mouth2s` with lips only: the mouth [B, T, n_m, 3], in which teeth and tongue hold still."""

    def forward(self, expression: Tensor, jaw: Tensor) -> Tensor:
        """Expression [B, T, n] and jaw [B, T, 3] → offsets [B, T, m, 3], metres."""
        return super().forward(expression, jaw) * ~self.inner[:, None]


class Face(_Vertices):
    """`face2s`: V [B, T, n_v, 3], every vertex of the head."""

    def __init__(self, head: Head):
        super().__init__(head, np.arange(len(head.v_template)))


class Coefficients(_Space):
    """`exp2s`: x = [ψ | θ_jaw] [B, T, n + 3], each in units of about its own spread."""

    shake = 0.1

    def __init__(self, head: Head):
        super().__init__()
        self.channels = head.channels
        self.register_buffer("unit", torch.cat([torch.full((head.channels,), 0.15), torch.full((3,), 0.05)]), persistent=False)

    @property
    def size(self) -> int:
        """Values per frame."""
        return len(self.unit)

    def forward(self, expression: Tensor, jaw: Tensor) -> Tensor:
        """Expression [B, T, n] and jaw [B, T, 3] → [B, T, n + 3]."""
        return torch.cat([expression, jaw], -1) / self.unit


SPACES: dict[str, Callable[[Head], _Space]] = {"mouth": Mouth, "face": Face, "exp": Coefficients, "lips": Lips}


def weights_name(space: str) -> str:
    """File name, without ending, of the mesh-to-speech for a space; mouth2s is the one that ships."""
    return "m2s" if space == "mouth" else f"m2s-{space}"
