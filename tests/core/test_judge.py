# SPDX-License-Identifier: GPL-3.0-or-later
"""What the judge of lip-sync learns from: takes beside the teacher in their own direction, and
spoiled ones; and its score is absolute."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from research.faces.lip_clips import stack_neighbours
from thunder_core.direction import AXES, Brief, check, Direction, DIRECTION_NAMES, Style
from thunder_core.engine import scorer as scorer_module
from thunder_core.engine.engine import Engine
from thunder_core.engine.m2s import trained_mouth
from thunder_core.engine.network import SHIPPED
from thunder_core.engine.planning.lip_kernels import kernels, MAP_REACH, phone_probabilities
from thunder_core.engine.readings import reading
from thunder_core.engine.scorer import (
    add_energy,
    DAMPED,
    JudgeConfig,
    OFF_FRAMES,
    PLAIN,
    read_stresses,
    shift_frames,
    STRESSED,
)
from thunder_core.engine.speech.encoder import LOUDNESS, PHONES, SILENCE
from thunder_core.engine.systems.thunder import Performance
from thunder_core.errors import BadWeights
from thunder_core.face.mapping import visible_motion
from thunder_core.networks.judge import doubt, FLOOR, held_smile, Judge, quiet, score_weight, TAPS
from thunder_core.networks.speech import Mouth
from thunder_core.request import Request
from thunder_core.train import sampled
from thunder_core.train.judge import (
    allowed_scale,
    collate,
    corrupt,
    Lessons,
    lip_error,
    opinion,
    set_map,
    without_closures,
)
from thunder_core.train.sampled import clips_of, SampledClip
from thunder_core.types import in_group, pack, SPEECH, Speech, unpack

# every take hears doubtful sounds in its own way, also the first
USUAL = Brief(spread=0.0, as_asked=False)


@pytest.fixture(scope="module")
def judge():
    """The shipped judge in torch, as training has it."""
    return Judge.load(SHIPPED)


@pytest.fixture(scope="module")
def speech(sample):
    return Speech(sample.samples[: 4 * 16000])


@pytest.fixture(scope="module")
def takes(engine, speech):
    return engine.generate(speech, Request(2, 100, steps=5, direction=USUAL))


@pytest.fixture(scope="module")
def clip(engine, speech, takes):
    """The takes as a clip that they were sampled for, whose teacher does the very same."""
    voice = engine.thunder.analyse(speech.samples, speech.frames)
    x = np.stack([pack(take.motion) for take in takes])
    readings = np.tile(Direction().vector(), (2, 1))
    expected = np.stack(
        [
            pack(motion)
            for motion in engine.thunder.expect(
                voice, [Performance(0, reading[None]) for reading in readings]
            )
        ]
    )
    return SampledClip(
        takes=x, teacher=x, plain=x, expected=expected, asked=expected, readings=readings,
        features=voice.features, opening=voice.lips[:, 0],
    )  # fmt: skip


def mouth(engine):
    """The mouth that mesh-to-speech reads, in torch."""
    return Mouth(trained_mouth(SHIPPED) or engine.head)


@pytest.fixture(scope="module")
def lessons(engine):
    return Lessons(mouth(engine), list(engine.head.expression_names))


# ---- what is wrong with lips


def moving(values: np.ndarray) -> torch.Tensor:
    """Two vertices [1, T, 2, 3] whose heights go along values [T], millimetres."""
    lips = torch.zeros(1, len(values), 2, 3)
    lips[0, :, :, 1] = torch.from_numpy(values * 1e-3).float()[:, None]
    return lips


WAVE = 5 * np.sin(np.arange(100) / 4)


@pytest.mark.parametrize("size", [1, 3])
def test_lips_that_are_right_have_no_error_and_late_ones_about_that_of_late_ones(size):
    truth = size * moving(WAVE)
    late = size * moving(shift_frames(WAVE[:, None], OFF_FRAMES)[:, 0])
    assert lip_error(truth, truth, late).abs().max() < 1e-6
    assert lip_error(late, truth, late).mean() == pytest.approx(1, abs=0.05), (
        "the unit is the error of late, early and other lips, of a large performance as of a small"
    )


def test_the_error_is_the_worst_vertex_over_the_unit():
    truth = moving(WAVE)
    lips = truth.clone()
    lips[0, :, 1, 0] += 2e-3  # one of the two is 2 mm aside
    late, early = (moving(shift_frames(WAVE[:, None], s)[:, 0]) for s in (OFF_FRAMES, -OFF_FRAMES))
    unit = np.mean([float((x - truth)[..., 1].abs().mean()) * 1e3 for x in (late, early, late)])
    assert lip_error(lips, truth, late).numpy() == pytest.approx(
        np.full((1, 100), 2 / unit), rel=1e-4
    )


def test_a_smile_that_is_expected_where_nobody_speaks_is_taken_off_and_what_differs_from_it_stays():
    expected = torch.zeros(1, 50, 4, 3)
    quiet = torch.from_numpy(np.repeat([0.0, 1.0], 25)).float()[None]
    expected[:, :, 2:, 1], expected[:, :, 0, 1] = 4e-3, 2e-3  # corners up, and the lips parted
    lips = expected.clone()
    lips[:, :, 2, 1] += 3e-3
    held = held_smile(expected, quiet)
    without, reference = lips - held, expected - held
    assert torch.allclose(without - reference, lips - expected) and torch.equal(
        reference[:, :25], expected[:, :25]
    )
    assert reference[:, 25:, 2:].abs().max() <= 1e-3 + 1e-6 and torch.equal(
        reference[:, :, :2], expected[:, :, :2]
    )
    usual = 0.2 * expected
    assert not held_smile(usual, quiet).any(), "corners near rest are left as they are"


def test_pauses_are_quiet_and_stops_are_not():
    speech = torch.zeros(1, 60, len(PHONES) + LOUDNESS)
    for start, end in ((0, 10), (20, 23), (35, 41)):
        speech[0, start:end, SILENCE] = 1.0
    result = quiet(speech)[0]
    assert (
        result.shape == (60,)
        and result[[0, 5, 35, 38, 40]].min() > 0.99
        and result[16:30].max() < 0.01
    )
    assert 0.1 < result[10:16].mean() < 0.9 and result.diff().abs().max() < 0.5


@pytest.mark.parametrize(
    ("factor", "energy", "size"),
    [
        (0.6, 1.0, 0.6),
        (1.5, 1.0, 1.5),
        (DAMPED, 1.0, 0.35),
        (3.0, 1.0, 2.0),
        (0.5, 0.5, 0.7),
        (1.0, 2.5, 1.0),
        (0.0, 1.0, 0.35),
    ],
)
def test_a_size_that_energy_can_ask_for_is_no_fault(factor, energy, size):
    assert allowed_scale(np.array([factor]), energy) == pytest.approx([size])


def test_a_take_as_the_teacher_does_it_is_right_damped_a_little_too_and_damped_too_far_or_late_is_not(
    lessons, clip
):
    lesson = lessons.of(clip, clip, [["off", "damped"], []], np.random.default_rng(0))
    assert torch.equal(lesson.target[..., STRESSED], lesson.target[..., PLAIN]), (
        "the teacher stresses nothing"
    )
    error = (lesson.target[..., PLAIN].exp() - FLOOR).mean(1).numpy()
    assert lesson.as_sampled.tolist() == [True, False, False, True]
    assert error[[0, 3]] == pytest.approx([0, 0], abs=0.04)
    right, off, damped = error[:3]
    assert right + 0.2 < damped < off and off > 0.5
    seen = lessons._see(clip.takes[:1])[:, :, lessons.lip]
    assert (
        lip_error(
            0.6 * seen,
            seen,
            seen.flip(1),
            torch.from_numpy(allowed_scale(np.full(clip.takes.shape[1], 0.6), 1.0)).float(),
        ).max()
        < 1e-3
    )


def test_spoils_are_what_they_say():
    rng, x = np.random.default_rng(0), np.stack([WAVE, 2 * WAVE], 1)
    other, gap = x[::-1], np.abs(WAVE)
    for kind in ("shift", "size", "other", "smooth", "shake"):
        bad, factor = corrupt(x, other, gap, kind, np.random.default_rng(1))
        assert bad.shape == x.shape and np.abs(bad - x).max() > 0.1
        assert (kind == "size") == bool(np.abs(factor - 1).max() > 0.1)
    assert np.array_equal(corrupt(x, other, gap, "nothing", rng)[0], x)
    with pytest.raises(ValueError, match="upside down"):
        corrupt(x, other, gap, "upside down", rng)
    opened = without_closures(gap[:, None], np.where(gap < 1, 0.0, gap))
    assert opened[8:-8].min() > gap[8:-8].min()


def test_a_stressed_word_and_a_pose_that_lips_hold_are_left_out_of_the_error_where_asked(
    lessons, clip, engine
):
    played = replace(clip, plain=0.6 * clip.plain)
    lesson = lessons.of(played, played, [[], []], np.random.default_rng(0))
    stressed, plain = (lesson.target[..., which].mean() for which in (STRESSED, PLAIN))
    assert plain > stressed + 0.3
    higher = clip.takes.copy()
    smile = [
        i for i, name in enumerate(engine.head.expression_names) if name.startswith("mouthSmile")
    ]
    higher[:, :, smile] += 0.3
    posed = replace(clip, takes=higher)
    with_poses, without = (
        lessons.of(posed, posed, [[], []], np.random.default_rng(0), poses=by).target
        for by in (True, False)
    )
    assert without.mean() < with_poses.mean() - 0.5


# ---- what it reads


def test_the_prediction_is_the_calibrated_one(engine):
    """The same curves that the teacher's lips follow, of phones as the encoder believes them, from
    constants in the weights."""
    rng = np.random.default_rng(0)
    width = engine.thunder.encoder.feature_width
    features = rng.standard_normal((60, width))
    features[:, -42:-2] = rng.dirichlet(np.ones(40), 60)
    judge = Judge(JudgeConfig(speech=width))
    set_map(judge, kernels(), aligned=True)
    got = judge.predict(torch.from_numpy(features).float()[None])[0].numpy()
    for row, what in enumerate(("opening", "width")):
        one = kernels()[what]
        z = one.of_phones([phone_probabilities(features)], features[:, -LOUDNESS:])
        if one.map is not None:
            z = (1 - one.share) * z + one.share * (
                stack_neighbours(features, MAP_REACH) @ one.map.ravel()
            )
        assert got[row] == pytest.approx((z - one.mean_both) / one.deviation_both, abs=1e-3)
    assert judge.map.shape == (2, width, TAPS)
    set_map(judge, kernels(), aligned=False)
    features[:, :100] += 1  # what only the map reads
    phones_alone = judge.predict(torch.from_numpy(features).float()[None])[0, 0].numpy()
    features[:, :100] -= 1
    assert judge.predict(torch.from_numpy(features).float()[None])[0, 0].numpy() == pytest.approx(
        phones_alone, abs=1e-4
    )


def test_what_a_judge_reads_of_a_take_is_what_it_was_trained_on(
    engine, judge, lessons, clip, takes, speech
):
    lesson = lessons.of(clip, clip, [[], []], np.random.default_rng(0))
    voice = engine.analyse(speech)
    with torch.no_grad():
        trained_on = opinion(judge, collate([lesson])).numpy()
    expected = engine.scorer.expect(
        voice, [Performance(0, reading[None]) for reading in clip.readings]
    )
    scored = [
        engine.scorer.opinion(engine.scorer.lips(take.motion), voice, each)[0]
        for take, each in zip(takes, expected)
    ]
    assert np.stack(scored) == pytest.approx(trained_on, abs=5e-3)


def test_a_clip_in_a_batch_with_a_longer_one_is_judged_as_alone(judge, lessons, clip):
    lesson = lessons.of(clip, clip, [["off"], []], np.random.default_rng(0))
    motions = {
        name: getattr(clip, name)[:, :60]
        for name in ("takes", "teacher", "plain", "expected", "asked")
    }
    short = replace(clip, **motions, features=clip.features[:60], opening=clip.opening[:60])
    cut = lessons.of(short, short, [[], []], np.random.default_rng(0))
    with torch.no_grad():
        alone, together = opinion(judge, collate([cut])), opinion(judge, collate([lesson, cut]))
    assert together[3:, :60].numpy() == pytest.approx(alone.numpy(), abs=1e-3)


# ---- what the engine asks it

VOICED = [0.0, -2.0]  # loudness of a frame that sounds, and of one that does not


def heard_sound(frames, seed=0):
    """Speech features [T, d], of which every fifth frame is silent, opening [T], and four lips [T,
    4, 3]."""
    rng = np.random.default_rng(seed)
    speech = rng.standard_normal((frames, JudgeConfig().speech)).astype(np.float32)
    speech[:, -42:-2] = rng.dirichlet(np.full(len(PHONES), 0.1), frames)
    speech[:, -1] = np.where(np.arange(frames) % 5, *VOICED)
    lips = {
        name: (3e-3 * rng.standard_normal((frames, 4, 3))).astype(np.float32)
        for name in ("lips", "expected", "asked", "plain")
    }
    return speech, rng.standard_normal(frames).astype(np.float32), lips


def batch_of_one(*arrays):
    return [torch.from_numpy(each)[None] for each in arrays]


def test_doubt_and_the_frames_that_count_are_those_of_training():
    for speech in (
        heard_sound(80)[0],
        np.tile(heard_sound(1)[0], (9, 1)),
        heard_sound(1)[0] - np.float32(3),
    ):
        (sound,) = batch_of_one(speech)
        weight = scorer_module.voiced_weight(speech[:, -LOUDNESS:])
        of_training = score_weight(sound, torch.ones(sound.shape[:2], dtype=torch.bool))
        assert weight.dtype == np.float32 and np.array_equal(weight, of_training[0].numpy())
        assert scorer_module.doubt(speech, weight) == pytest.approx(
            float(doubt(sound, of_training)), rel=1e-5
        )


@pytest.mark.parametrize("frames", [1, 3, 90])
def test_an_opinion_is_that_of_the_network(judge, frames):
    speech, opening, lips = heard_sound(frames, 1)
    ours, whole_clip, usual = scorer_module.Judge(SHIPPED, "cpu").opinion(
        speech, lips.pop("lips"), opening, **lips
    )
    lips = heard_sound(frames, 1)[2]
    sound, seen, expected, asked, plain, curve = batch_of_one(speech, *lips.values(), opening)
    everywhere = torch.ones(1, frames, dtype=torch.bool)
    with torch.no_grad():
        of_frames = judge(sound, seen, expected, asked, everywhere)[0].numpy()
        hard = judge.hard(sound, expected, everywhere)[0].numpy()
        in_all = float(judge.in_all(sound, seen, plain, curve, everywhere))
    assert ours.shape == (frames, 2) and np.allclose(ours, of_frames, atol=1e-5)
    assert usual.shape == (frames,) and np.allclose(usual, hard, atol=1e-5)
    assert isinstance(whole_clip, float)
    assert whole_clip == pytest.approx(in_all, abs=1e-5)


# ---- an absolute score


def test_a_score_depends_on_nothing_but_the_sound_and_the_motion(speech, takes, monkeypatch):
    fresh, used = Engine.load(device="cpu"), Engine.load(device="cpu")
    used.generate(Speech(speech.samples[::-1].copy()), Request(1, 7, steps=2))
    for take in takes:  # other motions of the same sound were scored before
        used.score(speech, unpack(0.1 * pack(take.motion), used.head.channels))
    monkeypatch.setattr(fresh.thunder, "perform", None)  # nothing is sampled to score a motion
    motion = takes[1].motion
    one, other = fresh.score(speech, motion), used.score(speech, motion)
    assert one.total == other.total and np.array_equal(one.per_frame, other.per_frame)
    of_take = fresh.score(speech, motion, USUAL, takes[1].seed)
    assert of_take.total == pytest.approx(takes[1].score.total, abs=1e-3), "as among other takes"


def test_a_take_is_scored_again_in_the_direction_that_it_was_sampled_in(engine, speech):
    """With keys on its sliders and stresses of its own; without either the score would be
    another."""
    keyed = np.repeat([Direction(Style(energy=by)).vector() for by in (0.6, 1.5)], [50, 50], axis=0)
    asked = Brief(keyed, 0.5, as_asked=False)
    [take] = engine.generate(speech, Request(1, 33, direction=asked))
    again = engine.score(speech, take.motion, asked, 33)
    assert again.total == pytest.approx(take.score.total, abs=0.05)
    assert again.per_frame == pytest.approx(take.score.per_frame, abs=0.5)
    assert engine.score(speech, take.motion).total < take.score.total - 1


def test_a_take_is_scored_and_described_as_the_face_that_plays_it_shows_it(engine, speech):
    """One whose only key opens the jaw halfway, beside one that has everything."""
    names = engine.head.expression_names
    asked = Brief(Direction().vector()[None], 0.5, as_asked=False)
    jaw = [[["jawOpen", 0.5]]]
    of = {
        name: engine.generate(speech, Request(2, 40, direction=asked, sums=sums))
        for name, sums in (("all", None), ("jaw", jaw))
    }
    for whole, part in zip(*(sorted(takes, key=lambda take: take.seed) for takes in of.values())):
        assert (pack(part.motion) == pack(whole.motion)).all()  # the take is the same
        assert engine.score(
            speech, visible_motion(whole.motion, names, jaw), asked, whole.seed
        ).total == pytest.approx(part.score.total, abs=0.05)
        assert part.provenance["score"] == part.score.total < whole.score.total - 5
        made, seen = whole.provenance["shown"], part.provenance["shown"]
        assert all(
            abs(seen[name]) <= abs(made[name]) and seen[name] * made[name] >= 0
            for name in made
            if name in seen
        )
        assert max(seen["brows"], seen["height"], seen["smile"]) <= 0


def test_takes_around_a_take_stress_its_words_and_score_as_it_does(engine, speech):
    """Not as if its reading had been requested: then every copy would be better than the take that
    it is like."""
    usual = Direction().vector()[None]
    sources = engine.generate(speech, Request(4, 20, direction=Brief(usual, 0.5, as_asked=False)))
    alike, apart = np.zeros((2, 3, len(sources)))
    for number, source in enumerate(sources):
        around = Brief(
            reading(usual, source.seed, 0.5),
            0.2,
            as_asked=False,
            original=usual,
            like=((source.seed, 0.5),),
        )
        for row, each in enumerate(
            (around, replace(around, like=()), replace(around, original=None, like=()))
        ):
            copies = engine.generate(speech, Request(2, 60, direction=each))
            alike[row, number] = np.mean(
                [np.corrcoef(take.opening, source.opening)[0, 1] for take in copies]
            )
            apart[row, number] = abs(
                np.mean([take.score.total for take in copies]) - source.score.total
            )
            if each is around:
                again = engine.score(speech, copies[0].motion, around, copies[0].seed)
                assert again.total == pytest.approx(copies[0].score.total, abs=0.05)
                heads = [
                    np.linalg.norm(other.motion.head - source.motion.head, axis=1).mean()
                    for other in (*copies, *sources)
                ]
                assert max(heads[:2]) < 0.6 * np.mean(sorted(heads[2:])[1:]), (
                    "they carry their heads like it, unlike its siblings"
                )
    assert alike[0].mean() > 0.95 and (alike[0] > alike[1]).all()
    assert apart[0].mean() < apart[2].mean() and apart[0].mean() < 4


def test_what_a_requested_mood_costs_is_allowed_for_and_the_order_of_its_takes_stays(
    engine, speech, monkeypatch, tmp_path
):
    warm = Direction(mood="warm", strength=0.5).vector()[None]
    of_moods = tuple(0.4 if name == "mood.warm" else 0.0 for name in DIRECTION_NAMES[len(AXES) :])

    def seeds_and_totals(vectors, moods):
        config = replace(engine.judge.config, moods=moods, moods_near=moods)
        monkeypatch.setattr(engine.judge, "config", config)
        takes = engine.generate(speech, Request(3, 20, direction=Brief(vectors, 0.5)))
        return [take.seed for take in takes], np.array([take.score.total for take in takes])

    (before, lower), (after, higher) = (seeds_and_totals(warm, moods) for moods in ((), of_moods))
    assert before == after and (higher > lower + 2).all()
    (_, without), (_, neutral) = (
        seeds_and_totals(Direction().vector()[None], moods) for moods in ((), of_moods)
    )
    assert np.array_equal(without, neutral), "unless it was requested, a mood is not allowed for"
    card = json.loads((SHIPPED / "judge.json").read_text())
    card["config"] |= {"moods": [0.1, 0.2]}
    (tmp_path / "judge.json").write_text(json.dumps(card))
    with pytest.raises(BadWeights, match="judge.* does not fit"):
        scorer_module.Judge(tmp_path, "cpu")


def test_a_louder_word_is_a_stress_and_a_louder_line_is_not():
    loud, expected = np.ones(100, bool), 5 + 5 * np.sin(np.arange(100) / 2)
    louder = np.where(np.arange(100) < 50, 1.0, 1.6)
    assert np.ptp(read_stresses(1.5 * expected, expected, loud)) < 0.1
    by = read_stresses(louder * expected, expected, loud)
    assert (
        by[70:].mean() - by[:30].mean() == pytest.approx(1.4 * np.log(1.6), abs=0.15)
        and abs(by.mean()) < 1e-6
    )
    usual = Direction().vector()
    played = add_energy(usual, by)
    assert np.array_equal(
        np.flatnonzero(np.ptp(played, axis=0)),
        [DIRECTION_NAMES.index(n) for n in ("energy", "articulation")],
    )
    check(played)
    assert not read_stresses(expected, expected, np.zeros(100, bool)).any()


# ---- what it learns from


def test_every_voice_is_sampled_once_before_any_twice():
    voices = ("alice", "train"), ("alice", "train"), ("bob", "train"), ("367", "test")
    corpus = SimpleNamespace(
        clips=[SimpleNamespace(speaker=who, split=split, length=52000) for who, split in voices]
    )
    speakers = [voices[number][0] for number in clips_of(corpus, "train", 10, 1)]
    assert sorted(speakers) == ["alice", "alice", "bob"] and set(speakers[:2]) == {"alice", "bob"}
    assert clips_of(corpus, "test", 10, 1) == [3]


def test_the_teacher_plays_the_direction_that_a_take_is_compared_in(engine, speech):
    voice = engine.thunder.analyse(speech.samples, speech.frames)
    phones = np.repeat(voice.features[:, -42:-2].argmax(1), 4).astype(np.uint8)
    names = list(engine.head.expression_names)
    both = [Direction(Style(energy=by)).vector() for by in (0.5, 1.6)]
    calm, wild = (
        sampled.teacher_mean(phones, speech.samples, voice, names, one[None]) for one in both
    )
    mouth = np.append(in_group(names, SPEECH), [True] * 3 + [False] * 6)
    assert calm.shape == wild.shape == (speech.frames, len(names) + 9)
    assert (
        calm[:, len(names)].mean() < 0.6 * wild[:, len(names)].mean()
        and np.abs(calm[:, mouth]).mean() < np.abs(wild[:, mouth]).mean()
    )
    half = speech.frames // 2
    stressed = sampled.teacher_mean(
        phones, speech.samples, voice, names, np.repeat(both, [half, speech.frames - half], axis=0)
    )
    assert stressed[:half] == pytest.approx(calm[:half], abs=0.05) and stressed[
        half:
    ] == pytest.approx(wild[half:], abs=0.05)
