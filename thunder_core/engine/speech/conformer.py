# SPDX-License-Identifier: GPL-3.0-or-later
"""The conformer of the speech encoder: Wav2Vec2-BERT's (Barrault et al. 2023) with rotary positions and no dropout.

Its parameters have the names that transformers' `Wav2Vec2BertModel` gives them, and it computes the same. Written out here because
importing transformers takes longer than starting everything else in the engine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, Tensor

from ..attention import attention
from ..batches import in_turn, Run
from ..precision import Linear, Pointwise

_Projected = tuple[Tensor, tuple[Tensor, Tensor, Tensor]]
_ROTARY_BASE = 10000.0
_PARTED_FROM = 100  # frames: fewer are not worth the waiting
_INITIAL_DEVIATION = 0.02  # standard deviation of the initial weights of linear layers


def rotary_angles(frames: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine [frames, 1, width] of rotary positions (Su et al. 2021) for heads of `width` channels."""
    frequency = 1.0 / _ROTARY_BASE ** (torch.arange(0, width, 2, device=like.device).float() / width)
    angle = (torch.arange(frames, device=like.device).float()[:, None] * frequency).repeat(1, 2)[:, None]
    return angle.cos().to(like), angle.sin().to(like)


def rotate(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn x [B, N, heads, width] by the angles of its frames; the halves of a head's channels are the two coordinates."""
    first, second = x.chunk(2, -1)
    return x * cosine + torch.cat([-second, first], -1) * sine


class FeatureProjection(nn.Module):
    """[B, N, inputs] → normalised and projected [B, N, width]."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.layer_norm = nn.LayerNorm(inputs)
        self.projection = nn.Linear(inputs, width)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, N, inputs] → [B, N, width]."""
        return self.projection(self.layer_norm(x))


class FeedForward(nn.Module):
    """Two-layer perceptron of every frame, [B, N, width] → the same."""

    def __init__(self, width: int):
        super().__init__()
        self.intermediate_dense = Linear(width, 4 * width)
        self.output_dense = Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, N, width] → [B, N, width]."""
        return self.output_dense(F.silu(self.intermediate_dense(x)))


class SelfAttention(nn.Module):
    """Every frame attends to all, [B, N, width] → the same. Positions turn what queries and keys are made of, not the values."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.linear_q = Linear(width, width)
        self.linear_k = Linear(width, width)
        self.linear_v = Linear(width, width)
        self.linear_out = Linear(width, width)

    def project(self, x: Tensor, cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value [B, heads, N, width / heads] of x [B, N, width]. cosine, sine: of its positions, as `rotate` takes them."""
        turned = rotate(x.unflatten(-1, (self.heads, -1)), cosine, sine).flatten(2)
        q, k, v = (
            layer(y).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer, y in ((self.linear_q, turned), (self.linear_k, turned), (self.linear_v, x))
        )
        return q, k, v

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attention [B, n, width] of frames with queries q [B, heads, n, ·] to all keys and values [B, heads, N, ·]."""
        return self.linear_out(attention(q, k, v).transpose(1, 2).flatten(2))


class Convolution(nn.Module):
    """Gated depthwise convolution over this frame and those before it, [B, N, width] → the same."""

    def __init__(self, width: int, kernel: int):
        super().__init__()
        self.layer_norm = nn.LayerNorm(width)
        self.pointwise_conv1 = Pointwise(width, 2 * width)
        self.depthwise_conv = nn.Conv1d(width, width, kernel, groups=width, bias=False)
        self.depthwise_layer_norm = nn.LayerNorm(width)
        self.pointwise_conv2 = Pointwise(width, width)

    @property
    def reach(self) -> int:
        """Frames before its own that a frame depends on."""
        return self.depthwise_conv.kernel_size[0] - 1

    def gate(self, x: Tensor) -> Tensor:
        """Input of the convolution over frames, [B, N, width], from x [B, N, width]."""
        return F.glu(self.pointwise_conv1(self.layer_norm(x)), -1)

    def mix(self, gated: Tensor) -> Tensor:
        """The result [B, N, width] for the last N of gated frames [B, reach + N, width]."""
        x = self.depthwise_conv(gated.to(self.depthwise_conv.weight.dtype).transpose(1, 2)).transpose(1, 2)
        return self.pointwise_conv2(F.silu(self.depthwise_layer_norm(x)))


class Layer(nn.Module):
    """Half a perceptron, attention, convolution, half a perceptron (Gulati et al. 2020), [B, N, width] → the same."""

    def __init__(self, width: int, heads: int, kernel: int):
        super().__init__()
        self.ffn1_layer_norm = nn.LayerNorm(width)
        self.ffn1 = FeedForward(width)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.self_attn = SelfAttention(width, heads)
        self.conv_module = Convolution(width, kernel)
        self.ffn2_layer_norm = nn.LayerNorm(width)
        self.ffn2 = FeedForward(width)
        self.final_layer_norm = nn.LayerNorm(width)

    def project(self, x: Tensor, angles: tuple[Tensor, Tensor]) -> _Projected:
        """x [B, n, width] after half a perceptron, and its queries, keys and values. angles: of its positions, as `rotate` takes them."""
        x = x + 0.5 * self.ffn1(self.ffn1_layer_norm(x))
        return x, self.self_attn.project(self.self_attn_layer_norm(x), *angles)

    def attended(self, projected: Sequence[_Projected], run: Run) -> Callable[[int], Tensor]:
        """A function of i: the layer's result [B, n, width] for part i of x. projected: parts one after the other in time, by `project`."""
        keys, values = (torch.cat([qkv[which] for _, qkv in projected], 2) for which in (1, 2))

        def attend(i: int) -> tuple[Tensor, Tensor]:
            x, (query, _, _) = projected[i]
            x = x + self.self_attn.attend(query, keys, values)
            return x, self.conv_module.gate(x)

        parts, reach = run(attend, len(projected)), self.conv_module.reach
        gated = F.pad(torch.cat([gate for _, gate in parts], 1), (0, 0, reach, 0))
        ends = np.cumsum([x.shape[1] for x, _ in parts])

        def convolve(i: int) -> Tensor:
            x = parts[i][0]
            x = x + self.conv_module.mix(gated[:, ends[i] - x.shape[1] : ends[i] + reach])
            return self.final_layer_norm(x + 0.5 * self.ffn2(self.ffn2_layer_norm(x)))

        return convolve


class Conformer(nn.Module):
    """Stacked spectra [B, N, inputs] → features [B, N, width]."""

    def __init__(self, inputs: int, width: int, layers: int, heads: int, kernel: int):
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"a kernel of {kernel} frames, which is not odd")
        self.head_width = width // heads
        self.masked_spec_embed = nn.Parameter(torch.zeros(width))  # without effect, but present in weight files
        self.feature_projection = FeatureProjection(inputs, width)
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(Layer(width, heads, kernel) for _ in range(layers))
        self.apply(_initialise)
        bound = math.sqrt(1 / inputs)
        nn.init.uniform_(self.feature_projection.projection.weight, -bound, bound)
        nn.init.uniform_(self.feature_projection.projection.bias, -bound, bound)

    def forward(self, x: Tensor, run: Run | None = None, inner: dict[int, Tensor] | None = None) -> Tensor:
        """Features [B, N, width] of stacked spectra [B, N, inputs].

        run: works on two parts of the frames, which wait for each other twice a layer. The result is the same but for rounding.
        inner: its keys are numbers of layers before the last one, from 0; their outputs [B, N, width] are put in.
        """
        parts = [x] if run is None or x.shape[1] < _PARTED_FROM else list(x.tensor_split(2, 1))
        run, count, layers = run or in_turn, len(parts), list(self.encoder.layers)
        lengths = [part.shape[1] for part in parts]
        angles = list(zip(*(each.split(lengths) for each in rotary_angles(x.shape[1], self.head_width, x))))
        projected = run(lambda i: layers[0].project(self.feature_projection(parts[i]), angles[i]), count)
        for number, (layer, following) in enumerate(pairwise(layers)):
            result = layer.attended(projected, run)
            if inner is not None and number in inner:
                outputs = run(result, count)
                inner[number], result = torch.cat(outputs, 1), outputs.__getitem__
            # With the next layer's projection, for which no part needs another.
            projected = run(lambda i, result=result, following=following: following.project(result(i), angles[i]), count)
        return torch.cat(run(layers[-1].attended(projected, run), count), 1)


def _initialise(module: nn.Module) -> None:
    """Weights as transformers begins training with."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=_INITIAL_DEVIATION)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv1d):
        nn.init.kaiming_normal_(module.weight)
