# SPDX-License-Identifier: GPL-3.0-or-later
"""The denoiser 𝒟(x̃_d, d, a) → x̂_0 of THUNDER (§4.2): a transformer decoder over animation frames.

Queries are the noisy motion; keys and values are the speech features and one token of the diffusion
step. Self-attention is biased by symmetric ALiBi (no other positional code, so any length can be
sampled); cross-attention sees, from frame t, only the speech of frame t and the step token.
"""

import math

import torch
from torch import nn, Tensor

from ..events import SIZES
from ..weight_files import DenoiserConfig
from .bodies import attention
from .weights import Network

# e^−40 is nothing in float32; the exponential of less may be denormal, which processors multiply
# very slowly
_LEAST_BIAS = -40.0


def alibi_slopes(heads: int) -> Tensor:
    """[heads] slopes 2^(−8(h+1)/heads) of Press et al. 2022."""
    return torch.tensor([2.0 ** (-8.0 * (h + 1) / heads) for h in range(heads)])


def alibi_bias(frames: int, slopes: Tensor) -> Tensor:
    """[heads, frames, frames]: −slope · |i − j|, symmetric because animation may look ahead; no
    less than `_LEAST_BIAS`."""
    t = torch.arange(frames, device=slopes.device)
    return (-slopes[:, None, None] * (t[:, None] - t[None]).abs()).clamp(min=_LEAST_BIAS)


def step_embedding(step: Tensor, width: int) -> Tensor:
    """Sinusoidal code [B, width] of diffusion steps [B]."""
    frequency = torch.exp(
        -math.log(10000.0) * torch.arange(width // 2, device=step.device) / (width // 2)
    )
    angle = step.float()[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], -1)


def noisy(x: Tensor, noise: Tensor, step: Tensor, alpha: Tensor) -> Tensor:
    """x̃_d = √ᾱ_d x + √(1−ᾱ_d) ε for x, ε [B, T, C], step [B] and ᾱ [1000]."""
    a = alpha.to(x.device)[step][:, None, None]
    return a.sqrt() * x + (1 - a).sqrt() * noise


class BiasedAttention(nn.Module):
    """Multi-head self-attention [B, T, width] → the same, with an additive bias [heads, T, T]."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """The layer's output [B, T, width]; bias [heads, T, T] is added to the logits."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        return self.out(attention(q, k, v, bias).transpose(1, 2).flatten(2))


class DiagonalCrossAttention(nn.Module):
    """Attention of frame t to exactly two keys, its audio frame and the step token, in closed form.

    The paper masks a T × (T + 1) attention down to a diagonal and one column. A softmax over two
    logits is a sigmoid of their difference, so no T × T matrix is needed: out_t = v_step +
    σ((q_t·k_t − q_t·k_step)/√d) (v_t − v_step).
    """

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def read(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Key and value [B, T, heads, width / heads] of each row of a source [B, T, width]."""
        return self.kv(source).unflatten(-1, (2, self.heads, -1)).unbind(-3)

    def forward(self, x: Tensor, audio: Tensor, step: Tensor) -> Tensor:
        """x [B, T, width], audio [B or 1, T, width], step [B or 1, width] → [B, T, width]."""
        query = self.q(x).unflatten(-1, (self.heads, -1))
        (key, value), (key_of_step, value_of_step) = self.read(audio), self.read(step[:, None])
        logit = (query * (key - key_of_step)).sum(-1, keepdim=True) * self.scale
        return self.out((value_of_step + logit.sigmoid() * (value - value_of_step)).flatten(-2))


class DecoderLayer(nn.Module):
    """Self-attention over frames, cross-attention to speech and step, and a perceptron; each
    normalised first and added."""

    def __init__(self, config, cross_attention: type[nn.Module], dropout: float = 0.0):
        """config: with width, heads and feedforward."""
        super().__init__()
        w = config.width
        self.norms = nn.ModuleList(nn.LayerNorm(w) for _ in range(3))
        self.self_attention = BiasedAttention(w, config.heads)
        self.cross_attention = cross_attention(w, config.heads)
        self.feedforward = nn.Sequential(
            nn.Linear(w, config.feedforward),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(config.feedforward, w),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, bias: Tensor, *sources: Tensor) -> Tensor:
        """x [B, T, width], bias [heads, T, T], and what the cross-attention takes besides → [B, T,
        width]."""
        x = x + self.dropout(self.self_attention(self.norms[0](x), bias))
        x = x + self.dropout(self.cross_attention(self.norms[1](x), *sources))
        return x + self.dropout(self.feedforward(self.norms[2](x)))


class Standardised(Network):
    """A network with mean and deviation of motion [C] and speech features [d] over its training
    set."""

    def __init__(self, config):
        super().__init__(config)
        self.motion_mean = nn.Buffer(torch.zeros(config.motion))
        self.motion_std = nn.Buffer(torch.ones(config.motion))
        self.audio_mean = nn.Buffer(torch.zeros(config.audio))
        self.audio_std = nn.Buffer(torch.ones(config.audio))

    def standardise(self, motion: Tensor) -> Tensor:
        """Packed motion [B, T, C] in the units of the network: mean 0, deviation 1 over the
        training set."""
        return (motion - self.motion_mean) / self.motion_std

    def restore(self, x: Tensor) -> Tensor:
        """The inverse of `standardise`."""
        return x * self.motion_std + self.motion_mean

    def standardise_audio(self, audio: Tensor) -> Tensor:
        """Speech features [B, T, d] in the units of the network."""
        return (audio - self.audio_mean) / self.audio_std


class DenoiserNetwork(Standardised):
    """Noisy standardised motion [B, T, motion], step [B], speech features [B, T, audio] → x̂_0 [B,
    T, motion]."""

    Config, file = DenoiserConfig, "denoiser"

    def __init__(self, config: DenoiserConfig):
        super().__init__(config)
        self.motion_in = nn.Linear(config.motion, config.width)
        self.audio_in = nn.Linear(config.audio, config.width)
        self.step_in = nn.Sequential(
            nn.Linear(config.width, config.width), nn.SiLU(), nn.Linear(config.width, config.width)
        )
        # the input where guidance hides the sound
        self.no_audio = nn.Parameter(torch.zeros(config.audio))
        if config.style:
            # "any style", for performances without a direction
            self.no_style = nn.Parameter(torch.zeros(config.style))
            last = nn.Linear(config.width, 3 * config.width)
            self.style_in = nn.Sequential(nn.Linear(config.style, config.width), nn.SiLU(), last)
            # a new model with styles behaves like one without
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        if config.events:
            # "any event", where nothing is planned
            self.no_events = nn.Parameter(torch.zeros(config.events))
            self.events_in = nn.Linear(config.events, config.width)
            # a new model with events behaves like one without
            nn.init.zeros_(self.events_in.weight)
            nn.init.zeros_(self.events_in.bias)
            self.event_sizes = nn.Buffer(torch.from_numpy(SIZES), persistent=False)
        if config.mouth:
            self.mouth_in = nn.Linear(config.mouth, config.width, bias=False)
            # a new model that hears the map behaves like one that does not
            nn.init.zeros_(self.mouth_in.weight)
        self.layers = nn.ModuleList(
            DecoderLayer(config, DiagonalCrossAttention, config.dropout)
            for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.width)
        self.motion_out = nn.Linear(config.width, config.motion)
        self.slopes = nn.Buffer(alibi_slopes(config.heads), persistent=False)
        if config.style:
            self.style_mean = nn.Buffer(torch.zeros(config.style))
            self.style_std = nn.Buffer(torch.ones(config.style))

    def forward(
        self, x: Tensor, step: Tensor, audio: Tensor, silent: Tensor | None = None,
        style: Tensor | None = None,
        free: Tensor | None = None, events: Tensor | None = None, mouth: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Estimate x̂_0 [B, T, motion] of a noisy motion x [B, T, motion] at a step [B or 1].

        audio: [B or 1, T, audio].  silent: bool [B or 1], rows whose audio is replaced by the
        learned vector ∅ (classifier-free guidance).
        style: [B, T, style], or of length 1 where it is broadcast; None: any style, like the rows
        where `free` [B] is true.
        events: [B, T, EVENTS], curves of what the take plans (`thunder_core.events`), NaN where it
        plans nothing; None: nothing at all.
        mouth: [B or 1, T, mouth], curves that the map of mouths (`engine.planning.mouth_map`)
        hears in the sound, also in rows that are `silent`; None: a usual mouth.
        """
        audio = self.standardise_audio(audio)
        if silent is not None:
            audio = torch.where(silent[:, None, None], self.no_audio, audio)
        features, y = self.audio_in(audio), self.motion_in(x)
        if self.config.style:  # else a style has no effect
            # The style scales and shifts the speech features (FiLM, Perez et al. 2018), and is
            # added to the motion's features. Per frame even where it is the same for all: a matrix
            # of one row is rounded differently from one of several, and a take would depend on how
            # many takes are sampled with it.
            style_code = self._standard_style(style, free)
            scale, shift, offset = self.style_in(style_code.expand(-1, x.shape[1], -1)).chunk(3, -1)
            features, y = features * (1 + scale) + shift, y + offset
        if self.config.events:
            planned = self.no_events[None, None]
            if events is not None:
                # 0; goes with the next weights, as the graphs of the shipped ones have it
                more = self.config.events - events.shape[2]
                events = nn.functional.pad(events, (0, more), value=float("nan"))
                planned = torch.where(events.isnan(), planned, events / self.event_sizes)
            y = y + self.events_in(planned.expand(-1, x.shape[1], -1))
        if self.config.mouth and mouth is not None:
            y = y + self.mouth_in(mouth)
        token = self.step_in(step_embedding(step, self.config.width))
        bias = alibi_bias(x.shape[1], self.slopes)
        for layer in self.layers:
            y = layer(y, bias, features, token)
        return self.motion_out(self.norm(y))

    def _standard_style(self, style: Tensor | None, free: Tensor | None) -> Tensor:
        """The style in units of its spread over the training set; the learned "any style" for rows
        that are free."""
        if style is None:
            return self.no_style[None, None]
        style = (style - self.style_mean) / self.style_std
        return style if free is None else torch.where(free[:, None, None], self.no_style, style)
