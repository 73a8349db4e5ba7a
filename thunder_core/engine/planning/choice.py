# SPDX-License-Identifier: GPL-3.0-or-later
"""Chooses how a line is read: which of its content words are hit and which are thrown away, what
happens in its pauses, during which word the gaze is elsewhere, and one idea of a gesture for each
phrase.

Content words are those of the voice's text that are accented or long, in English none of the light
ones; without a text its accented syllables. What stands out by loudness, pitch and length is hit
more often. The teacher draws any choice; a take has the one that its seed has in the line's deck,
in which neighbours differ.
"""

from __future__ import annotations

import threading
from bisect import bisect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...behaviour import HABITS
from ...filters import gaussian
from ...spoken import split, Word
from ...types import FPS
from ..speech.cues import Prosody

# how often one does what is below, how long a pause must be for it, and how words are chosen
_READ = HABITS["reading"]
# what one does in a pause, as the list of takes says it
AWAY, HOLDS_STILL, BREATHES, THINKS = "looks away", "holds still", "takes a breath", "thinks"
# English words that are hardly ever hit
_LIGHT = frozenset(
    "a am an and are as at be been but by can could did do does for from had has have he her him "
    "his i if in into is it its let me my of on or our shall she should so than that the their "
    "them then there they this those to us was we were which who will with would you your".split()
)
# ideas of a gesture
NODS, TURNS, TILTS, LIFTS, RAISES_BROWS = "nods", "turns", "tilts", "lifts the chin", "raises brows"
DECK = 64  # choices of a line, after which they start over
_NEIGHBOURS = 8  # choices of which no two are alike, if the line allows
_TRIES = 16  # at another choice than the neighbours' before likeness is allowed
_ORDINALS = {1: "st", 2: "nd", 3: "rd"}  # of as often as a line says a word
_SAME_MOMENT = 0.01  # s
_SEED_DECK = 23  # part of the seed of decks


@dataclass(frozen=True)
class Spot:
    """A content word: start, end and at (its accent), s; weight, 0 … 1, above 1 it is always
    hit; text, "" if not known."""

    start: float
    end: float
    at: float
    weight: float
    text: str = ""


@dataclass(frozen=True)
class Choice:
    """A reading of a line. hits: spots that are hit.  acts: of each pause, "" for nothing.  ideas:
    of each phrase.  aside: the spot during which the gaze is elsewhere, −1 for none.  is_plain: as
    the voice says it.
    """

    spots: tuple[Spot, ...] = ()
    hits: tuple[int, ...] = ()
    acts: tuple[str, ...] = ()
    ideas: tuple[str, ...] = ()
    aside: int = -1
    is_plain: bool = True

    @cached_property
    def hit(self) -> list[Spot]:
        """The spots that are hit."""
        return [self.spots[i] for i in self.hits]

    @cached_property
    def times(self) -> np.ndarray:
        """Times of the accents that are hit, s, [k]."""
        return np.array([spot.at for spot in self.hit])

    def record(self, voice: Prosody, has_eyes: bool = True) -> dict:
        """What it does to the line of a voice, for a take's provenance: [start s, end s, text] of
        words that are hit and of that on which the gaze is elsewhere, [start s, what] of pauses,
        the ideas of phrases, and its seconds. A word that the line says again is numbered.
        has_eyes: whether the face that plays it has any; without, nothing is said of the gaze."""
        aside = [self.spots[self.aside]] if self.aside >= 0 and has_eyes else []
        words = {
            name: [
                [round(x.start, 2), round(x.end, 2), number_word(x.text, x.start, voice.words)]
                for x in some
            ]
            for name, some in (("hits", self.hit), ("aside", aside))
        }
        hidden = ("",) if has_eyes else ("", AWAY, THINKS)
        pauses = [
            [round(a, 2), act] for (a, _), act in zip(voice.pauses, self.acts) if act not in hidden
        ]
        seconds = round(voice.frames / FPS, 2)
        return words | {"pauses": pauses, "ideas": list(self.ideas), "seconds": seconds}

    def stress(self, frames: int) -> np.ndarray:
        """Stress of each frame [frames], 1 on words that are hit, below 0 on others, 0 beside
        content words and in a plain reading."""
        curve = np.zeros(frames)
        for i, spot in enumerate(self.spots if not self.is_plain else ()):
            said = slice(max(0, round(spot.start * FPS)), max(0, round(spot.end * FPS)) + 1)
            curve[said] = 1.0 if i in self.hits else _READ.thrown_away
        return gaussian(curve, _READ.ease, "nearest")


def number_word(text: str, start: float, words: Sequence[Word]) -> str:
    """A word that is said at `start` s, as “eight (2nd)” if others of a line's words are the
    same."""
    if not text:  # a voice whose words are not known
        return text
    text = " ".join(split(text))
    same = [word.start for word in words if _plain(word.text) == text.lower()]
    if len(same) < 2:
        return text
    number = max(1, bisect(same, start + _SAME_MOMENT))
    return f"{text} ({number}{_ORDINALS.get(number, 'th')})"


def _plain(text: str) -> str:
    """A word without punctuation and capitals."""
    return " ".join(split(text)).lower()


def spots_of(voice: Prosody) -> tuple[Spot, ...]:
    """The content words of a voice, in order."""
    accents = list(zip(voice.accents.tolist(), voice.weights.tolist()))
    if not voice.words:
        result, starts = list[Spot](), [start for start, _ in voice.phrases]
        before, after = _READ.around
        for at, weight in accents:
            start, end = voice.phrases[max(0, bisect(starts, at) - 1)]
            result.append(Spot(max(start, at - before), min(end, at + after), at, weight))
        return tuple(result)
    result, light, known = list[Spot](), list[Spot](), np.array([at for at, _ in accents])
    with_accent, without = _READ.content
    for word in voice.words:
        span = slice(*np.searchsorted(known, [word.start - 0.04, word.end]))
        inside = [(w, at) for at, w in accents[span]]
        lasts, is_marked = word.end - word.start, max(inside, default=(0.0, 0.0))[0] > 1
        # words that carry little are short
        if is_marked or lasts >= (with_accent if inside else without):
            weight, at = max(inside, default=(0.0, (word.start + word.end) / 2))
            weight = weight if is_marked else weight * min(1.0, lasts / without)
            spots = light if _plain(word.text) in _LIGHT and not is_marked else result
            spots.append(Spot(word.start, word.end, at, weight, word.text))
    if len(result) < _READ.few:
        result = sorted([*result, *light], key=lambda spot: spot.start)
    return tuple(result)


def _sure(spots: tuple[Spot, ...]) -> set[int]:
    """The spots that every reading hits."""
    return {i for i, spot in enumerate(spots) if spot.weight > 1}


def _apart(one: Spot, other: Spot) -> bool:
    return abs(one.at - other.at) >= _READ.hits_apart


def _lines(spots: tuple[Spot, ...]) -> list[list[int]]:
    """The spots of each stretch of speech that has hits of its own."""
    result, begins = list[list[int]](), -_READ.line
    for i, spot in enumerate(spots):
        if spot.start - begins >= _READ.line:
            result.append([])
            begins = spot.start
        result[-1].append(i)
    return result


def plain(voice: Prosody, spots: tuple[Spot, ...]) -> Choice:
    """The plainest reading: what stands out most is marked by a nod, as the voice says it."""
    hits = {max(line, key=lambda i: spots[i].weight) for line in _lines(spots)} | _sure(spots)
    nothing, nods = ("",) * len(voice.pauses), (NODS,) * len(voice.phrases)
    return Choice(spots, tuple(sorted(hits)), nothing, nods)


def draw(
    voice: Prosody, spots: tuple[Spot, ...], rng: np.random.Generator,
    before: Sequence[Choice] = (),
) -> Choice:  # fmt: skip
    """A choice, with other hits, acts and ideas than those before it have if possible."""
    hits = _sure(spots)
    used = Counter(i for choice in before for i in choice.hits)
    for line in _lines(spots):
        count = 1 + int(rng.choice(len(_READ.hits), p=_READ.hits))
        while len(here := hits.intersection(line)) < min(count, max(1, len(line) // 2)):
            free = [i for i in line if all(_apart(spots[i], spots[hit]) for hit in here)]
            if not free:
                break
            p = np.array(
                [(_READ.favours + spots[i].weight) / (1 + _READ.tires * used[i]) for i in free]
            )
            hits.add(int(rng.choice(free, p=p / p.sum())))
    acts = tuple(
        _draw_one(
            {act: share for act, share in _READ.acts.items() if b - a >= _READ.least_pause[act]},
            [choice.acts[i] for choice in before], rng,
        )
        for i, (a, b) in enumerate(voice.pauses)
    )  # fmt: skip
    ideas = [
        _draw_one(_READ.ideas, [choice.ideas[i] for choice in before], rng)
        for i in range(len(voice.phrases))
    ]
    others = [i for i in range(len(spots)) if i not in hits]
    looks = rng.random() < _READ.aside and AWAY not in acts and others
    aside = others[int(rng.integers(len(others)))] if looks else -1
    return Choice(spots, tuple(sorted(hits)), acts, tuple(ideas), aside, False)


def _draw_one(shares: dict[str, float], before: list[str], rng: np.random.Generator) -> str:
    """One of some names by their shares, less often those that were drawn before; "" of none."""
    if not shares:
        return ""
    p = np.array([share / (1 + _READ.tires * before.count(name)) for name, share in shares.items()])
    return str(rng.choice(list(shares), p=p / p.sum()))


class Deck:
    """The plain choice of a line, and DECK others: any few neighbours differ, from each other and
    from the plain one, as far as the line allows; the first also from the last. They are drawn in
    order, as far as takes need them. Threads may ask beside each other."""

    def __init__(self, voice: Prosody):
        self._voice, self._spots = voice, spots_of(voice)
        self._rng, self._drawing = np.random.default_rng(_SEED_DECK), threading.Lock()
        self.plain = plain(voice, self._spots)
        self._drawn: list[Choice] = []

    def choice(self, seed: int) -> Choice:
        """That of a seed's take."""
        deck, place = self._drawn, seed % DECK
        with self._drawing:
            while len(deck) <= place:
                near = deck[1 - _NEIGHBOURS :] + deck[: max(0, len(deck) + _NEIGHBOURS - DECK)]
                deck.append(_draw_other(self._voice, self._spots, self._rng, near, self.plain))
        return deck[place]


def _draw_other(
    voice: Prosody, spots: tuple[Spot, ...], rng: np.random.Generator, near: list[Choice],
    first: Choice,
) -> Choice:  # fmt: skip
    """A choice that is like none of its neighbours and not like the first, if the line allows."""
    # what is seen first: words, pauses and the gaze; where a line has no other, the gesture
    for differs in (_shown, _all):
        taken = {differs(choice) for choice in (*near, first)}
        for _ in range(_TRIES):
            choice = draw(voice, spots, rng, near)
            if differs(choice) not in taken:
                return choice
    return draw(voice, spots, rng)


def _shown(choice: Choice) -> tuple:
    return choice.hits, choice.acts, choice.aside


def _all(choice: Choice) -> tuple:
    return *_shown(choice), choice.ideas
