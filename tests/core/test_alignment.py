# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture is found in its voice by its mouth, or by the sound that was recorded with it; one of
another line is not."""

import numpy as np
import pytest

from thunder_core.engine.alignment import best_shift, LIKELY, match_sound
from thunder_core.request import Request
from thunder_core.types import FPS, pack, RATE, Speech, unpack


@pytest.fixture(scope="module")
def performed(engine, sample):
    """Takes of the sample, packed [T, n + 9]."""
    return [pack(take.motion) for take in engine.generate(sample, Request(4, 5, "draft"))]


def captured(rng, x, lead, first, last):
    """Frames of a take as another camera sees them: after so many frames of rest, larger or
    smaller, and noisy."""
    y = np.concatenate([np.zeros((lead, x.shape[1])), x[first:last]]) * rng.uniform(0.6, 1.4)
    return unpack(
        (y + rng.normal(0, 0.05, y.shape) * np.r_[np.ones(x.shape[1] - 9), np.full(9, 0.1)]).astype(
            np.float32
        ),
        x.shape[1] - 9,
    )


def test_a_mouth_is_found_within_a_frame(engine, sample, performed):
    rng, off = np.random.default_rng(3), []
    for x in performed:
        for _ in range(5):
            lead = int(rng.integers(0, 40))
            first = int(rng.integers(0, 60))
            last = len(x) - int(rng.integers(0, 40))
            match, by = engine.align(sample, captured(rng, x, lead, first, last))
            assert by == "mouth"
            off.append(round(match.seconds * FPS) - (first - lead))
    assert np.mean(np.abs(off) <= 1) >= 0.95, off


def test_a_mouth_that_says_something_else_is_not_sure(engine, sample, performed):
    rng = np.random.default_rng(1)
    backwards = [captured(rng, x[::-1], 0, 0, len(x)) for x in performed]
    assert np.mean([engine.align(sample, motion)[0].sure < LIKELY for motion in backwards]) >= 0.5
    assert all(engine.align(sample, motion)[0].sure < 1 for motion in backwards)


def test_the_sound_of_another_microphone_is_found_within_a_frame_and_asked_first(
    engine, sample, performed
):
    rng = np.random.default_rng(2)
    room = np.r_[1, rng.normal(0, 0.3, 800) * np.exp(-np.arange(800) / 200)]
    heard = np.convolve(sample.samples, room)[: len(sample.samples)][RATE:]
    heard = 0.1 * heard / heard.std()
    heard = np.concatenate([np.zeros(RATE // 4), heard]) + rng.normal(
        0, 0.05, len(heard) + RATE // 4
    )
    still = unpack(np.zeros_like(performed[0]), performed[0].shape[1] - 9)
    match, by = engine.align(sample, still, Speech(heard.astype(np.float32)))
    assert by == "sound" and match.sure >= 1 and match.seconds == pytest.approx(0.75, abs=0.02)


def test_a_sound_of_something_else_leaves_it_to_the_mouth(engine, sample, performed):
    noise = 0.1 * np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32)
    assert match_sound(noise, sample.samples).sure < LIKELY
    motion = unpack(performed[0], performed[0].shape[1] - 9)
    match, by = engine.align(sample, motion, Speech(noise))
    assert by == "mouth" and abs(match.seconds * FPS) <= 1


@pytest.mark.parametrize(
    "a, b",
    [
        (np.zeros((1, 2)), np.zeros((1, 2))),
        (np.zeros((50, 2)), np.zeros((9, 2))),
        (np.ones((3, 1)), np.eye(40, 1)),
    ],
)
def test_what_stands_still_fits_nowhere(a, b):
    seconds, margin = best_shift(a, b, 25.0)
    assert np.isfinite(seconds) and margin == pytest.approx(0, abs=1e-6)


def test_curves_are_found_by_the_shift_that_they_have():
    x = np.random.default_rng(0).standard_normal((400, 3))
    for shift in (-60, 0, 37):
        seconds, margin = best_shift(x[100:300], x[100 + shift :], 25.0)
        assert round(seconds * 25) == -shift and margin > 10
