# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's measures on cases whose answer is known without them."""

import numpy as np
import pytest

from research.measures import metrics

T, N = 60, 5


def wave(phase=0.0, size=0.01):
    """[T, N, 3] metres: every coordinate a sine of its own size."""
    t = np.arange(T)[:, None, None] * 2 * np.pi / 20 + phase
    return size * np.sin(t) * (1 + np.arange(N * 3).reshape(N, 3) / 10)


def test_lip_vertex_error_is_the_worst_vertex_of_each_frame_in_centimetres():
    true = np.zeros((4, 3, 3))
    predicted = true.copy()
    predicted[:, 0, 0] = 0.01  # every frame: 1 cm at one vertex …
    predicted[2, 1] = (0.03, 0, 0.04)  # … and once 5 cm at another
    assert metrics.lip_vertex_error(predicted, true) == pytest.approx((1 + 1 + 5 + 1) / 4)


@pytest.mark.parametrize("size, moved", [(1, 0), (0.5, 0), (1, 0.01)])
def test_pearson_forgives_size_and_place_and_concordance_does_not(size, moved):
    true = wave()[:, :1, :1]
    one, spread = size * true + moved, true.var()
    assert metrics.lip_pearson(one, true) == pytest.approx(1)
    assert metrics.lip_concordance(one, true) == pytest.approx(
        2 * size * spread / ((1 + size**2) * spread + moved**2), rel=1e-3
    )


def test_dynamics_deviation_compares_spreads_alone():
    rest = np.zeros((1, 3))
    up = np.zeros((2, 1, 3))
    up[1, 0, 1] = 0.02  # distances 0 and 2 cm: deviation 1 cm
    higher = np.zeros((4, 1, 3))
    higher[1::2, 0, 1] = 0.06  # deviation 3 cm, another length
    assert metrics.dynamics_deviation(higher, up, rest) == pytest.approx(2)
    assert metrics.dynamics_deviation(up[::-1], up, rest) == 0


def test_diversities_are_deviations_over_samples_and_over_time():
    true, samples = np.zeros((2, 1, 3)), np.zeros((2, 2, 1, 3))
    # samples differ by 2 cm, time changes nothing
    samples[:, :, 0, 0] = [[0.01, 0.01], [0.03, 0.03]]
    for swapped in (False, True):
        d = metrics.distances(samples.transpose(1, 0, 2, 3) if swapped else samples, true)
        assert metrics.sample_diversity([d, d]) == pytest.approx(0 if swapped else 1)
        assert metrics.time_diversity([d]) == pytest.approx(1 if swapped else 0)


def turned(strokes, frames=125, degrees=6.0):
    """A head [T, 3] that nods down and up again in turn, fastest at given times."""
    at, pose = np.arange(frames)[:, None], np.zeros((frames, 3))
    signs = (-1.0) ** np.arange(len(strokes))
    pose[:, 0] = np.radians(degrees) * (
        signs / (1 + np.exp(-(at - np.asarray(strokes)) / 1.2))
    ).sum(1)
    return pose


def test_beats_are_where_a_head_moves_fastest_and_a_tracker_trembles_without_any():
    strokes = np.array([12.5, 24.5, 41.5, 60.5])
    assert metrics.kinematic_beats(turned(strokes)) == pytest.approx(strokes)
    trembling = np.radians(0.05) * np.random.default_rng(0).standard_normal((125, 3))
    assert not len(metrics.kinematic_beats(trembling)) and not len(
        metrics.kinematic_beats(np.zeros((2, 3)))
    )


def test_pose_diversity_is_the_mean_distance_of_pairs_in_degrees():
    poses = np.zeros((3, 10, 3))
    poses[1, :, 0] = np.radians(3)
    poses[1, :, 1] = np.radians(4)
    assert metrics.pose_diversity(poses) == pytest.approx((5 + 0 + 5) / 3)


def test_onsets_are_where_the_sound_sets_in():
    rng = np.random.default_rng(0)
    x = 0.001 * rng.standard_normal(32000)
    for start in (0.4, 1.0, 1.5):
        a = int(start * 16000)
        # voices stop less abruptly than they start
        fade = np.minimum(1, np.arange(3200)[::-1] / 800)
        x[a : a + 3200] += 0.3 * fade * np.sin(np.arange(3200) * 0.3)
    onsets = metrics.sound_onsets(x)
    assert len(onsets) == 3
    assert np.abs(onsets / 25 - [0.4, 1.0, 1.5]).max() < 0.03


@pytest.mark.parametrize(
    "measure, given, said",
    [
        (metrics.lip_vertex_error, [np.zeros((3, 2, 3)), np.zeros((4, 2, 3))], "one shape"),
        (metrics.lip_pearson, [np.full((3, 2, 3), np.nan), np.zeros((3, 2, 3))], "NaN"),
        (metrics.warp_cost, [[np.nan], [1.0]], "NaN"),
        (metrics.pose_diversity, [np.zeros((1, 5, 3))], "two samples"),
    ],
)
def test_what_cannot_be_compared_is_said(measure, given, said):
    with pytest.raises(ValueError, match=said):
        measure(*given)
