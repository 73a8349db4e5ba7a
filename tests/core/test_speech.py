# SPDX-License-Identifier: GPL-3.0-or-later
"""Features fall on the frames they belong to, whatever the sound's length and level, and are what torch
computes of it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from made_whisper import encoder_sizes

from research.faces.lip_clips import map_voice
from research.train.encoder import LogMel, TrainableEncoder
from research.train.motions import fit_units
from research.train.mouth_readings import presence_in
from research.train.spaces import MouthNetwork
from research.train.weight_writing import save_trained_mouth
from thunder_core import acoustics
from thunder_core.acoustics import active_level, level, log_mel, loudness
from thunder_core.engine.planning.mouth_map import expect_lips, phone_probabilities
from thunder_core.engine.speech import encoder as encoder_module
from thunder_core.engine.speech.audio import read_sound, sound_of
from thunder_core.engine.speech.encoder import (
    at_frames,
    presence,
    softmax,
    speech_features,
    SpeechEncoder,
    Units,
)
from thunder_core.errors import Cancelled
from thunder_core.face.head import load_head
from thunder_core.networks.speech import MeshToSpeechNetwork
from thunder_core.request import DRAFT, Request
from thunder_core.shipped import SAMPLE as SAMPLE_FILE
from thunder_core.spoken import phone_index, PHONES, SILENCE
from thunder_core.types import RATE
from thunder_core.weight_files import SHIPPED, trained_mouth


def test_phone_symbols_of_any_dialect_find_their_place():
    assert [PHONES[phone_index(s)] for s in ("AA1", "pau", "ax", "b", "<s>", "ZH")] == [
        "AA",
        "SIL",
        "AH",
        "B",
        "SIL",
        "ZH",
    ]


def noise(seconds):
    """White noise, float32 [samples]."""
    return np.random.default_rng(0).standard_normal(round(seconds * RATE)).astype(np.float32)


def voice(seconds, level=0.1):
    """Noise that comes and goes three times a second, as syllables do; float32 [samples]."""
    syllables = np.abs(np.sin(np.arange(round(seconds * RATE)) / RATE * 3 * np.pi)).astype(
        np.float32
    )
    return np.float32(level) * syllables * noise(seconds)


@pytest.mark.parametrize("decibels", [-20, -40, -60, -75])
def test_a_voice_of_any_level_is_brought_to_the_same(decibels):
    assert np.allclose(
        level(10 ** (decibels / 20) * voice(3)), level(voice(3)), rtol=1e-3, atol=1e-5
    )


def test_neither_a_click_nor_a_long_pause_hides_a_quiet_voice():
    clicked, rare = voice(3, 1e-4), 1e-5 * noise(100)
    clicked[20_000:20_100] += 1.0
    rare[40 * RATE : 43 * RATE] += voice(3)
    assert active_level(clicked) == pytest.approx(active_level(voice(3, 1e-4)), rel=0.05)
    assert active_level(rare) == pytest.approx(active_level(voice(3)), rel=0.15)


@pytest.mark.parametrize("window", [400, 640])
@pytest.mark.parametrize("seconds", [3, 5.3])
def test_spectra_of_long_sounds_are_the_same_in_pieces(monkeypatch, seconds, window):
    whole = log_mel(voice(seconds), window)
    monkeypatch.setattr(acoustics, "PIECE", 1)
    pieces = log_mel(voice(seconds), window)
    assert pieces.shape == whole.shape and np.allclose(pieces, whole, atol=1e-4)


@pytest.fixture(scope="module")
def small_encoder():
    torch.manual_seed(0)
    return TrainableEncoder(encoder_sizes(16, ahead=2)).eval().reader()


@pytest.mark.parametrize("length", [1, 100, 1600, 4801])
def test_any_length_gives_the_frames_asked_for(small_encoder, length):
    samples = 0.1 * noise(1)[:length]
    features = speech_features(*small_encoder.analyse(samples), samples, 7)
    assert features.shape == (7, small_encoder.feature_width) and features.dtype == np.float32


def test_a_stop_during_a_sound_ends_its_analysis(small_encoder, monkeypatch):
    monkeypatch.setattr(encoder_module, "_CHUNK", 50)
    told = []

    def progress(fraction):
        told.append(fraction)
        if fraction > 0.4:
            raise Cancelled("Cancelled")

    with pytest.raises(Cancelled):
        small_encoder.analyse(0.1 * noise(4), progress)
    assert told == [0, 0.25, 0.5]


def test_what_repeats_for_long_is_encoded_once(small_encoder, monkeypatch):
    """As digital silence does."""
    monkeypatch.setattr(encoder_module, "_CHUNK", 100)
    real, chunks = small_encoder.network, []

    def network(mel):
        chunks.append(mel)
        return real(mel=mel)

    monkeypatch.setattr(small_encoder, "network", network)
    hidden, logits = small_encoder.analyse(np.r_[0.1 * noise(1), np.zeros(19 * RATE, np.float32)])
    assert len(hidden) == len(logits) == 1000 and len(chunks) == 4  # voice, its end, silence, end
    for heard, of_silence in zip((hidden, logits), real(mel=chunks[2])):
        assert np.array_equal(heard[200:900], np.tile(of_silence[0, 50:150], (7, 1)))


def test_units_find_clusters_and_are_the_nearest_centroid(monkeypatch):
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]], np.float32)
    points = np.tile(centres, (50, 1)) + 0.1 * np.random.default_rng(0).standard_normal(
        (150, 2)
    ).astype(np.float32)
    units = fit_units(points, 12, seed=1)
    assert len(set(units(centres).tolist())) == 3
    assert np.linalg.norm(units.centroids[:, None] - centres, axis=-1).min(0).max() < 0.15
    assert np.isfinite(fit_units(points[:5], 12, seed=1).centroids).all(), (
        "a few seconds of speech have fewer frames than units"
    )
    far_apart = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]], np.float32)
    alone = fit_units(far_apart, 3, seed=1).centroids  # a class of one point is that point
    assert sorted(map(tuple, alone)) == sorted(map(tuple, far_apart))
    rng = np.random.default_rng(0)
    units = Units(rng.standard_normal((20, 5)).astype(np.float32))
    x = rng.standard_normal((30, 5)).astype(np.float32)
    monkeypatch.setattr(encoder_module, "_PIECE", 7)
    brute = np.square(x[:, None] - units.centroids).sum(-1).argmin(1)
    assert np.array_equal(units(x), brute) and units(x).dtype == np.int64
    assert np.array_equal(units.over(x, 17), np.append(brute, [brute[-1]] * 4)) and np.array_equal(
        units.over(x, 3), brute[:6]
    )


def test_mouth2s_listens_to_the_mouth_it_learned(tmp_path):
    """Moved by the same channels, whatever has become of the head since; the embedded one fits the
    embedded network."""
    head = load_head()
    save_trained_mouth(tmp_path, head)
    own, kept = MouthNetwork(head), MouthNetwork(trained_mouth(tmp_path))
    expression, jaw = torch.rand(2, 3, head.channels), 0.2 * torch.rand(2, 3, 3)
    assert torch.equal(own(expression, jaw), kept(expression, jaw))
    assert torch.equal(
        own.shape(own(expression, jaw)), kept.shape(kept(expression, jaw))
    ) and torch.equal(own.inner, kept.inner)
    assert trained_mouth(tmp_path / "nowhere") is None
    embedded = MeshToSpeechNetwork.load(SHIPPED)
    assert (
        embedded.mouth.expression_names == head.expression_names
        and MouthNetwork(embedded.mouth).size == embedded.config.inputs
    )


SAMPLE = read_sound(SAMPLE_FILE).samples


def sample_of(seconds):
    """The shipped sample, again and again, and a few samples more: no whole number of frames."""
    return np.tile(SAMPLE, 1 + round(seconds * RATE) // len(SAMPLE))[: round(seconds * RATE) + 37]


def hiss(seconds):
    return (0.05 * np.random.default_rng(0).standard_normal(round(seconds * RATE))).astype(
        np.float32
    )


def rare(seconds):
    """A voice in a twentieth of the time or less."""
    samples = 1e-4 * hiss(seconds)
    samples[RATE : 3 * RATE] += SAMPLE[: 2 * RATE]
    return samples


def silence(seconds):
    return np.zeros(round(seconds * RATE), np.float32)


SOUNDS = [
    (sample_of, 1),
    (hiss, 1),
    (sample_of, 10),
    (hiss, 10),
    (sample_of, 130),
    (hiss, 130),
    (rare, 90),
    (silence, 2),
]


@pytest.fixture(params=SOUNDS, ids=lambda each: f"{each[0].__name__} {each[1]} s")
def samples(request):
    make, seconds = request.param
    return make(seconds)


def tensor(samples):
    return torch.from_numpy(samples)[None]


@pytest.mark.parametrize(
    ("window", "size", "pad"),
    [(400, 512, "reflect"), (640, 640, "reflect"), (640, 640, "constant")],
)
@pytest.mark.parametrize("length", [RATE, RATE + 1, RATE - 1, 640])
def test_the_transform_is_torchs(window, size, pad, length):
    samples = hiss(2)[:length]
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
    theirs = LogMel(window)(tensor(samples))[0].numpy()
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
    ours = presence(softmax(logits), frames)
    assert (
        ours.dtype == np.float32
        and ours.shape == (frames,)
        and np.abs(ours - wanted.clip(0, 1)).max() < 1e-6
    )


def test_where_nothing_at_all_is_heard_lips_settle_at_once():
    speech = np.zeros((200, len(PHONES)), np.float32)
    cut_off = speech.copy()
    speech[80:110, SILENCE] = 1.0  # a pause of 15 frames; the other: as if the sound went on
    room, gated = np.zeros(100, np.float32), np.zeros(100, np.float32)
    gated[42:54] = 1.0
    assert presence(speech, 100, room).min() == 1.0
    for belief, first in ((speech, 45), (cut_off, 46)):
        alive = presence(belief, 100, gated)
        assert alive[first:51].max() < 0.02 and (alive[:40] == 1).all() and (alive[57:] == 1).all()
    closure = (np.arange(100) // 4 == 12).astype(np.float32)  # of a plosive
    assert presence(cut_off, 100, closure).min() == 1


def coloured(power, decibels):
    """Noise as long as the sample whose power falls with so much of the frequency, dBFS."""
    count = len(SAMPLE)
    spectrum = np.fft.rfft(np.random.default_rng(1).standard_normal(count))
    spectrum *= np.maximum(np.fft.rfftfreq(count, 1 / RATE), 20.0) ** (-power / 2)
    spectrum[0] = 0
    sound = np.fft.irfft(spectrum, count)
    return 10 ** (decibels / 20) * sound / sound.std()


def hum(hertz, decibels):
    """Eight harmonics of the mains, dBFS."""
    turns = 2 * np.pi * hertz * np.arange(len(SAMPLE)) / RATE
    sound = sum(np.sin(k * turns + k) / k for k in range(1, 9))
    return 10 ** (decibels / 20) * sound / sound.std()


def rounded(samples, bits, dither):
    """Samples as whole numbers of so many bits, with a dither of so many steps."""
    shaken = dither * np.random.default_rng(2).uniform(-1, 1, len(samples))
    return np.round(samples * 2 ** (bits - 1) + shaken) / 2 ** (bits - 1)


def beside_the_voice(noise):
    """A noise that is cut off a fifth of a second from the voice, as by an editor."""
    loud = np.abs(SAMPLE) > 0.01
    return noise * (np.convolve(loud, np.ones(2 * RATE // 5), "same") > 0.5)


TIME = np.arange(len(SAMPLE)) / RATE
# what is made of the sample, and how alike mouths then are while somebody speaks
STEADY = {
    "an offset": (lambda: 0.4 * SAMPLE + 0.45, 0.99),
    "a drifting offset": (lambda: SAMPLE + 0.05 * np.sin(0.6 * TIME), 0.99),
    "a rumble": (lambda: SAMPLE + 0.03 * np.sin(2 * np.pi * 8 * TIME), 0.99),
    "hum of 50 Hz": (lambda: SAMPLE + hum(50, -40), 0.97),
    "hum of 60 Hz": (lambda: SAMPLE + hum(60, -30), 0.97),
    "white noise": (lambda: SAMPLE + coloured(0, -60), 0.97),
    "loud white noise": (lambda: SAMPLE + coloured(0, -40), 0.8),
    "faint pink noise": (lambda: SAMPLE + coloured(1, -70), 0.97),
    "pink noise": (lambda: SAMPLE + coloured(1, -50), 0.97),
    "a room that swells": (
        lambda: SAMPLE + coloured(1.5, -50) * 10 ** (0.2 * np.sin(TIME / 2)),
        0.97,
    ),
    "a room cut off beside the voice": (lambda: SAMPLE + beside_the_voice(coloured(1, -50)), 0.95),
    "a quiet recording": (lambda: rounded(SAMPLE / 316, 16, 0.5), 0.95),
    "a quiet recording in noise": (lambda: SAMPLE / 316 + coloured(1, -110), 0.95),
    "eight bits": (lambda: rounded(SAMPLE, 8, 1), 0.94),
    "clipped, in noise": (lambda: np.clip(4 * SAMPLE + coloured(0, -50), -0.7, 0.7), 0.85),
}


def mouth_of(engine, samples):
    """Opening [T] in mm of the plain take of a sound."""
    (take,) = engine.generate(sound_of(samples, RATE, "line"), Request(1, 11, DRAFT))
    return take.opening


@pytest.fixture(scope="module")
def clean_mouth(engine):
    return mouth_of(engine, SAMPLE)


@pytest.mark.parametrize("what", STEADY)
def test_what_is_constant_moves_no_mouth(engine, clean_mouth, what):
    make, alike = STEADY[what]
    mouth = mouth_of(engine, make())
    level = loudness(SAMPLE, len(mouth))[:, 1]
    pause, spoken = level <= -1.99, level > -0.5
    # a frame before the voice, lips may open for it; on the last one it might go on
    pause &= ~np.append(level[1:] > -1.9, True)
    assert pause.sum() > 10 and clean_mouth[pause].max() < 2
    assert mouth[pause].max() < 2.5 and (mouth - clean_mouth)[pause].std() < 0.4
    assert np.corrcoef(mouth[spoken], clean_mouth[spoken])[0, 1] > alike


def test_a_breath_in_a_noisy_pause_may_part_lips(engine):
    noisy = SAMPLE + coloured(1, -60)
    quiet = np.flatnonzero(loudness(SAMPLE, 200)[:, 1] <= -1.99)
    middle = quiet[(quiet > 20) & (quiet < 180)].mean()
    breath = coloured(0, -42) * np.exp(-(((TIME - middle / 25) / 0.07) ** 2))
    nothing, breathed = (
        engine.thunder.analyse(each.astype(np.float32), 200).presence[round(middle)]
        for each in (noisy, noisy + breath)
    )
    assert nothing < 0.1 and breathed > 0.5


def test_without_its_slow_part_a_sound_keeps_its_voice(monkeypatch):
    tone = np.sin(2 * np.pi * 100 * np.arange(3 * RATE) / RATE).astype(np.float32)
    whole = acoustics.high_pass(tone + 0.5)
    assert np.abs(whole - tone)[800:-800].max() < 0.01
    monkeypatch.setattr(acoustics, "PIECE", 1)
    assert np.array_equal(acoustics.high_pass(tone + 0.5), whole)
    assert not acoustics.high_pass(np.ones(5)).any()


def test_the_encoder_reads_a_sound_as_the_network_of_training_does():
    samples = sample_of(9)
    network = TrainableEncoder.load(SHIPPED)
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


@pytest.mark.parametrize("chunk", [400, 700])
def test_what_lips_do_hardly_depends_on_where_pieces_of_a_long_sound_fall(monkeypatch, chunk):
    """Whisper counts frames from the beginning of a piece, so that features differ; of its phones
    one in twenty does, and the lips' plan as good as not at all."""
    samples, encoder = sample_of(45), SpeechEncoder.load(SHIPPED)
    frames, heard = len(samples) // 640, []
    for pieces in (encoder_module._CHUNK, chunk):
        monkeypatch.setattr(encoder_module, "_CHUNK", pieces)
        hidden, logits = encoder.analyse(samples)
        features = speech_features(hidden, logits, samples, frames)
        curves, phones = map_voice(features), phone_probabilities(features)
        heard.append((logits.argmax(1), expect_lips(curves, phones, presence_in(features))))
    (phones, lips), (other_phones, other_lips) = heard
    assert (phones == other_phones).mean() > 0.93
    for plan, other_plan in zip(lips.T, other_lips.T):
        assert np.corrcoef(plan, other_plan)[0, 1] > 0.97
