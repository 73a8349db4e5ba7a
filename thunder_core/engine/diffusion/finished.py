# SPDX-License-Identifier: GPL-3.0-or-later
"""The decoder layers of a denoiser whose weights do not change any more, as takes are sampled: without gradients, sums made in place.

The numbers are those of the modules. But Python finds a module's parts, and torch what is to be done around its call, in a tenth of the
time of an evaluation, so that here all weights are known by their places, what every layer does to the same input is one product, and
all of it is one function that does without Python (`scripted`).
"""

# No `from __future__ import annotations`: TorchScript does not read named tuples behind it.
import math
from collections.abc import Sequence
from typing import NamedTuple, TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn, Tensor

from ..attention import attention
from ..scripted import scripted

if TYPE_CHECKING:
    from .denoiser import DecoderLayer

Read = tuple[Tensor, Tensor]  # key and value [B, T, heads, width / heads] that a cross-attention has of each row of a source


def self_attended(qkv: Tensor, heads: int, bias: Tensor) -> Tensor:
    """Attention [B, T, width] of all frames to all, from their queries, keys and values [B, T, 3 · width] and a bias [heads, T, T]."""
    batch, frames, width = qkv.shape
    parts = qkv.view(batch, frames, 3, heads, width // (3 * heads)).permute(2, 0, 3, 1, 4)
    return attention(parts[0], parts[1], parts[2], bias).transpose(1, 2).flatten(2)


def cross_attended(query: Tensor, audio: tuple[Tensor, Tensor], step: tuple[Tensor, Tensor]) -> Tensor:
    """Attention [B, T, width] of queries [B, T, heads, width / heads] to two keys: of their own frame's audio and of the step."""
    logit = (query * (audio[0] - step[0])).sum(-1)
    # More frames, until a take's logits fill whole vectors: the CPU rounds the sigmoid of what is left over behind the last one
    # differently, and a take would depend on how many takes are sampled with it.
    vectors = 64  # numbers that processors take at once at most: two vectors of 32 in bfloat16, of 16 in float32
    frames, whole = logit.shape[1], vectors // math.gcd(vectors, logit.shape[2])
    share = F.pad(logit, [0, 0, 0, (whole - frames % whole) % whole]).sigmoid()[:, :frames, :, None].to(query.dtype)
    return torch.lerp(step[1].expand_as(query), audio[1].expand_as(query), share.expand_as(query)).flatten(-2)


class _Product(NamedTuple):
    """A linear layer: weight [inputs, outputs], bias [outputs]."""

    weight: Tensor
    bias: Tensor


class _Norm(NamedTuple):
    """A layer norm: weight and bias [width]."""

    weight: Tensor
    bias: Tensor
    eps: float


class _Layer(NamedTuple):
    norms: list[_Norm]
    qkv: _Product
    attended: _Product
    query: _Product
    heard: _Product
    widen: _Product
    narrow: _Product


def _of_rows(product: _Product, rows: Tensor) -> Tensor:
    """rows [N, inputs] → [N, outputs], in the numbers of the weights."""
    return torch.addmm(product.bias, rows.to(product.weight.dtype), product.weight)


def _normalised(norm: _Norm, rows: Tensor) -> Tensor:
    """rows [N, width] → [N, width]."""
    return torch.layer_norm(rows, norm.weight.shape, norm.weight, norm.bias, norm.eps)


def _add_product(total: Tensor, product: _Product, rows: Tensor) -> None:
    """Add the product of rows [N, inputs] to a total [N, outputs] in place."""
    if total.dtype == product.weight.dtype:
        total.add_(product.bias).addmm_(rows, product.weight)
    else:
        total.add_(_of_rows(product, rows))


@scripted
def _run(
    y: Tensor, layers: list[_Layer], audio: list[tuple[Tensor, Tensor]], step: list[tuple[Tensor, Tensor]], bias: Tensor, heads: int
) -> Tensor:  # fmt: skip
    """y [B, T, width], which becomes the result of all layers."""
    batch, frames, width = y.shape
    rows = y.view(-1, width)  # of the same memory
    for layer, sound, token in zip(layers, audio, step):
        qkv = _of_rows(layer.qkv, _normalised(layer.norms[0], rows)).view(batch, frames, -1)
        _add_product(rows, layer.attended, self_attended(qkv, heads, bias).view(-1, width))
        query = _of_rows(layer.query, _normalised(layer.norms[1], rows)).view(batch, frames, heads, -1)
        _add_product(rows, layer.heard, cross_attended(query, sound, token).view(-1, width))
        _add_product(rows, layer.narrow, torch.ops.aten.gelu_(_of_rows(layer.widen, _normalised(layer.norms[2], rows))))
    return y


class FinishedLayers:
    """All layers of a finished denoiser."""

    def __init__(self, layers: "Sequence[DecoderLayer]"):
        self._layers = [_layer_of(layer) for layer in layers]
        self._heads = layers[0].cross_attention.heads
        read = [_product_of(layer.cross_attention.kv) for layer in layers]
        self._read = _Product(torch.cat([each.weight.t() for each in read]).t(), torch.cat([each.bias for each in read]))

    def read(self, source: Tensor) -> list[Read]:
        """Key and value that every layer's cross-attention has of a source [B, T, width]."""
        both = _of_rows(self._read, source.flatten(0, 1)).view(*source.shape[:2], len(self._layers), 2, self._heads, -1)
        keys, values = both.permute(3, 2, 0, 1, 4, 5).contiguous()  # each in one piece, for they are read at every step
        keys /= math.sqrt(keys.shape[-1])
        return list(zip(keys, values))

    def __call__(self, y: Tensor, audio: list[Read], step: list[Read], bias: Tensor) -> Tensor:
        """y [B, T, width], which becomes the result; key and value of audio and of step for every layer; bias [heads, T, T]."""
        run = _run if y.device.type == "cpu" else _run.__wrapped__  # a graphics card has never run it as TorchScript
        return run(y, self._layers, audio, step, bias, self._heads)


def _product_of(layer: nn.Linear) -> _Product:
    return _Product(layer.weight.detach().t(), layer.bias.detach())


def _layer_of(layer: "DecoderLayer") -> _Layer:
    own, cross, perceptron = layer.self_attention, layer.cross_attention, layer.feedforward
    products = (own.qkv, own.out, cross.q, cross.out, perceptron[0], perceptron[-1])
    return _Layer([_Norm(norm.weight.detach(), norm.bias.detach(), norm.eps) for norm in layer.norms], *map(_product_of, products))
