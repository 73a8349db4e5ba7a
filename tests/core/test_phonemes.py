# SPDX-License-Identifier: GPL-3.0-or-later
"""A text's language is told by its words and script, its words are read as sounds, and what is said
of rounding reaches the phones that takes are sampled by."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from made_belief import belief_of

from research.harness import ROOT
from thunder_core import languages, spoken
from thunder_core.engine.speech.cues import carry_rounding
from thunder_core.engine.speech.encoder import softmax
from thunder_core.engine.speech.phonemes import is_here, LONGEST, pronounce, read_kana
from thunder_core.engine.speech.transcript import (
    find_text,
    follow,
    is_followed,
    letters,
    sounds,
    unread,
)
from thunder_core.spoken import BILABIALS, PHONES, ROUNDED, split

TEXTS = {
    "en": "Who can forgive such a foolish thief?", "de": "Fünf schöne Vögel sind über dem Dorf.",
    "fr": "Où est la lune? Je ne sais pas.", "es": "¿Dónde está la biblioteca?",
    "it": "Mi piace il gelato.", "pt": "Eu não sei.", "nl": "Ik weet het niet.",
    "sv": "Jag vet inte.", "da": "Jeg ved det ikke.", "fi": "En tiedä mitä se on.",
    "pl": "Nie wiem, gdzie jest.", "cs": "Dobrý den, jak se máte?", "hu": "Nem tudom, hol van.",
    "ro": "Nu știu unde este.", "tr": "Bugün hava çok güzel.", "id": "Saya tidak tahu.",
    "hr": "Ne znam gdje je.", "vi": "Tôi không biết.", "el": "Η μαμά μου", "uk": "Мама і тато",
    "bg": "Къде е майка ми?", "zh": "妈妈把苹果放在门旁边。", "ko": "아버지가 방에 들어가신다",
    "hi": "मेरी माँ बाज़ार में", "fa": "سلام، حال شما چطور است؟ گل", "ja": "ままは、ぱんを食べて",
}  # fmt: skip


def test_espeak_is_here():
    assert is_here()


@pytest.mark.parametrize("code", TEXTS)
def test_the_language_of_a_text_is_told_and_read(code):
    text = TEXTS[code]
    assert languages.guess(text) == (code, True) and is_followed(text)
    said = pronounce(tuple(split(text)), code)
    read = [bool(word) for word in said]
    assert all(read) or (code == "ja" and read.count(False) == 1), "kanji alone are not read"
    assert {phone for word in said for each in word for phone in each.phones} <= {*PHONES}
    assert not spoken.is_other_script(text)


DEEP = """
import espeakng_loader
from thunder_core.engine.speech import transcript
espeakng_loader.get_data_path = lambda: {deep!r}
print(transcript.unread("Hello"), transcript.unread("学校"), transcript.sounds("Hello"))
"""


def test_without_its_data_letters_stand_for_sounds_and_that_is_said(tmp_path):
    """Where they lie too deep for espeak-ng: another call would end the process."""
    code = DEEP.format(deep=str(tmp_path / ("x" * 160)))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["sounds", "sounds", "None"] and done.returncode == 0
    assert unread("Hello") == unread("学校", "zh") == ""


@pytest.mark.parametrize("text", ["Мама мыла раму", "مرحبا بكم", "แม่พาพี่", "", "1984"])
def test_a_text_in_no_language_that_is_read_keeps_its_letters(text):
    assert languages.guess(text)[0] == "" and sounds(text) is None
    assert sounds(text, "ru") is None, "Russian has no dictionary here"


def test_a_chosen_language_is_read_instead_of_the_guessed_one():
    text = ("rue",)
    assert pronounce(text, "en")[0][-1].name == "u" and pronounce(text, "fr")[0][-1].name == "y"


def test_words_keep_their_places_whatever_is_written():
    text = "In 1984, from the U.S.: it's twenty-one x_y 妈 ‘’ \0 [[h]] <b>"
    names = tuple(split(text))
    said = pronounce(names, "en")
    assert len(said) == len(names)
    assert len(said[names.index("1984")]) > 10 and not said[names.index("妈")]
    assert pronounce(("a" * 5000, "b"), "en")[1] and pronounce(("a",) * (LONGEST + 1), "en") is None


def test_function_words_are_not_stressed_in_a_sentence():
    said = pronounce(tuple("to you from the foolish room".split()), "en")
    stressed = [any(each.is_stressed for each in word) for word in said]
    assert stressed == [False, False, False, False, True, True]


def test_threads_read_one_after_the_other():
    lines = [(tuple(split(TEXTS[code])), code) for code in TEXTS for _ in range(4)]
    expected = [pronounce(*line) for line in lines]
    pronounce.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda line: pronounce.__wrapped__(*line), lines)) == expected


@pytest.mark.parametrize(
    "word, said",
    [("き", "k i"), ("きゃ", "k j a"), ("し", "ɕ i"), ("しゃ", "ɕ a"), ("つ", "ts ɯ"), ("チー", "tɕ i"),
     ("っ", ""), ("ん", "n"), ("フィ", "ɸ i"), ("ぱん", "p a n"), ("漢", ""), ("ｶ", "k a")],
)  # fmt: skip
def test_kana_are_read_by_their_names(word, said):
    assert " ".join(each.name for each in read_kana(word)) == said


def test_small_kana_stay_with_theirs():
    assert split("がっこう、キャンプ") == ["がっ", "こ", "う", "キャ", "ン", "プ"]
    assert (
        spoken.has_kanji("ままは食べて")
        and not spoken.has_kanji("ままは")
        and not spoken.has_kanji("妈妈")
    )


def test_a_vowel_lasts_60_ms_and_a_long_one_100():
    said = sounds("A foolish thief sits there")
    rows = [each.rows for each in said if each.text in "uɪi"]
    assert max(rows) == 5 and min(rows) >= 2
    assert [each.rows for each in letters("foolish") if each.text == "oo"] == [5]


FOOLISH = "SIL9 S5 AH6 CH5 AH4 F8 L6 IH5 SH6 TH5 IY7 F6 SIL9"


def rounding(logits):
    return softmax(logits)[:, ROUNDED].sum(1)


@pytest.mark.parametrize("language", ["", "ru"])  # by its sounds, and by its letters
def test_a_swallowed_oo_is_raised_to_what_people_show(language):
    """As flite swallows it: F, and then L."""
    belief, times = belief_of(FOOLISH)
    followed, found = follow(np.log(belief), "such a foolish thief", language)
    assert all(word.is_found for word in found)
    start = round(50 * next(at for phone, at in times if phone == "L")) - 6
    near = rounding(followed)[start : start + 10]
    assert (near > 0.5).sum() >= 3 and near.max() < 0.65
    assert rounding(np.log(belief)).max() < 0.1
    elsewhere = np.delete(rounding(followed), np.arange(start - 4, start + 14))
    assert elsewhere.max() < 0.1


def test_rounding_of_an_unstressed_word_is_not_raised():
    belief, _ = belief_of("SIL9 AY8 W5 AO7 N4 T5 T4 AH3 S5 IY8 SIL9")
    followed, found = follow(np.log(belief), "I want to see")
    to = found[2]
    assert (
        to.text == "to"
        and rounding(followed)[round(50 * to.start) + 3 : round(50 * to.end)].max() < 0.3
    )


def test_a_right_text_lowers_no_rounding_that_is_heard():
    belief, times = belief_of(FOOLISH)
    row = round(50 * next(at for phone, at in times if phone == "L")) - 1
    belief[row] = 0.7 * belief[row] + 0.3 * np.eye(40)[PHONES.index("UH")]
    followed, _ = follow(np.log(belief), "such a foolish thief")
    assert rounding(followed)[row] >= belief[row, ROUNDED].sum() - 1e-6


def test_words_that_a_voice_leaves_out_are_not_found():
    belief, _ = belief_of(FOOLISH)
    _, found, matches = find_text(belief, "such a foolish nineteen hundred thief")
    assert matches and [word.text for word in found if not word.is_found] == ["nineteen", "hundred"]


def test_rounding_is_carried_into_consonants_before_it_and_no_further():
    belief, times = belief_of("SIL9 S5 AH6 B6 L2 UW8 SIL9 K5 AE6 T5 SIL9")
    carried = carry_rounding(belief)
    assert np.allclose(carried.sum(1), belief.sum(1))
    more = (carried - belief)[:, ROUNDED].sum(1)
    rows = np.cumsum([9, 5, 6, 6, 2, 8])
    lateral, b, vowel = slice(rows[3], rows[4]), slice(rows[2], rows[3]), slice(rows[1], rows[2])
    assert more[lateral].min() > 0.2 and more.max() <= 0.5 and more[b][-1] > 0.02
    assert not more[: rows[4] - 3].any() and not more[vowel].any()
    assert carried[b][:, BILABIALS].sum(1).min() > 0.6, "lips still meet"
    assert np.abs(more[rows[4] :]).max() < 0.05, "not into what is behind it"
    quiet, _ = belief_of("SIL9 S5 AE6 T5 IY6 SIL9")
    assert np.array_equal(carry_rounding(quiet), quiet), "without rounding all stays to the bit"


def test_names_of_dictionaries_are_those_of_the_package():
    assert len(languages.VOICES) == 26 and all(
        re.fullmatch(r"[a-z-]+", v) for v in languages.VOICES.values()
    )
