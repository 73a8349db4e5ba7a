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
