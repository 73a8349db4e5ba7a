# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds when a voice says the m, b and p of a text, by aligning letters with the encoder's phones; no dictionary, numpy only.

Spelling says little about vowels and much about lips: in most languages an m, b or p that is written is spoken. Each letter
may sound as any of the phones it is commonly read as; the likeliest path through the letters, by the encoder's phones, shows
when each is spoken (Viterbi's algorithm). Letters may be silent at a price, bilabials only where spelling has silent ones.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from ...errors import BadRequest
from .phones import PHONES, SILENCE
from .phrasing import runs

RATE = 50.0  # rows of the encoder's phones per second
_VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split()
_READ = {
    "a": _VOWELS,
    "e": _VOWELS,
    "i": [*_VOWELS, "Y"],
    "o": [*_VOWELS, "W"],
    "u": [*_VOWELS, "Y", "W"],
    "y": [*_VOWELS, "Y"],
    "b": ["B", "P"],
    "p": ["P", "B"],
    "m": ["M"],
    "f": ["F", "V"],
    "v": ["V", "F"],
    "w": ["W", "V", "UW", "AW", "OW"],
    "t": ["T", "D", "CH", "TH", "DH", "SH"],
    "d": ["D", "T", "DH", "JH"],
    "n": ["N", "NG"],
    "l": ["L"],
    "r": ["R", "ER"],
    "s": ["S", "Z", "SH", "ZH"],
    "z": ["Z", "S", "ZH"],
    "c": ["K", "S", "CH", "SH"],
    "k": ["K", "G"],
    "q": ["K"],
    "g": ["G", "JH", "K", "NG", "ZH"],
    "j": ["JH", "Y", "ZH", "HH"],
    "h": ["HH", "TH", "DH", "SH", "CH"],
    "x": ["K", "S", "Z", "G"],
}
_ANY = tuple(range(1, len(PHONES)))
BILABIALS = "mbp"
# Spellings in which one of the letters m, b, p is silent, or not bilabial: pattern → index of that letter.
_SILENT = ((r"mb(?![a-z])", 1), (r"bt", 0), (r"(?<![a-z])p(?=[snt])", 0), (r"pt(?![a-z])", 0), (r"mn(?![a-z])", -1))
_SKIP = -4.0  # log probability of skipping a letter
_UNLIKELY = -7.0  # lowest log likelihood, since the encoder may be wrong in any frame
_LEAST_PROBABILITY = 0.3  # a letter that is often silent closes the lips only if a bilabial is at least this probable
PAUSE = 0.06  # shortest pause, seconds; in a shorter gap closed lips belong to a sound
_MOST = 200_000_000  # letters times rows, one byte each; ten minutes of speech with all its words need a third
# Seconds from the tightest lip closure to the middle of its sound: the mean of 46 closures of filmed speakers is 25 ms (those of the fit
# split; tests/core/test_correct_closures.py measures it on the others).
_EARLY = 0.025
_NEAR = 0.1  # seconds between bilabials during which the lips stay closed (“mp”, “bm”)


@dataclass(frozen=True)
class Letter:
    """A letter, or the pause between words: phones it may be, whether it may be silent, whether the lips close for it, and the word
    it is of, in plain letters."""

    text: str
    phones: tuple[int, ...]
    may_be_silent: bool
    closes: bool
    word: str = ""


@dataclass(frozen=True)
class Closure:
    """The lips close for `text` (m, b, p, or several run together) at `seconds`; sure: 0 … 1, how well the voice bears it out; word:
    the one that it is in, the first of several."""

    text: str
    seconds: float
    sure: float
    word: str = ""


def letters(text: str) -> list[Letter]:
    """A text as letters, without accents and all that is no letter; double letters are one."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
    plain = re.sub(r"[^a-z]+", " ", plain.replace("'", "").replace("’", "").replace("ß", "ss")).strip()
    silent = {match.start() + place for pattern, place in _SILENT if place >= 0 for match in re.finditer(pattern, plain)}
    pause, words = Letter(" ", (SILENCE,), True, False), iter(plain.split())
    result, word = [pause], next(words, "")
    for place, letter in enumerate(plain):
        if letter == " ":
            result.append(pause)
            word = next(words)
            continue
        if place and plain[place - 1] == letter:
            continue
        if letter == "h" and plain[place - 1 : place] == "p":
            continue
        if letter == "p" and plain[place + 1 : place + 2] == "h":  # “phone”, and rarely “haphazard”
            result.append(Letter("ph", _indices("F", "V", "P"), False, False, word))
            continue
        closes = letter in BILABIALS
        result.append(Letter(letter, _indices(*_READ.get(letter, ())) or _ANY, not closes or place in silent, closes, word))
    return [*result, pause]


def _indices(*names: str) -> tuple[int, ...]:
    return tuple(PHONES.index(name) for name in names)


def align(belief: np.ndarray, sequence: list[Letter]) -> list[tuple[int, int]]:
    """First and last row [start, end) of each letter along phone probabilities [N, 40] at 50 Hz; (−1, −1) for silent ones.

    Takes a byte for every letter and row. Raises BadRequest if that is more than _MOST.
    """
    count = len(sequence)
    if not count or not len(belief):
        return [(-1, -1)] * count
    if count * len(belief) > _MOST:
        raise BadRequest("The text is too long to be laid along so long a sound: choose a shorter strip and the words spoken in it")
    kinds = list(dict.fromkeys(letter.phones for letter in sequence))  # letters that sound alike are looked up once
    likely = np.stack([np.log(np.maximum(belief[:, list(phones)].sum(axis=1), 1e-12)) for phones in kinds], axis=1)
    likely = np.maximum(likely, _UNLIKELY)  # [N, kinds]
    kind = np.array([kinds.index(letter.phones) for letter in sequence])
    may_skip = np.array([letter.may_be_silent for letter in sequence])
    price = np.array([0.0 if letter.text == " " else _SKIP for letter in sequence])
    # Reaching a letter over silent ones costs their price; only letters that may be silent can be passed over.
    first = count if may_skip.all() else int(may_skip.argmin()) + 1  # letters with which the sound may begin
    score = np.full(count, -np.inf)
    score[:first] = np.cumsum([0.0, *price[: first - 1]]) + likely[0, kind[:first]]
    back = np.zeros((len(likely), count), np.int8)  # how many letters back each candidate from
    places = np.arange(count)
    for row in range(1, len(likely)):
        best, source = score.copy(), np.zeros(count, np.int8)
        # From the letter before, or from further back over letters that may be silent: at most three in a row.
        passed = np.zeros(count)
        open_ = np.ones(count, bool)
        for step in range(1, 5):
            candidate = np.full(count, -np.inf)
            candidate[step:] = score[:-step]
            candidate = np.where(open_, candidate + passed, -np.inf)
            better = candidate > best
            best, source = np.where(better, candidate, best), np.where(better, np.int8(step), source)
            # To come from one further back, the letter in between has to be silent.
            between = np.maximum(places - step, 0)
            open_ &= may_skip[between]
            passed = passed + price[between]
        score, back[row] = best + likely[row, kind], source
    # The text ends with the sound, except for letters that may be silent at its end.
    end, last, cost = count - 1, count - 1, 0.0
    best = score[last]
    while last > 0 and may_skip[last]:
        cost += price[last]
        last -= 1
        if score[last] + cost > best:
            best, end = score[last] + cost, last
    path = np.empty(len(likely), np.int32)
    path[-1] = end
    for row in range(len(likely) - 1, 0, -1):
        path[row - 1] = path[row] - back[row, path[row]]
    starts, ends = (np.searchsorted(path, places, side) for side in ("left", "right"))  # a path never goes back
    return [(int(start), int(end)) if end > start else (-1, -1) for start, end in zip(starts, ends)]


def closures_and_words(belief: np.ndarray, text: str) -> tuple[list[Closure], list[tuple[str, float, float]]]:
    """Times of the tightest lip closure for the m, b and p of a text, and of its words (word, start, end), from phone probabilities
    [N, 40] at 50 Hz.

    Bilabials between which the lips stay closed count as one. If the voice does not say the text, few closures have high confidence.
    """
    sequence = letters(text)
    places = align(belief, sequence)
    words = [
        (spoken[0][0].word, spoken[0][1][0] / RATE, spoken[-1][1][1] / RATE)
        for pause, group in groupby(zip(sequence, places), lambda each: each[0].text == " ")
        if not pause and (spoken := [each for each in group if each[1][0] >= 0])
    ]
    return _closures(belief, sequence, places), words


def _closures(belief: np.ndarray, sequence: list[Letter], places: list[tuple[int, int]]) -> list[Closure]:
    """The closures of letters at their places, as `closures_and_words` gives them."""
    bilabial = belief[:, list(_indices("B", "M", "P"))].sum(axis=1)
    result: list[Closure] = []
    end_before = -np.inf
    for letter, (start, end) in zip(sequence, places):
        if not letter.closes or start < 0:
            continue
        rows = np.arange(max(0, start - 2), min(len(bilabial), end + 2))
        weight = bilabial[rows] + 1e-3
        # Row i is centred on i / 50 s and 5 ms.
        seconds = float((rows * weight).sum() / weight.sum() / RATE + 0.005)
        sure = float(bilabial[rows].max())
        if letter.may_be_silent and sure < _LEAST_PROBABILITY:
            continue
        if result and start / RATE - end_before < _NEAR and set(_phones_between(result[-1], seconds, belief)) <= {"M", "B", "P"}:
            better = max(result[-1], Closure("", seconds, sure), key=lambda closure: closure.sure)
            result[-1] = Closure(result[-1].text + letter.text, better.seconds, better.sure, result[-1].word)
        else:
            result.append(Closure(letter.text, seconds, sure, letter.word))
        end_before = end / RATE
    return [replace(closure, seconds=max(0.0, closure.seconds - _EARLY)) for closure in result]


def _phones_between(before: Closure, seconds: float, belief: np.ndarray) -> list[str]:
    """The likeliest phones between a closure and a later time."""
    rows = belief[int(before.seconds * RATE) + 1 : max(int(seconds * RATE), int(before.seconds * RATE) + 2)]
    return [PHONES[i] for i in rows.argmax(axis=1)]


def pauses(belief: np.ndarray) -> list[tuple[float, float]]:
    """Parts of a sound without speech for `PAUSE` or longer, in seconds from its start."""
    silences = runs(belief[:, SILENCE] > 0.5).tolist()
    return [(start / RATE, end / RATE) for start, end in silences if end - start >= PAUSE * RATE]
