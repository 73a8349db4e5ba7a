# SPDX-License-Identifier: GPL-3.0-or-later
"""Check finds what is planted in a mouth and keeps quiet about one that follows its voice; a capture is
found in its voice by its mouth, or by its sound."""

from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest

from research.ranking import shift
from thunder_core.engine import scorer
from thunder_core.engine.alignment import best_shift, LIKELY, match_sound
from thunder_core.engine.scorer import MouthCurves, Tolerance
from thunder_core.engine.speech.encoder import softmax
from thunder_core.engine.speech.transcript import find_text, FoundText
from thunder_core.face.moving.lips import round_lips
from thunder_core.findings import CARTOONY, Finding, FLAT, MOVES, OPEN, SHIFTED, SNAPPY, STILL
from thunder_core.request import Request
from thunder_core.spoken import Word
from thunder_core.types import FPS, Motion, pack, RATE, Speech, unpack


@pytest.fixture(scope="module")
def motion(engine, sample):
    """Of a take of the sample voice."""
    return engine.generate(sample, Request(1, 1))[0].motion


def findings(engine, sample, motion, **how):
    """What is found in a motion of a voice."""
    return list(engine.score(sample, motion, **how).findings)


def kinds(findings):
    return [each.kind for each in findings]


@pytest.mark.parametrize("frames", [3, -3, 5, -5])
def test_a_line_that_is_late_or_early_is_one_finding(engine, sample, motion, frames):
    first = findings(engine, sample, shift(motion, frames))[0]
    assert (first.kind, first.whole, round(first.size * FPS)) == (SHIFTED, True, frames)
    assert (
        first.sentence(25)
        == f"The whole line is {'late' if frames > 0 else 'early'} by {abs(frames)} frames"
    )
    assert str(2 * abs(frames)) in first.sentence(50)  # frames are the scene's


def test_a_part_that_is_late_is_found_where_it_is_late(engine, sample, motion):
    at = np.arange(motion.frames)
    start, end = 60, 160
    at[start:end] -= 5
    found = findings(engine, sample, Motion(motion.expression[at], motion.jaw[at]))
    late = [each for each in found if each.kind == SHIFTED]
    assert late and not any(each.whole for each in late)
    assert all(round(each.size * FPS) in (4, 5, 6) for each in late)
    assert all(start - 15 < each.start * FPS < each.end * FPS < end + 15 for each in late)


def test_curves_that_hardly_move_agree_little():
    wave = np.sin(np.arange(2000) * np.pi / 100)  # of variance .5; a tenth of it counts as .05
    found = scorer.correlate(0.1 * wave, wave, np.ones(2000))
    assert found == pytest.approx(0.1 * 0.5 / (0.05 * 0.5) ** 0.5)


def test_a_voice_that_says_next_to_nothing_and_a_still_mouth_are_neither_late_nor_another(
    engine, sample
):
    voice = engine.analyse(sample)
    mouth = MouthCurves(np.full(voice.frames, 4.0), np.full(voice.frames, 50.0))
    for each in (voice, voice.unspoken()):
        assert scorer.find_shift(mouth, each, Tolerance()) == (None, 0.0)


def test_a_closure_of_the_text_that_is_not_heard_is_asked_for_around_its_time(
    engine, sample, monkeypatch
):
    closure = SimpleNamespace(text="m", number=0, sure=1.0, seconds=1.0)
    monkeypatch.setattr(scorer.transcript, "closures", lambda *_: [closure])
    voice, said = engine.analyse(sample), FoundText([], [Word("me", 1.0, 1.2, 1.0)], True)
    demands, _ = scorer.find_demands(voice, np.zeros((2 * voice.frames, 40)), said)
    assert demands == [scorer.Demand(0.98, 1.04, "m", "me")]
    unheard = SimpleNamespace(**vars(closure) | {"sure": 0.0})
    closures = [closure, unheard, unheard]
    monkeypatch.setattr(scorer.transcript, "closures", lambda *_: closures)
    found = scorer.find_demands(voice, np.zeros((2 * voice.frames, 40)), said)
    assert found == ([], []), "a text of which a third is heard is another line's"


def test_each_closure_of_a_text_is_demanded_at_its_own_sound(engine, sample):
    """Two of them a tenth of a second apart: “blue boxes”."""
    voice = engine.analyse(sample)
    text = "My brother moves both big blue boxes from the front room."
    belief = softmax(voice.logits)
    demands, _ = scorer.find_demands(voice, belief, find_text(belief, text))
    starts = {demand.word: demand.start for demand in demands}
    assert 0.1 < starts["boxes"] - starts["blue"] < 0.25
    assert len({demand.start for demand in demands}) == len(demands)


def test_lips_that_stay_flat_on_a_round_sound_of_the_text_are_found_and_rounded(
    engine, sample, motion
):
    text = "My brother moves both big blue boxes from the front room."
    names, flat = list(engine.head.expression_names), motion.expression.copy()
    assert FLAT not in kinds(engine.score(sample, motion, text=text).findings)
    flat[:, [names.index(name) for name in ("mouthPucker", "mouthFunnel")]] = 0.0
    flat = Motion(flat, motion.jaw)
    found = [each for each in engine.score(sample, flat, text=text).findings if each.kind == FLAT]
    assert {"moves", "both", "blue", "room"} >= {each.word for each in found} and len(found) >= 3
    assert found[0].sentence(25).startswith("Lips stay flat on “")
    assert found[0].label(25) == f"{found[0].sound} flat “{found[0].word}”"
    mended, first = flat, found[0]
    for each in found:
        at = (each.start + each.end) / 2 * FPS
        mended, rows = round_lips(mended, names, at)
        assert rows.stop - rows.start < 10
    left = engine.score(sample, mended, text=text).findings
    assert FLAT not in kinds(left) and first.key
    gaps = [engine.lips.gap_and_width(each)[0] for each in (flat, mended)]
    assert np.abs(gaps[0] - gaps[1]).max() < 0.05, "lips are as far apart as before"


def test_open_lips_and_a_mouth_that_is_held_are_found_but_what_is_snappy_or_cartoony_may_hold(
    engine, sample, motion
):
    there = scorer.Demands.of(engine.analyse(sample), "").closures[0]
    jaw = motion.jaw.copy()
    around = slice(round(there.start * FPS) - 3, round(there.end * FPS) + 3)
    jaw[around, 0] += 0.15
    (found,) = findings(engine, sample, Motion(motion.expression, jaw))
    assert found.kind == OPEN and found.size > 2
    assert abs(found.start - there.start) < 0.05 and found.sound == there.sound
    assert "mm apart" in found.sentence(25)
    at = np.arange(motion.frames)
    at[30:50] = 30
    held = Motion(motion.expression[at], motion.jaw[at])
    still = next(each for each in findings(engine, sample, held) if each.kind == STILL)
    assert still.start < 1.7 and still.end > 1.5
    at[41:50] = np.arange(41, 50)  # held for less
    held = Motion(motion.expression[at], motion.jaw[at])
    assert STILL in kinds(findings(engine, sample, held))
    for tolerance in (SNAPPY, CARTOONY):
        assert STILL not in kinds(findings(engine, sample, held, tolerance=tolerance))


def test_poses_that_are_held_on_purpose_may_stand_as_long_as_snappy_ones(engine, sample, motion):
    """As in Blocking: nobody sees a fault in what is meant so."""
    for frames, is_found in ((10, False), (20, True)):
        at = np.arange(motion.frames) // frames * frames
        held = Motion(motion.expression[at], motion.jaw[at])
        assert (STILL in kinds(findings(engine, sample, held))) == is_found, frames


def test_a_mouth_that_moves_in_silence_and_lips_that_never_meet_are_found():
    gap = np.concatenate([np.zeros(10), 5 * np.abs(np.sin(np.arange(30))), np.zeros(10)])
    found = scorer.find_moves(gap, np.zeros(50), Tolerance())
    assert kinds(found) == [MOVES] and 10 / FPS <= found[0].start < found[0].end <= 40 / FPS
    assert scorer.find_moves(gap, np.ones(50), Tolerance()) == []
    assert scorer.find_moves(np.linspace(0, 5, 50), np.zeros(50), Tolerance()) == []  # a breath
    demands = [scorer.Demand(second, second + 0.1, "m") for second in range(6)]
    found = scorer.find_open(np.full(200, 5.0), demands, Tolerance())
    assert len(found) == 1 and found[0].whole and "6 of 6" in found[0].sentence(25)


@pytest.mark.parametrize("top", [1.0, 1.6, 2.0, 2.3])
def test_the_best_shift_is_the_top_of_a_parabola(top):
    curve = 0.7 - 0.05 * (np.arange(5) - top) ** 2
    best = int(curve.argmax())
    assert best + scorer._peak(curve, best) == pytest.approx(top)
    assert scorer._peak(curve, 0) == scorer._peak(curve, 4) == 0, "at an end there is none"


def test_words_of_a_text_name_the_places_and_findings_survive_json():
    words = [
        Word(*each, 1.0) for each in (("and", 0.0, 0.4), ("then", 0.4, 0.9), ("but", 1.0, 1.3))
    ]
    found = scorer._with_words(Finding(SHIFTED, 0.1, 0.8, 0.12, 1.0), words)
    assert found.sentence(25) == "Lips are late by 3 frames from “and” to “then”"
    for kind, more in ((SHIFTED, {"whole": True}), (OPEN, {"word": "but"}), (MOVES, {})):
        told = Finding(kind, 0.1, 0.8, 0.12, 1.0, **more)
        assert scorer._with_words(told, words) == told
    assert (
        Finding(OPEN, 1.0, 1.1, 1.84, 1.0, "b", "but").sentence(25)
        == "Lips do not meet on “but” (b): 1.8 mm apart"
    )
    assert (
        Finding(MOVES, 2.0, 3.0, 1.0, 1.0).sentence(25, "240–262")
        == "The mouth moves in silence, 240–262: 1.0 s"
    )
    finding = Finding(OPEN, 1.0, 1.1, 1.84, 1.0, "b", "but")
    assert Finding(**asdict(finding)) == finding
    assert finding.frames(lambda seconds: 1 + 24 * seconds) == (25, 27)


@pytest.fixture(scope="module")
def performed(engine, sample):
    """Takes of the sample, packed [T, n + 9]."""
    return [pack(take.motion) for take in engine.generate(sample, Request(4, 5, "draft"))]


def captured(rng, x, lead, first, last):
    """Frames of a take as another camera sees them: after so many frames of rest, larger or
    smaller, and noisy."""
    y = np.concatenate([np.zeros((lead, x.shape[1])), x[first:last]]) * rng.uniform(0.6, 1.4)
    return unpack(
        (y + rng.normal(0, 0.05, y.shape) * np.r_[np.ones(x.shape[1] - 9), np.full(9, 0.1)]).astype(
            np.float32
        ),
        x.shape[1] - 9,
    )


def test_a_mouth_is_found_within_a_frame(engine, sample, performed):
    rng, off = np.random.default_rng(3), []
    for x in performed:
        for _ in range(5):
            lead = int(rng.integers(0, 40))
            first = int(rng.integers(0, 60))
            last = len(x) - int(rng.integers(0, 40))
            match, by = engine.align(sample, captured(rng, x, lead, first, last))
            assert by == "mouth"
            off.append(round(match.seconds * FPS) - (first - lead))
    assert np.mean(np.abs(off) <= 1) >= 0.95, off


def test_a_mouth_that_says_something_else_is_not_sure(engine, sample, performed):
    rng = np.random.default_rng(1)
    backwards = [captured(rng, x[::-1], 0, 0, len(x)) for x in performed]
    # of 24 takes 9 to 12
    assert np.mean([engine.align(sample, motion)[0].sure < LIKELY for motion in backwards]) >= 0.25
    assert all(engine.align(sample, motion)[0].sure < 1 for motion in backwards)


def test_the_sound_of_another_microphone_is_found_within_a_frame_and_asked_first(
    engine, sample, performed
):
    rng = np.random.default_rng(2)
    room = np.r_[1, rng.normal(0, 0.3, 800) * np.exp(-np.arange(800) / 200)]
    heard = np.convolve(sample.samples, room)[: len(sample.samples)][RATE:]
    heard = 0.1 * heard / heard.std()
    heard = np.concatenate([np.zeros(RATE // 4), heard]) + rng.normal(
        0, 0.05, len(heard) + RATE // 4
    )
    still = unpack(np.zeros_like(performed[0]), performed[0].shape[1] - 9)
    match, by = engine.align(sample, still, Speech(heard.astype(np.float32)))
    assert by == "sound" and match.sure >= 1 and match.seconds == pytest.approx(0.75, abs=0.02)


def test_a_sound_of_something_else_leaves_it_to_the_mouth(engine, sample, performed):
    noise = 0.1 * np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32)
    assert match_sound(noise, sample.samples).sure < LIKELY
    motion = unpack(performed[0], performed[0].shape[1] - 9)
    match, by = engine.align(sample, motion, Speech(noise))
    assert by == "mouth" and abs(match.seconds * FPS) <= 1


@pytest.mark.parametrize(
    "a, b",
    [
        (np.zeros((1, 2)), np.zeros((1, 2))),
        (np.zeros((50, 2)), np.zeros((9, 2))),
        (np.ones((3, 1)), np.eye(40, 1)),
    ],
)
def test_what_stands_still_fits_nowhere(a, b):
    seconds, margin = best_shift(a, b, 25.0)
    assert np.isfinite(seconds) and margin == pytest.approx(0, abs=1e-6)


def test_curves_are_found_by_the_shift_that_they_have():
    x = np.random.default_rng(0).standard_normal((400, 3))
    for by in (-60, 0, 37):
        seconds, margin = best_shift(x[100:300], x[100 + by :], 25.0)
        assert round(seconds * 25) == -by and margin > 10
