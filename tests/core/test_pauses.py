# SPDX-License-Identifier: GPL-3.0-or-later
"""In pauses a head stays about where its phrase left it."""

import numpy as np
import pytest

from thunder_core.engine.pipeline import hold_head_in_pauses, keep_gaze, limit_brow_speed, limit_head_speed
from thunder_core.engine.speech.cues import stillness
from thunder_core.engine.speech.phones import PHONES, SILENCE
from thunder_core.types import FPS


def belief(*spans, seconds=8.0):
    """Phone probabilities of a voice that is silent in spans of seconds."""
    result = np.zeros((int(50 * seconds), len(PHONES)), np.float32)
    result[:, SILENCE + 1] = 1
    for start, end in spans:
        result[int(50 * start) : int(50 * end)] = 0
        result[int(50 * start) : int(50 * end), SILENCE] = 1
    return result


def test_only_pauses_between_phrases_are_still():
    frames = int(8 * FPS)
    still = stillness(belief((0, 1), (2, 2.2), (3, 4), (5, 7.5)), frames)
    assert still[int(3.5 * FPS)] == 1 and still[: int(2.8 * FPS)].max() == 0  # neither the silence before the first phrase nor a short stop
    assert still[int(4.2 * FPS) :].max() == 0  # nor a silence in which a face has a life of its own


def wandering(frames=200):
    t = np.arange(frames) / FPS
    return np.radians(np.stack([6 * np.sin(2 * t), 8 * np.sin(1.3 * t), 3 * np.cos(t)], 1)).astype(np.float32)


def test_a_head_stays_in_a_pause_and_comes_back_after_it():
    pose, still = wandering(), stillness(belief((3, 4)), 200)
    result = hold_head_in_pauses(pose, still)
    moved = np.degrees(np.linalg.norm(result[100] - result[75])), np.degrees(np.linalg.norm(pose[100] - pose[75]))
    assert moved[0] < 1.5 < 4 < moved[1]
    assert np.array_equal(result[:71], pose[:71])
    assert np.degrees(np.abs(result[-1] - pose[-1]).max()) < 0.5
    speed = np.degrees(np.abs(np.diff(result, axis=0)).max()) * FPS
    assert speed < np.degrees(np.abs(np.diff(pose, axis=0)).max()) * FPS + 8


@pytest.mark.parametrize("voice", [belief(), belief((0, 8))])
def test_without_pauses_nothing_changes(voice):
    assert np.array_equal(hold_head_in_pauses(wandering(), stillness(voice, 200)), wandering())


def test_eyes_go_on_looking_at_the_same_point_while_the_head_stays_behind():
    pose, still = wandering(), stillness(belief((3, 4)), 200)
    eyes = -0.95 * pose  # on one point, as eyes are that make good what the head turns
    rested = hold_head_in_pauses(pose, still)
    looking = keep_gaze(eyes, pose, rested)
    assert np.allclose((looking + rested)[:, :2], (eyes + pose)[:, :2], atol=1e-6) and np.array_equal(looking[:, 2], eyes[:, 2])


def test_a_jerk_of_the_head_is_slowed_down_and_nothing_else():
    calm = wandering()
    jerky = calm.copy()
    jerky[100:, 0] += np.radians(9.0)  # within one frame: 225 degrees per second
    speed = np.degrees(np.abs(np.diff(limit_head_speed(jerky), axis=0))).max() * FPS
    assert speed < 80 and np.array_equal(limit_head_speed(calm), calm)
    assert np.abs(limit_head_speed(jerky) - jerky)[[60, 140]].max() < 1e-6


def test_brows_take_a_few_frames_and_stay_where_they_are_slow():
    t = np.arange(100.0)
    jump, slow = np.where(t < 50, 0.1, 0.6)[:, None], 0.3 + 0.25 * np.sin(t / 6)[:, None]
    eased = limit_brow_speed(jump)
    assert np.abs(np.diff(jump, axis=0)).max() > 0.45 and np.abs(np.diff(eased, axis=0)).max() < 0.16
    assert np.allclose(eased[:40], 0.1) and np.allclose(eased[60:], 0.6) and abs(eased[49:51].mean() - 0.35) < 0.02, "at the same time"
    assert np.array_equal(limit_brow_speed(slow), slow) and limit_brow_speed(slow[:1]).shape == (1, 1)
