# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine computes of a sound in numpy is what torch computes of it, in training and by its
own functions."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchaudio

from thunder_core.engine.network import SHIPPED
from thunder_core.engine.speech import acoustics
from thunder_core.engine.speech.audio import read_sound
from thunder_core.engine.speech.encoder import (
    at_frames,
    loudness,
    PHONES,
    phonetic,
    presence,
    SILENCE,
    softmax,
    SpeechEncoder,
)
from thunder_core.networks import encoder as encoder_network
from thunder_core.shipped import SAMPLE as SAMPLE_FILE
from thunder_core.types import RATE

SAMPLE = read_sound(SAMPLE_FILE).samples


def voice(seconds):
    """The shipped sample, again and again, and a few samples more: no whole number of frames."""
    return np.tile(SAMPLE, 1 + round(seconds * RATE) // len(SAMPLE))[: round(seconds * RATE) + 37]


def noise(seconds):
    return (0.05 * np.random.default_rng(0).standard_normal(round(seconds * RATE))).astype(
        np.float32
    )


def rare(seconds):
    """A voice in a twentieth of the time or less."""
    samples = 1e-4 * noise(seconds)
    samples[RATE : 3 * RATE] += SAMPLE[: 2 * RATE]
    return samples


def silence(seconds):
    return np.zeros(round(seconds * RATE), np.float32)


SOUNDS = [
    (voice, 1),
    (noise, 1),
    (voice, 10),
    (noise, 10),
    (voice, 130),
    (noise, 130),
    (rare, 90),
    (silence, 2),
]


@pytest.fixture(params=SOUNDS, ids=lambda each: f"{each[0].__name__} {each[1]} s")
def samples(request):
    make, seconds = request.param
    return make(seconds)


def tensor(samples):
    return torch.from_numpy(samples)[None]


@pytest.mark.parametrize(("bins", "count"), [(257, 80), (321, 80), (8001, 80), (129, 20)])
def test_mel_filters_are_torchaudios(bins, count):
    theirs = torchaudio.functional.melscale_fbanks(
        bins, 0.0, RATE / 2, count, RATE, norm="slaney", mel_scale="slaney"
    ).numpy()
    ours = acoustics.mel_filters(bins, count)
    assert (
        ours.dtype == np.float32
        and ours.shape == (bins, count)
        and np.abs(ours - theirs).max() < 1e-5 * theirs.max()
    )


@pytest.mark.parametrize(
    ("window", "size", "pad"),
    [(400, 512, "reflect"), (640, 640, "reflect"), (640, 640, "constant")],
)
@pytest.mark.parametrize("length", [RATE, RATE + 1, RATE - 1, 640])
def test_the_transform_is_torchs(window, size, pad, length):
    samples = noise(2)[:length]
    theirs = torch.stft(
        torch.from_numpy(samples), size, acoustics.HOP, window, torch.hann_window(window),
        pad_mode=pad, return_complex=True
    ).T.numpy()  # fmt: skip
    ours = acoustics.transform(samples, window, size, pad)
    assert (
        ours.dtype == np.complex64
        and ours.shape == theirs.shape
        and np.abs(ours - theirs).max() < 1e-5
    )


@pytest.mark.parametrize("window", [400, 640])
def test_log_mels_are_torchaudios(samples, window):
    theirs = encoder_network.LogMel(window)(tensor(samples))[0].numpy()
    ours = acoustics.log_mel(samples, window)
    assert ours.dtype == np.float32 and ours.shape == theirs.shape
    # Of bands near the floor both know the last digits only.
    assert np.abs(ours - theirs).max() < 4e-3 and np.abs(ours - theirs).mean() < 2e-5


def test_loudness_is_the_level_of_windows_around_the_frames(samples):
    frames = round(len(samples) / 640) + 3  # more than there are
    levelled = np.concatenate(
        [np.zeros(640), acoustics.level(samples).astype(float), np.zeros(4 * 640 + 1280)]
    )
    rms = (
        np.array([np.sqrt(np.mean(levelled[640 * i : 640 * i + 1280] ** 2)) for i in range(frames)])
        / 0.1
    )
    wanted = np.stack(
        [2 * np.sqrt(rms.clip(0, 2)) - 1, (np.log10(rms.clip(1e-3)) + 1).clip(-2, 1)], 1
    )
    ours = loudness(samples, frames)
    assert (
        ours.dtype == np.float32
        and ours.shape == (frames, 2)
        and np.abs(ours - wanted).max() < 1e-5
    )


def test_features_at_frames_are_those_of_training_and_of_linear_interpolation():
    rng = np.random.default_rng(0)
    hidden, logits = (
        rng.standard_normal((500, width)).astype(np.float32) for width in (7, len(PHONES))
    )
    theirs = encoder_network.phonetic(
        torch.from_numpy(hidden), torch.from_numpy(logits), 260
    ).numpy()
    ours = phonetic(hidden, logits, 260)
    assert (
        ours.dtype == np.float32
        and ours.shape == (260, 7 + len(PHONES))
        and np.abs(ours - theirs).max() < 1e-3
    )
    wanted = [
        np.interp(np.arange(260) / 25, np.arange(500) / 50 + 0.005, column) for column in hidden.T
    ]
    assert np.abs(ours[:, :7] - np.stack(wanted, 1)).max() < 1e-5
    assert np.array_equal(at_frames(hidden[:1], 3), hidden[[0, 0, 0]])


def test_probabilities_are_those_of_the_softmax_however_large_the_logits():
    logits = np.array([[1e4, 0, -1e4], [0.5, 1.5, -3.0]], np.float32)
    assert np.allclose(softmax(logits), torch.from_numpy(logits).softmax(-1).numpy(), atol=1e-7)


@pytest.mark.parametrize("frames", [1, 5, 300])
def test_presence_is_the_highest_probability_near_each_frame_eased(frames):
    logits = 4 * np.random.default_rng(1).standard_normal((600, len(PHONES))).astype(np.float32)
    logits[:, SILENCE] += np.repeat([14, -14, 14, 14, 5, 14], 100)
    spoken = ((at_frames(1 - softmax(logits), frames)[:, SILENCE] - 0.3) / 0.4).clip(0, 1)
    near = F.max_pool1d(torch.from_numpy(spoken)[None], 17, 1, 8)
    kernel = torch.hann_window(11, periodic=False)[1:-1]
    wanted = F.conv1d(
        F.pad(near[None], (4, 4), mode="replicate"), (kernel / kernel.sum())[None, None]
    )[0, 0].numpy()
    ours = presence(logits, frames)
    assert (
        ours.dtype == np.float32
        and ours.shape == (frames,)
        and np.abs(ours - wanted.clip(0, 1)).max() < 1e-6
    )


def test_the_encoder_reads_a_sound_as_the_network_of_training_does():
    samples = voice(9)
    network = encoder_network.SpeechEncoder.load(SHIPPED)
    with torch.no_grad():
        theirs = [
            each[0].numpy() for each in network(network.prepare(tensor(acoustics.level(samples))))
        ]
    for ours in (SpeechEncoder.load(SHIPPED).analyse(samples), network.reader().analyse(samples)):
        for one, other in zip(ours, theirs):
            assert (
                one.dtype == np.float32
                and one.shape == other.shape
                and np.abs(one - other).max() < 2e-3
            )


def test_the_pitch_is_found_by_the_autocorrelation_of_the_sound_itself():
    """That of a frame, by its definition, without transforms."""
    samples = acoustics.level(voice(1))
    correlation, rms = acoustics._correlation(samples, 160)
    before = acoustics._REACH // 2
    for frame in (30, 60, 99):
        x = np.pad(samples.astype(float), (before, acoustics._REACH))[frame * 160 :][
            : acoustics._REACH
        ]
        x = x - x.mean()
        head = x[: acoustics._WINDOW]
        for lag in (0, 40, 200, acoustics._LAGS - 1):
            other = x[lag : lag + acoustics._WINDOW]
            wanted = head @ other / np.sqrt((head @ head) * (other @ other) + 1e-9)
            assert correlation[frame, lag] == pytest.approx(wanted, abs=1e-4)
        assert rms[frame] == pytest.approx(np.sqrt(np.mean(head**2)), rel=1e-4)
    assert correlation.shape == (100, acoustics._LAGS)


def test_a_pitch_is_the_mean_of_the_classes_around_the_path():
    rng = np.random.default_rng(0)
    score = rng.standard_normal((50, acoustics.CLASSES)).astype(np.float32)
    path = rng.integers(0, acoustics.CLASSES, 50)
    at = torch.from_numpy(path[:, None] + np.arange(-3, 4)).clamp(0, acoustics.CLASSES - 1)
    weight = torch.from_numpy(score).gather(-1, at).softmax(-1)
    classes = 55.0 * (500 / 55.0) ** (torch.arange(96) / 95)
    wanted = (weight * classes[at].log()).sum(-1).exp().numpy()
    ours = acoustics.hertz_along(score, path)
    assert ours.dtype == np.float32 and np.allclose(ours, wanted, rtol=1e-5)
