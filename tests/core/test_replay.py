# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluations that are recorded and replayed, with a stand-in for a graphics card's recording: it reads and writes fixed places."""

import pytest
import torch

from thunder_core.engine.diffusion.denoiser import Denoiser, DenoiserConfig
from thunder_core.engine.diffusion.replay import Replayed, VARIABLE, wanted


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Denoiser(DenoiserConfig(motion=6, audio=5, style=3, width=16, layers=2, heads=2, feedforward=32)).eval()


def recorder(made):
    """As `replay.record`: the work goes on from where its inputs lie, and to where its result lies."""

    def record(work):
        result = work()
        made.append(result.shape)
        return lambda: result.copy_(work()), result

    return record


@torch.no_grad()
def test_replayed_evaluations_are_those_of_the_denoiser(model):
    made = []
    replayed = Replayed(model.estimate, recorder(made))
    results = []
    for takes, frames in ((2, 9), (3, 9), (2, 9)):
        known = model.conditions(torch.randn(1, frames, 5), frames, style=torch.randn(takes, 1, 3))
        for step in (900, 300):
            x, at = torch.randn(takes, frames, 6), torch.tensor([step])
            results.append((replayed(x, at, known), model.estimate(x, at, known)))
    assert all(torch.equal(one, other) for one, other in results), "earlier results are not overwritten by later ones"
    assert made == [(2, 9, 6), (3, 9, 6)], "each shape is recorded once"


@torch.no_grad()
def test_where_recording_fails_the_denoiser_is_called(model, capsys):
    tried = []

    def broken(work):
        tried.append(1)
        raise RuntimeError("operation not permitted when stream is capturing")

    replayed, known = Replayed(model.estimate, broken), model.conditions(torch.randn(1, 9, 5), 9)
    x, step = torch.randn(2, 9, 6), torch.tensor([300])
    for _ in range(2):
        assert torch.equal(replayed(x, step, known), model.estimate(x, step, known))
    assert len(tried) == 1 and capsys.readouterr().err.count("CUDA graphs are not used") == 1


@torch.no_grad()
def test_memory_that_ends_while_recording_is_left_to_the_caller_who_asks_for_fewer(model):
    made = []

    def record(work):
        if len(work()) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return recorder(made)(work)

    replayed, step = Replayed(model.estimate, record), torch.tensor([300])
    known = model.conditions(torch.randn(1, 9, 5), 9)
    with pytest.raises(torch.OutOfMemoryError):
        replayed(torch.randn(2, 9, 6), step, known)
    assert replayed(torch.randn(1, 9, 6), step, known).shape == (1, 9, 6) and made


def test_one_variable_chooses_it_on_graphics_cards_alone(monkeypatch):
    assert not wanted("cuda:0")
    monkeypatch.setenv(VARIABLE, "1")
    assert wanted("cuda:0") and not wanted("cpu") and not wanted("mps")
