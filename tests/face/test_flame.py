# SPDX-License-Identifier: GPL-3.0-or-later
"""Our skinning is FLAME's: checked against smplx on random models, in double precision."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_flame import smplx_vertices

from thunder_core.errors import BadHead
from thunder_core.face.head import load_head
from thunder_core.face.lips import opening_mm, width_mm
from thunder_core.networks.flame import BLOCK, FlameLayer, rotation_matrix

BATCH = 4


@pytest.fixture(scope="module", params=[0, 1])
def data(request, flame_file):
    return flame_file(request.param)


@pytest.fixture(scope="module")
def head(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("flame") / "flame.npz"
    np.savez(path, **data)
    return load_head(path)


def random_pose(channels, scale=0.6, seed=3):
    torch.manual_seed(seed)
    turns = (scale * torch.randn(BATCH, *shape).double() for shape in ((3,), (3,), (2, 3)))
    return torch.randn(BATCH, channels).double(), *turns


def test_agrees_with_smplx_to_a_micrometre(head):
    expression, jaw, neck, eyes = random_pose(head.channels)
    ours = FlameLayer(head, dtype=torch.float64)(expression, jaw, neck, eyes).numpy()
    assert (
        np.abs(ours - smplx_vertices(head, expression, jaw, neck, eyes.reshape(BATCH, 6))).max()
        < 1e-6
    )


def test_the_short_way_for_a_jaw_alone_is_exact(flame_file, tmp_path):
    data = flame_file(5)
    data["posedirs"] *= 0
    np.savez(tmp_path / "flame.npz", **data)
    head = load_head(tmp_path / "flame.npz")
    expression, jaw, _, _ = random_pose(head.channels)
    ours = FlameLayer(head, dtype=torch.float64)(expression, jaw).numpy()
    assert np.abs(ours - smplx_vertices(head, expression, jaw)).max() < 1e-6


def test_few_vertices_and_long_motions_in_blocks_have_the_same_positions(head):
    layer = FlameLayer(head, dtype=torch.float64)
    torch.manual_seed(1)
    frames = BLOCK // len(head.v_template) + 3
    expression = torch.randn(frames, head.channels).double()
    jaw = 0.3 * torch.randn(frames, 3).double()
    whole, ids = layer(expression, jaw, jaw, jaw), np.array([5, 0, 33, 5])
    few = FlameLayer(head, ids, torch.float64)(expression, jaw, jaw, jaw)
    assert (whole[:, ids] - few).abs().max() < 1e-12
    with torch.no_grad():
        assert (layer(expression, jaw, jaw, jaw) - whole).abs().max() < 1e-12
        assert (layer(expression, jaw) - layer(expression, jaw, 0 * jaw)).abs().max() < 1e-6


def test_gradients_are_right_also_at_rest(head):
    layer = FlameLayer(head, np.arange(4), torch.float64)
    still = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    expression = torch.zeros(1, head.channels, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda e, j: layer(e, j), (expression, still), eps=1e-6, atol=1e-6
    )


def test_rotation_matrices_are_rotations_for_tiny_and_large_angles():
    angles = [[0.0, 0, 0], [1e-9, 0, 0], [9.9e-5, 0, 0], [1.01e-4, 0, 0], [0, 3.1, 0]]
    vectors = torch.tensor(angles, dtype=torch.float64)
    matrices = rotation_matrix(vectors)
    expected = torch.linalg.matrix_exp(torch.stack([_cross(v) for v in vectors]))
    assert (matrices - expected).abs().max() < 1e-12


def _cross(v):
    x, y, z = v.tolist()
    return torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)


def test_the_same_model_as_pickle_and_as_npz_is_the_same_head(tmp_path, data, head):
    path = tmp_path / "flame.pkl"
    path.write_bytes(pickle.dumps(data, protocol=2))
    again = load_head(path)
    assert again.expression_names == head.expression_names and again.channels == 12
    for name in (
        "v_template",
        "shapedirs",
        "posedirs",
        "J_regressor",
        "weights",
        "f",
        "kintree_table",
    ):
        assert np.array_equal(getattr(again, name), getattr(head, name)), name


@pytest.mark.parametrize("unit", [100, 1000])
def test_a_file_in_centimetres_or_millimetres_becomes_metres(tmp_path, data, head, unit):
    scaled = data | {name: unit * data[name] for name in ("v_template", "shapedirs", "posedirs")}
    np.savez(tmp_path / "flame.npz", **scaled)
    again = load_head(tmp_path / "flame.npz")
    for name in ("v_template", "shapedirs", "posedirs", "identity"):
        assert np.allclose(getattr(again, name), getattr(head, name), rtol=1e-5, atol=1e-8), name


def test_joint_names_of_flames_are_welcome_and_identity_is_kept(tmp_path, data, head):
    np.savez(
        tmp_path / "flame.npz",
        **data,
        joint_names=np.array(["global", "neck", "jaw", "left_eyeball", "right_eyeball"]),
    )
    again = load_head(tmp_path / "flame.npz")
    assert (
        np.array_equal(again.identity, data["shapedirs"][:, :, :300].astype(np.float32))
        and again.identity.shape[2] == 300
    )
    assert np.array_equal(again.shapedirs, head.shapedirs)


def test_measuring_a_mouth_nobody_has_marked_is_refused(head):
    motion = SimpleNamespace(expression=np.zeros((1, head.channels)), jaw=np.zeros((1, 3)))
    for measure in (opening_mm, width_mm):
        with pytest.raises(BadHead, match="bundled head"):
            measure(motion, head)
