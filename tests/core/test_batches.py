# SPDX-License-Identifier: GPL-3.0-or-later
"""Portions and qualities of takes: the same takes by any number of threads and where memory does not hold
as many at once; which model samples them."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from thunder_core.direction import AXES, Direction, DIRECTION_NAMES, DirectionRequest
from thunder_core.engine import loaded as system
from thunder_core.engine.diffusion import Inpainting, sample, seeded_noise, solver_steps
from thunder_core.engine.performance import Performance
from thunder_core.errors import BadWeights, Cancelled, is_out_of_device_memory
from thunder_core.request import DRAFT, FINAL, NORMAL, Request
from thunder_core.types import RATE, Speech
from thunder_core.weight_files import DenoiserConfig, SHIPPED


@pytest.fixture(scope="module")
def speech(sample):
    return Speech(sample.samples[:67200])  # long enough for two threads to share a take


@contextlib.contextmanager
def threads(count):
    """So many threads that make takes for a while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("thunder_core.engine.generate.processors", lambda: count)
        yield


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("takes", [1, 5])
def test_takes_are_the_same_bit_for_bit_by_any_number_of_threads(engine, speech, count, takes):
    made, seen, asked = [], [], DirectionRequest(Direction().vector()[None])
    for number in (1, count):
        with threads(number):
            arrived = []
            engine.generate(
                speech,
                Request(takes, 3, direction=asked),
                on_take=arrived.append,
                progress=lambda fraction, message: seen.append((number, fraction)),
            )
            made.append(arrived)
    assert all([take.seed for take in some] == list(range(3, 3 + takes)) for some in made), (
        "takes arrive in the order of their seeds"
    )
    for one, other in zip(*made):
        for part in ("expression", "jaw", "head", "eyes"):
            assert np.array_equal(getattr(one.motion, part), getattr(other.motion, part)), part
        assert one.score.total == other.score.total and np.array_equal(
            one.score.per_frame, other.score.per_frame
        )
        assert one.provenance == other.provenance
    assert seen == sorted(seen) and all(0 <= fraction <= 1 for _, fraction in seen), (
        "progress never goes back"
    )


def test_moods_of_a_long_voice_are_the_same_one_after_another(engine, speech, monkeypatch):
    frames, perform, together = speech.frames, engine.thunder.perform, []

    def count_takes(voice, takes, *more):
        together.append(len(takes))
        return perform(voice, takes, *more)

    monkeypatch.setattr(engine.thunder, "perform", count_takes)
    vectors = np.zeros((frames, len(DIRECTION_NAMES)), np.float32)
    vectors[: frames // 2, len(AXES)] = 0.8
    vectors[frames // 2 :, len(AXES) + 1] = 0.8
    made = []
    for long in (frames, frames - 1):
        monkeypatch.setattr(system, "LONG", long)
        made += engine.generate(speech, Request(1, 3, direction=DirectionRequest(vectors)))
    assert together == [1, 2, 1, 1, 1]
    assert np.array_equal(made[0].motion.expression, made[1].motion.expression)
    assert np.array_equal(made[0].motion.head, made[1].motion.head)


def test_what_is_kept_of_a_take_that_arrived_stands_for_it_in_the_result(engine, speech):
    made = engine.generate(speech, Request(3, 3), on_take=lambda take: take.seed)
    assert sorted(made) == [3, 4, 5]


SMALL_COMPUTER = """
import os, resource, sys
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
resource.setrlimit(resource.RLIMIT_AS, (2 * 10**9,) * 2)
import numpy as np
from thunder_core.engine.engine import Engine
from thunder_core.request import Request
from thunder_core.types import Speech
takes = Engine.load(device="cpu").generate(Speech(np.load(sys.argv[1])), Request(8, 3))
np.save(sys.argv[1], [take.motion.expression for take in takes])
"""


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="cores and memory can be limited on Linux alone"
)
def test_one_core_and_two_gigabytes_are_enough_for_the_same_takes(engine, speech, tmp_path):
    file = tmp_path / "sound.npy"
    np.save(file, speech.samples)
    done = subprocess.run(
        [sys.executable, "-c", SMALL_COMPUTER, str(file)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    here = engine.generate(speech, Request(8, 3))
    assert np.array_equal(np.load(file), [take.motion.expression for take in here])


def test_a_request_that_is_cancelled_ends_in_every_thread(engine, speech, monkeypatch):
    def cancel(fraction, message):
        if fraction > 0.3:
            raise Cancelled("stop")

    at_work = []

    def noted(action, *given, **more):
        at_work.append(1)
        try:
            return action(*given, **more)
        finally:
            at_work.append(-1)

    for name in ("perform", "expect"):
        action = getattr(engine.thunder, name)
        monkeypatch.setattr(engine.thunder, name, partial(noted, action))
    with threads(2), pytest.raises(Cancelled, match="stop"):
        engine.generate(
            speech,
            Request(6, 1, direction=DirectionRequest(Direction().vector()[None])),
            progress=cancel,
        )
    assert at_work and not sum(at_work), "nothing is at work any more"


@pytest.mark.parametrize("count", [1, 2])
def test_an_error_of_one_take_ends_the_others(engine, speech, monkeypatch, count):
    perform = engine.thunder.perform

    def fail(voice, takes, *more):
        if takes[0].seed == 2:
            raise ValueError("broken")
        return perform(voice, takes, *more)

    monkeypatch.setattr(engine.thunder, "perform", fail)
    arrived = []
    with threads(count), pytest.raises(ValueError, match="broken"):
        engine.generate(speech, Request(8, 1), on_take=arrived.append)
    assert [take.seed for take in arrived] in ([], [1])


def test_what_cards_say_when_their_memory_is_full_is_known():
    assert is_out_of_device_memory(torch.OutOfMemoryError("x"))
    assert not is_out_of_device_memory(RuntimeError("shapes differ"))


@pytest.fixture(scope="module")
def takes(engine, sample):
    """Of 3 s, in the order of their seeds."""
    speech = Speech(sample.samples[: 3 * RATE])
    asked = DirectionRequest(Direction().vector()[None], 0.5)
    return {
        q: sorted(
            engine.generate(speech, Request(8, 1, quality=q, direction=asked)), key=lambda t: t.seed
        )
        for q in (DRAFT, NORMAL, FINAL)
    }


def test_plain_sampling_uses_the_distilled_model_whose_steps_may_end_at_any_noise(engine):
    thunder = engine.thunder
    few = thunder.distilled.config.steps
    for quality, can_use_distilled, is_distilled, count in (
        (DRAFT, True, True, 2), (NORMAL, True, True, few), (FINAL, True, False, 20),
        (few, True, False, few),
        (DRAFT, False, False, 3), (NORMAL, False, False, 10),
    ):  # fmt: skip
        model, steps = thunder.select_sampler(quality, can_use_distilled)
        assert model is (thunder.distilled if is_distilled else thunder.denoiser) and steps == count
    steps = solver_steps(4, 0.3)
    assert len(steps.times) == 4 and steps.noise[-2] == pytest.approx(0.3) and steps.noise[-1] == 0
    # A distribution that is one point is reached by any steps.
    point = np.full((2, 6, 3), 0.7, np.float32)
    assert np.allclose(sample(lambda x, step: point, seeded_noise([1, 2], 6, 3), steps), point)


@pytest.mark.parametrize("styled, guidance, is_kept, can_use_distilled", [
    (True, 1.0, False, True), (False, 1.0, False, False), (True, 1.5, False, False),
    (True, 1.0, True, False),
])  # fmt: skip
def test_the_distilled_model_samples_in_a_style_without_guidance_and_kept_parts(
    engine, sample, monkeypatch, styled, guidance, is_kept, can_use_distilled
):
    thunder, seen = engine.thunder, []

    def select(quality, plain):
        seen.append(plain)
        raise Cancelled("seen")

    monkeypatch.setattr(thunder, "select_sampler", select)
    voice = engine.analyse(Speech(sample.samples[:RATE]))
    style = Direction().vector()[None] if styled else None
    count = thunder.columns.count
    kept = (
        Inpainting(np.zeros((25, count), np.float32), np.zeros((25, count), bool))
        if is_kept
        else None
    )
    with pytest.raises(Cancelled):
        thunder.perform(voice, [Performance(1, style)], NORMAL, guidance, lambda done: None, kept)
    assert seen == [can_use_distilled]


@pytest.mark.parametrize("hear", [[0, 0, 0], [1, 1, 1], [0, 1, 0]])
def test_the_sound_is_given_once_where_all_takes_hear_the_same(hear):
    voices = [
        SimpleNamespace(ahead=np.full((5, 2), value), mouth=np.full((5, 6), value))
        for value in (0.0, 1.0)
    ]
    takes = [
        Performance(seed, voice=voices[which] if which else None) for seed, which in enumerate(hear)
    ]
    config = DenoiserConfig(motion=1, audio=2, style=len(DIRECTION_NAMES), mouth=6)
    given = system.Thunder._conditions(voices[0], takes, np.zeros((3, 5, 1)), config)
    for each in (given.audio, given.mouth):
        assert [part[0, 0] for part in each] == (hear if len(set(hear)) > 1 else hear[:1])
    deaf = system.Thunder._conditions(voices[0], takes, given.events, replace(config, mouth=0))
    assert "mouth" in given.part(0, 5) and "mouth" not in deaf.part(0, 5)


def test_a_part_of_a_voice_has_two_units_and_two_rows_of_phones_a_frame(engine, sample):
    voice = engine.analyse(Speech(sample.samples[: 4 * RATE]))
    part = voice.part(10, 40)
    assert part.frames == len(part.features) == 30
    for name in ("units", "logits"):
        assert np.array_equal(getattr(part, name), getattr(voice, name)[20:80]), name


def test_a_take_says_its_quality_and_is_about_the_same_at_each(takes, engine, sample):
    curves = {q: np.stack([take.opening for take in takes[q]]) for q in takes}

    def apart(some):
        return 1 - np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(some, curves[FINAL])])

    others = apart(np.roll(curves[FINAL], 1, 0))
    assert apart(curves[NORMAL]) < apart(curves[DRAFT]) < 0.6 * others
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
