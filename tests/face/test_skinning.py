# SPDX-License-Identifier: GPL-3.0-or-later
"""Our skinning in numpy, the lips and the millimetres measured with it, are FLAME's: checked against
smplx in double precision."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_flame import smplx_vertices

from thunder_core.face.displacement import (
    EYE_LEVER_MM,
    face_meter,
    group_distances,
    NECK_LEVER_MM,
    positions,
)
from thunder_core.face.head import load_head, SkinnedPoints
from thunder_core.face.lips import bundled_lips, opening_mm
from thunder_core.networks.flame import FlameLayer
from thunder_core.rotation import rotvec_to_matrix
from thunder_core.types import Motion

FRAMES = 30


def performance(head, largest):
    rng = np.random.default_rng(4)
    jaw = np.stack(
        [rng.uniform(-0.02, 0.35, FRAMES), rng.uniform(-0.1, 0.1, FRAMES), np.zeros(FRAMES)], 1
    )
    return Motion(rng.uniform(0, largest, (FRAMES, head.channels)), jaw)


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
    assert np.array_equal(points.part(slice(2, 5)).of_motion(motion), placed[:, 2:5])


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
    plain = replace(head, corrective_pairs=(), correctives=np.zeros((0, 3, 0), np.float32))
    without = SkinnedPoints.of(plain, lambda values: values[ids]).of_motion(motion)
    assert np.abs(placed - without).max() > 1e-3, "none of them came in"
    assert face_meter().skinned.pair_shapes is not None


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


def motion(seed=0, frames=60):
    rng = np.random.default_rng(seed)
    jaw = rng.normal(0, 0.02, (frames, 3))
    jaw[:, 0] = rng.uniform(0, 0.3, frames)
    return Motion(
        rng.uniform(0, 0.3, (frames, load_head().channels)),
        jaw,
        np.zeros((frames, 3)),
        np.zeros((frames, 3)),
    )


def distances(first, second):
    """Of two motions, at the lips, elsewhere on the face, of the head and of the eyes, [T] mm
    each."""
    return group_distances(positions(first) - positions(second)).T


def test_the_gap_is_the_opening():
    measure = face_meter()
    gap = measure.gap(measure.points(motion()))
    assert np.maximum(gap, 0) == pytest.approx(opening_mm(motion(), load_head()), abs=1e-3)
    assert gap.max() > 5


def test_rest_is_a_closed_mouth():
    still = Motion(np.zeros((1, load_head().channels)), np.zeros((1, 3)))
    assert face_meter().gap(face_meter().points(still)) == pytest.approx([0.0])


@pytest.mark.parametrize("channel, place", [("mouthPucker", 0), ("browInnerUp", 1)])
def test_a_channel_is_felt_where_it_moves_the_face(channel, place):
    head, still = load_head(), motion()
    expression = still.expression.copy()
    expression[7, head.channel(channel)] += 0.1
    off = distances(Motion(expression, still.jaw), still)
    most = 0.1e3 * np.linalg.norm(head.shapedirs[:, :, head.channel(channel)], axis=1).max()
    assert off[place][7] == pytest.approx(most, rel=0.25)
    # nothing on the other frames
    assert sum(map(sum, off)) == pytest.approx(sum(part[7] for part in off))


def test_turns_are_measured_at_their_levers():
    still = motion()
    turned = Motion(
        still.expression, still.jaw, still.head + [0.01, 0, 0], still.eyes + [0, 0.02, 0]
    )
    lips, face, head, eyes = distances(turned, still)
    assert not lips.any() and not face.any()
    assert head == pytest.approx(np.full(60, 0.01 * NECK_LEVER_MM)) and eyes == pytest.approx(
        np.full(60, 0.02 * EYE_LEVER_MM)
    )
