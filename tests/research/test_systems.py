# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's systems: masks, codes and losses against their plain, slow form; each trains and samples; the chain goes on where it was."""

import itertools
import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_motions import FEATURES, made_motions

from research.__main__ import main
from research.train import paper
from research.train.lip_reader import LipReader, text_loss
from research.train.paper import Budget, Chain, chosen, folder_of, Stage, STAGES, train_chain
from research.train.pictures import FacePictures, Views
from research.train.systems import before, build_learner, contrastive_loss, LabelledBatches, Labels, LEARNERS, PICTURE_ROUNDS, REFERENCE
from thunder_core.channels import Columns
from thunder_core.engine.speech.phones import PHONES, SILENCE
from thunder_core.engine.weights import SHIPPED
from thunder_core.errors import BadRequest, BadWeights
from thunder_core.face.head import load_head
from thunder_core.networks.denoiser import alibi_bias, alibi_slopes
from thunder_core.networks.judge import hann
from thunder_core.networks.m2s import MeshToSpeech
from thunder_core.networks.systems import load_system, regressors
from thunder_core.networks.systems.denoisers import (
    ClipImages,
    ConditionedConfig,
    ConditionedDenoiser,
    ImageEncoder,
    LABELS,
    StyleEncoder,
    TokenCrossAttention,
)
from thunder_core.networks.systems.regressors import (
    AlignedCrossAttention,
    causal_bias,
    FlameFormer,
    FlameFormerConfig,
    FlameSelfTalk,
    periodic_code,
    RegressorConfig,
    speakers_of,
)
from thunder_core.systems import available, SYSTEMS
from thunder_core.train.denoiser import FRAMES
from thunder_core.train.loop import Schedule

# ---- masks, codes and attention


def test_periodic_code_is_the_formula_and_repeats():
    code = periodic_code(3, 60, 25, 8)
    for row, t in ((0, 3), (30, 8), (59, 12)):
        for column in range(8):
            angle = t / 10000 ** (2 * (column // 2) / 8)
            assert code[row, column] == pytest.approx(math.sin(angle) if column % 2 == 0 else math.cos(angle), abs=1e-5)
    assert torch.equal(code[:25], code[25:50])


def test_causal_bias_is_that_of_every_pair_of_frames():
    slopes = alibi_slopes(2)
    bias = causal_bias(30, slopes, period=5, context=20)
    for head, i, j in itertools.product(range(2), range(30), range(30)):
        hidden = j > i or i - j >= 20
        assert bias[head, i, j] == (-math.inf if hidden else -float(slopes[head]) * ((i - j) // 5))


def test_masks_and_kernels_are_made_where_they_are_needed():
    """On a device of another kind than the processor: here one that computes nothing."""
    there = torch.empty(4, device="meta")
    assert causal_bias(30, there, 5).device == alibi_bias(30, there).device == hann(5, there).device == there.device


def test_aligned_cross_attention_equals_attention_under_the_alignment_mask():
    """Whatever queries and keys are: a frame that sees one key gives it all its weight."""
    torch.manual_seed(0)
    layer, audio = AlignedCrossAttention(12), torch.randn(2, 7, 12)
    q, k = torch.randn(2, 7, 12), torch.randn(2, 7, 12)
    mask = torch.eye(7, dtype=torch.bool)
    weights = (q @ k.transpose(1, 2)).masked_fill(~mask, -torch.inf).softmax(-1)
    assert torch.allclose(layer(audio), layer.out(weights @ layer.value(audio)), atol=1e-6)


@pytest.mark.parametrize("per_frame", [False, True])
def test_token_cross_attention_equals_masked_attention_over_all_keys(per_frame):
    torch.manual_seed(0)
    layer = TokenCrossAttention(24, 4).double()
    x, audio = torch.randn(3, 11, 24).double(), torch.randn(1, 11, 24).double()
    step, told = torch.randn(1, 1, 24).double(), torch.randn(3, 11 if per_frame else 1, 24).double()
    tokens = told.expand(-1, 11, -1)
    memory = torch.cat([audio.expand(3, -1, -1), step.expand(3, 1, -1), tokens], 1)  # T audio frames, a step, T conditions
    q, (k, v) = layer.q(x), layer.kv(memory).chunk(2, -1)
    q, k, v = (y.unflatten(-1, (4, -1)).transpose(1, 2) for y in (q, k, v))
    eye = torch.eye(11, dtype=torch.bool)
    visible = torch.cat([eye, torch.ones(11, 1, dtype=torch.bool), eye], 1)
    weights = (q @ k.transpose(-1, -2) / math.sqrt(6)).masked_fill(~visible, -torch.inf).softmax(-1)
    slow = layer.out((weights @ v).transpose(1, 2).flatten(2))
    assert torch.allclose(layer(x, audio, step, told), slow, atol=1e-12)


# ---- FlameFormer


def small_former() -> FlameFormer:
    torch.manual_seed(1)
    model = FlameFormer(FlameFormerConfig(motion=6, audio=5, speakers=3, width=32, layers=2, heads=4, feedforward=64, period=4)).eval()
    model.motion_mean.normal_()
    model.motion_std.uniform_(0.5, 2)
    return model


def test_a_frame_depends_on_no_later_one():
    model, audio, speaker = small_former(), torch.randn(1, 9, 5), torch.tensor([1])
    x = torch.randn(1, 9, 6)
    changed, other = x.clone(), audio.clone()
    changed[0, 5] += 1
    other[0, 5] += 1
    for y in (model(changed, audio, speaker), model(x, other, speaker)):
        moved = (y - model(x, audio, speaker)).abs().amax(-1)[0]
        assert moved[:5].max() == 0 and moved[5] > 1e-4


@pytest.mark.parametrize("context", [500, 6])
def test_running_free_frame_by_frame_is_what_all_frames_at_once_give(monkeypatch, context):
    """Also on lines longer than what a frame looks back at."""
    monkeypatch.setattr(regressors, "CONTEXT", context)
    monkeypatch.setattr(regressors, "causal_bias", lambda *a: causal_bias(*a[:3], context))
    model, audio, speakers = small_former(), torch.randn(1, 23, 5), torch.tensor([0, 2])
    run = model.free_run(audio, speakers)
    assert torch.allclose(model(before(run), audio.expand(2, -1, -1), speakers), run, atol=1e-5)


def test_a_seed_is_a_training_speaker_whatever_the_others_are():
    assert torch.equal(speakers_of(range(40), 5)[7:9], speakers_of([7, 8], 5)) and set(speakers_of(range(40), 5).tolist()) == set(range(5))
    model, audio = small_former(), torch.randn(1, 9, 5)
    together = model.sample(audio, [3, 4, 5])
    assert torch.allclose(together[1], model.sample(audio, [4])[0], atol=1e-5)
    one, other = (next(s for s in range(40) if speakers_of([s], 3)[0] == speaker) for speaker in (0, 1))
    assert (model.sample(audio, [one]) - model.sample(audio, [other])).abs().max() > 1e-4


# ---- FlameSelfTalk


def every_path(log_probabilities: torch.Tensor, text: list[int]) -> float:
    """−log of the sum over all paths that a CTC collapses to the text, per phone of it."""
    total = 0.0
    for path in itertools.product(range(log_probabilities.shape[1]), repeat=len(log_probabilities)):
        collapsed = [p for p, _ in itertools.groupby(path) if p != SILENCE]
        if collapsed == text:
            total += math.exp(sum(float(log_probabilities[t, p]) for t, p in enumerate(path)))
    return -math.log(total) / max(1, len(text))


def test_text_loss_is_the_sum_over_all_paths_of_what_is_said():
    assert SILENCE == 0
    torch.manual_seed(0)
    said = torch.randn(2, 5, 3).log_softmax(-1)
    phones = torch.tensor([[0, 1, 1, 2, 2, 0], [0, 0, 0, 0, 0, 0]])
    wanted = (every_path(said[0], [1, 2]) + every_path(said[1], [])) / 2
    assert float(text_loss(said, phones)) == pytest.approx(wanted, rel=1e-5)


def test_lips_that_move_otherwise_are_read_otherwise_and_teach():
    torch.manual_seed(0)
    reader, lips = LipReader(4, 5, width=16, heads=2, layers=1), (0.003 * torch.randn(2, 6, 4, 3)).requires_grad_()
    features, text = reader(lips)
    assert features.shape == (2, 6, 5) and text.shape == (2, 12, len(PHONES))
    text_loss(text, torch.randint(1, 5, (2, 8))).backward()
    assert lips.grad.abs().max() > 0


def test_long_lines_are_made_in_windows_that_agree_away_from_their_ends():
    torch.manual_seed(0)
    model = FlameSelfTalk(RegressorConfig(motion=4, audio=3, speakers=2, width=16, layers=1, heads=2, feedforward=32)).eval()
    audio = torch.randn(1, 700, 3)
    sampled = model.sample(audio, [0])
    assert sampled.shape == (1, 700, 4) and sampled.isfinite().all()
    whole = model.restore(model(audio, speakers_of([0], 2)))
    assert (sampled - whole)[:, :150].abs().max() < 0.05 * whole.std()


# ---- DiffPoseTalk and Media2Face


def test_contrastive_loss_is_the_formula():
    torch.manual_seed(0)
    first, second = (torch.nn.functional.normalize(torch.randn(3, 4), dim=1) for _ in range(2))
    tokens, terms = [*first, *second], []
    for i in range(6):
        alike = [math.exp(float(tokens[i] @ tokens[j]) / 0.1) for j in range(6)]
        terms.append(-math.log(alike[(i + 3) % 6] / (sum(alike) - alike[i])))
    assert float(contrastive_loss(first, second)) == pytest.approx(sum(terms) / 6, rel=1e-5)


def test_a_style_token_has_length_one_and_is_of_the_motion():
    torch.manual_seed(0)
    encoder = StyleEncoder(6, 16, 1)
    one, other = encoder(torch.randn(2, 30, 6)), encoder(3 * torch.randn(2, 30, 6))
    assert torch.allclose(one.norm(dim=1), torch.ones(2), atol=1e-5) and (one - other).abs().max() > 1e-3


def conditioned() -> ConditionedDenoiser:
    torch.manual_seed(2)
    return ConditionedDenoiser(ConditionedConfig(motion=6, audio=5, condition=4, width=32, layers=2, heads=4, feedforward=64)).eval()


def test_free_rows_are_told_nothing_and_the_others_their_own():
    model, x, step, audio = conditioned(), torch.randn(2, 9, 6), torch.tensor([10, 700]), torch.randn(2, 9, 5)
    model.no_condition.data.normal_()
    told = torch.randn(2, 1, 4)
    y = model(x, step, audio, style=told, free=torch.tensor([True, False]))
    assert torch.allclose(y[0], model(x, step, audio)[0], atol=1e-6)
    assert torch.allclose(y[1], model(x, step, audio, style=told)[1], atol=1e-6)
    assert (y[1] - model(x, step, audio)[1]).abs().max() > 1e-4
    hide = torch.ones(2, dtype=torch.bool)
    assert torch.equal(model(x, step, audio, hide, told), model(x, step, torch.randn(2, 9, 5), hide, told))


def test_guidance_of_one_is_none_and_more_goes_further_from_no_sound():
    model, audio = conditioned(), torch.randn(1, 9, 5)
    plain = model.sample(audio, [1, 2], steps=3)
    assert torch.allclose(plain[1:], model.sample(audio, [2], steps=3), atol=1e-5)
    assert (model.sample(audio, [1, 2], steps=3, guidance=2.0) - plain).abs().max() > 1e-4


def test_all_thousand_steps_are_sampled_one_after_the_other(monkeypatch):
    model, audio, asked = conditioned(), torch.randn(1, 5, 5), []
    monkeypatch.setattr(ConditionedDenoiser, "forward", lambda self, x, step, *_, **__: asked.append(int(step[0])) or 0 * x + 1)
    made = model.sample(audio, [5], steps=1000)
    assert asked == list(reversed(range(1000))) and torch.allclose(made, model.restore(torch.ones(1, 5, 6)))


def test_a_condition_may_change_over_time():
    model, audio = conditioned(), torch.randn(1, 9, 5)
    told = torch.zeros(1, 9, 4)
    told[0, 5:] = 2
    moved = (model.sample(audio, [1], told, steps=3) - model.sample(audio, [1], told[:, :1], steps=3)).abs().amax(-1)[0]
    assert moved[6:].min() > moved[:4].max()


def faces() -> tuple[FacePictures, torch.Tensor]:
    """What draws the bundled head, and the face at rest, with an open mouth and with a smile."""
    head = load_head()
    pictures, columns = FacePictures(head), Columns(head.channels)
    x = torch.zeros(3, columns.count)
    x[1, columns.jaw.start] = 0.3
    for side in ("Left", "Right"):
        x[2, list(head.expression_names).index(f"mouthSmile{side}")] = 1
    return pictures, x


def test_pictures_show_an_open_mouth_and_a_smile():
    pictures, x = faces()
    rest, opened, smiling = pictures(x)
    assert rest.shape == (48, 48) and 0 <= rest.min() and rest.max() <= 1 and (rest > 0).float().mean() > 0.4
    lower = slice(28, 48)
    for changed in (opened, smiling):
        assert (changed - rest)[lower].abs().max() > 0.1
        assert (changed - rest)[:18].abs().mean() < 0.01  # the forehead does not change
    with torch.autocast("cpu", torch.bfloat16):  # as in training, where the processor knows it
        assert torch.equal(pictures(x), torch.stack([rest, opened, smiling]))


def test_a_picture_of_a_symmetric_face_is_its_mirror_image_and_has_no_specks():
    """Brighter than all eight around it, by a fifth, are eyes and teeth at most."""
    pictures, x = faces()
    rest = pictures(x[:1], replace(Views.front(1), light=torch.tensor([[0.0, 0.0, 1.0]])))[0]
    assert (rest - rest.flip(1)).abs().mean() < 0.005
    around = torch.nn.functional.unfold(rest[None, None], 3, padding=1)[0].unflatten(1, (48, 48))
    specks = rest - around[[0, 1, 2, 3, 5, 6, 7, 8]].amax(0) > 0.2
    assert not specks.any()


def test_a_view_turns_moves_and_lights_the_face():
    pictures, x = faces()
    rest, front = pictures(x[:1])[0], Views.front(1)

    def seen(**other):
        return pictures(x[:1], replace(front, **{name: torch.tensor([value]) for name, value in other.items()}))[0]

    assert torch.allclose(seen(shift=[4 / 48, 0.0])[:, 4:], rest[:, :-4], atol=1e-5)
    assert torch.allclose(seen(shift=[0.0, 4 / 48])[:-4], rest[4:], atol=1e-5)
    assert (seen(scale=0.7) > 0)[23].sum() == pytest.approx(0.7 * (rest > 0)[23].sum(), abs=2)  # the width of the head
    assert torch.equal(seen(ground=0.5) == 0.5, rest == 0)
    left, right = (seen(light=[side, 0.0, 0.6], ambient=0.0) for side in (-0.8, 0.8))
    assert left[:, :24].mean() > 1.5 * left[:, 24:].mean() and right[:, 24:].mean() > 1.5 * right[:, :24].mean()
    c, s = math.cos(0.3), math.sin(0.3)
    turned = [seen(turned=[[c, 0.0, side], [0.0, 1.0, 0.0], [-side, 0.0, c]]) for side in (s, -s)]
    assert (turned[0] - rest).abs().mean() > 0.02 and (turned[0] - turned[1]).abs().mean() > 0.02
    views = Views.varied(50, np.random.default_rng(1))
    assert torch.allclose(views.turned @ views.turned.transpose(1, 2), torch.eye(3).expand(50, 3, 3), atol=1e-5)
    assert torch.allclose(views.light.norm(dim=1), torch.ones(50), atol=1e-5) and views.turned[:, 2, 2].min() > 0.96
    many = pictures(x[:1].expand(50, -1), views)
    assert many.isfinite().all() and 0 <= many.min() and many.max() <= 1 and many.std(0).mean() > 0.1


def test_the_image_encoder_reads_pictures_of_any_brightness_and_contrast_alike():
    torch.manual_seed(0)
    pictures, x = faces()
    rest = pictures(x)
    for even in (True, False):
        read = ImageEncoder(even=even).eval()
        apart = (read(rest) - read(0.6 * rest + 0.2)).abs().max()
        assert (apart < 0.01) == even


# ---- names


def test_systems_are_there_where_their_weights_are(tmp_path):
    assert [s.name for s in available(tmp_path)] == ["thunder", "teacher"]
    (tmp_path / "systems").mkdir()
    for ending in (".json", ".safetensors"):
        (tmp_path / "systems" / f"flameformer{ending}").touch()
    (tmp_path / "systems" / "media2face.json").touch()
    assert [s.name for s in available(tmp_path)] == ["thunder", "flameformer", "teacher"]
    with pytest.raises(BadRequest, match="no system “faceformer”"):
        load_system("faceformer", tmp_path)
    with pytest.raises(BadWeights):
        load_system("flameselftalk", tmp_path)
    assert {s.name for s in SYSTEMS.values() if s.trained} == set(LEARNERS)


def test_only_what_is_named_is_trained_with_the_base_it_needs():
    assert chosen([]) == list(STAGES)
    assert [s.name for s in chosen(["thunder-t"])] == ["thunder.base", "thunder-t"]
    assert [s.name for s in chosen(["thunder"])] == ["thunder.base", "thunder"]  # not every row whose name begins so
    assert {s.name for s in chosen(["flameformer*"])} == {"flameformer.base", "flameformer", "flameformer+mouth2s"}
    with pytest.raises(SystemExit, match="no row faceformer"):
        chosen(["faceformer"])


# ---- training


@pytest.fixture(scope="module")
def motions(tmp_path_factory):
    torch.set_num_threads(1)
    return made_motions(tmp_path_factory.mktemp("motions") / "set", load_head())


def test_labels_are_of_the_speaker_the_phones_and_another_stretch(motions):
    labels, rng = Labels.of(motions), np.random.default_rng(0)
    assert labels.speakers == ("ada", "bob") and labels.speaker(1, rng) == 1 and labels.speaker(2, rng) == 0
    assert Labels.of(SimpleNamespace(rows=motions.rows, of=lambda split: [0])).speakers == ("ada",)  # also of the first clip alone
    assert {labels.speaker(4, rng) for _ in range(40)} == {0, 1}  # an unseen voice is anybody
    phones = motions.corpus.phones(motions.corpus.clips[1])
    assert np.array_equal(labels.phones(1, 10, 70), phones[40:320])
    stretch = labels.reference(1, 0, 50, 0, rng)
    row = motions.rows[1]
    whole = motions.motions[0, row.start : row.start + row.frames].astype(np.float32)
    at = next(a for a in range(row.frames - REFERENCE + 1) if np.array_equal(whole[a : a + REFERENCE], stretch))
    assert at >= 50  # not the frames that are to be made


def test_a_reference_shares_no_frame_with_its_target_where_the_speaker_has_another_stretch(motions, monkeypatch):
    """Rows of 110 frames have no room for a reference of 50 beside a target of 70: it is of the speaker's other line."""
    rng = np.random.default_rng(0)
    labels = Labels.of(motions)

    def source(number, first, frames):
        """Row and first frame of a reference."""
        stretch = labels.reference(number, first, frames, 0, rng)
        places = [(i, a) for i, row in enumerate(motions.rows) for a in range(row.frames - REFERENCE + 1)]
        starts = {(i, a): motions.motions[0, motions.rows[i].start + a].astype(np.float32) for i, a in places}
        return next(place for place, x in starts.items() if np.array_equal(x, stretch[0]))

    assert {source(0, first, FRAMES)[0] for first in (5, 20, 35)} == {2}  # both lines are Ada's
    assert source(1, 15, FRAMES) == (1, 60) and source(1, 25, FRAMES) == (1, 0)  # Bob has one line: the end that shares fewer frames
    monkeypatch.setattr(motions, "rows", [replace(row, listens=i == 2) for i, row in enumerate(motions.rows)])
    labels = Labels.of(motions)
    assert source(0, 15, FRAMES) == (0, 60)  # to another's voice a face listens, which is no style of speaking


def chain(motions, runs, budget, weights=SHIPPED):
    return Chain(motions, load_head(), weights, runs, budget, seed=1)


@pytest.mark.parametrize("system", sorted(LEARNERS))
def test_a_system_trains_and_samples(motions, tmp_path, system):
    stages = [s for s in chosen([system]) if s.system == system and not s.space and not s.trained_encoder]
    budget = Budget(steps=2, together=1, batch=2)
    lines = train_chain(chain(motions, tmp_path, budget), stages)
    assert len(lines) == 2 and all("validation_worst_vertex_mm" in line for line in lines)
    network = load_system(system, folder_of(tmp_path, 1, system), paper.NETWORK)
    start = build_learner(system, motions, Labels.of(motions), load_head()).network
    assert torch.equal(network.motion_mean, start.motion_mean) and not network.motion_mean.eq(0).all()
    made = network.sample(torch.randn(1, 12, FEATURES), [1, 2], steps=2)
    assert made.shape == (2, 12, motions.motions.shape[2]) and made.isfinite().all()


def test_the_image_encoder_learns_from_pictures_that_are_drawn_once(motions, tmp_path, monkeypatch):
    torch.manual_seed(0)
    labels, head = Labels.of(motions), load_head()
    learner = build_learner("media2face", motions, labels, head)
    fresh = {name: value.clone() for name, value in learner.network.image_encoder.state_dict().items()}
    drawn, original = [], FacePictures.__call__
    monkeypatch.setattr(FacePictures, "__call__", lambda self, x, views=None: drawn.append(len(x)) or original(self, x, views))
    for _ in range(2):  # again: it is trained
        learner.prepare(labels, head, tmp_path, Schedule(steps=1, warmup=1, seed=1), "cpu")
        steps = [json.loads(line) for line in (tmp_path / "image" / "log.jsonl").read_text().splitlines()]
        assert steps[-1]["step"] == PICTURE_ROUNDS and "by_chance" in steps[-1]
        assert sum(drawn) == 2 * 32 * PICTURE_ROUNDS  # to learn from and to be watched on
    trained = learner.network.image_encoder.state_dict()
    assert any(not torch.equal(fresh[name], trained[name]) for name in fresh)
    assert not any(weight.requires_grad for weight in learner.network.image_encoder.parameters())
    pictures, moods = learner._pictures_of(motions, motions.of("train"), 70, 3)
    again, _ = learner._pictures_of(motions, motions.of("train"), 70, 3)
    assert pictures.shape == (70, 48, 48) and moods.shape == (70, len(LABELS)) and torch.equal(pictures, again)


def test_the_command_trains_what_it_is_asked_for_and_the_loss_of_mesh_to_speech_reaches_a_regressor(motions, tmp_path, capsys):
    cache, runs = motions.corpus.folder.parent, tmp_path / "runs"
    places = ["--cache", str(cache), "--runs", str(runs), "--weights", str(SHIPPED), "--threads", "1", "--device", "cpu"]
    words = "paper --steps 1 --together-steps 1 --batch 2 --seeds 3 --only flameselftalk+mouth2s".split()
    main(["train", *places, *words])
    assert sorted(path.name for path in (runs / "paper" / "seed3").iterdir()) == ["flameselftalk+mouth2s", "flameselftalk.base"]
    log = (folder_of(runs, 3, "flameselftalk+mouth2s") / "log.jsonl").read_text()
    assert all(f'"{term}"' in log for term in ("rec", "vel", "text", "latent", "m2s"))
    card = json.loads((folder_of(runs, 3, "flameselftalk+mouth2s") / "network.json").read_text())["card"]
    assert (card["base"], card["base_steps"], card["seed"], card["m2s_weight"]) == ("flameselftalk.base", 1, 3, 0.5)
    capsys.readouterr()
    main(["train", *places, *words])
    assert capsys.readouterr().out.count("was done") >= 2


def test_masked_the_loss_of_mesh_to_speech_asks_nothing_of_rows_whose_sound_is_hidden(motions, monkeypatch):
    """A row that has its sound weighs the same with the mask as without; one that has not weighs nothing."""
    learner = build_learner("thunder", motions, Labels.of(motions), load_head()).eval()
    batches = LabelledBatches(Labels.of(motions), motions.of("train", FRAMES), 3)
    item, m2s = batches(np.random.default_rng(0)), MeshToSpeech.load(SHIPPED)
    item["crop"][:, 2] = 0  # what the encoder hears: L_m2s counts no other
    truth = learner.network.standardise(item["motion"])

    def asked(masked, hidden):
        """Gradient of L_m2s alone with respect to the estimate [B, T, C], of rows of which `hidden` have no sound."""
        loss = learner.loss(load_head(), batches, m2s, 0.5, "cpu", masked)
        seen = {}
        compare = loss.compare

        def spy(network, x0, *rest, **options):
            x0 = (truth + 0.3).requires_grad_()
            parts = compare(network, x0, *rest, **options)
            [seen["of"]] = torch.autograd.grad(parts["total"] - parts["rec"] - 0.5 * parts["vel"], x0)
            return parts

        monkeypatch.setattr(loss, "compare", spy)
        draws = iter([np.where(hidden, 0.0, 1.0)])  # the first that the loss draws says whose sound is hidden
        rng = np.random.default_rng(0)
        loss(learner, item, SimpleNamespace(integers=rng.integers, random=lambda n: next(draws, np.ones(n))))
        return seen["of"]

    everywhere = asked(False, [False, True, False])
    part = asked(True, [False, True, False])
    assert everywhere[1].abs().max() > 0 and part[1].abs().max() == 0
    assert torch.allclose(part[[0, 2]], everywhere[[0, 2]], atol=1e-6 * float(everywhere.abs().max()))
    assert asked(True, [True] * 3).abs().max() == 0 and torch.equal(asked(True, [False] * 3), everywhere)


def test_what_cannot_be_trained_is_left_out_with_its_reason(motions, tmp_path):
    bare = chain(motions, tmp_path / "runs", Budget(1, 1, 2), tmp_path)
    assert "face2s is not trained" in bare.lacks(Stage("thunder+face2s", "thunder", "thunder.base", "face"))
    assert "no speech encoder" in bare.lacks(Stage("thunder-t", "thunder", "thunder.base", "", True))
    assert not bare.lacks(Stage("thunder", "thunder", "thunder.base"))


def test_a_row_that_cannot_be_trained_is_refused_before_its_base_is_trained(motions, tmp_path):
    """Where it was named; of all that “thunder+*” stands for the others are trained, and no base that only it needs."""
    bare = chain(motions, tmp_path / "runs", Budget(1, 1, 2), tmp_path)
    with pytest.raises(SystemExit, match="thunder[+]face2s cannot be trained: face2s is not trained .python -m"):
        train_chain(bare, chosen(["thunder+face2s", "flameformer"]), ["thunder+face2s", "flameformer"])
    lines = train_chain(bare, chosen(["thunder+f*"]), ["thunder+f*"])
    assert [line.split(":")[0] for line in lines] == ["thunder+face2s", "thunder+face2s-masked"] and "left out" in lines[0]
    assert not (tmp_path / "runs").exists()


def test_a_row_that_is_done_needs_nothing_more(motions, tmp_path):
    """A chain goes on where a network that a finished row was trained with has gone."""
    stages, budget = chosen(["flameselftalk+mouth2s"]), Budget(1, 1, 2)
    train_chain(chain(motions, tmp_path, budget), stages)
    (tmp_path / "bare").mkdir()
    lines = train_chain(chain(motions, tmp_path, budget, tmp_path / "bare"), stages, ["flameselftalk+mouth2s"])
    assert [line.split(": ")[1] for line in lines] == ["was done", "was done"]


def test_a_chain_that_was_stopped_goes_on_and_ends_as_one_that_was_not(motions, tmp_path, monkeypatch):
    budget, stages = Budget(steps=3, together=3, batch=2), chosen(["flameformer"])[:2]
    whole, part = (chain(motions, tmp_path / name, budget) for name in ("whole", "part"))
    for each in (whole, part):  # a checkpoint after every step
        monkeypatch.setattr(each, "budget", _Often(budget.steps, budget.together, budget.batch))
    train_chain(whole, stages)

    class Stopped(Exception):
        pass

    steps, original = [], torch.optim.AdamW.step

    def stop_in_the_second_stage(self, *args, **kwargs):
        if len(steps) == 5:  # the base's three, two of the row's
            raise Stopped
        steps.append(1)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", stop_in_the_second_stage)
    with pytest.raises(Stopped):
        train_chain(part, stages)
    base = folder_of(tmp_path / "part", 1, "flameformer.base") / f"{paper.NETWORK}.safetensors"
    written = base.stat().st_mtime_ns
    assert not (folder_of(tmp_path / "part", 1, "flameformer") / f"{paper.NETWORK}.json").exists()
    steps.clear()
    lines = train_chain(part, stages)
    assert len(steps) == 1 and "was done" in lines[0] and base.stat().st_mtime_ns == written
    one, other = (load_system("flameformer", each.folder("flameformer"), paper.NETWORK).state_dict() for each in (whole, part))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_rows_are_trained_again_from_a_base_that_was_trained_again(motions, tmp_path):
    stages = chosen(["flameformer"])[:2]
    train_chain(chain(motions, tmp_path, Budget(steps=2, together=2, batch=2)), stages)
    row = folder_of(tmp_path, 1, "flameformer") / f"{paper.NETWORK}.json"
    first = json.loads(row.read_text())["card"]
    again = chain(motions, tmp_path, Budget(steps=4, together=2, batch=2))
    assert not again.is_done(stages[0])
    lines = train_chain(again, stages)
    second = json.loads(row.read_text())["card"]
    assert not any("was done" in line for line in lines) and second["base_steps"] == 4 and second["base_sha256"] != first["base_sha256"]
    assert len(row.with_name("log.jsonl").read_text().splitlines()) == 1, "nothing of the earlier run is resumed"
    assert all("was done" in line for line in train_chain(again, stages))


class _Often(Budget):
    def schedule(self, stage, seed):
        return replace(super().schedule(stage, seed), checkpoint_every=1)


def test_a_local_clip_network_sees_the_pictures_and_is_not_saved(motions, tmp_path):
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    sizes = dict(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8)
    CLIPVisionModelWithProjection(CLIPVisionConfig(projection_dim=12, **sizes)).save_pretrained(tmp_path / "clip")
    clip = ClipImages(tmp_path / "clip")
    seen = clip(torch.rand(2, 96, 96))
    assert seen.shape == (2, 12) and torch.allclose(seen.norm(dim=1), torch.ones(2), atol=1e-5)
    with pytest.raises(BadRequest, match="holds no CLIP"):
        ClipImages(tmp_path)

    chain = Chain(motions, load_head(), SHIPPED, tmp_path, Budget(steps=1, together=1, batch=2), seed=1, clip=clip)
    train_chain(chain, [s for s in chosen(["media2face"]) if not s.space])
    network = load_system("media2face", folder_of(tmp_path, 1, "media2face"), paper.NETWORK)
    assert network.config.clip == 12 and not any("vision" in name for name in network.state_dict())
    with pytest.raises(BadRequest, match="through a CLIP"):
        network.condition_of(torch.rand(1, 96, 96))
    network.look_through(clip)
    one, other = (network.condition_of(torch.full((1, 96, 96), grey)) for grey in (0.2, 0.8))
    assert one.shape == (1, 1, len(LABELS)) and not torch.allclose(one, other)
    clip.network.config.projection_dim = 13
    with pytest.raises(BadRequest, match="13 numbers"):
        network.look_through(clip)
