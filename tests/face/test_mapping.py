# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON of a mapping, by hand or by accident: a mapping comes out, or one sentence."""

import numpy as np
import pytest

from thunder_core.face.mapping import Driver, shows_all, Track, Turn, visible_motion
from thunder_core.types import Motion, pack

NAMES = ("mouthClose", "mouthPucker", "mouthFunnel", "browInnerUp")
EYE = tuple(
    (f"eye_{side}.{axis}", i, 1.0) for side in ("left", "right") for i, axis in enumerate("xyz")
)


def rig(*parts, turns=()):
    """A rig with a track for each key that parts (source, key, weight) name, and bones that turn
    about the head's axes."""
    keys = list(dict.fromkeys(key for _, key, _ in parts))
    turns = [Turn(len(keys) + 3 * i, "XYZ", np.eye(3), added) for i, added in enumerate(turns)]
    tracks = [Track(0, key) for key in keys] + [
        Track(1, "turn", i % 3) for i in range(3 * len(turns))
    ]
    return Driver(
        tracks, [(source, keys.index(key), weight) for source, key, weight in parts], turns
    )


def moving(frames=40):
    rng = np.random.default_rng(0)
    expression = rng.uniform(0, 0.9, (frames, len(NAMES)))
    return Motion(
        *(
            x.astype(np.float32)
            for x in (expression, *(rng.uniform(0.0, 0.2, (frames, 3)) for _ in range(3)))
        )
    )


def joint(name, scale=1.0):
    return tuple((f"{name}.{axis}", i, scale) for i, axis in enumerate("xyz"))


FULL = rig(
    *((name, name, 1.0) for name in NAMES),
    turns=[joint("jaw"), joint("neck", 0.5), EYE[:3], EYE[3:]],
)
# Keys A, U and O alone: closed lips are less of A.
VOWELS = rig(
    ("jawOpen", "A", 1.0),
    ("mouthClose", "A", -0.8),
    ("mouthPucker", "U", 1.0),
    ("mouthFunnel", "O", 0.7),
)


def test_a_face_with_everything_shows_a_motion_as_it_is():
    assert shows_all(NAMES, FULL.sums) and not shows_all(NAMES, VOWELS.sums)
    assert pack(visible_motion(moving(), NAMES, FULL.sums)) == pytest.approx(
        pack(moving()), abs=1e-6
    )


def test_what_a_face_has_no_keys_for_rests_in_what_it_shows():
    made, seen = moving(), visible_motion(moving(), NAMES, VOWELS.sums)
    assert seen.expression[:, 1:3] == pytest.approx(made.expression[:, 1:3], abs=1e-6)
    assert (
        not seen.expression[:, 3].any()
        and not seen.head.any()
        and not seen.eyes.any()
        and not seen.jaw[:, 1:].any()
    )


@pytest.mark.parametrize("driver", [FULL, VOWELS])
def test_what_a_face_shows_is_what_its_keys_are_read_as(driver):
    """So the score in the list is that of the keys, as they are scored after an edit."""
    read = driver.read(driver.drive(moving(), NAMES), NAMES)
    assert pack(visible_motion(moving(), NAMES, driver.sums)) == pytest.approx(pack(read), abs=1e-5)
