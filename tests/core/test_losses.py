# SPDX-License-Identifier: GPL-3.0-or-later
"""What training minimises: every loss is the sum that the paper or its docstring says, with its
weights."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_motions import FEATURES, made_motions

from research.train import encoder as encoding
from research.train.lip_reader import text_loss
from research.train.systems import build_learner, LabelledBatches, Labels
from research.train.vocoder import SpeakingVocoder, view_distance, VocoderLoss
from thunder_core.channels import Columns
from thunder_core.direction import DIRECTION_NAMES
from thunder_core.engine.speech.encoder import EncoderConfig
from thunder_core.engine.weights import SHIPPED
from thunder_core.face.head import load_head
from thunder_core.networks.denoiser import Denoiser, DenoiserConfig
from thunder_core.networks.m2s import MeshToSpeech
from thunder_core.networks.vocoder import Vocoder, VocoderConfig
from thunder_core.train import distil as distilling
from thunder_core.train.denoiser import DenoiserLoss, FRAMES, SpeechTerm
from thunder_core.train.loop import Schedule
from thunder_core.train.m2s import speech_figures, speech_loss, SpeechBatches


@pytest.fixture(scope="module")
def motions(tmp_path_factory):
    torch.set_num_threads(1)
    return made_motions(tmp_path_factory.mktemp("motions") / "set", load_head())


@pytest.fixture
def first_terms(monkeypatch):
    """(module, what trains with it) → terms of the loss of its first batch, and the model."""

    def caught(module, train):
        seen = []

        def fit(model, batch, loss, *rest, **options):
            seen.append(
                (loss(model, batch(np.random.default_rng(0)), np.random.default_rng(0)), model)
            )
            raise InterruptedError

        monkeypatch.setattr(module, "fit", fit)
        with pytest.raises(InterruptedError):
            train()
        return {name: float(term.detach()) for name, term in seen[0][0].items()}

    return caught


def test_the_loss_of_mesh_to_speech_is_ten_times_the_mels_error_and_the_units_cross_entropy():
    torch.manual_seed(0)
    logits, mel, true = torch.randn(2, 6, 5), torch.randn(2, 12, 80), torch.randn(2, 12, 80)
    units = torch.randint(5, (2, 6))
    terms = speech_loss(logits, mel, {"mel": true, "units": units})
    likely = logits.double().log_softmax(-1).numpy()
    smooth = 0.9 * np.eye(5)[units.numpy()] + 0.1 / 5
    assert float(terms["units"]) == pytest.approx(-(smooth * likely).sum(-1).mean(), rel=1e-5)
    assert float(terms["mel"]) == pytest.approx(np.abs((mel - true).numpy()).mean(), rel=1e-5)
    assert float(terms["total"]) == pytest.approx(
        10 * float(terms["mel"]) + float(terms["units"]), rel=1e-5
    )


@pytest.mark.parametrize("sharpness, preferred", [(3.0, 1.0), (0.0, 0.0), (-3.0, 0.0)])
def test_a_sound_is_preferred_where_it_is_likelier_than_another_one(sharpness, preferred):
    """Not where all sounds are equally likely."""
    units = torch.arange(4).repeat_interleave(3).view(2, 6)  # of the two sounds none is in both
    item = {"units": units, "mel": torch.zeros(2, 12, 80), "voices": None}

    def model(seen, voices):
        return sharpness * torch.eye(4)[units], torch.ones(2, 12, 80)

    model.unit_log_prior = torch.full((4,), 0.25).log()
    figures = speech_figures(model, None, item)
    assert figures["prefers_own_sound"] == preferred and figures["mel"] == 1
    assert np.sign(figures["evidence_true"] - figures["evidence_other"]) == np.sign(sharpness)


def test_reconstruction_and_velocity_count_each_part_in_units_of_its_own_spread():
    torch.manual_seed(0)
    columns = Columns(4)
    spread = {
        "rec": (torch.rand(13) + 0.5, 0.3, torch.tensor([0.2, 0.7])),
        "vel": (torch.rand(13) + 0.5, 0.9, torch.tensor([1.1, 0.4])),
    }
    loss = SimpleNamespace(
        columns=columns,
        mouth=SimpleNamespace(shape=lambda v: v[..., 0, :2] - v[..., 1, 1:]),
        spread=spread,
    )
    error, guess, truth = torch.randn(2, 9, 13), torch.randn(2, 9, 5, 3), torch.randn(2, 9, 5, 3)
    parts = DenoiserLoss.reconstruction(loss, error, guess, truth)
    e, off = error.numpy(), (guess - truth).numpy()
    shape = off[..., 0, :2] - off[..., 1, 1:]
    for kind, change in (("rec", lambda x: x), ("vel", lambda x: np.diff(x, axis=1))):
        channels, points, openings = (np.asarray(x) for x in spread[kind])
        each = (change(e) ** 2 / channels).mean((0, 1))
        expected = each[:4].mean() + each[4:7].mean() + each[7:].mean()
        expected += (change(off) ** 2).mean() / points + (change(shape) ** 2 / openings).mean()
        assert float(parts[kind]) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    "rows, share",
    [(None, 1.0), ([True, False, True], 2 / 3), ([False] * 3, 0.0)],
    ids=["all", "some", "none"],
)
def test_the_diffusion_model_minimises_reconstruction_half_the_velocity_and_the_weighted_loss_of_mesh_to_speech(
    motions, rows, share
):
    learner = build_learner("thunder", motions, Labels.of(motions), load_head()).eval()
    batches = SpeechBatches(motions, motions.of("train", FRAMES), FRAMES, 3)
    item = batches(np.random.default_rng(0))
    loss = DenoiserLoss(
        load_head(), learner.denoiser, batches, SpeechTerm(MeshToSpeech.load(SHIPPED), 0.3), "cpu"
    )
    truth = learner.denoiser.standardise(item["motion"])
    supervised = None if rows is None else torch.tensor(rows)
    terms = loss.compare(
        learner.denoiser,
        truth + 0.3,
        truth,
        item,
        lambda *_: {"more": torch.tensor(7.0)},
        supervised,
    )
    expected = terms["rec"] + 0.5 * terms["vel"] + 0.3 * share * terms["m2s"] + 7
    assert float(terms["total"]) == pytest.approx(float(expected), rel=1e-5) and (
        float(terms["m2s"]) > 0
    ) == (share > 0)


def test_self_talk_adds_a_twentieth_of_the_text_and_a_tenth_of_the_features(motions):
    torch.manual_seed(0)
    learner = build_learner("flameselftalk", motions, Labels.of(motions), load_head()).eval()
    item = LabelledBatches(Labels.of(motions), motions.of("train", FRAMES), 2, learner.wants)(
        np.random.default_rng(0)
    )
    guess, truth = (
        0.01 * torch.randn(2, FRAMES, len(load_head().mouth_vertices), 3) for _ in range(2)
    )
    terms = learner.further(item)(guess, truth)
    heard = learner.network.heard(item["features"])
    read = [learner.reader(lips) for lips in (guess, truth)]
    assert float(terms["text"]) == pytest.approx(
        float(0.05 * sum(text_loss(said, item["phones"]) for _, said in read)), rel=1e-5
    )
    assert float(terms["latent"]) == pytest.approx(
        float(0.1 * sum((x - heard).square().mean() for x, _ in read)), rel=1e-5
    )


def test_distilling_minimises_the_distance_to_the_whole_models_take_and_a_tenth_of_that_on_the_way(
    motions, tmp_path, first_terms
):
    torch.manual_seed(0)
    sizes = dict(motion=motions.motions.shape[2], audio=FEATURES, style=len(DIRECTION_NAMES))
    whole = Denoiser(DenoiserConfig(**sizes, width=16, layers=1, heads=2, feedforward=16)).eval()
    schedule = Schedule(steps=1, warmup=1)
    terms = first_terms(
        distilling,
        lambda: distilling.distil(
            motions, load_head(), whole, tmp_path / "runs" / "distilled", schedule, lines=2
        ),
    )
    assert min(terms.values()) > 0
    assert terms["total"] == pytest.approx(
        terms["rec"] + 0.5 * terms["vel"] + 0.1 * terms["way"], rel=1e-5
    )


def test_the_encoder_minimises_what_names_phones_and_a_fifth_of_their_order(
    motions, tmp_path, first_terms
):
    config = EncoderConfig(width=16, layers=1, heads=2)
    terms = first_terms(
        encoding,
        lambda: encoding.train_encoder(
            motions.corpus, tmp_path, Schedule(steps=1, warmup=1), config
        ),
    )
    assert (
        terms["total"] == pytest.approx(terms["phones"] + 0.2 * terms["ctc"], rel=1e-5)
        and min(terms.values()) > 0
    )


def test_the_vocoder_minimises_an_energy_distance_and_the_pitch(motions):
    torch.manual_seed(0)
    item = SpeechBatches(motions, motions.of("train", 40), 40, 2, waves=True)(
        np.random.default_rng(0)
    )
    loss, made = VocoderLoss(load_head(), None, "cpu"), []
    model = SpeakingVocoder(Vocoder(VocoderConfig(width=16, layers=1, units=200)))
    model.sound.register_forward_hook(lambda module, given, result: made.append(result))
    terms = loss(model, item, np.random.default_rng(0))
    views, (a, b) = loss.views(item["waves"]), [loss.views(x) for x in made]
    near = (view_distance(a, views) + view_distance(b, views)) / 2
    assert float(terms["near"]) == pytest.approx(float(near), rel=1e-5)
    assert float(terms["energy"]) == pytest.approx(float(near - view_distance(a, b) / 2), rel=1e-4)
    assert float(terms["total"]) == pytest.approx(
        float(terms["energy"] + 0.3 * terms["pitch"]), rel=1e-5
    )
