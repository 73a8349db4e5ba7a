# SPDX-License-Identifier: GPL-3.0-or-later
"""The m, b and p of a text are found in the voice, in order and in time, through an ear that mishears."""

import tracemalloc

import numpy as np
import pytest

from thunder_core.engine.speech.phones import PHONES
from thunder_core.engine.speech.transcript import align, closures_and_words, letters
from thunder_core.errors import BadRequest

# (text, phones with their lengths in rows of 20 ms): as pocketsphinx' dictionary has them.
LINES = {
    "Mary bought a lamp, maybe a map.": "SIL10 M5 EH6 R4 IY5 B4 AO6 T3 AH3 L4 AE6 M4 P4 SIL8 M5 EY6 B4 IY5 AH3 M5 AE7 P5 SIL12",
    "I doubt the climber's thumb hurts": "SIL5 AY7 D4 AW7 T4 DH3 AH3 K4 L4 AY7 M5 ER6 Z4 TH5 AH6 M5 HH4 ER6 T4 S5 SIL9",
    "Photographs of a happy puppy": "SIL6 F5 OW6 T3 AH3 G3 R3 AE6 F4 S4 AH3 V3 AH3 HH4 AE6 P5 IY5 P4 AH6 P4 IY6 SIL8",
}


def belief_of(line, noise=0.0, seed=0, missed=()):
    """Phone probabilities [N, 40] of a line, and the times of its phones [(phone, seconds)]. missed: phones heard as another."""
    rng = np.random.default_rng(seed)
    rows, times = [], []
    for number, token in enumerate(line.split()):
        phone, length = token.rstrip("0123456789"), int(token.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        times.append((phone, (len(rows) + (length - 1) / 2) / 50 + 0.005))
        recognised = "N" if number in missed else phone
        for _ in range(length):
            row = np.full(40, 0.1 / 40)
            row[PHONES.index(recognised)] += 0.9
            row = (1 - noise) * row + noise * rng.dirichlet(np.full(40, 0.3))
            rows.append(row)
    return np.array(rows), times


def bilabials(times):
    """Times of the closures of a line: m and p of “lamp” are one."""
    result, before = [], ""
    for phone, seconds in times:
        if phone in "MBP" and before not in ("M", "B", "P"):
            result.append(seconds)
        before = phone
    return result


@pytest.mark.parametrize("noise", [0.0, 0.4])
@pytest.mark.parametrize("text", LINES)
def test_every_bilabial_is_found_in_time(text, noise):
    belief, times = belief_of(LINES[text], noise)
    placed = closures_and_words(belief, text)[0]
    wanted = bilabials(times)
    assert len(placed) == len(wanted), placed
    late = np.array([c.seconds for c in placed]) - wanted
    assert np.abs(late).max() < 0.06 and late.mean() < -0.015  # lips are shut furthest early in the sound
    assert min(c.sure for c in placed) > 0.4


def test_every_word_has_its_time():
    text = "Mary bought a lamp, maybe a map."
    belief, times = belief_of(LINES[text])
    _, words = closures_and_words(belief, text)
    assert [word for word, *_ in words] == "mary bought a lamp maybe a map".split()
    assert all(start < end for _, start, end in words) and all(a[2] <= b[1] + 0.03 for a, b in zip(words, words[1:]))
    b = next(seconds for phone, seconds in times if phone == "B")
    assert words[1][1] <= b <= words[1][2]


def test_a_bilabial_that_the_ear_missed_is_still_placed():
    text = "Mary bought a lamp, maybe a map."
    recognised = LINES[text].split()
    missed = recognised.index("B4")
    belief, times = belief_of(LINES[text], 0.2, missed=(missed,))
    placed = closures_and_words(belief, text)[0]
    wanted = bilabials(times)
    assert len(placed) == len(wanted)
    place = int(np.argmin(np.abs(np.array(wanted) - times[missed][1])))
    assert abs(placed[place].seconds - wanted[place]) < 0.1 and placed[place].sure < 0.6


def test_letters_that_are_silent_or_another_sound_close_no_lips():
    said = "".join(
        letter.text for letter in letters("A psychic's debt, a phone & a tomb — Émile!") if letter.closes and not letter.may_be_silent
    )
    assert said == "mm"  # of “tomb” and of “Émile”
    assert [letter.text for letter in letters("puppy")] == [" ", "p", "u", "p", "y", " "]


def test_a_closure_knows_the_word_that_it_is_in():
    belief, _ = belief_of(LINES["Mary bought a lamp, maybe a map."])
    placed = closures_and_words(belief, "Máry bought a lamp, may-be a map.")[0]
    assert [(c.text, c.word) for c in placed] == [
        ("m", "mary"),
        ("b", "bought"),
        ("mp", "lamp"),
        ("m", "may"),
        ("b", "be"),
        ("m", "map"),
        ("p", "map"),
    ]


def test_what_is_aligned_is_in_order_and_covers_the_sound():
    belief, _ = belief_of(LINES["Photographs of a happy puppy"], 0.3, seed=3)
    spans = [span for span in align(belief, letters("Photographs of a happy puppy")) if span[0] >= 0]
    assert spans[0][0] == 0 and spans[-1][1] == len(belief)
    assert all(a[1] == b[0] for a, b in zip(spans, spans[1:]))


def test_a_text_that_is_not_said_is_not_sure():
    belief, _ = belief_of("SIL10 S5 IH6 T5 IH6 NG6 S5 T4 IH6 L6 SIL10")
    assert all(c.sure < 0.3 for c in closures_and_words(belief, "bumper to bumper")[0])
    assert closures_and_words(belief, "")[0] == []
    assert closures_and_words(belief, "12 34")[0] == []


def test_a_long_text_costs_a_byte_for_every_letter_and_row_and_an_hour_of_it_is_refused():
    belief = np.random.default_rng(0).dirichlet(np.full(40, 0.05), 1000)
    said = letters("maybe a lamp " * 100)
    tracemalloc.start()
    try:
        align(belief, said)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * len(belief) * len(said) + 2_000_000
    hour = np.lib.stride_tricks.as_strided(belief, (180_000, 40), (0, 8))
    with pytest.raises(BadRequest, match="choose a shorter strip"):
        closures_and_words(hour, "maybe a lamp " * 2000)[0]
