# SPDX-License-Identifier: GPL-3.0-or-later
"""A performance is made stronger, weaker, smoother or sadder, and lips that touch go on
touching."""

import time
import timeit

import numpy as np
import pytest
from made_flame import smplx_vertices
from spoken import channels, spoken
from timing import keeps

from thunder_core.face.head import load_head
from thunder_core.face.moving import shaping
from thunder_core.face.moving.lips import bundled_lips
from thunder_core.face.moving.shaping import EMOTIONS, shape_motion, TakeShape

NAMES = channels()
SHAPES = [
    TakeShape(mouth=0.0),
    TakeShape(mouth=2.0),
    TakeShape(jaw=0.0),
    TakeShape(jaw=0.5),
    TakeShape(jaw=2.0),
    TakeShape(mouth=2.0, jaw=2.0),
    TakeShape(mouth=2.0, jaw=0.0),
    TakeShape(mouth=0.0, jaw=2.0),
    TakeShape(mouth=0.3, jaw=1.7),
    TakeShape(smoothing=1),
    TakeShape(smoothing=3),
    TakeShape(smoothing=8),
    TakeShape(mouth=1.6, jaw=1.4, smoothing=4, emotion="DISGUST"),
    *(TakeShape(emotion=name) for name in EMOTIONS),
]


@pytest.fixture(scope="module", params=range(4))
def performance(request):
    return spoken(seed=request.param)


def gap_of(motion):
    """Gap of the inner lips [T, P] in millimetres."""
    return bundled_lips().gap(motion, NAMES)


def test_the_gap_is_that_of_the_vertices():
    head, motion = load_head(), spoken(seed=9)[0]
    ring = head.mouth_vertices[head.mouth_parts == 0].reshape(7, 40)[5]
    height = smplx_vertices(head, motion.expression, motion.jaw)[..., 1]
    apart = 1e3 * (height[:, ring[1:20]] - height[:, ring[39:20:-1]])
    assert np.abs(gap_of(motion) - apart).max() < 1e-3


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_closed_lips_stay_closed_whatever_the_shape(performance, shape):
    motion, closed = performance
    was, now = gap_of(motion), gap_of(shape_motion(motion, NAMES, shape))
    assert was[closed, 9].max() < 0.05 and (was <= 0.3).sum() > 100 and was.max() > 8
    middle = was[:, 9] <= 0.3
    # A sneer lifts the lip beside its middle a little, however shut it is.
    assert now[middle][was[middle] <= 0.3].max() <= 0.35
    assert now[:, 9].min() > min(was[:, 9].min(), 0.0) - 0.3  # nor through each other


def test_a_stronger_mouth_opens_further_and_never_breaks(performance):
    (motion, _), lips = performance, bundled_lips()
    weaker, was, stronger = (
        lips.opening(shape_motion(motion, NAMES, TakeShape(mouth=by, jaw=by)), NAMES)
        for by in (0.5, 1.0, 1.5)
    )
    wide = was > 8
    assert (weaker[wide] < was[wide]).all() and (was[wide] < stronger[wide]).all()
    strong = shape_motion(motion, NAMES, TakeShape(mouth=2.0, jaw=2.0))
    speech = [i for i, n in enumerate(NAMES) if n.startswith("mouth")]
    assert (
        strong.expression[:, speech].max() <= 1.2 + 1e-9 and strong.jaw[:, 0].max() <= 0.40 + 1e-9
    )


def test_a_neutral_shape_is_the_motion_itself_and_smoothing_has_no_jumps_at_closures(performance):
    (motion, _), lips = performance, bundled_lips()
    assert shape_motion(motion, NAMES, TakeShape()) is motion
    assert shape_motion(motion, NAMES, TakeShape(emotion="JOY", strength=0.0)) is motion

    def jerk(m):
        return np.abs(np.diff(m.jaw[:, 0], 3)).mean()

    for radius in (2, 5):
        smooth = shape_motion(motion, NAMES, TakeShape(smoothing=radius))
        assert jerk(smooth) < 0.7 * jerk(motion)
        # The lips close no faster than they did.
        assert (
            np.abs(np.diff(lips.gap(smooth, NAMES)[:, 9])).max()
            < 1.1 * np.abs(np.diff(lips.gap(motion, NAMES)[:, 9])).max()
        )


def test_a_minute_is_shaped_in_little_time():
    motion, _ = spoken(seconds=60, fps=24, closed=np.arange(1, 58, 0.7))
    shape = TakeShape(mouth=1.4, jaw=1.3, smoothing=2, emotion="JOY")
    took = timeit.repeat(
        lambda: shape_motion(motion, NAMES, shape), timer=time.process_time, number=1, repeat=5
    )
    keeps(0.12, min(took), "shaping a minute")


# ---- mixing


def test_each_part_is_its_takes_alone():
    takes = [spoken(seed=seed)[0] for seed in range(2)]
    weights = np.zeros((takes[0].frames, 2, 4))
    weights[:, 0, 0] = weights[:, 1, 1:] = 1.0  # the mouth of one, everything else of the other
    mixed = shaping.mix(takes, NAMES, weights)
    for column, name in enumerate(NAMES):
        wanted = takes[not name.startswith(("mouth", "jaw", "tongue", "cheekPuff"))]
        assert (mixed.expression[:, column] == wanted.expression[:, column]).all(), name
    assert (mixed.jaw == takes[0].jaw).all()


def test_a_cut_is_a_cross_fade_of_its_length_and_of_two_at_one_frame_the_later_counts():
    frames = np.arange(100)
    weights = shaping.take_weights(frames, 0, [(40, 1), (70, 2)], 3, 4)
    assert np.abs(weights.sum(1) - 1).max() < 1e-12
    assert (
        (weights[:38, 0] == 1).all()
        and (weights[42:68, 1] == 1).all()
        and (weights[72:, 2] == 1).all()
    )
    assert weights[40, 0] == pytest.approx(0.5) and 0 < weights[39, 1] < 0.5
    assert (np.diff(weights[:50, 1]) >= 0).all()
    later = shaping.take_weights(frames[:20], 0, [(10, 1), (10, 2)], 3, 0)
    assert (later[10:, 2] == 1).all() and not later[:, 1].any()


@pytest.mark.parametrize("fade", [2, 4, 12])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("cut", [15, 32, 33, 37, 60, 83])
def test_a_cross_fade_keeps_closed_lips_closed(fade, seed, cut):
    """Closed over a jaw that hangs in one take and over a shut one in the other: the mean of the
    two poses would be ajar."""
    takes = [spoken(seed=2 * seed + i)[0] for i in range(2)]
    weights = shaping.take_weights(np.arange(takes[0].frames), 0, [(cut, 1)], 2, fade)
    changed = shaping.mix(takes, NAMES, np.repeat(weights[:, :, None], 4, axis=2))
    gaps, now = np.stack([gap_of(take) for take in takes]), gap_of(changed)
    closed = (gaps <= 0.3).all(0)
    assert now[closed & closed[:, 9:10]].max(initial=0) <= 0.3 + 1e-6
    assert now[:, 9].min() > min(gaps.min(), 0) - 0.3
    first, second = weights.T == 1
    assert (changed.expression[first] == takes[0].expression[first]).all()
    assert (changed.jaw[second] == takes[1].jaw[second]).all()
