# SPDX-License-Identifier: GPL-3.0-or-later
"""What a voice says is kept as text, read again in classes of mouths, and read from files of words
and subtitles."""

import pytest

from thunder_core import spoken, subtitles
from thunder_core.errors import BadRequest

ANSWER = {
    "sounds": [
        ["M", 0.2, 0.31234, 0.9, []],
        ["AA", 0.31, 0.5, 0.5, [["OW", 0.3], ["AO", 0.1]]],
        ["T", 0.5, 0.6, 0.8, [["D", 0.1]]],
    ],
    "words": [["Mot", 0.2, 0.6, 0.9], ["zebra", 0.6, 0.61, 0.1]],
    "matches": True,
}


def test_what_is_kept_is_read_again_in_seconds_of_the_recording():
    read = spoken.unpack(spoken.pack(ANSWER, 10.0, "Mot zebra"))
    assert [(word.text, word.start, word.is_found) for word in read.words] == [
        ("Mot", 10.2, True),
        ("zebra", 10.6, False),
    ]
    start, end, kinds, sure = read.columns
    assert start.tolist() == [10.2, 10.31, 10.5] and end[0] == 10.312
    phones = " ".join(spoken.CLASSES.values()).split()
    assert len(phones) == len(set(phones)), "every phone has one class at most"
    assert [spoken.NAMES[kind] if kind < spoken.OTHER else "" for kind in kinds] == [
        "M B P",
        "AH",
        "",
    ]
    # a and o open the mouth alike, t and d are no class
    assert sure == pytest.approx([0.9, 0.6, 0.8])
    assert read.chances(1) == [("AH", 0.6), ("OO", 0.3)] and read.chances(2) == [
        ("t", 0.8),
        ("d", 0.1),
    ]


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "{",
        "[]",
        '{"version": 99}',
        '{"sounds": [["M", 1]], "words": [], "text": "", "matches": true}',
    ],
)
def test_what_cannot_be_read_is_none(kept):
    assert spoken.unpack(kept) is None


SRT = """\ufeff1\r
00:00:01,500 --> 00:00:03,000\r
<i>Mary bought</i>\r
- a lamp.\r
\r
2\r
00:01:00,000 --> 00:01:02,250\r
[door slams]\r
Maybe!\r
"""
VTT = """WEBVTT - a line

NOTE nobody says this

intro
00:01.500 --> 00:03.000 align:start
<v Ruth>Mary bought
a lamp.

01:00.000 --> 01:02.250
Maybe!
"""


@pytest.mark.parametrize("ending, text", [("srt", SRT), ("vtt", VTT)])
def test_subtitles_are_read_with_their_times(tmp_path, ending, text):
    file = tmp_path / f"line.{ending}"
    file.write_bytes(text.encode())
    assert [each[:2] for each in subtitles.cues_of(text)] == [(1.5, 3.0), (60.0, 62.25)]
    assert subtitles.read_text(str(file), "…") == "Mary bought a lamp. Maybe!"
    assert subtitles.read_text(str(file), "…", (0.0, 10.0)) == "Mary bought a lamp."
    # times of a film, not of the recording
    assert subtitles.read_text(str(file), "…", (100.0, 110.0)) == "Mary bought a lamp. Maybe!"


@pytest.mark.parametrize(
    "content, said",
    [(b" \n", "holds no words"), (b"\xff\xfe\x00m", "not text in UTF-8"), (None, "choose another")],
)
def test_a_file_that_says_nothing_is_told_of(tmp_path, content, said):
    file = tmp_path / "line.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadRequest, match=said):
        subtitles.read_text(str(file), "choose another")
