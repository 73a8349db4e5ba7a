# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocking: lids shut where the take's do, also after a long rest."""

import numpy as np
import pytest

from thunder_core.animation import blocking
from thunder_core.animation.keys import SAMPLES
from thunder_core.face.head import load_head
from thunder_core.face.moving.displacement import RigMeter
from thunder_core.face.moving.driving import Driver, Track
from thunder_core.progress import result

PARTS = ("eyeBlinkLeft", "eyeBlinkRight")
FRAMES, BLINK = 60, 45


@pytest.mark.parametrize("error", [0.3, 1.2])
def test_eyes_do_not_shut_slowly_through_the_rest_before_a_blink(error):
    tracks = [Track(0, f'key_blocks["{name}"].value', 0) for name in PARTS]
    tracks.append(Track(1, '["jaw"]', 0))
    parts = [*((name, place, 1.0) for place, name in enumerate(PARTS)), ("jaw.x", 2, 1.0)]
    rig = RigMeter(Driver(tracks, parts), load_head().expression_names)
    times = np.arange((FRAMES - 1) * SAMPLES + 1) / SAMPLES
    lids = np.interp(times, BLINK + np.array([-3, 0, 5]), [0.0, 1.0, 0.0])
    jaw = np.interp(times, [2, 8, 14], [0.0, 0.2, 0.0])  # a word, then a rest
    fitted = result(
        blocking.fit(
            rig, np.stack([lids, lids, jaw], 1), np.ones(3, bool), ["Eyes", "Eyes", "Jaw"],
            error, 24.0, is_held=False,
        )
    )  # fmt: skip
    frames = np.arange(FRAMES)
    off = np.abs(fitted.curves[0].at(frames) - lids[::SAMPLES])
    assert off.max() <= 0.25, f"lids are off by {off.max():.2f} on frame {off.argmax()}"
    assert len(fitted.curves[0].index) <= 16, "a blink costs a few keys, not one a frame"
