# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps after sampling: their order, what no face does whatever was sampled, and what is said
of a frame."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from thunder_core.direction import AXES, Direction, MOODS, Style
from thunder_core.engine.diffusion import Inpainting
from thunder_core.engine.pipeline import Part, Pipeline
from thunder_core.engine.planning.take_plan import plan_take
from thunder_core.engine.speech.cues import Phrasing, prosody_of
from thunder_core.face.mechanics import bundled_articulators, Sounds
from thunder_core.steps import CONSTRAINT, explain, open_trace, REASONS, STEPS
from thunder_core.types import LARGEST_VALUE

FRAMES = 100
PIPELINE = Pipeline(bundled_articulators().names, bundled_articulators())
NAMES = PIPELINE.channels
COLUMN = {name: i for i, name in enumerate(NAMES)}
# Every step of a directed take in the order in which it runs.
ORDER = """keep in bounds, rest without speech, breathe, hold tongue, meet lips, show teeth and tongue,
turn jaw, tuck lip, unroll lip for tongue, set lips, put tongue out, make room for rolled lip, limit lip roll, limit tongue rate,
apply moods, make room for rolled lip, keep eyes in sockets, carry brows, rest lower face, keep fixed part"""


def phrased(frames: int = FRAMES) -> Phrasing:
    accents = np.array([15, 30, 60, 80])
    return Phrasing(frames, accents, np.array([0.5, 1.0, 0.3, 0.8]), np.array([[10, 45], [55, 95]]))


def voice_of(shut, s, f, th, present, listens=False):
    """A voice with these curves [FRAMES], as the pipeline reads it."""
    only = 1 - shut  # as `cues.sounds_of` has them: closed lips win
    sounds = Sounds(present.astype(float), s * only, f * only, th * only * (1 - s * only))
    return SimpleNamespace(
        sounds=sounds,
        shut=shut,
        presence=present.astype(np.float32),
        quiet=1 - present,
        accents=np.zeros(FRAMES),
        listens=listens,
        phrasing=phrased(),
    )


def bumps(rng, count: int, width: float = 2.5) -> np.ndarray:
    """A curve [FRAMES] 0 … 1 with some short bumps to 1, as sounds have them."""
    t, result = np.arange(FRAMES), np.zeros(FRAMES)
    for at in rng.uniform(5, FRAMES - 5, count):
        result = np.maximum(result, np.clip(2.2 - np.abs(t - at) / width * 1.2, 0, 1))
    return result


def style_of(rng) -> np.ndarray:
    """A direction at the ends of its sliders, in one mood at full strength."""
    ends = {axis.name: (axis.least, axis.most)[rng.integers(2)] for axis in AXES}
    return Direction(Style(**ends), list(MOODS)[rng.integers(len(MOODS))], 1.0).vector()[None]


def made(seed: int, listens: bool = False):
    """(sampled motion that no model would make, voice, part) by a seed."""
    rng = np.random.default_rng(seed)
    present = np.clip(1.5 - np.abs(np.arange(FRAMES) - 50) / 30, 0, 1)
    voice = voice_of(bumps(rng, 4), bumps(rng, 3), bumps(rng, 3), bumps(rng, 2), present, listens)
    noise = rng.standard_normal((FRAMES, PIPELINE.columns.count))
    sampled = (0.2 + 0.35 * noise).astype(np.float32)
    # Jaw, head and eyes of up to some 15 degrees that shake from frame to frame.
    sampled[:, len(NAMES) :] = 0.1 * np.sin(
        np.cumsum(noise[:, len(NAMES) :], axis=0)
    ) + 0.03 * noise[:, len(NAMES) :].clip(-2, 2)
    style = style_of(rng)
    heard = prosody_of(phrased(), np.zeros(FRAMES), np.zeros(2 * FRAMES, int))
    return sampled, voice, Part(style, plan_take(heard, phrased(), seed, 1.0, style, listens))


def test_a_take_passes_through_all_steps_in_this_order():
    sampled, voice, part = made(1)
    kept = Inpainting(np.zeros(sampled.shape, bool), sampled)
    with open_trace() as trace:
        PIPELINE.finish(sampled, voice, Part(part.style, part.plan, kept))
    ran = [change.step.name for change in trace.changes]
    assert [name for i, name in enumerate(ran) if i == 0 or ran[i - 1] != name] == ORDER.replace(
        "\n", " "
    ).split(", ")
    assert {each.name for each in STEPS.values()} == set(ran) and {
        each.reason for each in STEPS.values()
    } == set(REASONS)


def test_nothing_is_recorded_and_nothing_changes_without_a_trace():
    sampled, voice, part = made(2)
    before = sampled.copy()
    plain = PIPELINE.finish(sampled, voice, made(2)[2])
    with open_trace() as trace:
        recorded = PIPELINE.finish(sampled, voice, part)
    assert (
        np.array_equal(plain, recorded)
        and np.array_equal(sampled, before)
        and plain.dtype == np.float32
    )
    with open_trace() as empty:
        pass
    assert trace.changes and not empty.changes


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=strategies.integers(0, 10**6), listens=strategies.booleans())
def test_constraints_hold_whatever_was_sampled_and_directed(seed, listens):
    sampled, voice, part = made(seed, listens)
    result = PIPELINE.finish(sampled, voice, part)
    x, columns = result[:, : len(NAMES)], PIPELINE.columns
    jaw = result[:, columns.jaw]
    assert (
        np.isfinite(result).all()
        and x.min() >= 0
        and x.max() <= LARGEST_VALUE + 1e-6
        and jaw[:, 0].min() >= 0
    )
    roll, out = x[:, COLUMN["mouthRollLower"]], x[:, COLUMN["tongueOut"]]
    assert np.abs(out[roll > 0.45]).max(initial=0) < 0.01, (
        "a tongue does not come through a rolled lip"
    )
    assert np.abs(np.diff(x[:, COLUMN["tongueTipUp"]])).max() <= 0.35 + 1e-5
    assert np.abs(result[:, columns.eyes]).max() <= np.radians(24) + 1e-6


def test_lips_rest_where_nobody_speaks():
    silent = voice_of(*np.zeros((5, FRAMES)))
    result = PIPELINE.finish(made(3)[0], silent, Part())
    speaking = result[:, : len(NAMES)][:, PIPELINE.speaking]
    assert (speaking == 0).all() and (result[:, PIPELINE.columns.jaw] == 0).all()


def test_what_is_kept_stays_to_the_bit():
    sampled, voice, part = made(4)
    mask = np.zeros(sampled.shape, bool)
    mask[40:60] = True
    values = np.random.default_rng(0).random(sampled.shape).astype(np.float32)
    result = PIPELINE.finish(sampled, voice, Part(part.style, part.plan, Inpainting(mask, values)))
    assert np.array_equal(result[40:60], values[40:60]) and not np.array_equal(
        result[:40], values[:40]
    )


@pytest.fixture(scope="module")
def finished():
    """(sampled motion, voice, its trace, the take)."""
    sampled, voice, part = made(7)
    with open_trace() as trace:
        return sampled, voice, trace, PIPELINE.finish(sampled, voice, part)


def test_a_frame_is_explained_by_the_steps_that_changed_it(finished):
    sampled, voice, trace, _ = finished
    frame = int(np.argmax(voice.sounds.labiodental * (voice.presence == 1)))
    said = explain(trace, NAMES, frame)
    steps = {each["step"]: each for each in said["steps"]}
    assert said["seconds"] == frame / 25 and ["f or v", 1.0] in steps["tuck lip"]["causes"]
    assert steps["tuck lip"]["reason"] == CONSTRAINT != steps["apply moods"]["reason"]
    strongest = np.abs(sampled[frame, : len(NAMES)]).argmax()
    name, value = next(iter(said["sampled"].items()))
    assert name == NAMES[strongest]
    assert value == pytest.approx(float(sampled[frame, strongest]), abs=1e-3)


def test_the_steps_of_a_channel_lead_from_what_was_sampled_to_the_take(finished):
    sampled, _, trace, result = finished
    column = COLUMN["browInnerUp"]
    for frame in range(0, FRAMES, 7):
        value = float(sampled[frame, column])
        for each in explain(trace, NAMES, frame)["steps"]:
            before, after = each["changes"].get("browInnerUp", (value, value))
            # smaller changes are not told
            assert before == pytest.approx(value, abs=0.06), each["step"]
            value = after
        assert value == pytest.approx(float(result[frame, column]), abs=0.06)
