# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions that run as TorchScript give the numbers that Python gives, on any thread, and run without it where it is missing."""

import threading
import warnings

import pytest
import torch

from thunder_core.engine.cards import SHIPPED
from thunder_core.engine.diffusion import finished
from thunder_core.engine.diffusion.denoiser import load_denoiser
from thunder_core.engine.precision import BFLOAT16, FLOAT32, use_precision
from thunder_core.engine.scripted import scripted


def twice_or_more(x: torch.Tensor, times: int) -> torch.Tensor:
    y = torch.zeros_like(x)
    for _ in range(times):
        y += x
    return y


def test_it_is_compiled_once_and_only_where_no_gradients_are_kept(monkeypatch):
    compiled, original = [], torch.jit.script
    monkeypatch.setattr(torch.jit, "script", lambda function: compiled.append(function) or original(function))
    function, x = scripted(twice_or_more), torch.ones(3, requires_grad=True)
    function(x, 3).sum().backward()
    assert torch.equal(x.grad, torch.full((3,), 3.0)) and not compiled
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [float(function(x, times).sum()) for times in (2, 5)] == [6, 15]
    assert compiled == [twice_or_more]


def test_a_torch_without_torchscript_runs_the_function_itself(monkeypatch, caplog):
    def missing(function):
        raise RuntimeError("there is no TorchScript any more")

    monkeypatch.setattr(torch.jit, "script", missing)
    function = scripted(twice_or_more)
    with torch.no_grad():
        assert [float(function(torch.ones(3), times).sum()) for times in (2, 5)] == [6, 15]
    assert len(caplog.records) == 1 and "without TorchScript" in caplog.text


@pytest.mark.parametrize("precision", [FLOAT32, BFLOAT16])
def test_an_evaluation_of_the_shipped_denoiser_is_bit_for_bit_that_of_python_and_of_its_modules_on_every_thread(precision):
    network = load_denoiser(SHIPPED)
    use_precision(network, precision)
    torch.manual_seed(0)
    x, audio = (torch.randn(2, 37, width) for width in (network.config.motion, network.config.audio))
    results = []

    def evaluate():
        with torch.no_grad():
            results.append(network(x, torch.tensor([400]), audio))

    evaluate()
    network.finish()
    for _ in range(3):
        thread = threading.Thread(target=evaluate)
        thread.start()
        thread.join()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finished, "_run", finished._run.__wrapped__)
        evaluate()
    modules, *others = results
    assert torch.allclose(modules, others[0], atol=1e-4 if precision == FLOAT32 else 0.02)
    assert all(torch.equal(each, others[0]) for each in others)
