# SPDX-License-Identifier: GPL-3.0-or-later
"""Of text that programs write, names, times and markup are not spoken; other text stays as it is."""

import time

import pytest

from thunder_core import subtitles
from thunder_core.errors import BadRequest

LRM, NARROW = "\u200e", "\u202f"
SAID = "Bring the blue map. Maybe by Monday?"
CHATS = {
    "whatsapp on a telephone of Apple": (
        f"[12.03.24, 14:05:33] Anna Lee: {LRM}Messages are end-to-end encrypted.\n"
        f"[12.03.24, 14:05:40] Anna Lee: Bring the blue map.\n{LRM}[12.03.24, 14:06:01] Bob: "
        f"{LRM}image omitted\n[12.03.24, 2:06:09{NARROW}PM] Bob: Maybe by\nMonday?"
    ),
    "whatsapp on android": (
        "3/12/24, 14:05 - Messages and calls are end-to-end encrypted.\n"
        "3/12/24, 14:05 - Anna: Bring the blue map.\n3/12/24, 14:06 - Bob: <Media omitted>\n"
        "3/12/24, 14:06 - Bob: Maybe by Monday?"
    ),
    "telegram": "Anna Lee, [12.03.24 14:05]\nBring the blue map.\n\nBob, [12.03.24 14:06]\nMaybe by Monday?",
    "a chat of zoom": (
        "14:05:33\t From Anna Lee to Everyone : Bring the blue map.\n"
        "2024-03-12 14:06:01 From Bob To Anna Lee(Direct Message):\n\tMaybe by Monday?"
    ),
    "captions of zoom": "[Anna Lee] 14:05:33\nBring the blue map.\n\n[Bob] 14:05:40\nMaybe by Monday?",
    "otter": (
        "Anna Lee  0:03  \nBring the blue map.\n\nSpeaker 2  1:02:07\nMaybe by Monday?\n\n"
        "Transcribed by https://otter.ai"
    ),
    "times in brackets": "[00:12.00] Bring the blue map.\n[00:14.50] Maybe by Monday?",
    "times and names": "00:00:12 Anna: Bring the blue map.\n00:00:14 Bob: Maybe by Monday?",
    "times between": "0:12\nBring the blue map.\n0:14\nMaybe by Monday?",
    "otter with one turn": (
        "Anna Müller 0:01\nBring the blue map. Maybe by Monday?\n\nTranscribed by https://otter.ai"
    ),
    "whatsapp with marks of direction": (
        "\u200f[12.03.24, 14:05:40] Anna: Bring the blue map.\n"
        f"{LRM}[12.03.24, 14:06:01] Bob: {LRM}This message was deleted\n"
        "[12.03.24, 14:06:05] Bob: \u200f<Media omitted>\n"
        "3/12/24, 14:06 - Bob: This message was deleted\n"
        f"{LRM}[12.03.24, 14:06:09] Bob: Maybe by Monday?"
    ),
    "discord": "[12-Mar-24 02:05 PM] anna#1234\nBring the blue map.\nMaybe by Monday?",
    "line": (
        "[LINE] Chat history with 花子\nSaved on: 2024/03/12 14:10\n\n2024/03/12(火)\n"
        "14:05\t花子\tBring the blue map.\n14:06\t太郎\t[スタンプ]\n14:06\t太郎\tMaybe by Monday?"
    ),
    "a song": "[ti:Song]\n[ar:Anna]\n[00:12.00][01:12.00]Bring the blue map.\n[00:14.50]Maybe by Monday?",
    "a dialogue": "ANNA: Bring the blue map.\nBOB (sighs): Maybe by Monday?",
    "a longer dialogue": "Anna: Bring\nBob: the blue map.\nAnna: Maybe\nBob: by Monday?",
}


def said_in(tmp_path, name, content):
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return subtitles.read_text(str(tmp_path / name), "choose another")


@pytest.mark.parametrize("chat", CHATS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_names_and_times_of_a_chat_are_not_spoken(tmp_path, chat, end):
    text, note, _ = said_in(tmp_path, "chat.txt", CHATS[chat].replace("\n", end))
    assert text == SAID
    assert note.startswith("Left out ") and note.endswith("names or times, which are not spoken")


@pytest.mark.parametrize(
    "text",
    [
        "Meet me at 10:30. Note: bring the map.",
        "Remember: be there.\nBe quick: it rains.",
        "The ratio is 3:15\nand that is all.",
        "Come at noon (12:00)\nor later.",
        "It’s 7:45 pm – hurry!",
        "Version 3.15 the answer: yes.",
        "WARNING: keep out.",
        "a_b is * not # markup",
        f"{LRM}Bring it.\n{LRM}Now!",
        "This message was deleted",
        "Anna Müller 0:01\nis her best time.",
        "[ti:me] is a word\nTranscribed by hand.",
        "He (laughs at me) and [looks] away.",
    ],
)
def test_a_text_of_ones_own_is_read_as_it_is(tmp_path, text):
    assert said_in(tmp_path, "line.txt", text)[:2] == (" ".join(text.split()), "")


SBV = "0:00:01.000,0:00:02.000\nBring the\nblue map.\n\n0:00:03.000,0:00:04.500\nMaybe by Monday?\n"
ASS = r"""[Script Info]
Title: A scene

[V4+ Styles]
Format: Name, Fontname
Style: Default,Arial

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,not spoken
Dialogue: 0,0:00:01.00,0:00:02.00,Default,Anna,0,0,0,,{\an8\i1}Bring the{\i0}\Nblue map.
Dialogue: 0,0:00:02.00,0:00:02.50,Default,,0,0,0,,{\p1}m 0 0 l 100 0 100 100{\p0}
Dialogue: 0,0:00:03.00,0:00:04.50,Default,Bob,0,0,0,,Maybe by Monday?
"""


@pytest.mark.parametrize("ending, text", [("sbv", SBV), ("ass", ASS), ("ssa", ASS)])
def test_subtitles_of_youtube_and_of_aegisub_have_their_times(tmp_path, ending, text):
    assert said_in(tmp_path, f"a.{ending}", text)[:2] == (SAID, "")
    part = subtitles.PlayedPart(2.5, 5.0, 5.0, 0.0)
    read, *_ = subtitles.read_text(str(tmp_path / f"a.{ending}"), "…", part)
    assert read == "Maybe by Monday?"


def test_a_text_with_times_of_subtitles_is_read_as_these(tmp_path):
    teams = "0:0:3.120 --> 0:0:5.0\nBring the blue map.\n\n0:0:5.5 --> 0:0:7.10\nMaybe by Monday?"
    assert said_in(tmp_path, "a.txt", teams)[:2] == (SAID, "")
    part = subtitles.PlayedPart(5.2, 8.0, 8.0, 0.0)
    assert subtitles.read_text(str(tmp_path / "a.txt"), "…", part)[0] == "Maybe by Monday?"


def test_names_that_a_meeting_writes_before_each_subtitle_are_not_spoken(tmp_path):
    lines = ("Anna Lee: Bring", "Bob: the blue map.", "Anna Lee: Maybe", "Bob: by Monday?")
    cues = (f"{n}\n00:0{n}.000 --> 00:0{n}.900\n{line}\n" for n, line in enumerate(lines, 1))
    text, note, _ = said_in(tmp_path, "a.vtt", "WEBVTT\n\n" + "\n".join(cues))
    assert text == SAID and note.startswith("Left out 4 names")


@pytest.mark.parametrize(
    "lines, said, note",
    [
        (["Ben: Line 1 here", "Ben: Line 2 here"], "Line 1 here Line 2 here", "Left out 2 names"),
        (["Ben: Line 1 here"], "Ben: Line 1 here", "Kept “Ben:”: take out what nobody says"),
        (
            ["Note: be quick.", "Remember: run."],
            "Note: be quick. Remember: run.",
            "Kept “Note:”, “R",
        ),
        (["Be quick: it rains."], "Be quick: it rains.", ""),
    ],
)
def test_names_before_few_subtitles_are_left_out_or_said_to_be_kept(tmp_path, lines, said, note):
    cues = (f"{n}\n00:0{n}.000 --> 00:0{n}.900\n{line}\n" for n, line in enumerate(lines, 1))
    text, told, _ = said_in(tmp_path, "a.vtt", "WEBVTT\n\n" + "\n".join(cues))
    assert text == said and told.startswith(note) and bool(told) == bool(note)


ROLLING = f"""WEBVTT
Kind: captions
Language: en

00:00:00.160 --> 00:00:02.389 align:start position:0%
{" "}
bring<00:00:00.500><c> the</c>

00:00:02.389 --> 00:00:02.399 align:start position:0%
bring the
{" "}

00:00:02.399 --> 00:00:04.000 align:start position:0%
bring the
blue<00:00:03.000><c> map</c>

00:00:04.000 --> 00:00:04.010 align:start position:0%
blue map
{" "}

00:00:04.010 --> 00:00:06.000 align:start position:0%
blue map
by<00:00:05.000><c> Monday</c>
"""


def test_captions_that_roll_are_read_once(tmp_path):
    text, note, _ = said_in(tmp_path, "a.vtt", ROLLING)
    assert text == "bring the blue map by Monday" and note.startswith("Read lines once")
    part = subtitles.PlayedPart(4.005, 6.0, 6.0, 0.0)
    assert subtitles.read_text(str(tmp_path / "a.vtt"), "…", part)[0] == "by Monday"
    again = "".join(f"0:0{n}.0 --> 0:0{n}.9\nNo!\n\n" for n in range(1, 6))
    assert said_in(tmp_path, "b.vtt", again)[:2] == ("No! No! No! No! No!", "")


def test_sounds_in_brackets_are_not_spoken_and_that_is_said(tmp_path):
    for name in ("a.txt", "a.md"):
        text, note, _ = said_in(tmp_path, name, "Bring it [inaudible 00:00:07] (laughs) now.")
        assert text == "Bring it now."
        assert "Left out [inaudible 00:00:07], (laughs), which is not spoken" in note


def test_control_letters_are_no_words(tmp_path):
    assert said_in(tmp_path, "a.txt", "Bring\x08 the\x1b map\x07\n")[0] == "Bring the map"


def test_bold_names_in_markdown_are_not_spoken(tmp_path):
    text, note, _ = said_in(tmp_path, "a.md", "**ANNA:** Bring it.\n\n**BOB:** Now?\n")
    assert text == "Bring it. Now?" and "Left out 2 names" in note
    assert said_in(tmp_path, "a.md", "**WARNING:** keep out.")[0] == "WARNING: keep out."


MARKDOWN = """---
title: A scene
---
# Scene one

> **Bring** the [blue](https://example.com) _map_.
<!-- a note -->
```
code()
```
![a picture](map.png)

Scene two
=========
- Maybe `by`
- Monday?
***
"""
SSML = """<?xml version="1.0"?>
<speak version="1.1" xmlns="http://www.w3.org/2001/10/synthesis"><!-- a note -->
<metadata>Draft</metadata><p><s>Bring the <emphasis>blue</emphasis> <sub alias="map">M.</sub>.</s>
<break time="1s"/><prosody rate="slow">May</prosody>be by &#77;onday?</p></speak>"""


def test_markdown_and_ssml_are_read_without_their_markup(tmp_path):
    assert said_in(tmp_path, "a.md", MARKDOWN)[0] == SAID
    for name in ("a.ssml", "a.txt"):
        text, note, _ = said_in(tmp_path, name, SSML)
        assert text == SAID and note


@pytest.mark.parametrize(
    "content, what",
    [
        ("<!DOCTYPE html><html><p>Anna</p>", "is a page of the web"),
        ("<html><p>Anna</p>", "is a page of the web"),
        ('<?xml version="1.0"?><tt xmlns="…"><p>Anna</p></tt>', "is XML"),
    ],
)
def test_what_is_written_in_other_tags_is_refused_with_what_it_is(tmp_path, content, what):
    with pytest.raises(BadRequest, match=f"{what}.*: save it as plain text, or choose another"):
        said_in(tmp_path, "a.txt", content)


def test_letters_that_are_guessed_are_said(tmp_path):
    text, note, _ = said_in(tmp_path, "a.txt", "It’s Zoë’s café".encode("cp1252"))
    assert text == "It’s Zoë’s café" and note.startswith("Read as Windows-1252")
    assert said_in(tmp_path, "a.txt", "It’s Zoë’s café".encode("utf-16-le"))[1] == ""


@pytest.mark.parametrize("ending", ["txt", "md", "ssml", "ass", "sbv"])
@pytest.mark.parametrize(
    "piece",
    ["<", "[", "(", "![", "[](", "<!--", "<sub alias=", "<desc>", "- ", "> ", "* * ", "`", "10:30 ",
     "[10:30] ", "Anna: ", "Dialogue: 0,", "{\\", "<speak ", " ", "\n", "9", "_ "],
)  # fmt: skip
def test_a_megabyte_is_read_in_little_time(tmp_path, ending, piece):
    begins = {"ssml": "<speak>Anna ", "ass": "[Events]\n"}.get(ending, "Anna ")
    began = time.process_time()
    try:
        said_in(tmp_path, f"a.{ending}", begins + piece * (10**6 // len(piece) - 20))
    except BadRequest:
        pass
    assert time.process_time() - began < 4
