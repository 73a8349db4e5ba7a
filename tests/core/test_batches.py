# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a graphics card's memory does not hold a portion of takes, fewer are sampled at once; the takes are the same."""

import numpy as np
import pytest
import torch

from thunder_core.engine.batches import in_portions
from thunder_core.engine.engine import Engine
from thunder_core.errors import is_out_of_device_memory
from thunder_core.types import Speech


def work_with_space_for(most, tried):
    """Work that fails as torch does where more than `most` takes are asked for at once."""

    def work(seeds):
        tried.append(len(seeds))
        if len(seeds) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return [10 * seed for seed in seeds]

    return work


@pytest.mark.parametrize("most, tried", [(16, [16, 16]), (8, [16, 8, 8, 8, 8]), (3, [16, 8, 4, *[2] * 16])])
def test_portions_are_halved_until_they_fit_and_stay_so(most, tried):
    seen, given_back = [], []
    portions = [list(range(16)), list(range(16, 32))]
    done = list(in_portions(portions, work_with_space_for(most, seen), lambda: given_back.append(1)))
    assert seen == tried and len(given_back) == len([count for count in tried if count > most])
    assert [seed for seeds, _ in done for seed in seeds] == list(range(32))
    assert [value for _, values in done for value in values] == [10 * seed for seed in range(32)]


def test_a_take_that_does_not_fit_alone_and_other_errors_are_raised():
    with pytest.raises(torch.OutOfMemoryError):
        list(in_portions([[1, 2]], work_with_space_for(0, []), lambda: None))

    def broken(seeds):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes"):
        list(in_portions([[1, 2]], broken, lambda: None))
    assert is_out_of_device_memory(torch.OutOfMemoryError("x")) and not is_out_of_device_memory(RuntimeError("shapes differ"))


def test_an_engine_whose_denoiser_runs_out_of_memory_once_gives_the_same_takes(monkeypatch):
    engine = Engine.load(device="cpu")
    speech = Speech((0.1 * np.sin(np.arange(16000) * 0.08)).astype(np.float32))
    usual = engine.generate(speech, 4, 1, steps=2)
    sizes, estimate = [], engine.thunder.denoiser.estimate

    def fail_once(x, *rest):
        sizes.append(len(x))
        if len(sizes) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return estimate(x, *rest)

    monkeypatch.setattr(engine.thunder.denoiser, "estimate", fail_once)
    arrived = []
    takes = engine.generate(speech, 4, 1, steps=2, arrived=lambda take: arrived.append(take.seed))
    assert sizes[0] == 4 and set(sizes[1:]) <= {1, 2} and 2 in sizes
    assert arrived == [1, 2, 3, 4] and [take.seed for take in takes] == [take.seed for take in usual]
    assert all(np.array_equal(a.motion.expression, b.motion.expression) for a, b in zip(takes, usual))
