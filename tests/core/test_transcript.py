# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a text and their m, b and p are found in the voice, in order and in time, through an ear
that mishears, and are when filmed lips close; they are kept as text, and read from files of words and subtitles."""

import time
from itertools import pairwise

import numpy as np
import pytest
from made_belief import belief_of
from memory import held_at_most

from thunder_core import spoken, subtitles
from thunder_core.engine.speech.encoder import softmax
from thunder_core.engine.speech.transcript import (
    _BAND,
    align,
    closures,
    find_text,
    follow,
    letters,
    recognise,
    split,
)
from thunder_core.errors import BadRequest
from thunder_core.spoken import PHONES, SAID

# (text, phones with their lengths in rows of 20 ms): as pocketsphinx' dictionary has them.
LINES = {
    "Mary bought a lamp, maybe a map.": "SIL10 M5 EH6 R4 IY5 B4 AO6 T3 AH3 L4 AE6 M4 P4 SIL8 M5 "
    "EY6 B4 IY5 AH3 M5 AE7 P5 SIL12",
    "I doubt the climber's thumb hurts": "SIL5 AY7 D4 AW7 T4 DH3 AH3 K4 L4 AY7 M5 ER6 Z4 TH5 AH6 "
    "M5 HH4 ER6 T4 S5 SIL9",
    "Photographs of a happy puppy": "SIL6 F5 OW6 T3 AH3 G3 R3 AE6 F4 S4 AH3 V3 AH3 HH4 AE6 P5 IY5 "
    "P4 AH6 P4 IY6 SIL8",
}


def bilabials(times):
    """Times of the closures of a line: m and p of “lamp” are one."""
    result, before = [], ""
    for phone, seconds in times:
        if phone in "MBP" and before not in ("M", "B", "P"):
            result.append(seconds)
        before = phone
    return result


def closures_of(belief, text):
    return closures(belief, find_text(belief, text))


@pytest.mark.parametrize("noise", [0.0, 0.4])
@pytest.mark.parametrize("text", LINES)
def test_every_bilabial_is_found_in_time(text, noise):
    belief, times = belief_of(LINES[text], noise)
    placed, wanted = closures_of(belief, text), bilabials(times)
    assert len(placed) == len(wanted), placed
    late = np.array([c.seconds for c in placed]) - wanted
    # lips are shut furthest early in the sound
    assert np.abs(late).max() < 0.06 and late.mean() < -0.015
    assert min(c.sure for c in placed) > 0.4


def test_a_bilabial_that_the_ear_missed_is_still_placed():
    text = "Mary bought a lamp, maybe a map."
    missed = LINES[text].split().index("B4")
    belief, times = belief_of(LINES[text], 0.2, missed=(missed,))
    placed, wanted = closures_of(belief, text), bilabials(times)
    assert len(placed) == len(wanted)
    place = wanted.index(times[missed][1])
    assert abs(placed[place].seconds - wanted[place]) < 0.1 and placed[place].sure < 0.6


def test_letters_that_are_silent_close_no_lips_and_a_closure_knows_its_word():
    said = "".join(
        letter.text
        for letter in letters("A psychic's debt, a phone & a tomb — Émile!")
        if letter.closes and not letter.may_be_silent
    )
    assert said == "mm"  # of “tomb” and of “Émile”
    assert [letter.text for letter in letters("puppy")] == [" ", "p", "u", "p", "y", " "]
    belief, _ = belief_of(LINES["Mary bought a lamp, maybe a map."])
    found = find_text(belief, "Máry bought a lamp, may-be a map.")
    placed = closures(belief, found)
    assert [(c.text, found.words[c.number].text) for c in placed] == [
        ("m", "Máry"),
        ("b", "bought"),
        ("mp", "lamp"),
        ("m", "may"),
        ("b", "be"),
        ("m", "map"),
        ("p", "map"),
    ]


def test_a_long_text_is_found_in_little_memory():
    """More letters than are followed at once, of which each has a byte for every row."""
    text, times = "Mary bought a lamp, maybe a map.", 42
    belief, said = belief_of(" ".join([LINES[text]] * times), 0.3)
    with held_at_most(1.3 * len(belief) * _BAND + 3_000_000):
        places = align(belief, letters(" ".join([text] * times)))
    assert len(places) > _BAND
    _, found, matches = find_text(belief, " ".join([text] * times))
    sevenths = [word.start for word in found[::7]]
    # every line as long as the others
    assert matches and np.abs(np.diff(sevenths) - np.diff(sevenths).mean()).max() < 0.08
    assert [seconds for phone, seconds in said if phone == "M"][0] == pytest.approx(
        found[0].start, abs=0.08
    )


@pytest.mark.parametrize("text", LINES)
def test_each_word_is_found_as_it_is_written(text):
    _, found, matches = find_text(belief_of(LINES[text], 0.3)[0], text)
    assert [word.text for word in found] == text.replace(",", "").replace(
        ".", ""
    ).split() and matches
    assert all(word.sure > SAID for word in found)
    assert all(
        before.end <= word.start + 0.03 and word.start < word.end
        for before, word in zip(found, found[1:])
    )


def test_words_that_are_not_said_are_doubted_and_another_line_does_not_match():
    belief, _ = belief_of(LINES["Mary bought a lamp, maybe a map."], 0.3)
    _, found, matches = find_text(belief, "Mary bought a lamp, 1984 zebras, maybe a map.")
    assert matches and [word.text for word in found if word.sure < SAID] == ["1984", "zebras"]
    assert not find_text(belief, "Photographs of a happy puppy").matches
    assert find_text(belief, "") == find_text(belief, "… !") == ([], [], False)
    _, found, matches = find_text(
        belief_of(LINES["Photographs of a happy puppy"])[0], "maybe a lamp " * 300
    )
    assert len(found) == 900 and not matches, "a text far too long for its sound ends all the same"
    belief, _ = belief_of("SIL10 S5 IH6 T5 IH6 NG6 S5 T4 IH6 L6 SIL10")
    assert all(c.sure < 0.3 for c in closures_of(belief, "bumper to bumper"))
    assert closures_of(belief, "") == []
    assert closures_of(belief, "12 34") == []


@pytest.mark.parametrize(
    "text, words_of",
    [("Мама мыла раму", 3), ("μαμά", 1), ("你好吗", 3), ("मामा", 1), ("l'été, c’est-à-dire", 4)],
)
def test_other_scripts_are_split_into_words_and_find_their_place(text, words_of):
    assert len(split(text)) == words_of
    _, found, _ = find_text(
        belief_of("SIL9 M5 AA6 M5 AA6 SIL12 M5 IY6 L4 AA6 SIL9 R4 AA5 M5 UW7 SIL9")[0], text
    )
    assert len(found) == words_of and all(0.1 < word.start <= word.end < 1.95 for word in found)


def test_sounds_are_recognised_with_what_they_may_be_instead():
    belief, _ = belief_of(LINES["Mary bought a lamp, maybe a map."], 0.2)
    # the first m sounds like an n
    belief[10:15] = 0.6 * belief[10:15] + 0.4 * np.eye(40)[PHONES.index("N")]
    found = recognise(belief)
    assert [sound.phone for sound in found][:6] == "M EH R IY B AO".split() and "SIL" not in {
        sound.phone for sound in found
    }
    assert [name for name, _ in found[0].others] == ["N"] and found[0].sure < 0.65 < found[1].sure
    assert found[0].start == pytest.approx(0.2, abs=0.03) and found[0].end == pytest.approx(
        found[1].start
    )


@pytest.mark.parametrize("text", LINES)
def test_a_text_rules_out_what_its_letters_are_never_read_as(text):
    """Through noise all bilabials are heard with the text, and nothing changes where it is
    another's."""
    line = LINES[text]
    belief, times = belief_of(line, noise=0.55, seed=3)
    followed, found = follow(np.log(belief), text)
    assert [word.start for word in found] == [word.start for word in find_text(belief, text).words]
    probability = np.exp(followed) / np.exp(followed).sum(1, keepdims=True)
    lips = probability[:, [PHONES.index(phone) for phone in "MBP"]].sum(1)
    before = belief[:, [PHONES.index(phone) for phone in "MBP"]].sum(1)
    closed = np.zeros(len(belief), bool)
    for phone, seconds in times:
        if phone in "MBP":
            at = slice(round(seconds * 50) - 1, round(seconds * 50) + 2)
            closed[round(seconds * 50) - 6 : round(seconds * 50) + 7] = True
            assert lips[at].max() > 0.4
    assert lips[~closed].sum() < 0.5 * before[~closed].sum()
    assert follow(np.log(belief), "somewhere else entirely they thought of winter")[0] is None


def test_th_that_is_heard_as_f_is_th_where_the_text_says_so_and_who_does_not_begin_with_p():
    """As synthetic voices sound: “who thaws them” like “p oo f ao s v eh m”."""
    text, rest = (
        "Who thaws them? Mary bought a lamp, maybe a map.",
        LINES["Mary bought a lamp, maybe a map."],
    )
    belief, times = belief_of(f"SIL9 P3 UW8 F5 AO7 S5 V4 EH6 M5 {rest}")
    belief[9:12] = 0.5 * belief[9:12] + 0.3 * np.eye(40)[PHONES.index("HH")] + 0.2 / 40
    followed, found = follow(np.log(belief), text)
    assert found[0].is_found and followed is not None
    probability = softmax(followed)
    rows = {phone: round(seconds * 50) for phone, seconds in times if phone in "FV"}
    for heard, meant in (("F", "TH"), ("V", "DH")):
        at = probability[rows[heard]]
        assert at[PHONES.index(meant)] > 0.8 > 0.1 > at[PHONES.index(heard)], meant
    assert probability[9:12, [PHONES.index(phone) for phone in "MBP"]].sum(1).max() < 0.3


def test_a_closure_of_a_text_lasts_two_rows_at_least():
    text = "Mary bought a lamp, maybe a map."
    belief, times = belief_of(LINES[text])
    b, bilabials = PHONES.index("B"), [PHONES.index(phone) for phone in "MBP"]
    at = round(next(seconds for phone, seconds in times if phone == "B") * 50)
    rows = np.flatnonzero(belief[: at + 6].argmax(1) == b)
    short = belief.copy()  # all but one of its rows sound as what is behind it
    short[rows[:-1]] = belief[rows[0] - 1]
    for row, share in ((rows[-1], 0.5), (rows[-1] + 1, 0.3)):
        short[row] = share * belief[rows[-1]] + (1 - share) * belief[rows[-1] + 1]
    assert (
        softmax(np.log(short))[rows[0] - 3 : rows[-1] + 4][:, bilabials].sum(1) > 0.5
    ).sum() <= 1
    followed, _ = follow(np.log(short), text)
    lips = softmax(followed)[rows[0] - 3 : rows[-1] + 4][:, bilabials].sum(1)
    assert (lips > 0.4).sum() >= 2


def test_a_closure_of_a_text_is_made_whatever_is_heard_for_it():
    """As a b that is swallowed beside a nasal."""
    text = "Mary bought a lamp, maybe a map."
    _, times = belief_of(LINES[text])
    number = max(place for place, (phone, _) in enumerate(times) if phone == "B")
    followed, _ = follow(np.log(belief_of(LINES[text], missed=(number,))[0]), text)
    lips = softmax(followed)[:, [PHONES.index(phone) for phone in "MBP"]].sum(1)
    at = round(times[number][1] * 50)
    assert lips[at - 4 : at + 5].max() > 0.8


@pytest.mark.parametrize("first, second", [(0, 1), (1, 2), (2, 0)])
def test_a_text_may_have_less_than_the_voice_says_or_more(first, second):
    """Words but one are where they are with the text of all that is said (a vowel beside the text
    may be taken for one); sounds besides stay as heard."""
    (text, line), (more, rest) = (list(LINES.items())[number] for number in (first, second))
    one, both = belief_of(line)[0], belief_of(f"{line} {rest}")[0]
    _, whole, _ = find_text(both, f"{text} {more}")
    count = len(split(text))
    for belief, said, expected in (
        (both, text, whole[:count]),
        (both, more, whole[count:]),
        (one, f"{text} {more}", whole[:count]),
    ):
        _, found, matches = find_text(belief, said)
        off = [abs(word.start - same.start) for word, same in zip(found, expected)]
        assert matches and sum(each > 0.1 for each in off) <= 1
    followed, _ = follow(np.log(both), text)
    assert not np.array_equal(followed[: len(one)], np.log(both)[: len(one)])
    assert np.array_equal(followed[len(one) :], np.log(both)[len(one) :])


def test_words_that_are_not_found_leave_the_sounds_as_heard():
    text = "Mary bought a lamp, maybe a map."
    belief, _ = belief_of(LINES[text])
    said, _ = follow(np.log(belief), text)
    changed = text.replace("lamp", "shoe")
    assert [word.text for word in find_text(belief, changed).words if word.sure < SAID] == ["shoe"]
    other, _ = follow(np.log(belief), changed)
    start, end = (
        round(50 * each)
        for each in (
            find_text(belief, text).words[3].start + 0.04,
            find_text(belief, text).words[3].end - 0.04,
        )
    )
    assert not np.array_equal(said, np.log(belief))
    assert np.array_equal(other[start:end], np.log(belief)[start:end])


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


@pytest.mark.parametrize(
    "text, expected",
    [
        ("the quick fox", [("the", 0, 1), ("quick", 1, 2), ("fox", 2, 3)]),
        ("the slow fox", [("the", 0, 1), ("slow", 1, 2), ("fox", 2, 3)]),
        ("The, quick… fox!", [("The", 0, 1), ("quick", 1, 2), ("fox", 2, 3)]),
        ("the fox", [("the", 0, 1), ("fox", 2, 3)]),
        ("the quick red fox", [("the", 0, 1), ("quick", 1, 1.625), ("red", 1.625, 2), ("fox", 2, 3)]),
        ("oh the quick fox", [("oh", 0, 0.4), ("the", 0.4, 1), ("quick", 1, 2), ("fox", 2, 3)]),
        ("the quick foxes ran", [("the", 0, 1), ("quick", 1, 2), ("foxes", 2, 2.625), ("ran", 2.625, 3)]),
        ("", []),
    ],
)  # fmt: skip
def test_words_of_a_text_that_was_changed_stand_where_the_old_ones_were(text, expected):
    old = tuple(spoken.Word(word, n, n + 1, 0.9) for n, word in enumerate("the quick fox".split()))
    said = spoken.Spoken([["F", 2, 2.1, 0.9, []]], old, "the quick fox", True)
    mended = spoken.mend(said, text)
    assert [(word.text, word.start, word.end) for word in mended.words] == expected
    assert (mended.sounds, mended.text) == (said.sounds, said.text)
    assert spoken.mend(spoken.Spoken([], (), "", True), text).words == ()


@pytest.mark.parametrize(
    "parts",
    [
        ["He said:", "“Who", "can’t — ’tis true?”"],
        ["a", "a", "", "bump"],
        ["你好。", "我们"],
        ["... One,", "two ..."],
    ],
)
def test_a_text_is_cut_between_words_with_the_punctuation_around(parts):
    text = "".join(parts) if "你好。" in parts else " ".join(filter(None, parts))
    edges = np.cumsum([0] + [len(split(part)) for part in parts])
    assert [spoken.slice_text(text, *span) for span in zip(edges, edges[1:])] == parts


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


OTHER_SCRIPTS = ("مرحبا بكم في بيتنا", "แม่พาพี่ไปบ้าน", "שלום לכולם")


@pytest.mark.parametrize("text", OTHER_SCRIPTS)
def test_words_in_letters_without_known_sounds_share_the_speech(text):
    """Each gets its part of the time in which somebody speaks, and no sound changes."""
    belief, _ = belief_of("SIL20 AA30 SIL25 M30 AH20 SIL15")
    _, found, matches = find_text(belief, text)
    assert matches and [word.text for word in found] == split(text)
    assert found[0].start == pytest.approx(0.39, abs=0.02) and found[-1].end <= 2.6
    lengths = [word.end - word.start for word in found]
    assert min(lengths) > 0 and all(a.end <= b.start + 1e-6 for a, b in pairwise(found))
    logits = np.log(belief)
    assert np.array_equal(follow(logits, text)[0], logits)
    assert spoken.is_other_script(text)
    _, silent, _ = find_text(belief_of("SIL40")[0], text)
    assert not any(word.is_found for word in silent)


@pytest.mark.parametrize(
    "text",
    [
        "Rock & roll",
        "Мама мыла раму",
        "Η μαμά μου",
        "1984",
        "",
        "café naïve",
        "ままは",
        "妈妈把",
        "माँ",
        "방에",
    ],
)
def test_texts_of_known_alphabets_are_followed(text):
    assert not spoken.is_other_script(text)


@pytest.mark.parametrize("ending, text", [("srt", SRT), ("vtt", VTT)])
def test_subtitles_are_read_with_their_times(tmp_path, ending, text):
    file = tmp_path / f"line.{ending}"
    file.write_bytes(text.encode())
    assert [each[:2] for each in subtitles.cues_of(text)[0]] == [(1.5, 3.0), (60.0, 62.25)]
    assert subtitles.read_text(str(file), "…") == ("Mary bought a lamp. Maybe!", "", None)
    part = subtitles.PlayedPart(0.0, 10.0, 70.0, 0.0)
    assert subtitles.read_text(str(file), "…", part) == ("Mary bought a lamp.", "", None)


@pytest.mark.parametrize(
    "line, said",
    [
        (
            "&gt;&gt; Rock &amp; roll,&nbsp;Anna&#39;s &quot;hit&quot;",
            '>> Rock & roll, Anna\'s "hit"',
        ),
        ("{\\an8}<i>here</i>&lrm; <c.yellow>to<00:01.000>day</c>", "here \u200e to day"),
        ("<v Anna Lee>su&shy;per &amp;nbsp;bad &lt;b&gt;bump&lt;/b&gt;", "super bad bump"),
        ("3 &lt; 4 and 5 > 2, AT&T; &unknown; &#99999999999;", None),
    ],
)
def test_names_of_characters_are_not_words(tmp_path, line, said):
    (tmp_path / "a.vtt").write_text(f"WEBVTT\n\n00:01.000 --> 00:02.000 align:start\n{line}\n")
    read, *_ = subtitles.read_text(str(tmp_path / "a.vtt"), "…")
    assert read == (said or line.replace("&lt;", "<"))


def edit(first, lines=("one", "two", "three", "four"), seconds=5.0):
    """Subtitles of an edit whose clock begins at `first`, one after the other."""
    blocks = []
    for number, line in enumerate(lines):
        times = [f"{int(t // 3600):02d}:{int(t // 60 % 60):02d}:{t % 60:06.3f}".replace(".", ",")
                 for t in (first + seconds * number, first + seconds * (number + 1))]  # fmt: skip
        blocks.append(f"{number + 1}\n{times[0]} --> {times[1]}\n{line}\n")
    return "\n".join(blocks)


@pytest.mark.parametrize(
    "first, part, said, note",
    [  # begin and end in the recording, its length, place in the scene
        (0.0, (0.0, 20.0, 20.0, 0.0), "one two three four", ""),
        (0.0, (5.0, 10.0, 20.0, 5.0), "two", ""),
        (0.0, (5.0, 10.0, 20.0, 400.0), "two", ""),
        (0.0, (5.0, 10.0, 20.0, 15.0), "two", "1 of 4 subtitles, by the recording's clock"),
        (3600.0, (0.0, 20.0, 20.0, 0.0), "one two three four", "clock, which begins at 1 h"),
        (0.0, (0.0, 5.0, 5.0, 10.0), "three", "1 of 4 subtitles, by where the strip lies"),
        (36000.0, (2.0, 7.0, 9.0, 15.0), "four", "lies in the scene, which begins at 10 h"),
        (0.0, (0.0, 4.98, 4.98, 5.04), "two", "by where the strip lies"),  # to the frame
        (2531.0, (0.0, 19.0, 19.0, 0.0), "one two three four", "Read all 4 subtitles, which lie"),
    ],
)
def test_subtitles_of_an_edit_are_read_where_the_strip_lies(tmp_path, first, part, said, note):
    (tmp_path / "a.srt").write_text(edit(first))
    read, told, _ = subtitles.read_text(str(tmp_path / "a.srt"), "…", subtitles.PlayedPart(*part))
    assert read == said and (note in told if note else not told)


def test_subtitles_of_neither_clock_are_asked_for(tmp_path):
    (tmp_path / "a.srt").write_text(edit(2531.0))
    with pytest.raises(
        BadRequest, match="0:42:11.0 to 0:42:31.0, but the strip plays 0:00:00"
    ) as e:
        subtitles.read_text(
            str(tmp_path / "a.srt"), "choose", subtitles.PlayedPart(0.0, 5.0, 5.0, 60.0)
        )
    assert "move it to its place in the edit, or choose" in str(e.value)


@pytest.mark.parametrize(
    "content, said",
    [
        (b" \n", "holds no words"),
        (b"\x00\xff\xfem", "not text: save it as plain text"),
        (None, "choose another"),
    ],
)
def test_a_file_that_says_nothing_is_told_of(tmp_path, content, said):
    file = tmp_path / "line.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadRequest, match=said):
        subtitles.read_text(str(file), "choose another")


TORN = (
    "1\n00:00:01,000 --> 00:00:03,000\nHello\n\nmy friend\n\n2\n00:00:04,000 --> 00:00:05,000\nso\n"
)


@pytest.mark.parametrize(
    "text",
    [
        TORN,
        TORN.replace("Hello\n\n", "\nHello\n"),
        TORN.replace("\n", "\r\r\n"),
        TORN.replace("\n", "\n\n"),
        TORN.replace(",000", "").replace("-->", "->"),
        "WEBVTT\n\nNOTE not\nsaid\n\n" + TORN.replace(",", "."),
        "[Events]\nFormat:Start,End,Text\nDialogue:0:00:01.0,0:00:03.0,Hello\n"
        "Dialogue: 0:00:03.0,0:00:05.0,my friend\\Nso\n",
    ],
)
def test_empty_lines_within_subtitles_and_other_times_lose_no_words(text):
    cues, _ = subtitles.cues_of(text)
    assert " ".join(said for *_, said in cues) == "Hello my friend so"
    assert [begin for begin, *_ in cues] in ([1.0, 4.0], [1.0, 3.0])


def test_a_line_whose_words_are_highlighted_in_turn_is_read_once():
    words = "We never promised them a simple answer".split()
    cues = [
        f"00:00:0{n},000 --> 00:00:0{n + 1},000\n"
        + " ".join(f"<u>{word}</u>" if n == place else word for place, word in enumerate(words))
        for n in range(len(words))
    ]
    said, _ = subtitles.cues_of("\n\n".join(cues))
    assert [words for *_, words in said] == [" ".join(words)]
    apart = "\n\n".join(f"00:00:0{n},000 --> 00:00:0{n},500\nWe never do" for n in range(4))
    assert len(subtitles.cues_of(apart)[0]) == 4  # it is said four times


def test_a_text_behind_very_many_empty_lines_is_soon_read(tmp_path):
    (tmp_path / "late.txt").write_text("\n" * 300_000 + " " * 300_000 + "Hello" + "\n" * 300_000)
    start = time.thread_time()
    assert subtitles.read_text(str(tmp_path / "late.txt"), "…").text == "Hello"
    assert time.thread_time() - start < 1.0


def test_subtitles_need_no_blank_lines_between_them():
    text = "1\n00:00:01,000 --> 00:00:02,000\nMary\n1984\n2\n00:00:03,000 --> 00:00:04,000\nlamp"
    assert subtitles.cues_of(text)[0] == [(1.0, 2.0, "Mary 1984"), (3.0, 4.0, "lamp")]


@pytest.mark.parametrize(
    "piece", ["<", "[", "{\\", "<[{\\", "<b", "&#", "&a", "- ", " \n", "\n", "00:01.000 ", "9"]
)
def test_subtitles_of_a_megabyte_are_read_in_little_time(tmp_path, piece):
    file = tmp_path / "line.srt"
    heading = "00:00:01,000 --> 00:00:02,000\nMary "
    file.write_text(heading + piece * (10**6 // len(piece)))
    began = time.process_time()
    assert subtitles.read_text(str(file), "choose another")[0].startswith("Mary")
    assert time.process_time() - began < 4


@pytest.mark.parametrize(
    "text, said",
    [
        (f"{'9' * 400}:00:01,000 --> {'9' * 400}:00:02,000\nMary", "holds no words"),
        ("00:00:01:12 --> 00:00:02:00\nMary", "no words below times such as 00:00:01,000"),
        ("Mary " * 300_000, "larger than 1 MB.*: choose another"),
    ],
)
def test_subtitles_of_absurd_size_are_refused_with_a_sentence(tmp_path, text, said):
    (tmp_path / "line.srt").write_text(text)
    with pytest.raises(BadRequest, match=said):
        subtitles.read_text(str(tmp_path / "line.srt"), "choose another")
