# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON of a mapping, by hand or by accident: a mapping comes out, or one sentence."""

import json

import numpy as np
import pytest

from thunder_core.errors import BadHead
from thunder_core.face.mapping import Driver, JointRule, Mapping, Rule, shows_all, Target, Track, Turn, visible_motion
from thunder_core.types import Motion, pack

PLAN = Mapping(
    "Hero",
    (Rule("jawOpen", Target("KEY", "jawOpen"), 0.5), Rule("tongueOut", Target("PROPERTY", "tongue", "", "Jaw"))),
    (JointRule("neck", "Head", "Rig", 0.5),),
    "arkit",
    ("Face",),
    "-Y",
    "Z",
)


def spoilt(**changed):
    return json.dumps(json.loads(PLAN.to_json()) | changed)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (spoilt(joints=[{"joint": "neck", "bone": "Head", "scale": 10**400}]), "“scale” of joint 1 of the mapping is not a number"),
        (spoilt(joints=[{"joint": "neck", "bone": "Head", "scale": -(10**400)}]), "“scale” of joint 1"),
        (spoilt(rules=[{"source": "a", "weight": 1e300, "target": {"kind": "KEY", "name": "x"}}]), "“weight” of rule 1"),
        (spoilt(rules=[{"source": "a", "weight": float("nan"), "target": {"kind": "KEY", "name": "x"}}]), "“weight” of rule 1"),
        (spoilt(rules=[{"source": "a", "weight": True, "target": {"kind": "KEY", "name": "x"}}]), "“weight” of rule 1"),
        (spoilt(thunder_mapping=True), "version true"),
        (spoilt(thunder_mapping=[["x" * 1000]]), "version"),
        (spoilt(thunder_mapping=10**400), "version 1000"),
        (spoilt(name="\ud800"), "“name” of the mapping is not text"),
        (spoilt(parts=["\udfff"]), "no object's name"),
        ("9" * 5000, "not readable as JSON"),
        ("[" * 100_000, "not readable as JSON"),
        ('{"thunder_mapping": 1, "name": "' + "x" * 5_000_000 + '"}', "4 million letters"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused_with_a_sentence(text, says):
    with pytest.raises(BadHead, match=says) as caught:
        Mapping.from_json(text)
    assert len(str(caught.value)) < 300


def test_a_mapping_comes_back_as_it_was():
    assert Mapping.from_json(PLAN.to_json()) == PLAN
    assert np.isclose(Mapping.from_json(spoilt(joints=[{"joint": "jaw", "bone": "Jaw", "scale": 10**5}])).joints[0].scale, 1e5)


NAMES = ("mouthClose", "mouthPucker", "mouthFunnel", "browInnerUp")
EYE = tuple((f"eye_{side}.{axis}", i, 1.0) for side in ("left", "right") for i, axis in enumerate("xyz"))


def rig(*parts, turns=()):
    """A rig with a track for each key that parts (source, key, weight) name, and bones that turn about the head's axes."""
    keys = list(dict.fromkeys(key for _, key, _ in parts))
    turns = [Turn(len(keys) + 3 * i, "XYZ", np.eye(3), added) for i, added in enumerate(turns)]
    tracks = [Track(0, key) for key in keys] + [Track(1, "turn", i % 3) for i in range(3 * len(turns))]
    return Driver(tracks, [(source, keys.index(key), weight) for source, key, weight in parts], turns)


def moving(frames=40):
    rng = np.random.default_rng(0)
    expression = rng.uniform(0, 0.9, (frames, len(NAMES)))
    return Motion(*(x.astype(np.float32) for x in (expression, *(rng.uniform(0.0, 0.2, (frames, 3)) for _ in range(3)))))


def joint(name, scale=1.0):
    return tuple((f"{name}.{axis}", i, scale) for i, axis in enumerate("xyz"))


FULL = rig(*((name, name, 1.0) for name in NAMES), turns=[joint("jaw"), joint("neck", 0.5), EYE[:3], EYE[3:]])
# Keys A, U and O alone: closed lips are less of A.
VOWELS = rig(("jawOpen", "A", 1.0), ("mouthClose", "A", -0.8), ("mouthPucker", "U", 1.0), ("mouthFunnel", "O", 0.7))


def test_a_face_with_everything_shows_a_motion_as_it_is():
    assert shows_all(NAMES, FULL.sums) and not shows_all(NAMES, VOWELS.sums)
    assert pack(visible_motion(moving(), NAMES, FULL.sums)) == pytest.approx(pack(moving()), abs=1e-6)


def test_what_a_face_has_no_keys_for_rests_in_what_it_shows():
    made, seen = moving(), visible_motion(moving(), NAMES, VOWELS.sums)
    assert seen.expression[:, 1:3] == pytest.approx(made.expression[:, 1:3], abs=1e-6)
    assert not seen.expression[:, 3].any() and not seen.head.any() and not seen.eyes.any() and not seen.jaw[:, 1:].any()


@pytest.mark.parametrize("driver", [FULL, VOWELS])
def test_what_a_face_shows_is_what_its_keys_are_read_as(driver):
    """So the score in the list is that of the keys, as they are scored after an edit."""
    read = driver.read(driver.drive(moving(), NAMES), NAMES)
    assert pack(visible_motion(moving(), NAMES, driver.sums)) == pytest.approx(pack(read), abs=1e-5)
