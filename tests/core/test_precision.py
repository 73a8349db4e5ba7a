# SPDX-License-Identifier: GPL-3.0-or-later
"""bfloat16 in the linear layers of encoder and denoiser: chosen where the processor has it, and the same takes to the eye."""

import numpy as np
import pytest
import torch
from torch import nn

from thunder_core.direction import Asked, Direction
from thunder_core.engine import precision
from thunder_core.engine.engine import Engine
from thunder_core.engine.precision import BFLOAT16, chosen_precision, FLOAT32, Linear, Pointwise, use_precision, VARIABLE
from thunder_core.errors import BadRequest
from thunder_core.request import Request
from thunder_core.train.lip_kernels import fitted_to, identity
from thunder_core.types import Speech


@pytest.fixture(scope="module")
def engines():
    return {name: Engine.load(device="cpu", precision=name) for name in (FLOAT32, BFLOAT16)}


def test_a_rounded_network_is_known_by_its_trained_weights(engines):
    """Otherwise the teacher would take its features for another encoder's, and follow phones alone."""
    assert identity(engines[BFLOAT16].thunder.encoder) == identity(engines[FLOAT32].thunder.encoder) == fitted_to()
    assert engines[BFLOAT16].thunder.encoder is not engines[FLOAT32].thunder.encoder


@pytest.mark.parametrize(
    "capabilities, expected",
    [
        ({"avx512_bf16": True}, BFLOAT16),
        ({"amx_bf16": True, "avx512_bf16": False}, BFLOAT16),
        ({"avx512_f": True, "avx512_bf16": False}, FLOAT32),
        ({}, FLOAT32),
    ],
)
def test_a_processor_that_is_not_known_to_multiply_bfloat16_uses_float32(monkeypatch, capabilities, expected):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert chosen_precision("cpu") == expected
    assert chosen_precision("cuda:0") == chosen_precision("mps") == FLOAT32
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert chosen_precision("cpu") == FLOAT32


def test_a_torch_that_does_not_know_its_processor_uses_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not precision.multiplies_bfloat16()


def test_the_environment_variable_decides_and_a_wrong_one_is_refused(monkeypatch):
    for name in (FLOAT32, BFLOAT16):
        monkeypatch.setenv(VARIABLE, name)
        assert chosen_precision("cpu") == name
    monkeypatch.setenv(VARIABLE, "half")
    with pytest.raises(BadRequest, match="THUNDER_PRECISION is “half”: set it to float32 or bfloat16"):
        Engine.load(device="cpu")


def test_in_float32_layers_are_torch_s_own_bit_for_bit_and_in_bfloat16_close():
    torch.manual_seed(0)
    x, plain, ours = torch.randn(2, 30, 16), nn.Linear(16, 24), Linear(16, 24)
    ours.load_state_dict(plain.state_dict())
    convolution, pointwise = nn.Conv1d(16, 24, 1, bias=False), Pointwise(16, 24)
    pointwise.load_state_dict(convolution.state_dict())
    with torch.no_grad():
        assert torch.equal(ours(x), plain(x))
        assert torch.allclose(pointwise(x), convolution(x.transpose(1, 2)).transpose(1, 2), atol=1e-6)
        for layer, reference in ((ours, plain(x)), (pointwise, pointwise(x))):
            use_precision(layer, BFLOAT16)
            result = layer(x)
            assert result.dtype == torch.bfloat16 and 0 < (result.float() - reference).abs().max() < 0.03


def test_only_products_are_in_bfloat16(engines):
    thunder = engines[BFLOAT16].thunder
    for network in (thunder.encoder, thunder.denoiser, thunder.distilled):
        kinds = {name: parameter.dtype for name, parameter in network.named_parameters()}
        assert {torch.float32, torch.bfloat16} == set(kinds.values())
        assert not [name for name, kind in kinds.items() if "norm" in name and kind == torch.bfloat16]
    for network in (engines[BFLOAT16].judge, engines[BFLOAT16].m2s, engines[FLOAT32].thunder.denoiser):
        assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_takes_of_both_precisions_look_alike_and_say_which_they_are(engines):
    t = np.arange(48000) / 16000
    speech = Speech((0.1 * np.sin(800 * t) * np.sin(9 * t)).astype(np.float32))
    takes = {name: engine.generate(speech, Request(2, 3, direction=Asked(Direction().vector()[None]))) for name, engine in engines.items()}
    for name, engine in engines.items():
        assert engine.info()["precision"] == name and {take.provenance["precision"] for take in takes[name]} == {name}
    for one, other in zip(*takes.values()):
        assert one.seed == other.seed and one.motion.expression.dtype == other.motion.expression.dtype == np.float32
        apart = np.abs(one.opening - other.opening)
        assert 0 < apart.mean() < 0.05 and apart.max() < 0.5, "mm"
