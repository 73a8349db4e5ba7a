# SPDX-License-Identifier: GPL-3.0-or-later
"""The speaker embedding 𝒮(w): the GE2E network of Resemblyzer (Apache-2.0), the very one the paper names."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
import torchaudio
from torch import nn, Tensor

from ...types import RATE
from ..weights import load_network
from .mel import active_level

WIDTH = 256
_PARTIAL = 160  # mel frames (1.6 s) per partial utterance
_STRIDE = 77  # 1.3 partials a second


class SpeakerEncoder(nn.Module):
    """Waveform [samples] at 16 kHz → unit vector [256]: three LSTM layers over 40 mels, averaged over partials.

    Resemblyzer trims silence with a compiled voice detector before embedding; here partials without voice are left out
    by their level, which needs nothing compiled.
    """

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(40, WIDTH, 3, batch_first=True)
        self.linear = nn.Linear(WIDTH, WIDTH)
        self.mel = torchaudio.transforms.MelSpectrogram(
            RATE, n_fft=400, hop_length=160, n_mels=40, f_min=0.0, f_max=RATE / 2, power=2.0, norm="slaney", mel_scale="slaney"
        )

    @classmethod
    def load(cls, folder: Path) -> SpeakerEncoder:
        """The speaker network among the weights of a folder. Raises BadWeights."""
        return load_network(folder / "speaker", lambda config: cls(), computed="mel.")

    def forward(self, mels: Tensor) -> Tensor:
        """Power mels [B, 160, 40] → unit vectors [B, 256]."""
        _, (hidden, _) = self.lstm(mels)
        return F.normalize(F.relu(self.linear(hidden[-1])), dim=-1)

    @torch.no_grad()
    def embed(self, samples: Tensor, most_partials: int = 40) -> Tensor:
        """[samples] → [256]. Sounds shorter than 1.6 s are repeated; long ones are embedded at `most_partials` places."""
        least = _PARTIAL * 160
        if len(samples) < least:
            samples = samples.repeat(-(-least // max(1, len(samples))))
        samples = samples * (10 ** (-30 / 20) / samples.square().mean().sqrt().clamp_min(1e-7))
        voiced = active_level(samples[None])[0, 0]
        starts = range(0, len(samples) - least + 1, max(_STRIDE * 160, (len(samples) - least) // most_partials + 1))
        parts = [samples[s : s + least] for s in starts]
        loud = [p for p in parts if p.square().mean().sqrt() > 0.2 * voiced] or parts
        mels = self.mel(torch.stack(loud))[:, :, :_PARTIAL].transpose(1, 2)
        return F.normalize(self(mels).mean(0), dim=-1)
