# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of speech. They hear: the speech encoder, on Whisper's first layers, and the speaker
embedding. They speak: mesh-to-speech and the vocoder.

`engine.speech.encoder` and `engine.m2s` say what they are for, and use them.
"""

from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
import torchaudio
from torch import nn, Tensor

from ..acoustics import BINS, CLASSES
from ..face.head import Head
from ..spoken import PHONES
from ..weight_files import (
    EncoderConfig,
    MeshToSpeechConfig,
    SPEAKER_WIDTH,
    trained_mouth,
    VocoderConfig,
)
from .bodies import Conformer, Whisper
from .weights import load_network, Network


class SpeechEncoderNetwork(Network):
    """Log-mel [B, 2N, 80], as `engine.speech.encoder` prepares it → hidden features [B, N, width]
    at 50 Hz and phone logits [B, N, 40]."""

    Config, file = EncoderConfig, "encoder"

    def __init__(self, config: EncoderConfig):
        super().__init__(config)
        # without effect, but present in weight files
        self.mel_std = nn.Buffer(torch.full((BINS,), 1.5))
        self.body = Whisper.of_config(config.body)
        self.narrow = nn.Linear(self.body.heard_width, config.width)
        self.reader_of_phones = Conformer(
            config.width, config.width, config.layers, config.heads, config.kernel
        )
        self.phone_head = nn.Linear(config.width, len(PHONES))
        self.ctc_head = nn.Linear(config.width, len(PHONES))  # silence is its blank

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden [B, N, width] and phone logits [B, N, 40] of log-mels [B, 2N, 80]."""
        hidden, phone_input = self.listen(mel)
        return hidden, self.phone_head(phone_input)

    def listen(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, with what the phone heads read [B, N, width] instead of what they say."""
        hidden, ahead = self.narrow(self.body(mel)), self.config.ahead
        # its convolutions only look back
        padded = F.pad(hidden, (0, 0, 0, ahead))
        return hidden, self.reader_of_phones(padded)[-1][:, ahead:]


class SpeakerEncoderNetwork(nn.Module):
    """The speaker embedding 𝒮(w), GE2E of Resemblyzer (Apache-2.0): power mels of 1.6 s → unit
    vector [256], three LSTM layers over 40 mels. `engine.m2s` embeds a sound by it."""

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


# ---- mesh-to-speech (§4.1): speech units and a mel spectrogram from the mouth, frame by frame. Its
# input is the mouth's vertices (`research.train.spaces`, where training has others).


class MeshToSpeechNetwork(Network):
    """`mouth2s`, or another space's: inputs [B, T, …] and speaker [B, 256]
    → unit logits [B, 2T, units] at 50 Hz and log-mel [B, 4T, 80] at 100 Hz."""

    Config, file = MeshToSpeechConfig, "m2s"

    def __init__(self, config: MeshToSpeechConfig):
        super().__init__(config)
        self.mouth: Head | None = None  # whose movements it learned, if not the current head's
        w = config.width
        # Inputs are brought to unit spread by one number, so that directions keep their relative
        # size.
        self.scale = nn.Buffer(torch.tensor(0.003))
        self.mel_mean = nn.Buffer(torch.zeros(BINS))
        self.mel_std = nn.Buffer(torch.ones(BINS))
        self.unit_log_prior = nn.Buffer(torch.zeros(config.units))
        self.mesh_in = nn.Sequential(
            nn.Linear(config.inputs, 2 * w), nn.GELU(), nn.Linear(2 * w, w), nn.LayerNorm(w)
        )
        self.body = torchaudio.models.Conformer(
            w,
            config.heads,
            config.feedforward,
            config.layers,
            config.kernel,
            config.dropout,
            use_group_norm=True,
        )
        self.between = nn.Conv1d(w, w, 3, padding=1)  # 25 → 50 Hz: repetition, then this
        self.unit_head = nn.Linear(w, config.units)
        self.mel_head = nn.Sequential(
            nn.Conv1d(w + config.speaker, 2 * w, 5, padding=2), nn.GELU(),
            nn.Conv1d(2 * w, 2 * w, 5, padding=2), nn.GELU(),
            nn.Conv1d(2 * w, 2 * BINS, 1),
        )  # fmt: skip

    @classmethod
    def load(cls, folder: Path, name: str = "") -> Self:
        """A network among the weights of a folder, the embedded mouth2s unless another is named.
        Raises BadWeights."""
        network = super().load(folder, name)
        network.mouth = trained_mouth(folder) if network.config.space == "mouth" else None
        return network

    def look(self, mouths: Tensor) -> Tensor:
        """Features [B, T, width] of each frame by itself."""
        return self.mesh_in(mouths.flatten(2) / self.scale)

    def encode(self, mouths: Tensor) -> tuple[Tensor, Tensor]:
        """Features of the mouth's speech: [B, T, width] at 25 fps, and [B, 2T, width] at 50 Hz."""
        x = self.look(mouths)
        x = x.transpose(0, 1)
        # as the conformer itself, which would mask frames beyond a batch's shorter ones
        for layer in self.body.conformer_layers:
            x = layer(x, None)
        x = x.transpose(0, 1)
        twice = torch.stack([x, x], 2).reshape(x.shape[0], -1, x.shape[2])
        return x, twice + F.gelu(self.between(twice.transpose(1, 2)).transpose(1, 2))

    def forward(self, mouths: Tensor, speaker: Tensor) -> tuple[Tensor, Tensor]:
        """Unit logits [B, 2T, units] and log-mel [B, 4T, 80] of inputs [B, T, …] and a speaker [B,
        256]."""
        _, twice = self.encode(mouths)
        mel = self.pairs_of(twice, speaker).reshape(len(twice), -1, BINS)
        return self.unit_head(twice), mel

    def pairs_of(self, twice: Tensor, speaker: Tensor) -> Tensor:
        """Log-mel of features at 50 Hz [B, 2T, width], in the voice of a speaker [B, 256]; pairs of
        10 ms frames beside each other: [B, 2T, 2 · 80]."""
        voiced = torch.cat([twice, speaker[:, None].expand(-1, twice.shape[1], -1)], -1)
        return self.mel_head(voiced.transpose(1, 2)).transpose(1, 2) * self.mel_std.repeat(
            2
        ) + self.mel_mean.repeat(2)


# ---- the vocoder: an inverse-STFT network that shapes a pulse train and noise. A network that
# draws each spectral frame for itself cannot know how far a tone's phase has moved since the last
# one, nor do mesh-to-speech's soft mels show it. So the pitch is predicted from the frames, its
# phase is summed up over time, and the network (ConvNeXt blocks at 100 Hz) decides how loud the
# pulses and how loud the noise sound in every band of every frame. Both are products in the
# short-time Fourier domain and come back by one inverse transform. `engine.m2s` makes that
# sound.


_MAX_GAIN = 1.5  # nats (13 dB) that the network may add to the mel's level


class ConvBlock(nn.Module):
    """ConvNeXt in one dimension: a depthwise convolution over time, then a two-layer perceptron per
    frame, added to the input."""

    def __init__(self, width: int, kernel: int, expansion: int, scale: float):
        super().__init__()
        self.over_time = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = (
            nn.Linear(width, expansion * width),
            nn.Linear(expansion * width, width),
        )
        self.scale = nn.Parameter(torch.full((width,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """x [B, N, width] → [B, N, width]."""
        y = self.norm(self.over_time(x.transpose(1, 2)).transpose(1, 2))
        return x + self.scale * self.down(F.gelu(self.up(y)))


class VocoderNetwork(Network):
    """Log-mel [B, N, 80] at 100 Hz, units [B, N / 2] at 50 Hz and speaker [B, 256] → the spectrum
    of each frame."""

    Config, file = VocoderConfig, "vocoder"

    def __init__(self, config: VocoderConfig = VocoderConfig()):
        super().__init__(config)
        w = config.width
        self.mel_mean = nn.Buffer(torch.zeros(BINS))
        self.mel_std = nn.Buffer(torch.ones(BINS))
        self.mel_in = nn.Conv1d(BINS, w, config.kernel, padding=config.kernel // 2)
        self.unit_in = nn.Embedding(config.units, w)
        self.speaker_in = nn.Linear(config.speaker, w)
        self.norm_in = nn.LayerNorm(w)
        self.blocks = nn.ModuleList(
            ConvBlock(w, config.kernel, config.expansion, 1 / config.layers)
            for _ in range(config.layers)
        )
        self.norm_out = nn.LayerNorm(w)
        self.pitch_head = nn.Linear(w, CLASSES)
        self.share_head = nn.Linear(w, 2 * BINS)
        nn.init.normal_(self.unit_in.weight, std=0.3)
        nn.init.zeros_(self.share_head.weight)
        # pulses and noise start at two thirds of the mel's level each
        nn.init.constant_(self.share_head.bias, -1.8)

    def forward(self, mel: Tensor, units: Tensor, speaker: Tensor) -> tuple[Tensor, Tensor]:
        """Spectrum of each frame: pitch scores [B, N, 96] and log amplitudes [B, N, 2, 80] of
        pulses and noise."""
        x = self.mel_in(((mel - self.mel_mean) / self.mel_std).transpose(1, 2)).transpose(1, 2)
        at = (torch.arange(mel.shape[1], device=mel.device) // 2).clamp(max=units.shape[1] - 1)
        x = self.norm_in(x + self.unit_in(units)[:, at] + self.speaker_in(speaker)[:, None])
        for block in self.blocks:
            x = block(x)
        x = self.norm_out(x)
        share = F.logsigmoid(self.share_head(x).float()).unflatten(-1, (2, BINS)) + _MAX_GAIN
        return self.pitch_head(x).float(), share + mel.float()[:, :, None]
