# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's skinning in torch, for selected vertices: expression and joint rotations to positions."""

import numpy as np
import torch
from torch import nn

from ..face.head import EYE_LEFT, EYE_RIGHT, Head, JAW, JOINT_NAMES, NECK

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
    """FLAME (Li et al. 2017): blend shapes, pose correctives, linear blend skinning over five
    joints.

    head: the asset.  vertices: ids [m] to evaluate (None: all V).  dtype: of the buffers; float32
    or float64. Joints are regressed from the shaped template, as FLAME does; J_regressor @ template
    and @ shapedirs are computed once, so the cost per frame depends on the m selected vertices
    only. Inside, coordinates lie in planes [B, 3, m]: rows of m numbers multiply several times
    faster than m triples.
    """

    def __init__(
        self, head: Head, vertices: np.ndarray | None = None, dtype: torch.dtype = torch.float32
    ):
        super().__init__()
        self.dtype = dtype
        ids = slice(None) if vertices is None else np.asarray(vertices, dtype=np.int64)

        regressor = head.J_regressor.astype(np.float64)
        shapedirs = head.shapedirs.astype(np.float64)
        weights = head.weights[ids]
        directions = np.moveaxis(head.shapedirs[ids], (0, 1, 2), (2, 1, 0))  # [n, 3, m]
        # [36, 3, m], nine of each joint but the root
        correctives = np.moveaxis(head.posedirs[ids], (0, 1, 2), (2, 1, 0))
        used = np.flatnonzero(correctives.any(axis=(1, 2)))
        of_jaw = used // 9 == JAW - 1
        self.jaw_features, self.features = (
            (used[of_jaw] - 9 * (JAW - 1)).tolist(),
            used[~of_jaw].tolist(),
        )
        self.moving = [joint for joint in range(1, 5) if np.any(weights[:, joint])]
        self.template = self._buffer(head.v_template[ids].T.reshape(-1))  # [3·m]
        # the jaw's correctives are directions like the channels', so that speech costs one product
        self.directions = self._buffer(
            np.concatenate([directions, correctives[used[of_jaw]]]).reshape(-1, 3 * len(weights))
        )
        self.joints = self._buffer(regressor @ head.v_template.astype(np.float64))  # [5, 3]
        self.joint_directions = self._buffer(
            np.einsum("jv,vcn->njc", regressor, shapedirs).reshape(head.channels, -1)
        )
        self.correctives = self._buffer(correctives[used[~of_jaw]].reshape(-1, 3 * len(weights)))
        self.weights = self._buffer(weights.T)  # [5, m]
        pairs = (
            np.moveaxis(head.correctives[ids], (0, 1, 2), (2, 1, 0))
            if head.corrective_pairs
            else np.zeros((0, 3, len(weights)))
        )
        moving = np.flatnonzero(pairs.any(axis=(1, 2)))
        # index of each product's factor among the channels followed by the joints
        places = [*head.expression_names, *JOINT_NAMES]
        self.pairs = [
            tuple(places.index(name) for name in head.corrective_pairs[number]) for number in moving
        ]
        self.products = self._buffer(pairs[moving].reshape(-1, 3 * len(weights)))

    def _buffer(self, array: np.ndarray) -> nn.Buffer:
        """An array as a buffer, which is not stored with a network's weights."""
        array = np.ascontiguousarray(array)
        return nn.Buffer(torch.tensor(array, dtype=self.dtype), persistent=False)

    def forward(
        self,
        expression: torch.Tensor,
        jaw: torch.Tensor,
        head: torch.Tensor | None = None,
        eyes: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Positions [B, m, 3] in metres.

        expression [B, n] · jaw [B, 3] · head [B, 3] (neck joint) or None · eyes [B, 3] (both eyes
        alike), [B, 2, 3] (left, right) or None; rotation vectors in radians. Differentiable in all
        of them.
        """
        batch, block = len(expression), max(1, BLOCK // self.weights.shape[1])
        if batch <= block or torch.is_grad_enabled():
            return self._planes(expression, jaw, head, eyes).transpose(1, 2)
        planes = self.template.new_empty(batch, 3, self.weights.shape[1])
        for start in range(0, batch, block):
            part = slice(start, start + block)
            planes[part] = self._planes(
                *(None if given is None else given[part] for given in (expression, jaw, head, eyes))
            )
        return planes.transpose(1, 2)

    def _planes(self, expression, jaw, head, eyes) -> torch.Tensor:
        """Positions as planes [B, 3, m]."""
        batch = len(expression)
        identity = torch.eye(3, dtype=jaw.dtype, device=jaw.device)
        turn = rotation_matrix(jaw) - identity
        amounts = expression
        if self.jaw_features:
            amounts = torch.cat([expression, turn.reshape(batch, 9)[:, self.jaw_features]], 1)
        shaped = torch.addmm(self.template, amounts, self.directions)
        if self.pairs:
            shaped = torch.addmm(shaped, self._products(expression, turn, eyes), self.products)
        joints = self.joints + (expression @ self.joint_directions).reshape(batch, 5, 3)
        if head is None and eyes is None:
            # only the jaw turns: the other joints' matrices are the identity and the weights sum to
            # 1
            shaped = shaped.view(batch, 3, -1)
            swing = torch.baddbmm(-(turn @ joints[:, JAW, :, None]), turn, shaped)
            return torch.addcmul(shaped, self.weights[JAW], swing)
        pose = [torch.zeros_like(jaw)] * 5
        pose[JAW] = jaw
        if head is not None:
            pose[NECK] = head
        if eyes is not None:
            pose[EYE_LEFT], pose[EYE_RIGHT] = (eyes, eyes) if eyes.dim() == 2 else eyes.unbind(1)
        turns = rotation_matrix(torch.stack(pose, 1))  # [B, 5, 3, 3]
        if self.features:
            feature = (turns[:, 1:] - identity).reshape(batch, 36)[:, self.features]
            shaped = torch.addmm(shaped, feature, self.correctives)
        shaped = shaped.view(batch, 3, -1)
        # the root never turns; jaw and eyes hang from the neck
        neck = turns[:, NECK]
        neck_shift = joints[:, NECK] - _turn(neck, joints[:, NECK])
        moved = self.weights[0] * shaped
        for joint in self.moving:
            if joint == NECK:
                spin, shift = neck, neck_shift
            else:
                spin = neck @ turns[:, joint]
                shift = _turn(neck, joints[:, joint]) + neck_shift - _turn(spin, joints[:, joint])
            moved = torch.addcmul(
                moved, self.weights[joint], torch.baddbmm(shift[..., None], spin, shaped)
            )
        return moved

    def _products(self, expression, turn, eyes) -> torch.Tensor:
        """Weights [B, c] of the shapes of two keys. turn: the jaw's matrix less the identity [B, 3,
        3]."""
        sines = torch.zeros(
            len(expression), len(JOINT_NAMES), dtype=expression.dtype, device=expression.device
        )
        sines[:, JAW] = turn[:, 2, 1]
        if eyes is not None:
            pair = rotation_matrix(eyes if eyes.dim() == 3 else eyes[:, None].expand(-1, 2, 3))[
                :, :, 2, 1
            ]
            sines[:, EYE_LEFT], sines[:, EYE_RIGHT] = pair.unbind(1)
        factors = torch.cat([expression.clamp(0.0, 1.0), sines], 1)
        first, second = (list(side) for side in zip(*self.pairs))
        return factors[:, first] * factors[:, second]


def _turn(matrix, point):
    """Matrices [..., 3, 3] times points [..., 3]."""
    return (matrix @ point[..., None])[..., 0]
