# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME files: training in their own expression space."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
from made_flame import made_flame

from research import __main__ as research
from research.systems import load_system
from research.train.facegood import write_tracked
from research.train.paper import folder_of
from thunder_core.errors import BadHead
from thunder_core.face.head import HEAD_FILE, load_head
from thunder_core.face.lips import opening_mm
from thunder_core.train import __main__ as train
from thunder_core.train.corpus import FlameBasis, tracked_clips
from thunder_core.train.motions import complete_capture
from thunder_core.types import Motion, RATE
from thunder_core.weight_files import SHIPPED


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    torch.set_num_threads(1)
    with np.load(HEAD_FILE) as asset:
        made = made_flame({name: asset[name] for name in asset.files}, seed=7, own=0.0004)
    return made.write(tmp_path_factory.mktemp("flame") / "flame.npz")


@pytest.fixture(scope="module")
def basis(file):
    return FlameBasis(file)


def test_a_flame_file_s_coefficients_are_the_channels_and_its_lips_are_seen(basis):
    head = basis.head
    assert head.channels == 100 and head.expression_names[0] == "expression001"
    points, front = head.v_template[head.mouth_vertices], head.v_template[head.inner_lip_upper_mid]
    # metres: mouth, not eyes or crown
    assert len(points) > 60 and np.linalg.norm(points - front, axis=1).max() < 0.08
    assert {head.inner_lip_lower_mid, head.mouth_corner_left} <= set(head.mouth_vertices.tolist())
    few = FlameBasis(basis.path, 12).head
    assert few.shapedirs.shape[2] == len(few.expression_names) == 12
    with pytest.raises(BadHead, match="no FLAME file"):
        FlameBasis(HEAD_FILE)


def test_tracked_flame_sequences_are_taken_as_they_are_and_others_are_retargeted(basis, tmp_path):
    head, frames = load_head(), 30
    rng, channels = np.random.default_rng(1), list(head.expression_names)
    coefficients = rng.normal(0, 1.5, (frames, 50)).astype(np.float32)
    jaw = np.zeros((frames, 3), np.float32)
    jaw[:, 0] = np.linspace(0, 0.2, frames)
    np.savez(tmp_path / "a.npz", expression=coefficients, jaw=jaw, fps=25.0)
    named = Motion(np.zeros((frames, head.channels), np.float32), jaw)
    write_tracked(tmp_path / "b.npz", named, channels)
    for name in "ab":
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(frames * 640), RATE)
    own, retargeted = (motion for _, _, _, motion in tracked_clips(tmp_path, channels, basis=basis))
    assert np.array_equal(own.expression, np.pad(coefficients, ((0, 0), (0, 50))))
    assert np.array_equal(own.jaw, jaw)
    gaps = [opening_mm(motion, of) for motion, of in ((named, head), (retargeted, basis.head))]
    ratio = gaps[1][-1] / gaps[0][-1]
    assert ratio == pytest.approx(basis.retarget.scale, rel=0.1) and gaps[1][0] < 0.5


@pytest.mark.slow
def test_four_tracked_sequences_become_a_network_that_performs(file, basis, tmp_path):
    """As docs/training.md has it: sequences in the file's own coefficients, by two people."""
    rng, frames = np.random.default_rng(2), 140
    (tmp_path / "tracked").mkdir()
    for name, speaker in zip("abcd", ("Ada", "Ada", "Bob", "Bob")):
        level = np.sin(np.arange(frames) * 0.5) ** 2
        jaw = np.stack([0.2 * level, 0 * level, 0 * level], 1)
        expression = rng.normal(0, 1, (1, 50)) * level[:, None]
        np.savez(
            tmp_path / "tracked" / f"{name}.npz",
            expression=expression,
            jaw=jaw,
            fps=25.0,
            speaker=speaker,
        )
        hum = 0.2 * np.repeat(level, 640) * np.sin(np.arange(frames * 640) * 0.05)
        soundfile.write(tmp_path / "tracked" / f"{name}.wav", hum, RATE)
    shutil.copytree(SHIPPED, tmp_path / "weights")
    places = {
        "--flame": file,
        "--cache": tmp_path / "cache",
        "--runs": tmp_path / "runs",
        "--weights": tmp_path / "weights",
    }
    common = [
        *(str(word) for pair in places.items() for word in pair),
        "--threads",
        "1",
        "--device",
        "cpu",
    ]
    for stage in (
        ["corpus", str(tmp_path / "tracked")],
        ["hear", "--quiet-clips", "2"], ["animate", "--workers", "1"],
        ["m2s", "--steps", "2"], ["paper", "--steps", "2", "--together-steps", "2", "--batch", "2",
        "--only", "thunder*", "diffposetalk*"],
    ):  # fmt: skip
        train.main([*common, *stage]) if stage[0] != "paper" else research.main(
            ["train", *common, *stage]
        )
    for row in ("thunder", "thunder+mouth2s", "thunder-t", "diffposetalk"):
        system = row.partition("+")[0].partition("-")[0]
        network = load_system(system, folder_of(tmp_path / "runs", 1, row))
        assert network.config.motion == 109
    take = load_system("thunder", folder_of(tmp_path / "runs", 1, "thunder")).sample(
        torch.randn(1, 50, network.config.audio), [1], steps=2
    )
    assert take.shape == (1, 50, 109) and take.isfinite().all() and take[..., :50].std(1).max() > 0
    card = json.loads((folder_of(tmp_path / "runs", 1, "thunder") / "network.json").read_text())[
        "card"
    ]
    assert card["voices"]["train"] == 1 and len(card["voices"]["test"]) == 1


def test_what_a_sequence_in_the_file_s_coefficients_captured_is_kept_and_the_rest_performed(basis):
    captured = np.zeros((8, 109), np.float32)
    captured[4, [3, 101]] = 0.5
    whole = complete_capture(captured, np.ones_like(captured), list(basis.head.expression_names))
    assert np.array_equal(whole[:, :103], captured[:, :103]) and (whole[:, 103:] == 1).all()
