# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge: mesh-to-speech's ear with an eye for size; how far lips are from where the sound wants them, frame by frame.

Units alone are heard as well from a mouth that hardly moves as from one that does. The judge reads what mesh-to-speech
hears, the speech features and where the lips are, and was trained on motions spoiled in known ways (late, early, damped,
exaggerated, smoothed, shaken, never closing, of another sentence) to say how large the error is: the maximal distance of
a lip vertex, relative to what it would be if these lips were 120 ms late or early or said something else. Its output is
therefore a measured quantity, comparable across clips.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn, Tensor

from ..weights import load_network, typed

FLOOR = 0.1  # relative error that counts as none: the logarithm ends there
_MILLIMETRES = 5.0  # one unit of a measure


@dataclass(frozen=True)
class JudgeConfig:
    heard: int = 192  # width of mesh-to-speech
    speech: int = 234  # width of the speech features
    width: int = 96
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 2, 4, 1)
    # Minus log relative error of the training truth 120 ms off, damped to 60 % and as it is: a scale for sounds too short for one
    # of their own.
    off: float = 0.0
    damped: float = 1.0
    right: float = 2.0


class Judge(nn.Module):
    """Everything known of a motion and its sound [B, T, ·] → log(FLOOR + relative lip error) [B, T]."""

    def __init__(self, config: JudgeConfig = JudgeConfig()):
        super().__init__()
        self.config = config
        w = config.width
        self.register_buffer("speech_mean", torch.zeros(config.speech))
        self.register_buffer("speech_std", torch.ones(config.speech))
        self.hear_in = nn.Linear(config.heard, w)
        self.speech_in = nn.Linear(config.speech, w)
        self.lips_in = nn.Linear(24 + 1, w)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(w, w, config.kernel, padding=d * (config.kernel // 2), dilation=d) for d in config.dilations
        )
        self.norms = nn.ModuleList(nn.LayerNorm(w) for _ in config.dilations)
        self.out = nn.Linear(w, 1)

    @classmethod
    def load(cls, folder: Path) -> Judge:
        """The judge among the weights of a folder. Raises BadWeights."""
        return load_network(folder / "judge", lambda config: cls(typed(JudgeConfig, config)))

    def settings(self) -> dict:
        return asdict(self.config)

    def forward(self, features: Tensor, speech: Tensor, lips: Tensor, evidence: Tensor) -> Tensor:
        """heard [B, T, 192]: mesh-to-speech's body · speech [B, T, d] · lips [B, T, 4, 3]: offsets from rest of the inner
        lips' middles and the mouth's corners, metres · evidence [B, T]: nats for the units that were said."""
        where = lips.flatten(2) * (1e3 / _MILLIMETRES)
        moved = F.pad(where.diff(dim=1), (0, 0, 1, 0))
        x = self.hear_in(features) + self.speech_in((speech - self.speech_mean) / self.speech_std)
        x = x + self.lips_in(torch.cat([where, 3 * moved, evidence[..., None] / 3], -1))
        for norm, convolution in zip(self.norms, self.convolutions):
            x = x + convolution(F.gelu(norm(x)).transpose(1, 2)).transpose(1, 2)
        return self.out(F.gelu(x))[..., 0]
