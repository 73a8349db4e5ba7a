# SPDX-License-Identifier: GPL-3.0-or-later
"""Every stage of training runs end to end on a corpus made here, resumes, and gives weights an engine
loads; performances and steps are the same on any number of processes."""

import argparse
import contextlib
import io
import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from made_motions import heard, recordings
from safetensors.torch import save_file
from torch import nn

from research import __main__ as research
from research.harness import ROOT
from research.train import (
    command,
    denoiser,
    distil,
    encoder,
    loop,
    m2s,
    motions as stage,
    stages,
    sv2s,
    vocoder,
)
from research.train.card import write_card
from research.train.command import STAGES
from research.train.corpus import (
    BadCorpus,
    build,
    Clip,
    Corpus,
    list_recordings,
    split_of,
    splits_of,
    TEST_SPEAKERS,
)
from research.train.denoiser import as_sampled
from research.train.facegood import write_tracked
from research.train.loop import fit, half_precision, learning_rate, Schedule
from research.train.motions import (
    animate,
    DIRECTIONS,
    MOTIONS,
    MotionSet,
    STATE,
    teacher_code,
    VARIANTS,
)
from research.train.readings import style_of_speaker
from research.train.stages import pieces, version, Workspace
from thunder_core.engine.diffusion import alpha_bar, STEPS
from thunder_core.engine.engine import Engine
from thunder_core.engine.planning.mouth_map import fitted_encoder
from thunder_core.face.head import load_head
from thunder_core.files import hash_of
from thunder_core.networks.bodies import Whisper
from thunder_core.request import Request
from thunder_core.types import Columns, Motion, Speech


def test_own_estimates_take_the_truths_place_where_asked_and_only_under_noise():
    truth, guess = torch.zeros(2, 3, 4), torch.ones(2, 3, 4)
    own = torch.tensor([True, False])[:, None, None] & torch.tensor([True, True, False, False])
    alpha = torch.from_numpy(alpha_bar())
    mixed = as_sampled(truth, guess, torch.tensor([STEPS - 1, STEPS - 1]), alpha, own)
    # where nothing is left of the truth it is all the model's own
    assert mixed[0, :, :2].min() > 0.99
    assert mixed[0, :, 2:].abs().max() == 0 and mixed[1].abs().max() == 0
    least = as_sampled(truth, guess, torch.tensor([0, 0]), alpha, own)
    assert 0 < least[0, :, :2].max() < 0.1


def test_voices_are_split_by_speaker_and_the_ten_are_never_trained_on():
    assert {split_of(s) for s in "533 367 3331 3080 3005 2609 2414 2033 1998 1688".split()} == {
        "test"
    }
    assert {split_of(f"voice {i}") for i in range(300)} == {"train", "validation"}


@pytest.mark.parametrize(
    "speakers, there",
    [
        ("Ada Bob", [1, 0, 1]), ("Ada 367", [1, 0, 1]), ("Ada Bob Eve", [1, 1, 1]), ("Ada Bob 367 "
                                                                                     "533",
                                                                                         [1, 1, 2]),
        (" ".join(map(str, range(100))), [92, 4, 4]), ("367 533", [0, 0, 2]),
    ],
)  # fmt: skip
def test_where_names_leave_a_split_empty_somebody_of_the_data_fills_it(speakers, there):
    splits = splits_of(dict.fromkeys(speakers.split(), 5.0) | {"short": 4.9})
    assert splits.pop("short") == "train", (
        "nobody is measured by a recording that is shorter than the longest crop"
    )
    assert [
        list(splits.values()).count(split) for split in ("train", "validation", "test")
    ] == there
    assert all(splits[speaker] == "test" for speaker in TEST_SPEAKERS & set(splits))


@pytest.mark.parametrize(
    "speakers, seconds, said",
    [
        (["Ada", "Ada"], 6, "here speak Ada .*adapt"),
        (["Ada", "Bob"], 4, "two speakers with 5 seconds of recordings"),
        (["533", "367"], 6, "never train"),
        ([], 6, "no recordings in .*voices"),
    ],
    ids=["one", "short", "never trained on", "none"],
)
def test_a_corpus_that_is_too_small_is_refused_in_a_sentence(tmp_path, speakers, seconds, said):
    labelled, folder = [], recordings(tmp_path / "voices", speakers, seconds)
    with pytest.raises(BadCorpus, match=said):
        build(
            tmp_path / "corpus", [folder], label=lambda samples, text: labelled.append(text) or []
        )
    assert not (tmp_path / "corpus").exists() and not labelled


@pytest.mark.parametrize(
    "table, said",
    [
        ("file\tspeaker\ttext\n0.wav\tAda\tJörg\n1.wav\tAda\tja\n".encode("utf-8-sig"), None),
        (b"0.wav\tAda\tyes\n1.wav\tAda\tno\n", None),  # without a header
        ("0.wav\tAda\tJörg\n".encode("latin-1"), "not text in UTF-8"),
        ("0.wav\tAda\tyes\n".encode("utf-16"), "not text in UTF-8"),
        (b"file,speaker,text\n0.wav,Ada,yes\n1.wav,Ada," + b"no " * 200, "names no recording"),
        (b"file\tspeaker\ttext\n0\tAda\tyes\n1\tAda\tno\n", "names no recording"),
    ],
)
def test_who_speaks_is_read_of_every_table_or_it_is_refused(tmp_path, table, said):
    """Else each recording would be a speaker, and people who train would test."""
    for name in "01":
        (tmp_path / f"{name}.wav").touch()
    (tmp_path / "transcripts.tsv").write_bytes(table)
    if said is None:
        assert [each.speaker for each in list_recordings(tmp_path)] == ["Ada", "Ada"]
        return
    with pytest.raises(BadCorpus, match=said):
        list_recordings(tmp_path)


def test_recordings_among_tracked_performances_are_not_left_out_untold(tmp_path):
    np.savez(tmp_path / "a.npz", speaker="Ada")
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).touch()
    with pytest.raises(BadCorpus, match="b.wav … Move these into a folder of their own"):
        list_recordings(tmp_path)


@pytest.mark.parametrize(
    "ending, said",
    [
        (KeyboardInterrupt(), "Stopped: the same command goes on"),
        (OSError(28, "No space left on device", "out"), "No space left on device: 'out'. Check"),
    ],
)
def test_a_stage_that_is_stopped_or_cannot_write_ends_with_a_sentence(
    monkeypatch, tmp_path, ending, said
):
    def end(work, args):
        raise ending

    monkeypatch.setitem(STAGES, "graphs", STAGES["graphs"]._replace(run=end))
    with pytest.raises(SystemExit, match=said):
        research.main(["train", "--threads", "1", "--weights", str(tmp_path), "graphs"])


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_another_folder_of_recordings_is_not_taken_for_the_first(tmp_path):
    (tmp_path / "speech").write_text("ada\n")
    command = ["make", "retrain", "SPEECH=bob", f"TRAINED={tmp_path}"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert made.returncode and "was begun with other recordings" in made.stdout


def test_learning_rate_warms_up_and_falls():
    schedule = Schedule(steps=1000, rate=1.0, warmup=100)
    rates = [learning_rate(schedule, s) for s in range(1000)]
    assert rates[:100] == pytest.approx(np.arange(1, 101) / 100)
    assert rates[100:601] == [1.0] * 501, "a plateau until the last two fifths"
    # the cosine at a quarter, a half and three quarters of its way from 1 to 0.01
    assert [rates[700], rates[800], rates[900]] == pytest.approx(
        [0.01 + 0.99 * (0.5 + 0.5**1.5), 0.505, 0.01 + 0.99 * (0.5 - 0.5**1.5)]
    )
    assert rates[-1] == pytest.approx(0.01, abs=1e-4)


def test_half_precision_is_used_only_where_it_is_wanted(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    for wanted in (True, False):
        with half_precision("cpu", wanted):
            made = torch.ones(2, 2) @ torch.ones(2, 2)
        assert (made.dtype == torch.bfloat16) == wanted


def small_fit(folder, stop=None, steps=20, validate=None):
    """A network fitted in some steps; it is interrupted in the step `stop`."""
    torch.manual_seed(0)
    model, asked = nn.Linear(3, 1), []

    def batch(rng):
        return torch.from_numpy(rng.standard_normal((16, 3)).astype(np.float32))

    def loss(model, x, rng):
        asked.append(1)
        if len(asked) == stop:
            raise KeyboardInterrupt
        return {"total": (model(x) - x @ torch.tensor([[1.0], [-2.0], [0.5]])).square().mean()}

    schedule = Schedule(steps, rate=0.05, warmup=2, half=False, average=0.9, checkpoint_every=5)
    return fit(model, batch, loss, schedule, folder, validate, 50)


def test_validation_measures_averaged_weights_and_training_goes_on_with_its_own(tmp_path):
    measured = []

    def validate(model):
        measured.append(model.weight.detach().clone())
        return {}

    validated = small_fit(tmp_path / "a", steps=70, validate=validate)
    assert torch.equal(validated.weight, small_fit(tmp_path / "b", steps=70).weight)
    assert len(measured) == 2 and torch.equal(measured[-1], validated.weight)


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path):
    whole = small_fit(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        small_fit(tmp_path / "part", stop=13)
    assert torch.equal(whole.weight, small_fit(tmp_path / "part").weight)


def test_a_run_logs_validates_and_saves_as_often_as_it_should_and_skips_a_broken_batch(
    tmp_path, monkeypatch
):
    model, saved, validated, was = nn.Linear(1, 1), [], [], []
    save = loop._Training.save
    monkeypatch.setattr(loop._Training, "save", lambda self: saved.append(self.step) or save(self))

    def loss(model, item, rng):
        assert model.training
        was.append(model.weight.item())
        broken = float("nan") if len(was) == 3 else 1.0
        return {
            "total": broken * (model.weight - 5).square().sum(),
            "number": torch.tensor(len(was)),
        }

    def validate(model):
        assert not model.training and not torch.is_grad_enabled()
        validated.append(len(was))
        return {"figure": 1 / 3}

    schedule = Schedule(steps=130, rate=0.1, warmup=0, half=False, checkpoint_every=60)
    fitted = fit(
        model, lambda rng: None, loss, schedule, tmp_path / "a" / "b", validate, validate_every=100
    )
    assert not fitted.training and saved == [60, 120, 130] and validated == [100, 130]
    lines = [json.loads(line) for line in (tmp_path / "a/b/log.jsonl").read_text().splitlines()]
    assert [(x["step"], x["number"], x.get("figure")) for x in lines] == [
        (50, 25.5, None), (100, 75.5, 0.3333), (130, 115.5, 0.3333),
    ]  # fmt: skip
    assert was[2] == was[3] and len(set(was)) == 129, "but for the broken one every step moves it"


def test_the_speed_that_a_log_tells_is_of_the_steps_since_a_run_went_on(
    tmp_path, monkeypatch, capsys
):
    now = [1000.0]
    monkeypatch.setattr(loop, "time", SimpleNamespace(time=lambda: now[0]))
    log = loop._Log(tmp_path / "log.jsonl", 100)
    now[0] = 1050.0
    for value in (1.0, 2.0):
        log.add({"total": torch.tensor(value)})
    assert log.next_line(110, 1) == {"step": 110, "seconds_per_step": 5.0, "total": 1.5}
    assert log.next_line(100, 1) == {"step": 100, "seconds_per_step": 50.0}
    for line in ({"step": 1}, {"step": 2}):
        log.write(line)
    assert (
        capsys.readouterr().out
        == (tmp_path / "log.jsonl").read_text()
        == ('{"step": 1}\n{"step": 2}\n')
    )


def test_adaptation_learns_from_pieces_of_three_seconds_and_more_and_holds_one_of_eight_out(
    monkeypatch, tmp_path
):
    (tmp_path / "corpus").mkdir()
    lengths = [640 * frames for frames in (74, *range(75, 84))]
    clips = [Clip(f"{each}", "mine", "Ada", "train", 0, each) for each in lengths]
    corpus = SimpleNamespace(clips=clips, samples=lambda clip: np.zeros(clip.length))
    for name in ("SpeechEncoder", "SpeakerEncoder", "Units"):
        monkeypatch.setattr(stages, name, SimpleNamespace(load=lambda weights: None))
    for name in ("extract_features", "animate", "MotionSet"):
        monkeypatch.setattr(stages, name, lambda *given, **more: None)
    monkeypatch.setattr(stages, "build", lambda *given, **more: corpus)
    stages.prepare([], tmp_path, tmp_path, load_head())
    assert [clip.length for clip in corpus.clips] == lengths[1:]
    assert [clip.split == "test" for clip in corpus.clips] == [*[False] * 7, True, False]


def test_what_is_exported_is_the_moving_average_of_the_weights(tmp_path):
    model, seen = nn.Linear(1, 1, bias=False), []

    def loss(model, item, rng):
        seen.append(model.weight.detach().clone())
        return {"total": (model.weight - 5).square().sum()}

    average = fit(
        model, lambda rng: None, loss, Schedule(steps=12, rate=0.1, warmup=1, average=0.5), tmp_path
    ).weight
    last = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]["weight"]
    expected = seen[0]
    for step, weight in enumerate([*seen[1:], last]):
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight
    assert torch.allclose(average, expected) and not torch.allclose(average, last, rtol=0.01)


@pytest.mark.parametrize(
    "stage, there, missing",
    [
        ("paper", (), "clips.json is missing: run the stage corpus first"),
        ("paper", ("corpus",), "rows.json is missing: run the stage hear first"),
        ("paper", ("corpus", "rows"), "directions.npy is missing: run the stage animate first"),
        ("animate", ("corpus",), "rows.json is missing: run the stage hear first"),
        ("encoder", (), "clips.json is missing: run the stage corpus first"),
    ],
)
def test_a_stage_without_what_it_needs_says_which_stage_makes_it(tmp_path, stage, there, missing):
    corpus, motions = tmp_path / "corpus", tmp_path / "motions"
    for folder in (corpus, motions):
        folder.mkdir()
    if "corpus" in there:
        clips = [
            dict(name="a", corpus="", speaker=split, split=split, start=0, length=0)
            for split in ("train", "test")
        ]
        (corpus / "clips.json").write_text(json.dumps(clips))
        for name in ("samples.i16", "phones.u8"):
            (corpus / name).write_bytes(b"00")
    if "rows" in there:
        (motions / "rows.json").write_text("{}")
    with pytest.raises(SystemExit, match=missing.replace(".", "[.]")):
        research.main(
            ["train", "--cache", str(tmp_path), "--threads", "1", "--device", "cpu", stage]
        )


PAGES = ("docs/training.md", "docs/reference/tracked.md", "weights/README.md")
# Stages of which only the first words are run here, and where the rest is tested.
ELSEWHERE = {
    "paper": "test_systems", "facegood": "test_tracked", "calibrate": "test_lip_clips", "solve": "test_solve", "track": "test_track",
    "grid": "test_measured_lips", "speaker": "needs Resemblyzer's checkpoint",
}  # fmt: skip
# What makes a documented command short: said after its own options, of which the last one counts.
SIZES = {
    "hear": "--quiet-clips 1", "animate": "--workers 1", "distil": "--lines 1",
    "denoiser": "--batch 2", "takes": "--lines 2",
    "sv2s": "--minutes .1", "heads": "--to cache-heads",
}  # fmt: skip
HAVE_STEPS = {name for name, stage in STAGES.items() if "--steps" in dict(stage.options)}


def documented():
    """The words of every command of training that a page or the Makefile names, in the order of the pages."""
    pages, found = [(ROOT / page).read_text() for page in PAGES], []
    for line in pages[0].splitlines():
        spans = re.findall("`([^`]+)`", line)
        if line.startswith("`corpus` →"):
            found += spans
        elif line.startswith("- `"):
            stage, options = spans[0].split()[0], [span for span in spans if span.startswith("--")]
            found += [span for span in spans if span.partition(" ")[0] in STAGES]
            found += [f"{stage} {option}" for option in options]
        elif line.startswith("Weights seldom need"):
            found += [span for span in spans if span.split()[0] in STAGES]
    program = r"(?:python -m research train|[$]R) ([^`\n#;\"]+)"
    for page in pages:
        found += [words for words in re.findall(program, page) if not words.startswith("STAGE")]
    recipe = (ROOT / "Makefile").read_text().partition("\nretrain:")[2].partition("\n\n")[0]
    found += re.findall(r"\bstage ([a-z][^;&}]*)", recipe)
    commands = []
    for words in found:
        words = [word for word in shlex.split(words) if word != "$W"]
        at = [i for i, word in enumerate(words) if word in STAGES]
        commands += [[w for w in words[i:] if not re.search("[A-Z]+…", w)] for i in at[:1]]
    return commands


def parsed(words):
    """A command as its parser reads it. Raises SystemExit where an option or a value has gone."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Weights of every documented command, a step each, on four recordings of hummed syllables by two
    speakers; (folder, run a stage, said by each of the chain's stages)."""
    folder = tmp_path_factory.mktemp("training")
    voices, rng = folder / "recordings", np.random.default_rng(0)
    voices.mkdir()
    transcripts, alignments = ["file\tspeaker\ttext"], ["file\tphone\tstart_s\tend_s"]
    for number, (name, speaker) in enumerate(
        [("a", "alice"), ("b", "alice"), ("c", "bob"), ("d", "bob")]
    ):
        t = np.arange(int(6.5 * 16000)) / 16000
        hum = 0.2 * np.sin(2 * np.pi * (110 + 20 * number) * t) * (
            np.sin(2 * np.pi * 2 * t) > 0
        ) + 0.01 * rng.standard_normal(len(t))
        soundfile.write(voices / f"{name}.wav", hum.astype(np.float32), 16000)
        transcripts.append(f"{name}.wav\t{speaker}\tba ba ba")
        for beat in range(13):
            alignments += [
                f"{name}.wav\t{p}\t{beat / 2 + a:.2f}\t{beat / 2 + b:.2f}"
                for p, a, b in (("B", 0, 0.1), ("AA", 0.1, 0.25), ("SIL", 0.25, 0.5))
            ]
    (voices / "transcripts.tsv").write_text("\n".join(transcripts) + "\n")
    (voices / "alignments.tsv").write_text("\n".join(alignments) + "\n")
    weights = folder / "weights"
    weights.mkdir()
    copied = re.search(
        "for name in (.*); do",
        (ROOT / "Makefile").read_text().partition("define PERFORM_SPEECH")[2],
    )[1].split()
    for name in (
        "head.npz",
        *(f"{name}.{kind}" for name in copied for kind in ("safetensors", "json")),
    ):
        shutil.copy(ROOT / "weights" / name, weights / name)

    # another encoder is no part of a chain that adapts what ships
    shutil.copytree(weights, folder / "encoders")
    (folder / "whisper").mkdir()
    whisper = {
        f"encoder.{name}": value for name, value in Whisper(256, 3, 4, 64).state_dict().items()
    }
    save_file(whisper, folder / "whisper" / "model.safetensors")

    def stage(*words, runs="runs"):
        kept = "encoders" if words[0] == "encoder" else "weights"
        places = {"--cache": "cache", "--runs": runs, "--weights": kept}
        common = [word for place in places.items() for word in (place[0], str(folder / place[1]))]
        said, threads = io.StringIO(), torch.get_num_threads()
        try:
            with contextlib.redirect_stdout(said):
                research.main(["train", *common, "--threads", "1", "--device", "cpu", *words])
        finally:
            torch.set_num_threads(threads)
        return said.getvalue()

    def short(words):
        """A documented command on this folder, of one step."""
        name, *rest = [*words, *SIZES.get(words[0], "").split()]
        rest = [
            re.sub(r"^([$]\(TRAINED\)/weights|weights|FOLDER|EARLIER)$", str(weights), word)
            for word in rest
        ]
        rest = [re.sub("^model[.]bin$", str(folder / "whisper"), word) for word in rest]
        rest = [
            re.sub(r"^[$]\(\w+_(STEPS|LINES)\)$", "1", word)
            for word in rest
            if not re.fullmatch(r"[$]\(\w+(?<!_STEPS)(?<!_LINES)\)", word)
        ]
        rest = [re.sub("^(my_weights|cache-heads)$", rf"{folder}/\1", word) for word in rest]
        rest = [re.sub("^(speechocean762|mandarin)$", voices.name, word) for word in rest]
        rest += [str(voices)] if name in ("corpus", "adapt") else []
        return [name, *rest, *["--steps", "1"] * (name in HAVE_STEPS)]

    with pytest.MonkeyPatch.context() as patch:
        for module in (m2s, denoiser, distil, encoder, vocoder, sv2s):
            patch.setattr(module, "BATCH", 2)
        patch.setattr(m2s, "MEASURED", 2)
        done = {}
        for words in documented():
            if words[0] in ELSEWHERE:
                continue
            words = short(words)
            # which differ in more than how fast they learn
            known = {str(each) for each in vars(parsed(words)).items() if each[0] != "rate"}
            if (known := frozenset(known)) in done:
                continue
            fresh = any(each[0] == words[0] for each in done.values())
            stage(*words, runs=f"runs{len(done)}" if fresh else "runs")
            if words[0] == "hear":  # of other features, which are performed anew
                done = {key: each for key, each in done.items() if each[0] != "animate"}
            done[known] = words
            if words[0] == "card" and not (folder / "page").exists():
                shutil.copytree(weights, folder / "page")
    return folder, stage, list(done.values())


def test_what_the_pages_and_the_makefile_tell_people_to_run_is_every_stage():
    """Each of these is run by `trained`, but for those that are tested elsewhere."""
    names = {words[0] for words in documented()}
    assert names == {*STAGES}
    chain = "corpus hear animate denoiser distil takes m2s vocoder graphs card".split()
    assert [words[0] for words in documented()][: len(chain)] == chain


def test_every_stage_runs_and_the_engine_loads_what_it_made(trained):
    folder, _, ran = trained
    assert {words[0] for words in ran} == {*STAGES} - set(ELSEWHERE)
    corpus = Corpus(folder / "cache" / "corpus")
    assert [len(corpus.of(s)) for s in ("train", "validation", "test")] == [2, 0, 2]
    rows = json.loads((folder / "cache" / "motions" / "rows.json").read_text())["rows"]
    assert [row["split"] for row in rows if row["listens"]] == ["train"] * 2, (
        "every voice is listened to, but no unseen one"
    )
    engine = Engine.load(folder / "page", device="cpu")
    speech = Speech((0.1 * np.sin(np.arange(16000) * 0.08)).astype(np.float32))
    assert engine.thunder.distilled is not None
    takes = engine.generate(speech, Request(2, 1))
    assert [t.motion.frames for t in takes] == [25, 25]
    one, other = (take.motion.expression for take in takes)
    assert np.isfinite(one).all() and np.ptp(one) > 0 and not np.array_equal(one, other)


def test_a_captured_performance_is_what_is_learned_and_the_teacher_fills_in_what_was_not_captured(
    tmp_path,
):
    pucker, n, captures = CHANNELS.index("mouthPucker"), len(CHANNELS), tmp_path / "captures"
    motion = Motion(np.zeros((50, n), np.float32), np.zeros((50, 3), np.float32))
    motion.expression[:, pucker] = np.linspace(0, 1, 50)
    write_tracked(captures / "line.npz", motion, CHANNELS, speaker="Ada")
    soundfile.write(captures / "line.wav", 0.1 * np.sin(np.arange(32000) * 0.05), 16000)
    label = lambda samples, text: [("AA", 0.2, 1.8)]  # noqa: E731
    corpus = build(tmp_path / "corpus", [captures], label, channels=CHANNELS, split=False)
    [clip] = corpus.clips
    assert clip.speaker == "Ada" and (corpus.phones(clip)[50:150] == corpus.phones(clip)[100]).all()
    folder = heard(corpus, tmp_path / "set")
    animate(corpus, CHANNELS, folder)
    learned = read(folder)[0].reshape(VARIANTS, -1, n + 9)[:, :50]
    for made in (corpus.captured_motion(clip, n + 9), learned):
        assert np.allclose(made[..., pucker], motion.expression[:, pucker], atol=1e-3)
    assert not learned[:, :, n : n + 3].any()  # the captured jaw rests, the teacher's would speak
    # nobody captured the head: the teacher moves it
    assert learned[:, :, n + 3 : n + 6].std(1).max() > 0


def test_a_finished_stage_is_resumed_and_cards_say_what_made_the_weights(trained):
    folder, stage, _ = trained
    for name in ("encoder", "m2s", "m2s-lips", "sv2s", "denoiser", "distilled"):
        kept = "encoders" if name == "encoder" else "weights"
        card = json.loads((folder / kept / f"{name}.json").read_text())["card"]
        assert {"what", "data", "commit", "steps", "seed", "figures"} <= set(card)
        assert ("start" in card) == (name == "m2s"), (
            "cards name the weights that training went on from"
        )
        assert card["voices"] == {"train": 1, "validation": [], "test": ["bob"]}
    assert version(folder) == "unknown", "no work tree"
    stage("m2s", "--steps", "1", runs="again")
    assert "resumed" in stage("m2s", "--steps", "1", runs="again")
    config = json.loads((folder / "weights" / "m2s.json").read_text())["config"]
    assert config["of_units"] == hash_of(folder / "weights" / "units.safetensors")


def test_the_page_of_own_weights_says_what_was_copied_and_what_was_learned(trained):
    page = (trained[0] / "page" / "README.md").read_text()
    learned = dict(re.findall(r"^- `(\S+)`: (.*)", page, re.M))
    assert set(learned) == {"units", "m2s", "vocoder", "denoiser", "distilled"}
    assert learned["denoiser"] == (
        "diffusion model, THUNDER-F without M2S loss; teacher's motions over the corpus; stage denoiser, steps 1, "
        "seed 1, rate 0.001, 0.4 minutes of recordings"
    )
    assert "stage hear, 0.4 minutes of recordings" in learned["units"]
    sums = dict(
        reversed(line.split())
        for line in (ROOT / "weights/SHA256SUMS").read_text().splitlines()[1:]
    )
    copied = ", ".join(f"`{n}` ({sums[f'{n}.safetensors'][:16]}…)" for n in ("encoder", "speaker"))
    assert f"Copied from the weights that ship, with sha256: {copied}." in page
    assert "Speakers that train: 1; validation and test: bob" in page and "LibriSpeech" not in page


def test_the_page_of_what_ships_is_the_one_in_the_repository(tmp_path):
    shutil.copytree(ROOT / "weights", tmp_path / "weights")
    assert write_card(tmp_path / "weights").read_text() == (ROOT / "weights/README.md").read_text()


def test_the_shipped_model_goes_on_learning_from_a_folder_of_ones_own(trained):
    folder, stage, _ = trained
    card = json.loads((folder / "my_weights" / "denoiser.json").read_text())["card"]
    assert set(card["figures"]) == {"before", "after"} and card["data"] == "recordings, 0.4 minutes"
    speech = Speech((0.1 * np.sin(np.arange(16000) * 0.08)).astype(np.float32))
    engine = Engine.load(folder / "my_weights", device="cpu")
    assert engine.thunder.distilled is None, "it was distilled from another model"
    assert engine.generate(speech, Request(1, 1))[0].motion.frames == 25

    other = folder / "other"
    other.mkdir()
    for name in "ab":
        shutil.copy(folder / "recordings" / f"{name}.wav", other)
    with pytest.raises(SystemExit, match="adapt holds a training on other recordings"):
        stage("adapt", str(other), "--out", str(folder / "other_weights"), "--steps", "1")
    assert not (folder / "other_weights").exists(), "the network of the first would pass for theirs"


def test_another_corpus_has_features_and_performances_made_again(monkeypatch, tmp_path):
    work = Workspace(tmp_path, tmp_path / "runs", tmp_path, 1, "cpu")
    work.motions_folder.mkdir()
    (work.motions_folder / "rows.json").write_text("of another corpus")
    monkeypatch.setattr(stages, "load_head", lambda path: SimpleNamespace(expression_names=()))
    clips = [Clip("a.wav", "one", who, "test", 0, 0) for who in ("Ada", "one/a.wav")]
    corpus = SimpleNamespace(clips=clips, voices=lambda: dict(train=1, validation=[], test=["Ada"]))
    monkeypatch.setattr(stages, "build", lambda *given, **options: corpus)
    said = STAGES["corpus"].run(work, parsed(["corpus", str(tmp_path)]))
    assert "\n1 recordings have no speaker" in said, "who trains would test, untold"
    with pytest.raises(SystemExit, match="run the stage hear first"):
        work.require(work.motions_folder / "rows.json", "hear")


def test_another_plan_or_shape_of_mouths_has_performances_made_again():
    core, code = ROOT / "thunder_core", teacher_code()
    used = [
        module.replace(".", "/") + ".py"
        for teacher in sorted((ROOT / "research" / "train").glob("teacher*.py"))
        for module in re.findall(
            r"from thunder_core\.((?:face|engine\.planning)[.\w]+)", teacher.read_text()
        )
    ]
    assert used and not [name for name in used if (core / name).read_bytes() not in code]


def test_long_recordings_are_cut_where_it_is_quiet():
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 640 * 900).astype(np.float32)
    for frame in (262, 490, 755):
        samples[(frame - 4) * 640 : (frame + 4) * 640] *= 0.01
    clip = Clip("long", "mine", "Ada", "train", 6400, len(samples), tracked=100)
    parts = list(pieces(clip, samples))
    starts = [(p.start - 6400) // 640 for p in parts]
    assert (
        starts[0] == 0
        and all(min(abs(s - q) for q in (262, 490, 755)) <= 3 for s in starts[1:])
        and len(parts) == 4
    )
    assert (
        sum(p.length for p in parts) == clip.length and [p.tracked - 100 for p in parts] == starts
    )


CHANNELS = list(load_head().expression_names)


@pytest.fixture
def corpus(tmp_path):
    """Three recordings of two speakers, one second each."""
    source = recordings(tmp_path / "recordings", ("Ada", "Ada", "Bob"), 1.0)
    label = lambda samples, text: [("AA", 0.2, 0.5), ("M", 0.5, 0.6), ("IY", 0.6, 0.9)]  # noqa: E731
    return build(tmp_path / "corpus", [source], label, split=False)


def read(folder):
    return np.fromfile(folder / MOTIONS, np.float16), np.load(folder / DIRECTIONS)


def test_a_face_that_listens_keeps_its_mouth_shut_and_is_not_the_speaker_s(corpus, tmp_path):
    folder = heard(corpus, tmp_path / "set")
    about = json.loads((folder / "rows.json").read_text())
    about["rows"][1] |= {"speaker": "listener", "clip": 0, "listens": True}
    (folder / "rows.json").write_text(json.dumps(about))
    animate(corpus, CHANNELS, folder)
    motions, columns = MotionSet(corpus, folder), Columns(len(CHANNELS))
    jaw, head = (
        motions.motions[..., part].astype(np.float32) for part in (columns.jaw, columns.head)
    )
    assert jaw[:, :25].max() > 0.03 > 0.001 > np.abs(jaw[:, 25:50]).max()
    assert head[:, 25:50].std() > 0
    usual = style_of_speaker("Ada").vector()
    assert np.abs(read(folder)[1][:, 1, : len(usual)] - usual).mean() > 0.5
    assert motions.of("train") == [0, 2, 3] and motions.of("train", listening=True) == [0, 1, 2, 3]
    assert not motions.samples(1, 0, 25).any() and motions.samples(0, 0, 25).any()


def test_a_stopped_run_goes_on_where_it_was_and_ends_as_an_uninterrupted_one(
    corpus, tmp_path, monkeypatch
):
    whole, part = heard(corpus, tmp_path / "whole"), heard(corpus, tmp_path / "part")
    animate(corpus, CHANNELS, whole)
    perform, asked = stage.perform_planned, []

    def until_the_third_clip(*given, **more):
        asked.append(1)
        if len(asked) == 2 * VARIANTS + 1:
            raise KeyboardInterrupt
        return perform(*given, **more)

    monkeypatch.setattr(stage, "_TOGETHER_SAVED", 1)
    monkeypatch.setattr(stage, "perform_planned", until_the_third_clip)
    with pytest.raises(KeyboardInterrupt):
        animate(corpus, CHANNELS, part)
    assert json.loads((part / STATE).read_text())["clips"] == 2
    animate(corpus, CHANNELS, part)
    assert len(asked) == 4 * VARIANTS + 1, "what was done is not done again"
    assert all(map(np.array_equal, read(whole), read(part)))


@pytest.mark.slow
def test_several_processes_write_what_one_does(corpus, tmp_path):
    made = []
    for workers in (1, 2):
        folder = heard(corpus, tmp_path / f"{workers}")
        animate(corpus, CHANNELS, folder, workers=workers)
        made.append(read(folder))
    assert all(map(np.array_equal, *made))


def test_features_are_read_only_of_the_encoder_that_lips_were_calibrated_with(corpus, tmp_path):
    made = {}
    for read_by in ("", "another encoder", fitted_encoder()):
        folder = heard(corpus, tmp_path / f"set {len(made)}", read_by)
        animate(corpus, CHANNELS, folder)
        made[read_by] = read(folder)[0]
    assert np.array_equal(made["another encoder"], made[""])
    assert not np.array_equal(made[fitted_encoder()], made[""])


def test_the_teacher_says_that_it_hears_nothing_but_phones(corpus, tmp_path, capsys, monkeypatch):
    workspace = Workspace(tmp_path, tmp_path, ROOT / "weights", 1, "cpu")
    monkeypatch.setattr(Workspace, "corpus", lambda self: corpus)
    heard(corpus, workspace.motions_folder, "another encoder")
    STAGES["animate"].run(workspace, argparse.Namespace(workers=1))
    assert "the teacher reads nothing but phones" in capsys.readouterr().err


TRAINED, BATCH, SEED = 150, 8, 3

SCRIPT = """
import sys
sys.path[:0] = [{root!r}, {tests!r}, {here!r}]
from test_train import fitted
import torch
from pathlib import Path
torch.set_num_threads(1)
fitted(Path(sys.argv[1]), together=False)
"""


def fitted(folder: Path, together: bool) -> None:
    """A small network fitted to noisy data; together: one process draws what two would."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))
    steps = itertools.count()

    def batch(rng):
        step = next(steps)
        parts = [
            np.random.default_rng(seeds) for seeds in ([SEED, step], [SEED, step, 1])
        ] if together else [rng]  # fmt: skip
        x = np.concatenate([each.standard_normal((BATCH, 5)) for each in parts]).astype(np.float32)
        wanted = np.sin(x[:, :4].sum(1, keepdims=True)) + 0.3 * x[:, 4:]
        return torch.from_numpy(x[:, :4]), torch.from_numpy(wanted)

    def loss(model, item, rng):
        off = model(item[0]) - item[1]
        return {"total": off.square().mean(), "worst": off.detach().abs().mean()}

    schedule = Schedule(steps=TRAINED, rate=0.02, warmup=10, half=False, average=0.9, seed=SEED)
    torch.save(fit(model, batch, loss, schedule, folder).state_dict(), folder / "model.pt")


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one_with_the_doubled_batch(tmp_path):
    script, folders = tmp_path / "train.py", (tmp_path / "one", tmp_path / "two")
    script.write_text(
        SCRIPT.format(root=str(ROOT), tests=str(ROOT / "tests"), here=str(Path(__file__).parent))
    )
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*run, str(script), str(folders[1])], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    fitted(folders[0], together=True)
    one, two = (
        np.array(
            [
                [json.loads(line)[term] for term in ("total", "worst")]
                for line in (folder / "log.jsonl").read_text().splitlines()
            ]
        )
        for folder in folders
    )
    assert len(one) == 3 and one[0, 0] > 1.1 * one[-1, 0], "it learned something"
    assert two == pytest.approx(one, abs=2e-4)
    weights = [torch.load(folder / "model.pt", weights_only=True) for folder in folders]
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=1e-4) for name in weights[0])
