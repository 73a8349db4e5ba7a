# SPDX-License-Identifier: GPL-3.0-or-later
"""A direction in words, the most remarkable first; takes by what is seen of them, damaged records
without a word."""

import json

import numpy as np
import pytest

from thunder_core import direction_words
from thunder_core.direction import (
    AXES,
    Direction,
    DIRECTION_NAMES,
    MOOD_NAMES,
    MOODS,
    NEUTRAL,
    Style,
)
from thunder_core.direction_words import (
    AS_DIRECTED,
    AXIS_WORDS,
    choice_of_take,
    NEARLY,
    of_part,
    SEEN,
    TakeChoice,
    word_of_voice,
    words,
    words_of_request,
    words_of_take,
    words_of_takes,
)

USUAL = Direction().vector()


def of(mood=NEUTRAL, strength=0.6, **style):
    return Direction(Style(**style), mood, strength).vector()


def take(reading=USUAL, **more):
    """What a take of the usual direction says of itself."""
    about = {"direction": USUAL.tolist(), "reading": np.asarray(reading).tolist()}
    return about | {"as_asked": False} | more


def test_the_most_remarkable_comes_first_and_a_direction_that_changes_is_said_by_its_mean():
    played = Direction(Style(energy=0.6, jaw=0.88, head=1.5, eyes=0.6), "warm", 0.5).vector()
    assert words(played) == "calm, warm, lively head"
    assert words(played, most=1) == "calm"
    moving = np.stack([Direction(Style(energy=e)).vector() for e in np.linspace(0.5, 0.8, 9)])
    assert words(moving) == "calm"
    assert words(of(articulation=0.5)) == "mumbling"
    assert words(of("sad", 0.8, brows=2.2, frown=2.0)) == "frowning, sad", "one of the brows"


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.name)
def test_both_sides_of_every_axis_have_words_of_their_own(axis):
    less, more = (words(Direction(Style(**{axis.name: axis.value(by)})).vector()) for by in (-2, 2))
    assert less != more and "usual" not in (less, more) and max(len(less), len(more)) <= 18
    assert direction_words.AXIS_WORDS.keys() == {each.name for each in AXES}


@pytest.mark.parametrize("mood", MOOD_NAMES)
def test_every_mood_has_a_word(mood):
    assert words(Direction(mood=mood, strength=0.5).vector()) == mood
    assert words(Direction(mood=mood, strength=0.05).vector()) == "usual"


def test_a_take_says_how_it_was_played_and_what_was_heard_tells_none_from_another():
    about = take(of(smile=0.5), spread=0.5)
    assert words_of_take(about) == NEARLY
    assert words_of_take(about | {"as_asked": True}) == "as directed"
    assert words_of_take(about | {"as_asked": True, "retake": "boxes"}) == "retake of boxes"
    assert words_of_take(take(spread=0.5)) == "as directed"
    moved = USUAL.copy()
    moved[0] = 1.5
    assert words_of_take(take(moved)) == NEARLY
    assert words_of_take(take(moved, requested=moved.tolist())) == AS_DIRECTED


def test_a_take_says_which_words_it_hits_and_what_it_does_in_pauses():
    hits = [[1.4, 1.8, "battle"], [3.0, 3.2, ""]]
    choice = {"hits": hits, "aside": [], "pauses": [[2.0, "looks away"]]}
    about, said = take(of(smile=0.5)), "hits battle and 3.0 s, looks away in the pause"
    for how, words_said in (
        ({}, said),
        ({"choice": json.dumps(choice)}, said),
        ({"as_asked": True}, "as directed"),
        # its mouth is as directed, and the rest hits as before
        ({"moved": "{}", "as_asked": True}, said),
        *(({"choice": damaged}, NEARLY) for damaged in ({}, {"hits": 3}, "{", "3", None)),
        ({"choice": {"hits": [[1]], "aside": [], "pauses": []}}, NEARLY),
    ):
        assert words_of_take(about | {"choice": choice} | how) == words_said, how
    quiet = choice | {"pauses": [], "aside": [[0.2, 0.5, "field"]]}
    assert words_of_take(about | {"choice": quiet}).endswith("3.0 s, looks away on field")
    many = choice | {"hits": [[t, t + 0.3, f"w{t}"] for t in range(5)]}
    assert words_of_take(about | {"choice": many}).startswith("hits w0 and w1 and w2 …, ")
    unknown = [[at, at + 0.3, ""] for at in (0.2, 0.5, 4.0, 8.5)]
    placed = quiet | {"hits": unknown, "aside": [[5.0, 5.2, ""]], "seconds": 9.0}
    assert words_of_take(about | {"choice": placed}) == "looks away in the middle"
    part = of_part(about | {"choice": placed}, 3.5, 5.5)
    assert words_of_take(part) == "hits early and at the end, looks away early"
    moved = about | {"moved": "{}", "as_asked": True}
    assert words_of_take(moved) == "performs another recording"


def test_places_are_said_only_where_they_tell_takes_apart():
    def hitting(*seconds):
        hits = [[at, at + 0.3, ""] for at in seconds]
        return take(of(smile=0.1), choice={"hits": hits, "aside": [], "pauses": [], "seconds": 9.0})

    everywhere, ends = hitting(0.2, 4.0, 8.5), hitting(0.2, 8.5)
    assert set(words_of_takes([everywhere] * 7)) == {NEARLY}
    assert set(words_of_takes([ends] * 7)) == {NEARLY}
    assert words_of_takes([everywhere] * 4 + [ends] * 2) == [
        *[NEARLY] * 4,
        *["hits early and at the end"] * 2,
    ]
    told = words_of_takes([ends, hitting(4.0), everywhere | {"as_asked": True}])
    assert told == ["hits early and at the end", "hits in the middle", AS_DIRECTED]
    assert words_of_take(ends) == "hits early and at the end"
    known = {"hits": [[0.2, 0.5, "eight"]], "aside": [], "pauses": [], "seconds": 9.0}
    assert words_of_takes([take(of(smile=0.1), choice=known)] * 3) == ["hits eight"] * 3


def test_a_take_that_blinks_often_or_rarely_does_so_by_two_blinks_at_least():
    def blinking(*counts, seconds=5.0):
        choice = {"hits": [], "aside": [], "pauses": [], "seconds": seconds}
        rates = (round(60 * count / seconds, 2) for count in counts)
        return words_of_takes(
            [take(of(smile=0.1), choice=choice, seen={"blinks": rate}) for rate in rates]
        )

    assert blinking(1, 1, 1, 2) == [NEARLY] * 4, "one more"
    assert blinking(1, 1, 1, 3) == [*[NEARLY] * 3, "blinks often"]
    assert blinking(1, 2, 3, 5)[3] == "blinks often" and blinking(1, 2, 3, 4)[3] == NEARLY
    assert blinking(0, 2, 2, 3) == ["rarely blinks", *[NEARLY] * 3]
    assert blinking(1, 2, 2, 2) == [NEARLY] * 4
    assert blinking(12, 15, 15, 24, seconds=30.0)[3] == "blinks often"
    assert blinking(12, 12, 12, 13, seconds=30.0) == [NEARLY] * 4


def test_the_choice_of_a_part_is_what_it_plays_and_the_rest_comes_back():
    choice = {"hits": [[1.0, 2.0, "battle"], [3.0, 4.0, "field"]], "aside": [[0.0, 0.5, "a"]]}
    about = take(choice=json.dumps(choice | {"pauses": [[2.5, "nods"]]}))
    part = of_part(about, 1.25, 2.0)  # seconds 1.25 to 3.25
    assert choice_of_take(part) == (((0.25, "battle"),), (), ((1.25, "nods"),), ())
    assert choice_of_take(of_part(part, 1.0, 0.5)) == TakeChoice(pauses=((0.25, "nods"),))
    assert choice_of_take(of_part(part, -1.25, 9.0)) == choice_of_take(about)
    for damaged in ("hits", 3, [[]], [["a"]], [[None, None, "a"]]):
        assert choice_of_take(part | {"choice": choice | {"hits": damaged}}) == TakeChoice()
    assert choice_of_take(about | {"plays": "?"}) == choice_of_take(about)


def test_takes_of_which_the_list_would_say_the_same_are_told_apart():
    def chosen(pauses, ideas):
        choice = {"hits": [[0.1, 0.3, "eight"]], "aside": [], "pauses": pauses, "ideas": ideas}
        return take(of(smile=0.1), choice=choice)

    away, later = [[1.0, "looks away"]], [[2.0, "looks away"]]
    ideas = ((away, "nods"), (later, "turns"), (away, "tilts"))
    takes = [chosen(pauses, ["nods", second]) for pauses, second in ideas]
    assert words_of_takes(takes) == [
        f"hits eight, {second} in phrase 2, looks away in the pause" for _, second in ideas
    ]
    assert words_of_takes([chosen(each, ["nods"]) for each in (away, later)]) == [
        f"hits eight, looks away at {at} s, looks away in the pause" for at in ("1.0", "2.0")
    ]
    assert len(set(words_of_takes(takes[:1] * 2))) == 1, "nothing tells them apart"


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"steps": 20},
        take([1.0]),
        take() | {"reading": "calm"},
        take([float("nan")] * len(DIRECTION_NAMES)),
        take(direction=None),
    ],
)
def test_a_take_that_does_not_tell_has_no_words(about):
    assert words_of_take(about) == ""


def test_words_begin_differently():
    moods = [mood.label.lower() for name, mood in MOODS.items() if name != NEUTRAL]
    seen = [pair for _, pair in SEEN.values()]
    some = [
        AS_DIRECTED,
        NEARLY,
        *moods,
        *{word for pair in (*AXIS_WORDS.values(), *seen) for word in pair if word},
    ]
    assert len({word[:9] for word in some}) == len(some), "a narrow list shows no more of them"


def test_a_word_is_on_the_take_that_stands_out_by_what_is_seen_and_on_no_other():
    jaws, blinks = (14.0, 17.0, 13.0, 13.5, 12.9), (12.0, 11.0, 13.0, 25.0, 12.0)
    takes = [
        take(of(energy=1.3), shown={"energy": 4.0}, seen={"jaw": jaw, "blinks": blink})
        for jaw, blink in zip(jaws, blinks)
    ]
    assert words_of_takes(takes) == [NEARLY, "wide jaw", NEARLY, "blinks often", NEARLY]
    near = [each | {"seen": {"jaw": 13.0 + 0.1 * n}} for n, each in enumerate(takes)]
    assert set(words_of_takes(near)) == {NEARLY}, "nobody would see it"
    ends = [each | {"seen": {"turn": 9.0 * n}} for n, each in enumerate(takes)]
    assert words_of_takes(ends) == ["turned right", NEARLY, NEARLY, NEARLY, "turned left"]
    assert words_of_takes(takes[:2]) == [NEARLY] * 2, "of two none can be told so"
    choice = {"hits": [[0.1, 0.3, "eight"]], "aside": [], "pauses": []}
    both = [each | {"choice": choice} for each in takes]
    assert words_of_takes(both)[1] == "wide jaw, hits eight"
    asked = [takes[0], takes[1] | {"as_asked": True}, *takes[2:]]
    assert words_of_takes(asked)[1] == "wide jaw, as directed"
    for damaged in ("much", {"jaw": "much"}, {"jaw": float("nan")}, 3):
        about = [takes[0] | {"seen": damaged}, *takes[1:]]
        assert words_of_takes(about)[1] == "wide jaw"


@pytest.mark.parametrize(
    "damaged", [{"direction": "calm"}, {"direction": [1.0]}, {"direction": None}, {}]
)
def test_what_was_asked_is_said_where_it_is_known(damaged):
    asked = Direction(Style(energy=0.6), "warm", 0.5).vector()
    assert words_of_request({"direction": asked.tolist()}) == "calm, warm"
    assert (
        words_of_request({"direction": np.stack([asked, asked]).ravel().tolist()}) == "calm, warm"
    ), "on every frame"
    assert (
        words_of_request({"direction": USUAL.tolist(), "original": asked.tolist()}) == "calm, warm"
    ), "that of the take that it is like"
    assert words_of_request({"direction": USUAL.tolist()}) == "" == words_of_request(damaged)
    about = {"as_heard": [0.6], "voice_sounds": [1.0, 0.8, 0.5]}
    assert words_of_request(about | {"direction": USUAL.tolist()}) == "as heard (lively)"
    assert (
        words_of_request(about | {"direction": Direction(Style(smile=1.0)).vector().tolist()})
        == "as heard (lively), smiling"
    )


@pytest.mark.parametrize("heard, word", [
    ([1.0, 1.0, 0.0], "lively"), ([-0.5, -1.0, -0.5], "calm"), ([1.5, -1.0, 0.0], "tense"),
    ([0.5, -0.2, 0.3], "usual"),
    (None, ""), ("loud", ""), ([1.0], ""), ([float("nan")] * 3, "usual"),
])  # fmt: skip
def test_a_voice_has_a_word_and_no_emotion(heard, word):
    assert word_of_voice({"voice_sounds": heard}) == word
    assert word_of_voice({}) == "" and word not in MOODS or word == "tense"
