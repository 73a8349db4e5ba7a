# SPDX-License-Identifier: GPL-3.0-or-later
"""smplx's own FLAME as the vertex layer of a FLAME file, where that extra is installed; else `flame.FlameLayer`, which agrees with it.

smplx is the FLAME extra (requirements/flame.txt). It is given arrays and never a path: of a file it would run whatever the pickle
asks for.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import torch
from torch import nn

from ..face.head import Head
from .flame import FlameLayer, PARENTS


class SmplxLayer(nn.Module):
    """FLAME by smplx's linear blend skinning, for selected vertices; arguments and result as `FlameLayer`.

    head: of a FLAME file.  vertices: ids [m] to evaluate (None: all V). The joints, which smplx regresses from all vertices, are included
    as five more vertices.
    """

    def __init__(self, head: Head, vertices: np.ndarray | None = None, dtype: torch.dtype = torch.float32):
        super().__init__()
        ids = np.arange(len(head.v_template)) if vertices is None else np.asarray(vertices, np.int64)
        joints, regressor = len(head.J_regressor), head.J_regressor.astype(np.float64)

        def add_buffer(name: str, values: np.ndarray) -> None:
            self.register_buffer(name, torch.tensor(np.ascontiguousarray(values), dtype=dtype), persistent=False)

        def with_joints(values: np.ndarray, of_joints: np.ndarray) -> np.ndarray:
            return np.concatenate([values[ids].astype(np.float64), of_joints])

        add_buffer("template", with_joints(head.v_template, head.joints))
        add_buffer("directions", with_joints(head.shapedirs, np.einsum("jv,vcn->jcn", regressor, head.shapedirs.astype(np.float64))))
        add_buffer("correctives", with_joints(head.posedirs, np.zeros((joints, 3, 36))).reshape(-1, 36).T)
        add_buffer("weights", with_joints(head.weights, np.eye(joints)[np.zeros(joints, int)]))
        add_buffer("regressor", np.concatenate([np.zeros((joints, len(ids))), np.eye(joints)], 1))
        self.count = len(ids)

    def forward(
        self,
        expression: torch.Tensor,
        jaw: torch.Tensor,
        head: torch.Tensor | None = None,
        eyes: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Positions [B, m, 3] in metres; arguments as `FlameLayer.forward`."""
        from smplx.lbs import lbs

        still = torch.zeros_like(jaw)
        left, right = (still, still) if eyes is None else (eyes, eyes) if eyes.dim() == 2 else eyes.unbind(1)
        pose = torch.cat([still, still if head is None else head, jaw, left, right], 1)
        template = self.template.expand(len(jaw), -1, -1)
        parents = torch.tensor(PARENTS, device=jaw.device)
        placed, _ = lbs(expression, pose, template, self.directions, self.correctives, self.regressor, parents, self.weights)
        return placed[:, : self.count]


def vertex_layer(head: Head, vertices: np.ndarray | None = None) -> nn.Module:
    """The layer that places a head's vertices: smplx's for a FLAME file where smplx is installed, else ours."""
    of_flame = head.identity.shape[2] > 0
    return (SmplxLayer if of_flame and find_spec("smplx") else FlameLayer)(head, vertices)
