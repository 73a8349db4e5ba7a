# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds when a voice says the words of a text, and their m, b and p, by aligning its sounds with
the encoder's phones. Also the sounds that the encoder recognises, one after the other.

The sounds are those of the text's language (`phonemes`), or else its letters: spelling says little
about vowels and much about lips, since in most languages an m, b or p that is written is spoken.
Each may be heard as any of the phones it is commonly read as; the likeliest path through them, by
the encoder's phones, shows when each is spoken (Viterbi's algorithm). Letters may be silent at a
price, bilabials only where spelling has silent ones. Words of which nothing tells the sounds are
placed by their length. What a sound is never heard as can then be ruled out, and m, b, p, and
rounding that is hardly heard, raised (`follow`), so that takes miss fewer of them
(research/transcripts.py).
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, groupby, pairwise
from typing import NamedTuple

import numpy as np

from ... import languages
from ...face.moving.lips import AHEAD
from ...protocol import KANJI, SOUNDS
from ...spoken import (
    BILABIALS as _BILABIALS,
    DENTALS,
    is_unknown_alphabet,
    LABIODENTALS,
    PHONES,
    ROUNDED,
    SILENCE,
    split,
    Word,
)
from ...timings import Times
from . import kanji
from .cues import raise_to_clear, SURE
from .encoder import softmax
from .phonemes import is_here, Phoneme, pronounce

RATE = 50.0  # rows of the encoder's phones per second
_LEAST_CLOSURE = 2  # of these, of an m, b or p: a shorter one is lost between frames
_VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"
_READ = {
    **dict.fromkeys("ae", _VOWELS), "i": f"{_VOWELS} Y", "o": f"{_VOWELS} W", "u": f"{_VOWELS} Y W",
    "y": f"{_VOWELS} Y", "b": "B P", "p": "P B", "m": "M", "f": "F V", "v": "V F",
    "w": "W V UW AW OW", "t": "T D CH SH", "d": "D T DH JH", "n": "N NG", "l": "L", "r": "R ER",
    "s": "S Z SH ZH", "z": "Z S ZH", "c": "K S CH SH", "k": "K G", "q": "K", "g": "G JH K NG ZH",
    "j": "JH Y ZH HH", "h": "HH SH CH F", "x": "K S Z G",
    # two that are one sound together: “phone”, “them”, “who” (and rarely not: “haphazard”,
    # “hothouse”)
    "ph": "F V P", "th": "TH DH T", "wh": "W HH", "oo": "UW UH OW AO AH W",
}  # fmt: skip
# Letters of other alphabets as those above; letters of alphabets that are not here, and digits, may
# be any sound.
_LATIN = str.maketrans(
    dict(zip("абвгдезиклмнопрстуфхыэіαβγδεζηικλμνξοπρσςτυφω",
             "abvgdeziklmnoprstufhyeiavgdeziiklmnxoprsstufo"))
    | {"ж": "zh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "sh", "ю": "yu", "я": "ya", "θ": "th",
       "χ": "h", "ψ": "ps", "ß": "ss", "ø": "o", "ł": "l", "ъ": "", "ь": "", "'": "", "’": ""}
)  # fmt: skip
# probability of a letter that may be any sound: lower than that of one that is heard, so that it
# takes no other's rows
_ANY_SOUND = 0.4
# sounds that only lips tell apart: what those letters may be heard as → what it is
_SOUND_ALIKE = {"th": {"F": "TH", "V": "DH"}}
BILABIALS = "mbp"
# Spellings in which one of the letters m, b, p is silent, or not bilabial: pattern → index of that
# letter.
_SILENT = (
    (r"mb(?![a-z])", 1), (r"bt", 0), (r"(?<![a-z])p(?=[snt])", 0), (r"pt(?![a-z])", 0),
)  # fmt: skip
_SKIP = -4.0  # log probability of skipping a letter
_UNLIKELY = -7.0  # lowest log likelihood, since the encoder may be wrong in any frame
# a letter that is often silent closes the lips only if a bilabial is at least this probable
_LEAST_PROBABILITY = 0.3
# Letters that are followed at once, a third of them behind the likeliest: more than a minute of
# speech; a byte for each letter and row.
_BAND = 1200
# seconds by which words are found later than by pocketsphinx, median of validation voices
# (research/words_aligned.py)
LATE = 0.01
# Rows around the times that a file tells of a word or sound in which it is looked for, and log
# probability of a row of it elsewhere.
_AROUND_TIMES, _ELSEWHERE = 2, -12.0
# log probability of a word of the text that the voice leaves out
_LEFT_OUT = -20.0
# probability of speech that the text leaves out, between its words
_UNTOLD = 0.25
# How a text is compared with a voice: the probability of speech that it leaves out, and the mean
# log probability of the letters, over the rows that they are spoken in, above which it matches. Of
# 94 validation lines all match their text, all of these voices' last two thirds the whole text, and
# 94 % of the voices the text's first two thirds; no texts of other lines match.
_WAYS = ((0.0, -0.75), (_UNTOLD, -0.43))
# The same of sounds. Of 244 validation lines, read and accented, 243 match their text, and 0.6 % of
# texts of other lines match; of 120 lines of a synthesiser in six scripts 119 and 2.9 %. Vietnamese
# is least like what the encoder knows.
_WAYS_OF_SOUNDS = ((0.0, -1.05), (_UNTOLD, -0.45))
_WAYS_OF_VIETNAMESE = ((0.0, -1.25), (_UNTOLD, -0.45))
_MOST_SAID = 0.8  # share of words said with which the first way is enough
# Change of the log probability of phones that a letter is never read as, and where it closes the
# lips. Firmer ones find no more of the m, b, p, f, v and th of validation voices.
_RULED_OUT, _RULED_OUT_BY_LIPS = np.log(0.03), np.log(0.01)


# A word's confidence is a mean over its sounds, of square roots, so that one that is misheard
# counts less, and over two more of this probability, since one or two sounds tell little.
_USUALLY, _AS_MANY = 0.9, 2
# Confidence in a word above which takes follow it: lower than that at which it counts as found, as
# accents make some words hard to know and closures that are missed are seen first.
_HEARD = 0.3
# A text lowers no w, oo or o within so many rows of a sound that may be one.
_NEAR_ROUND = 5
# phones on which lips or tongue meet teeth or each other
_CONTACTS = (*_BILABIALS, *LABIODENTALS, *DENTALS)
# Probability to which rounding is raised behind the first quarter of a sound where it is hardly
# heard: more, or earlier, would round lips further than people's, who do so least there.
_AS_ROUND = 0.55
# Least rows of a vowel, of one that is long and stressed, and of w. In 80 ms lips do not get round;
# with 100 words of validation voices are found as well (a third of their long vowels are shorter).
_VOWEL, _LONG_VOWEL, _GLIDE = 3, 5, 2
_AS_WRITTEN = {
    PHONES.index(name): sound for name, sound in zip("UW UH W OW".split(), ("oo", "oo", "w", "o"))
}
# phone that lips make of a rounded sound
_ROUND_PHONE = {
    "w": "W", "ɥ": "W", "u": "UW", "y": "UW", "ʊ": "UH", "ʏ": "UW", "o": "OW", "oʊ": "OW",
    "əʊ": "OW", "ø": "OW", "œ": "OW",
}  # fmt: skip


@dataclass(frozen=True)
class Letter:
    """A sound, a letter that stands for one, or the pause between words: phones it may be (none:
    any), whether it may be silent, whether the lips close for it, the number of its word in the
    text; the phone that lips round for, −1 for none, whatever is heard; and how many rows of 20 ms
    it lasts at least."""

    text: str
    phones: tuple[int, ...]
    may_be_silent: bool
    closes: bool
    number: int = -1
    rounds: int = -1
    rows: int = 1


@dataclass(frozen=True)
class Closure:
    """The lips close for `text` (m, b, p, or several run together) at `seconds`; sure: 0 … 1, how
    well the voice bears it out; number: of the word that it is in, the first of several."""

    text: str
    seconds: float
    sure: float
    number: int = -1


def letters(text: str) -> list[Letter]:
    """A text as letters without accents, with a pause around each word; double letters are one."""
    return _with_pauses(
        _letters_of(_plain(word), number) for number, word in enumerate(split(text))
    )


def is_followed(text: str, language: str = "") -> bool:
    """Whether lips can follow a text here: its sounds are known, or its letters stand for some."""
    return not is_unknown_alphabet(text) or sounds(text, language) is not None


def unread(text: str, language: str = "") -> str:
    """What of a text is not read here though it might be: KANJI, or SOUNDS where espeak-ng cannot
    be used; "" for nothing."""
    if kanji.are_unread(text, language):
        return KANJI
    is_of_espeak = (language or languages.guess(text)[0]) in languages.VOICES
    return SOUNDS if is_of_espeak and not is_here() else ""


def _with_pauses(words: Iterable[Iterable[Letter]]) -> list[Letter]:
    pause = Letter(" ", (SILENCE,), True, False)
    return [pause, *chain.from_iterable([*word, pause] for word in words)]


def _plain(word: str) -> str:
    return "".join(
        c for c in unicodedata.normalize("NFKD", word.lower()) if not unicodedata.combining(c)
    ).translate(_LATIN)


def sounds(text: str, language: str = "") -> list[Letter] | None:
    """The sounds of a text, with a pause around each word, in a language ("": the one that it seems
    to be written in); None where nothing tells them."""
    words, language = split(text), language or languages.guess(text)[0]
    spoken = pronounce(kanji.in_kana(text, language), language) if words else None
    if spoken is None or not any(spoken):
        return None
    return _with_pauses(
        _sounds_of(sounds, number) if sounds else _letters_of(_plain(word), number)
        for number, (word, sounds) in enumerate(zip(words, spoken))
    )


def _sounds_of(word: tuple[Phoneme, ...], number: int) -> Iterator[Letter]:
    """The sounds of a word, the text's `number`."""
    is_stressed = any(each.is_stressed for each in word)
    for before, each in zip((None, *word), word):
        if before is not None and before.name == each.name:
            continue
        closes = each.name in BILABIALS
        rounds = _ROUND_PHONE.get(each.name) if is_stressed else None
        is_full = each.is_vowel and not each.is_reduced
        rows = (
            1 if not is_full and each.name not in "wɥ"
            else _GLIDE if not each.is_vowel
            else _LONG_VOWEL if each.is_long and each.is_stressed
            else _VOWEL if each.is_stressed
            else 2
        )  # fmt: skip
        yield Letter(
            "th" if each.name in "θð" else each.name, _indices(*each.phones),
            not (closes or is_full or each.name in "fvwɥ"), closes, number,
            -1 if rounds is None else PHONES.index(rounds), rows,
        )  # fmt: skip


def _letters_of(plain: str, number: int) -> Iterator[Letter]:
    """The letters of a word in plain letters, the text's `number`."""
    silent = {
        match.start() + place for pattern, place in _SILENT for match in re.finditer(pattern, plain)
    }
    for place, letter in enumerate(plain):
        if place and (plain[place - 1] == letter or plain[place - 1 : place + 1] in _READ):
            continue
        pair = plain[place : place + 2]
        name = pair if pair in _READ else letter
        closes, is_round = name in BILABIALS, name == "oo"
        yield Letter(
            name, _indices(*_READ.get(name, "").split()),
            len(name) == 1 and not closes or place in silent, closes, number,
            PHONES.index("UW") if is_round else -1, _LONG_VOWEL if is_round else 1,
        )  # fmt: skip


def _indices(*names: str) -> tuple[int, ...]:
    return tuple(PHONES.index(name) for name in names)


def align(
    belief: np.ndarray,
    sequence: list[Letter],
    untold: float = 0.0,
    omits: bool = False,
    windows: np.ndarray | None = None,
) -> list[tuple[int, int]]:
    """First and last row [start, end) of each letter along phone probabilities [N, 40] at 50 Hz;
    (−1, −1) for silent ones.

    untold: probability of speech between words that the text leaves out.  omits: the voice may
    leave out any word, at its beginning and end too.  windows: rows [letters, 2] outside which a
    letter is hardly looked for.

    Takes a byte for every row and letter (as often as this lasts rows), or for _BAND letters around
    the likeliest where there are more.
    """
    numbers = np.repeat(np.arange(len(sequence)), [letter.rows for letter in sequence])
    states = [sequence[number] for number in numbers]
    count, rows = len(states), len(belief)
    if not count or not rows:
        return [(-1, -1)] * len(sequence)
    if windows is not None:
        windows = windows[numbers]
    # letters that sound alike are looked up once
    of_letters = [letter.phones + _indices(*_SOUND_ALIKE.get(letter.text, ())) for letter in states]
    kinds = list(dict.fromkeys(of_letters))
    # [N, kinds]
    likely = np.log(
        np.maximum(
            np.stack([_likely(belief, phones) for phones in kinds], axis=1), np.exp(_UNLIKELY)
        )
    )
    pause = np.array([letter.text == " " for letter in states])
    if untold:
        silent = kinds.index((SILENCE,))
        likely[:, silent] = np.maximum(likely[:, silent], np.log(untold))
    kind = np.array([kinds.index(phones) for phones in of_letters])
    may_skip = np.array([letter.may_be_silent for letter in states])
    price = np.where(pause, 0.0, _SKIP)
    # Reaching a letter over silent ones costs their price; only letters that may be silent can be
    # passed over.
    # letters with which the sound may begin
    first = count if may_skip.all() else int(may_skip.argmin()) + 1
    score = np.full(count, -np.inf)
    score[:first] = np.cumsum([0.0, *price[: first - 1]]) + likely[0, kind[:first]]
    if windows is not None:
        score[windows[:, 0] > 0] += _ELSEWHERE
    width = min(count, _BAND)
    back = np.zeros((rows, width), np.int8)  # how many letters back each candidate from
    lows = np.zeros(rows, np.int64)  # the first letter that is followed in each row
    for row in range(1, rows):
        low = lows[row] = min(max(lows[row - 1], int(score.argmax()) - width // 3), count - width)
        band = slice(low, low + width)
        best, back[row] = _reach(score[band], may_skip[band], price[band])
        if omits:
            _leave_words_out(score[band], best, back[row], np.flatnonzero(pause[band]))
        score = np.full(count, -np.inf) if low else score
        score[band] = best + likely[row, kind[band]]
        if windows is not None:
            first, behind = windows[band].T
            score[band] += np.where((row < first) | (row >= behind), _ELSEWHERE, 0.0)
    path = np.empty(rows, np.int64)
    path[-1] = _end(score, may_skip, price)
    for row in range(rows - 1, 0, -1):
        path[row - 1] = path[row] - back[row, path[row] - lows[row]]
    # a path never goes back
    said, each = numbers[path], np.arange(len(sequence))
    starts, ends = (np.searchsorted(said, each, side) for side in ("left", "right"))
    return [(int(start), int(end)) if end > start else (-1, -1) for start, end in zip(starts, ends)]


def _likely(belief: np.ndarray, phones: tuple[int, ...]) -> np.ndarray:
    """Probability of a letter that may be `phones` in every row [N]."""
    return (
        belief[:, list(phones)].sum(axis=1)
        if phones
        else np.where(belief[:, SILENCE] > 0.5, 0.0, _ANY_SOUND)
    )


def _reach(
    score: np.ndarray, may_skip: np.ndarray, price: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The best score with which each letter [W] is reached from the row before, and from how many
    letters back: from itself, the one before, or from further back over letters that may be silent,
    at most three in a row."""
    best, source = score.copy(), np.zeros(len(score), np.int8)
    passed, open_, places = np.zeros(len(score)), np.ones(len(score), bool), np.arange(len(score))
    for step in range(1, 5):
        candidate = np.full(len(score), -np.inf)
        candidate[step:] = score[:-step]
        candidate = np.where(open_, candidate + passed, -np.inf)
        better = candidate > best
        best, source = np.where(better, candidate, best), np.where(better, np.int8(step), source)
        # To come from one further back, the letter in between has to be silent.
        between = np.maximum(places - step, 0)
        open_ &= may_skip[between]
        passed = passed + price[between]
    return best, source


def _leave_words_out(
    score: np.ndarray, best: np.ndarray, source: np.ndarray, pauses: np.ndarray
) -> None:
    """Let pauses be reached from those before them, without the word in between, in place."""
    steps = np.diff(pauses)
    pauses, before = pauses[1:], pauses[:-1]
    candidate = score[before] + _LEFT_OUT
    better = (candidate > best[pauses]) & (steps < np.iinfo(source.dtype).max)
    best[pauses[better]] = candidate[better]
    source[pauses[better]] = steps[better]


def _end(score: np.ndarray, may_skip: np.ndarray, price: np.ndarray) -> int:
    """The letter with which the sound ends: the text's last, except for letters that may be silent
    at its end."""
    behind = np.where(may_skip, price, -np.inf)[:0:-1].cumsum()[::-1]
    total = score + np.append(behind, 0.0)
    # a text that is far too long for the sound ends anywhere
    return int(total.argmax() if np.isfinite(total).any() else score.argmax())


# the letters or sounds of words that a voice says, and the rows [start, end) of each
Placed = list[tuple[Letter, int, int]]


class FoundText(NamedTuple):
    """A text in a voice. spoken: the letters or sounds of its words that the voice says, and their
    rows.  words: in order; one that was not found at all begins and ends where
    the one before it ends.  matches: whether the voice seems to say it, or a part of it, or it a
    part of what the voice says."""

    spoken: Placed
    words: list[Word]
    matches: bool


@dataclass(frozen=True)
class Rounding:
    """Lips round for `text` (“oo”, “w” or “o”) of a word between two times, seconds."""

    text: str
    start: float
    end: float
    word: str


def roundings(found: FoundText) -> list[Rounding]:
    """Where lips round for a text that the voice says, in its words that are found."""
    return [
        Rounding(_AS_WRITTEN[letter.rounds], start / RATE, end / RATE, word.text)
        for letter, start, end in found.spoken
        if found.matches and letter.rounds >= 0 and (word := found.words[letter.number]).is_found
    ]


def timed_sounds(belief: np.ndarray, times: Times) -> list["Sound"]:
    """The sounds that a file tells the times of, from phone probabilities [N, 40] at 50 Hz: of the
    phones that each may be, how likely one is compared with the others."""
    result = []
    for names, start, end in times.sounds:
        first = min(int(start * RATE), len(belief) - 1)
        chances = belief[first : max(first + 1, round(end * RATE)), _indices(*names)].mean(0)
        chances = chances / max(float(chances.sum()), 1e-6)
        phone, *others = sorted(zip(names, chances.tolist()), key=lambda each: -each[1])
        result.append(Sound(phone[0], start, end, phone[1], tuple(others)))
    return result


def follow(
    logits: np.ndarray, text: str, language: str = "", times: Times | None = None
) -> tuple[np.ndarray | None, list[Word]]:
    """Phone logits [N, 40] at 50 Hz, in which phones that the sounds of a text are never heard as
    are unlikely where these are spoken, its m, b and p are clear and its lips round, and the words
    of the text; None in place of the logits if the voice does not seem to say it. times: as of
    `find_text`.

    Words that are not found leave them as they are.
    """
    belief = softmax(logits)
    spoken, words, matches = find_text(belief, text, language, times)
    if not matches:
        return None, words
    result = logits.copy()
    near_round = np.zeros(len(logits), bool)
    for letter, start, end in spoken:
        if set(letter.phones) & set(ROUNDED):
            near_round[max(0, start - _NEAR_ROUND) : end + _NEAR_ROUND] = True
    for letter, start, end in spoken:
        if letter.phones and words[letter.number].sure >= _HEARD:
            _say(result, belief, letter, start, end, near_round)
    return result, words


def _say(
    result: np.ndarray, belief: np.ndarray, letter: Letter, start: int, end: int,
    near_round: np.ndarray,
) -> None:  # fmt: skip
    """Have phone logits [N, 40] say a letter in its rows, in place. belief: what is heard.
    near_round: rows near sounds that may round, where rounding that is heard stays."""
    likely = _likely(belief, letter.phones)
    while letter.closes and end - start < _LEAST_CLOSURE and 0 < start and end < len(likely):
        is_earlier = likely[start - 1] > likely[end]
        start, end = start - is_earlier, end + (not is_earlier)
    for both in _SOUND_ALIKE.get(letter.text, {}).items():
        heard, meant = result[start:end, _indices(*both)].T
        result[start:end, PHONES.index(both[1])] = np.logaddexp(heard, meant)
    # of sounds that lips round for contacts alone: ruling out what else is heard in them would
    # round lips further than people's
    others = range(len(PHONES)) if letter.rounds < 0 else _CONTACTS
    ruled_out = np.setdiff1d(others, (*letter.phones, SILENCE))
    kept = result[start:end, ROUNDED]
    result[start:end, ruled_out] += _RULED_OUT_BY_LIPS if letter.closes else _RULED_OUT
    if not letter.closes:
        result[start:end, ROUNDED] = np.where(
            near_round[start:end, None], kept, result[start:end, ROUNDED]
        )
    share = softmax(result[start:end])[:, letter.phones].sum(1)
    if letter.closes and not letter.may_be_silent and share.max() <= SURE:
        # swallowed: lips are seen to close for it all the same
        result[start:end, letter.phones] += raise_to_clear(share)[:, None]
    if letter.rounds >= 0:  # and to round, behind its first quarter
        rows = slice(start + (end - start) // 4, end)
        heard = softmax(result[rows])
        round_, share = heard[:, ROUNDED].sum(1), heard[:, letter.rounds]
        lacks = np.maximum(_AS_ROUND / (1 - _AS_ROUND) * (1 - round_) - round_, 0)
        result[rows, letter.rounds] += np.log1p(lacks / np.maximum(share, 1e-9))


def find_text(
    belief: np.ndarray, text: str, language: str = "", times: Times | None = None
) -> FoundText:
    """A text in a voice of these phone probabilities [N, 40] at 50 Hz, in the way that matches
    best. Letters stand for sounds where these are not known, or the voice does not say them so.
    times: when a file tells that its words are said; these have them then, unless the voice says
    them at others."""
    spoken = sounds(text, language)
    times = times if times is not None and len(times.words) == len(split(text)) else None
    if spoken is None and is_unknown_alphabet(text):
        sequence = letters(text)
        places = _share_out(belief, sequence)
        said = _spoken(sequence, places)
        words = [
            replace(word, sure=float(word.end > word.start))
            for word in _find_words(belief, text, sequence, said)
        ]
        return FoundText(said, _at(times, words), True)
    tried = []
    guessed, is_told = languages.guess(text)
    is_certain = spoken is not None and (language != "" or is_told)
    of_sounds = _WAYS_OF_VIETNAMESE if (language or guessed) == "vi" else _WAYS_OF_SOUNDS
    for each, ways in ((spoken, of_sounds), (letters(text), _WAYS)):
        if each is None or (each is not spoken and is_certain):
            continue
        windows = None if times is None else _windows(times, each)
        tried.append(_best_way(belief, text, each, ways, windows))
        if tried[-1][0] > 0:
            break
    better, said, words = max(tried, key=lambda way: way[0])
    if times is not None and better <= 0:  # of another recording: the voice alone tells
        return find_text(belief, text, language)
    return FoundText(said, _at(times, words), better > 0)


def _spoken(sequence: list[Letter], places: list[tuple[int, int]]) -> Placed:
    return [
        (letter, *place)
        for letter, place in zip(sequence, places)
        if place[0] >= 0 and letter.number >= 0
    ]


def _at(times: Times | None, found: list[Word]) -> list[Word]:
    """Words at the times that a file tells."""
    if times is None:
        return found
    return [replace(word, start=a, end=b) for word, (a, b) in zip(found, times.words)]


def _windows(times: Times, sequence: list[Letter]) -> np.ndarray:
    """The rows [letters, 2] of each letter of a text whose words have these times: those of its
    word, or of the sound of a file that it can be where this has as many of its kind there. Pauses
    may be anywhere."""
    result = np.tile([0, np.iinfo(np.int64).max], (len(sequence), 1))
    middles = np.array([(start + end) / 2 for _, start, end in times.sounds])
    for number, letters_of in groupby(range(len(sequence)), lambda n: sequence[n].number):
        if number < 0:
            continue
        places, (start, end) = list(letters_of), times.words[number]
        result[places] = _rows_around(start, end)
        near = slice(*np.searchsorted(middles, (start, end)).tolist())
        for kind in (_BILABIALS, LABIODENTALS, ROUNDED):
            heard = [each for each in times.sounds[near] if set(_indices(*each[0])) <= set(kind)]
            spelled = [n for n in places if set(sequence[n].phones) & set(kind)]
            for n, (_, begin, stop) in zip(spelled, heard) if len(spelled) == len(heard) else ():
                result[n] = _rows_around(begin, stop)
    return result


def _rows_around(start: float, end: float) -> tuple[int, int]:
    first = round(start * RATE) - _AROUND_TIMES
    return max(0, first), max(first + 2 * _AROUND_TIMES + 1, round(end * RATE) + _AROUND_TIMES)


def _best_way(
    belief: np.ndarray,
    text: str,
    sequence: list[Letter],
    ways: tuple[tuple, ...],
    windows: np.ndarray | None = None,
) -> tuple[float, Placed, list[Word]]:
    """By how much a sequence matches better than it has to in the best of several ways, what of it
    is spoken, and the text's words."""
    tried = []
    is_long = sum(letter.rows for letter in sequence) > _BAND
    for untold, least in ways[: 1 if is_long else len(ways)]:
        places = align(belief, sequence, untold, True, windows)
        said = _spoken(sequence, places)
        found = _find_words(belief, text, sequence, said)
        better = _fit(belief, said) - least
        tried.append((better, said, found))
        if better > 0 and np.mean([word.is_found for word in found]) >= _MOST_SAID:
            break
    return max(tried, key=lambda each: each[0])


def _share_out(belief: np.ndarray, sequence: list[Letter]) -> list[tuple[int, int]]:
    """Rows [start, end) of letters that nothing tells the sound of: equal shares of those in which
    somebody speaks."""
    rows = np.flatnonzero(belief[:, SILENCE] < 0.5)
    said = np.cumsum([0, *(letter.number >= 0 for letter in sequence)])
    edges = said * len(rows) // max(1, int(said[-1]))
    return [
        (int(rows[start]), int(rows[end - 1]) + 1) if end > start else (-1, -1)
        for start, end in pairwise(edges.tolist())
    ]


def likelihood(belief: np.ndarray, text: str) -> float:
    """Mean log probability of a text over all rows: of its letters, and of silence, or of what it
    leaves out, around its words; −inf where none of it is spoken."""
    sequence = letters(text)
    said = _spoken(sequence, align(belief, sequence, untold=_UNTOLD))
    likely = np.log(np.maximum(belief[:, SILENCE], _UNTOLD))
    for letter, start, end in said:
        likely[start:end] = _log_likely(belief[start:end], letter)
    return float(likely.mean()) if said else -np.inf


def _fit(belief: np.ndarray, said: Placed) -> float:
    """Mean log probability of letters at their places; −inf of none."""
    rows = [_log_likely(belief[start:end], letter) for letter, start, end in said]
    return float(np.concatenate(rows).mean()) if rows else -np.inf


def _log_likely(belief: np.ndarray, letter: Letter) -> np.ndarray:
    """Log probability of a letter in each row; of one that may be any sound it is 0 where there is
    one."""
    usual = 1.0 if letter.phones else _ANY_SOUND
    return np.log(np.maximum(_likely(belief, letter.phones) / usual, 1e-3))


def _find_words(belief: np.ndarray, text: str, sequence: list[Letter], said: Placed) -> list[Word]:
    """The words of a text of whose letters these are said."""
    counts = Counter(letter.number for letter in sequence)
    of_words = {number: list(each) for number, each in groupby(said, lambda one: one[0].number)}
    result, start, end = [], 0.0, 0.0
    for number, name in enumerate(split(text)):
        start, sure, placed = end, 0.0, of_words.get(number, [])
        if placed:
            start = max(0.0, placed[0][1] / RATE - LATE)
            end = max(start, placed[-1][2] / RATE - LATE)
            heard = [_likely(belief[a:b], letter.phones).mean() for letter, a, b in placed]
            roots = np.sqrt([*heard, *[_USUALLY] * _AS_MANY]).sum()
            sure = float(roots / (counts[number] + _AS_MANY)) ** 2
        result.append(Word(name, start, end, sure))
    return result


def closures(belief: np.ndarray, found: FoundText) -> list[Closure]:
    """Times of the tightest lip closure for the m, b and p of a text, from phone probabilities [N,
    40] at 50 Hz.

    Bilabials between which the lips stay closed count as one. If the voice does not say the text,
    few closures have high confidence.
    """
    bilabial = belief[:, _BILABIALS].sum(1)
    result: list[Closure] = []
    for letter, start, end in found.spoken:
        if not letter.closes:
            continue
        rows = np.arange(max(0, start - 2), min(len(bilabial), end + 2))
        weight = bilabial[rows] + 1e-3
        # Row i is centred on i / 50 s and 5 ms.
        seconds = float((rows * weight).sum() / weight.sum() / RATE + 0.005)
        sure = float(bilabial[rows].max())
        if letter.may_be_silent and sure < _LEAST_PROBABILITY:
            continue
        # between them, as in “mp” and “bm”, the lips stay closed
        row = int(result[-1].seconds * RATE) + 1 if result else 0
        between = belief[row : max(int(seconds * RATE), row + 1)].argmax(1)
        if result and np.isin(between, _BILABIALS).all():
            better = max(result[-1], Closure("", seconds, sure), key=lambda closure: closure.sure)
            result[-1] = Closure(
                result[-1].text + letter.text, better.seconds, better.sure, result[-1].number
            )
        else:
            result.append(Closure(letter.text, seconds, sure, letter.number))
    return [replace(closure, seconds=max(0.0, closure.seconds - AHEAD)) for closure in result]


# ---- sounds

# nats that a change of the phone costs: voices then have .96 times as many sounds as pocketsphinx
# aligns (validation voices)
_CHANGE = 1.0
_LIKELY = 0.08  # least probability of what a sound may be instead
_MAX_ALTERNATIVES = 3  # of these


@dataclass(frozen=True)
class Sound:
    """A phone, when it is said (seconds), its probability, and what it may be instead: other phones
    and theirs, likeliest first."""

    phone: str
    start: float
    end: float
    sure: float
    others: tuple[tuple[str, float], ...]


def recognise(belief: np.ndarray) -> list[Sound]:
    """The sounds of a voice, without its pauses, from phone probabilities [N, 40] at 50 Hz: the
    likeliest that do not change too often."""
    path = likeliest_path(np.log(np.maximum(belief, 1e-6)), _CHANGE)
    edges = np.flatnonzero(np.diff(path, prepend=-1, append=-1))
    result = []
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist()):
        phone = int(path[start])
        if phone == SILENCE:
            continue
        mean = belief[start:end].mean(0)
        others = [
            n
            for n in np.argsort(-mean)[: _MAX_ALTERNATIVES + 1].tolist()
            if n not in (phone, SILENCE) and mean[n] >= _LIKELY
        ]
        begin, stop = (max(0.0, row / RATE - LATE) for row in (start, end))
        instead = tuple((PHONES[n], float(mean[n])) for n in others[:_MAX_ALTERNATIVES])
        result.append(Sound(PHONES[phone], begin, stop, float(mean[phone]), instead))
    return result


def likeliest_path(likely: np.ndarray, cost: float) -> np.ndarray:
    """The likeliest phone of each row, int [N], if each change costs so many nats (Viterbi 1967);
    log probabilities [N, 40]."""
    score, back = likely[0], np.zeros(likely.shape, np.int8)
    stay = np.arange(likely.shape[1])
    for row in range(1, len(likely)):
        best = int(score.argmax())
        change = score[best] - cost
        back[row] = np.where(score < change, best, stay)
        score = np.maximum(score, change) + likely[row]
    path = np.empty(len(likely), np.int64)
    path[-1] = score.argmax()
    for row in range(len(likely) - 1, 0, -1):
        path[row - 1] = back[row, path[row]]
    return path
