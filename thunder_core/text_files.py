# SPDX-License-Identifier: GPL-3.0-or-later
"""Text as other programs write it: in UTF-8, UTF-16 or UTF-32, with a byte order mark or without,
or in Windows' one-byte letters for the west of Europe; and text of ours. Standard library only."""

import codecs
import os
import re
import unicodedata
from collections import Counter

from .files import read_bytes

WINDOWS = "cp1252"
_MARKS = (  # UTF-32's first: it begins as UTF-16's does
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
# what is in every text of that length: spaces, ends of lines, digits, Latin letters, punctuation
_USUAL = re.compile(r"[\t\n\r -~\u3000-\u3002\uff0c\uff1a]")
_LEAST_USUAL = 0.03  # share of them in a text in UTF-16; bytes that are none are hardly ever these
_MOST_HIGH = 0.3  # share of letters beyond ASCII in a western text
_ALPHABET = 0.7  # share of letters of one alphabet, and of spaces, in a text
_LONGEST_WIDE = 400  # bytes of a text in UTF-16 without spaces; longer ones have some
# a word in Latin letters, which two halves of other letters hardly ever look like
_WORD = re.compile(rb"(?<![A-Za-z])(?:[A-Z][a-z]+|[a-z]{2,}|[A-Z]{2,}|[A-Za-z]{4,})(?![A-Za-z])")
_OF_LISTS = "0123456789 \t\r\n\0.,:;!?'\"()-"  # what texts without words are made of
# first halves of alphabets that are in UTF-8, too: line ends
_NOT_TOLD = {0x0A, 0x0D}
_FIRST_CHINESE = 0x34  # first half of the first Chinese letters
# other kinds of files: how they begin, and what they are
_OTHERS = (
    (b"PK\x03\x04", "a document of Word or another program, or an archive"),
    (b"\xd0\xcf\x11\xe0", "a document of an old Word or another program"),
    (b"{\\rtf", "a document with styles (RTF)"),
    (b"%PDF", "a PDF"),
    (b"bplist00", "a list of macOS"),
    (b"RIFF", "a sound or a film"),
    (b"ID3", "a sound"),
    (b"OggS", "a sound"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"BLENDER", "a file of Blender"),
    (b"\x1f\x8b", "a compressed file"),
    (b"\x28\xb5\x2f\xfd", "a compressed file"),
)


class NotText(ValueError):
    """Why a file is not read as text, as the end of a sentence that begins with the file's name."""


def read_text(path: str | os.PathLike, most: int) -> str:
    """The text of a file of ours, in UTF-8, of at most so many bytes. Raises OSError, NotText."""
    try:
        return read_bytes(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotText("is not text in UTF-8") from error


def decode(data: bytes) -> tuple[str, str]:
    """The text of all bytes of a file, and its encoding as Python names it. Raises NotText."""
    if not data:
        return "", "utf-8"
    encoding = encoding_of(data)
    try:
        return data.decode(encoding).removeprefix("\ufeff").replace("\0", " "), encoding
    except UnicodeDecodeError as error:
        raise NotText("is not text in UTF-8") from error


def encoding_of(data: bytes) -> str:
    """The encoding of a text, as Python names it, by its first bytes or all of them. Raises NotText
    for what is no text."""
    if mark := next((name for begin, name in _MARKS if data.startswith(begin)), ""):
        return mark
    if other := next((what for begin, what in _OTHERS if data.startswith(begin)), ""):
        raise NotText(f"is {other}")
    text = _decodes(data, "utf-8")
    if text is None or _is_wide(data):
        usual, encoding = max((_usual_in(data, each), each) for each in _WIDE)
        if usual > _LEAST_USUAL:
            return encoding
    if wide := _in_one_alphabet(data, text):
        return wide
    if text is not None and text.strip("\0"):
        return "utf-8"
    if _is_western(data):
        return WINDOWS
    raise NotText("is not text" if b"\0" in data else "is not text in UTF-8")


def _is_wide(data: bytes) -> bool:
    """Whether every other byte is nearly always one of two, as the halves of letters are that tell
    their alphabet, in UTF-16."""
    halves = (Counter(data[place::2]) for place in (0, 1))
    return any(
        sum(count for _, count in each.most_common(2)) > _ALPHABET * each.total() for each in halves
    )


def _in_one_alphabet(data: bytes, text: str | None) -> str:
    """The encoding of a text without spaces and Latin letters in UTF-16, "" where it is none: all
    its letters are of one alphabet, and read otherwise it has no word. Raises NotText where they
    are Chinese, of which either order of halves may be meant.

    text: what it is in UTF-8, None for nothing.
    """
    is_list = text is not None and not text.strip(_OF_LISTS)
    if is_list or len(data) % 2 or not 4 <= len(data) <= _LONGEST_WIDE or _WORD.search(data):
        return ""
    found = {each: _decodes(data, each) or "" for each in ("utf-16-le", "utf-16-be")}
    for encoding, letters in found.items():
        alphabets = {ord(c) >> 8 for c in letters}
        if (
            letters[:1].isalpha()
            and all(unicodedata.category(c)[0] in "LM" for c in letters)
            and len(alphabets) == 1
            and max(alphabets) < _FIRST_CHINESE
            and not alphabets & _NOT_TOLD
        ):
            return encoding
    is_chinese = any(
        letters and all("\u4e00" <= c <= "\u9fff" for c in letters) for letters in found.values()
    )
    if is_chinese and b" " not in data:
        raise NotText("is not text in UTF-8, though it may be in UTF-16")
    return ""


def _decodes(head: bytes, encoding: str) -> str | None:
    """The text of the first bytes of a file, whose last letter may be cut; None if it is none."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return None


def _usual_in(head: bytes, encoding: str) -> float:
    """Share of characters that are usual in a text if it has an encoding; 0 where one cannot be in
    it."""
    text = _decodes(head, encoding) or ""
    return 0.0 if any(map(_is_odd, set(text))) else len(_USUAL.findall(text)) / max(len(text), 1)


def _is_odd(c: str) -> bool:
    """Whether no text has a character: one that controls, is kept for private use or not given."""
    return unicodedata.category(c) in ("Cc", "Cn", "Co", "Cs") and c not in "\t\n\r\f\0\x85"


def _is_western(head: bytes) -> bool:
    """Whether bytes read as a western text in Windows' letters: few beyond ASCII, which stand as
    letters in words where others do. In other one-byte letters words would have signs within."""
    text = _decodes(head, WINDOWS) or ""
    letters = [c for c in text if c.isalpha()]
    high = sum(c >= "\x80" for c in letters)
    return (
        bool(letters)
        and not any(map(_is_odd, set(text)))
        and high <= _MOST_HIGH * len(letters)
        and not _WITHIN.search(text)
    )


# a sign, or a capital behind a small letter, beyond ASCII within a word: no western text has those
_WITHIN = re.compile(r"[a-z](?:[¡¢£¤¥¦¨©¬®¯°±²³´¶¸¹¼½¾¿×÷‚„†‡ˆ‰˜]|[À-ÞŠŒŽŸ])[a-z]")
