# SPDX-License-Identifier: GPL-3.0-or-later
"""Readings of a line: which words are hit and thrown away, what happens in pauses; neighbours
differ, marks are followed, and a plan does what its choice says."""

from dataclasses import replace

import numpy as np
import pytest

from thunder_core.direction import Direction
from thunder_core.engine.planning.choice import (
    AWAY,
    BREATHES,
    Choice,
    DECK,
    Deck,
    draw,
    HOLDS_STILL,
    spots_of,
    THINKS,
)
from thunder_core.engine.planning.people import draw_person
from thunder_core.engine.planning.upper_face import Behaviours, plan_speaker
from thunder_core.engine.speech.cues import Phrasing, prosody_of, silent_phrasing
from thunder_core.spoken import Word
from thunder_core.types import FPS

ACCENTS = np.array([20, 45, 70, 95, 150, 175, 200, 225])
PHRASES = np.array([[10, 110], [140, 240]])
USUAL = Behaviours.of_styles(Direction().vector()[None])


def voice_of(accents=ACCENTS, phrases=PHRASES, frames=290, words=()):
    weights = np.tile([0.3, 0.9, 0.6, 0.2], len(accents))[: len(accents)]
    marks = Phrasing(frames, np.asarray(accents, int), weights, np.asarray(phrases, int))
    return prosody_of(marks, np.zeros(frames), np.zeros(2 * frames, int), words)


VOICE = voice_of()


def deal(voice):
    """The plain choice and all others."""
    deck = Deck(voice)
    return [deck.plain, *map(deck.choice, range(DECK))]


def differs(one: Choice, other: Choice) -> bool:
    parts = ("hits", "acts", "ideas", "aside")
    return any(getattr(one, part) != getattr(other, part) for part in parts)


def test_no_two_of_eight_neighbours_read_a_line_alike_nor_as_the_plain_one_does():
    deck = deal(VOICE)
    assert Deck(VOICE).choice(40) == deck[41] == Deck(VOICE).choice(40 + DECK), "in any order"
    usual, *deck = deck
    assert len(deck) == DECK and usual.is_plain
    hits = []
    for first in range(DECK):
        eight = [usual, *(deck[(first + i) % DECK] for i in range(8))]
        for i, one in enumerate(eight):
            for other in eight[:i]:
                assert differs(one, other)
                hits.append(one.hits != other.hits)
    assert np.mean(hits) > 0.8
    counts = np.bincount([len(choice.hits) for choice in deck])
    assert counts[0] == 0 and counts[1] > counts[3] > 0 and len(counts) == 4


@pytest.mark.parametrize(
    "voice",
    [
        voice_of([20], [[10, 110]]),
        voice_of([], [[10, 110]]),
        prosody_of(silent_phrasing(50), np.zeros(50), np.zeros(100, int)),
        prosody_of(silent_phrasing(1), np.zeros(1), np.zeros(2, int)),
    ],
)
def test_a_line_that_allows_few_readings_repeats_them(voice):
    for choice in deal(voice):
        assert len(choice.hits) == len(spots_of(voice))
        assert choice.stress(voice.frames).shape == (voice.frames,)


def test_light_english_words_are_not_hit_beside_others():
    texts = ["From", "eight", "of", "the", "castles", "eight,", "knights", "were", "riding"]
    words = tuple(Word(text, t, t + 0.36, 1.0) for t, text in zip(np.arange(0.4, 8, 0.4), texts))
    voice = voice_of(words=words)
    said = ["eight", "castles", "eight,", "knights", "riding"]
    assert [spot.text for spot in spots_of(voice)] == said
    everything = Choice(spots_of(voice), (0, 1, 2), aside=4).record(voice)
    assert everything["aside"], "and of a face without eyes nothing is said of the gaze"
    assert not Choice(spots_of(voice), (0, 1, 2), aside=4).record(voice, False)["aside"]
    assert [text for _, _, text in everything["hits"]] == ["eight (1st)", "castles", "eight (2nd)"]
    assert everything["aside"][0][2] == "riding"
    few = voice_of(words=words[:3])
    assert [spot.text for spot in spots_of(few)] == texts[:3], "where a line has no others"


def test_what_stands_out_is_hit_more_often_and_a_marked_word_always():
    rng = np.random.default_rng(0)
    drawn = [draw(VOICE, spots_of(VOICE), rng) for _ in range(300)]
    times = np.bincount([i for choice in drawn for i in choice.hits])
    assert times[[1, 5]].min() > 1.4 * times[[3, 7]].max()
    marked = replace(VOICE, weights=np.where(np.arange(8) == 3, 1.01, VOICE.weights))
    assert all(3 in choice.hits for choice in deal(marked))
    assert Deck(VOICE).plain.hits == (1,) and Deck(VOICE).plain.is_plain


def test_a_long_recording_has_hits_every_few_seconds():
    accents = np.arange(20, 1500, 25)
    choice = Deck(voice_of(accents, [[10, 1500]], 1520)).choice(0)
    times = [spot.at for spot in choice.hit]
    assert np.diff([0, *times, 60]).max() < 18 and len(times) >= 6


def test_words_of_a_text_are_content_words_where_they_are_accented_or_long():
    words = (
        Word("the", 0.42, 0.5, 1), Word("battle", 0.6, 1.0, 1), Word("of", 1.65, 1.82, 1),
        Word("unaccented", 2.0, 2.6, 1), Word("short", 3.1, 3.3, 1),
    )  # fmt: skip
    spots = spots_of(voice_of(words=words))
    assert [spot.text for spot in spots] == ["battle", "unaccented"]
    shorter = replace(words[1], start=0.7, end=0.95)
    weights = [spots_of(voice_of(words=(word,)))[0].weight for word in (words[1], shorter)]
    assert weights == pytest.approx([0.3, 0.3 * 0.25 / 0.34])  # what carries little is short
    assert spots[0].at == pytest.approx(20 / FPS) and spots[1].at == pytest.approx(2.3)


def test_what_is_hit_is_stressed_and_what_is_not_is_thrown_away():
    choice = Choice(spots_of(VOICE), (1,), ("",), ("nods", "nods"), is_plain=False)
    stress = choice.stress(VOICE.frames)
    assert stress[45] > 0.9 and stress[ACCENTS[[0, 2, 5]]].max() < -0.5
    assert abs(stress[[0, 125, 280]]).max() < 1e-6
    assert not replace(choice, is_plain=True).stress(VOICE.frames).any()


def planned(seed=0, **parts):
    given = {"spots": spots_of(VOICE), "acts": ("",), "ideas": ("nods", "nods")} | parts
    choice = Choice(**given, is_plain=False)
    person = draw_person(1.0, seed, VOICE)
    return plan_speaker(VOICE, choice, USUAL, person, np.random.default_rng(seed))


def test_brows_begin_before_a_word_that_is_hit_and_head_and_brows_settle_behind_it():
    spot, marked = spots_of(VOICE)[5], []
    for seed in range(32):
        plan = planned(seed, hits=(5,))
        [nod] = plan.nods
        assert abs(nod.at - spot.at) < 0.12 and nod.at - nod.down < spot.at
        for each in plan.raises:
            assert abs(each.at - spot.start) < 0.15 and each.at - each.rise / 2 < spot.start
            assert each.at + each.hold + each.fall > spot.at
        marked.append((np.linalg.norm(nod.degrees) > 3, bool(plan.raises)))
    head, brows = np.array(marked).T
    assert (head | brows).all() and 0.6 < (head & brows).mean() < 0.97, "now and then only one"


def away(plan, start, end):
    """Whether the gaze is aside at some time between."""
    return any(np.linalg.norm(look.degrees) > 3.5 for look in plan.looks if start <= look.at < end)


def test_a_pause_has_what_was_chosen_for_it():
    [(start, end)] = VOICE.pauses
    counts = dict.fromkeys((AWAY, HOLDS_STILL, BREATHES, THINKS), 0)
    for act in counts:
        for seed in range(16):
            plan = planned(seed, hits=(1,), acts=(act,))
            counts[act] += away(plan, start - 0.1, start + 0.2)
            inside = [
                each.at for each in (*plan.looks, *plan.blinks) if start + 0.1 < each.at < end - 0.1
            ]
            assert act != HOLDS_STILL or not inside
            airs = [air for at, air in plan.breaths if start - 0.1 < at < end]
            assert act != BREATHES or airs == [1.0]
            knits = [each for each in plan.knits if start <= each.at < end]
            assert bool(knits) == (act == THINKS)
    assert counts[AWAY] == counts[THINKS] == 16 and counts[HOLDS_STILL] + counts[BREATHES] < 6


def test_the_gaze_is_elsewhere_during_the_word_chosen_for_it_and_back_for_one_that_is_hit():
    spots = spots_of(VOICE)
    for seed in range(16):
        plan = planned(seed, hits=(3,), aside=2)
        assert away(plan, spots[2].start - 0.2, spots[2].end)
        before = [look for look in plan.looks if look.at < spots[3].at]
        assert np.linalg.norm(max(before, key=lambda look: look.at).degrees) < 3.5


def test_heads_move_on_in_pauses_and_behind_a_line_but_hold_still_where_that_is_chosen():
    (_, first), (second, last) = VOICE.phrases

    def speed(act):
        turned = [planned(seed, hits=(1,), acts=(act,)).signals[:, :3] for seed in range(48)]
        return np.linalg.norm(np.diff(turned, axis=1), axis=2) * FPS

    spoken = slice(round((second + 0.2) * FPS), round(last * FPS))
    pause = slice(round((first + 0.2) * FPS), round((second - 0.2) * FPS))
    moving, still = speed(""), speed(HOLDS_STILL)
    assert still[:, pause].max() < 2 < np.median(still[:, spoken])
    for silent in (pause, slice(round((last + 0.2) * FPS), None)):
        assert moving[:, silent].mean() > 0.8 * moving[:, spoken].mean()
