# SPDX-License-Identifier: GPL-3.0-or-later
"""*As Heard*: what is heard follows the voice and not its gain, and takes follow what is heard
where they are asked to, or are free to."""

import numpy as np
import pytest

from research.heard_arousal import analyse, change_voice, CHANGES
from thunder_core.direction import AS_HEARD, AXES, Brief, Direction, DIRECTION_NAMES, Style
from thunder_core.engine import arguments
from thunder_core.engine.readings import follow_voice, reading
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.cues import axis_deviations, Heard, read_arousal
from thunder_core.engine.speech.encoder import SpeechEncoder
from thunder_core.engine.weights import SHIPPED
from thunder_core.errors import BadRequest
from thunder_core.request import direction_arguments, DRAFT, Request
from thunder_core.shipped import SAMPLE
from thunder_core.types import RATE, Speech

USUAL = Direction().vector()[None]
LIVELY = axis_deviations(Heard(2.0, 2.0, 2.0))
SLIDERS = [DIRECTION_NAMES.index(name) for name in ("energy", "brows", "head")]
OTHERS = np.delete(np.arange(len(DIRECTION_NAMES)), SLIDERS)


@pytest.fixture(scope="module")
def hear():
    encoder = SpeechEncoder.load(SHIPPED)
    return lambda samples: read_arousal(*analyse(encoder, samples))


@pytest.fixture(scope="module")
def voice():
    return read_sound(SAMPLE)


# ---- what is heard


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_the_voice_moves_its_own_value_the_right_way(name, hear, voice):
    how, field, side = CHANGES[name]
    before, after = (
        getattr(hear(samples), field)
        for samples in (voice.samples, change_voice(voice.samples, **how))
    )
    assert side * (after - before) > 0.1


@pytest.mark.parametrize("gain", [0.01, 0.3, 3.0])
def test_the_level_of_a_recording_does_not_count(gain, hear, voice):
    assert np.allclose(hear(voice.samples), hear(gain * voice.samples), atol=0.02)


@pytest.mark.parametrize("samples", [
    np.zeros(0, np.float32), np.zeros(2 * RATE, np.float32), np.ones(1, np.float32),
    np.random.default_rng(1).normal(0, 0.1, 3 * RATE).astype(np.float32),
], ids=["no samples", "silence", "one sample", "noise"])  # fmt: skip
def test_a_sound_without_speech_says_nothing(samples, hear):
    assert np.abs(hear(samples)).max() == 0


def test_what_is_usual_stays_usual_and_nothing_goes_far():
    assert not axis_deviations(Heard()).any()
    assert np.abs(axis_deviations(Heard(0.5, -0.5, 0.5))).max() < 0.1
    most = axis_deviations(Heard(2.5, 2.5, 2.5))
    assert 1.5 < most[most != 0].min() and most.max() < 2.1
    assert np.array_equal(axis_deviations(Heard(-2.5, -2.5, -2.5)), -most)
    assert {axis.name for axis, by in zip(AXES, most) if by} == {"energy", "brows", "head"}


# ---- takes that are asked to follow it


def test_a_direction_as_heard_moves_three_sliders_by_its_strength():
    asked = Brief.of(Direction(Style(smile=0.3), AS_HEARD, 0.6))
    style = follow_voice(asked, LIVELY, 50).vectors
    assert np.allclose((style - asked.vectors)[0, : len(AXES)], 0.6 * LIVELY, atol=1e-6)
    assert np.array_equal(style[:, OTHERS], asked.vectors[:, OTHERS])


def test_a_direction_as_heard_stays_within_the_sliders():
    style = follow_voice(
        Brief.of(Direction(Style(energy=1.95, head=2.5), AS_HEARD, 1.0)), LIVELY, 50
    ).vectors[0]
    assert all(by <= axis.deviations(axis.most) + 1e-4 for axis, by in zip(AXES, style))


def test_a_direction_may_follow_the_voice_in_a_part_of_its_line():
    asked = Brief(USUAL, as_heard=np.repeat([0.0, 1.0], [30, 20]).astype(np.float32))
    style = follow_voice(asked, LIVELY, 60).vectors
    assert style.shape == (60, len(DIRECTION_NAMES)), "held to the end of the sound"
    assert not style[:30].any() and np.allclose(style[30:, : len(AXES)], LIVELY, atol=1e-6)
    assert asked.from_frame(30).as_heard.tolist() == [1.0] * 20


def test_without_as_heard_a_request_is_itself():
    asked = Brief.of(Direction(mood="warm", strength=0.6))
    assert follow_voice(asked, LIVELY, 50) is asked


def test_a_request_as_heard_travels_to_the_engine(tmp_path):
    def put(values):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.npy"
        np.save(path, values)
        return str(path)

    asked = Brief(USUAL, as_heard=np.array([0.2, 0.7], np.float32))
    assert np.array_equal(
        arguments.read_brief(direction_arguments(asked, put)).as_heard, asked.as_heard
    )
    assert "as_heard" not in direction_arguments(Brief(), put)
    for wrong in ([1.5], [-0.1], [np.nan], [[0.5]], []):
        with pytest.raises(BadRequest, match="from 0 to 1"):
            arguments.read_brief({"direction": put(USUAL), "as_heard": put(np.array(wrong))})


# ---- takes that are free to


def test_every_other_reading_of_no_mood_follows_the_voice_by_half_at_the_usual_spread():
    free, led = (
        np.concatenate([reading(USUAL, seed, 0.5, heard) for seed in range(64)])
        for heard in (None, 0.5 * LIVELY)
    )
    by, in_a_mood = led - free, (free[:, len(AXES) :] > 0).any(1)
    assert 0.4 < in_a_mood.mean() < 0.6 and not by[in_a_mood].any(), (
        "no take is given a mood and the voice"
    )
    within = np.abs(free[~in_a_mood][:, SLIDERS]) < 1
    assert np.allclose(
        by[~in_a_mood][:, SLIDERS][within],
        np.broadcast_to(0.25 * LIVELY[SLIDERS], within.shape)[within],
        atol=1e-5,
    )
    assert not by[:, OTHERS].any()


def test_no_reading_of_a_mood_and_none_without_spread_follows_the_voice():
    warm = Direction(mood="warm", strength=0.6).vector()[None]
    assert all(
        np.array_equal(reading(warm, seed, 0.5, LIVELY), reading(warm, seed, 0.5))
        for seed in range(16)
    )
    assert all(np.array_equal(reading(USUAL, seed, 0.0, LIVELY), USUAL) for seed in range(16))


# ---- the engine


@pytest.fixture(scope="module")
def raised(voice):
    """The sample, said faster, louder and with more intonation."""
    return Speech(change_voice(voice.samples, wider=1.8, faster=1.25, louder=10.0, rises=6.0), RATE)


def test_a_take_as_heard_moves_more_for_a_lively_voice_and_says_what_was_heard(engine, raised):
    asked = Brief.of(Direction(mood=AS_HEARD, strength=1.0), 0.0)
    (take,), (plain,) = (
        engine.generate(raised, Request(1, 3, DRAFT, direction=each))
        for each in (asked, Brief(USUAL, 0.0))
    )
    assert (
        take.provenance["voice_sounds"]
        == plain.provenance["voice_sounds"]
        == pytest.approx(engine.analyse(raised).heard, abs=1e-3)
    )
    by = np.subtract(take.provenance["reading"], plain.provenance["reading"])[: len(AXES)]
    assert by == pytest.approx(axis_deviations(engine.analyse(raised).heard), abs=1e-3)
    assert (
        take.provenance["requested"] == take.provenance["reading"]
        and "requested" not in plain.provenance
    )
    assert take.opening.mean() > plain.opening.mean()
    assert engine.score(raised, take.motion, asked, 3).total == pytest.approx(
        take.score.total, abs=0.05
    )


def test_engines_that_follow_no_sliders_refuse_to_follow_the_voice(engine, raised):
    with pytest.raises(BadRequest, match="another mood than As Heard"):
        engine.generate(
            raised, Request(1, system="media2face", direction=Brief.of(Direction(mood=AS_HEARD)))
        )
