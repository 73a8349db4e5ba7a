# SPDX-License-Identifier: GPL-3.0-or-later
"""Mesh-to-speech (§4.1): speech units and a mel spectrogram from the mouth, frame by frame; and
guidance by it, which moves each estimate during sampling towards mouths that say the spoken units.

Its input is one of SPACES: the mouth's vertices, its lips alone, the whole face's, or the
coefficients themselves.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
import torchaudio
from torch import nn, Tensor

from ..engine.m2s import lip_places, MeshToSpeechConfig, trained_mouth as trained_mouth
from ..engine.speech.acoustics import BINS
from ..face.head import Head
from ..face.points import LIPS
from ..types import Columns
from .flame import FlameLayer
from .weights import Network

# ---- the input


class _Space(nn.Module):
    """An input of mesh-to-speech: a function of expression and jaw. channels: n of the expression
    basis."""

    channels: int

    def of_packed(self, x: Tensor) -> Tensor:
        """The same of packed motions x [B, T, n + 9]."""
        columns = Columns(self.channels)
        return self(x[..., columns.expression], x[..., columns.jaw])


class _Vertices(_Space):
    """Expression [B, T, n] and jaw [B, T, 3] → offsets of some vertices [B, T, m, 3], metres from
    the rest pose.

    The head's rotation is left out, because it does not change what a mouth says.
    """

    shake = 2e-4  # noise in training, metres: samples are not as smooth as the teacher's motion

    def __init__(self, head: Head, ids: np.ndarray):
        super().__init__()
        self.channels = head.channels
        self.layer = FlameLayer(head, ids)
        self.register_buffer(
            "rest", torch.from_numpy(head.v_template[ids].astype(np.float32)), persistent=False
        )

    @property
    def size(self) -> int:
        """Values per frame."""
        return 3 * len(self.rest)

    def forward(self, expression: Tensor, jaw: Tensor) -> Tensor:
        """Expression [B, T, n] and jaw [B, T, 3] → offsets [B, T, m, 3], metres."""
        return (self.layer(expression.flatten(0, 1), jaw.flatten(0, 1)) - self.rest).unflatten(
            0, jaw.shape[:2]
        )


class Mouth(_Vertices):
    """`mouth2s`: V_m [B, T, n_m, 3], the mouth that listening and scoring use.

    inner: bool [n_m], teeth and tongue.  lips: indices [4] of the inner lips' middles, upper and
    lower, and of the corners.
    """

    def __init__(self, head: Head):
        super().__init__(head, head.mouth_vertices)
        self.register_buffer("lips", torch.from_numpy(lip_places(head)), persistent=False)
        self.register_buffer("inner", torch.from_numpy(head.mouth_parts != LIPS), persistent=False)

    def shape(self, moved: Tensor) -> Tensor:
        """Gap of the inner lips and distance of the corners [B, T, 2], metres, of offsets [B, T,
        n_m, 3]."""
        upper, lower, left, right = (moved[:, :, self.lips] + self.rest[self.lips]).unbind(2)
        return torch.stack([(upper - lower).norm(dim=-1), (left - right).norm(dim=-1)], -1)


class Lips(Mouth):
    """`mouth2s` with lips only: the mouth [B, T, n_m, 3], in which teeth and tongue hold still."""

    def forward(self, expression: Tensor, jaw: Tensor) -> Tensor:
        """Expression [B, T, n] and jaw [B, T, 3] → offsets [B, T, m, 3], metres."""
        return super().forward(expression, jaw) * ~self.inner[:, None]


class Face(_Vertices):
    """`face2s`: V [B, T, n_v, 3], every vertex of the head."""

    def __init__(self, head: Head):
        super().__init__(head, np.arange(len(head.v_template)))


class Coefficients(_Space):
    """`exp2s`: x = [ψ | θ_jaw] [B, T, n + 3], each in units of about its spread."""

    shake = 0.1

    def __init__(self, head: Head):
        super().__init__()
        self.channels = head.channels
        self.register_buffer(
            "unit",
            torch.cat([torch.full((head.channels,), 0.15), torch.full((3,), 0.05)]),
            persistent=False,
        )

    @property
    def size(self) -> int:
        """Values per frame."""
        return len(self.unit)

    def forward(self, expression: Tensor, jaw: Tensor) -> Tensor:
        """Expression [B, T, n] and jaw [B, T, 3] → [B, T, n + 3]."""
        return torch.cat([expression, jaw], -1) / self.unit


SPACES: dict[str, Callable[[Head], _Space]] = {
    "mouth": Mouth,
    "face": Face,
    "exp": Coefficients,
    "lips": Lips,
}


def weights_name(space: str) -> str:
    """File name, without ending, of the mesh-to-speech for a space; mouth2s is the one that
    ships."""
    return "m2s" if space == "mouth" else f"m2s-{space}"


# ---- the network

# standard deviations that an average channel moves per sampling step at strength 1; .1 already says
# less, not more
STEP = 0.03


class MeshToSpeech(Network):
    """`mouth2s`, `face2s` or `exp2s`: inputs by `SPACES` [B, T, …] and speaker [B, 256]
    → unit logits [B, 2T, units] at 50 Hz and log-mel [B, 4T, 80] at 100 Hz."""

    Config, file = MeshToSpeechConfig, "m2s"

    def __init__(self, config: MeshToSpeechConfig):
        super().__init__(config)
        self.mouth: Head | None = None  # whose movements it learned, if not the current head's
        w = config.width
        # Inputs are brought to unit spread by one number, so that directions keep their relative
        # size.
        self.register_buffer("scale", torch.tensor(0.003))
        self.register_buffer("mel_mean", torch.zeros(BINS))
        self.register_buffer("mel_std", torch.ones(BINS))
        self.register_buffer("unit_log_prior", torch.zeros(config.units))
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
        twice = torch.stack([x, x], 2).reshape(len(x), -1, x.shape[2])
        return x, twice + F.gelu(self.between(twice.transpose(1, 2)).transpose(1, 2))

    def forward(self, mouths: Tensor, speaker: Tensor) -> tuple[Tensor, Tensor]:
        """Unit logits [B, 2T, units] and log-mel [B, 4T, 80] of inputs [B, T, …] and a speaker [B,
        256]."""
        _, twice = self.encode(mouths)
        return self.unit_head(twice), self.mel_of(twice, speaker)

    def mel_of(self, twice: Tensor, speaker: Tensor) -> Tensor:
        """Log-mel [B, 4T, 80] of features at 50 Hz [B, 2T, width], in the voice of a speaker [B,
        256]."""
        return self.pairs_of(twice, speaker).reshape(len(twice), -1, BINS)

    def pairs_of(self, twice: Tensor, speaker: Tensor) -> Tensor:
        """As `mel_of`, pairs of 10 ms frames beside each other: [B, 2T, 2 · 80]."""
        voiced = torch.cat([twice, speaker[:, None].expand(-1, twice.shape[1], -1)], -1)
        return self.mel_head(voiced.transpose(1, 2)).transpose(1, 2) * self.mel_std.repeat(
            2
        ) + self.mel_mean.repeat(2)


class SpeechGuidance:
    """Gradient of the evidence for the spoken units [2T] with respect to x̂_0, in steps of known
    size.

    weight [T]: 0 where nobody speaks.  mean, std [C]: standardisation of x̂_0.
    """

    def __init__(
        self, folder: Path, head: Head, units: np.ndarray, weight: np.ndarray, mean: np.ndarray,
        std: np.ndarray, strength: float,
        device: str,
    ):  # fmt: skip
        """By the mesh-to-speech in a folder of weights. Raises BadWeights."""
        self.m2s, self.strength = MeshToSpeech.load(folder).to(device), strength
        self.mouth = Mouth(self.m2s.mouth or head).to(device)
        self.units, self.weight, self.mean, self.std = (
            torch.from_numpy(np.ascontiguousarray(each)).to(device)
            for each in (units, weight, mean, std)
        )

    def __call__(self, x0: np.ndarray, a: int, b: int) -> np.ndarray:
        """x̂_0 [B, b − a, C] of the frames a … b, pulled."""
        start = torch.from_numpy(np.ascontiguousarray(x0)).to(self.mean.device)
        with torch.enable_grad():
            x = start.clone().requires_grad_()
            motion = x * self.std + self.mean
            _, twice = self.m2s.encode(self.mouth.of_packed(motion))
            units = self.units[2 * a : 2 * b].expand(len(x), -1)
            miss = F.cross_entropy(
                self.m2s.unit_head(twice).float().transpose(1, 2), units, reduction="none"
            )
            weight = self.weight[a:b].repeat_interleave(2)
            (gradient,) = torch.autograd.grad((miss * weight).sum(), x)
        size = gradient.square().mean((1, 2), keepdim=True).sqrt().clamp_min(1e-8)
        # Clipped, so that a frame with a steep gradient does not jump.
        return (start - self.strength * STEP * (gradient / size).clamp(-3, 3)).cpu().numpy()
