# SPDX-License-Identifier: GPL-3.0-or-later
"""A WAV file that ends before its header says is reported, and no other file is; one that does not
say its length is read to its end."""

import struct

import numpy as np
import pytest
from rows_sounds import pcm, voice, wav

from thunder_core.engine.speech.audio import read_sound
from thunder_core.wav import missing_end, Unsized

SOUND = pcm(voice(1.0))


def says(folder, data, name="line.wav"):
    (folder / name).write_bytes(data)
    return missing_end(folder / name)


def test_a_file_cut_in_the_middle_is_reported_with_both_lengths(tmp_path):
    sentence = (
        "“line.wav” holds 0.60 s of the 1.00 s that its header promises: copy or export "
        "it again if its end is missing"
    )
    assert says(tmp_path, wav(SOUND)[: 44 + 2 * 9600]) == sentence
    assert says(tmp_path, wav(SOUND[: 2 * 9600], claimed=32000)) == sentence
    assert (
        says(
            tmp_path, wav(SOUND, before=b"LIST" + struct.pack("<I", 3) + b"abc\0")[: 56 + 2 * 9600]
        )
        == sentence
    )
    words = b"LIST" + struct.pack("<I", 9600) + bytes(9600)
    assert says(tmp_path, wav(SOUND, before=words)[: 44 + len(words) + 2 * 9600]) == sentence
    stereo = np.repeat(np.frombuffer(SOUND, "<i2"), 2).tobytes()
    assert "0.60 s of the 1.00 s" in says(tmp_path, wav(stereo, channels=2)[: 44 + 4 * 9600])


@pytest.mark.parametrize(
    "data",
    [
        wav(SOUND),
        wav(SOUND, after=b"LIST\4\0\0\0abcd"),
        wav(SOUND, claimed=0),
        wav(SOUND, claimed=2**32 - 1, riff=2**32 - 1),
        wav(SOUND, claimed=0x7FFFF000),
        wav(SOUND)[:-2],
        wav(SOUND, rate=0),
        wav(b""),
        b"RIFF",
        b"",
        b"fLaC" + SOUND,
        wav(SOUND, before=b"junk\0\0\0\0" * 20000),
    ],
    ids=[
        "whole",
        "a list behind it",
        "of a stream",
        "of a stream, all ones",
        "of a stream, signed",
        "a sample short",
        "no rate",
        "empty",
        "cut header",
        "no bytes",
        "a FLAC",
        "chunks without end",
    ],
)
def test_whole_files_streams_and_other_files_are_not_reported(tmp_path, data):
    assert says(tmp_path, data) == ""


@pytest.mark.parametrize(
    "rate, samples, left, says_so",
    [
        (10, 20, 10, "1.00 s of the 2.00 s"),
        (10, 20, 0, "0.00 s of the 2.00 s"),
        (50, 1, 0, ""),
        (50, 2, 0, "0.00 s of the 0.04 s"),
    ],
)
def test_seconds_are_counted_from_the_first_sample_and_two_hundredths_may_be_missing(
    tmp_path, rate, samples, left, says_so
):
    whole = wav(SOUND[: 2 * samples], rate=rate)
    said = says(tmp_path, whole[: len(whole) - 2 * (samples - left)])
    assert said.partition("holds ")[2][: len(says_so)] == says_so and bool(said) is bool(says_so)


@pytest.mark.parametrize("block", [1, 3, 7, 50, 1000])
def test_a_stream_is_read_with_the_largest_length_in_place_of_none(tmp_path, block):
    stream = wav(SOUND[:40], claimed=0, before=b"LIST" + struct.pack("<I", 3) + b"abc\0")
    place, made = stream.index(b"data") + 4, bytearray()
    (tmp_path / "stream.wav").write_bytes(stream)
    with Unsized(tmp_path / "stream.wav") as file:
        while count := file.readinto(part := bytearray(block)):
            made += part[:count]
    assert made == stream[:place] + b"\xff" * 4 + stream[place + 4 :]
    for other in (wav(SOUND[:40]), b"RIFX" + stream[4:12] + stream[place - 4 :], stream[:30]):
        (tmp_path / "other.wav").write_bytes(other)
        with pytest.raises(ValueError):
            Unsized(tmp_path / "other.wav")


def test_what_is_no_file_is_not_reported(tmp_path):
    assert missing_end(tmp_path) == missing_end(tmp_path / "none.wav") == ""


@pytest.mark.parametrize("before", [b"", b"LIST" + struct.pack("<I", 3) + b"abc\0"])
def test_a_stream_that_tells_no_length_is_read_whole(tmp_path, monkeypatch, before):
    monkeypatch.setenv("PATH", str(tmp_path))  # without ffmpeg
    for name, told in (("told.wav", {}), ("stream.wav", {"claimed": 0, "riff": 0})):
        (tmp_path / name).write_bytes(wav(SOUND, before=before, **told))
    whole, stream = (read_sound(tmp_path / name).samples for name in ("told.wav", "stream.wav"))
    assert len(stream) == 16000 and np.array_equal(stream, whole)
