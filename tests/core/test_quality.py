# SPDX-License-Identifier: GPL-3.0-or-later
"""Draft, normal and final: which model samples, that the same seed stays the same take, and
distilled weights that do not fit."""

import json
import shutil

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from thunder_core.direction import Brief, Direction
from thunder_core.engine.diffusion import sample, seeded_noise, solver_steps
from thunder_core.engine.network import SHIPPED
from thunder_core.engine.systems import thunder as system
from thunder_core.errors import BadWeights
from thunder_core.request import DRAFT, FINAL, NORMAL, Request
from thunder_core.types import RATE, Speech


@pytest.fixture(scope="module")
def takes(engine, sample):
    """Of 3 s, in the order of their seeds."""
    speech = Speech(sample.samples[: 3 * RATE])
    asked = Brief(Direction().vector()[None], 0.5)
    return {
        q: sorted(
            engine.generate(speech, Request(8, 1, quality=q, direction=asked)), key=lambda t: t.seed
        )
        for q in (DRAFT, NORMAL, FINAL)
    }


def test_plain_sampling_below_final_quality_uses_the_distilled_model(engine):
    thunder = engine.thunder
    few = thunder.distilled.config.steps
    for effort, is_plain, is_distilled, count in (
        (DRAFT, True, True, 2), (NORMAL, True, True, few), (FINAL, True, False, 20),
        (few, True, False, few),
        (DRAFT, False, False, 3), (NORMAL, False, False, 10),
    ):  # fmt: skip
        model, steps = thunder.select_sampler(effort, is_plain)
        assert (
            model is (thunder.distilled if is_distilled else thunder.denoiser)
            and len(steps.times) == count
        )


def test_the_same_seed_gives_about_the_same_take_at_each_quality(takes):
    curves = {q: np.stack([take.opening for take in takes[q]]) for q in takes}

    def apart(some):
        return 1 - np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(some, curves[FINAL])])

    others = apart(np.roll(curves[FINAL], 1, 0))
    assert apart(curves[NORMAL]) < apart(curves[DRAFT]) < 0.6 * others


def test_a_take_says_at_which_quality_it_was_sampled(engine, sample, takes):
    assert all(
        take.provenance["quality"] == q and "steps" not in take.provenance
        for q in takes
        for take in takes[q]
    )
    (take,) = engine.generate(Speech(sample.samples[:RATE]), Request(1, 1, steps=2))
    assert take.provenance["steps"] == 2 and "quality" not in take.provenance


@pytest.fixture
def folder(tmp_path):
    """The two diffusion models of the distributed weights."""
    for path in (*SHIPPED.glob("distilled.*"), *SHIPPED.glob("denoiser.*")):
        shutil.copy(path, tmp_path)
    return tmp_path


def test_what_was_distilled_from_another_model_is_left_aside(engine, folder):
    whole = engine.thunder.denoiser
    assert system._load_distilled(folder, "cpu", whole) is not None
    tensors = load_file(folder / "denoiser.safetensors")
    tensors["motion_out.bias"] = tensors["motion_out.bias"] + 1e-3
    save_file(tensors, folder / "denoiser.safetensors")
    assert system._load_distilled(folder, "cpu", whole) is None
    (folder / "distilled.json").unlink()
    assert system._load_distilled(folder, "cpu", whole) is None


@pytest.mark.parametrize("changed", [{"steps": 0}, {"events": 0}])
def test_distilled_weights_with_a_configuration_that_does_not_fit_are_refused(
    engine, folder, changed
):
    card = json.loads((folder / "distilled.json").read_text())
    card["config"] |= changed
    (folder / "distilled.json").write_text(json.dumps(card))
    with pytest.raises(BadWeights, match="distilled.json.*does not fit"):
        system._load_distilled(folder, "cpu", engine.thunder.denoiser)


def test_steps_may_end_at_a_noise_of_ones_choice():
    steps = solver_steps(4, 0.3)
    assert len(steps.times) == 4 and steps.noise[-2] == pytest.approx(0.3) and steps.noise[-1] == 0
    # A distribution that is one point is reached by any steps.
    point = np.full((2, 6, 3), 0.7, np.float32)
    assert np.allclose(sample(lambda x, step: point, seeded_noise([1, 2], 6, 3), steps), point)
