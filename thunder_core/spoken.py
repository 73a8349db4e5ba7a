# SPDX-License-Identifier: GPL-3.0-or-later
"""The words and sounds of a voice, as Blender keeps them in a file and shows them: in seconds of the recording, in classes of mouths."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import records

# Mouths that animators tell apart, and their phones; all other sounds are made behind the teeth and are called by their phone.
CLASSES = {
    "M B P": "M B P",
    "F V": "F V",
    "OO": "UW UH W OW",
    "EE": "IY IH EY Y",
    "AH": "AA AE AH AO AY AW EH OY",
    "L": "L",
    "TH": "TH DH",
    "S": "S Z SH ZH CH JH",
}
NAMES = tuple(CLASSES)
OTHER = len(NAMES)
_CLASS_OF = {phone: number for number, phones in enumerate(CLASSES.values()) for phone in phones.split()}
SAID = 0.4  # confidence below which a word is not found: one in a hundred of those that validation voices say, two of three that they do not
CLEAR = 0.75  # probability from which a sound is clear: of these 19 of 20 are right, of those below .6 two of three


def class_of(phone: str) -> int:
    """Number of a phone's class in NAMES, OTHER for none."""
    return _CLASS_OF.get(phone, OTHER)


def name_of(phone: str) -> str:
    """Name of a phone's class, or of the phone itself."""
    kind = class_of(phone)
    return NAMES[kind] if kind < OTHER else phone.lower()


@dataclass(frozen=True)
class Sound:
    """A sound of a voice. sure: probability of its class, 0 … 1.  others: classes that it may be instead, and their probabilities."""

    name: str
    kind: int
    start: float
    end: float
    sure: float
    others: tuple[tuple[str, float], ...] = ()

    @classmethod
    def of(cls, phone: str, start: float, end: float, sure: float, others: Sequence[Sequence[Any]]) -> Sound:
        """The sound that the engine recognised."""
        chances: dict[str, float] = {}
        for other, chance in ((phone, sure), *others):
            chances[name_of(other)] = chances.get(name_of(other), 0.0) + float(chance)
        name = name_of(phone)
        own = min(1.0, chances.pop(name))
        return cls(name, class_of(phone), float(start), float(end), own, tuple(sorted(chances.items(), key=lambda each: -each[1])))

    @property
    def sentence(self) -> str:
        """What is told of it: “M B P 62 % · F V 20 %”."""
        return " · ".join(f"{name} {chance:.0%}".replace("%", " %") for name, chance in ((self.name, self.sure), *self.others))


@dataclass(frozen=True)
class Word:
    """A word of a voice's text. sure: how well the voice bears it out, 0 … 1."""

    text: str
    start: float
    end: float
    sure: float

    @property
    def is_found(self) -> bool:
        """Whether the voice says it."""
        return self.sure >= SAID


@dataclass(frozen=True)
class Spoken:
    """What a voice says. text: what its words were aligned from.  matches: whether the voice seems to say it."""

    sounds: tuple[Sound, ...]
    words: tuple[Word, ...]
    text: str
    matches: bool


def pack(answer: dict, begin: float, text: str) -> str:
    """The engine's answer to “spoken” as it is kept in a file. begin: where the voice begins in its recording, seconds."""

    def placed(rows: list) -> list:
        return [[name, round(begin + start, 3), round(begin + end, 3), round(sure, 2), *rest] for name, start, end, sure, *rest in rows]

    sounds = [[*each[:4], [[phone, round(chance, 2)] for phone, chance in each[4]]] for each in placed(answer["sounds"])]
    record = {"sounds": sounds, "words": placed(answer["words"]), "text": text, "matches": answer["matches"]}
    return json.dumps({records.KEY: records.VERSION, **record}, ensure_ascii=False, separators=(",", ":"))


def unpack(kept: str) -> Spoken | None:
    """What `pack` made; None if somebody has changed it so that it cannot be read, or a later version has written it."""
    try:
        record = json.loads(kept)
        if not records.is_readable(record):
            return None
        sounds = tuple(Sound.of(*each) for each in record["sounds"])
        words = tuple(Word(str(text), float(start), float(end), float(sure)) for text, start, end, sure in record["words"])
        return Spoken(sounds, words, str(record["text"]), bool(record["matches"]))
    except records.UNREADABLE:
        return None
