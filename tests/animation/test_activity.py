# SPDX-License-Identifier: GPL-3.0-or-later
"""Where takes differ: what is shown of their activity, and the frames of a contact sheet."""

import numpy as np
import pytest

from thunder_core.animation import activity
from thunder_core.types import Motion

CHANNELS = ("jawOpen", "browInnerUp", "browDownLeft")


def motion(frames=100):
    zeros = np.zeros((frames, 3), np.float32)
    return Motion(np.zeros((frames, 3), np.float32), zeros.copy(), zeros.copy(), zeros.copy())


def test_each_track_tells_its_part_of_the_face_alone():
    made = motion()
    made.expression[:, 0] = 1.0  # the jaw's channel is no brow's
    made.expression[10:20, 1], made.expression[30, 2] = 0.4, 0.7
    made.head[50:55, 1] = np.radians(12.0)
    tracks = activity.tracks(made, CHANNELS, np.full(100, 3.0))
    assert set(tracks) == set(activity.TRACKS) == set(activity.COLOURS)
    assert np.flatnonzero(tracks["brows"]).tolist() == [*range(10, 20), 30] and tracks[
        "brows"
    ].max() == pytest.approx(0.7)
    assert np.flatnonzero(tracks["head"]).tolist() == [*range(50, 55)] and tracks[
        "head"
    ].max() == pytest.approx(12.0)
    assert (tracks["mouth"] == 3.0).all()
    assert not activity.head(Motion(made.expression, made.jaw)).any()


def line():
    """Opening of two takes over four seconds with closures at 20 and 60 and wide mouths at 40 and
    82."""
    mean = np.full(100, 8.0)
    mean[[20, 60]] = 0.1
    mean[40], mean[82] = 16.0, 12.0
    return np.stack([mean, mean])


def test_moments_are_the_loudest_closures_and_the_widest():
    loud = np.zeros(100)
    loud[50] = 1.0
    chosen = activity.choose_moments(line(), loud, 6)
    assert {(20, "closed"), (60, "closed"), (50, "loud"), (40, "wide"), (82, "wide")} <= set(chosen)
    assert len(chosen) == 6 and [frame for frame, _ in chosen] == sorted(
        frame for frame, _ in chosen
    )
    acted = activity.choose_moments(line(), loud, 6, pauses=[70, 30])
    assert (70, "pause") in acted and (30, "pause") not in acted and len(acted) == 6
    still = activity.choose_moments(np.zeros((1, 50)), None, 6)
    assert len(still) == 6 and min(np.diff([frame for frame, _ in still])) >= 7
    assert "wide" not in [why for _, why in still], "no mouth is open"
    silent = activity.choose_moments(line(), np.zeros(100), 6)
    assert "loud" not in [why for _, why in silent]
    nearly = line()
    nearly[:, 83:] = 0.2
    nearly[:, 90] = 0.5
    assert (90, "wide") not in activity.choose_moments(nearly, None, 8)


def test_a_steady_sound_is_as_loud_at_its_ends():
    peaks = np.tile([-0.5, 0.5], (200, 1))
    assert activity.loudness(peaks, 100) == pytest.approx(np.ones(50))
