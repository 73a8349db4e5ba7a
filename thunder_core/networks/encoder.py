# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks that hear: the speech encoder, of a small wav2vec 2.0 family (filter banks in,
conformer), trained to recognise phones, and the speaker embedding.

`engine.speech.encoder` and `engine.vocoder` say what they are for, and read sounds with them.
"""

from pathlib import Path
from types import ModuleType
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, Tensor
from torchaudio.functional import melscale_fbanks

from ..engine.speech import encoder as speech
from ..engine.speech.acoustics import BINS, FLOOR, HOP
from ..engine.speech.encoder import ENCODER_RATE, EncoderConfig, LOUD, OFFSET, PHONES
from ..engine.vocoder import WIDTH as SPEAKER_WIDTH
from ..errors import BadWeights
from ..types import FPS, RATE
from .conformer import Conformer
from .weights import load_network, Network

_LACKS = 40  # samples
_BODIES = ("wav2vec2", "hubert", "wavlm")
# ignored: could name code or files elsewhere
_NOT_ITS_SHAPE = ("attn_implementation", "quantization_config", "auto_map")


def transformers_package() -> ModuleType:
    """The package, which most users do without. Raises BadWeights if it is not installed."""
    try:
        import transformers
    except ImportError as error:
        raise BadWeights(
            "These weights have a speech network of the package transformers, which is not "
            "installed: install the waveform extra in the "
            "preferences, or requirements/waveform.txt into the engine's Python"
        ) from error
    return transformers


def _body_config(body: dict):
    """The configuration of a transformers network of the waveform, from the settings that its kind
    knows and no others.

    Raises ValueError for another kind of network, BadWeights without the package transformers.
    """
    AutoConfig = transformers_package().AutoConfig

    kind = body.get("model_type")
    if kind not in _BODIES:
        raise ValueError(f"a speech network of the kind {str(kind)[:40]!r}")
    known = AutoConfig.for_model(kind).to_dict().keys()
    settings = {
        name: value
        for name, value in body.items()
        if name in known and name[0] != "_" and name not in _NOT_ITS_SHAPE
    }
    return AutoConfig.for_model(**settings | {"model_type": kind})


class LogMel(nn.Module):
    """Waveform [B, samples] at 16 kHz → natural-log mel [B, frames, 80]; frame j is centred on j ·
    10 ms.

    `window` in samples: 400 (25 ms) resolves stops for the encoder; 640 (40 ms) is what Choi et al.
    draw with M2S. Window and filters are not stored with a network's weights: their last bits
    depend on the machine.
    """

    def __init__(self, window: int):
        super().__init__()
        self.size = max(512, window)
        filters = melscale_fbanks(
            self.size // 2 + 1, 0.0, RATE / 2, BINS, RATE, norm="slaney", mel_scale="slaney"
        )
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hann_window(window), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Log-mel [B, frames, 80] of [B, samples]."""
        spectrum = torch.stft(
            samples.float(), self.size, HOP, len(self.window), self.window, return_complex=True
        )
        return (spectrum.abs().transpose(1, 2) @ self.filters).clamp_min(FLOOR).log()


class SpeechEncoder(Network):
    """Waveform [B, samples] at 16 kHz → hidden features [B, N, width] at 50 Hz and phone logits [B,
    N, 40]."""

    Config, file = EncoderConfig, "encoder"

    def __init__(self, config: EncoderConfig = EncoderConfig()):
        super().__init__(config)
        self.log_mel = LogMel(400)
        self.register_buffer("mel_std", torch.full((BINS,), 1.5))
        if config.body:
            self.body = transformers_package().AutoModel.from_config(_body_config(config.body))
        else:
            self.body = Conformer(
                4 * BINS, config.width, config.layers, config.heads, config.kernel
            )
        self.phone_head = nn.Linear(config.width, len(PHONES))
        self.ctc_head = nn.Linear(config.width, len(PHONES))  # silence is its blank

    def prepare(self, samples: Tensor) -> Tensor:
        """Input of `forward` from [B, samples]: log-mel [B, 2N, 80], or [B, N, 320] for a network
        that reads the waveform."""
        if not self.config.body:
            return self.spectrogram(samples)
        n = samples.shape[-1] // (2 * HOP)
        x = samples[:, : n * 2 * HOP]
        x = (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-5)
        return x.unflatten(-1, (n, 2 * HOP))

    def spectrogram(self, samples: Tensor) -> Tensor:
        """Standardised log-mel [B, 2N, 80] of [B, samples], an even number of 10 ms frames, two per
        feature frame.

        The mean over the clip's loud frames is taken away, and with it the microphone, the room's
        colour and the gain.
        """
        n = samples.shape[-1] // (2 * HOP)
        mel = self.log_mel(samples)[:, : 2 * n]
        energy = mel.mean(-1, keepdim=True)
        peak = torch.quantile(energy, 0.95, dim=1, keepdim=True)
        loud = torch.sigmoid(2 * (energy - peak + LOUD))
        return (mel - (loud * mel).sum(1, keepdim=True) / loud.sum(1, keepdim=True)) / self.mel_std

    def forward(self, mel: Tensor, chunk: int | None = None) -> tuple[Tensor, Tensor]:
        """Result of `prepare` → hidden [B, N, width], phone logits [B, N, 40].

        chunk: frames that are heard together, before those behind them (`Conformer.forward`); None:
        all.
        """
        if self.config.body:
            # Its first layers see 25 ms: half of the missing samples are padded on either side, so
            # that N steps give N frames.
            hidden = self.body(F.pad(mel.flatten(1), (_LACKS, _LACKS))).last_hidden_state
            return hidden, self.phone_head(hidden)
        ahead = self.config.ahead
        # Frames 2i − 1 … 2i + 2 for feature frame i, those beyond the ends as the first and the
        # last one.
        around = torch.cat([mel[:, :1], mel, mel[:, -1:].expand(-1, 1 + 2 * ahead, -1)], 1)
        stacked = torch.cat([around[:, i : around.shape[1] - 3 + i : 2] for i in range(4)], -1)
        hidden = self.body(stacked, chunk)[-1][:, ahead:]
        return hidden, self.phone_head(hidden)

    def reader(self) -> speech.SpeechEncoder:
        """What reads sounds of any length with this network, as the engine does."""
        return speech.SpeechEncoder(self.config, self.mel_std.cpu().numpy(), self._of_arrays)

    @torch.no_grad()
    def _of_arrays(self, mel: np.ndarray) -> list[np.ndarray]:
        return [
            each.float().cpu().numpy()
            for each in self(torch.from_numpy(mel).to(self.mel_std.device))
        ]


class SpeakerEncoder(nn.Module):
    """The speaker embedding 𝒮(w), GE2E of Resemblyzer (Apache-2.0): power mels of 1.6 s → unit
    vector [256], three LSTM layers over 40 mels. `engine.vocoder` embeds a sound by it."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(40, SPEAKER_WIDTH, 3, batch_first=True)
        self.linear = nn.Linear(SPEAKER_WIDTH, SPEAKER_WIDTH)

    @classmethod
    def load(cls, folder: Path, name: str = "speaker") -> Self:
        """The speaker network among the weights of a folder. Raises BadWeights."""
        return load_network(folder / name, lambda config: cls())

    def forward(self, mels: Tensor) -> Tensor:
        """Power mels [B, 160, 40] → unit vectors [B, 256]."""
        _, (hidden, _) = self.lstm(mels)
        return F.normalize(F.relu(self.linear(hidden[-1])), dim=-1)


def at_frames(features: Tensor, frames: int) -> Tensor:
    """Linear interpolation of 50 Hz features [..., N, d] at the times t/25 s of animation frames →
    [..., frames, d], with gradients."""
    last = features.shape[-2] - 1
    t = (torch.arange(frames, device=features.device) / FPS - OFFSET) * ENCODER_RATE
    t = t.clamp(0, last)
    i = t.floor().long().clamp(max=max(0, last - 1))
    w = (t - i)[:, None].to(features.dtype)
    return features[..., i, :] * (1 - w) + features[..., (i + 1).clamp(max=last), :] * w


def phonetic(hidden: Tensor, logits: Tensor, frames: int) -> Tensor:
    """Hidden features [..., N, width] and how likely each phone is, from logits [..., N, 40] →
    [..., frames, width + 40]."""
    return at_frames(torch.cat([hidden, logits.softmax(-1)], -1).float(), frames)
