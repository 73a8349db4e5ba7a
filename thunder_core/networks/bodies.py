# SPDX-License-Identifier: GPL-3.0-or-later
"""The bodies of speech encoders: the conformer, Wav2Vec2-BERT's (Barrault et al. 2023) with rotary
positions and no dropout, and the first layers of Whisper's encoder (Radford et al. 2022), on which
a speech encoder may stand.

Parameters have the names that transformers' `Wav2Vec2BertModel` and `WhisperEncoder` give them, and
they compute the same. Written out here because importing transformers takes longer than starting
everything else in the engine, and because Whisper's layers in the middle are wanted, in windows of
any length, and as a graph. `attention` is that of all networks here.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import nn, Tensor

from ..acoustics import BINS


def attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Attention [B, heads, t, d] of queries q [B, heads, t, d] to keys and values [B, heads, T, d].

    bias [heads, t, T] is added to the logits.
    """
    # A processor's fused attention takes ten times as long for gradients in bfloat16; a graph has
    # no fused one.
    if torch.jit.is_tracing() or (
        q.dtype == torch.bfloat16 and q.device.type == "cpu" and q.requires_grad
    ):
        logits = ((q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)).float()
        return (logits if bias is None else logits + bias).softmax(-1).to(v.dtype) @ v
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=None if bias is None else bias.to(q.dtype)[None]
    )


_ROTARY_BASE = 10000.0
_INITIAL_DEVIATION = 0.02  # standard deviation of the initial weights of linear layers


def rotary_angles(frames: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine [frames, 1, width] of rotary positions (Su et al. 2021) for heads of `width`
    channels."""
    frequency = 1.0 / _ROTARY_BASE ** (
        torch.arange(0, width, 2, device=like.device).float() / width
    )
    angle = (torch.arange(frames, device=like.device).float()[:, None] * frequency).repeat(1, 2)[
        :, None
    ]
    return angle.cos().to(like), angle.sin().to(like)


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn x [B, N, heads, width] by the angles of its frames; the halves of a head's channels are
    the two coordinates."""
    first, second = x.chunk(2, -1)
    return x * cosine + torch.cat([-second, first], -1) * sine


def feed_forward(width: int) -> nn.Sequential:
    """Two-layer perceptron of every frame, [B, N, width] → the same."""
    wide = 4 * width
    return nn.Sequential(
        OrderedDict(
            intermediate_dense=nn.Linear(width, wide),
            activation=nn.SiLU(),
            output_dense=nn.Linear(wide, width),
        )
    )


class SelfAttention(nn.Module):
    """Every frame attends to all, [B, N, width] → the same.

    Positions turn what queries and keys are made of, not the values."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.linear_q = nn.Linear(width, width)
        self.linear_k = nn.Linear(width, width)
        self.linear_v = nn.Linear(width, width)
        self.linear_out = nn.Linear(width, width)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """x [B, N, width] → [B, N, width]. cosine, sine: of its positions, as `rotate` takes
        them."""
        turned = rotate(x.unflatten(-1, (self.heads, -1)), cosine, sine).flatten(2)
        q, k, v = (
            layer(y).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, y in ((self.linear_q, turned), (self.linear_k, turned), (self.linear_v, x))
        )
        return self.linear_out(attention(q, k, v).transpose(1, 2).flatten(2))


class Pointwise(nn.Conv1d):
    """A convolution of one frame, computed as the linear layer that it is. Its weights have the
    shape of a convolution's."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., inputs] → [..., outputs]."""
        return F.linear(x, self.weight[..., 0])


class Convolution(nn.Module):
    """Gated depthwise convolution over this frame and those before it, [B, N, width] → the same."""

    def __init__(self, width: int, kernel: int):
        super().__init__()
        self.layer_norm = nn.LayerNorm(width)
        self.pointwise_conv1 = Pointwise(width, 2 * width)
        self.depthwise_conv = nn.Conv1d(width, width, kernel, groups=width, bias=False)
        self.depthwise_layer_norm = nn.LayerNorm(width)
        self.pointwise_conv2 = Pointwise(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, N, width] → [B, N, width]."""
        x = F.glu(self.pointwise_conv1(self.layer_norm(x)), -1).transpose(1, 2)
        x = self.depthwise_conv(F.pad(x, (self.depthwise_conv.kernel_size[0] - 1, 0))).transpose(
            1, 2
        )
        return self.pointwise_conv2(F.silu(self.depthwise_layer_norm(x)))


class Layer(nn.Module):
    """Half a perceptron, attention, convolution, half a perceptron (Gulati et al. 2020), [B, N,
    width] → the same."""

    def __init__(self, width: int, heads: int, kernel: int):
        super().__init__()
        self.ffn1_layer_norm = nn.LayerNorm(width)
        self.ffn1 = feed_forward(width)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.self_attn = SelfAttention(width, heads)
        self.conv_module = Convolution(width, kernel)
        self.ffn2_layer_norm = nn.LayerNorm(width)
        self.ffn2 = feed_forward(width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """x [B, N, width] → [B, N, width]. cosine, sine: as `SelfAttention` takes them."""
        x = x + 0.5 * self.ffn1(self.ffn1_layer_norm(x))
        x = x + self.self_attn(self.self_attn_layer_norm(x), cosine, sine)
        x = x + self.conv_module(x)
        return self.final_layer_norm(x + 0.5 * self.ffn2(self.ffn2_layer_norm(x)))


class Conformer(nn.Module):
    """Stacked spectra [B, N, inputs] → features [B, N, width]."""

    def __init__(self, inputs: int, width: int, layers: int, heads: int, kernel: int):
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"a kernel of {kernel} frames, which is not odd")
        self.head_width = width // heads
        # without effect, but present in weight files
        self.masked_spec_embed = nn.Parameter(torch.zeros(width))
        projection = nn.Linear(inputs, width)
        self.feature_projection = nn.Sequential(
            OrderedDict(layer_norm=nn.LayerNorm(inputs), projection=projection)
        )
        self.encoder: Any = nn.Module()
        self.encoder.layers = nn.ModuleList(Layer(width, heads, kernel) for _ in range(layers))
        self.apply(_initialise)
        bound = math.sqrt(1 / inputs)
        nn.init.uniform_(projection.weight, -bound, bound)
        nn.init.uniform_(projection.bias, -bound, bound)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Output [B, N, width] of every layer, of stacked spectra [B, N, inputs]; the last one's
        are the features."""
        angles = rotary_angles(x.shape[1], self.head_width, x)
        outputs = [self.feature_projection(x)]
        for layer in self.encoder.layers:
            outputs.append(layer(outputs[-1], *angles))
        return outputs[1:]


def _initialise(module: nn.Module) -> None:
    """Weights as transformers begins training with."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=_INITIAL_DEVIATION)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv1d):
        nn.init.kaiming_normal_(module.weight)


_LONGEST_WAVE = 10000.0  # of the positions' sines, over 2π frames
_SIZES = ("d_model", "encoder_layers", "encoder_attention_heads", "encoder_ffn_dim")
_MOST_LAYERS = 32


class WhisperAttention(nn.Module):
    """Every frame attends to all, [B, N, width] → the same."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, N, width] → [B, N, width]."""
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        return self.out_proj(attention(q, k, v).transpose(1, 2).flatten(2))


class WhisperLayer(nn.Module):
    """Attention and a perceptron, each normalised before and added, [B, N, width] → the same."""

    def __init__(self, width: int, heads: int, inner: int):
        super().__init__()
        self.self_attn = WhisperAttention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, N, width] → [B, N, width]."""
        x = x + self.self_attn(self.self_attn_layer_norm(x))
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))


class Whisper(nn.Module):
    """Whisper's log-mels [B, 2N, 80] → the outputs of some of its layers side by side, [B, N,
    heard_width] at 50 Hz."""

    def __init__(self, width: int, layers: int, heads: int, inner: int, heard: Sequence[int] = ()):
        """heard: numbers of the layers whose outputs are given, from 1; none: of all."""
        super().__init__()
        self.width, self.heard = width, tuple(heard) or tuple(range(1, layers + 1))
        self.sizes = width, layers, heads, inner
        self.conv1 = nn.Conv1d(BINS, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.layers = nn.ModuleList(WhisperLayer(width, heads, inner) for _ in range(layers))

    @classmethod
    def of_config(cls, body: dict) -> Self:
        """The network that a card describes, in the words of `config`. Raises KeyError, ValueError
        or TypeError where it does not."""
        width, layers, heads, inner = (body[name] for name in _SIZES)
        if not 0 < layers <= _MOST_LAYERS or width % heads:
            raise ValueError(f"{layers} layers, {heads} heads")
        return cls(width, layers, heads, inner, body["heard"])

    def config(self) -> dict:
        """Its sizes, for a card, in transformers' words."""
        return {"model_type": "whisper", **dict(zip(_SIZES, self.sizes)), "heard": list(self.heard)}

    @property
    def heard_width(self) -> int:
        """Channels of the result."""
        return self.width * len(self.heard)

    def forward(self, mel: Tensor) -> Tensor:
        """Outputs of the heard layers [B, N, heard_width], of log-mels [B, 2N, 80]."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel.transpose(1, 2))))).transpose(1, 2)
        x, outputs = x + positions(x.shape[1], self.width, x), []
        for layer in self.layers:
            x = layer(x)
            outputs.append(x)
        return torch.cat([outputs[number - 1] for number in self.heard], -1)


def positions(frames: int, width: int, like: Tensor) -> Tensor:
    """Sines and cosines [frames, width] of the frames' numbers, which Whisper adds to its input."""
    half = width // 2
    pace = torch.exp(
        torch.arange(half, device=like.device) * -(math.log(_LONGEST_WAVE) / (half - 1))
    )
    angle = torch.arange(frames, device=like.device).float()[:, None] * pace
    return torch.cat([angle.sin(), angle.cos()], -1).to(like)
