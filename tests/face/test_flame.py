# SPDX-License-Identifier: GPL-3.0-or-later
"""Our skinning is FLAME's: checked against smplx on random models, in double precision."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from thunder_core.errors import BadHead
from thunder_core.face.flame import FlameLayer, opening_mm, rotation_matrix, width_mm
from thunder_core.face.head import load_head

BATCH = 4


@pytest.fixture(scope="module", params=[0, 1])
def model(request, tmp_path_factory, flame_file):
    data = flame_file(request.param)
    path = tmp_path_factory.mktemp("flame") / "flame.npz"
    np.savez(path, **data)
    return data, load_head(path)


def smplx_vertices(data, expression, jaw, head, eyes):
    """What smplx makes of the same model and pose, [B, V, 3]."""
    from smplx.lbs import lbs

    def tensor(value):
        return torch.as_tensor(np.asarray(value, dtype=np.float64))

    # arrays go through float32 in Head; compare on the same numbers
    data = {k: np.asarray(v, np.float32) if np.asarray(v).dtype.kind == "f" else v for k, v in data.items()}
    zero = torch.zeros_like(jaw)
    pose = torch.cat([zero, head, jaw, eyes[:, 0], eyes[:, 1]], 1)  # FLAME's order: global, neck, jaw, eyes
    parents = torch.tensor([-1, 0, 1, 1, 1])
    posedirs = tensor(data["posedirs"]).reshape(-1, 36).T
    template = tensor(data["v_template"])[None].expand(len(jaw), -1, -1)
    directions = tensor(data["shapedirs"])[:, :, 300:]
    regressor, weights = tensor(data["J_regressor"]), tensor(data["weights"])
    vertices, _ = lbs(expression, pose, template, directions, posedirs, regressor, parents, weights)
    return vertices


def random_pose(channels, scale=0.6, seed=3):
    torch.manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, dtype=torch.float64)  # noqa: E731
    return draw(BATCH, channels), scale * draw(BATCH, 3), scale * draw(BATCH, 3), scale * draw(BATCH, 2, 3)


def test_agrees_with_smplx_to_a_micrometre(model):
    data, head = model
    expression, jaw, neck, eyes = random_pose(head.channels)
    ours = FlameLayer(head, dtype=torch.float64)(expression, jaw, neck, eyes)
    theirs = smplx_vertices(data, expression, jaw, neck, eyes)
    assert (ours - theirs).abs().max() < 1e-6


def test_absent_head_and_eyes_mean_no_rotation(model):
    _, head = model
    expression, jaw, _, _ = random_pose(head.channels)
    layer = FlameLayer(head, dtype=torch.float64)
    still = torch.zeros(BATCH, 3, dtype=torch.float64)
    assert (layer(expression, jaw) - layer(expression, jaw, still, still)).abs().max() < 1e-8


def test_the_short_way_for_a_jaw_alone_is_exact(flame_file, tmp_path):
    data = flame_file(5)
    data["posedirs"] *= 0
    np.savez(tmp_path / "flame.npz", **data)
    head = load_head(tmp_path / "flame.npz")
    expression, jaw, _, _ = random_pose(head.channels)
    still = torch.zeros(BATCH, 2, 3, dtype=torch.float64)
    ours = FlameLayer(head, dtype=torch.float64)(expression, jaw)
    assert (ours - smplx_vertices(data, expression, jaw, still[:, 0], still)).abs().max() < 1e-6


def test_one_eye_rotation_turns_both_eyes(model):
    _, head = model
    expression, jaw, neck, eyes = random_pose(head.channels)
    layer = FlameLayer(head, dtype=torch.float64)
    both = eyes[:, :1].expand(-1, 2, -1)
    assert torch.equal(layer(expression, jaw, neck, eyes[:, 0]), layer(expression, jaw, neck, both))


def test_asking_for_few_vertices_gives_the_same_positions(model):
    _, head = model
    expression, jaw, neck, eyes = random_pose(head.channels)
    ids = np.array([5, 0, 33, 5])
    whole = FlameLayer(head, dtype=torch.float64)(expression, jaw, neck, eyes)
    few = FlameLayer(head, ids, torch.float64)(expression, jaw, neck, eyes)
    assert (whole[:, ids] - few).abs().max() < 1e-12


def test_gradients_are_right_also_at_rest(model):
    _, head = model
    layer = FlameLayer(head, np.arange(4), torch.float64)
    still = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    expression = torch.zeros(1, head.channels, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda e, j: layer(e, j), (expression, still), eps=1e-6, atol=1e-6)


def test_rotation_matrices_are_rotations_for_tiny_and_large_angles():
    angles = [[0.0, 0, 0], [1e-9, 0, 0], [9.9e-5, 0, 0], [1.01e-4, 0, 0], [0, 3.1, 0]]
    vectors = torch.tensor(angles, dtype=torch.float64)
    matrices = rotation_matrix(vectors)
    expected = torch.linalg.matrix_exp(torch.stack([_cross(v) for v in vectors]))
    assert (matrices - expected).abs().max() < 1e-12


def _cross(v):
    x, y, z = v.tolist()
    return torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)


def test_the_same_model_as_pickle_and_as_npz_is_the_same_head(tmp_path, model):
    data, head = model
    path = tmp_path / "flame.pkl"
    path.write_bytes(pickle.dumps(data, protocol=2))
    again = load_head(path)
    assert again.expression_names == head.expression_names and again.channels == 12
    for name in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "f", "kintree_table"):
        assert np.array_equal(getattr(again, name), getattr(head, name)), name


def test_measuring_a_mouth_nobody_has_marked_is_refused(model):
    _, head = model
    motion = SimpleNamespace(expression=np.zeros((1, head.channels)), jaw=np.zeros((1, 3)))
    for measure in (opening_mm, width_mm):
        with pytest.raises(BadHead, match="bundled head"):
            measure(head, motion)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"weights": None}, "lacks weights"),
        ({"weights": np.ones((60, 24))}, "weights .* has shape"),
        ({"weights": np.full((60, 5), 0.5)}, "do not sum to 1"),
        ({"shapedirs": np.zeros((60, 3, 100))}, "no expression directions"),
        ({"shapedirs": np.zeros((61, 3, 310))}, "shapedirs .* has shape"),
        ({"posedirs": np.zeros((60, 3, 207))}, "posedirs .* has shape"),
        ({"v_template": np.full((60, 3), np.nan)}, "NaN"),
        ({"v_template": np.array(["nose"])}, "not an array of numbers"),
        ({"f": np.array([[0, 1, 60]])}, "do not exist"),
        ({"f": np.zeros((0, 3), int)}, "no mesh"),
        ({"kintree_table": np.array([[-1, 0, 0, 0, 0], range(5)])}, "joints"),
    ],
)
def test_a_wrong_flame_file_is_refused_with_a_sentence(tmp_path, flame_file, change, says):
    data = {k: v for k, v in (flame_file() | change).items() if v is not None}
    path = tmp_path / "flame.npz"
    np.savez(path, **data)
    with pytest.raises(BadHead, match=says):
        load_head(path)
