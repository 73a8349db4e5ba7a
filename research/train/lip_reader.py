# SPDX-License-Identifier: GPL-3.0-or-later
"""The lip reader of SelfTalk's training: its text is compared with the spoken text, and its
features with those of the sound."""

import torch
import torch.nn.functional as F
from torch import nn, Tensor

from research.systems.regressors import ParallelLayer
from thunder_core.networks.denoiser import alibi_bias, alibi_slopes
from thunder_core.spoken import PHONES, SILENCE


class LipReader(nn.Module):
    """Lip reader: mouth vertices' offsets [B, T, V, 3] → (features [B, T, width], text
    log-probabilities [B, 2T, phones]).

    The text is phones, as our speech encoder's; silence is the blank of CTC.
    """

    def __init__(
        self, vertices: int, audio: int, width: int = 128, heads: int = 4, layers: int = 2
    ):
        super().__init__()
        # metres: about the spread of a mouth's vertices
        self.scale = nn.Buffer(torch.tensor(0.003))
        self.lips_in = nn.Linear(3 * vertices, width)
        self.layers = nn.ModuleList(ParallelLayer(width, heads, 2 * width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        # into the space of the speech features, where both are compared
        self.to_audio = nn.Linear(width, audio)
        # two a frame: more phones are said in a second than 25 frames can hold
        self.to_text = nn.Linear(width, 2 * len(PHONES))
        self.slopes = nn.Buffer(alibi_slopes(heads), persistent=False)

    def forward(self, lips: Tensor) -> tuple[Tensor, Tensor]:
        """lips [B, T, V, 3], metres from rest → (speech features [B, T, audio], text
        log-probabilities [B, 2T, phones])."""
        x = self.lips_in(lips.flatten(2) / self.scale)
        y, bias = x, alibi_bias(x.shape[1], self.slopes)
        for layer in self.layers:
            y = layer(y, x, bias)
        y = self.norm(y)
        text = self.to_text(y).unflatten(-1, (2, len(PHONES))).flatten(1, 2)
        return self.to_audio(y), text.float().log_softmax(-1)


def text_loss(log_probabilities: Tensor, phones: Tensor) -> Tensor:
    """CTC of text log-probabilities [B, N, phones] against the spoken phones: labels [B, M] of any
    rate, silence left out.

    A held phone counts once; per phone, mean over rows. Rows without speech must give an empty
    text.
    """
    rows = [row[torch.cat([row.new_ones(1, dtype=torch.bool), row.diff() != 0])] for row in phones]
    rows = [row[row != SILENCE] for row in rows]
    lengths = torch.tensor([len(row) for row in rows], device=phones.device)
    frames = torch.full_like(lengths, log_probabilities.shape[1])
    # CTC with no target is minus the log-probability of blanks alone; its mean divides by the
    # targets' lengths, of which 0 counts as 1
    return F.ctc_loss(
        log_probabilities.transpose(0, 1),
        torch.cat(rows),
        frames,
        lengths,
        blank=SILENCE,
        zero_infinity=True,
    )
