# SPDX-License-Identifier: GPL-3.0-or-later
"""Mesh-to-speech (§4.1): speech units and a mel spectrogram from the mouth, frame by frame."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
import torchaudio
from torch import nn, Tensor

from ..engine.m2s import MeshToSpeechConfig
from ..engine.weights import typed
from ..face.head import Head
from .mel import BINS
from .mouth import trained_mouth
from .weights import load_network


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
        x = x.transpose(0, 1)
        for layer in self.body.conformer_layers:  # as the conformer itself, which would mask frames beyond a batch's shorter ones
            x = layer(x, None)
        x = x.transpose(0, 1)
        twice = torch.stack([x, x], 2).reshape(len(x), -1, x.shape[2])
        return x, twice + F.gelu(self.between(twice.transpose(1, 2)).transpose(1, 2))

    def forward(self, mouths: Tensor, speaker: Tensor) -> tuple[Tensor, Tensor]:
        """Unit logits [B, 2T, units] and log-mel [B, 4T, 80] of inputs [B, T, …] and a speaker [B, 256]."""
        _, twice = self.encode(mouths)
        return self.unit_head(twice), self.mel_of(twice, speaker)

    def mel_of(self, twice: Tensor, speaker: Tensor) -> Tensor:
        """Log-mel [B, 4T, 80] of features at 50 Hz [B, 2T, width], in the voice of a speaker [B, 256]."""
        voiced = torch.cat([twice, speaker[:, None].expand(-1, twice.shape[1], -1)], -1)
        mel = self.mel_head(voiced.transpose(1, 2)).transpose(1, 2)  # [B, 2T, 2·80]: two 10 ms frames each
        return mel.reshape(len(mel), -1, BINS) * self.mel_std + self.mel_mean
