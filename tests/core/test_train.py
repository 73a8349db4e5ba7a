# SPDX-License-Identifier: GPL-3.0-or-later
"""Every stage of training runs end to end on a corpus made here, resumes, and gives weights an engine loads."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from thunder_core.engine import Engine
from thunder_core.train.corpus import Corpus, split_of
from thunder_core.train.loop import Schedule, fit, learning_rate
from thunder_core.types import Speech

ROOT = Path(__file__).resolve().parents[2]


def test_voices_are_split_by_speaker_and_the_ten_are_never_trained_on():
    assert {split_of(s) for s in "533 367 3331 3080 3005 2609 2414 2033 1998 1688".split()} == {"test"}
    assert {split_of(f"voice {i}") for i in range(300)} == {"train", "validation"}


def test_learning_rate_warms_up_and_falls():
    schedule = Schedule(steps=1000, rate=1.0, warmup=100)
    rates = [learning_rate(schedule, s) for s in range(1000)]
    assert rates[0] < 0.02 and max(rates) == rates[99] == 1.0 and rates[-1] < 0.02


def small_fit(folder, steps, checkpoint_every=5):
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    target = torch.tensor([[1.0, -2.0, 0.5]])

    def batch(rng):
        return torch.from_numpy(rng.standard_normal((16, 3)).astype(np.float32))

    def loss(model, x, rng):
        return {"total": (model(x) - x @ target.T).square().mean()}

    schedule = Schedule(steps=steps, rate=0.05, warmup=2, half=False, average=0.9, checkpoint_every=checkpoint_every)
    return fit(model, batch, loss, schedule, folder)


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(tmp_path):
    whole = small_fit(tmp_path / "whole", 20)
    # A run that is stopped at step 10: the same schedule, whose second half never came.
    part = tmp_path / "part"
    state = {}
    original = torch.save

    class Stopped(Exception):
        pass

    def stop_after_ten(value, path):
        original(value, path)
        if value["step"] == 10:
            Path(path).replace(part / "checkpoint.pt")
            state["stopped"] = True
            raise Stopped

    torch.save = stop_after_ten
    try:
        with pytest.raises(Stopped):
            small_fit(part, 20)
    finally:
        torch.save = original
    resumed = small_fit(part, 20)
    assert torch.equal(whole.weight, resumed.weight)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Weights of all stages after two steps each, on 40 s of hummed syllables by four speakers."""
    folder = tmp_path_factory.mktemp("training")
    voices, rng = folder / "recordings", np.random.default_rng(0)
    voices.mkdir()
    transcripts, alignments = ["file\tspeaker\ttext"], ["file\tphone\tstart_s\tend_s"]
    for number, speaker in enumerate(["alice", "bob", "carol", "dave", "533", "367"]):
        t = np.arange(int(6.5 * 16000)) / 16000
        hum = 0.2 * np.sin(2 * np.pi * (110 + 20 * number) * t) * (np.sin(2 * np.pi * 2 * t) > 0) + 0.01 * rng.standard_normal(len(t))
        soundfile.write(voices / f"{speaker}.wav", hum.astype(np.float32), 16000)
        transcripts.append(f"{speaker}.wav\t{speaker}\tba ba ba")
        for beat in range(13):
            alignments += [f"{speaker}.wav\t{p}\t{beat / 2 + a:.2f}\t{beat / 2 + b:.2f}" for p, a, b in (("B", 0, 0.1), ("AA", 0.1, 0.25), ("SIL", 0.25, 0.5))]
    (voices / "transcripts.tsv").write_text("\n".join(transcripts) + "\n")
    (voices / "alignments.tsv").write_text("\n".join(alignments) + "\n")
    weights = folder / "weights"
    weights.mkdir()
    for name in ("head.npz", "speaker.safetensors", "speaker.json"):
        shutil.copy(ROOT / "weights" / name, weights / name)

    def stage(*words):
        command = [sys.executable, "-m", "thunder_core.train", "--cache", folder / "cache", "--runs", folder / "runs", "--weights", weights]
        done = subprocess.run([*map(str, command), "--device", "cpu", *words], cwd=ROOT, capture_output=True, text=True, timeout=170)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    stage("corpus", str(voices), "--synthetic-minutes", "0")
    stage("encoder", "--steps", "2")
    stage("hear", "--quiet-clips", "2")
    stage("animate")
    stage("m2s", "--steps", "2")
    stage("denoiser", "--steps", "2")
    stage("denoiser", "--steps", "2", "--m2s")
    return folder, stage


@pytest.mark.timeout(400)
def test_every_stage_runs_and_the_engine_loads_what_it_made(trained):
    folder, _ = trained
    corpus = Corpus(folder / "cache" / "corpus")
    assert [len(corpus.of(s)) for s in ("train", "validation", "test")] == [4, 0, 2]
    engine = Engine.load(folder / "weights", device="cpu")
    speech = Speech((0.1 * np.sin(np.arange(16000) * 0.08)).astype(np.float32))
    takes = engine.generate(speech, 2, 1, steps=3)
    assert [t.motion.frames for t in takes] == [25, 25]
    assert np.isfinite(takes[0].motion.expression).all()


@pytest.mark.timeout(400)
def test_cards_say_what_made_the_weights(trained):
    folder, _ = trained
    for name in ("encoder", "m2s", "denoiser"):
        card = json.loads((folder / "weights" / f"{name}.json").read_text())["card"]
        assert {"what", "data", "commit", "steps", "seed", "figures"} <= set(card)


@pytest.mark.timeout(400)
def test_a_finished_stage_is_resumed_not_repeated(trained):
    _, stage = trained
    assert "resumed" in stage("m2s", "--steps", "2")
