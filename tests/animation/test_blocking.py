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


def test_lips_that_round_on_oo_and_on_w_after_shut_ones_are_poses():
    """Between vowels that take all poses of the sentence."""
    names = ("mouthPucker", "mouthRollLower")
    tracks = [Track(0, f'key_blocks["{name}"].value', 0) for name in names]
    tracks.append(Track(1, '["jaw"]', 0))
    parts = [*((name, place, 1.0) for place, name in enumerate(names)), ("jaw.x", 2, 1.0)]
    rig = RigMeter(Driver(tracks, parts), load_head().expression_names)
    times = np.arange((FRAMES - 1) * SAMPLES + 1) / SAMPLES
    oo, w = 18, 36  # lips meet until 35, on “p”, and are narrowest on its last frame
    jaw = 0.15 + 0.1 * np.cos(2 * np.pi * times / 4.0)
    jaw *= np.interp(times, [0, 2, 31, 33, 35, 39, 50, 55], [0, 1, 1, 0, 0, 1, 1, 0])
    pucker = np.interp(times, [oo - 5, oo, oo + 5, w - 4, w - 1, w + 3], [0, 0.5, 0, 0, 0.6, 0])
    values = np.stack([pucker, np.zeros_like(times), jaw], 1)
    fitted = result(
        blocking.fit(rig, values, np.ones(3, bool), ["Mouth", "Mouth", "Jaw"], 0.6, 24.0)
    )
    keys = fitted.curves[0]
    assert keys is not None

    def held(frame):
        return float(keys.value[keys.index <= frame][-1])

    assert held(oo) == pytest.approx(0.5) and max(held(oo - 5), held(oo + 5)) < 0.4
    assert held(w) == pytest.approx(pucker[w * SAMPLES])
    assert w in keys.index, "the frame on which lips part"
