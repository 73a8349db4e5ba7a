# SPDX-License-Identifier: GPL-3.0-or-later
"""The phones, and the words and sounds of a voice, as Blender keeps them in a file and shows them:
in seconds of the recording, in classes of mouths."""

import json
import re
import unicodedata
from dataclasses import astuple, dataclass, replace
from difflib import SequenceMatcher
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np

from . import languages, records

# ---- phones: 39 of ARPABET and silence, which the encoder tells apart and the teacher performs

PHONES = (
    "SIL AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW "
    "V W Y Z ZH"
).split()
SILENCE = 0
BILABIALS = tuple(PHONES.index(p) for p in "M B P".split())
LABIODENTALS = tuple(PHONES.index(p) for p in "F V".split())
DENTALS = tuple(PHONES.index(p) for p in "DH TH".split())
VOWELS = tuple(PHONES.index(p) for p in "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())
ROUNDED = tuple(PHONES.index(p) for p in "UW UH W OW".split())
SIBILANTS = tuple(PHONES.index(p) for p in "S Z SH ZH CH JH".split())
# Symbols that synthesisers and aligners use for sounds that have another name in ARPABET.
_ALIASES = {
    "PAU": "SIL", "SP": "SIL", "SPN": "SIL", "+SPN+": "SIL", "+NSN+": "SIL", "BRTH": "SIL",
    "H#": "SIL", "SSIL": "SIL",
    "AX": "AH", "AXR": "ER", "IX": "IH", "UX": "UW", "EL": "L", "EM": "M", "EN": "N", "DX": "D",
    "NX": "N", "HV": "HH",
    "OH": "AO", "IA": "IH", "EA": "EH", "UA": "UH",
}  # fmt: skip
_INDEX = {p: i for i, p in enumerate(PHONES)}


def phone_index(symbol: str) -> int:
    """Index into PHONES of an ARPABET-like symbol, any case, stress digits ignored; unknown symbols
    are silence."""
    s = symbol.upper().rstrip("0123456789")
    return _INDEX.get(_ALIASES.get(s, s), SILENCE)


# ---- mouths

# Mouths that the track draws apart, and their phones; all other sounds are made behind the teeth.
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
_CLASS_OF = {
    phone: number for number, phones in enumerate(CLASSES.values()) for phone in phones.split()
}
REST = "Rest"
# Sounds that an animator may have a mouth of their own for (face/moving/mouths.py), and their
# phones
MOUTH_SOUNDS = {
    "M B P": "M B P",
    "F V": "F V",
    "OO": "UW UH W",
    "OH": "OW AO OY",
    "AH": "AA AH AY AW",
    "EH": "AE EH",
    "EE": "IY IH EY Y",
    "L": "L",
    "TH": "TH DH",
    "S CH": "S Z SH ZH CH JH",
    "T D K": "",  # all others
    REST: "",
}
SOUND_OF = {phone: name for name, phones in MOUTH_SOUNDS.items() for phone in phones.split()}
# confidence below which a word is not found: .2 % of those that validation voices say, four of five
# of those that they do not
SAID = 0.4
# seconds in which lips meet before a word on which they stay shut, and part behind it
CLOSES = 0.12
# probability above which a sound is clear: 98 % of these are right, two of three below .6
# (validation voices)
CLEAR = 0.75


def class_of(phone: str) -> int:
    """Number of a phone's class in NAMES, OTHER for none."""
    return _CLASS_OF.get(phone, OTHER)


# Names of sounds in the panel, and their phones.
_NAMED = {
    "M B P": "M B P",
    "F V": "F V",
    "OO": "UW UH",
    "OH": "OW AO OY",
    "EE": "IY IH EY Y",
    "EH": "EH AE",
    "AH": "AA AH AY AW",
    "W": "W",
    "L": "L",
    "TH": "TH DH",
    "S": "S Z",
    "SH CH": "SH ZH CH JH",
    "R": "R ER",
    "T D K": "K G N NG T D HH",
}
_NAME_OF = {phone: name for name, phones in _NAMED.items() for phone in phones.split()}


def name_of(phone: str) -> str:
    """Name of a phone in the panel, of unknown ones the phone itself."""
    return _NAME_OF.get(phone, phone)


@dataclass(frozen=True)
class Word:
    """A word of a voice's text, as it is written there, and when it is said, seconds. sure: how
    well the voice bears it out, 0 … 1."""

    text: str
    start: float
    end: float
    sure: float

    @property
    def is_found(self) -> bool:
        """Whether the voice says it."""
        return self.sure >= SAID


@dataclass(frozen=True, eq=False)
class Spoken:
    """What a voice says.

    sounds: [phone, start, end, probability, [[phone that it may be instead, probability] …]] each.
    text: what its words were aligned from.  matches: whether the voice seems to say it.  timed:
    what a file told the times of: "words", "sounds" (of these too), or "".
    """

    sounds: list[list]
    words: tuple[Word, ...]
    text: str
    matches: bool
    timed: str = ""

    @cached_property
    def columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Start and end (seconds), class, and the probability of that class of every sound, [n]
        each."""
        kinds = [class_of(each[0]) for each in self.sounds]
        sure = [
            each[3] + sum(p for phone, p in each[4] if class_of(phone) == kind < OTHER)
            for each, kind in zip(self.sounds, kinds)
        ]
        times = np.array([each[1:3] for each in self.sounds], float).reshape(-1, 2)
        return (
            times[:, 0],
            times[:, 1],
            np.array(kinds, int),
            np.minimum(np.array(sure, float), 1.0),
        )


_WITH_THE_LAST = frozenset("ゃゅょぁぃぅぇぉっャュョァィゥェォッー")


def split(text: str) -> list[str]:
    """The words of a text, as they are written but for punctuation. What is written without spaces
    is split into its characters; small kana, and marks that make one longer, stay with theirs."""
    parts: list[str] = []
    for c in text:
        is_letter = c in "'’" or unicodedata.category(c)[0] in "LMN"
        if c in _WITH_THE_LAST and parts and parts[-1].endswith(" ") and parts[-1].strip():
            parts[-1] = f"{parts[-1][:-1]}{c} "
            continue
        parts.append((f" {c} " if "\u3040" <= c <= "\u9fff" else c) if is_letter else " ")
    return [word for each in "".join(parts).split() if (word := each.strip("'’"))]


# alphabets whose letters are known as sounds, as Unicode calls them
_ALPHABETS = ("LATIN", "FULLWIDTH LATIN", "CYRILLIC", "GREEK", "MODIFIER")


@lru_cache(maxsize=16)  # drawn again and again
def is_other_script(text: str) -> bool:
    """Whether nothing tells the sounds of a text: it is in no language that is read, and most of
    its letters are of an alphabet whose sounds are not known, as Arabic's and Thai's. Lips cannot
    follow it."""
    return not languages.guess(text)[0] and is_unknown_alphabet(text)


def is_unknown_alphabet(text: str) -> bool:
    """Whether most letters of a text are of none whose sounds are known."""
    letters = [c for c in text if unicodedata.category(c)[0] == "L"]
    known = sum(c.isascii() or unicodedata.name(c, "").startswith(_ALPHABETS) for c in letters)
    return 2 * known < len(letters)


def has_kanji(text: str, language: str = "") -> bool:
    """Whether a text is Japanese ("": if it seems so) and has characters that kana alone would say
    how to read."""
    is_japanese = (language or languages.guess(text)[0]) == languages.KANA
    return is_japanese and any("\u3400" <= c <= "\u9fff" for c in text)


def slice_text(text: str, first: int, behind: int) -> str:
    """A text from one of its words (`split`) to before another, with the punctuation around."""
    starts, end = [], 0
    for word in split(text):
        start = text.index(word, end)
        opening = re.search(r"(?<=\s)\S+$", text[end:start])  # a quotation mark before the word
        starts.append(start - len(opening[0]) if opening else start)
        end = start + len(word)
    edges = [0, *starts[1:], len(text)]
    return text[edges[first] : edges[behind]].strip()


def share_out(names: list[str], start: float, end: float) -> list[Word]:
    """Words of a stretch whose times are not known, each as long as its letters are many."""
    edges = np.linspace(start, end, sum(map(len, names)) + 1)[np.cumsum([0, *map(len, names)])]
    return [Word(name, *of, sure=1.0) for name, of in zip(names, pairwise(edges.tolist()))]


def mend(said: Spoken, text: str) -> Spoken:
    """What a voice says in the words of a text that was changed since they were found: words that
    stayed keep their times, others get the place of those that they replace or stand beside."""
    words: list[Word] = []
    names, old, shared = split(text), said.words, 0
    for kind, a, b, first, last in SequenceMatcher(
        None, [word.text for word in old], names
    ).get_opcodes():
        new = names[first:last]
        if kind == "equal":
            words += old[a + shared : b]
            shared = 0
        elif kind == "replace":
            words += share_out(new, old[a].start, old[b - 1].end)
        elif kind == "insert" and words:  # in the place of the word before
            near = words.pop()
            words += share_out([near.text, *new], near.start, near.end)
        elif kind == "insert" and old:
            words += share_out([*new, old[0].text], old[0].start, old[0].end)
            shared = 1
    return replace(said, words=tuple(words))


def pack(answer: dict, begin: float, text: str) -> str:
    """The engine's answer to “spoken” as it is kept in a file. begin: where the voice begins in its
    recording, seconds."""

    def shift(rows: list) -> list:
        return [
            [name, round(begin + start, 3), round(begin + end, 3), round(sure, 2), *rest]
            for name, start, end, sure, *rest in rows
        ]

    sounds = [
        [*each[:4], [[phone, round(chance, 2)] for phone, chance in each[4]]]
        for each in shift(answer["sounds"])
    ]
    record = {
        "sounds": sounds,
        "words": shift(answer["words"]),
        "text": text,
        "matches": answer["matches"],
        **({"timed": answer["timed"]} if answer.get("timed") else {}),
    }
    return json.dumps(
        {records.KEY: records.VERSION, **record}, ensure_ascii=False, separators=(",", ":")
    )


def pack_part(said: Spoken, first: int, behind: int, text: str) -> str:
    """What a voice says with some of its words alone, which are this text, as it is kept."""
    words = [astuple(word) for word in said.words[first:behind]]
    answer = {
        "sounds": said.sounds, "words": words, "matches": said.matches, "timed": said.timed,
    }  # fmt: skip
    return pack(answer, 0.0, text)


@records.if_readable(None)
def unpack(kept: str) -> Spoken | None:
    """What `pack` made; None if somebody has changed it so that it cannot be read, or a later
    version has written it."""
    record = json.loads(kept)
    if not records.is_readable(record):
        return None
    words = tuple(
        Word(str(text), float(start), float(end), float(sure))
        for text, start, end, sure in record["words"]
    )
    spoken = Spoken(
        record["sounds"], words, str(record["text"]), bool(record["matches"]),
        str(record.get("timed", "")),
    )  # fmt: skip
    _ = spoken.columns  # raises if they are not valid
    return spoken
