# SPDX-License-Identifier: GPL-3.0-or-later
"""The inputs of mesh-to-speech: the mouth's vertices, which the product's network reads, and those
that the paper compares with them: its lips alone, the whole face's vertices, and the coefficients
themselves."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn, Tensor

from research.train.flame import FlameLayer
from thunder_core.face.head import Head, LIPS
from thunder_core.types import Columns

LANDMARKS = (
    "inner_lip_upper_mid",
    "inner_lip_lower_mid",
    "mouth_corner_left",
    "mouth_corner_right",
)


def lip_places(head: Head) -> np.ndarray:
    """Indices [4] among a head's mouth vertices of the inner lips' middles, upper and lower, and of
    the corners, left and right."""
    return np.array(
        [np.flatnonzero(head.mouth_vertices == getattr(head, name))[0] for name in LANDMARKS]
    )


class Space(nn.Module):
    """An input of mesh-to-speech: a function of expression and jaw. channels: n of the expression
    basis. size: values per frame. shake: noise on them in training."""

    channels: int
    size: int
    shake: float

    def of_packed(self, x: Tensor) -> Tensor:
        """The same of packed motions x [B, T, n + 9]."""
        columns = Columns(self.channels)
        return self(x[..., columns.expression], x[..., columns.jaw])


class Vertices(Space):
    """Expression [B, T, n] and jaw [B, T, 3] → offsets of some vertices [B, T, m, 3], metres from
    the rest pose.

    The head's rotation is left out, because it does not change what a mouth says.
    """

    shake = 2e-4  # noise in training, metres: samples are not as smooth as the teacher's motion

    def __init__(self, head: Head, ids: np.ndarray):
        super().__init__()
        self.channels = head.channels
        self.layer = FlameLayer(head, ids)
        self.rest = nn.Buffer(
            torch.from_numpy(head.v_template[ids].astype(np.float32)), persistent=False
        )
        self.size = 3 * len(self.rest)

    def forward(self, expression: Tensor, jaw: Tensor) -> Tensor:
        """Expression [B, T, n] and jaw [B, T, 3] → offsets [B, T, m, 3], metres."""
        return (self.layer(expression.flatten(0, 1), jaw.flatten(0, 1)) - self.rest).unflatten(
            0, jaw.shape[:2]
        )


class MouthNetwork(Vertices):
    """`mouth2s`: V_m [B, T, n_m, 3], the mouth that listening and scoring use.

    inner: bool [n_m], teeth and tongue.  lips: indices [4] of the inner lips' middles, upper and
    lower, and of the corners.
    """

    def __init__(self, head: Head):
        super().__init__(head, head.mouth_vertices)
        self.lips = nn.Buffer(torch.from_numpy(lip_places(head)), persistent=False)
        self.inner = nn.Buffer(torch.from_numpy(head.mouth_parts != LIPS), persistent=False)

    def shape(self, moved: Tensor) -> Tensor:
        """Gap of the inner lips, distance of the corners, and heights of upper lip and both corners
        [B, T, 5], metres, of offsets [B, T, n_m, 3]."""
        placed = moved[:, :, self.lips] + self.rest[self.lips]
        upper, lower, left, right = placed.unbind(2)
        apart = torch.stack([(upper - lower).norm(dim=-1), (left - right).norm(dim=-1)], -1)
        return torch.cat([apart, placed[..., [0, 2, 3], 1]], -1)


class Lips(MouthNetwork):
    """`mouth2s` with lips only: the mouth [B, T, n_m, 3], in which teeth and tongue hold still."""

    def forward(self, expression: Tensor, jaw: Tensor) -> Tensor:
        """Expression [B, T, n] and jaw [B, T, 3] → offsets [B, T, m, 3], metres."""
        return super().forward(expression, jaw) * ~self.inner[:, None]


class Face(Vertices):
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
