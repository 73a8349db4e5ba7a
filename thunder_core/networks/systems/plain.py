# SPDX-License-Identifier: GPL-3.0-or-later
"""THUNDER as compared in the paper: the denoiser alone, conditioned on sound only. Blender uses `thunder`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...progress import no_progress, Progress
from ..denoiser import Denoiser, DenoiserConfig
from .conditioned import sample_denoised


class PlainThunder(Denoiser):
    """A denoiser with the systems' one interface; weights of the one that performs in Blender fit too."""

    name = "thunder"
    Config = DenoiserConfig

    @torch.no_grad()
    def sample(
        self, audio: Tensor, seeds: Sequence[int], condition: Tensor | None = None, steps: int = 20, guidance: float = 1.0,
        progress: Progress = no_progress,
    ) -> Tensor:  # fmt: skip
        """Packed motions [S, T, C] (`base.SystemNetwork`)."""
        return sample_denoised(self, audio, seeds, condition, steps, guidance, progress)
