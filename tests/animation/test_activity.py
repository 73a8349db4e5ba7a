# SPDX-License-Identifier: GPL-3.0-or-later
"""What pictures of takes show of brows, mouth and head, and the heights that fill their tracks."""

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
    assert set(tracks) == set(activity.TRACKS) < set(activity.COLOURS)
    assert np.flatnonzero(tracks["brows"]).tolist() == [*range(10, 20), 30] and tracks[
        "brows"
    ].max() == pytest.approx(0.7)
    assert np.flatnonzero(tracks["head"]).tolist() == [*range(50, 55)] and tracks[
        "head"
    ].max() == pytest.approx(12.0)
    assert (tracks["mouth"] == 3.0).all()
    assert not activity.head(Motion(made.expression, made.jaw)).any()


def test_what_fills_a_track_is_common_to_all_takes_and_hardly_anything_fills_none():
    still, lively = (activity.tracks(motion(), CHANNELS, np.zeros(100)) for _ in range(2))
    assert activity.full_heights([still]) == {"brows": 0.15, "mouth": 5.0, "head": 2.0}
    lively["mouth"] = np.full(100, 22.0)
    assert (
        activity.full_heights([still, lively])["mouth"] == 22.0
        and activity.full_heights([still, lively])["head"] == 2.0
    )


def test_faces_that_do_not_speak_are_told_by_their_eyes_and_gestures():
    made = motion()
    made.expression[10:20, 1] = 0.6
    made.head[30:35, 0] = np.radians(6.0)
    made.eyes[30:35, 0] = np.radians(-6.0)  # the gaze stays on its point
    made.eyes[60:70, 1] = np.radians(8.0)
    tracks = activity.quiet_tracks(made, CHANNELS)
    assert tuple(tracks) == ("brows", "eyes", "head") and set(tracks) < set(activity.COLOURS)
    assert np.flatnonzero(tracks["eyes"] > 1e-3).tolist() == [*range(60, 70)] and tracks[
        "eyes"
    ].max() == pytest.approx(8.0, rel=1e-5)
    assert set(activity.full_heights([tracks])) == set(tracks)
    gestures = activity.gestures(made, CHANNELS)
    assert 4.5 < gestures["nod"].max() < 6 and np.flatnonzero(gestures["nod"] > 0.1).tolist() == [
        *range(30, 35)
    ]
    made.head[:, 0] += np.linspace(0, np.radians(10), 100)
    assert activity.gestures(made, CHANNELS)["nod"][50:90].max() < 0.5, "it sinks slowly"
    assert (
        gestures["raised"].max() == pytest.approx(0.2)
        and not gestures["smile"].any()
        and np.array_equal(gestures["away"], tracks["eyes"])
    )
    assert not activity.gestures(Motion(made.expression, made.jaw), CHANNELS)["nod"].any()
