# SPDX-License-Identifier: GPL-3.0-or-later
"""Few keys stay within the error at the lips, and within a third of it where lips meet; a closure
keeps its first, its last and its closest frame."""

import numpy as np
import pytest

from thunder_core.animation import reduction
from thunder_core.animation.keys import Keys, SAMPLES, times_of
from thunder_core.animation.reduction import closures, share_at_closed_lips
from thunder_core.face.displacement import RigMeter
from thunder_core.face.head import load_head
from thunder_core.face.mapping import Driver, Track
from thunder_core.filters import smoothstep
from thunder_core.progress import result


def test_a_closure_is_kept_by_its_first_its_last_and_its_closest_frame():
    gap = np.full(30, 5.0)
    gap[4:9] = [0.5, 0.4, 0.1, 0.3, 0.59]
    gap[14] = 0.0
    gap[15] = 0.6  # lips are a closure below that
    gap[27:30] = [0.2, 0.1, 0.3]  # to the end
    assert closures(gap).tolist() == [4, 6, 8, 14, 27, 28, 29]
    assert closures(gap[:4]).tolist() == []


@pytest.mark.parametrize("error, millimetres", [(0.3, 0.1), (0.45, 0.15), (3.0, 0.15)])
def test_lips_that_meet_may_be_off_by_a_third_but_by_no_more_than_would_be_seen(error, millimetres):
    assert error * share_at_closed_lips(error) == pytest.approx(millimetres)
    limits = reduction._limits(error, np.array([False, True]))
    # lips, face, head and eyes
    assert limits == pytest.approx(
        np.array([[error, 2 * error, 3 * error, error]] * 2)
        - [[0, 0, 0, 0], [error - millimetres, 0, 0, 0]]
    )


def test_keys_follow_closed_lips_three_times_as_closely_as_open_ones():
    """A jaw that trembles by a fifth of a millimetre, first on shut lips, then on open ones."""
    frames = np.arange(1.0, 61.0)
    times = times_of(frames)
    tremble = 0.0025 * np.sin(times * 1.9)
    values = (0.003 + 0.1 * smoothstep(np.clip((times - 28) / 10, 0, 1)) + tremble)[:, None]
    channels = tuple(load_head().expression_names)
    meter = RigMeter(Driver([Track(0, "jaw")], [("jaw.x", 0, 1.0)]), channels)
    (keys,) = result(reduction.fit(meter, frames, values, 0.6)).keys
    samples = np.arange(len(values)) / SAMPLES
    shown = Keys(keys.index * SAMPLES, keys.value, keys.slope).at(samples)
    gap = result(meter.lip_gap(values))
    off, closed = np.abs(result(meter.lip_gap(shown[:, None])) - gap), gap < 0.6
    assert closed.any() and off[closed].max() < 0.15 < 0.25 < off[~closed].max() < 0.6
    assert set(closures(gap[::SAMPLES]).tolist()) <= set(keys.index.tolist())
