# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluations of the denoiser on a graphics card as CUDA graphs: recorded once for each shape, then replayed without Python between layers.

Chosen by the environment variable THUNDER_GRAPHS=1, for it has been run on a stand-in for a card only. Where recording fails, the
denoiser is called as always.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import torch
from torch import Tensor

from ...errors import is_out_of_device_memory
from ...recent import Recent
from .denoiser import Conditions

VARIABLE = "THUNDER_GRAPHS"
_SHAPES = 3  # shapes whose graphs are kept: a request's portions, and the last one, which may be smaller
_WARMS = 2  # calls before recording, in which libraries choose their kernels

Estimate = Callable[[Tensor, Tensor, Conditions], Tensor]
Record = Callable[[Callable[[], Tensor]], tuple[Callable[[], None], Tensor]]


def wanted(device: str) -> bool:
    """Whether evaluations on a device are to be replayed."""
    return device.startswith("cuda") and os.environ.get(VARIABLE) == "1"


def record(work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """(replay, result) of work on a card: `replay()` does it again with what its inputs hold by then, and overwrites the result."""
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(_WARMS):
            work()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = work()
    return graph.replay, result


def _parts(x: Tensor, step: Tensor, known: Conditions) -> list[Tensor]:
    """All tensors that an evaluation reads, besides weights."""
    offset = [] if known.offset is None else [known.offset]
    return [x, step, known.bias, *offset, *(each for pair in known.audio for each in pair)]


class _Recorded:
    """An evaluation for inputs of certain shapes, and the places from which it reads them."""

    def __init__(self, estimate: Estimate, x: Tensor, step: Tensor, known: Conditions, record: Record):
        self._x, self._step = x.clone(), step.clone()
        audio = [(key.clone(), value.clone()) for key, value in known.audio]
        self._known = Conditions(None if known.offset is None else known.offset.clone(), audio, known.bias.clone())
        self._loaded: Conditions | None = known
        self._replay, self._result = record(lambda: estimate(self._x, self._step, self._known))

    def __call__(self, x: Tensor, step: Tensor, known: Conditions) -> Tensor:
        self._x.copy_(x)
        self._step.copy_(step)
        if known is not self._loaded:  # they are the same at every step
            for place, value in zip(_parts(x, step, self._known)[2:], _parts(x, step, known)[2:]):
                place.copy_(value)
            self._loaded = known
        self._replay()
        return self._result.clone()


class Replayed:
    """`Denoiser.estimate`, recorded and replayed."""

    def __init__(self, estimate: Estimate, record: Record = record):
        self._estimate, self._record = estimate, record
        self._kept: Recent[tuple, _Recorded] = Recent(_SHAPES)
        self._fails = False

    def __call__(self, x: Tensor, step: Tensor, known: Conditions) -> Tensor:
        """x̂_0 as `Denoiser.estimate`. Raises RuntimeError where the card's memory ends."""
        if self._fails:
            return self._estimate(x, step, known)
        shapes = tuple((part.shape, part.dtype) for part in _parts(x, step, known))
        if shapes not in self._kept:
            try:
                self._kept[shapes] = _Recorded(self._estimate, x, step, known, self._record)
            except RuntimeError as error:
                self._kept.clear()
                if is_out_of_device_memory(error):
                    raise  # fewer takes at once are tried
                print(f"CUDA graphs are not used: {error}", file=sys.stderr)
                self._fails = True
                return self._estimate(x, step, known)
        return self._kept[shapes](x, step, known)
