# SPDX-License-Identifier: GPL-3.0-or-later
"""Mesh-to-speech (§4.1): speech units and a mel spectrogram from the mouth, frame by frame."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
import torchaudio
from torch import nn, Tensor

from ...face.head import Head
from ..speech.mel import BINS
from ..weights import load_network, typed
from .mouth import trained_mouth


@dataclass(frozen=True)
class MeshToSpeechConfig:
    """Sizes of a mesh-to-speech network, as its card stores them."""

    inputs: int  # input values per frame
    space: str = "mouth"  # entry of `mouth.SPACES`
    units: int = 200
    speaker: int = 256
    width: int = 192
    layers: int = 4
    heads: int = 4
    feedforward: int = 768
    kernel: int = 15  # width of the depthwise convolution, frames of 40 ms
    dropout: float = 0.1


class MeshToSpeech(nn.Module):
    """`mouth2s`, `face2s` or `exp2s`: inputs by `mouth.SPACES` [B, T, …] and speaker [B, 256]
    → unit logits [B, 2T, units] at 50 Hz and log-mel [B, 4T, 80] at 100 Hz."""

    def __init__(self, config: MeshToSpeechConfig):
        super().__init__()
        self.config = config
        self.mouth: Head | None = None  # whose movements it learned, if not the current head's
        w = config.width
        # Inputs are brought to unit spread by one number, so that directions keep their relative size.
        self.register_buffer("scale", torch.tensor(0.003))
        self.register_buffer("mel_mean", torch.zeros(BINS))
        self.register_buffer("mel_std", torch.ones(BINS))
        self.register_buffer("unit_log_prior", torch.zeros(config.units))
        self.mesh_in = nn.Sequential(nn.Linear(config.inputs, 2 * w), nn.GELU(), nn.Linear(2 * w, w), nn.LayerNorm(w))
        self.body = torchaudio.models.Conformer(
            w, config.heads, config.feedforward, config.layers, config.kernel, config.dropout, use_group_norm=True
        )
        self.between = nn.Conv1d(w, w, 3, padding=1)  # 25 → 50 Hz: repetition, then this
        self.unit_head = nn.Linear(w, config.units)
        self.mel_head = nn.Sequential(
            nn.Conv1d(w + config.speaker, 2 * w, 5, padding=2), nn.GELU(),
            nn.Conv1d(2 * w, 2 * w, 5, padding=2), nn.GELU(),
            nn.Conv1d(2 * w, 2 * BINS, 1),
        )  # fmt: skip

    @classmethod
    def load(cls, folder: Path, name: str = "m2s") -> MeshToSpeech:
        """A network among the weights of a folder, the embedded mouth2s unless another is named. Raises BadWeights."""
        network = load_network(folder / name, lambda config: cls(typed(MeshToSpeechConfig, config)))
        network.mouth = trained_mouth(folder) if network.config.space == "mouth" else None
        return network

    def settings(self) -> dict:
        """The configuration, for the card."""
        return asdict(self.config)

    def look(self, mouths: Tensor) -> Tensor:
        """Features [B, T, width] of each frame by itself."""
        return self.mesh_in(mouths.flatten(2) / self.scale)

    def encode(self, mouths: Tensor) -> tuple[Tensor, Tensor]:
        """Features of the mouth's speech: [B, T, width] at 25 fps, and [B, 2T, width] at 50 Hz."""
        x = self.look(mouths)
        x, _ = self.body(x, torch.full((len(x),), x.shape[1], device=x.device))
        twice = x.repeat_interleave(2, 1)
        return x, twice + F.gelu(self.between(twice.transpose(1, 2)).transpose(1, 2))

    def forward(self, mouths: Tensor, speaker: Tensor) -> tuple[Tensor, Tensor]:
        """Unit logits [B, 2T, units] and log-mel [B, 4T, 80] of inputs [B, T, …] and a speaker [B, 256]."""
        _, x = self.encode(mouths)
        logits = self.unit_head(x)
        voiced = torch.cat([x, speaker[:, None].expand(-1, x.shape[1], -1)], -1)
        mel = self.mel_head(voiced.transpose(1, 2)).transpose(1, 2)  # [B, 2T, 2·80]: two 10 ms frames each
        return logits, mel.unflatten(-1, (2, BINS)).flatten(1, 2) * self.mel_std + self.mel_mean
