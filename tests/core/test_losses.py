# SPDX-License-Identifier: GPL-3.0-or-later
"""What training draws, hides and counts: what three steps whose terms are stored (`test_same_training`)
do not show."""

from copy import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_motions import made_motions

from research.train import denoiser as of_denoiser, encoder
from research.train.corpus import LABEL_HOP
from research.train.denoiser import (
    build_denoiser,
    DenoiserLoss,
    FRAMES,
    jitter_planned_axes,
    Performer,
    SpeechTerm,
    train_denoiser,
)
from research.train.encoder import CROP, PhoneBatches
from research.train.loop import Schedule
from research.train.m2s import speech_figures, SpeechBatches
from research.train.motions import TRUE_TO_SOUND
from research.train.systems import _pairs, build_learner, Labels, REFERENCE
from thunder_core.direction import DIRECTION_NAMES
from thunder_core.face.head import load_head
from thunder_core.networks.speech import MeshToSpeechConfig, MeshToSpeechNetwork
from thunder_core.spoken import SILENCE
from thunder_core.weight_files import SHIPPED


@pytest.fixture(scope="module")
def motions(tmp_path_factory):
    torch.set_num_threads(1)
    return made_motions(tmp_path_factory.mktemp("motions") / "set", load_head(), frames=130)


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


@pytest.mark.parametrize(
    "known, mean, deviation",
    [([], 0, 1), ([3], 0, 1), ([1, 3], 2, 2**0.5), ([2, 2, 2], 2, 0.1)],
    ids=["none", "one", "two", "equal ones"],
)
def test_styles_have_mean_and_deviation_of_two_known_directions_or_none(known, mean, deviation):
    directions = [*map(float, known), *[float("nan")] * (40 - len(known))]
    items = iter(directions)
    numbers = {name: torch.zeros(2) for name in ("motion_mean", "audio_mean", "style_mean")}
    numbers |= {name: torch.ones(2) for name in ("motion_std", "audio_std", "style_std")}
    network = SimpleNamespace(config=SimpleNamespace(style=2), **numbers)

    def batches(rng):
        drawn = torch.from_numpy(rng.standard_normal((50, 10, 2))).float()
        direction = torch.full((1, 1, 2), next(items))
        return {"motion": 4 * drawn + 7, "features": 0 * drawn, "direction": direction}

    of_denoiser.standardise(network, batches)
    assert network.style_mean.tolist() == pytest.approx([mean] * 2)
    assert network.style_std.tolist() == pytest.approx([deviation] * 2)
    assert network.motion_mean.tolist() == pytest.approx([7] * 2, abs=0.2)
    assert network.motion_std.tolist() == pytest.approx([4] * 2, rel=0.05)
    assert network.audio_std.tolist() == pytest.approx([1e-3] * 2)


@pytest.fixture(scope="module")
def denoiser(motions):
    return build_denoiser(motions, 0)


def learn(motions, denoiser, monkeypatch, rows, frames, batch, rng, draws, term=None):
    """One step of learning, whose estimate is nothing: (batch, loss, what the denoiser is given by
    name, each time; terms)."""
    batches = SpeechBatches(motions, rows, frames, batch, mel=term is not None, mouth=True)
    loss, item = DenoiserLoss(load_head(), denoiser, batches, term, "cpu"), batches(rng)
    given = watch(denoiser, monkeypatch)
    return item, loss, given, loss(Performer(denoiser), item, draws)


def watch(denoiser, monkeypatch):
    """What a denoiser is given from now on, by name; its estimate is nothing."""
    given = []
    names = ("x", "step", "audio", "silent", "style", "free", "events")

    def forward(*arguments, **more):
        given.append(dict(zip(names, arguments)) | more)
        return torch.zeros_like(arguments[0])

    monkeypatch.setattr(denoiser, "forward", forward)
    return given


def catch_fit(module, monkeypatch):
    """What a module's `fit` is given from now on, by name; it fits nothing."""
    fitted, names = {}, ("model", "batches", "loss", "schedule", "folder", "validate")
    monkeypatch.setattr(
        module, "fit", lambda *given, **more: fitted.update(zip(names, given), **more)
    )
    return fitted


def test_sound_style_and_plan_are_hidden_as_often_as_they_should_be_and_the_map_never(
    motions, denoiser, monkeypatch
):
    """A fifth of the rows without sound, a fifth without style (§4.2), half with own estimates;
    .19 without a plan."""
    rngs = np.random.default_rng(1), np.random.default_rng(0)
    item, _, (own, whole), _ = learn(
        motions, denoiser, monkeypatch, motions.of("train", 4), 4, 1500, *rngs
    )
    hidden = whole["events"].isnan()
    assert (hidden == hidden[:, :1]).all(), "throughout a crop"
    assert torch.equal(whole["mouth"], item["mouth"]) and own["mouth"].isfinite().all()
    shares = whole["silent"], whole["free"], hidden[:, 0].all(1)
    assert [float(x.float().mean()) for x in shares] == pytest.approx([0.2, 0.2, 0.19], abs=0.04)
    assert len(own["x"]) / 1500 == pytest.approx(0.15, abs=0.04)
    assert int(whole["step"].min()) < 10 and int(whole["step"].max()) > 989


class Ends(np.random.Generator):
    """Draws the least and the greatest integers of every range in turns."""

    def integers(self, low, high=None, size=None):
        ends = np.array([0, low - 1] if high is None else [low, high - 1])
        return ends[int(2 * self.random())] if size is None else np.resize(ends, size)


def test_every_step_of_noise_is_learned_and_every_crop_of_a_clip_drawn(
    motions, denoiser, monkeypatch
):
    rngs = Ends(np.random.PCG64(0)), Ends(np.random.PCG64(0))
    item, _, given, _ = learn(motions, denoiser, monkeypatch, motions.of("train"), 4, 60, *rngs)
    assert {tuple(crop[1:]) for crop in item["crop"].tolist()} == {
        (start, variant) for start in (0, 126) for variant in (0, 2)
    }
    assert {int(row) for row in item["crop"][:, 0]} == set(motions.of("train"))
    assert given[-1]["step"].tolist() == [0, 999] * 30


@pytest.mark.parametrize("whole", [False, True])
def test_the_diffusion_model_learns_also_from_listeners_and_is_measured_by_unseen_voices(
    motions, denoiser, monkeypatch, tmp_path, whole
):
    """Whole: with the loss of mesh-to-speech and an encoder whose phones stay."""
    motions, fitted = copy(motions), catch_fit(of_denoiser, monkeypatch)
    motions.rows = [replace(motions.rows[0], listens=True), *motions.rows[1:]]
    monkeypatch.setattr(
        DenoiserLoss, "figures", lambda self, model, data: {"rows": len(data.numbers) + 1 / 3}
    )
    monkeypatch.setattr(of_denoiser, "_spreads", lambda *given: {})
    term = SpeechTerm(MeshToSpeechNetwork.load(SHIPPED)) if whole else None
    schedule = Schedule(steps=1)
    trained, figures = train_denoiser(motions, load_head(), tmp_path, schedule, denoiser, term)
    batches = fitted["batches"]
    assert (batches.numbers, batches.frames, batches.batch) == ([0, 1, 2], 70, 48)
    assert batches.mel == whole and not batches.waves
    assert fitted["model"].denoiser is trained is denoiser
    assert fitted["schedule"] is schedule and fitted["folder"] == tmp_path
    assert figures == {"test_rows": pytest.approx(3.3333)}
    assert fitted["validate"](fitted["model"]) == {"rows": pytest.approx(4 / 3)}


@pytest.mark.parametrize("masked", [True, False])
def test_mesh_to_speech_counts_rows_that_say_what_is_heard_and_whose_sound_is_shown(
    motions, denoiser, monkeypatch, masked
):
    rngs = np.random.default_rng(0), np.random.default_rng(0)
    term = SpeechTerm(MeshToSpeechNetwork.load(SHIPPED), 0.3, masked)
    item, loss, given, terms = learn(
        motions, denoiser, monkeypatch, motions.of("train", 20), 20, 24, *rngs, term
    )
    silent, heard = given[-1]["silent"], item["crop"][:, 2] < TRUE_TO_SOUND
    counted = torch.as_tensor(heard) & ~(silent & masked)
    assert silent.any() and not heard.all() and counted.any()
    truth = denoiser.standardise(item["motion"])
    expected = loss.compare(denoiser, torch.zeros_like(truth), truth, item, supervised=counted)
    assert {name: float(x) for name, x in terms.items()} == pytest.approx(
        {name: float(x) for name, x in expected.items()}, rel=1e-5
    )


@pytest.mark.parametrize("learned", [None, "another"])
def test_mesh_to_speech_sees_the_mouth_that_it_learned(motions, denoiser, learned):
    model = MeshToSpeechNetwork(MeshToSpeechConfig(inputs=2, space="mouth", units=200))
    model.mouth = learned
    head, seen = load_head(), []
    batches = SpeechBatches(motions, motions.of("train", 4), 4, 3, mel=False)
    term = SpeechTerm(model, space=lambda head: seen.append(head) or torch.nn.Identity())
    DenoiserLoss(head, denoiser, batches, term, "cpu")
    assert seen == [learned or head]


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
        load_head(),
        learner.denoiser,
        batches,
        SpeechTerm(MeshToSpeechNetwork.load(SHIPPED), 0.3),
        "cpu",
    )
    truth = learner.denoiser.standardise(item["motion"])
    supervised = None if rows is None else torch.tensor(rows)
    terms = loss.compare(
        learner.denoiser,
        truth + 0.3,
        truth,
        item,
        # which half precision rounds to 7
        lambda *_: {"more": (torch.tensor([[7.01]]) @ torch.ones(1, 1)).sum()},
        supervised,
    )
    seen, true = (
        loss.mouth.of_packed(x) for x in (learner.denoiser.restore(truth + 0.3), item["motion"])
    )
    parts = loss.reconstruction(torch.full_like(truth, 0.3), seen, true)
    for kind in ("rec", "vel"):  # not in half precision
        assert float(terms[kind]) == pytest.approx(float(parts[kind]), rel=1e-4)
    expected = terms["rec"] + 0.5 * terms["vel"] + 0.3 * share * terms["m2s"] + 7.01
    assert float(terms["total"]) == pytest.approx(float(expected), rel=1e-5) and (
        float(terms["m2s"]) > 0
    ) == (share > 0)


def test_a_pair_is_of_one_performance_and_shares_no_frame(motions):
    variants, total, _ = motions.motions.shape
    counted = SimpleNamespace(
        rows=motions.rows,
        draw=motions.draw,
        motions=np.tile(np.arange(total)[:, None], (variants, 1, 1)),
    )
    starts = [(row.start, row.start + row.frames) for row in motions.rows]
    for seed in range(3):
        for first, second in (
            _pairs(counted, [0, 1, 2], np.random.default_rng(seed)).numpy()[..., 0].astype(int)
        ):
            assert len(first) == len(second) == REFERENCE and second[0] > first[-1]
            assert any(start <= first[0] and second[-1] < end for start, end in starts[:3])


def test_only_planned_axes_of_rows_with_a_plan_are_jittered():
    style, shown = torch.ones(3, 1, len(DIRECTION_NAMES)), torch.tensor([True, False, True])
    changed = (jitter_planned_axes(style, shown) != style)[:, 0].numpy()
    planned = np.isin(DIRECTION_NAMES, ("brows", "eyes"))
    assert (changed == shown.numpy()[:, None] & planned).all()


def test_labels_are_where_their_sound_is_at_any_speed(monkeypatch):
    """A hum of 60 frames that is louder from the middle on, where another phone begins."""
    middle, end = 30 * 2 * LABEL_HOP, 60 * 2 * LABEL_HOP
    hum = np.where(np.arange(end) < middle, 0.2, 0.4).astype(np.float32)
    phones = np.repeat([SILENCE + 1, SILENCE + 2], 60)
    corpus = SimpleNamespace(samples=lambda clip, a, n: hum[a : a + n], phones=lambda clip: phones)
    monkeypatch.setattr(encoder, "augment", lambda wave, rng, others: wave)
    monkeypatch.setattr(encoder, "voiceless", lambda n, rng: torch.zeros(n))
    waves, labels = PhoneBatches(corpus, [SimpleNamespace(length=end)])(np.random.default_rng(0))
    lengths = set()
    for wave, row in zip(waves.abs(), labels):
        loud = wave.unfold(0, 2 * LABEL_HOP, 2 * LABEL_HOP).mean(1)  # of each frame
        spoken = (loud > 0.01 * loud.max()) & (loud > 0)
        louder = (loud > 0.75 * loud.max()) & (loud > 0)
        assert ((row != SILENCE) == spoken).sum() >= CROP - 1 and (
            (row == SILENCE + 2) == louder
        ).sum() >= CROP - 2
        lengths.add(int(spoken.sum()))
    assert min(lengths) < 58 and max(lengths) > 62
