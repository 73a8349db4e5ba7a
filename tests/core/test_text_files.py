# SPDX-License-Identifier: GPL-3.0-or-later
"""Text as other programs write it is read in its own letters, or refused with what it is."""

import os

import pytest
from hypothesis import given, settings, strategies as st

from thunder_core import text_files

WEST = "It’s Zoë’s café – “Please bring the blue map”."
WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


@pytest.mark.parametrize(
    "text, encodings",
    [
        (WEST, ("utf-8", "utf-8-sig", "utf-16", "utf-32", *WIDE, "cp1252")),
        ("Die Straße führt über Größenwahn", ("utf-8", "cp1252", *WIDE)),
        ("Ça c’est l’été, où ? «Œuvre»", ("utf-8", "cp1252", *WIDE)),
        ("¿Dónde está el niño? ¡Aquí!\r\n3ª vez", ("utf-8", "cp1252", *WIDE)),
        ("Привет, как дела?", ("utf-8", *WIDE)),
        ("Γειά σου Κόσμε", ("utf-8", *WIDE)),
        ("これは ペンです。\r\n次の行。", ("utf-8", *WIDE)),
        ("नमस्ते दुनिया", ("utf-8", *WIDE)),
        ("مرحبا بالعالم", ("utf-8", *WIDE)),
        ("Hi 😀 there", ("utf-8", *WIDE)),
        ("bush hid the facts", ("utf-8",)),
        *((text, WIDE[:2]) for text in ("नमस्ते", "สวัสดี", "です", "こんにちは", "привет", "שלום")),
        *((text, ("utf-8",)) for text in ("iPad", "Oh no", "x y z w ", "1111", "\n\n\n\n", "50%!")),
    ],
)
def test_a_text_is_read_in_whatever_letters_it_was_written(text, encodings):
    for encoding in encodings:
        assert text_files.decode(text.encode(encoding))[0] == text, encoding


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cn", "Co", "Cs"))))
@settings(derandomize=True, max_examples=200, deadline=None)
def test_a_text_with_a_mark_is_read_as_it_is(text):
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        if not text.startswith("\ufeff"):
            assert text_files.decode(text.encode(encoding))[0] == text


@pytest.mark.parametrize(
    "data, what",
    [
        ("Привет, как дела?".encode("cp1251"), "is not text in UTF-8"),
        ("zażółć gęślą jaźń".encode("cp1250"), "is not text in UTF-8"),
        ("café crème".encode("mac-roman"), "is not text in UTF-8"),
        ("café crème".encode("cp850"), "is not text in UTF-8"),
        ("これはペンです。".encode("shift-jis"), "is not text in UTF-8"),
        ("你好，世界".encode("gbk"), "is not text in UTF-8"),
        ("你好".encode("utf-16-le"), "is not text in UTF-8, though it may be in UTF-16"),
        ("没有".encode("utf-16-be"), "is not text in UTF-8, though it may be in UTF-16"),
        (bytes(range(256)), "is not text"),
        (bytes(100), "is not text"),
        (b"PK\x03\x04" + bytes(40), "is a document of Word or another program"),
        (rb"{\rtf1\ansi Hello}", "is a document with styles"),
        (b"%PDF-1.7 Hello", "is a PDF"),
        (b"RIFF\x24\x00\x00\x00WAVE", "is a sound"),
    ],
)
def test_what_is_no_text_is_refused_with_what_it_is(data, what):
    with pytest.raises(text_files.NotText, match=what):
        text_files.decode(data)


def test_a_letter_that_is_no_text_is_a_space():
    assert text_files.decode(b"one\0two three")[0] == "one two three"


def test_only_a_plain_file_of_bounded_size_is_read(tmp_path):
    (tmp_path / "a.txt").write_text("Anna")
    assert text_files.read_text(tmp_path / "a.txt", 4) == "Anna"
    with pytest.raises(OSError, match="it is larger than 3 B"):
        text_files.read_text(tmp_path / "a.txt", 3)
    with open(tmp_path / "sparse.txt", "wb") as file:
        os.truncate(file.fileno(), 2**33)
    with pytest.raises(OSError, match="it is larger than 2 MB"):
        text_files.read_text(tmp_path / "sparse.txt", 2**21)
    os.mkfifo(tmp_path / "pipe.txt")
    for name, why in (("pipe.txt", "a pipe or a device"), ("", "a folder")):
        with pytest.raises(OSError, match=why):
            text_files.read_text(tmp_path / name, 2**20)
