# SPDX-License-Identifier: GPL-3.0-or-later
"""The lip-sync score: depends on sound and motion alone, tells spoiled mouths, allows what the
direction asks for, and agrees with its grade."""

import json
from dataclasses import replace

import numpy as np
import pytest

from research.ranking import hold_poses, shift, spoil_motion
from thunder_core.direction import Direction, DIRECTION_NAMES, DirectionRequest, Style
from thunder_core.engine.engine import Engine
from thunder_core.engine.performance import draw_style
from thunder_core.engine.scorer import correlate, most_spoken, WEIGHTS
from thunder_core.face.moving.driving import visible_motion
from thunder_core.findings import (
    CARTOONY,
    CHECK,
    Finding,
    findings_of,
    GOOD,
    grade,
    heard_in_a_word,
    heard_of,
    LipSyncScore,
    LITTLE,
    MOVES,
    MUMBLED,
    OPEN,
    OTHER,
    PARTS,
    POOR,
    say_heard,
    SHIFTED,
    SIZE,
    STILL,
)
from thunder_core.request import Request
from thunder_core.types import in_group, Keep, pack, Speech, TONGUE, unpack

# every take hears doubtful sounds in its own way, also the first
USUAL = DirectionRequest(spread=0.0, exact_first=False)


@pytest.fixture(scope="module")
def speech(sample):
    return Speech(sample.samples[: 6 * 16000])


@pytest.fixture(scope="module")
def takes(engine, speech):
    return engine.generate(speech, Request(2, 100, steps=5, direction=USUAL))


def test_points_of_the_parts_are_a_hundred_and_each_part_has_a_name_for_people():
    assert sum(WEIGHTS.values()) == pytest.approx(100, abs=0.1) and list(PARTS) == list(WEIGHTS)
    assert len(WEIGHTS) <= 12


def test_frames_have_few_points_where_the_mouth_does_not_follow_the_voice(engine, speech, takes):
    packed = pack(takes[1].motion)
    half = len(packed) // 2
    wrong = np.concatenate([packed[:half], packed[half:][::-1]])
    right, half_wrong = (
        engine.score(speech, unpack(each, engine.head.channels)) for each in (packed, wrong)
    )
    counts = engine.thunder.analyse(speech.samples, speech.frames).presence > 0.9
    for each in half_wrong.findings:  # there they are few anyway
        if not each.whole:
            counts[slice(*each.frames(lambda second: 25 * second))] = False
    # half a second around the cut belongs to both
    before, behind = (np.flatnonzero(counts[a:b]) + a for a, b in ((0, half - 12), (half + 12, -1)))
    assert min(len(before), len(behind)) > 5
    assert np.abs(half_wrong.per_frame[before] - right.per_frame[before]).mean() < 10
    assert half_wrong.per_frame[behind].mean() < right.per_frame[behind].mean() - 20


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
    points = sum(WEIGHTS[name] * part for name, part in of_take.parts.items())
    assert of_take.total == pytest.approx(points)


def test_a_take_is_scored_again_in_the_direction_that_it_was_sampled_in(engine, speech):
    """With keys on its sliders and a size of its own; without either the score would be another."""
    keyed = np.repeat([Direction(Style(energy=by)).vector() for by in (0.6, 1.5)], [75, 75], axis=0)
    asked = DirectionRequest(keyed, 0.5, exact_first=False)
    [take] = engine.generate(speech, Request(1, 33, direction=asked))
    again = engine.score(speech, take.motion, asked, 33)
    assert again.total == pytest.approx(take.score.total, abs=0.05)
    assert again.per_frame == pytest.approx(take.score.per_frame, abs=0.5)
    large = replace(asked, vectors=np.repeat([Direction(Style(energy=1.9)).vector()], 150, axis=0))
    other = engine.score(speech, unpack(0.4 * pack(take.motion), engine.head.channels), large, 33)
    assert other.parts["size"] == 0 and again.parts["size"] == 1


def test_a_size_that_is_asked_for_is_no_fault_and_one_that_is_not_is(engine, speech):
    """By the direction, by the seed's reading; half of it is, and much less is one of anybody."""
    names = DIRECTION_NAMES.index("energy")
    for seed, energy in ((41, -1.5), (42, 0.0), (43, 1.5)):
        vector = Direction().vector()
        vector[names] = energy
        asked = DirectionRequest(vector[None], 0.5, exact_first=False)
        [take] = engine.generate(speech, Request(1, seed, direction=asked))
        assert take.score.parts["size"] > 0.9 and take.score.grade != POOR
        half, least = (unpack(by * pack(take.motion), engine.head.channels) for by in (0.45, 0.15))
        assert all(each.kind != SIZE for each in take.score.findings)
        unasked = engine.score(speech, half, asked, seed)
        assert unasked.parts["size"] < 0.65 and unasked.total < take.score.total - 5
        assert unasked.grade != GOOD and any(each.kind == SIZE for each in unasked.findings)
        small = engine.score(speech, least, asked, seed)
        assert small.grade == POOR and any(each.kind == SIZE for each in small.findings)
        anybodys = engine.score(speech, least)
        assert anybodys.grade == POOR, "also where no direction is known"


@pytest.mark.parametrize(
    "fault, kinds",
    [
        ("120 ms late", [SHIFTED]),
        ("200 ms early", [SHIFTED]),
        ("another sentence", [OTHER, SHIFTED]),
        ("still", []),
        ("never closing", [OPEN]),
        ("stops after a half", [STILL]),
        ("damped to 15 %", [SIZE]),
    ],
)
def test_a_spoiled_take_is_poor_and_says_why(engine, speech, takes, fault, kinds):
    voice, other = engine.analyse(speech), pack(takes[0].motion)[::-1]
    for take in takes:
        made = spoil_motion(engine, take.motion, other, voice.speaking)[fault]
        score = engine.score(speech, made, USUAL, take.seed)
        assert take.score.grade == GOOD and score.grade == POOR
        assert score.total < take.score.total - 8
        assert not kinds or any(each.kind in kinds for each in score.findings)
        place = score.findings[0]
        first, last = int(25 * place.start), int(25 * place.end)
        if not place.whole:
            assert score.per_frame[first : last + 1].max() <= 20, "and where"


def test_a_mouth_that_mumbles_is_found_by_what_mesh_to_speech_reads_off_it(engine, speech, takes):
    """Whatever its direction; not where the tongue stands still, nor beside another fault of the
    whole line."""
    voice, names = engine.analyse(speech), engine.head.expression_names
    tongue = in_group(names, TONGUE)
    for take in takes:
        made = spoil_motion(engine, take.motion, pack(take.motion)[::-1], voice.speaking)
        mumbled, *others = (made[name] for name in ("mumbled", "120 ms late", "another sentence"))
        usual, least, *read = engine.scorer.heard_ratios([take.motion, mumbled, *others], voice)
        assert usual > 0.85 and least < 0.6 and max(read) < 0.3
        assert take.score.heard == pytest.approx(usual)
        found = engine.score(speech, mumbled).findings
        [finding] = (each for each in found if each.kind == MUMBLED)
        assert finding.size == pytest.approx(least) and "mumbles: only" in finding.sentence(25)
        for other in others:
            assert all(each.kind != MUMBLED for each in engine.score(speech, other).findings)
        mumbled.expression[:, tongue] = 0
        assert engine.score(speech, mumbled).heard is None
        assert all(each.kind != MUMBLED for each in engine.score(speech, mumbled).findings)
        assert take.score.grade == GOOD


@pytest.mark.parametrize("late", [25 / 24, -25 / 24, 2.5])
def test_a_mouth_that_is_a_frame_off_is_late_or_early_by_that_much_and_does_not_mumble(
    engine, speech, takes, late
):
    for take in takes:
        score = engine.score(speech, shift(take.motion, late))
        [found] = (each for each in score.findings if each.kind in (SHIFTED, MUMBLED))
        assert (
            found.kind == SHIFTED
            and found.whole
            and found.size * 25 == pytest.approx(late, abs=0.3)
        )
        assert score.grade == (POOR if late == 2.5 else CHECK)
        loose = engine.score(speech, shift(take.motion, late), tolerance=CARTOONY)
        assert all(each.kind not in (SHIFTED, MUMBLED) for each in loose.findings)
        slightly = engine.score(speech, shift(take.motion, 0.5 * np.sign(late)))
        assert slightly.grade == GOOD, "nobody sees half a frame"


@pytest.mark.parametrize("count", [2, 3, 6])
def test_nothing_is_read_off_poses_that_are_held(engine, speech, takes, count):
    for take in takes:
        assert take.score.heard is not None
        score = engine.score(speech, hold_poses(take.motion, count))
        assert score.heard is None and all(each.kind != MUMBLED for each in score.findings)
        assert all(each.kind != SHIFTED for each in score.findings) or count > 3


def test_a_face_that_lacks_channels_does_not_mumble_unless_its_mouth_does(engine, speech, takes):
    """It is compared with what the expected mouth shows of the voice without them."""
    names, voice = list(engine.head.expression_names), engine.analyse(speech)
    lacks = ("tongueTipUp", "tongueBladeUp", "tongueBack", "mouthRollUpper", "mouthRollLower")
    lacks = [names.index(name) for name in (*lacks, "mouthFunnel")]
    for take in takes:
        made = spoil_motion(engine, take.motion, pack(take.motion)[::-1], voice.speaking)
        plain, mumbled = (
            replace(take.motion, expression=take.motion.expression.copy()),
            made["mumbled"],
        )
        for each in (plain, mumbled):
            each.expression[:, lacks] = 0
        read = engine.scorer.heard_ratios([plain, mumbled], voice)
        assert read[0] > 0.75 and read[1] < 0.4
        assert read[0] == pytest.approx(engine.score(speech, plain).heard)
        by_whole = read[0] * engine.scorer.usual_share(voice, tuple(sorted(lacks)))
        assert by_whole < LITTLE * engine.scorer.usual_share(voice, ()), (
            "by a whole mouth it would mumble"
        )


def test_half_a_line_that_stands_still_holds_no_poses(engine, speech, takes):
    """What is read off the other half is told."""
    x = pack(takes[0].motion)
    x[len(x) // 2 :] = x[len(x) // 2]
    half = unpack(x, takes[0].motion.expression.shape[1])
    assert engine.score(speech, half).heard is not None


def test_nothing_is_read_off_a_mouth_that_stands_still_nor_is_it_early(engine, speech, takes):
    motion = takes[0].motion
    still = replace(motion, expression=0 * motion.expression, jaw=0 * motion.jaw)
    score = engine.score(speech, still)
    assert score.heard == 0 and {each.kind for each in score.findings} & {STILL, SIZE}
    assert not {each.kind for each in score.findings} & {SHIFTED, MUMBLED}


def test_what_is_read_is_little_by_the_percents_that_are_shown():
    for heard, word in ((0.594, "little"), (0.596, "60%"), (0.6, "60%")):
        assert heard_in_a_word(heard) == word
        assert ("little" in say_heard(heard)) == (word == "little")


def test_a_take_is_scored_and_described_as_the_face_that_plays_it_shows_it(engine, speech):
    """One whose only key opens the jaw halfway, beside one that has everything."""
    names = engine.head.expression_names
    asked = DirectionRequest(Direction().vector()[None], 0.5, exact_first=False)
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
        seen = part.provenance["seen"]
        assert seen["brows"] == seen["head"] == 0 and abs(seen["smile"]) < 0.05 < seen["jaw"]


def test_takes_around_a_take_move_like_it(engine, speech):
    usual = Direction().vector()[None]
    sources = engine.generate(
        speech, Request(4, 20, direction=DirectionRequest(usual, 0.5, exact_first=False))
    )
    alike = np.zeros((2, len(sources)))
    for number, source in enumerate(sources):
        around = DirectionRequest(
            draw_style(usual, source.seed, 0.5),
            0.2,
            exact_first=False,
            original=usual,
            like=((source.seed, 0.5),),
        )
        for row, each in enumerate((around, replace(around, like=()))):
            copies = engine.generate(speech, Request(2, 60, direction=each))
            alike[row, number] = np.mean(
                [np.corrcoef(take.opening, source.opening)[0, 1] for take in copies]
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


def test_what_is_free_beside_a_kept_part_is_read_as_differently_as_takes_are(engine, speech):
    usual = DirectionRequest(Direction().vector()[None], 0.5, exact_first=False)
    takes = engine.generate(speech, Request(8, 20, direction=usual))
    lead = takes[0]
    mask = np.ones(pack(lead.motion).shape, bool)
    mask[20:] = False
    style = np.array(lead.provenance["reading"], np.float32)[None]
    around = DirectionRequest(
        style, 0.0, exact_first=False, original=usual.vectors, like=((lead.seed, 0.5),)
    )
    readings = engine.generate(
        speech, Request(8, 60, direction=around, keep=Keep(lead.motion, mask))
    )
    for curve in (lambda take: take.motion.head[:, 0], lambda take: take.opening):
        free, all_ = (
            np.std([curve(take)[25:] for take in some], axis=0).mean() for some in (readings, takes)
        )
        assert free > 0.35 * all_  # .2 if gestures and noise were kept
    for take in readings:
        kept = np.abs(pack(take.motion) - pack(lead.motion))[mask]
        assert kept.max() < 1e-6
    # a part of a second is judged by the take that it is a part of
    mask[:] = True
    mask[20:26] = False
    words = engine.generate(speech, Request(8, 60, direction=around, keep=Keep(lead.motion, mask)))
    assert max(abs(take.score.parts["size"] - lead.score.parts["size"]) for take in words) < 0.1


def test_a_correlation_is_numpys_where_curves_move_and_counts_only_some_frames():
    rng = np.random.default_rng(0)
    x, y, weight = rng.normal(size=60), rng.normal(size=60), (rng.random(60) > 0.4).astype(float)
    counted = weight > 0
    assert correlate(x, y, weight) == pytest.approx(np.corrcoef(x[counted], y[counted])[0, 1])
    assert correlate(0 * x, y, weight) == 0.0, "and nothing agrees with a mouth that rests"


def found(kind, weight, whole=False):
    return Finding(kind, 1.0, 2.0, 0.1, weight, whole=whole)


@pytest.mark.parametrize(
    "findings, name",
    [
        ([], GOOD),
        ([found(OPEN, 1.0)], CHECK),
        ([found(MOVES, 1.2), found(OPEN, 1.0)], CHECK),
        ([found(STILL, 5.0)], POOR),
        ([found(SHIFTED, 1.0, whole=True)], POOR),
        ([found(MUMBLED, 1.2, whole=True)], CHECK),
        ([found(MUMBLED, 3.5, whole=True)], POOR),
    ],
)
def test_a_grade_is_of_what_is_found(findings, name):
    assert grade(findings) == name
    score = LipSyncScore(50.0, np.zeros(3), {"size": 0.12345}, tuple(findings))
    record = json.loads(json.dumps(score.to_record()))
    assert findings_of(record) == tuple(findings) and record["parts"] == {"size": 0.123}
    assert heard_of(record) is None
    assert heard_of(replace(score, heard=0.87654).to_record()) == 0.877


@pytest.mark.parametrize("record", [{}, {"findings": "["}, {"findings": "[1]"}, {"findings": 3}])
def test_findings_that_a_file_does_not_have_are_not_known(record):
    assert findings_of(record) is None


@pytest.mark.parametrize(
    "spoken, spans",
    [
        ([(0, 60)], [(0, 60)]),
        ([(20, 30), (120, 240)], [(120, 184)]),
        ([(0, 100), (260, 400), (450, 500)], [(0, 64), (260, 324)]),
    ],
)
def test_of_every_ten_seconds_the_64_frames_with_the_most_speech_are_read(spoken, spans):
    speaking = np.zeros((60, 250, 500)[len(spoken) - 1], bool)
    for first, end in spoken:
        speaking[first:end] = True
    assert [(each.start, each.stop) for each in most_spoken(speaking)] == spans
