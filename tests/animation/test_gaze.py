# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyes look at a target wherever head and target go, and leave it when the take's own gaze
shifts."""

import numpy as np
import pytest

from thunder_core.animation import gaze
from thunder_core.rotation import rotvec_to_matrix

JOINT, EYES = np.array([0.0, -0.1, -0.02]), np.array([0.0, 0.05, 0.06])


def degrees_off(eyes, neck, points):
    """By how much eyes at a head miss the points that they look at, [T]."""
    turned = rotvec_to_matrix(neck)
    aims = (turned @ rotvec_to_matrix(eyes))[..., 2]
    toward = points - (turned @ (EYES - JOINT) + JOINT)
    toward /= np.linalg.norm(toward, axis=1, keepdims=True)
    return np.degrees(np.arccos(np.clip((aims * toward).sum(1), -1, 1)))


def look(own, neck, points, leaves=0.0):
    return gaze.look_at(own, neck, gaze.directions(points, neck, JOINT, EYES), leaves)


def always(*point):
    """A point that stays where it is for a hundred frames."""
    return np.repeat([point], 100, axis=0)


def test_eyes_stay_on_a_point_and_turn_no_further_than_eyes_can():
    rng = np.random.default_rng(0)
    neck = 0.15 * np.sin(np.arange(60)[:, None] / 9 + rng.random(3))
    points = np.array([0.2, 0.1, 1.0]) + 0.1 * np.sin(np.arange(60)[:, None] / 14 + rng.random(3))
    own = np.zeros((60, 3), np.float32) - neck.astype(np.float32)  # a gaze that rests in the world
    assert degrees_off(look(own, neck, points), neck, points).max() < 0.5
    still = np.zeros((4, 3))
    points = np.array([[1.0, 0.05, 0.1], [-1.0, 0.05, -0.5], [0.0, 2.0, 0.2], [0.0, -2.0, 0.1]])
    eyes = look(still, still, points, 0.5)
    assert np.isfinite(eyes).all() and np.linalg.norm(eyes, axis=1).max() < np.radians(45)
    assert eyes[0, 1] > 0.5 and eyes[1, 1] < -0.5 and eyes[2, 0] < -0.4 and eyes[3, 0] > 0.4


@pytest.mark.parametrize(
    "leaves, least, most", [(0.0, 0.0, 0.0), (0.3, 0.15, 0.3), (1.0, 0.35, 0.7)]
)
def test_the_gaze_leaves_at_its_own_shifts_and_no_more_than_it_may(leaves, least, most):
    own = np.full((200, 3), np.float32(0.1))  # where it rests
    # looks aside three times
    for start, stop, by in ((30, 60, 0.2), (100, 130, -0.15), (160, 170, 0.3)):
        own[start:stop, 1] += by
    still = np.zeros((200, 3))
    points = np.repeat([[0.0, 0.05, 1.0]], 200, axis=0)
    away = np.abs(look(own, still, points, leaves)[:, 1]) > 0.05
    assert least <= away.mean() <= most + 0.03
    assert not away[:28].any() and not away[62:98].any(), (
        "between its own shifts it stays on the target"
    )


def test_a_head_follows_a_target_beyond_what_eyes_do_alone():
    still = np.zeros((100, 3))
    near, far = (always(np.tan(np.radians(angle)), 0.05, 1.06) for angle in (12.0, 45.0))
    assert not gaze.turn_head(near, still, JOINT, EYES, 1.0).any()
    for share in (0.0, 0.33, 1.0):
        turned = np.degrees(gaze.turn_head(far, still, JOINT, EYES, share)[:, 1])
        assert turned == pytest.approx(share * 30.0, abs=0.3)
    behind = gaze.turn_head(always(-1.0, 0.05, -1.0), still, JOINT, EYES, 1.0)
    assert np.degrees(np.linalg.norm(behind, axis=1)).max() < 60  # a neck is no owl's


@pytest.mark.parametrize("aside, up", [(60.0, 0.0), (80.0, 0.0), (70.0, 20.0), (20.0, 40.0)])
def test_a_head_that_follows_a_little_turns_as_far_as_eyes_need(aside, up):
    own = np.radians(4.0) * np.sin(np.arange(100)[:, None] / 20 + np.arange(3))
    direction = np.radians([aside, up])
    toward = [
        np.sin(direction[0]) * np.cos(direction[1]),
        np.sin(direction[1]),
        np.cos(direction[0]) * np.cos(direction[1]),
    ]
    points = always(*EYES + toward)
    neck = gaze.turn_head(points, own, JOINT, EYES, 0.33)
    off = degrees_off(look(-own, neck, points), neck, points)
    assert off.mean() < 1.0 and off.max() < 3.0


def test_a_head_comes_after_a_target_smoothly_with_its_own_movement_on_top():
    own = np.zeros((100, 3), np.float32)
    own[:, 0] = 0.1 * np.sin(np.arange(100) / 5)
    points = always(0.0, 0.05, 1.0)
    points[50:, 0] = 1.0  # it jumps aside
    turned = gaze.turn_head(points, own, JOINT, EYES, 0.5)
    assert turned[:40] == pytest.approx(own[:40], abs=1e-6)
    aside = np.degrees(turned[:, 1])
    assert (np.diff(aside) > -1e-6).all() or np.diff(aside).min() > -0.5  # there, and not beyond
    assert 10 < aside[-1] < 25 and np.abs(np.diff(aside)).max() < 3.0  # below 75 degrees a second
    nodding = np.degrees(turned[60:, 0] - np.mean(turned[60:, 0]))
    assert np.ptp(nodding) > 0.7 * np.degrees(np.ptp(own[60:, 0]))
