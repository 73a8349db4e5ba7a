# SPDX-License-Identifier: GPL-3.0-or-later
"""The performed corpus: labels kept with the motion, the same on any number of processes, resumed
where it was stopped."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import soundfile

from thunder_core.direction import DIRECTION_NAMES, Style
from thunder_core.engine.planning.lip_kernels import fitted_encoder
from thunder_core.face.head import load_head
from thunder_core.train import motions as stage
from thunder_core.train.corpus import build
from thunder_core.train.motions import animate, DIRECTIONS, MOTIONS, MotionSet, Row, STATE, VARIANTS
from thunder_core.types import Columns

CHANNELS = list(load_head().expression_names)
WIDTH = 234


@pytest.fixture
def corpus(tmp_path):
    """Three recordings of two speakers, one second each."""
    source = tmp_path / "recordings"
    source.mkdir()
    rng = np.random.default_rng(0)
    names = ("first.wav", "second.wav", "third.wav")
    for name in names:
        soundfile.write(source / name, 0.1 * rng.standard_normal(16000), 16000)
    rows = [f"{name}\t{speaker}\thello" for name, speaker in zip(names, ("Ada", "Ada", "Bob"))]
    (source / "transcripts.tsv").write_text("\n".join(["file\tspeaker\ttext", *rows]) + "\n")
    return build(
        tmp_path / "corpus",
        [source],
        0,
        label=lambda samples, text: [("AA", 0.2, 0.5), ("M", 0.5, 0.6), ("IY", 0.6, 0.9)],
        split=False,
    )


def heard(corpus, folder, encoder=""):
    """A folder as `extract_features` leaves it, with a quiet clip at the end."""
    folder.mkdir()
    rows = [Row(25 * i, 25, "train", clip.speaker, i) for i, clip in enumerate(corpus.clips)]
    rows.append(Row(25 * len(rows), 25, "train", "quiet", -1))
    rng, frames = np.random.default_rng(1), 25 * len(rows)
    for name, shape in (("features.f16", (frames, WIDTH)), ("logits.f16", (2 * frames, 40))):
        rng.standard_normal(shape).astype(np.float16).tofile(folder / name)
    about = {"width": WIDTH, "encoder": encoder, "rows": [asdict(row) for row in rows]}
    (folder / "rows.json").write_text(json.dumps(about))
    return folder


def read(folder):
    return np.fromfile(folder / MOTIONS, np.float16), np.load(folder / DIRECTIONS)


def test_a_face_that_listens_keeps_its_mouth_shut_and_is_not_the_speaker_s(corpus, tmp_path):
    folder = heard(corpus, tmp_path / "set")
    about = json.loads((folder / "rows.json").read_text())
    about["rows"][1] |= {"speaker": "listener", "clip": 0, "listens": True}
    (folder / "rows.json").write_text(json.dumps(about))
    animate(corpus, CHANNELS, folder)
    for name, content in (("units.u8", bytes(200)), ("quiet.i16", bytes(2 * 16000))):
        (folder / name).write_bytes(content)
    np.save(folder / "voices.npy", np.zeros((4, 256), np.float32))
    motions, columns = MotionSet(corpus, folder), Columns(len(CHANNELS))
    jaw, head = (
        motions.motions[..., part].astype(np.float32) for part in (columns.jaw, columns.head)
    )
    assert jaw[:, :25].max() > 0.03 > 0.001 > np.abs(jaw[:, 25:50]).max()
    assert head[:, 25:50].std() > 0
    usual = Style.of_speaker("Ada").vector()
    assert np.abs(read(folder)[1][:, 1, : len(usual)] - usual).mean() > 0.5
    assert motions.of("train") == [0, 2, 3] and motions.of("train", listening=True) == [0, 1, 2, 3]
    assert not motions.samples(1, 0, 25).any() and motions.samples(0, 0, 25).any()


def test_labels_are_kept_with_every_performance_and_speakers_are_themselves(corpus, tmp_path):
    folder = heard(corpus, tmp_path / "set")
    animate(corpus, CHANNELS, folder)
    motions, directions = read(folder)
    assert motions.size == VARIANTS * 100 * Columns(len(CHANNELS)).count
    assert directions.shape == (VARIANTS, 4, len(DIRECTION_NAMES)) and np.isfinite(directions).all()
    width = len(Style().vector())
    for clip, speaker in enumerate(("Ada", "Ada", "Bob")):
        usual = Style.of_speaker(speaker).vector()
        assert np.abs(directions[:, clip, :width] - usual).mean() < 0.6, (
            "a reading is near what its speaker does"
        )


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
    for encoder in ("", "another encoder", fitted_encoder()):
        folder = heard(corpus, tmp_path / f"set {len(made)}", encoder)
        animate(corpus, CHANNELS, folder)
        made[encoder] = read(folder)[0]
    assert np.array_equal(made["another encoder"], made[""])
    assert not np.array_equal(made[fitted_encoder()], made[""])
