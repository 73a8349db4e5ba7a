# SPDX-License-Identifier: GPL-3.0-or-later
"""What training reads, performs, draws and minimises on three pieces of the sample voice is what is
stored."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from stored import compare

from research.train import distil, m2s
from research.train.denoiser import build_denoiser, SpeechTerm, train_denoiser
from research.train.loop import Schedule
from research.train.stages import prepare
from thunder_core.face.head import load_head
from thunder_core.networks.denoiser import DenoiserNetwork
from thunder_core.networks.speech import MeshToSpeechNetwork
from thunder_core.networks.weights import load_weights
from thunder_core.weight_files import SHIPPED

SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "sample.wav"
NETWORK = 0.02  # half precision and other processors change what a network has learned by so much


@pytest.fixture(scope="module")
def motions(tmp_path_factory):
    """A set of three pieces of the sample voice, performed by the teacher."""
    folder = tmp_path_factory.mktemp("training")
    samples, rate = soundfile.read(SAMPLE, dtype="float32")
    (folder / "mine").mkdir()
    for number, start in enumerate((0.0, 1.4, 2.6)):
        piece = samples[int(start * rate) :][: int((5.1 + 0.1 * number) * rate)]
        soundfile.write(folder / "mine" / f"{number}.wav", piece, rate)
    torch.set_num_threads(1)
    return prepare([folder / "mine"], folder / "cache", SHIPPED, load_head(), seed=3)


def test_a_corpus_is_heard_as_before(motions):
    corpus = motions.corpus
    compare(
        "heard for training",
        {
            "clips": " ".join(f"{c.name} {c.start} {c.length} {c.split}" for c in corpus.clips),
            "samples": np.concatenate([corpus.samples(clip) for clip in corpus.clips]),
            "phones": np.concatenate([corpus.phones(clip) for clip in corpus.clips]),
            "features": motions.features,
            "units": motions.units,
            "voices": motions.voices,
        },
        NETWORK,
    )


def test_the_teacher_performs_it_as_before(motions):
    names = [*load_head().expression_names, *(f"turn {place}" for place in range(9))]
    found = {
        f"{name} {variant}": motions.motions[variant, :, place]
        for variant in range(len(motions.motions))
        for place, name in enumerate(names)
    }
    compare("performed by the teacher", found | {"directions": motions.directions}, NETWORK)
    compare("planned by the teacher", {"events": motions.events, "heard": motions.heard}, NETWORK)


STEPS = Schedule(steps=3, rate=1e-3, warmup=2, half=False, seed=5, average=0.5, batch=3)


def learned(folder, figures):
    """Terms of the loss of three steps and figures after them."""
    (line,) = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    del line["seconds_per_step"]
    return line | figures


def test_the_diffusion_model_learns_as_before(motions, tmp_path):
    start = load_weights(SHIPPED / "denoiser")[0]
    model, term = (
        build_denoiser(motions, 5, start),
        SpeechTerm(MeshToSpeechNetwork.load(SHIPPED), 0.1),
    )
    _, figures = train_denoiser(motions, load_head(), tmp_path, STEPS, model, term)
    compare("diffusion model in three steps", learned(tmp_path, figures), NETWORK)


def test_mesh_to_speech_learns_as_before(motions, monkeypatch, tmp_path):
    monkeypatch.setattr(m2s, "BATCH", 3)
    monkeypatch.setattr(m2s, "MEASURED", 2)
    start = load_weights(SHIPPED / "m2s")[0]
    model, figures = m2s.train_m2s(motions, load_head(), tmp_path, STEPS, start=start)
    known = {"scale": model.scale, "mean": model.mel_mean, "spread": model.mel_std}
    known |= {"units": model.unit_log_prior}
    compare("mesh-to-speech in three steps", learned(tmp_path, figures) | known, NETWORK)


def test_the_distilled_model_learns_as_before(motions, monkeypatch, tmp_path):
    monkeypatch.setattr(distil, "BATCH", 2)
    monkeypatch.setattr(distil, "WATCHED", 2)
    monkeypatch.setattr(distil, "FRAMES", 100)
    full = DenoiserNetwork.load(SHIPPED)
    model, figures = distil.distil(motions, load_head(), full, tmp_path, STEPS, lines=4)
    assert (model.config.steps, model.config.least_noise) == (4, 0.3)
    with np.load(tmp_path / "lines.npz") as file:
        lines = {name: file[name] for name in file}
    compare("distilled model in three steps", learned(tmp_path, figures) | lines, NETWORK)
