# SPDX-License-Identifier: GPL-3.0-or-later
"""When a synthesised voice says its words, as the services that speak them write it: word
boundaries and visemes of Azure, speech marks of Amazon Polly, characters with times of ElevenLabs,
timepoints of Google Cloud.

Fields, from the services' public documentation, seconds unless said otherwise:
Azure: “Text”, “AudioOffset”, “Duration” (ms in a batch's .word.json, 100 ns in events), “VisemeId”.
Polly, a mark a line: “time” (ms), “type” (word, viseme, sentence, ssml), “value”.
ElevenLabs: “alignment” and “normalized_alignment” with “characters”,
“character_start_times_seconds” and “character_end_times_seconds”.
Google: “timepoints”, “markName” (the word that the mark is before) and “timeSeconds” of each.
"""

import html
import json
import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from .errors import BadRequest
from .spoken import share_out, split, Word

ENDINGS = (".json", ".jsonl", ".marks")
WORDS, SOUNDS = "words", "sounds"  # what a file tells the times of
_MOST_SECONDS = 86400.0
_MOST_ROWS = 500_000
_LONGEST_SOUND = 0.5  # seconds of the last one, whose end no file tells
_LONGEST_WORD = 1.0  # seconds of a word whose end no file tells
# Azure's events count 100 ns and its files milliseconds: words begin further apart than this in the
# one, and nearer in the other
_TICKS_APART, _TICKS, _MS = 20_000, 1e7, 1e3
# sound in a file of words, which nothing needs and which is longer than all else
_AUDIO = re.compile(r'("audio_?(?:base64|content)?"\s*:\s*)"[A-Za-z0-9+/=_-]*"', re.IGNORECASE)
_TAG = re.compile(r"\[[^][]*\]|</?\w[^<>]*>")  # [laughs], <break/>
_WRITTEN = re.compile(r"\S")
# Phones of ARPABET that a viseme may be; of a vowel also those that it is often heard as.
_PHONES_OF_AZURE = dict(
    enumerate(
        (
            "SIL", "AE AH EH IH UH ER", "AA AH AE AO AY AW", "AO AA OW", "EH EY UH AE IH", "ER R",
            "IY IH Y EY", "UW W UH", "OW AO UW", "AW AE AA", "OY AO", "AY AA", "HH", "R ER", "L",
            "S Z", "SH CH JH ZH", "TH DH", "F V", "D T N TH", "K G NG", "P B M",
        )
    )
)  # fmt: skip
_PHONES_OF_POLLY = {
    "sil": "SIL", "p": "P B M", "t": "T D N L", "S": "SH CH JH ZH", "T": "TH DH", "f": "F V",
    "k": "K G NG HH", "i": "IY IH Y", "r": "R ER", "s": "S Z", "u": "UW UH W",
    "@": "AH ER IH EH UH", "a": "AA AE AH AY AW", "e": "EY EH", "E": "EH AE AH ER",
    "o": "OW AO UW", "O": "AO OY AA OW", "l": "L", "J": "Y L N", "B": "B V M",
}  # fmt: skip


_AZURE, _POLLY, _ELEVENLABS, _GOOGLE = "Azure", "Amazon Polly", "ElevenLabs", "Google Cloud"


@dataclass(frozen=True)
class _Row:
    """A word, or a sound: the phones of a viseme, as a file has it, in the units of its service."""

    said: str
    start: float
    length: float | None
    service: str
    is_sound: bool = False


@dataclass(frozen=True)
class Times:
    """When a voice says the words of its text, and its sounds.

    words: (start, end) of each word of the text (`spoken.split`), seconds.  sounds: (phones that it
    may be, start, end) of each, in order, none where they are not known.
    """

    words: tuple[tuple[float, float], ...]
    sounds: tuple[tuple[tuple[str, ...], float, float], ...] = ()

    def later(self, seconds: float) -> "Times":
        """The same so much later, in whole ms, so that what is kept of it equals it."""

        def moved(start: float, end: float) -> tuple[float, float]:
            return round(start + seconds, 3), round(end + seconds, 3)

        words = tuple(moved(start, end) for start, end in self.words)
        return Times(words, tuple((phones, *moved(a, b)) for phones, a, b in self.sounds))

    def are_of(self, words: Sequence[Word]) -> bool:
        """Whether these words are said at these times."""
        return tuple((word.start, word.end) for word in words) == self.words

    @property
    def tells(self) -> str:
        """What it tells the times of: WORDS, or SOUNDS of these too."""
        return SOUNDS if self.sounds else WORDS

    def to_json(self) -> str:
        """As the protocol has it, and a .blend."""
        words = [[round(second, 3) for second in each] for each in self.words]
        sounds = [[*each[0], round(each[1], 3), round(each[2], 3)] for each in self.sounds]
        return json.dumps({"words": words, "sounds": sounds}, separators=(",", ":"))

    @staticmethod
    def of_json(text: str) -> "Times | None":
        """What `to_json` made, None of "". Raises one of `records.UNREADABLE` if it is damaged."""
        if not text:
            return None
        record = json.loads(text)
        words = tuple((float(start), float(end)) for start, end in record["words"])
        sounds = tuple(
            (tuple(map(str, phones)), float(start), float(end))
            for *phones, start, end in record["sounds"]
        )
        return Times(words, sounds)


def is_told(text: str) -> bool:
    """Whether a text is a service's rather than what is said: Polly's own example is a .txt."""
    return re.match(r'\[?\s*\{\s*"', text.lstrip()) is not None


def read(text: str) -> tuple[str, Times]:
    """The text of a service's file, and when it is said. Raises BadRequest, whose message goes on
    after the file's name."""
    rows = list(_rows(_AUDIO.sub(r'\1""', text)))
    words, sounds = ([row for row in rows if row.is_sound == which] for which in (False, True))
    if words and all(row.service == _GOOGLE and row.said.isdigit() for row in words):
        raise BadRequest("has marks that are named by numbers: name each as the word behind it")
    units = {_AZURE: _unit_of_azure(rows), _POLLY: _MS, _ELEVENLABS: 1.0, _GOOGLE: 1.0}
    words, sounds = (
        sorted((_in_seconds(row, units[row.service]) for row in some), key=lambda row: row.start)
        for some in (words, sounds)
    )
    said, times = _place(words, sounds)
    if not times.words:
        raise BadRequest(
            "holds sounds, but no words with times, which the service writes if asked to"
            if sounds
            else "holds no words with times as Azure, Amazon Polly, ElevenLabs and Google have them"
        )
    return said, times


def _place(words: list[_Row], sounds: list[_Row]) -> tuple[str, Times]:
    """The text of words, and when these and visemes are said. Seconds, in order."""
    placed: list[tuple[float, float]] = []
    texts: list[str] = []
    pauses = [each.start for each in sounds if each.said == "SIL"]
    for word, after in zip(words, [*(each.start for each in words[1:]), math.inf]):
        # Polly has words as they are in SSML, and its tags as words
        written = html.unescape(_TAG.sub(" ", word.said)).strip()
        if not (names := split(written)):  # punctuation
            texts[-1:] = [texts[-1] + written] if texts else []
            continue
        texts.append(written)
        pause = bisect_right(pauses, word.start)
        end = (
            word.start + word.length
            if word.length is not None
            else min(after, word.start + _LONGEST_WORD, *pauses[pause : pause + 1])
        )
        shares = share_out(names, word.start, max(word.start, min(end, after)))
        placed += [(each.start, each.end) for each in shares]
    ends = [
        *(each.start for each in sounds[1:]),
        sounds[-1].start + _LONGEST_SOUND if sounds else 0.0,
    ]
    spans = tuple(
        (tuple(each.said.split()), each.start, end)
        for each, end in zip(sounds, ends)
        if each.said not in ("SIL", "") and end > each.start
    )
    said = " ".join(" ".join(texts).split()).replace("\0", " ")
    return said.encode("utf-8", "replace").decode("utf-8"), Times(tuple(placed), spans)


def _in_seconds(row: _Row, unit: float) -> _Row:
    """A row whose times are in so many parts of a second. Raises BadRequest."""
    start, length = row.start / unit, None if row.length is None else row.length / unit
    if start + (length or 0.0) > _MOST_SECONDS:
        raise BadRequest(f"has a word or sound at {start:,.0f} s")
    return replace(row, start=start, length=length)


def _unit_of_azure(rows: list[_Row]) -> float:
    """What Azure's times are in, parts of a second."""
    rows = [row for row in rows if row.service == _AZURE]
    starts = sorted({row.start for row in rows})
    steps = sorted(b - a for a, b in pairwise(starts)) or [
        max(row.start, row.length or 0.0) for row in rows
    ]
    return _TICKS if steps and steps[len(steps) // 2] > _TICKS_APART else _MS


def _rows(text: str) -> Iterator[_Row]:
    """What a file tells of words and sounds. Raises BadRequest."""
    left, count, last = _parse(text)[::-1], 0, 0.0
    while left:
        each, count = left.pop(), count + 1
        if count > _MOST_ROWS:
            raise BadRequest(f"holds more than {_MOST_ROWS:,} entries")
        if isinstance(each, list):
            left += reversed(each)
        if not isinstance(each, dict):
            continue
        names = {re.sub("^priv|[_ ]", "", key.lower()): value for key, value in each.items()}
        kind = str(names.get("boundarytype", names.get("type", ""))).lower()
        start = names.get("audiooffset", names.get("offset"))
        said = names.get("text", names.get("word"))
        if isinstance(said, dict):  # of Edge's events
            said = said.get("Text")
        if "time" in names and "value" in names and kind:
            if kind in ("word", "viseme"):
                is_sound, said = kind == "viseme", str(names["value"])
                said = _PHONES_OF_POLLY.get(said, "") if is_sound else said
                yield _Row(said, _number(names["time"]), None, _POLLY, is_sound)
        elif start is not None and "visemeid" in names:
            phones = _PHONES_OF_AZURE.get(int(_number(names["visemeid"])), "")
            yield _Row(phones, _number(start), None, _AZURE, True)
        elif start is not None and isinstance(said, str):
            if "sentence" not in kind:
                yield _Row(said, _number(start), _length(names.get("duration")), _AZURE)
        elif "markname" in names and "timeseconds" in names:
            yield _Row(str(names["markname"]), _number(names["timeseconds"]), None, _GOOGLE)
        elif "characters" in names and "characterstarttimesseconds" in names:
            found = _words_of_characters(names)
            if found and found[0].start < last:
                raise BadRequest("has times that go back: its parts are not one after the other")
            last = found[-1].start if found else last
            yield from found
        elif "alignment" in names or "normalizedalignment" in names:
            left.append(_better(names.get("alignment"), names.get("normalizedalignment")))
        elif "sentence" not in kind:
            left += reversed([value for value in each.values() if isinstance(value, (dict, list))])


def _parse(text: str) -> list:
    """The values of a file: one, or several, one after the other. Raises BadRequest."""
    text, found, at = re.sub(r",(\s*[\]}]\s*)$", r"\1", text), list[object](), 0
    while (begin := _WRITTEN.search(text, at)) is not None:
        try:
            value, at = json.JSONDecoder().raw_decode(text, begin.start())
        except (ValueError, RecursionError) as error:
            line = text.count("\n", 0, begin.start()) + 1
            raise BadRequest(f"is not JSON, nor has it JSON in line {line}") from error
        found.append(value)
    return found


def _better(given: object, as_said: object) -> object:
    """The alignment of a text as it was given, or as it is said where numbers were written out."""
    characters = given.get("characters") if isinstance(given, dict) else None
    has_digits = isinstance(characters, list) and any(str(c).isdigit() for c in characters)
    return as_said if as_said and (has_digits or not characters) else given


def _words_of_characters(names: dict) -> list[_Row]:
    """Words of characters with times. Raises BadRequest."""
    times = (names.get(f"character{end}timesseconds") for end in ("start", "end"))
    columns = [names["characters"], *times]
    if not all(isinstance(each, list) and len(each) == len(columns[0]) for each in columns):
        raise BadRequest("has characters without as many starts and ends")
    text = "".join(str(c) for c in columns[0])
    of_letter = [row for c, *row in zip(*columns) for _ in str(c)]
    text = _TAG.sub(lambda match: " " * len(match[0]), text)
    words: list[_Row] = []
    for match in re.finditer(r"\S+", text):
        start, end = _number(of_letter[match.start()][0]), _number(of_letter[match.end() - 1][1])
        words.append(_Row(match[0], start, max(0.0, end - start), _ELEVENLABS))
    return words


def _length(value: object) -> float | None:
    """A duration as a number, None where it is none: some write 00:00:00.15."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return max(0.0, _number(value)) if is_number else None


def _number(value: object) -> float:
    """A time. Raises BadRequest."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0.0 <= number < _MOST_SECONDS * _TICKS:
        raise BadRequest(f"has a time that is none: {value!r:.40}")
    return number
