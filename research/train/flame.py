# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's skinning in torch, for selected vertices: expression and the jaw's turn to positions."""

import numpy as np
import torch
from torch import nn

from thunder_core.face.head import Head
from thunder_core.face.points import SkinnedPoints

# vertices processed at once: they fit a core's cache (measured: three times as fast as all at once)
BLOCK = 120_000


def rotation_matrix(vector: torch.Tensor) -> torch.Tensor:
    """Rodrigues' formula: rotation vectors [..., 3] in radians to matrices [..., 3, 3].

    Smooth at zero, gradient included: the series replaces sin(a)/a and (1 − cos a)/a² for small
    angles.
    """
    square = (vector * vector).sum(-1)[..., None, None]
    small = square < 1e-8
    safe = torch.where(small, torch.ones_like(square), square)
    angle = safe.sqrt()
    sine = torch.where(small, 1 - square / 6, torch.sin(angle) / angle)
    cosine = torch.where(small, 0.5 - square / 24, (1 - torch.cos(angle)) / safe)
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(
        *vector.shape[:-1], 3, 3
    )
    eye = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return eye + sine * cross + cosine * (cross @ cross)


class FlameLayer(nn.Module):
    """`SkinnedPoints` in torch: FLAME (Li et al. 2017) with neck and eyes still.

    head: the asset.  vertices: ids [m] to evaluate (None: all V).  dtype: of the buffers; float32
    or float64. Inside, coordinates lie in planes [B, 3, m]: rows of m numbers multiply several
    times faster than m triples.
    """

    def __init__(
        self, head: Head, vertices: np.ndarray | None = None, dtype: torch.dtype = torch.float32
    ):
        super().__init__()
        points = SkinnedPoints.of(head, slice(None) if vertices is None else vertices)
        used = np.flatnonzero(points.correctives.any(axis=(1, 2)))
        self.features, self.pairs = used.tolist(), points.pairs.T.tolist()
        # the jaw's correctives are directions like the channels', so that speech costs one product
        moved = np.concatenate([points.directions, points.correctives[used]])

        def buffer(array: np.ndarray) -> nn.Buffer:
            return nn.Buffer(torch.tensor(array, dtype=dtype), persistent=False)

        def planes(shapes: np.ndarray) -> nn.Buffer:
            return buffer(np.moveaxis(shapes, 2, 1).reshape(len(shapes), -1))

        self.template, self.directions = planes(points.rest[None]), planes(moved)
        self.joint, self.joint_directions = buffer(points.joint), buffer(points.joint_directions)
        self.jaw_weight = buffer(points.jaw_weight)
        self.products = None if points.pair_shapes is None else planes(points.pair_shapes)

    def forward(self, expression: torch.Tensor, jaw: torch.Tensor) -> torch.Tensor:
        """Positions [B, m, 3] in metres, of expression [B, n] and rotation vectors of the jaw [B,
        3] in radians. Differentiable in both."""
        batch, block = len(expression), max(1, BLOCK // len(self.jaw_weight))
        if batch <= block or torch.is_grad_enabled():
            return self._planes(expression, jaw).transpose(1, 2)
        planes = self.template.new_empty(batch, 3, len(self.jaw_weight))
        for start in range(0, batch, block):
            part = slice(start, start + block)
            planes[part] = self._planes(expression[part], jaw[part])
        return planes.transpose(1, 2)

    def _planes(self, expression: torch.Tensor, jaw: torch.Tensor) -> torch.Tensor:
        """Positions as planes [B, 3, m]."""
        turn = rotation_matrix(jaw) - torch.eye(3, dtype=jaw.dtype, device=jaw.device)
        amounts = torch.cat([expression, turn.flatten(1)[:, self.features]], 1)
        shaped = torch.addmm(self.template, amounts, self.directions)
        if self.products is not None:
            # the last is the jaw's, at place −1
            factors = torch.cat([expression.clamp(0.0, 1.0), turn[:, 2, 1, None]], 1)
            first, second = self.pairs
            shaped = torch.addmm(shaped, factors[:, first] * factors[:, second], self.products)
        shaped = shaped.unflatten(1, (3, -1))
        joint = self.joint + expression @ self.joint_directions
        swing = torch.baddbmm(-(turn @ joint[..., None]), turn, shaped)
        return torch.addcmul(shaped, self.jaw_weight, swing)
