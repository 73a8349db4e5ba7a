# SPDX-License-Identifier: GPL-3.0-or-later
"""The vocoder sings the pitch it is given, is silent on silence, and nothing that goes in makes it click or scream."""

import copy
import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from research.train.discriminators import Discriminators
from research.train.vocoder import (
    adversarial_terms,
    AdversarialVocoder,
    blurred,
    corrupt_units,
    pitch_loss,
    SpectralViews,
    view_distance,
)
from thunder_core.engine.m2s.vocoder import _bands_to_bins, LOG_FLOOR, pulse_train, tamed, turns, Vocoder, VocoderConfig
from thunder_core.engine.speech.mel import FLOOR, LogMel
from thunder_core.engine.speech.pitch import class_of, CLASSES, classes, hertz_along, HIGHEST, LOWEST, smooth_path, track
from thunder_core.engine.weights import save_weights
from thunder_core.errors import BadWeights
from thunder_core.train.loop import fit, Schedule
from thunder_core.types import RATE


@pytest.fixture(scope="module")
def vocoder():
    torch.manual_seed(0)
    network = Vocoder(VocoderConfig(width=32, layers=2)).eval()
    for p in network.parameters():  # whatever it has learnt
        p.data += 0.3 * torch.randn_like(p)
    return network


@pytest.fixture(scope="module")
def small():
    """A voice of no one in particular: speaker [256], units for two seconds."""
    return torch.full((256,), 1 / 16), torch.arange(100) % 200


def voice(seconds: float = 2.0) -> torch.Tensor:
    """A buzzing vowel whose pitch glides from 110 to 180 Hz, with pauses, at speech level."""
    t = torch.arange(int(seconds * RATE)) / RATE
    phase = torch.cumsum((110 + 35 * t) / RATE, 0)
    buzz = sum(torch.sin(2 * torch.pi * k * phase) / k for k in range(1, 20))
    return 0.08 * buzz * (torch.sin(2 * torch.pi * 1.5 * t) > -0.5)


def test_log_floor_is_the_mels_own():
    assert LOG_FLOOR == pytest.approx(math.log(FLOOR), abs=1e-5)


def test_as_many_samples_as_the_mel_has_hops(vocoder, small):
    speaker, units = small
    for frames in (1, 2, 3, 7, 50, 199):
        assert len(vocoder.speak(torch.full((frames, 80), -5.0), units[: max(1, frames // 2)], speaker)) == 160 * frames
    assert len(vocoder.speak(torch.zeros(0, 80), units, speaker)) == 0


def test_silence_stays_silent(vocoder, small):
    speaker, units = small
    assert vocoder.speak(torch.full((200, 80), LOG_FLOOR), units, speaker).abs().max() == 0
    assert vocoder.speak(torch.full((200, 80), -40.0), units, speaker).abs().max() == 0


@pytest.mark.parametrize("odd", ["random", "huge", "not numbers", "checkers", "one frame", "one band", "minus infinity"])
def test_no_input_makes_it_click_or_scream(vocoder, small, odd):
    speaker, units = small
    torch.manual_seed(1)
    mel = {
        "random": lambda: 8 * torch.randn(200, 80) - 4,
        "huge": lambda: torch.full((200, 80), 1e30),
        "not numbers": lambda: torch.full((200, 80), float("nan")).index_fill(0, torch.arange(50), float("inf")),
        "checkers": lambda: torch.where((torch.arange(200)[:, None] + torch.arange(80)) % 2 > 0, 5.0, -11.5),
        "one frame": lambda: torch.full((200, 80), LOG_FLOOR).index_fill(0, torch.tensor([100]), 10.0),
        "one band": lambda: torch.full((200, 80), LOG_FLOOR).index_fill(1, torch.tensor([60]), 10.0),
        "minus infinity": lambda: torch.full((200, 80), float("-inf")),
    }[odd]()
    sound = vocoder.speak(mel, units * 1000 - 7, torch.full((256,), float("nan")) if odd == "not numbers" else speaker)
    assert torch.isfinite(sound).all()
    assert sound.abs().max() <= 0.9 + 1e-6
    # No 40 ms are louder than a shout at speech level, whatever the mel asks for.
    assert sound.unfold(0, 640, 160).square().mean(-1).sqrt().max() < 0.5


def test_what_is_louder_than_speech_is_turned_down_to_it():
    mel = LogMel(640)(voice()[None])[0]
    assert torch.equal(tamed(mel), mel.clamp_min(LOG_FLOOR))
    assert torch.logsumexp(2 * tamed(mel + 6), -1).max() < 2.11


def test_same_input_same_sound_and_seams_are_not_heard(vocoder, small, monkeypatch):
    speaker, units = small
    mel = LogMel(640)(voice()[None])[0, :200]
    whole = vocoder.speak(mel, units, speaker)
    assert torch.equal(whole, vocoder.speak(mel, units, speaker))
    monkeypatch.setattr("thunder_core.engine.m2s.vocoder._CHUNK", 60)
    assert torch.allclose(vocoder.speak(mel, units, speaker), whole, atol=2e-4)


def test_pulses_have_the_pitch_asked_for_and_one_loudness_at_every_pitch():
    window = torch.hann_window(640)
    for hertz in (60.0, 131.0, 250.0, 480.0):
        pitch = torch.full((1, 100), hertz)
        pulses = pulse_train(pitch, turns(pitch))
        assert torch.isfinite(pulses).all()
        spectrum = torch.fft.rfft(pulses[0]).abs()
        assert spectrum[: int(1.5 * hertz)].argmax().item() == pytest.approx(hertz, abs=1)
        mean = torch.stft(pulses, 640, 160, 640, window, return_complex=True).abs()[0, 10:290, 20:80].mean()
        assert mean.item() == pytest.approx(1.0, abs=0.1)


def test_a_gliding_pitch_keeps_its_phase_from_frame_to_frame():
    pitch = torch.linspace(80, 300, 120)[None]
    pulses = pulse_train(pitch, turns(pitch))[0]
    # One pulse per period: the number of peaks is the number of turns.
    high = pulses > 0.5 * pulses.unfold(0, 400, 1).amax(-1).median()
    assert int((high[1:] & ~high[:-1]).sum()) == pytest.approx(float(turns(pitch)[0, -1]) + 300 * 160 / RATE, abs=1)


def test_pulses_are_all_harmonics_of_a_gliding_pitch_added_one_by_one():
    frames = torch.linspace(90, 460, 30)
    pitch = torch.from_numpy(np.interp(np.arange(29 * 160) / 160, np.arange(30), frames.double().numpy()))
    turn, top = F.pad(pitch.cumsum(0)[:-1] / RATE, (1, 0)), 7600 / pitch
    expected = torch.zeros_like(pitch)
    for harmonic in range(1, 86):  # the last one in part, so that none begins with a click
        expected += (top - harmonic + 1).clamp(0, 1) * torch.cos(2 * torch.pi * harmonic * turn)
    made = pulse_train(frames[None], turns(frames[None]))[0, : len(pitch)].double()
    assert (made - expected * pitch / (RATE / 2)).abs().max() < 0.01 * made.abs().max()


def test_levels_between_the_middles_of_mel_bands_are_interpolated():
    spread = _bands_to_bins().numpy()
    assert np.allclose(spread.sum(0), 1, atol=1e-6) and ((spread > 0).sum(0) <= 2).all()
    assert (np.diff(np.arange(80) @ spread) >= 0).all(), "each bin lies between its two bands"


def test_the_smoothest_path_is_the_best_of_all_paths():
    torch.manual_seed(0)
    score = torch.full((1, 4, CLASSES), -50.0)
    few = [10, 12, 40]
    score[0, :, few] = 3 * torch.randn(4, 3)
    leap = 0.2
    paths = [(a, b, c, d) for a in few for b in few for c in few for d in few]

    def total(path):
        return sum(score[0, i, p].item() for i, p in enumerate(path)) - leap * sum(abs(a - b) for a, b in zip(path, path[1:]))

    assert tuple(smooth_path(score, leap)[0].tolist()) == max(paths, key=total)


def test_pitch_classes_and_their_numbers_agree():
    assert classes()[0] == pytest.approx(LOWEST) and classes()[-1] == pytest.approx(HIGHEST, rel=1e-4)
    assert torch.allclose(class_of(classes()), torch.arange(CLASSES).float(), atol=1e-3)
    score = -((torch.arange(CLASSES) - class_of(torch.tensor(200.0))) ** 2)[None, None]
    assert hertz_along(score, score.argmax(-1)).item() == pytest.approx(200, rel=0.005)


def test_the_pitch_of_a_voice_is_tracked_and_noise_has_none():
    t = torch.arange(2 * RATE) / RATE
    for hertz in (70.0, 131.0, 233.0, 400.0):
        tone = 0.05 * sum(torch.sin(2 * torch.pi * hertz * k * t) / k for k in range(1, 8))
        pitch, voiced = track(tone[None])
        assert voiced[0, 5:-5].all()
        assert pitch[0, 5:-5].median().item() == pytest.approx(hertz, rel=0.01)
    torch.manual_seed(0)
    assert track(0.1 * torch.randn(1, RATE))[1].float().mean() < 0.05
    assert not track(torch.zeros(1, RATE))[1].any()


def test_spectra_at_the_first_step_have_the_mels_own_level(small):
    """Before any training the level is right within 6 dB: the mel gives it, not the network."""
    torch.manual_seed(0)
    speaker, units = small
    mel = LogMel(640)(voice()[None])[0, :200]
    again = LogMel(640)(Vocoder().eval().speak(mel, units, speaker)[None])[0, :200]
    loud = mel > -6
    assert abs((again - mel)[loud].mean()) < 0.7


def test_it_learns_to_make_a_voice_from_its_mel(tmp_path, small):
    """A few steps on one sound bring its spectra nearer, in all the loss hears, and find its pitch."""
    torch.manual_seed(0)
    speaker, units = small
    sound, views = voice(0.8), SpectralViews()
    mel = LogMel(640)(sound[None])[:, :80]
    hertz, voiced = track(sound[None])
    model, log = AdversarialVocoder(Vocoder(VocoderConfig(width=32, layers=1)), adversarial=False), []

    def loss(model, item, rng):
        score, amplitude = model.vocoder.shape(mel, units[None], speaker[None])
        made = model.vocoder.sound(amplitude, hertz, turns(hertz), torch.randn(1, len(sound)))
        terms = {"near": view_distance(views(made), views(sound[None])), "pitch": pitch_loss(score, hertz, voiced)}
        log.append({k: v.item() for k, v in terms.items()})
        return terms | {"total": terms["near"] + terms["pitch"]}

    fit(model, lambda rng: None, loss, Schedule(steps=30, rate=5e-3, warmup=5, average=0.5, half=False), tmp_path)
    assert log[-1]["near"] < 0.8 * log[0]["near"] and log[-1]["pitch"] < 0.6 * log[0]["pitch"]


def test_discriminators_and_vocoder_pull_their_own_weights_alone(small):
    torch.manual_seed(0)
    speaker, units = small
    model, sound = AdversarialVocoder(Vocoder(VocoderConfig(width=16, layers=1)), adversarial=True), voice(0.64)
    mel, pitch = LogMel(640)(sound[None])[:, :64], torch.full((1, 64), 120.0)
    amplitude = model.vocoder.shape(mel, units[None, :32], speaker[None])[1]
    made = model.vocoder.sound(amplitude, pitch, turns(pitch), torch.randn(1, len(sound)))
    terms = adversarial_terms(model.discriminators, sound[None], made)
    terms["discriminators"].backward(retain_graph=True)
    assert model.vocoder.share_head.weight.grad is None
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.discriminators.parameters())
    model.zero_grad(set_to_none=True)
    (terms["fooled"] + terms["pictures"]).backward()
    assert model.vocoder.share_head.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.discriminators.parameters())
    assert isinstance(model.discriminators, Discriminators) and all(p.requires_grad for p in model.discriminators.parameters())


def test_a_mel_is_read_in_units_of_the_spread_that_training_measured(vocoder, small):
    torch.manual_seed(0)
    speaker, units = small
    mel, mean, std = torch.randn(1, 40, 80), 3 * torch.randn(80), torch.rand(80) + 0.5
    trained = copy.deepcopy(vocoder)
    trained.mel_mean.copy_(mean)
    trained.mel_std.copy_(std)
    score, again = (network.shape(x, units[None], speaker[None])[0] for network, x in ((vocoder, mel), (trained, mel * std + mean)))
    assert torch.allclose(score, again, atol=1e-4) and score.std() > 0.1


def test_blurred_mels_are_further_from_the_truth_but_not_lost():
    mel = LogMel(640)(voice()[None])[:, :200]
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    distance = [float((blurred(mel, rng) - mel).abs().mean()) for _ in range(20)]
    assert 0.1 < min(distance) and max(distance) < 3 and np.isfinite(distance).all()
    assert blurred(torch.full((1, 200, 80), -20.0), rng).min() >= LOG_FLOOR


def test_some_units_are_replaced_and_most_are_not():
    units = torch.zeros(16, 200, dtype=torch.long)
    shares = [float((corrupt_units(units, 200, np.random.default_rng(i)) != 0).float().mean()) for i in range(20)]
    assert max(shares) < 0.45 and max(shares) > 0.1 and min(shares) < 0.1


def test_weights_come_back_and_a_wrong_shape_is_refused(tmp_path, vocoder, small):
    speaker, units = small
    save_weights(tmp_path / "vocoder", vocoder.state_dict(), vocoder.settings(), {})
    again, mel = Vocoder.load(tmp_path), torch.full((50, 80), -4.0)
    assert torch.equal(again.speak(mel, units, speaker), vocoder.speak(mel, units, speaker))
    card = json.loads((tmp_path / "vocoder.json").read_text())
    card["config"]["width"] = 64
    (tmp_path / "vocoder.json").write_text(json.dumps(card))
    with pytest.raises(BadWeights, match="vocoder"):
        Vocoder.load(tmp_path)
