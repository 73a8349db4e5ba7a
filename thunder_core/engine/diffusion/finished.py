# SPDX-License-Identifier: GPL-3.0-or-later
"""The decoder layers of a denoiser whose weights do not change any more, as takes are sampled: without gradients, sums made in place.

The numbers are those of the modules. But Python finds a module's parts, and torch what is to be done around its call, in a tenth of the
time of an evaluation, so that here all weights are known by their places, and what every layer does to the same input is one product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn, Tensor

from ..attention import attention

if TYPE_CHECKING:
    from .denoiser import DecoderLayer

_VECTORS = 64  # numbers that processors take at once at most: two vectors of 32 in bfloat16, of 16 in float32

Read = tuple[Tensor, Tensor]  # key and value [B, T, heads, width / heads] that a cross-attention has of each row of a source


def self_attended(qkv: Tensor, heads: int, bias: Tensor) -> Tensor:
    """Attention [B, T, width] of all frames to all, from their queries, keys and values [B, T, 3 · width] and a bias [heads, T, T]."""
    batch, frames, width = qkv.shape
    q, k, v = qkv.view(batch, frames, 3, heads, width // (3 * heads)).permute(2, 0, 3, 1, 4)
    return attention(q, k, v, bias).transpose(1, 2).flatten(2)


def cross_attended(query: Tensor, audio: Read, step: Read) -> Tensor:
    """Attention [B, T, width] of queries [B, T, heads, width / heads] to two keys: of their own frame's audio and of the step."""
    logit = (query * (audio[0] - step[0])).sum(-1)
    # More frames, until a take's logits fill whole vectors: the CPU rounds the sigmoid of what is left over behind the last one
    # differently, and a take would depend on how many takes are sampled with it.
    frames, whole = logit.shape[1], _VECTORS // math.gcd(_VECTORS, logit.shape[2])
    share = F.pad(logit, (0, 0, 0, -frames % whole)).sigmoid()[:, :frames, :, None].to(query.dtype)
    return torch.lerp(step[1].expand_as(query), audio[1].expand_as(query), share.expand_as(query)).flatten(-2)


class _Product(NamedTuple):
    """A linear layer: weight [inputs, outputs], bias [outputs]."""

    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, layer: nn.Linear) -> _Product:
        return cls(layer.weight.detach().t(), layer.bias.detach())

    def of_rows(self, rows: Tensor) -> Tensor:
        """rows [N, inputs] → [N, outputs], in the numbers of the weights."""
        return torch.addmm(self.bias, rows.to(self.weight.dtype), self.weight)

    def add_to(self, total: Tensor, rows: Tensor) -> None:
        """Add the product of rows [N, inputs] to a total [N, outputs] in place."""
        if total.dtype == self.weight.dtype:
            total.add_(self.bias).addmm_(rows, self.weight)
        else:
            total.add_(self.of_rows(rows))


class _Norm(NamedTuple):
    """A layer norm: weight and bias [width]."""

    weight: Tensor
    bias: Tensor
    eps: float

    @classmethod
    def of(cls, norm: nn.LayerNorm) -> _Norm:
        return cls(norm.weight.detach(), norm.bias.detach(), norm.eps)

    def of_rows(self, rows: Tensor) -> Tensor:
        """rows [N, width] → [N, width]."""
        return torch.layer_norm(rows, self.weight.shape, self.weight, self.bias, self.eps)


class _Layer(NamedTuple):
    norms: tuple[_Norm, ...]
    qkv: _Product
    attended: _Product
    query: _Product
    heard: _Product
    widen: _Product
    narrow: _Product

    @classmethod
    def of(cls, layer: DecoderLayer) -> _Layer:
        own, cross, perceptron = layer.self_attention, layer.cross_attention, layer.feedforward
        products = (own.qkv, own.out, cross.q, cross.out, perceptron[0], perceptron[-1])
        return cls(tuple(map(_Norm.of, layer.norms)), *map(_Product.of, products))


class FinishedLayers:
    """All layers of a finished denoiser."""

    def __init__(self, layers: Sequence[DecoderLayer]):
        self._layers = [_Layer.of(layer) for layer in layers]
        self._heads = layers[0].cross_attention.heads
        read = [_Product.of(layer.cross_attention.kv) for layer in layers]
        self._read = _Product(torch.cat([each.weight.t() for each in read]).t(), torch.cat([each.bias for each in read]))

    def read(self, source: Tensor) -> list[Read]:
        """Key and value that every layer's cross-attention has of a source [B, T, width]."""
        both = self._read.of_rows(source.flatten(0, 1)).view(*source.shape[:2], len(self._layers), 2, self._heads, -1)
        keys, values = both.permute(3, 2, 0, 1, 4, 5).contiguous()  # each in one piece, for they are read at every step
        keys /= math.sqrt(keys.shape[-1])
        return list(zip(keys, values))

    def __call__(self, y: Tensor, audio: Sequence[Read], step: Sequence[Read], bias: Tensor) -> Tensor:
        """y [B, T, width], which becomes the result; key and value of audio and of step for every layer; bias [heads, T, T]."""
        batch, frames, width = y.shape
        rows = y.view(-1, width)  # of the same memory
        for layer, sound, token in zip(self._layers, audio, step):
            before, between, behind = layer.norms
            qkv = layer.qkv.of_rows(before.of_rows(rows)).view(batch, frames, -1)
            layer.attended.add_to(rows, self_attended(qkv, self._heads, bias).view(-1, width))
            query = layer.query.of_rows(between.of_rows(rows)).view(batch, frames, self._heads, -1)
            layer.heard.add_to(rows, cross_attended(query, sound, token).view(-1, width))
            layer.narrow.add_to(rows, torch.ops.aten.gelu_(layer.widen.of_rows(behind.of_rows(rows))))
        return y
