# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME files: training in their own expression space."""

import numpy as np
import pytest
import soundfile
import torch
from made_flame import made_flame

from research.train.facegood import write_tracked
from thunder_core.errors import BadHead
from thunder_core.face.head import HEAD_FILE, load_head
from thunder_core.face.lips import opening_mm
from thunder_core.train.corpus import FlameBasis, tracked_clips
from thunder_core.train.motions import complete_capture
from thunder_core.types import Motion, RATE


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


def test_what_a_sequence_in_the_file_s_coefficients_captured_is_kept_and_the_rest_performed(basis):
    captured = np.zeros((8, 109), np.float32)
    captured[4, [3, 101]] = 0.5
    whole = complete_capture(captured, np.ones_like(captured), list(basis.head.expression_names))
    assert np.array_equal(whole[:, :103], captured[:, :103]) and (whole[:, 103:] == 1).all()
