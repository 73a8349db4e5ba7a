# SPDX-License-Identifier: GPL-3.0-or-later
"""FlameSelfTalk: SelfTalk (Peng et al. 2023) on expression and rotations instead of vertices.

A decoder that makes all frames at once from speech and a training speaker. In training a lip reader transcribes the lips
(`research/train/lip_reader.py`).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...engine.diffusion.sampling import in_windows
from ...progress import no_progress
from ..denoiser import alibi_bias
from .base import Progress
from .flameformer import Regressor, RegressorConfig


class FlameSelfTalk(Regressor):
    """Speech features [B, T, d] and a speaker [B] → standardised motion [B, T, C], all frames at once."""

    name = "flameselftalk"
    Config = RegressorConfig

    def forward(self, audio: Tensor, speaker: Tensor) -> Tensor:
        """audio [B, T, d], speaker int64 [B] → [B, T, C]."""
        features = self.audio_in(self.heard(audio))
        y, bias = features + self.speaker_in(speaker)[:, None], alibi_bias(audio.shape[1], self.slopes)
        for layer in self.layers:
            y = layer(y, features, bias)
        return self.motion_out(self.norm(y))

    @torch.no_grad()
    def free_run(self, audio: Tensor, speaker: Tensor, progress: Progress = no_progress) -> Tensor:
        """Standardised motions [B, T, C], window by window, of features [1, T, d] for speakers [B]."""
        frames = audio.shape[1]

        def window(x: np.ndarray, step: int, a: int, b: int) -> np.ndarray:
            progress(a / frames)
            return self(audio[:, a:b].expand(len(speaker), -1, -1), speaker).cpu().numpy()

        blank = np.zeros((len(speaker), frames, self.config.motion), np.float32)
        return torch.from_numpy(in_windows(window, frames)(blank, 0)).to(audio.device)
