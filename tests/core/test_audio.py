# SPDX-License-Identifier: GPL-3.0-or-later
"""Any sound a studio leaves behind is read as 16 kHz mono, or refused with a sentence; the channel that
speaks is heard alone where a mix would blur it, and only there."""

import math
import os
import shutil
import subprocess
import sys
import wave

import numpy as np
import pytest
import soundfile
from memory import held_at_most
from processes import is_alive
from timing import until

from thunder_core import api
from thunder_core.engine.speech import audio
from thunder_core.engine.speech.audio import read_sound, sound_of
from thunder_core.errors import BadSound, Cancelled
from thunder_core.protocol import read_channel
from thunder_core.shipped import SAMPLE
from thunder_core.types import Speech


def tone(seconds=1.0, rate=16000, hertz=440.0, peak=0.5):
    return (peak * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(
        np.float32
    )


def as_heard(speech):
    """Frequency in Hz and RMS of the middle of a sound."""
    middle = speech.samples[len(speech.samples) // 4 : -len(speech.samples) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    return np.argmax(spectrum) * speech.rate / len(middle), float(np.sqrt(np.mean(middle**2)))


def assert_is_the_tone(speech, seconds=1.0, peak=0.5):
    hertz, rms = as_heard(speech)
    assert speech.rate == 16000 and speech.samples.dtype == np.float32 and speech.samples.ndim == 1
    assert abs(speech.seconds - seconds) < 0.04  # block codecs fill their last block
    assert abs(hertz - 440) < 3
    assert abs(rms - peak / np.sqrt(2)) < 0.01


RATES = [4000, 4001, 8000, 11025, 22050, 44099, 44100, 48000, 96000, 768000]


def resampled(samples, rate, block=70_000):
    """Samples [n] at 16 kHz, given block by block."""
    collected = audio._Mono(rate, "noise")
    for start in range(0, len(samples), block):
        collected.add(samples[start : start + block, None])
    return collected.samples()


@pytest.mark.parametrize("rate", RATES)
def test_resampling_moves_no_sound_and_keeps_all_that_both_rates_hold(rate):
    """A click stays where it is, a sweep up to five sixths of the highest frequency stays as it
    was, and the length is rounded up."""
    t = np.arange(round(1.2345 * rate)) / rate
    out = np.arange(math.ceil(round(1.2345 * rate) * 16000 / rate)) / 16000
    least, seconds = min(rate, 16000), 1.2345

    def click(t):
        return np.exp(-0.5 * ((t - 0.5) * least / 2.5) ** 2)

    def sweep(t):
        return np.sin(2 * np.pi * (50 * t + (least * 5 / 12 - 50) * t * t / (2 * seconds)))

    for sound, near in ((click, 1e-5), (sweep, 1e-3)):
        made = resampled(sound(t).astype(np.float32), rate)
        assert made.shape == out.shape and made.dtype == np.float32
        assert np.abs(made - sound(out))[400:-400].max() < near
        if sound is click:
            assert abs((made * out).sum() / made.sum() - 0.5) < 1e-6


@pytest.mark.parametrize("rate", [rate for rate in RATES if rate > 20_000])
def test_what_16_khz_cannot_hold_is_not_folded_into_speech(rate):
    assert np.abs(resampled(tone(rate=rate, hertz=9000.0), rate))[400:-400].max() < 1e-6
    assert np.std(resampled(tone(rate=rate, hertz=7300.0), rate)[400:-400]) == pytest.approx(
        0.5 / np.sqrt(2), rel=0.005
    )


def test_sixteen_khz_is_not_touched_samples_beyond_one_are_scaled_and_hashes_are_of_the_sound(
    tmp_path,
):
    noise = np.random.default_rng(0).standard_normal(100_003).astype(np.float32)
    assert np.array_equal(resampled(noise, 16000), noise)
    soundfile.write(tmp_path / "hot.wav", tone(peak=3.0), 16000, subtype="FLOAT")
    assert_is_the_tone(read_sound(tmp_path / "hot.wav"), peak=1.0)
    samples = soundfile.read(SAMPLE, dtype="float32")[0]
    soundfile.write(tmp_path / "same.flac", samples, 16000, subtype="PCM_16")
    assert read_sound(tmp_path / "same.flac").fingerprint == read_sound(SAMPLE).fingerprint
    assert Speech(samples * 0.5).fingerprint != Speech(samples).fingerprint


@pytest.mark.parametrize(
    "rate, subtype",
    [
        *(
            (rate, "PCM_16")
            for rate in (4001, 8000, 11025, 16000, 22050, 44099, 44100, 48000, 96000)
        ),
        *(
            (16000, subtype)
            for subtype in ("PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "IMA_ADPCM")
        ),
    ],
)
def test_every_rate_and_sample_format_keeps_pitch_and_length(tmp_path, rate, subtype):
    soundfile.write(tmp_path / "tone.wav", tone(rate=rate), rate, subtype=subtype)
    assert_is_the_tone(read_sound(tmp_path / "tone.wav"))


@pytest.mark.parametrize("kind", ["flac", "ogg", "mp3", "aiff", "m4a", "mka", "wv", "ac3", "ts"])
def test_compressed_files_are_read(tmp_path, kind):
    """The last five by ffmpeg, whose whitelist they pass."""
    name = f"tone.{kind}"
    if kind in ("flac", "ogg", "mp3", "aiff"):
        soundfile.write(tmp_path / name, tone(3.0, rate=44100), 44100)
    elif shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg on PATH")
    else:
        soundfile.write(tmp_path / "tone.wav", np.stack([tone(3.0, rate=48000)] * 2, axis=1), 48000)
        subprocess.run(
            ["ffmpeg", "-v", "error", "-i", "tone.wav", "-b:a", "192k", name],
            cwd=tmp_path,
            timeout=60,
            check=True,
        )
    hertz, rms = as_heard(read_sound(tmp_path / name))
    assert abs(hertz - 440) < 3 and abs(rms - 0.5 / np.sqrt(2)) < 0.03


def test_seams_of_a_long_sound_are_exact(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 44100 * 5 + 77).astype(np.float32)
    soundfile.write(tmp_path / "noise.wav", noise, 44100, subtype="FLOAT")
    whole = read_sound(tmp_path / "noise.wav").samples
    monkeypatch.setattr(audio, "DECODED", 4097)
    assert np.allclose(read_sound(tmp_path / "noise.wav").samples, whole, rtol=0, atol=1e-7)


def test_more_than_an_hour_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "LONGEST", 2)
    soundfile.write(tmp_path / "long.wav", tone(2.5), 16000)
    with pytest.raises(BadSound, match="longer than"):
        read_sound(tmp_path / "long.wav")


def test_many_channels_cost_no_more_memory_than_their_mean(tmp_path):
    channels, rate = 256, 192000
    with wave.open(str(tmp_path / "wide.wav"), "wb") as file:
        file.setparams((channels, 1, rate, 0, "NONE", ""))
        file.writeframes(b"\x80" * (channels * rate // 4))
    with open(tmp_path / "wide.wav", "r+b") as file:
        file.seek(44 + channels * 100)
        file.write(b"\xff" * channels)
    # a quarter of a second: 49 MB as floating point
    with held_at_most(20e6), pytest.raises(BadSound):
        read_sound(tmp_path / "wide.wav")


def test_progress_is_told_and_may_stop_the_reading(tmp_path):
    soundfile.write(tmp_path / "tone.wav", tone(60.0, rate=48000), 48000)
    fractions = []
    read_sound(tmp_path / "tone.wav", fractions.append)
    assert fractions == sorted(fractions) and fractions[-1] == 1.0 and len(set(fractions)) > 2

    def stop(fraction):
        raise Cancelled("Cancelled")

    with pytest.raises(Cancelled):
        read_sound(tmp_path / "tone.wav", stop)


@pytest.fixture
def stalled(tmp_path, monkeypatch):
    """An ffmpeg that never says anything, and a file that only ffmpeg might read: (sound, function
    giving its process id)."""
    if os.name == "nt":
        pytest.skip("the ffmpeg of this test is a shell script")
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ffmpeg").write_text(
        f'#!/bin/sh\necho $$ > "{tmp_path}/pid.new"\nmv "{tmp_path}/pid.new" '
        f'"{tmp_path}/pid"\nsleep 600\n'
    )
    (folder / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    sound = tmp_path / "voice.xyz"
    sound.write_bytes(b"no format that libsndfile knows")

    def pid():
        until(lambda: (tmp_path / "pid").exists())
        return int((tmp_path / "pid").read_text())

    return sound, pid


def test_a_stalled_ffmpeg_ends_with_the_request(stalled, tmp_path):
    sound, pid = stalled

    def cancel_once_it_runs(fraction):
        if (tmp_path / "pid").exists():
            raise Cancelled("Cancelled")

    with pytest.raises(Cancelled):
        read_sound(sound, cancel_once_it_runs)
    until(lambda: not is_alive(pid()))


def test_a_stalled_ffmpeg_ends_when_this_process_is_killed(stalled):
    sound, pid = stalled
    reading = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from thunder_core.engine.speech.audio import read_sound; "
            "read_sound(sys.argv[1])",
            str(sound),
        ],
        cwd=SAMPLE.parents[1],
    )
    try:
        ffmpeg = pid()
        assert is_alive(ffmpeg)
    finally:
        reading.kill()
        reading.wait()
    until(lambda: not is_alive(ffmpeg))


RATE = 48000
VOICE = np.repeat(soundfile.read(SAMPLE, dtype="float32")[0], 3)
TIMES = np.arange(len(VOICE)) / RATE
RNG = np.random.default_rng(0)


def timecode():
    """Biphase mark, 80 bits a frame at 25 fps, as SMPTE 12M has it."""
    bits = RNG.integers(0, 2, len(VOICE) // 24 + 1)
    turns = np.stack([np.ones_like(bits), bits], 1).ravel()
    return 0.4 * np.repeat(1.0 - 2.0 * (np.cumsum(turns) % 2), 12)[: len(VOICE)]


def melody():
    notes = RNG.choice([220, 247, 262, 294, 330, 392], 64)[(TIMES * 8).astype(int) % 64]
    fading = np.exp(-4 * (TIMES % 0.125))
    return 0.1 * fading * sum(np.sin(2 * np.pi * notes * n * TIMES) / n for n in range(1, 9))


def clicks():
    return 0.6 * np.exp(-160 * (TIMES % 0.5)) * np.sin(2 * np.pi * 1000 * TIMES)


def reverberant():
    tail = np.exp(-np.arange(9600) / 3000) * RNG.standard_normal(9600) * 0.02
    return VOICE + np.convolve(VOICE, tail)[: len(VOICE)]


SILENT = 0 * VOICE


@pytest.mark.parametrize(
    "channels, speaks",
    [
        (lambda: (VOICE, timecode()), 1),
        (lambda: (timecode(), VOICE), 2),
        (lambda: (timecode() / 8, 0.1 * VOICE), 2),  # the voice is the softer one
        (lambda: (VOICE, melody()), 1),
        (lambda: (clicks(), VOICE), 2),
        (lambda: (VOICE, -VOICE), 1),
        (lambda: (melody(), timecode(), VOICE, SILENT, SILENT, SILENT), 3),
        (lambda: (VOICE, VOICE), 0),
        (lambda: (0.3 * VOICE, VOICE), 0),
        (lambda: (VOICE, SILENT), 0),
        (lambda: (SILENT, SILENT, VOICE, SILENT, SILENT, SILENT), 0),
        (lambda: (reverberant(), reverberant()), 0),
        (lambda: (VOICE, np.roll(VOICE, 480)), 0),  # a microphone 3 m away
        (lambda: (timecode(), melody()), 0),
        (lambda: (melody(), clicks()), 0),
    ],
)
def test_the_channel_that_speaks_is_found(channels, speaks):
    samples = np.stack(channels(), axis=1).astype(np.float32)
    heard = sound_of(samples, RATE, "line", None)
    assert heard.channel == speaks
    alone = sound_of(samples[:, speaks - 1] if speaks else samples, RATE, "line")
    assert np.array_equal(heard.samples, alone.samples)


def test_a_channel_of_a_file_is_heard_by_choice_or_with_a_warning(tmp_path):
    path = tmp_path / "line.flac"
    soundfile.write(path, np.stack([melody(), VOICE], 1), RATE)
    with pytest.warns(UserWarning, match="“line.flac” is heard from its right channel alone"):
        voice = api.load(path)
    assert voice.channel == 2
    assert np.abs(voice.samples - sound_of(VOICE, RATE, "line").samples).max() < 1e-3
    for given, number in (("left", 1), ("mix", 0), (2, 2), ("2", 2)):
        voice = api.load(path, channel=given)
        expected = read_sound(path, channel=read_channel(given))
        assert voice.channel == number and voice.fingerprint == expected.fingerprint
    with pytest.raises(BadSound, match="has no channel 3, it has 2: choose another Channel"):
        read_sound(path, channel=3)
