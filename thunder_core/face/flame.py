# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's skinning in torch, for the vertices asked for only: expression and joint rotations to positions."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ..errors import BadHead
from .head import EYE_LEFT, EYE_RIGHT, JAW, NECK, Head


def rotation_matrix(vector: torch.Tensor) -> torch.Tensor:
    """Rodrigues' formula: rotation vectors [..., 3] in radians to matrices [..., 3, 3].

    Smooth at zero, gradient included: the series replaces sin(a)/a and (1 − cos a)/a² for small angles.
    """
    square = (vector * vector).sum(-1)[..., None, None]
    small = square < 1e-8
    safe = torch.where(small, torch.ones_like(square), square)
    angle = safe.sqrt()
    sine = torch.where(small, 1 - square / 6, torch.sin(angle) / angle)
    cosine = torch.where(small, 0.5 - square / 24, (1 - torch.cos(angle)) / safe)
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*vector.shape[:-1], 3, 3)
    eye = torch.eye(3, dtype=vector.dtype, device=vector.device)
    return eye + sine * cross + cosine * (cross @ cross)


class FlameLayer(nn.Module):
    """FLAME (Li et al. 2017): blend shapes, pose correctives, linear blend skinning over five joints.

    head: the asset.  vertices: ids [m] to evaluate (None: all V).  dtype: of the buffers; float32 or float64.
    Joints are regressed from the shaped template, as FLAME does; J_regressor @ template and @ shapedirs are
    worked out once, so the cost per frame is that of the m asked vertices.
    """

    def __init__(self, head: Head, vertices: np.ndarray | None = None, dtype: torch.dtype = torch.float32):
        super().__init__()
        ids = slice(None) if vertices is None else np.asarray(vertices, dtype=np.int64)

        def keep(name, array):
            self.register_buffer(name, torch.tensor(np.ascontiguousarray(array), dtype=dtype), persistent=False)

        regressor = head.J_regressor.astype(np.float64)
        shapedirs = head.shapedirs.astype(np.float64)
        keep("template", head.v_template[ids])  # [m, 3]
        keep("directions", np.moveaxis(head.shapedirs[ids], 2, 0).reshape(head.channels, -1))  # [n, m·3]
        keep("joints", regressor @ head.v_template.astype(np.float64))  # [5, 3]
        keep("joint_directions", np.einsum("jv,vcn->njc", regressor, shapedirs).reshape(head.channels, -1))
        correctives = head.posedirs[ids]
        self.corrects = bool(np.any(correctives))
        keep("correctives", np.moveaxis(correctives, 2, 0).reshape(36, -1))  # [36, m·3]
        keep("weights", head.weights[ids])  # [m, 5]

    def forward(
        self,
        expression: torch.Tensor,
        jaw: torch.Tensor,
        head: torch.Tensor | None = None,
        eyes: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Positions [B, m, 3] in metres.

        expression [B, n] · jaw [B, 3] · head [B, 3] (neck joint) or None · eyes [B, 3] (both eyes alike),
        [B, 2, 3] (left, right) or None; rotation vectors in radians. Differentiable in all of them.
        """
        batch = expression.shape[0]
        shaped = self.template + (expression @ self.directions).reshape(batch, -1, 3)
        joints = self.joints + (expression @ self.joint_directions).reshape(batch, 5, 3)
        if head is None and eyes is None and not self.corrects:
            # only the jaw turns: the other joints' matrices are the identity and the weights sum to 1
            turn = rotation_matrix(jaw) - torch.eye(3, dtype=jaw.dtype, device=jaw.device)
            swing = (shaped - joints[:, None, JAW]) @ turn.transpose(1, 2)
            return shaped + self.weights[:, JAW, None] * swing
        pose = [torch.zeros_like(jaw)] * 5
        pose[JAW] = jaw
        if head is not None:
            pose[NECK] = head
        if eyes is not None:
            pose[EYE_LEFT], pose[EYE_RIGHT] = (eyes, eyes) if eyes.dim() == 2 else eyes.unbind(1)
        turns = rotation_matrix(torch.stack(pose, 1))  # [B, 5, 3, 3]
        if self.corrects:
            feature = (turns[:, 1:] - torch.eye(3, dtype=turns.dtype, device=turns.device)).reshape(batch, 36)
            shaped = shaped + (feature @ self.correctives).reshape(batch, -1, 3)
        # the root never turns; jaw and eyes hang from the neck
        neck = turns[:, NECK]
        spin, shift = [turns[:, 0], neck], [torch.zeros_like(joints[:, 0]), joints[:, 1] - _turn(neck, joints[:, 1])]
        for joint in (JAW, EYE_LEFT, EYE_RIGHT):
            whole = neck @ turns[:, joint]
            spin.append(whole)
            shift.append(_turn(neck, joints[:, joint]) + shift[1] - _turn(whole, joints[:, joint]))
        spin, shift = torch.stack(spin, 1), torch.stack(shift, 1)
        blended = torch.einsum("mj,bjrc->bmrc", self.weights, spin)
        return torch.einsum("bmrc,bmc->bmr", blended, shaped) + torch.einsum("mj,bjr->bmr", self.weights, shift)


def _turn(matrix, point):
    return (matrix @ point[..., None])[..., 0]


def _apart_mm(head, motion, first, second):
    """Vector [T, 3] in millimetres from one vertex to another over a motion, and the same [3] at rest; neck still."""
    if min(first, second) < 0:
        raise BadHead("Nobody has said where the lips of this head are. Use the bundled head to measure a mouth.")
    layer = FlameLayer(head, np.array([first, second]), torch.float64)
    with torch.no_grad():
        points = layer(
            torch.as_tensor(np.asarray(motion.expression), dtype=torch.float64),
            torch.as_tensor(np.asarray(motion.jaw), dtype=torch.float64),
        ).numpy()
    rest = head.v_template[[first, second]].astype(np.float64)
    return 1e3 * (points[:, 1] - points[:, 0]), 1e3 * (rest[1] - rest[0])


def opening_mm(head: Head, motion) -> np.ndarray:
    """Gap of the inner lips, float32 [T], millimetres above its value at rest, never negative.

    Measured along the face's height, as it is seen from the front: a lip rolled in over the teeth is not an open mouth.
    motion: anything with expression [T, n] and jaw [T, 3]. Raises BadHead if the head's lips are unknown.
    """
    now, rest = _apart_mm(head, motion, head.inner_lip_lower_mid, head.inner_lip_upper_mid)
    return np.maximum(now[:, 1] - rest[1], 0.0).astype(np.float32)


def width_mm(head: Head, motion) -> np.ndarray:
    """Distance of the mouth corners, float32 [T], millimetres; the rest as opening_mm."""
    now, _ = _apart_mm(head, motion, head.mouth_corner_left, head.mouth_corner_right)
    return np.linalg.norm(now, axis=1).astype(np.float32)
