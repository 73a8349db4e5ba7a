# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers that linear layers are computed with: bfloat16 on processors that multiply it natively, otherwise float32.

Only products of the denoiser and of the speech encoder are computed in bfloat16. Sums over layers, norms, the sampler's state and all
outputs stay float32. A take differs between the two by about a hundredth of a millimetre (`research/precision.py`).
"""

from __future__ import annotations

import os

import torch
import torch.nn.functional as F
from torch import nn, Tensor

from ..errors import BadRequest

FLOAT32, BFLOAT16 = "float32", "bfloat16"
VARIABLE = "THUNDER_PRECISION"  # environment variable with one of both, for machines of different kinds that shall make the same takes
_NATIVE = ("avx512_bf16", "amx_bf16")  # names of instruction sets that multiply bfloat16; others emulate it, which takes longer


class _Layer(nn.Module):
    """A layer whose weights `use_precision` may round.

    exact: the trained weights by their names, once they were rounded. They are what `state_dict` returns, so that a network is known by
    them (`train.lip_kernels.identity`) and can be written to a file in any precision.
    """

    exact: dict[str, Tensor] | None = None

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination.update({prefix + name: weight for name, weight in (self.exact or {}).items()})

    def round_to(self, precision: str) -> None:
        """Compute in a precision from now on."""
        trained = self.exact or {name: weight.detach() for name, weight in self.named_parameters(recurse=False)}
        self.to(getattr(torch, precision))
        self.exact = None if precision == FLOAT32 and self.exact is None else trained


class Linear(_Layer, nn.Linear):
    """A linear layer that is computed in the type of its weights, which its result has too."""

    def forward(self, x: Tensor) -> Tensor:
        """x [..., inputs] → [..., outputs]."""
        return F.linear(_as(self.weight, x), self.weight, self.bias)


class Pointwise(_Layer, nn.Conv1d):
    """A convolution of one frame, which is a linear layer, computed like `Linear`. Its weights have the shape of a convolution's."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., inputs] → [..., outputs]."""
        return F.linear(_as(self.weight, x), self.weight[..., 0])


def _as(weight: Tensor, x: Tensor) -> Tensor:
    """x in bfloat16 where a layer's weights are; training's automatic casts are left alone."""
    return x.to(weight.dtype) if weight.dtype == torch.bfloat16 else x


def multiplies_bfloat16() -> bool:
    """Whether this machine's processor is known to multiply bfloat16 natively."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return torch.backends.mkldnn.is_available() and any(capabilities.get(name) for name in _NATIVE)


def chosen_precision(device: str) -> str:
    """FLOAT32 or BFLOAT16: what the environment variable says, otherwise what suits the device. Raises BadRequest."""
    wanted = os.environ.get(VARIABLE, "")
    if wanted not in ("", FLOAT32, BFLOAT16):
        raise BadRequest(f"{VARIABLE} is “{wanted}”: set it to {FLOAT32} or {BFLOAT16}, or remove it")
    if device != "cpu":
        return FLOAT32
    return wanted or (BFLOAT16 if multiplies_bfloat16() else FLOAT32)


def use_precision(network: nn.Module, precision: str) -> None:
    """Compute every `Linear` and `Pointwise` of a network in a precision from now on; what is rounded stays so."""
    for layer in network.modules():
        if isinstance(layer, _Layer):
            layer.round_to(precision)
