# SPDX-License-Identifier: GPL-3.0-or-later
"""Check finds what is planted in a mouth, says it by word, and keeps quiet about a mouth that
follows its voice."""

import numpy as np
import pytest

from thunder_core.engine import check
from thunder_core.engine.check import MouthCurves, Tolerance, TOLERANCE_OF
from thunder_core.errors import BadRequest
from thunder_core.findings import (
    CARTOONY,
    Finding,
    MOVES,
    OPEN,
    OTHER,
    REALISTIC,
    SHIFTED,
    SNAPPY,
    STILL,
)
from thunder_core.request import Request
from thunder_core.types import FPS, Motion


@pytest.fixture(scope="module")
def motion(engine, sample):
    """Of a take of the sample voice."""
    return engine.generate(sample, Request(1, 1))[0].motion


def late(motion, frames):
    """A motion so many frames later."""
    at = np.clip(np.arange(motion.frames) - frames, 0, motion.frames - 1)
    return Motion(motion.expression[at], motion.jaw[at])


def kinds(findings):
    return [each.kind for each in findings]


def test_a_take_that_follows_its_voice_has_no_problem_and_one_of_another_line_has(
    engine, sample, motion
):
    assert engine.check(sample, motion) == []
    back = Motion(motion.expression[::-1].copy(), motion.jaw[::-1].copy())
    assert set(kinds(engine.check(sample, back))) & {OTHER, SHIFTED}
    with pytest.raises(
        BadRequest, match="no tolerance “strict”: choose realistic, cartoony, snappy"
    ):
        engine.check(sample, motion, "strict")


@pytest.mark.parametrize("frames", [3, -3, 5, -5])
def test_a_line_that_is_late_or_early_is_one_finding(engine, sample, motion, frames):
    first = engine.check(sample, late(motion, frames))[0]
    assert (first.kind, first.whole, round(first.size * FPS)) == (SHIFTED, True, frames)
    assert (
        first.sentence(25)
        == f"The whole line is {'late' if frames > 0 else 'early'} by {abs(frames)} frames"
    )
    assert str(2 * abs(frames)) in first.sentence(50)  # frames are the scene's


def test_lips_that_do_not_meet_are_found_and_nothing_else(engine, sample, motion):
    there = check.find_demands(engine.analyse(sample))[0][0]
    jaw = motion.jaw.copy()
    around = slice(round(there.start * FPS) - 3, round(there.end * FPS) + 3)
    jaw[around, 0] += 0.15
    (found,) = engine.check(sample, Motion(motion.expression, jaw))
    assert found.kind == OPEN and found.size > 2
    assert abs(found.start - there.start) < 0.05 and found.sound == there.sound
    assert "mm apart" in found.sentence(25)


def test_a_mouth_that_stands_still_in_speech_is_found(engine, sample, motion):
    at = np.arange(motion.frames)
    at[30:50] = 30
    found = engine.check(sample, Motion(motion.expression[at], motion.jaw[at]))
    still = next(each for each in found if each.kind == STILL)
    assert still.start < 1.7 and still.end > 1.5


def test_a_mouth_that_moves_in_silence_is_found():
    gap = np.concatenate([np.zeros(10), 5 * np.abs(np.sin(np.arange(30))), np.zeros(10)])
    found = check.find_moves(gap, np.zeros(50), Tolerance())
    assert kinds(found) == [MOVES] and 10 / FPS <= found[0].start < found[0].end <= 40 / FPS
    assert check.find_moves(gap, np.ones(50), Tolerance()) == []
    assert check.find_moves(np.linspace(0, 5, 50), np.zeros(50), Tolerance()) == []  # a breath


def test_a_held_pose_is_allowed_when_snappy_and_when_cartoony():
    mouth = MouthCurves(np.full(10, 4.0), np.full(10, 50.0))
    speaking = np.ones(10, bool)
    found = {
        name: kinds(check.find_still(mouth, speaking, TOLERANCE_OF[name]))
        for name in (REALISTIC, CARTOONY, SNAPPY)
    }
    assert found == {REALISTIC: [STILL], CARTOONY: [], SNAPPY: []}


def test_lips_that_never_meet_are_one_finding():
    demands = [check.Demand(second, second + 0.1, "m") for second in range(6)]
    found = check.find_open(np.full(200, 5.0), demands, Tolerance())
    assert len(found) == 1 and found[0].whole and "6 of 6" in found[0].sentence(25)


def test_what_is_noticed_first_comes_first(engine, sample, motion):
    at = np.arange(motion.frames)
    at[60:69] = 60
    found = engine.check(sample, late(Motion(motion.expression[at], motion.jaw[at]), 5))
    assert kinds(found)[0] == SHIFTED
    assert [each.weight for each in found] == sorted((each.weight for each in found), reverse=True)


def test_words_of_a_text_name_the_places():
    words = [("and", 0.0, 0.4), ("then", 0.4, 0.9), ("but", 1.0, 1.3)]
    found = check._with_words(Finding(SHIFTED, 0.1, 0.8, 0.12, 1.0), words)
    assert found.sentence(25) == "Lips are late by 3 frames from “and” to “then”"
    assert (
        Finding(OPEN, 1.0, 1.1, 1.84, 1.0, "b", "but").sentence(25)
        == "Lips do not meet on “but” (b): 1.8 mm apart"
    )
    assert (
        Finding(MOVES, 2.0, 3.0, 1.0, 1.0).sentence(25, "240–262")
        == "The mouth moves in silence, 240–262: 1.0 s"
    )


def test_findings_survive_json():
    finding = Finding(OPEN, 1.0, 1.1, 1.84, 1.0, "b", "but")
    assert Finding.of(finding.values()) == finding
    assert finding.frames(lambda seconds: 1 + 24 * seconds) == (25, 27)
