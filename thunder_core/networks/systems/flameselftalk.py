# SPDX-License-Identifier: GPL-3.0-or-later
"""FlameSelfTalk: SelfTalk (Peng et al. 2023) on expression and rotations instead of vertices.

A decoder that makes all frames at once from speech and a training speaker. In training a lip reader transcribes the lips: its text is
compared with the spoken text, and its features with those of the sound. It is not needed afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, Tensor

from ...engine.diffusion import in_windows
from ...engine.speech.phones import PHONES, SILENCE
from ...progress import no_progress, Progress
from ..denoiser import alibi_bias, alibi_slopes, SelfAttention
from .base import speakers_of, Standardised
from .flameformer import AlignedCrossAttention


@dataclass(frozen=True)
class FlameSelfTalkConfig:
    """Sizes of a FlameSelfTalk, as its card stores them."""

    motion: int
    audio: int
    speakers: int
    width: int = 128
    layers: int = 4
    heads: int = 4
    feedforward: int = 512


class ParallelLayer(nn.Module):
    """Self-attention over all frames, aligned cross-attention to the speech, a perceptron; each normalised first and added."""

    def __init__(self, width: int, heads: int, feedforward: int):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.self_attention = SelfAttention(width, heads)
        self.cross_attention = AlignedCrossAttention(width)
        self.feedforward = nn.Sequential(nn.Linear(width, feedforward), nn.GELU(), nn.Linear(feedforward, width))

    def forward(self, x: Tensor, audio: Tensor, bias: Tensor) -> Tensor:
        """x, audio [B, T, width], bias [heads, T, T] → [B, T, width]."""
        x = x + self.self_attention(self.norms[0](x), bias) + self.cross_attention(audio)
        return x + self.feedforward(self.norms[1](x))


class FlameSelfTalk(Standardised):
    """Speech features [B, T, d] and a speaker [B] → standardised motion [B, T, C], all frames at once."""

    name = "flameselftalk"
    Config = FlameSelfTalkConfig

    def __init__(self, config: FlameSelfTalkConfig):
        super().__init__(config)
        w = config.width
        self.audio_in = nn.Linear(config.audio, w)
        self.speaker_in = nn.Embedding(config.speakers, w)  # a one-hot vector times a matrix
        self.layers = nn.ModuleList(ParallelLayer(w, config.heads, config.feedforward) for _ in range(config.layers))
        self.norm = nn.LayerNorm(w)
        self.motion_out = nn.Linear(w, config.motion)
        self.register_buffer("slopes", alibi_slopes(config.heads), persistent=False)

    def forward(self, audio: Tensor, speaker: Tensor) -> Tensor:
        """audio [B, T, d], speaker int64 [B] → [B, T, C]."""
        features = self.audio_in(self.heard(audio))
        y, bias = features + self.speaker_in(speaker)[:, None], alibi_bias(audio.shape[1], self.slopes)
        for layer in self.layers:
            y = layer(y, features, bias)
        return self.motion_out(self.norm(y))

    @torch.no_grad()
    def sample(
        self, audio: Tensor, seeds: Sequence[int], condition: Tensor | None = None, steps: int = 20, guidance: float = 1.0,
        progress: Progress = no_progress,
    ) -> Tensor:  # fmt: skip
        """Packed motions [S, T, C]: every seed draws a training speaker, and nothing else is random (`base.SystemNetwork`)."""
        speakers, frames = speakers_of(seeds, self.config.speakers).to(audio.device), audio.shape[1]

        def window(x: np.ndarray, step: int, a: int, b: int) -> np.ndarray:
            progress(a / frames)
            return self(audio[:, a:b].expand(len(speakers), -1, -1), speakers).cpu().numpy()

        blank = np.zeros((len(speakers), frames, self.config.motion), np.float32)
        return self.restore(torch.from_numpy(in_windows(window, frames)(blank, 0)).to(audio.device))


class LipReader(nn.Module):
    """Lip reader: mouth vertices' offsets [B, T, V, 3] → (features [B, T, width], text log-probabilities [B, 2T, phones]).

    The text is phones, as our speech encoder's; silence is the blank of CTC.
    """

    def __init__(self, vertices: int, audio: int, width: int = 128, heads: int = 4, layers: int = 2):
        super().__init__()
        self.register_buffer("scale", torch.tensor(0.003))  # metres: about the spread of a mouth's vertices
        self.lips_in = nn.Linear(3 * vertices, width)
        self.layers = nn.ModuleList(ParallelLayer(width, heads, 2 * width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.to_audio = nn.Linear(width, audio)  # into the space of the speech features, where both are compared
        self.to_text = nn.Linear(width, 2 * len(PHONES))  # two a frame: more phones are said in a second than 25 frames can hold
        self.register_buffer("slopes", alibi_slopes(heads), persistent=False)

    def forward(self, lips: Tensor) -> tuple[Tensor, Tensor]:
        """lips [B, T, V, 3], metres from rest → (speech features [B, T, audio], text log-probabilities [B, 2T, phones])."""
        x = self.lips_in(lips.flatten(2) / self.scale)
        y, bias = x, alibi_bias(x.shape[1], self.slopes)
        for layer in self.layers:
            y = layer(y, x, bias)
        y = self.norm(y)
        text = self.to_text(y).unflatten(-1, (2, len(PHONES))).flatten(1, 2)
        return self.to_audio(y), text.float().log_softmax(-1)


def text_loss(log_probabilities: Tensor, phones: Tensor) -> Tensor:
    """CTC of text log-probabilities [B, N, phones] against the spoken phones: labels [B, M] of any rate, silence left out.

    A held phone counts once; per phone, mean over rows. Rows without speech must give an empty text.
    """
    rows = [row[torch.cat([row.new_ones(1, dtype=torch.bool), row.diff() != 0])] for row in phones]
    rows = [row[row != SILENCE] for row in rows]
    lengths = torch.tensor([len(row) for row in rows], device=phones.device)
    frames = torch.full_like(lengths, log_probabilities.shape[1])
    # CTC with no target is minus the log-probability of blanks alone; its mean divides by the targets' lengths, of which 0 counts as 1
    return F.ctc_loss(log_probabilities.transpose(0, 1), torch.cat(rows), frames, lengths, blank=SILENCE, zero_infinity=True)
