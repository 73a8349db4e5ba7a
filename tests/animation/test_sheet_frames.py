# SPDX-License-Identifier: GPL-3.0-or-later
"""The frames of a contact sheet are those that tell takes apart."""

import numpy as np
import pytest

from thunder_core.animation import sheet_frames


def test_moments_are_closures_the_loudest_and_the_widest():
    mean = np.full(100, 8.0)
    mean[[20, 60]] = 0.1
    mean[40], mean[80] = 16.0, 12.0
    loud = np.zeros(100)
    loud[50] = 1.0
    chosen = sheet_frames.choose(np.stack([mean, mean]), loud, 6)
    assert {(20, "closed"), (60, "closed"), (50, "loudest"), (40, "wide"), (80, "wide")} <= {
        (frame, {"loud": "loudest"}.get(why, why)) for frame, why in chosen
    }
    assert len(chosen) == 6 and [frame for frame, _ in chosen] == sorted(frame for frame, _ in chosen)
    still = sheet_frames.choose(np.zeros((1, 50)), None, 6)
    assert len(still) == 6 and min(np.diff([frame for frame, _ in still])) >= sheet_frames.APART


def test_loudness_is_per_frame():
    peaks = np.zeros((200, 2), np.float32)
    peaks[100:104] = (-0.5, 0.5)
    level = sheet_frames.loudness(peaks, 100)
    assert len(level) == 50 and np.argmax(level) == 25 and level[25] == pytest.approx(1.0) and level[24] == 0
