# SPDX-License-Identifier: GPL-3.0-or-later
"""The performed corpus: labels kept with the motion, the same on any number of processes, resumed
where it was stopped."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import soundfile

from thunder_core.channels import Columns
from thunder_core.direction import DIRECTION_NAMES, Style
from thunder_core.engine.planning.lip_kernels import fitted_encoder
from thunder_core.face.head import load_head
from thunder_core.train import motions as stage
from thunder_core.train.corpus import build
from thunder_core.train.motions import animate, DIRECTIONS, MOTIONS, MotionSet, Row, STATE, VARIANTS

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
    np.random.default_rng(1).standard_normal((25 * len(rows), WIDTH)).astype(np.float16).tofile(
        folder / "features.f16"
    )
    np.random.default_rng(2).standard_normal((2 * 25 * len(rows), 40)).astype(np.float16).tofile(
        folder / "logits.f16"
    )
    (folder / "rows.json").write_text(
        json.dumps({"width": WIDTH, "encoder": encoder, "rows": [asdict(row) for row in rows]})
    )
    return folder


def test_a_face_that_listens_keeps_its_mouth_shut_and_is_not_the_speaker_s(corpus, tmp_path):
    folder = heard(corpus, tmp_path / "set")
    about = json.loads((folder / "rows.json").read_text())
    about["rows"][1] |= {"speaker": "listener", "clip": 0, "listens": True}
    (folder / "rows.json").write_text(json.dumps(about))
    animate(corpus, CHANNELS, folder)
    motions, directions = read(folder)
    motions = motions.reshape(VARIANTS, 100, -1).astype(np.float32)
    columns = Columns(len(CHANNELS))
    jaw, head = motions[..., columns.jaw], motions[..., columns.head]
    assert (
        jaw[:, :25].max() > 0.03 > 0.001 > np.abs(jaw[:, 25:50]).max() and head[:, 25:50].std() > 0
    )
    width = len(Style().vector())
    assert np.abs(directions[:, 1, :width] - Style.of_speaker("Ada").vector()).mean() > 0.5
    (folder / "units.u8").write_bytes(bytes(200))
    (folder / "quiet.i16").write_bytes(bytes(2 * 16000))
    np.save(folder / "voices.npy", np.zeros((4, 256), np.float32))
    motions = MotionSet(corpus, folder)
    assert motions.of("train") == [0, 2, 3] and motions.of("train", listening=True) == [0, 1, 2, 3]
    assert not motions.samples(1, 0, 25).any() and motions.samples(0, 0, 25).any()


def read(folder):
    return np.fromfile(folder / MOTIONS, np.float16), np.load(folder / DIRECTIONS)


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
    whole = heard(corpus, tmp_path / "whole")
    animate(corpus, CHANNELS, whole)
    part = heard(corpus, tmp_path / "part")
    perform, asked = stage.perform_planned, []

    def until_the_third_clip(*given, **more):
        asked.append(1)
        if len(asked) > 2 * VARIANTS:
            raise KeyboardInterrupt
        return perform(*given, **more)

    monkeypatch.setattr(stage, "_TOGETHER_SAVED", 1)
    monkeypatch.setattr(stage, "perform_planned", until_the_third_clip)
    with pytest.raises(KeyboardInterrupt):
        animate(corpus, CHANNELS, part)
    assert json.loads((part / STATE).read_text())["clips"] == 2
    asked.clear()
    monkeypatch.setattr(
        stage, "perform_planned", lambda *given, **more: asked.append(1) or perform(*given, **more)
    )
    animate(corpus, CHANNELS, part)
    assert len(asked) == 2 * VARIANTS, "what was done is not done again"
    for one, other in zip(read(whole), read(part)):
        assert np.array_equal(one, other)


@pytest.mark.slow
def test_several_processes_write_what_one_does(corpus, tmp_path):
    one, two = heard(corpus, tmp_path / "one"), heard(corpus, tmp_path / "two")
    animate(corpus, CHANNELS, one)
    animate(corpus, CHANNELS, two, workers=2)
    for a, b in zip(read(one), read(two)):
        assert np.array_equal(a, b)


def test_features_are_read_only_of_the_encoder_that_lips_were_calibrated_with(corpus, tmp_path):
    calibrated = heard(corpus, tmp_path / "calibrated", fitted_encoder())
    another = heard(corpus, tmp_path / "another", "another encoder")
    bare = heard(corpus, tmp_path / "bare")
    for folder in (calibrated, another, bare):
        animate(corpus, CHANNELS, folder)
    assert np.array_equal(read(another)[0], read(bare)[0])
    assert not np.array_equal(read(calibrated)[0], read(bare)[0])
