# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames and seconds, and motion at 25 fps on scene frames: what must hold for any rate, tried on
many."""

import numpy as np
from hypothesis import given, HealthCheck, settings, strategies as st

from thunder_core.animation import timing

many = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=60,
    suppress_health_check=list(HealthCheck),
)
# fps, fps_base
RATES = st.tuples(
    st.sampled_from((12, 24, 25, 30, 48, 60, 120)), st.sampled_from((1.0, 1.001, 0.5, 1.25))
)


def clock(rate, start):
    return timing.Clock(start, rate[0] / rate[1])


@many
@given(rate=RATES, start=st.floats(-1000, 100_000), frame=st.floats(-1e5, 1e6))
def test_a_frame_comes_back_from_its_second(rate, start, frame):
    one = clock(rate, start)
    assert abs(one.frame(one.seconds(frame)) - frame) < 1e-6
    assert one.seconds(one.start) == 0.0 and abs(one.seconds(one.start + one.fps) - 1.0) < 1e-6


@many
@given(rate=RATES, start=st.floats(-100, 1000), count=st.integers(1, 400))
def test_the_scene_frames_of_a_motion_hold_all_of_it_and_no_more(rate, start, count):
    one = clock(rate, start)
    frames = one.scene_frames(count)
    assert (np.diff(frames) == 1).all() and frames.dtype.kind == "i"
    end = one.frame((count - 1) / timing.FPS)
    assert (
        start - 1 < frames[0] <= start + 1e-5
        and end - 1e-5 <= frames[-1] < max(end, frames[0]) + 1 + 1e-5
    )


@many
@given(
    rate=RATES, start=st.floats(-50, 50), seed=st.integers(0, 2**32 - 1), count=st.integers(1, 80)
)
def test_resampled_curves_never_leave_what_they_lie_between(rate, start, seed, count):
    values = np.random.default_rng(seed).normal(size=(count, 3))
    one = clock(rate, start)
    frames = one.scene_frames(count)
    made = timing.at_scene_frames(one, values, frames)
    place = np.clip(one.seconds(frames) * timing.FPS, 0, count - 1)
    low, high = values[np.floor(place).astype(int)], values[np.ceil(place).astype(int)]
    assert (made >= np.minimum(low, high) - 1e-9).all() and (
        made <= np.maximum(low, high) + 1e-9
    ).all()
    # in pieces as in one go
    cut = len(frames) // 2
    if cut:
        pieces = [
            timing.at_scene_frames(one, values, part) for part in (frames[:cut], frames[cut:])
        ]
        assert np.abs(np.concatenate(pieces) - made).max() < 1e-9


@many
@given(
    start=st.integers(-50, 50),
    multiple=st.sampled_from((1, 2, 4)),
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(2, 60),
)
def test_curves_come_back_from_a_scene_whose_rate_is_a_multiple_of_theirs(
    start, multiple, seed, count
):
    values = np.random.default_rng(seed).normal(size=(count, 2))
    one = timing.Clock(float(start), multiple * timing.FPS)
    frames = one.scene_frames(count)
    made = timing.at_scene_frames(one, values, frames)
    assert np.abs(made[::multiple][:count] - values).max() < 1e-9
    assert len(frames) == multiple * (count - 1) + 1


@many
@given(rate=RATES, start=st.floats(-100, 1000), count=st.integers(1, 400))
def test_a_take_begins_its_lead_in_before_the_sound_and_ends_its_lead_out_after_it(
    rate, start, count
):
    one = clock(rate, start)
    sound, frames = one.scene_frames(count), one.take_frames(count)
    assert (np.diff(frames) == 1).all() and frames.dtype.kind == "i"
    for lead, count in (
        (timing.LEAD_IN, sound[0] - frames[0]),
        (timing.LEAD_OUT, frames[-1] - sound[-1]),
    ):
        assert count - 1 < lead * one.fps <= count


def test_a_frame_is_moved_onto_a_closure_within_half_a_frame_of_it_and_no_further():
    opening = np.array([5.0, 5.0, 0.0, 5.0, 5.0])
    for position, moved in (([0.6, 1.6], [0.6, 2.0]), ([0.4, 1.4], [0.4, 1.4])):
        assert timing.snap_to_closures(np.array(position), opening, 1.0).tolist() == moved
