# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel that speaks is heard alone where a mix would blur it, and only there."""

import numpy as np
import pytest
import soundfile

from thunder_core import api
from thunder_core.channels import read_channel
from thunder_core.engine.speech.audio import read_sound, sound_of
from thunder_core.errors import BadSound
from thunder_core.shipped import SAMPLE

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
