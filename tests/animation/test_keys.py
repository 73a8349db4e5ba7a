# SPDX-License-Identifier: GPL-3.0-or-later
"""Reduced curves stay where they should stay, keep what must be kept, and need few keys."""

import numpy as np
import pytest

from thunder_core.animation.keys import Keys, reduce, turning_points

TIMES = np.arange(250) + 17.0


def speech_like(seed: int, frames: int = 250) -> np.ndarray:
    """A curve like a lip channel: bumps of a tenth to a third of a second, never below 0."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames)
    return sum(
        rng.uniform(0.1, 0.8) * np.exp(-0.5 * ((t - c) / rng.uniform(1.5, 4)) ** 2)
        for c in rng.uniform(0, frames, frames // 9)
    )


@pytest.mark.parametrize("seed", range(6))
def test_the_reduced_curve_is_within_the_tolerance_and_a_looser_one_needs_fewer_keys(seed):
    """Of speech, and of noise."""
    curve = speech_like(seed) if seed < 5 else np.random.default_rng(0).standard_normal(250)
    counts = []
    for tolerance in (0.003, 0.01, 0.05):
        keys = reduce(TIMES, curve, tolerance)
        assert np.abs(keys.at(TIMES) - curve).max() <= tolerance
        assert np.array_equal(keys.value, curve[keys.index])
        counts.append(len(keys.index))
    assert counts == sorted(counts, reverse=True) and (seed == 5 or counts[1] < len(TIMES) / 2)


def test_frames_that_must_be_exact_are_keys():
    curve = speech_like(2)
    keys = reduce(TIMES, curve, 0.1, exact=np.array([31, 32, 200]))
    assert {31, 32, 200} <= set(keys.index)


def test_what_does_not_move_gets_one_key():
    keys = reduce(TIMES, np.full(250, 0.3), 0.01)
    assert len(keys.index) == 1 and keys.at(TIMES) == pytest.approx(np.full(250, 0.3))


def test_turning_points_are_the_extremes():
    curve = np.concatenate(
        [np.linspace(0, 1, 20), np.linspace(1, 0.2, 20)[1:], np.linspace(0.2, 0.9, 20)[1:]]
    )
    assert turning_points(curve, 0.05).tolist() == [0, 19, 38, 57]


def between(curve: np.ndarray, every: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """A curve at parts of frames, as a monotone curve through its frames goes: (times, values)."""
    slope = np.gradient(curve)
    rise = np.diff(curve)
    slope[1:-1] = np.where(
        rise[:-1] * rise[1:] > 0,
        np.sign(rise[1:])
        * np.minimum(np.abs(slope[1:-1]), 2 * np.minimum(abs(rise[:-1]), abs(rise[1:]))),
        0.0,
    )
    times = np.arange((len(curve) - 1) * every + 1) / every
    k = np.minimum(times.astype(int), len(curve) - 2)
    x = times - k
    y = 1 - x
    return times, (1 + 2 * x) * y * y * curve[k] + x * x * (3 - 2 * x) * curve[
        k + 1
    ] + x * y * y * slope[k] - x * x * y * slope[k + 1]


CLOSURE = np.array([0.31, 0.33, 0.3, 0.018, 0.0, 0.0, 0.02, 0.24, 0.3, 0.29])


@pytest.mark.parametrize(
    "curve",
    [
        CLOSURE,
        *(speech_like(seed) for seed in range(4)),
        np.random.default_rng(3).uniform(0, 1, 60),
    ],
)
@pytest.mark.parametrize("tolerance", [0.003, 0.03])
def test_between_two_keys_the_curve_stays_between_their_values(curve, tolerance):
    keys = reduce(np.arange(len(curve)), curve, tolerance)
    times = keys.index[:-1, None] + np.diff(keys.index)[:, None] * np.linspace(0, 1, 33)
    samples = np.unique(times)
    dense = Keys(np.searchsorted(samples, keys.index), keys.value, keys.slope).at(samples)
    spans = np.searchsorted(samples, times)
    low = np.minimum(keys.value[:-1], keys.value[1:])
    high = np.maximum(keys.value[:-1], keys.value[1:])
    values = dense[spans]
    assert np.maximum(low[:, None] - values, values - high[:, None]).max() <= 0.02 * np.ptp(curve)
    # a slider's range is never left
    assert dense.min() >= curve.min() - 1e-9 and dense.max() <= curve.max() + 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_parts_of_frames_are_within_the_tolerance_and_keys_on_whole_frames(seed):
    times, curve = between(speech_like(seed), 8)
    keys = reduce(times, curve, 0.01, every=8)
    assert (keys.index % 8 == 0).all()
    assert np.abs(keys.at(times) - curve).max() <= 0.01
    assert len(keys.index) < 250 / 2
