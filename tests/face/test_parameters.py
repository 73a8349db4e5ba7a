# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME parameters written to a file are what smplx's own FLAME model takes, and move it as our
formula says."""

import pickle

import numpy as np
import pytest
import torch
from made_flame import made_flame

from thunder_core.animation import motion_file
from thunder_core.errors import BadRequest, NoSpace
from thunder_core.face.head import load_head
from thunder_core.networks.flame import FlameLayer

FRAMES = 5


def some(rng, expression=100):
    return motion_file.Parameters(
        rng.normal(0, 1, (FRAMES, expression)),
        *(rng.normal(0, 0.2, (FRAMES, 3)) for _ in range(4)),
        np.tile(rng.normal(0, 1, 300), (FRAMES, 1)),
        24.0,
    )


@pytest.fixture(scope="module")
def made(bundled):
    return made_flame(bundled, seed=21, own=0.0005)


def test_smplx_takes_the_file_as_it_is(made, tmp_path):
    import smplx

    with open(tmp_path / "FLAME_NEUTRAL.pkl", "wb") as file:
        pickle.dump(made.data, file, protocol=2)
    # smplx asks for landmarks: any three corners
    with open(tmp_path / "flame_static_embedding.pkl", "wb") as file:
        pickle.dump(
            {"lmk_face_idx": np.array([0]), "lmk_b_coords": np.array([[1.0, 0, 0]])},
            file,
            protocol=2,
        )
    motion_file.write_parameters(str(tmp_path / "take.npz"), some(np.random.default_rng(0)))
    with np.load(tmp_path / "take.npz") as file:
        assert file["fps"] == 24.0
        arrays = {name: torch.tensor(file[name]) for name in file.files if name != "fps"}
    model = smplx.FLAME(
        str(tmp_path),
        num_betas=300,
        num_expression_coeffs=100,
        batch_size=FRAMES,
        use_face_contour=False,
    )
    with torch.no_grad():
        theirs = model(**arrays).vertices.numpy()
    head = load_head(tmp_path / "FLAME_NEUTRAL.pkl")
    from dataclasses import replace

    person = replace(head, v_template=head.v_template + head.identity @ arrays["betas"][0].numpy())
    with torch.no_grad():
        eyes = torch.stack([arrays["leye_pose"], arrays["reye_pose"]], 1).double()
        ours = FlameLayer(person, dtype=torch.float64)(
            arrays["expression"].double(),
            arrays["jaw_pose"].double(),
            arrays["neck_pose"].double(),
            eyes,
        ).numpy()
    assert np.abs(theirs - made.data["v_template"]).max() > 0.01
    assert np.abs(theirs - ours).max() < 5e-6


def test_a_failure_leaves_the_file_that_was_there(tmp_path):
    path = tmp_path / "take.npz"
    motion_file.write_parameters(str(path), some(np.random.default_rng(1)))
    before = path.read_bytes()
    broken = some(np.random.default_rng(2))
    broken.jaw_pose[2, 1] = np.nan
    with pytest.raises(BadRequest, match="not finite"):
        motion_file.write_parameters(str(path), broken)
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with pytest.raises(NoSpace, match="another folder"):
        motion_file.write_parameters(str(blocked / "take.npz"), some(np.random.default_rng(3)))
    assert path.read_bytes() == before and sorted(p.name for p in tmp_path.iterdir()) == [
        "file",
        "take.npz",
    ]
