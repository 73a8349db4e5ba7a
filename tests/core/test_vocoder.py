# SPDX-License-Identifier: GPL-3.0-or-later
"""The vocoder sings the pitch it is given, is silent on silence, and nothing that goes in makes it click or
scream; who speaks is a unit vector; the engine's mouth moves as the one that mesh-to-speech learns from."""

import numpy as np
import pytest
import torch
import torchaudio

from research.train import shaped_sound as shaped
from research.train.spaces import MouthNetwork
from research.train.vocoder import class_of
from thunder_core.acoustics import (
    CLASSES,
    classes,
    hertz_along,
    HIGHEST,
    log_mel,
    LOWEST,
    smooth_path,
    track,
)
from thunder_core.engine.m2s import (
    limit_mel,
    LOG_FLOOR,
    MARGIN,
    MouthVertices,
    phase_in_turns,
    pitch_of,
    pulse_train,
    shape_sound,
    SpeakerEncoder,
    unit_noise,
    Vocoder,
)
from thunder_core.face.head import load_head
from thunder_core.networks import speech as networks
from thunder_core.types import Motion, RATE
from thunder_core.weight_files import SHIPPED, trained_mouth, VocoderConfig


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = networks.VocoderNetwork(VocoderConfig(width=32, layers=2)).eval()
    for p in network.parameters():  # whatever it has learnt
        p.data += 0.3 * torch.randn_like(p)
    return network


@pytest.fixture(scope="module")
def vocoder(network):
    """The engine's vocoder of the network in torch."""

    @torch.no_grad()
    def shape(**inputs: np.ndarray) -> list[np.ndarray]:
        return [
            made.numpy()
            for made in network(**{name: torch.from_numpy(value) for name, value in inputs.items()})
        ]

    return Vocoder(network.config, shape)


@pytest.fixture(scope="module")
def speaker():
    """A voice of no one in particular, [256]."""
    return np.full(256, 1 / 16, np.float32)


@pytest.fixture(scope="module")
def units():
    """For two seconds."""
    return np.arange(100) % 200


def voice(seconds: float = 2.0) -> np.ndarray:
    """A buzzing vowel whose pitch glides from 110 to 180 Hz, with pauses, at speech level."""
    t = np.arange(int(seconds * RATE)) / RATE
    phase = np.cumsum((110 + 35 * t) / RATE)
    buzz = sum(np.sin(2 * np.pi * k * phase) / k for k in range(1, 20))
    return (0.08 * buzz * (np.sin(2 * np.pi * 1.5 * t) > -0.5)).astype(np.float32)


def test_as_many_samples_as_the_mel_has_hops_and_silence_stays_silent(vocoder, speaker, units):
    for frames in (1, 2, 3, 7, 50, 199):
        sound = vocoder.speak(
            np.full((frames, 80), -5.0, np.float32), units[: max(1, frames // 2)], speaker
        )
        assert sound.shape == (160 * frames,) and sound.dtype == np.float32
    assert len(vocoder.speak(np.zeros((0, 80), np.float32), units, speaker)) == 0
    assert len(vocoder.speak(np.zeros((10, 80), np.float32), units[:0], speaker)) == 1600
    for level in (LOG_FLOOR, -40.0):
        assert not vocoder.speak(np.full((200, 80), level, np.float32), units, speaker).any()


FRAME, BAND = np.indices((200, 80))
ODD = {
    "random": 8 * np.random.default_rng(1).standard_normal((200, 80)) - 4,
    "huge": np.full((200, 80), 1e30),
    "not numbers": np.where(FRAME < 50, np.inf, np.nan),
    "checkers": np.where((FRAME + BAND) % 2 > 0, 5.0, -11.5),
    "one frame": np.where(FRAME == 100, 10.0, LOG_FLOOR),
    "one band": np.where(BAND == 60, 10.0, LOG_FLOOR),
    "minus infinity": np.full((200, 80), -np.inf),
}


@pytest.mark.parametrize("odd", ODD)
def test_no_input_makes_it_click_or_scream(vocoder, speaker, units, odd):
    if odd == "not numbers":
        speaker = np.full(256, np.nan, np.float32)
    sound = vocoder.speak(ODD[odd].astype(np.float32), units * 1000 - 7, speaker)
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() <= 0.9 + 1e-6
    # No 40 ms are louder than a shout at speech level, whatever the mel asks for.
    assert (
        np.sqrt(
            np.square(np.lib.stride_tricks.sliding_window_view(sound, 640)[::160]).mean(-1)
        ).max()
        < 0.5
    )


def test_what_is_louder_than_speech_is_turned_down_to_it():
    mel = log_mel(voice(), 640)
    assert np.array_equal(limit_mel(mel), np.maximum(mel, np.float32(LOG_FLOOR)))
    assert np.log(np.exp(2 * limit_mel(mel + 6)).sum(-1)).max() < 2.11


def test_same_input_same_sound_and_seams_are_not_heard(vocoder, speaker, units, monkeypatch):
    mel = log_mel(voice(), 640)[:200]
    whole = vocoder.speak(mel, units, speaker)
    assert np.array_equal(whole, vocoder.speak(mel, units, speaker))
    monkeypatch.setattr("thunder_core.engine.m2s._CHUNK", 60)
    assert np.allclose(vocoder.speak(mel, units, speaker), whole, atol=2e-4)


def test_the_engine_s_sound_is_the_one_that_training_heard(network, speaker, units):
    rng = np.random.default_rng(0)
    mel = torch.from_numpy(log_mel(voice(), 640)[None, :200])
    with torch.no_grad():
        score, amplitude = network(
            mel, torch.from_numpy(units)[None], torch.from_numpy(speaker)[None]
        )
    hertz, noise = pitch_of(score[0].numpy()), unit_noise()[: 160 * 200]
    turned = shaped.turns(torch.from_numpy(hertz)[None])
    assert np.array_equal(phase_in_turns(hertz), turned[0])
    assert np.allclose(
        pulse_train(hertz, phase_in_turns(hertz)),
        shaped.pulse_train(torch.from_numpy(hertz)[None], turned)[0],
        atol=1e-6,
    )
    expected = shaped.ShapedSound()(
        amplitude, torch.from_numpy(hertz)[None], turned, torch.from_numpy(noise)[None]
    )[0]
    made = shape_sound(amplitude[0].numpy(), hertz, phase_in_turns(hertz), noise)
    assert np.allclose(made, expected, atol=2e-6) and np.abs(made).max() > 0.05
    wild = rng.normal(-4, 8, (50, 80)).astype(np.float32)
    wild[:3] = [[np.nan], [np.inf], [-np.inf]]
    assert np.allclose(limit_mel(wild), shaped.limit_mel(torch.from_numpy(wild)), atol=1e-5)


def test_noise_is_torch_s():
    assert np.allclose(
        unit_noise(), torch.randn(1 << 17, generator=torch.Generator().manual_seed(1)), atol=2e-6
    )


def test_pulses_are_all_harmonics_of_a_gliding_pitch_added_one_by_one():
    frames = np.linspace(90, 460, 30)
    pitch = np.interp(np.arange(29 * 160) / 160, np.arange(30), frames)
    turn, top = np.append(0.0, np.cumsum(pitch)[:-1] / RATE), 7600 / pitch
    expected = np.zeros_like(pitch)
    for harmonic in range(1, 86):  # the last one in part, so that none begins with a click
        expected += (top - harmonic + 1).clip(0, 1) * np.cos(2 * np.pi * harmonic * turn)
    made = pulse_train(frames, phase_in_turns(frames))[: len(pitch)]
    assert np.abs(made - expected * pitch / (RATE / 2)).max() < 0.01 * np.abs(made).max()


def test_the_smoothest_path_is_the_best_of_all_paths():
    score = np.full((4, CLASSES), -50.0, np.float32)
    few = [10, 12, 40]
    score[:, few] = 3 * np.random.default_rng(0).standard_normal((4, 3))
    leap = 0.2
    paths = [(a, b, c, d) for a in few for b in few for c in few for d in few]

    def total(path):
        return sum(score[i, p] for i, p in enumerate(path)) - leap * sum(
            abs(a - b) for a, b in zip(path, path[1:])
        )

    assert tuple(smooth_path(score, leap).tolist()) == max(paths, key=total)


def test_pitch_classes_agree_and_the_pitch_of_a_voice_is_tracked():
    assert classes()[0] == pytest.approx(LOWEST) and classes()[-1] == pytest.approx(
        HIGHEST, rel=1e-4
    )
    assert np.allclose(class_of(classes()), np.arange(CLASSES), atol=1e-3)
    score = -((np.arange(CLASSES) - class_of(np.array(200.0))) ** 2)[None]
    assert hertz_along(score, score.argmax(-1))[0] == pytest.approx(200, rel=0.005)
    t = np.arange(2 * RATE) / RATE
    for hertz in (70.0, 131.0, 233.0, 400.0):
        tone = 0.05 * sum(np.sin(2 * np.pi * hertz * k * t) / k for k in range(1, 8))
        pitch, voiced = track(tone)
        assert voiced[5:-5].all()
        assert np.median(pitch[5:-5]) == pytest.approx(hertz, rel=0.01)
    assert track(0.1 * np.random.default_rng(0).standard_normal(RATE))[1].mean() < 0.05
    assert not track(np.zeros(RATE))[1].any()


@pytest.fixture(scope="module")
def listener():
    return networks.SpeakerEncoderNetwork.load(SHIPPED)


@pytest.fixture(scope="module")
def encoder(listener):
    @torch.no_grad()
    def vectors(mels: np.ndarray) -> list[np.ndarray]:
        return [listener(torch.from_numpy(mels)).numpy()]

    return SpeakerEncoder(vectors)


def tone(seconds: float) -> np.ndarray:
    """A tone that wavers, in the range of voices."""
    return (
        0.1 * np.sin(np.cumsum(0.05 + 0.01 * np.sin(np.arange(int(seconds * RATE)) * 1e-3)))
    ).astype(np.float32)


def test_a_voice_is_a_unit_vector_whatever_the_length_and_level(encoder):
    for samples in (tone(3), tone(3)[:2000], 0.2 * tone(3)):
        vector = encoder.embed(samples)
        assert (
            vector.shape == (256,)
            and vector.dtype == np.float32
            and np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        )
    assert encoder.embed(tone(3)) @ encoder.embed(0.2 * tone(3)) > 0.999
    assert np.isfinite(encoder.embed(np.zeros(2 * RATE, np.float32))).all(), "silence has one too"
    shipped = SpeakerEncoder.load(SHIPPED).embed(tone(3))
    assert np.abs(shipped - encoder.embed(tone(3))).max() < 1e-4


def test_partials_are_torchaudio_s_spectra_at_one_loudness(encoder, listener):
    samples = tone(1.6)
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
        expected = listener(mel(levelled)[None, :, :160].transpose(1, 2))[0]
    assert np.allclose(encoder.embed(samples), expected, atol=1e-5)


def test_pauses_are_left_out_and_a_long_sound_is_heard_in_some_places(listener):
    counts = []

    def counted(mels: np.ndarray) -> list[np.ndarray]:
        counts.append(mels.shape)
        return [np.eye(256, dtype=np.float32)[: len(mels)]]

    encoder = SpeakerEncoder(counted)
    spoken, long = np.concatenate([tone(3.2), np.zeros(20 * RATE, np.float32)]), tone(90)
    for samples, most in ((spoken, 40), (long, 40), (long, 2)):
        encoder.embed(samples, most)
    assert 2 <= counts[0][0] <= 6 and 35 <= counts[1][0] <= 41 and counts[2] == (2, 160, 40)


FRAMES = 60


@pytest.fixture(scope="module", params=["bundled head", "trained mouth"])
def head(request):
    return load_head() if request.param == "bundled head" else trained_mouth(SHIPPED)


@pytest.fixture(scope="module")
def motion(head):
    """Everything moves at once, the jaw in all directions, so that shapes of two keys do too."""
    rng = np.random.default_rng(0)
    expression = rng.uniform(-0.3, 1.2, (FRAMES, head.channels))
    jaw = rng.normal(0, 0.15, (FRAMES, 3))
    jaw[0] = expression[0] = 0.0
    return Motion(expression.astype(np.float32), jaw.astype(np.float32))


def test_vertices_are_those_of_training(head, motion):
    ours, theirs = MouthVertices(head), MouthNetwork(head)
    with torch.no_grad():
        expected = theirs(
            torch.from_numpy(motion.expression)[None], torch.from_numpy(motion.jaw)[None]
        )[0].numpy()
    made = ours.vertices(motion.expression, motion.jaw)
    assert made.dtype == np.float32 and made[0].size == ours.size == theirs.size
    assert np.abs(made - expected).max() < 1e-6 and np.abs(expected).max() > 0.01
    assert not made[0].any(), "at rest"


@pytest.mark.parametrize("frames", [1, 500, 501, 1234])
def test_windows_cover_a_motion_once_with_context_on_either_side(head, frames):
    jaw = np.zeros((frames, 3), np.float32)
    jaw[:, 0] = np.linspace(0, 0.3, frames)
    motion = Motion(np.zeros((frames, head.channels), np.float32), jaw)
    mouth = MouthVertices(head)
    kept = [
        (seen[0][keep], len(seen[0]), keep)
        for seen, keep in mouth.windows([motion], slice(0, motion.frames))
    ]
    whole = mouth.vertices(motion.expression, motion.jaw)
    assert np.allclose(np.concatenate([seen for seen, _, _ in kept]), whole, atol=1e-7)
    assert all(keep.start == MARGIN for _, _, keep in kept[1:]) and all(
        length - keep.stop <= MARGIN for _, length, keep in kept
    )
