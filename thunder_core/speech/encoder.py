# SPDX-License-Identifier: GPL-3.0-or-later
"""The speech encoder: a small wav2vec 2.0-family network (filter banks in, conformer) trained to hear phones.

Stands where the paper has wav2vec 2.0 base (§4.2, 𝒜): features of the waveform, interpolated to exactly T animation
frames. Loudness is appended, because a jaw follows the voice's strength as well as its phones.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Wav2Vec2BertConfig, Wav2Vec2BertModel

from ..types import FPS, RATE
from ..weights import load_network
from .mel import BINS, HOP, LogMel, level
from .phones import PHONES, SILENCE

ENCODER_RATE = 50.0  # feature frames per second
_OFFSET = 0.005  # s: feature frame i sees mel frames 2i−1 … 2i+2 and is therefore centred on i/50 + 5 ms
_CHUNK = 20 * 50  # feature frames encoded at once, so that an hour of sound needs no more memory than a minute
_MARGIN = 50  # feature frames of context on either side of a chunk
_NEAR, _EASE = 8, 4  # animation frames around speech in which lips are alive, and over which they come to rest
LOUDNESS = 2  # loudness channels appended to the hidden features


@dataclass(frozen=True)
class EncoderConfig:
    width: int = 160
    layers: int = 4
    heads: int = 4
    kernel: int = 31  # of the depthwise convolution, frames of 20 ms
    reach: int = 48  # frames to either side that relative positions tell apart
    dropout: float = 0.1


class SpeechEncoder(nn.Module):
    """Waveform [B, samples] at 16 kHz → hidden features [B, N, width] at 50 Hz and phone logits [B, N, 40]."""

    def __init__(self, config: EncoderConfig = EncoderConfig()):
        super().__init__()
        self.config = config
        self.log_mel = LogMel(400)
        self.register_buffer("mel_mean", torch.full((BINS,), -5.0))
        self.register_buffer("mel_std", torch.full((BINS,), 2.0))
        self.body = Wav2Vec2BertModel(
            Wav2Vec2BertConfig(
                hidden_size=config.width, num_hidden_layers=config.layers, num_attention_heads=config.heads,
                intermediate_size=4 * config.width, feature_projection_input_dim=4 * BINS,
                conv_depthwise_kernel_size=config.kernel, position_embeddings_type="relative_key",
                left_max_position_embeddings=config.reach, right_max_position_embeddings=config.reach,
                hidden_dropout=config.dropout, activation_dropout=config.dropout, attention_dropout=config.dropout,
                feat_proj_dropout=0.0, layerdrop=0.0, apply_spec_augment=False, add_adapter=False,
            )
        )  # fmt: skip
        self.phone_head = nn.Linear(config.width, len(PHONES))

    @classmethod
    def load(cls, folder: Path) -> SpeechEncoder:
        """The encoder among the weights of a folder. Raises BadWeights."""
        return load_network(folder / "encoder", lambda config: cls(EncoderConfig(**config)), computed="log_mel.")

    def settings(self) -> dict:
        return asdict(self.config)

    def spectrogram(self, samples: Tensor) -> Tensor:
        """Standardised log-mel [B, 2N, 80] of [B, samples], an even number of 10 ms frames, two per feature frame."""
        n = samples.shape[-1] // (2 * HOP)
        mel = self.log_mel(samples)[:, : 2 * n]
        return (mel - self.mel_mean) / self.mel_std

    def encode(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised log-mel [B, 2N, 80] → (hidden [B, N, width], phone logits [B, N, 40])."""
        around = F.pad(mel, (0, 0, 1, 1), mode="replicate")  # frame 2i−1 … 2i+2 for feature frame i
        stacked = around.unfold(1, 4, 2).transpose(2, 3).flatten(2)
        hidden = self.body(stacked).last_hidden_state
        return hidden, self.phone_head(hidden)

    @torch.no_grad()
    def hear(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Any length: waveform [samples] → (hidden [N, width], phone logits [N, 40]) at 50 Hz, in bounded memory."""
        least = int(0.1 * RATE)
        if len(samples) < least:
            samples = F.pad(samples, (0, least - len(samples)))
        mel = self.spectrogram(level(samples[None]))
        n = mel.shape[1] // 2
        hidden, logits = [], []
        for start in range(0, n, _CHUNK):
            a, b = max(0, start - _MARGIN), min(n, start + _CHUNK + _MARGIN)
            h, p = self.encode(mel[:, 2 * a : 2 * b])
            inside = slice(start - a, min(start + _CHUNK, n) - a)
            hidden.append(h[0, inside])
            logits.append(p[0, inside])
        return torch.cat(hidden), torch.cat(logits)

    @torch.no_grad()
    def features(self, samples: Tensor, frames: int) -> Tensor:
        """Speech features a = 𝒜(w) [frames, width + 2] at 25 fps, sample-accurately placed on the animation frames."""
        return with_loudness(self.hear(samples)[0], samples, frames)

    @property
    def feature_width(self) -> int:
        return self.config.width + LOUDNESS


def at_frames(features: Tensor, frames: int) -> Tensor:
    """Linear interpolation of 50 Hz features [N, d] at the times t/25 s of animation frames → [frames, d]."""
    t = (torch.arange(frames, device=features.device) / FPS - _OFFSET) * ENCODER_RATE
    t = t.clamp(0, len(features) - 1)
    i = t.floor().long().clamp(max=max(0, len(features) - 2))
    w = (t - i)[:, None].to(features.dtype)
    return features[i] * (1 - w) + features[(i + 1).clamp(max=len(features) - 1)] * w


def with_loudness(hidden: Tensor, samples: Tensor, frames: int) -> Tensor:
    """Speech features a [frames, width + 2] from 50 Hz hidden features [N, width] and the sound [samples] they are of."""
    return torch.cat([at_frames(hidden, frames), loudness(samples, frames)], -1)


def loudness(samples: Tensor, frames: int) -> Tensor:
    """Loudness of [samples] around each animation frame: [frames, 2], roughly −1 (silence) … 1 (loudest).

    Channel 0 is compressed amplitude, channel 1 level in units of 20 dB, both relative to the clip's speech level,
    so that a quiet recording animates like a loud one.
    """
    window, hop = int(0.08 * RATE), int(RATE / FPS)
    x = level(samples[None])
    need = (frames - 1) * hop + window
    x = F.pad(x, (window // 2, max(0, need - window // 2 - x.shape[-1])))
    rms = x[0].unfold(0, window, hop)[:frames].square().mean(-1).sqrt()
    decibel = 20 * torch.log10((rms / 0.1).clamp_min(1e-3))
    return torch.stack([2 * (rms / 0.1).clamp(0, 2).sqrt() - 1, (decibel / 20 + 1).clamp(-2, 1)], -1)


def presence(logits: Tensor, frames: int) -> Tensor:
    """Whether somebody speaks around each animation frame, [frames] 0 … 1, from phone logits [N, 40] at 50 Hz.

    1 within a third of a second of speech, eased to 0 beyond: lips lead the sound and settle after it.
    """
    spoken = at_frames(1 - logits.float().softmax(-1)[:, SILENCE, None], frames)[:, 0]
    near = F.max_pool1d(((spoken - 0.3) / 0.4).clamp(0, 1)[None], 2 * _NEAR + 1, 1, _NEAR)[0]
    kernel = torch.hann_window(2 * _EASE + 3, periodic=False, device=near.device)[1:-1]
    eased = F.conv1d(F.pad(near[None, None], (_EASE, _EASE), mode="replicate"), (kernel / kernel.sum())[None, None])[0, 0]
    return eased.clamp(0, 1)
