# SPDX-License-Identifier: GPL-3.0-or-later
"""Marks on words: rows of them, what they do to a voice and a direction before sampling, and what
takes then show."""

from dataclasses import replace

import numpy as np
import pytest

from thunder_core.direction import (
    Brief,
    CLOSED,
    Direction,
    DIRECTION_NAMES,
    HELD,
    Mark,
    MOVED,
    OPEN,
    read_mark,
    read_marks,
    SOUND,
    STRESSED,
    THROWN_AWAY,
)
from thunder_core.engine import verbs
from thunder_core.engine.readings import held_points, mark_direction, mark_voice
from thunder_core.engine.speech.encoder import BILABIALS, PHONES, SILENCE, softmax
from thunder_core.errors import BadRequest
from thunder_core.request import direction_arguments, Request
from thunder_core.types import FPS

MARKS = [Mark(STRESSED, 0.4, 0.7), Mark(SOUND, 1.0, 1.1, "B"), Mark(MOVED, 2.0, 2.4, to=(2.1, 2.5))]


@pytest.fixture(scope="module")
def voice(engine, sample):
    return engine.analyse(sample)


def vowels(voice, seconds=0.4):
    """(start, end) of a stretch of the voice without silence, m, b and p that has a vowel to
    hold."""
    phones, length = voice.logits.argmax(1), round(50 * seconds)
    for start in range(0, len(phones) - length, 5):
        if not np.isin(phones[start : start + length], (SILENCE, *BILABIALS)).any():
            word = (start / 50, start / 50 + seconds)
            if held_points(voice.logits, Mark(HELD, *word)):
                return word
    raise AssertionError("the sample has none")


@pytest.mark.parametrize(
    "row",
    [None, [], "stressed", ["loud", 0, 1], ["held", 0], ["held", 1, 1], ["held", 0, float("nan")],
    ["sound", 0, 1], ["sound", 0, 1, ""],
     ["moved", 0, 1], ["moved", 0, 1, 2, 2], ["stressed", 0, 1, "B"], ["held", "0", 1]],
)  # fmt: skip
def test_what_is_no_mark_is_refused(row):
    with pytest.raises(BadRequest, match="is no mark of a word"):
        read_mark(row)


def test_rows_hold_all_of_a_mark_which_travels_to_the_engine_with_the_direction(put):
    assert list(read_marks([mark.row() for mark in reversed(MARKS)])) == MARKS

    asked = Brief(marks=tuple(MARKS))
    assert verbs.read_brief(direction_arguments(asked, put)).marks == asked.marks
    assert "marks" not in direction_arguments(Brief(), put)
    with pytest.raises(BadRequest, match="must be a list"):
        verbs.read_brief({"direction": put(Direction().vector()[None]), "marks": "stressed"})


def test_a_line_that_begins_later_has_its_marks_earlier():
    moved = Brief(marks=tuple(MARKS)).from_frame(10).marks
    assert [mark.start for mark in moved] == pytest.approx(
        [mark.start - 10 / FPS for mark in MARKS]
    )
    assert moved[2].to == pytest.approx((1.7, 2.1))


def test_a_direction_changes_on_marked_words_alone():
    usual = np.repeat(Direction().vector()[None], 100, axis=0)
    energy = DIRECTION_NAMES.index("energy")
    played = mark_direction(usual.copy(), [Mark(STRESSED, 1.0, 1.4), Mark(THROWN_AWAY, 2.4, 2.8)])
    assert played[25:36, energy].min() > 1.5 and played[60:71, energy].max() < -1.5
    beside = np.r_[0:22, 39:57, 74:100]
    assert np.array_equal(played[beside], usual[beside])
    assert np.array_equal(mark_direction(usual.copy(), [Mark(SOUND, 1.0, 1.1, "B")]), usual)


def test_a_corrected_sound_is_sure_and_all_else_is_as_it_was(voice):
    start, end = vowels(voice)
    marked = mark_voice(voice, [Mark(SOUND, start, end, "B")])
    rows = slice(round(50 * start), round(50 * end))
    assert softmax(marked.logits[rows])[:, PHONES.index("B")].min() > 0.9
    assert marked.shut[round(25 * start) + 1 : round(25 * end) - 1].min() > 0.9
    others = np.r_[0 : rows.start, rows.stop : len(voice.logits)]
    assert np.array_equal(marked.logits[others], voice.logits[others])
    assert np.allclose(
        marked.features[: round(25 * start) - 1], voice.features[: round(25 * start) - 1], atol=1e-5
    )
    with pytest.raises(BadRequest, match="is no sound"):
        mark_voice(voice, [Mark(SOUND, start, end, "QQ")])


def test_stressed_words_get_an_accent_and_thrown_away_ones_lose_theirs(voice):
    start, end = vowels(voice)
    inside = slice(round(25 * start), round(25 * end))
    stressed, thrown = (
        mark_voice(voice, [Mark(kind, start, end)]).phrasing for kind in (STRESSED, THROWN_AWAY)
    )

    def within(phrasing):
        return phrasing.weights[
            (phrasing.accents >= inside.start) & (phrasing.accents < inside.stop)
        ]

    assert within(stressed).max() == 1.0 and not len(within(thrown))


def test_a_moved_word_is_said_later_and_the_line_around_it_as_before(voice):
    start, end = vowels(voice)
    marked = mark_voice(voice, [Mark(MOVED, start, end, to=(start + 0.2, end + 0.2))])
    first, last = round(25 * start), round(25 * end)
    assert np.allclose(marked.features[first + 6 : last + 4], voice.features[first + 1 : last - 1])
    far = np.r_[0 : max(0, first - 9), last + 15 : voice.frames]
    assert np.array_equal(marked.features[far], voice.features[far])
    assert len(marked.units) == len(voice.units) and len(marked.logits) == len(voice.logits)


def test_takes_do_what_marks_ask_for(engine, sample, voice):
    start, end = vowels(voice)
    inside, wanted = slice(round(25 * start) + 1, round(25 * end) - 1), Brief(spread=0.0)

    def opening(*marks):
        [take] = engine.generate(sample, Request(1, 1, direction=replace(wanted, marks=marks)))
        assert take.provenance.get("marks", []) == [mark.row() for mark in marks]
        return take.opening[inside]

    usual = opening()
    assert opening(Mark(STRESSED, start, end)).mean() > 1.1 * usual.mean()
    assert opening(Mark(THROWN_AWAY, start, end)).mean() < 0.9 * usual.mean()
    assert opening(Mark(OPEN, start, end)).mean() > 1.1 * usual.mean()
    assert (opening(Mark(CLOSED, start, end)) < 0.6).mean() > 0.8
    assert (opening(Mark(SOUND, start + 0.15, start + 0.25, "B")) < 0.6).any() and not (
        usual < 0.6
    ).any()


def test_a_marked_take_is_scored_with_its_marks(engine, sample, voice):
    asked = replace(Brief(spread=0.0), marks=(Mark(CLOSED, *vowels(voice)),))
    [take] = engine.generate(sample, Request(1, 1, direction=asked))
    assert engine.score(sample, take.motion, asked, 1).total == pytest.approx(
        take.score.total, abs=0.5
    )
    assert (
        engine.score(sample, take.motion, replace(asked, marks=()), 1).total < take.score.total - 2
    )
