# SPDX-License-Identifier: GPL-3.0-or-later
"""Who speaks: a unit vector of a sound, as Resemblyzer's network has it of torchaudio's
spectrogram."""

import numpy as np
import pytest
import torch
import torchaudio

from thunder_core.engine.network import SHIPPED
from thunder_core.engine.vocoder import SpeakerEncoder
from thunder_core.networks import encoder as networks
from thunder_core.types import RATE


@pytest.fixture(scope="module")
def network():
    return networks.SpeakerEncoder.load(SHIPPED)


@pytest.fixture(scope="module")
def encoder(network):
    @torch.no_grad()
    def vectors(mels: np.ndarray) -> list[np.ndarray]:
        return [network(torch.from_numpy(mels)).numpy()]

    return SpeakerEncoder(vectors)


def voice(seconds: float) -> np.ndarray:
    """A tone that wavers, in the range of voices."""
    return (
        0.1 * np.sin(np.cumsum(0.05 + 0.01 * np.sin(np.arange(int(seconds * RATE)) * 1e-3)))
    ).astype(np.float32)


def test_a_voice_is_a_unit_vector_whatever_the_length_and_level(encoder):
    for samples in (voice(3), voice(3)[:2000], 0.2 * voice(3)):
        vector = encoder.embed(samples)
        assert (
            vector.shape == (256,)
            and vector.dtype == np.float32
            and np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        )
    assert encoder.embed(voice(3)) @ encoder.embed(0.2 * voice(3)) > 0.999
    assert np.isfinite(encoder.embed(np.zeros(2 * RATE, np.float32))).all(), "silence has one too"
    shipped = SpeakerEncoder.load(SHIPPED).embed(voice(3))
    assert np.abs(shipped - encoder.embed(voice(3))).max() < 1e-4


def test_partials_are_torchaudio_s_spectra_at_one_loudness(encoder, network):
    samples = voice(1.6)
    mel = torchaudio.transforms.MelSpectrogram(
        RATE,
        n_fft=400,
        hop_length=160,
        n_mels=40,
        f_min=0.0,
        f_max=RATE / 2,
        power=2.0,
        norm="slaney",
        mel_scale="slaney",
    )
    levelled = torch.from_numpy(samples * (10 ** (-30 / 20) / np.sqrt(np.square(samples).mean())))
    with torch.no_grad():
        expected = network(mel(levelled)[None, :, :160].transpose(1, 2))[0]
    assert np.allclose(encoder.embed(samples), expected, atol=1e-5)


def test_pauses_are_left_out_and_a_long_sound_is_heard_in_some_places(network):
    counts = []

    def counted(mels: np.ndarray) -> list[np.ndarray]:
        counts.append(mels.shape)
        return [np.eye(256, dtype=np.float32)[: len(mels)]]

    encoder = SpeakerEncoder(counted)
    spoken, long = np.concatenate([voice(3.2), np.zeros(20 * RATE, np.float32)]), voice(90)
    for samples, most in ((spoken, 40), (long, 40), (long, 2)):
        encoder.embed(samples, most)
    assert 2 <= counts[0][0] <= 6 and 35 <= counts[1][0] <= 41 and counts[2] == (2, 160, 40)
