# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper's measures on cases whose answer is known without them."""

import itertools

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


def test_pearson_forgives_size_and_place_and_concordance_does_not():
    true = wave()
    assert metrics.lip_pearson(true, true) == pytest.approx(1)
    assert metrics.lip_concordance(true, true) == pytest.approx(1)
    halved, moved = 0.5 * true, true + 0.01
    assert metrics.lip_pearson(halved, true) == pytest.approx(1)
    assert metrics.lip_concordance(halved, true) == pytest.approx(2 * 0.5 / (1 + 0.25))
    one = wave()[:, :1, :1]
    v = one.var()
    assert metrics.lip_pearson(moved, true) == pytest.approx(1)
    assert metrics.lip_concordance(one + 0.01, one) == pytest.approx(2 * v / (2 * v + 1e-4))


def test_a_quarter_period_late_is_uncorrelated_and_half_a_period_the_opposite():
    assert metrics.lip_pearson(wave(np.pi / 2), wave()) == pytest.approx(0, abs=1e-9)
    assert metrics.lip_pearson(wave(np.pi), wave()) == pytest.approx(-1)


def test_a_still_face_correlates_with_nothing():
    still = np.zeros((T, N, 3))
    assert metrics.lip_pearson(still, wave()) == 0
    assert metrics.lip_concordance(still, wave()) == pytest.approx(0, abs=1e-9)
    assert np.isnan(metrics.lip_pearson(wave(), still))


def test_coordinates_that_never_move_in_the_truth_have_no_say():
    true, predicted = wave(), wave()
    true[:, 2] = 0.5
    predicted[:, 2] = np.random.default_rng(0).normal(size=(T, 3))
    assert metrics.lip_pearson(predicted, true) == pytest.approx(1)


def least_by_trying(p, t):
    """DTW by listing every monotone path: only for very short curves."""
    best = np.inf
    steps = ((1, 0), (0, 1), (1, 1))
    for length in range(max(len(p), len(t)) - 1, len(p) + len(t) - 1):
        for path in itertools.product(steps, repeat=length):
            i = j = 0
            cost = abs(p[0] - t[0])
            for a, b in path:
                i, j = i + a, j + b
                if i >= len(p) or j >= len(t):
                    break
                cost += abs(p[i] - t[j])
            else:
                if (i, j) == (len(p) - 1, len(t) - 1):
                    best = min(best, cost)
    return best / len(t)


@pytest.mark.parametrize("lengths", [(1, 1), (1, 4), (4, 1), (4, 5), (5, 4), (5, 5)])
def test_warp_cost_is_the_least_over_all_paths(lengths):
    rng = np.random.default_rng(sum(lengths))
    for _ in range(5):
        p, t = (rng.normal(size=n) for n in lengths)
        assert metrics.warp_cost(p, t) == pytest.approx(least_by_trying(p, t))


def test_warp_cost_forgives_being_late_but_not_being_small():
    t = np.arange(200)
    bump = np.exp(-(((t - 100) / 8) ** 2))
    late = np.exp(-(((t - 110) / 8) ** 2))
    assert metrics.warp_cost(late, bump) < 0.002
    assert metrics.warp_cost(0.3 * bump, bump) > 0.03
    assert metrics.lip_warp(0.01 * late, 0.01 * bump) == pytest.approx(metrics.warp_cost(late, bump))


def test_dynamics_deviation_compares_spreads_alone():
    rest = np.zeros((1, 3))
    up = np.zeros((2, 1, 3))
    up[1, 0, 1] = 0.02  # distances 0 and 2 cm: deviation 1 cm
    higher = np.zeros((4, 1, 3))
    higher[1::2, 0, 1] = 0.06  # deviation 3 cm, another length
    assert metrics.dynamics_deviation(higher, up, rest) == pytest.approx(2)
    assert metrics.dynamics_deviation(up[::-1], up, rest) == 0


def test_diversities_are_deviations_over_samples_and_over_time():
    true = np.zeros((2, 1, 3))
    samples = np.zeros((2, 2, 1, 3))
    samples[:, :, 0, 0] = [[0.01, 0.01], [0.03, 0.03]]  # samples differ by 2 cm, time changes nothing
    d = metrics.distances(samples, true)
    assert d.shape == (2, 2, 1)
    assert metrics.sample_diversity([d, d]) == pytest.approx(1)
    assert metrics.time_diversity([d]) == pytest.approx(0)
    swapped = metrics.distances(samples.transpose(1, 0, 2, 3), true)
    assert metrics.sample_diversity([swapped]) == pytest.approx(0)
    assert metrics.time_diversity([swapped]) == pytest.approx(1)


def turned(strokes, frames=125, degrees=6.0):
    """A head [T, 3] that nods down and up again in turn, fastest at given times."""
    at, pose = np.arange(frames)[:, None], np.zeros((frames, 3))
    signs = (-1.0) ** np.arange(len(strokes))
    pose[:, 0] = np.radians(degrees) * (signs / (1 + np.exp(-(at - np.asarray(strokes)) / 1.2))).sum(1)
    return pose


def irregular(rng, count=11, frames=125):
    """Times between which there are 7 … 14 frames."""
    return np.cumsum(rng.uniform(7, 14, count))[:count].clip(0, frames - 4)


def test_beats_are_where_a_head_moves_fastest_and_a_tracker_trembles_without_any():
    strokes = np.array([12.5, 24.5, 41.5, 60.5])
    assert metrics.kinematic_beats(turned(strokes)) == pytest.approx(strokes)
    trembling = np.radians(0.05) * np.random.default_rng(0).standard_normal((125, 3))
    assert not len(metrics.kinematic_beats(trembling)) and not len(metrics.kinematic_beats(np.zeros((2, 3))))


def test_beats_on_the_onsets_align_more_than_by_chance_and_beats_between_them_less():
    onsets = irregular(np.random.default_rng(1))
    assert metrics.beat_alignment(turned(onsets), onsets) > 0.35
    assert metrics.beat_alignment(turned(onsets + 4.5)[:125], onsets) < -0.1
    assert metrics.beat_alignment(np.zeros((100, 3)), np.array([3.0])) == 0
    assert metrics.beat_alignment(turned(onsets), np.array([])) == 0
    assert metrics.beat_alignment(turned(onsets)[:20], onsets[:2]) == 0  # too short to move the onsets


def test_beats_of_another_sound_align_by_chance_however_dense_its_onsets_are():
    for count in (11, 40):
        draws = [np.random.default_rng([2, i]) for i in range(60)]
        made = [metrics.beat_alignment(turned(irregular(rng)), rng.uniform(0, 125, count)) for rng in draws]
        assert abs(np.mean(made)) < 3 * np.std(made) / np.sqrt(len(made))


def test_angular_speed_is_of_the_rotation_not_of_its_coordinates():
    quarter = np.array([[0, 0, 0], [np.pi / 2, 0, 0]])
    assert metrics.angular_speed(quarter, 25)[0] == pytest.approx(25 * np.pi / 2)
    around = np.array([[np.pi - 0.01, 0, 0], [-np.pi + 0.01, 0, 0]])  # nearly the same pose, opposite vectors
    assert metrics.angular_speed(around, 1)[0] == pytest.approx(0.02)


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
        fade = np.minimum(1, np.arange(3200)[::-1] / 800)  # voices stop less abruptly than they start
        x[a : a + 3200] += 0.3 * fade * np.sin(np.arange(3200) * 0.3)
    onsets = metrics.sound_onsets(x)
    assert len(onsets) == 3
    assert np.abs(onsets / 25 - [0.4, 1.0, 1.5]).max() < 0.03


def test_what_cannot_be_compared_is_said():
    with pytest.raises(ValueError, match="one shape"):
        metrics.lip_vertex_error(np.zeros((3, 2, 3)), np.zeros((4, 2, 3)))
    with pytest.raises(ValueError, match="NaN"):
        metrics.lip_pearson(np.full((3, 2, 3), np.nan), np.zeros((3, 2, 3)))
    with pytest.raises(ValueError, match="NaN"):
        metrics.warp_cost([np.nan], [1.0])
    with pytest.raises(ValueError, match="two samples"):
        metrics.pose_diversity(np.zeros((1, 5, 3)))
