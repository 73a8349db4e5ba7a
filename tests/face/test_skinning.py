# SPDX-License-Identifier: GPL-3.0-or-later
"""Our skinning, of networks and in numpy, and the lips and millimetres measured with it, are FLAME's:
checked against smplx in double precision."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_flame import flame, smplx_vertices
from scipy.spatial.transform import Rotation

from research.train.flame import BLOCK, FlameLayer, rotation_matrix
from thunder_core import rotation
from thunder_core.errors import BadHead
from thunder_core.face.head import load_head
from thunder_core.face.moving.displacement import (
    EYE_LEVER_MM,
    face_meter,
    group_distances,
    NECK_LEVER_MM,
    positions,
)
from thunder_core.face.moving.lips import bundled_lips, opening_mm, width_mm
from thunder_core.face.points import SkinnedPoints
from thunder_core.rotation import rotvec_to_matrix
from thunder_core.types import Motion

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
    expression, jaw, _, _ = random_pose(head.channels)
    ours = FlameLayer(head, dtype=torch.float64)(expression, jaw).numpy()
    assert np.abs(ours - smplx_vertices(head, expression, jaw)).max() < 1e-6


def test_the_formula_that_rigs_in_blender_are_held_against_is_that_of_smplx(data, head):
    asset = data | {"shapedirs": head.shapedirs, "kintree_table": head.parents[None]}
    expression, jaw, neck, eyes = (each.numpy() for each in random_pose(head.channels))
    eyes[:, 1] = eyes[:, 0]
    wanted = smplx_vertices(head, expression, jaw, neck, eyes)
    for frame, turns in enumerate(zip(expression, jaw, neck, eyes[:, 0])):
        assert np.abs(flame(asset, *turns, rotation) - wanted[frame]).max() < 1e-6


def test_few_vertices_and_long_motions_in_blocks_have_the_same_positions(head):
    layer = FlameLayer(head, dtype=torch.float64)
    torch.manual_seed(1)
    frames = BLOCK // len(head.v_template) + 3
    expression = torch.randn(frames, head.channels).double()
    jaw = 0.3 * torch.randn(frames, 3).double()
    whole, ids = layer(expression, jaw), np.array([5, 0, 33, 5])
    few = FlameLayer(head, ids, torch.float64)(expression, jaw)
    assert (whole[:, ids] - few).abs().max() < 1e-12
    with torch.no_grad():
        assert (layer(expression, jaw) - whole).abs().max() < 1e-12


def test_gradients_are_right_also_at_rest(head):
    layer = FlameLayer(head, np.arange(4), torch.float64)
    still = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    expression = torch.zeros(1, head.channels, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda e, j: layer(e, j), (expression, still), eps=1e-6, atol=1e-6
    )


def test_rotation_matrices_are_rotations_for_tiny_and_large_angles():
    angles = [[0.0, 0, 0], [1e-9, 0, 0], [9.9e-5, 0, 0], [1.01e-4, 0, 0], [0, 3.1, 0]]
    expected = Rotation.from_rotvec(angles).as_matrix()
    assert (
        np.abs(rotation_matrix(torch.tensor(angles, dtype=torch.float64)).numpy() - expected).max()
        < 1e-12
    )


def test_identity_is_kept(data, head):
    assert np.array_equal(head.identity, data["shapedirs"][:, :, :300].astype(np.float32))
    assert np.array_equal(head.shapedirs, data["shapedirs"][:, :, 300:].astype(np.float32))


@pytest.mark.parametrize("measure", (opening_mm, width_mm))
def test_measuring_a_mouth_nobody_has_marked_is_refused(head, measure):
    motion = SimpleNamespace(expression=np.zeros((1, head.channels)), jaw=np.zeros((1, 3)))
    with pytest.raises(BadHead, match="bundled head"):
        measure(motion, head)


FRAMES = 60


def performance(head, largest=0.3):
    rng = np.random.default_rng(4)
    jaw = np.stack(
        [rng.uniform(-0.02, 0.35, FRAMES), rng.uniform(-0.1, 0.1, FRAMES), np.zeros(FRAMES)], 1
    )
    still = np.zeros((FRAMES, 3))
    return Motion(rng.uniform(0, largest, (FRAMES, head.channels)), jaw, still, still)


@pytest.fixture(scope="module", params=["bundled", "random"])
def case(request, tmp_path_factory, flame_file):
    """(head, motion, smplx's vertices) of the bundled head, and of a FLAME file with random numbers
    in every part."""
    if request.param == "bundled":
        # which smplx does not know
        head = replace(
            load_head(), corrective_pairs=(), correctives=np.zeros((0, 3, 0), np.float32)
        )
    else:
        path = tmp_path_factory.mktemp("flame") / "flame.npz"
        np.savez(path, **flame_file(0))
        head = load_head(path)
    motion = performance(head, 0.8)
    return head, motion, smplx_vertices(head, motion.expression, motion.jaw)


def test_points_are_where_smplx_has_them(case):
    head, motion, vertices = case
    ids = np.arange(0, len(head.v_template), 7)
    points = SkinnedPoints.of(head, lambda values: values[ids])
    placed = points.of_motion(motion)
    # weights in single precision do not add up to 1 exactly
    assert np.abs(placed - vertices[:, ids]).max() < 1e-6
    turn = rotvec_to_matrix(motion.jaw)
    assert np.abs(points.heights(motion.expression, turn) - vertices[:, ids, 1]).max() < 1e-6
    some = points.part(slice(2, 5)).of_motion(motion)
    assert np.abs(some - placed[:, 2:5]).max() < 1e-12


def test_shapes_of_two_keys_come_in_as_the_engines_layer_has_them():
    head = load_head()
    motion = performance(head, 1.3)
    # also below 0 and beyond 1, where a key counts as 0 and 1
    motion = Motion(motion.expression - 0.2, motion.jaw)
    ids = np.flatnonzero(np.abs(head.correctives).max(axis=(1, 2)) > 1e-3)[::5]
    placed = SkinnedPoints.of(head, lambda values: values[ids]).of_motion(motion)
    layer = FlameLayer(head, dtype=torch.float64)
    expected = layer(
        torch.tensor(motion.expression, dtype=torch.float64),
        torch.tensor(motion.jaw, dtype=torch.float64),
    ).numpy()
    assert np.abs(placed - expected[:, ids]).max() < 1e-6
    assert face_meter().skinned.pair_shapes is not None
    head = load_head()
    still = Motion(np.zeros((head.channels, head.channels)), np.zeros((head.channels, 3)))
    each = Motion(np.eye(head.channels), still.jaw)
    far = np.linalg.norm(positions(each) - positions(still), axis=-1).max(1)
    most = 1e3 * np.linalg.norm(head.shapedirs, axis=1).max(0)
    assert (far > 0.9 * most).all(), "each channel is measured where it moves most"


def test_slopes_are_differences_of_positions(case):
    head, motion, _ = case
    points, turn = SkinnedPoints.of(head, lambda values: values[:40]), rotvec_to_matrix(motion.jaw)
    for channel in range(0, head.channels, 9):
        further = motion.expression + np.eye(head.channels)[channel]
        # linear in the channels: exact
        moved = points.place(further, turn) - points.place(motion.expression, turn)
        assert np.abs(points.height_slopes([channel], turn)[0] - moved[..., 1]).max() < 1e-9
        assert np.abs(points.slope(turn[3])[channel] - moved[3]).max() < 1e-9


def test_the_gap_along_the_lips_is_that_of_their_middle_there():
    lips, motion = bundled_lips(), performance(load_head(), 0.5)
    assert lips.middle_gap(motion) == pytest.approx(lips.gap(motion)[:, lips.middle], abs=1e-9)
    shuffled = np.random.default_rng(1).permutation(len(lips.names))
    names = [lips.names[i] for i in shuffled]
    assert lips.gap(Motion(motion.expression[:, shuffled], motion.jaw), names) == pytest.approx(
        lips.gap(motion), abs=1e-9
    )


def distances(first, second):
    """Of two motions, at the lips, elsewhere on the face, of the head and of the eyes, [T] mm
    each."""
    return group_distances(positions(first) - positions(second)).T


def test_the_gap_is_the_opening_and_rest_is_a_closed_mouth():
    measure, motion = face_meter(), performance(load_head())
    gap = measure.gap(measure.points(motion))
    assert np.maximum(gap, 0) == pytest.approx(opening_mm(motion, load_head()), abs=1e-3)
    assert gap.max() > 5
    still = Motion(np.zeros((1, load_head().channels)), np.zeros((1, 3)))
    assert measure.gap(measure.points(still)) == pytest.approx([0.0])


def test_turns_are_measured_at_their_levers():
    still = performance(load_head())
    turned = Motion(
        still.expression, still.jaw, still.head + [0.01, 0, 0], still.eyes + [0, 0.02, 0]
    )
    lips, face, head, eyes = distances(turned, still)
    assert not lips.any() and not face.any()
    assert head == pytest.approx(np.full(FRAMES, 0.01 * NECK_LEVER_MM)) and eyes == pytest.approx(
        np.full(FRAMES, 0.02 * EYE_LEVER_MM)
    )


@pytest.mark.parametrize("channel, place", [("mouthPucker", 0), ("browInnerUp", 1)])
def test_a_channel_is_felt_where_it_moves_the_face(channel, place):
    head, still = load_head(), performance(load_head())
    expression = still.expression.copy()
    expression[7, head.channel(channel)] += 0.1
    off = distances(Motion(expression, still.jaw), still)
    most = 0.1e3 * np.linalg.norm(head.shapedirs[:, :, head.channel(channel)], axis=1).max()
    assert off[place][7] == pytest.approx(most, rel=0.25)
    # nothing on the other frames
    assert sum(map(sum, off)) == pytest.approx(sum(part[7] for part in off))
