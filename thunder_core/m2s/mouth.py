# SPDX-License-Identifier: GPL-3.0-or-later
"""The one mouth that mesh-to-speech listens to: offsets of the head's mouth vertices from rest."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..face.flame import FlameLayer
from ..face.head import Head

LIPS, UPPER_TEETH, LOWER_TEETH, TONGUE = range(4)  # values of Head.mouth_parts


class Mouth(nn.Module):
    """Expression [B, T, n] and jaw [B, T, 3] → mouth-vertex offsets V_m [B, T, n_m, 3], metres from the rest pose.

    The head's own turning is left out: a mouth says the same when the head nods.
    """

    def __init__(self, head: Head):
        super().__init__()
        self.layer = FlameLayer(head, head.mouth_vertices)
        self.register_buffer("rest", torch.from_numpy(head.v_template[head.mouth_vertices].astype(np.float32)), persistent=False)
        self.register_buffer("inner", torch.from_numpy(head.mouth_parts != LIPS), persistent=False)

    @property
    def vertices(self) -> int:
        return len(self.rest)

    def forward(self, expression: Tensor, jaw: Tensor) -> Tensor:
        batch, frames = jaw.shape[:2]
        moved = self.layer(expression.flatten(0, 1), jaw.flatten(0, 1)) - self.rest
        return moved.unflatten(0, (batch, frames))
