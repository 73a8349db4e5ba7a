# SPDX-License-Identifier: GPL-3.0-or-later
"""How the kanji of a Japanese text are read, by pykakasi (GPL-3) where it is installed, which the
animator chooses: it is on the worker's path then (`client.Client`)."""

import re
import threading
from functools import lru_cache
from itertools import pairwise
from typing import Any

from ...languages import KANA
from ...spoken import has_kanji, split

_lock = threading.Lock()
_KANJI = r"[\u3400-\u9fff々〇]+"
# pieces that are read at once: 今日は is kyō and wa far more often than a greeting, as which it is
# listed
_PIECE = re.compile(r"[^\W_]*?今日(?=は)|[^\W_]+")
_MORA = re.compile(r"[^ゃゅょぁぃぅぇぉー][ゃゅょぁぃぅぇぉー]*")
_HIRAGANA = {each: each - 0x60 for each in range(0x30A1, 0x30F7)}  # of katakana


def are_unread(text: str, language: str = "") -> bool:
    """Whether a text, in a language ("": the one that it seems to be in), has kanji that nothing
    here reads."""
    with _lock:
        return has_kanji(text, language) and _reader() is None


@lru_cache(maxsize=64)  # a line is read for takes, words and scores
def in_kana(text: str, language: str) -> tuple[str, ...]:
    """The words of a text (`spoken.split`), of a Japanese one with kana in place of their kanji: of
    kanji that are read together each has its share. As they are written where nothing reads
    them."""
    names = tuple(split(text))
    if language != KANA:
        return names
    with _lock:
        reader = _reader()
        said = list(text) if reader is None else _read(reader, text)
    words, end = [], 0
    for name in names:
        start = text.index(name, end)
        end = start + len(name)
        words.append("".join(said[start:end]))
    return tuple(words)


@lru_cache(maxsize=1)
def _reader() -> Any | None:
    """What reads them; None where it is not installed. Under the lock."""
    try:
        import pykakasi

        return pykakasi.kakasi()
    except (ImportError, OSError):
        return None


def _read(reader: Any, text: str) -> list[str]:
    """The kana of each character of a text, or itself."""
    result = list(text)
    for piece in _PIECE.finditer(text):
        place = piece.start()
        for item in reader.convert(piece[0]):
            written, read = item["orig"], item["hira"]
            if text[place : place + len(written)] != written:
                break  # it left something out: what follows stays as it is written
            if re.search(_KANJI, written) and read:
                result[place : place + len(written)] = _share(written, read)
            place += len(written)
    return result


def _share(written: str, read: str) -> list[str]:
    """Which part of a word's kana each of its characters is: kana are themselves, kanji between
    them have what is left, as many as each other."""
    parts = re.split(f"({_KANJI})", written.translate(_HIRAGANA))  # every second one is of kanji
    pattern = "".join(
        "(.+?)" if number % 2 else re.escape(part) for number, part in enumerate(parts)
    )
    found = re.fullmatch(pattern, read)
    if found is None:
        return _in_shares(read, len(written))
    kanji = iter(found.groups())
    return [
        each
        for number, part in enumerate(parts)
        for each in (_in_shares(next(kanji), len(part)) if number % 2 else part)
    ]


def _in_shares(read: str, count: int) -> list[str]:
    """Kana in so many parts, none within a syllable."""
    syllables = _MORA.findall(read)
    edges = (round(number * len(syllables) / count) for number in range(count + 1))
    return ["".join(syllables[first:behind]) for first, behind in pairwise(edges)]
