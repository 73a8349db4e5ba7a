# SPDX-License-Identifier: GPL-3.0-or-later
"""The times of words and sounds that Azure, Amazon Polly, ElevenLabs and Google write are read, lead
where the voice alone would leave it open, and end in one sentence where they are none."""

import json
import time

import numpy as np
import pytest
from made_belief import belief_of
from memory import held_at_most

from thunder_core import spoken, subtitles
from thunder_core.direction import DirectionRequest
from thunder_core.engine.speech import transcript
from thunder_core.errors import BadRequest
from thunder_core.spoken import PHONES
from thunder_core.timings import Times
from thunder_core.types import FPS

# As the services' documentation has them: the words of each are “Both big bells”.
WORDS = [("Both", 0.1, 0.4), ("big", 0.42, 0.7), ("bells", 0.72, 1.1)]
VISEMES = [("p", 0.1), ("o", 0.16), ("T", 0.3), ("p", 0.42), ("i", 0.5), ("k", 0.6), ("p", 0.72),
           ("E", 0.8), ("s", 0.98), ("sil", 1.1)]  # fmt: skip
IDS = {"p": 21, "o": 8, "T": 17, "i": 6, "k": 20, "E": 4, "s": 15, "sil": 0}


def ticks(seconds):
    return round(seconds * 1e7)


AZURE_BATCH = [
    {"Text": text, "AudioOffset": round(start * 1000), "Duration": round((end - start) * 1000)}
    for text, start, end in WORDS
]
AZURE_EVENTS = [
    {"privAudioOffset": ticks(start), "privDuration": ticks(end - start), "privText": text,
     "privTextOffset": 9, "privWordLength": len(text), "privBoundaryType": "WordBoundary"}
    for text, start, end in WORDS
] + [
    {"privAudioOffset": ticks(1.1), "privDuration": 1, "privText": ".",
     "privBoundaryType": "PunctuationBoundary"},
    {"privAudioOffset": 0, "privText": "Both big bells.", "privBoundaryType": "SentenceBoundary"},
] + [
    {"privAudioOffset": ticks(start), "privVisemeId": IDS[name], "privAnimation": ""}
    for name, start in VISEMES
]  # fmt: skip
EDGE = {
    "Metadata": [
        {"Type": "WordBoundary", "Data": {"Offset": ticks(start), "Duration": ticks(end - start),
                                          "text": {"Text": text, "Length": len(text)}}}
        for text, start, end in WORDS
    ]
}  # fmt: skip
POLLY = [{"time": 6, "type": "sentence", "start": 0, "end": 15, "value": "Both big bells."}] + sorted(
    [{"time": round(start * 1000), "type": "word", "value": text} for text, start, _ in WORDS]
    + [{"time": round(start * 1000), "type": "viseme", "value": name} for name, start in VISEMES],
    key=lambda mark: mark["time"],
)  # fmt: skip


AZURE_PYTHON = [  # as its events are commonly printed
    {"audio_offset": ticks(start), "duration": f"0:00:00.{round(1e6 * (end - start)):06d}", "text": text,
     "text_offset": 9, "word_length": len(text), "boundary_type": "SpeechSynthesisBoundaryType.Word"}
    for text, start, end in WORDS
]  # fmt: skip
GOOGLE = {
    "audioContent": "UklGRg==" * 500,
    "timepoints": [{"markName": text, "timeSeconds": start} for text, start, _ in WORDS],
    "audioConfig": {"audioEncoding": "LINEAR16", "sampleRateHertz": 24000, "pitch": 0},
}


def elevenlabs(text):
    """Characters of a text, each 50 ms long."""
    starts = [round(0.05 * n, 3) for n in range(len(text))]
    return {
        "characters": list(text),
        "character_start_times_seconds": starts,
        "character_end_times_seconds": [round(each + 0.05, 3) for each in starts],
    }


def read(folder, content, name="line.json", part=None):
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text, encoding="utf-8")
    return subtitles.read_text(str(folder / name), "choose another", part)


def lines(marks):
    return "\n".join(map(json.dumps, marks)) + "\n"


@pytest.mark.parametrize(
    "content, ends, sounds",
    [
        (AZURE_BATCH, [0.4, 0.7, 1.1], 0),
        (json.dumps(AZURE_BATCH)[:-1] + ",\n]", [0.4, 0.7, 1.1], 0),  # as the documentation has it
        (AZURE_EVENTS, [0.4, 0.7, 1.1], 9),
        (lines(AZURE_EVENTS), [0.4, 0.7, 1.1], 9),
        ({"words": AZURE_EVENTS[:4], "visemes": AZURE_EVENTS[5:]}, [0.4, 0.7, 1.1], 9),
        (EDGE, [0.4, 0.7, 1.1], 0),
        (lines(POLLY), [0.42, 0.72, 1.1], 9),
        (" ".join(map(json.dumps, POLLY)), [0.42, 0.72, 1.1], 9),
        (AZURE_PYTHON, [0.42, 0.72, 1.72], 0),
        (GOOGLE, [0.42, 0.72, 1.72], 0),
    ],
)
def test_each_service_tells_the_same_words(tmp_path, content, ends, sounds):
    text, note, times = read(tmp_path, content)
    assert text.rstrip(".") == "Both big bells" and note == ""
    np.testing.assert_allclose(times.words, [[w[1], e] for w, e in zip(WORDS, ends)], atol=1e-6)
    assert len(times.sounds) == sounds
    if sounds:
        assert times.sounds[0][0] == ("P", "B", "M") and "OW" in times.sounds[1][0]
        assert times.sounds[1][1:] == pytest.approx((0.16, 0.3))
        assert times.sounds[-1][2] == pytest.approx(1.1)


def test_characters_become_words_and_numbers_are_read_as_they_are_said(tmp_path):
    given, said = elevenlabs("It's [sighs] 2 o'clock."), elevenlabs("It's two o'clock.")
    content = {"audio_base64": "A" * 4000, "alignment": given, "normalized_alignment": said}
    text, _, times = read(tmp_path, content)
    assert text == "It's two o'clock."
    assert times.words[0] == pytest.approx((0.0, 0.2)) and len(times.words) == 3
    text, _, times = read(
        tmp_path, {"alignment": elevenlabs("Mmm [sighs] oh"), "normalized_alignment": None}
    )
    assert text == "Mmm oh" and times.words[1] == pytest.approx((0.6, 0.7))
    text, _, times = read(tmp_path, {"alignment": elevenlabs("ママ、まま")})
    assert len(times.words) == len(spoken.split(text)) == 4


def test_markup_is_no_word_and_what_it_escapes_is_read(tmp_path):
    """Of a text in SSML, Polly has pauses among the words, and those as the text has them."""
    marks = [
        (6, "Mary"),
        (325, "didn&apos;t"),
        (897, '<break time="300ms"/>'),
        (1291, "see"),
        (1400, "R&amp;B"),
    ]
    content = lines({"time": at, "type": "word", "value": value} for at, value in marks)
    text, _, times = read(tmp_path, content, "output.txt")
    assert text == "Mary didn't see R&B" and len(times.words) == 5, "R and B are two words"
    assert times.words[1] == pytest.approx((0.325, 0.897)) and times.words[2][0] == 1.291


def test_a_text_file_of_a_service_is_told_by_what_is_in_it(tmp_path):
    assert read(tmp_path, lines(POLLY), "marks.txt").text == "Both big bells"
    for said in ("[door slams] Both bells", "{Both} bells", '"Both" bells'):
        assert read(tmp_path, said, "said.txt") == (said, "", None)


def test_a_strip_takes_its_words_on_its_own_clock(tmp_path):
    part = subtitles.PlayedPart(0.41, 0.71, 2.0, 100.0)
    text, _, times = read(tmp_path, lines(POLLY), "line.marks", part)
    assert text == "big" and times.words[0] == pytest.approx((0.01, 0.31))
    assert [each[0][0] for each in times.sounds] == ["P", "IY", "K"]
    with pytest.raises(BadRequest, match="has words from 0:00:00.1 to 0:00:01.1, but the strip"):
        read(tmp_path, lines(POLLY), part=subtitles.PlayedPart(5.0, 6.0, 9.0, 0.0))


@pytest.mark.parametrize(
    "content, said",
    [
        ("Both big bells", "is not JSON, nor has it JSON in line 1"),
        (lines(POLLY) + '{"time":', "is not JSON, nor has it JSON in line 15"),
        ("[" * 100_000, "lists in too many lists|is not JSON"),
        ([], "holds no words with times as Azure, Amazon Polly, ElevenLabs and Google have them"),
        ({"a": 1}, "holds no words with times"),
        (AZURE_EVENTS[5:], "holds sounds, but no words with times, which the service writes"),
        ([{"Text": "a", "AudioOffset": -1, "Duration": 2}], "has a time that is none: -1"),
        ('[{"Text": "a", "AudioOffset": NaN}]', "has a time that is none: nan"),
        ([{"time": "soon", "type": "word", "value": "a"}], "has a time that is none: 'soon'"),
        ([{"time": 9e10, "type": "word", "value": "a"}], "has a word or sound at 90,000,000 s"),
        ({"alignment": dict(elevenlabs("ab"), characters=["a"])}, "without as many starts and ends"),
        (lines([elevenlabs("one two"), elevenlabs("three")]), "has times that go back"),
        ("", "is empty"),
        ({"timepoints": [{"markName": "1", "timeSeconds": 0.1}]}, "are named by numbers: name each"),
        ({"timepoints": [{"markName": "a", "timeSeconds": -0.1}]}, "has a time that is none: -0.1"),
        ({"timepoints": []}, "holds no words with times"),
        ([dict(POLLY[1], time=-5)], "has a time that is none: -5"),
        ({"alignment": dict(elevenlabs("a"), character_end_times_seconds=[None])}, "that is none: None"),
    ],
)  # fmt: skip
def test_other_files_end_in_one_sentence(tmp_path, content, said):
    with pytest.raises(BadRequest, match=said) as error:
        read(tmp_path, content)
    assert str(error.value).startswith("“") and str(error.value).endswith(": choose another")
    assert "\n" not in str(error.value)


def test_an_hour_of_words_is_read_in_bounded_time_and_memory(tmp_path):
    marks = [
        {"time": 80 * n, "type": "viseme" if n % 5 else "word", "value": "p"} for n in range(20_000)
    ]
    started = time.process_time()
    with held_at_most(200e6):
        _, _, times = read(tmp_path, lines(marks))
    assert len(times.words) == 4000 and time.process_time() - started < 5.0
    with pytest.raises(BadRequest, match="holds more than 500,000 entries"):
        read(tmp_path, "[" + "0," * 500_000 + "0]")
    with pytest.raises(BadRequest, match="is larger than 16 MB"):
        read(tmp_path, '"' + "a" * 2**24 + '"')


# “mama mama”, of which the text has one: nothing but times tells which
TWICE = "SIL10 M6 AA8 M6 AA8 SIL10 M6 AA8 M6 AA8 SIL10"


@pytest.mark.parametrize("start, end", [(0.2, 0.76), (0.96, 1.52)])
def test_times_of_words_lead(start, end):
    belief, _ = belief_of(TWICE, 0.0)
    _, (word,), matches = transcript.find_text(belief, "mama", times=Times(((start, end),)))
    assert matches and (word.start, word.end) == (start, end) and word.is_found
    logits, _ = transcript.follow(np.log(belief + 1e-6), "mama", times=Times(((start, end),)))
    changed = np.flatnonzero(np.abs(logits - np.log(belief + 1e-6)).max(1) > 0.01) / transcript.RATE
    assert start - 0.05 <= changed.min() and changed.max() <= end + 0.05


def test_a_text_that_the_voice_does_not_say_is_no_better_with_times():
    belief, _ = belief_of(TWICE, 0.0)
    assert not transcript.find_text(
        belief, "six thick thistles", times=Times(((0.2, 0.5),) * 3)
    ).matches
    # times of another recording, and of another text, are left aside
    late = Times(((1.52, 1.6), (1.6, 1.7)))
    assert transcript.find_text(belief, "mama mama", times=late) == transcript.find_text(
        belief, "mama mama"
    )
    said = transcript.find_text(belief, "mama mama", times=Times(((0.0, 0.1),))).words
    assert said == transcript.find_text(belief, "mama mama").words


def test_sounds_of_a_file_are_what_is_heard_of_their_phones():
    belief, _ = belief_of(TWICE, 0.0)
    times = Times(((0.2, 0.76),), ((("P", "B", "M"), 0.2, 0.32), (("AH", "AA"), 0.32, 0.48)))
    sounds = transcript.timed_sounds(belief, times)
    assert [(each.phone, each.start, each.end) for each in sounds] == [
        ("M", 0.2, 0.32), ("AA", 0.32, 0.48)]  # fmt: skip
    assert all(0.5 < each.sure <= 1.0 for each in sounds) and set(PHONES) >= {"M", "AA"}


def test_a_request_keeps_its_times():
    times = Times(((0.1, 0.4),), ((("P", "B"), 0.1, 0.2),))
    direction = DirectionRequest(text="bump", times=times)
    again = DirectionRequest.of_record(direction.to_record(np.ndarray.tolist))
    assert again.times == times and again.from_frame(round(FPS)).times.words[0] == pytest.approx(
        (-0.9, -0.6)
    )
