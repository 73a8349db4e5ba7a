# SPDX-License-Identifier: GPL-3.0-or-later
"""The speech encoder: a small wav2vec 2.0-family network (filter banks in, conformer) trained to recognise phones.

Replaces the paper's wav2vec 2.0 base (§4.2, 𝒜): features of the waveform, interpolated to exactly T animation
frames. Loudness is appended, because the jaw follows it as well as the phones.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol, TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn, Tensor

from ...errors import BadWeights
from ...types import FPS, RATE
from ..graph import Graph
from ..weights import load_network, typed
from .conformer import Conformer
from .mel import BINS, HOP, level, LogMel, PIECE
from .phones import PHONES, SILENCE

if TYPE_CHECKING:  # it takes seconds to import, and only networks of the waveform need it
    from transformers import PretrainedConfig

ENCODER_RATE = 50.0  # feature frames per second
COMPUTED = "log_mel."  # beginning of the names of tensors that are computed, not trained: their last bits depend on the machine
_OFFSET = 0.005  # s: feature frame i sees mel frames 2i−1 … 2i+2 and is therefore centred on i/50 + 5 ms
_CHUNK = 20 * 50  # feature frames encoded at once, so that an hour of sound needs no more memory than a minute
_MARGIN = 50  # feature frames of context on either side of a chunk
_NEAR, _EASE = 8, 4  # animation frames around speech in which lips move, and over which they come to rest
_LOUD = 3.0  # nats (26 dB) below the loudest frames: louder ones enter a clip's spectral mean
_LACKS = 40  # samples
LOUDNESS = 2  # loudness channels appended to the hidden features


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes of a speech encoder, as its card stores them."""

    width: int = 192
    layers: int = 5
    heads: int = 4
    kernel: int = 31  # width of the depthwise convolution, frames of 20 ms
    ahead: int = 8  # delay in frames, because this family's convolutions only look back
    # Configuration of a transformers network that reads the waveform (Wav2Vec2, HuBERT, WavLM); none: filter banks and a conformer.
    body: dict | None = None


_BODIES = ("wav2vec2", "hubert", "wavlm")
_NOT_ITS_SHAPE = ("attn_implementation", "quantization_config", "auto_map")  # ignored: could name code or files elsewhere


def _transformers() -> ModuleType:
    """The package, which most users do without. Raises BadWeights if it is not installed."""
    try:
        import transformers
    except ImportError as error:
        raise BadWeights(
            "These weights have a speech network of the package transformers, which is not installed: install the waveform extra in the "
            "preferences, or requirements/waveform.txt into the engine's Python"
        ) from error
    return transformers


def _body_config(body: dict) -> PretrainedConfig:
    """The configuration of a transformers network of the waveform, from the settings that its kind knows and no others.

    Raises ValueError for another kind of network, BadWeights without the package transformers.
    """
    AutoConfig = _transformers().AutoConfig

    kind = body.get("model_type")
    if kind not in _BODIES:
        raise ValueError(f"a speech network of the kind {str(kind)[:40]!r}")
    known = AutoConfig.for_model(kind).to_dict().keys()
    settings = {name: value for name, value in body.items() if name in known and name[0] != "_" and name not in _NOT_ITS_SHAPE}
    return AutoConfig.for_model(**settings | {"model_type": kind})


class LayerReader(Protocol):
    """Reads what inner layers of the encoder give for a sound, on the way.

    layers: their numbers, from 0.  ahead: feature frames, 0 … `EncoderConfig.ahead`, by which their outputs are read later than the
    sound that they belong to.
    """

    layers: tuple[int, ...]
    ahead: int

    def read(self, outputs: Tensor) -> None:
        """outputs [n, layers · width] of the next n feature frames."""


class SpeechEncoder(nn.Module):
    """Waveform [B, samples] at 16 kHz → hidden features [B, N, width] at 50 Hz and phone logits [B, N, 40]."""

    def __init__(self, config: EncoderConfig = EncoderConfig()):
        super().__init__()
        self.config = config
        self.graph: Graph | None = None  # what computes it on the processor (`graph.graph_of`)
        self.log_mel = LogMel(400)
        self.register_buffer("mel_std", torch.full((BINS,), 1.5))
        if config.body:
            self.body = _transformers().AutoModel.from_config(_body_config(config.body))
        else:
            self.body = Conformer(4 * BINS, config.width, config.layers, config.heads, config.kernel)
        self.phone_head = nn.Linear(config.width, len(PHONES))
        self.ctc_head = nn.Linear(config.width, len(PHONES))  # silence is its blank

    @classmethod
    def adopt(cls, folder: Path) -> SpeechEncoder:
        """An encoder around the pretrained Wav2Vec2, HuBERT or WavLM network in a local folder; its heads are untrained.

        Raises BadWeights.
        """
        AutoModel = _transformers().AutoModel
        try:
            body = AutoModel.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, RuntimeError) as error:
            raise BadWeights(f"“{folder}” holds no speech network that transformers can read ({error}): choose its folder") from error
        config = body.config.to_dict()
        if not getattr(body.config, "conv_stride", None) or math.prod(body.config.conv_stride) != 2 * HOP:
            raise BadWeights(f"“{folder}” does not read the waveform in steps of 20 ms: choose a Wav2Vec2, HuBERT or WavLM network")
        body.config.apply_spec_augment = False
        encoder = cls(
            EncoderConfig(
                width=body.config.hidden_size, body={"model_type": config["model_type"]} | json.loads(body.config.to_json_string())
            )
        )
        encoder.body.load_state_dict(body.state_dict())
        return encoder

    @classmethod
    def load(cls, folder: Path, name: str = "encoder") -> SpeechEncoder:
        """An encoder among the weights of a folder. Raises BadWeights."""
        return load_network(folder / name, lambda config: cls(typed(EncoderConfig, config)), computed=COMPUTED)

    def settings(self) -> dict:
        """The configuration, for the card."""
        return asdict(self.config)

    def prepare(self, samples: Tensor) -> Tensor:
        """Input of `encode` from [B, samples]: log-mel [B, 2N, 80], or [B, N, 320] for a network that reads the waveform."""
        if not self.config.body:
            return self.spectrogram(samples)
        n = samples.shape[-1] // (2 * HOP)
        x = samples[:, : n * 2 * HOP]
        x = (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-5)
        return x.unflatten(-1, (n, 2 * HOP))

    def spectrogram(self, samples: Tensor) -> Tensor:
        """Standardised log-mel [B, 2N, 80] of [B, samples], an even number of 10 ms frames, two per feature frame.

        The mean over the clip's loud frames is taken away, and with it the microphone, the room's colour and the gain.
        """
        n = samples.shape[-1] // (2 * HOP)
        mel = self.log_mel(samples)[:, : 2 * n]
        energy = mel.mean(-1, keepdim=True)
        peak = torch.quantile(energy, 0.95, dim=1, keepdim=True)
        loud = torch.sigmoid(2 * (energy - peak + _LOUD))
        return (mel - (loud * mel).sum(1, keepdim=True) / loud.sum(1, keepdim=True)) / self.mel_std

    def forward(self, prepared: Tensor) -> tuple[Tensor, ...]:
        """Result of `prepare` → hidden [B, N, width], phone logits [B, N, 40], and the outputs of all inner layers.

        Those have `ahead` frames more, [B, N + ahead, width] each, since they see the sound that much earlier; of networks that read the
        waveform there are none.
        """
        if self.config.body:
            # Its first layers see 25 ms: half of the missing samples are padded on either side, so that N steps give N frames.
            hidden = self.body(F.pad(prepared.flatten(1), (_LACKS, _LACKS))).last_hidden_state
            return hidden, self.phone_head(hidden)
        ahead = self.config.ahead
        # Frames 2i − 1 … 2i + 2 for feature frame i, those beyond the ends as the first and the last one.
        around = torch.cat([prepared[:, :1], prepared, prepared[:, -1:].expand(-1, 1 + 2 * ahead, -1)], 1)
        stacked = torch.cat([around[:, i : around.shape[1] - 3 + i : 2] for i in range(4)], -1)
        *inner, last = self.body(stacked)
        hidden = last[:, ahead:]
        return hidden, self.phone_head(hidden), *inner

    def encode(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        """Result of `prepare` → (hidden [B, N, width], phone logits [B, N, 40])."""
        hidden, logits, *_ = self(prepared)
        return hidden, logits

    @torch.no_grad()
    def analyse(
        self, samples: Tensor, progress: Callable[[float], None] = lambda fraction: None, readers: Sequence[LayerReader] = ()
    ) -> tuple[Tensor, Tensor]:
        """Any length: waveform [samples] → (hidden [N, width], phone logits [N, 40]) at 50 Hz, in bounded memory.

        `progress` and `readers` as for `encode_in_pieces`.
        """
        return self.encode_in_pieces(self.input_of(samples), progress, readers)

    @torch.no_grad()
    def input_of(self, samples: Tensor) -> Tensor:
        """Input of `encode_in_pieces` from a waveform [samples] of any length and loudness; see `prepare`."""
        least = int(0.1 * RATE)
        if len(samples) < least:
            samples = F.pad(samples, (0, least - len(samples)))
        return self.prepare(level(samples[None]))

    @torch.no_grad()
    def encode_in_pieces(
        self, prepared: Tensor, progress: Callable[[float], None] = lambda fraction: None, readers: Sequence[LayerReader] = ()
    ) -> tuple[Tensor, Tensor]:
        """As `encode`, for one sound of any length, without the batch's dimension, by the graph where there is one.

        `progress` is called with 0 … 1 before each 20 s and may raise to stop.
        readers: get the outputs of inner layers, 20 s after 20 s.
        """
        each = 1 if self.config.body else 2  # rows per feature frame
        n = prepared.shape[1] // each
        hidden, logits = [], []
        for start in range(0, n, _CHUNK):
            progress(start / n)
            a, b = max(0, start - _MARGIN), min(n, start + _CHUNK + _MARGIN)
            h, p, *inner = self._compute(prepared[:, each * a : each * b])
            inside = slice(start - a, min(start + _CHUNK, n) - a)
            for reader in readers:
                reader.read(torch.cat([inner[number][0, reader.ahead :][inside] for number in reader.layers], -1))
            hidden.append(h[0, inside])
            logits.append(p[0, inside])
        return torch.cat(hidden), torch.cat(logits)

    def _compute(self, prepared: Tensor) -> tuple[Tensor, ...]:
        if self.graph is None:
            return self(prepared)
        return tuple(map(torch.from_numpy, self.graph(mel=prepared.numpy())))

    @torch.no_grad()
    def features(self, samples: Tensor, frames: int) -> Tensor:
        """Speech features a = 𝒜(w) [frames, width + 42] at 25 fps, sample-accurately placed on the animation frames."""
        return speech_features(*self.analyse(samples), samples, frames)

    @property
    def feature_width(self) -> int:
        """Width of the speech features: hidden features, phone probabilities and loudness."""
        return self.config.width + len(PHONES) + LOUDNESS


def at_frames(features: Tensor, frames: int) -> Tensor:
    """Linear interpolation of 50 Hz features [..., N, d] at the times t/25 s of animation frames → [..., frames, d]."""
    last = features.shape[-2] - 1
    t = (torch.arange(frames, device=features.device) / FPS - _OFFSET) * ENCODER_RATE
    t = t.clamp(0, last)
    i = t.floor().long().clamp(max=max(0, last - 1))
    w = (t - i)[:, None].to(features.dtype)
    return features[..., i, :] * (1 - w) + features[..., (i + 1).clamp(max=last), :] * w


def phonetic(hidden: Tensor, logits: Tensor, frames: int) -> Tensor:
    """Hidden features [..., N, width] and how likely each phone is, from logits [..., N, 40] → [..., frames, width + 40]."""
    return at_frames(torch.cat([hidden, logits.softmax(-1)], -1).float(), frames)


def speech_features(hidden: Tensor, logits: Tensor, samples: Tensor, frames: int) -> Tensor:
    """Speech features a [frames, width + 42] from hidden features and phone logits [N, …] at 50 Hz and the sound [samples] itself."""
    return torch.cat([phonetic(hidden, logits, frames), loudness(samples, frames)], -1)


def loudness(samples: Tensor, frames: int) -> Tensor:
    """Loudness of [samples] around each animation frame: [frames, 2], roughly −1 (silence) … 1 (loudest).

    Channel 0 is compressed amplitude, channel 1 level in units of 20 dB, both relative to the clip's speech level,
    so that a quiet recording animates like a loud one.
    """
    window, hop = int(0.08 * RATE), int(RATE / FPS)
    x = level(samples[None])
    need = (frames - 1) * hop + window
    x = F.pad(x, (window // 2, max(0, need - window // 2 - x.shape[-1])))
    windows = x[0].unfold(0, window, hop)[:frames]
    rms = torch.cat([part.square().mean(-1).sqrt() for part in windows.split(int(PIECE * FPS))])
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
