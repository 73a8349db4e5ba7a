# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of the speaker embedding 𝒮(w): GE2E of Resemblyzer (Apache-2.0). `engine.vocoder` embeds a sound by it."""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import nn, Tensor

from ..engine.vocoder import WIDTH
from .weights import load_network


class SpeakerEncoder(nn.Module):
    """Power mels of 1.6 s → unit vector [256]: three LSTM layers over 40 mels."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(40, WIDTH, 3, batch_first=True)
        self.linear = nn.Linear(WIDTH, WIDTH)

    @classmethod
    def load(cls, folder: Path) -> SpeakerEncoder:
        """The speaker network among the weights of a folder. Raises BadWeights."""
        return load_network(folder / "speaker", lambda config: cls())

    def forward(self, mels: Tensor) -> Tensor:
        """Power mels [B, 160, 40] → unit vectors [B, 256]."""
        _, (hidden, _) = self.lstm(mels)
        return F.normalize(F.relu(self.linear(hidden[-1])), dim=-1)
