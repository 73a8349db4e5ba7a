# SPDX-License-Identifier: GPL-3.0-or-later
"""DiffPoseTalk (Sun et al. 2024): diffusion with a style token that a style encoder reads off a reference motion.

The style encoder is trained first, contrastively: two stretches of one performance belong together, stretches of others do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn, Tensor

from ..denoiser import alibi_bias, alibi_slopes
from .conditioned import ConditionedConfig, ConditionedDenoiser
from .flameformer import ParallelLayer


@dataclass(frozen=True)
class DiffPoseTalkConfig(ConditionedConfig):
    """Sizes of a DiffPoseTalk, as its card stores them. condition: width of the style token."""

    condition: int = 128
    style_layers: int = 3


class StyleEncoder(nn.Module):
    """Standardised motion [B, T, C] of any length → style token [B, condition] of length 1."""

    def __init__(self, motion: int, style: int, layers: int, heads: int = 4):
        super().__init__()
        self.motion_in = nn.Linear(2 * motion, style)
        self.layers = nn.ModuleList(ParallelLayer(style, heads, 2 * style) for _ in range(layers))
        self.style_out = nn.Linear(2 * style, style)
        self.register_buffer("slopes", alibi_slopes(heads), persistent=False)

    def forward(self, motion: Tensor) -> Tensor:
        """motion [B, T, C], standardised, T of at least 2."""
        change = F.pad(motion.diff(dim=1), (0, 0, 0, 1))
        x = self.motion_in(torch.cat([motion, change], -1))
        y, bias = x, alibi_bias(x.shape[1], self.slopes)
        for layer in self.layers:
            y = layer(y, x, bias)
        return F.normalize(self.style_out(torch.cat([y.mean(1), y.std(1)], -1)), dim=-1)


class DiffPoseTalk(ConditionedDenoiser):
    """A conditioned denoiser, and the frozen style encoder that gives its condition."""

    name = "diffposetalk"
    Config = DiffPoseTalkConfig

    def __init__(self, config: DiffPoseTalkConfig):
        super().__init__(config)
        self.style_encoder = StyleEncoder(config.motion, config.condition, config.style_layers)

    @torch.no_grad()
    def condition_of(self, motion: Tensor) -> Tensor:
        """The style token [B, 1, c] of packed reference motions [B, T, C]."""
        return self.style_encoder(self.standardise(motion))[:, None]
