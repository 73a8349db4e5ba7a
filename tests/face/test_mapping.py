# SPDX-License-Identifier: GPL-3.0-or-later
"""Mappings: what a face shows of a motion is what its keys are read as, and jaw against lips: the opening
stays, closed lips stay closed."""

import numpy as np
import pytest

from thunder_core.face.mapping import JointRule, LOWER_PER_JAW, Mapping, Rule, Target
from thunder_core.face.moving.driving import BoneTurn, Driver, shows_all, Track, visible_motion
from thunder_core.face.reading.jaw_balance import (
    apply_balance,
    fit_to_keys,
    jaw_share,
    measure_response,
    Response,
)
from thunder_core.types import Motion, pack

NAMES = ("mouthClose", "mouthPucker", "mouthFunnel", "browInnerUp")
EYE = tuple(
    (f"eye_{side}.{axis}", i, 1.0) for side in ("left", "right") for i, axis in enumerate("xyz")
)


def rig(*parts, turns=()):
    """A rig with a track for each key that parts (source, key, weight) name, and bones that turn
    about the head's axes."""
    keys = list(dict.fromkeys(key for _, key, _ in parts))
    turns = [BoneTurn(len(keys) + 3 * i, "XYZ", np.eye(3), added) for i, added in enumerate(turns)]
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


TURNS = [joint("jaw"), joint("neck", 0.5), EYE[:3], EYE[3:]]
FULL = rig(*((name, name, 1.0) for name in NAMES), turns=TURNS)
# Keys A, U and O alone: closed lips are less of A.
VOWELS = rig(
    ("jawOpen", "A", 1.0),
    ("mouthClose", "A", -0.8),
    ("mouthPucker", "U", 1.0),
    ("mouthFunnel", "O", 0.7),
)

# A face board: a control that raises the upper lip one way and lowers the lower lip the other.
BOARD_NAMES = ("mouthUpperUpLeft", "mouthLowerDownLeft", "mouthClose")
BOARD = rig(
    ("mouthUpperUpLeft", "lip", 1.0),
    ("mouthLowerDownLeft", "lip", -1.0),
    ("jawOpen", "jaw", -1.0),
    ("mouthClose", "jaw", 1.0),
)


def test_what_a_control_cannot_do_at_once_opens_the_jaw():
    """Both lips apart is the mouth open: the difference alone would shut it. What closes takes back
    what opens on purpose."""
    at = np.array([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0], [0.3, 0.5, 0.2]])
    jaw = np.array([[0.06, 0, 0]] * 3)
    lips = (("mouthUpperUpLeft", "lip", 1.0), ("mouthLowerDownLeft", "lip", -1.0))
    for parts in (lips[:1], lips):
        names = [name for name, *_ in parts]
        assert shows_all(names, rig(*parts, turns=TURNS).sums) == (len(parts) == 1)
    lip, opened = BOARD.drive(Motion(at, jaw), BOARD_NAMES).T
    assert lip == pytest.approx([0.5, -0.5, -0.2])
    assert opened == pytest.approx([-0.2, -0.2, -0.2 - 0.3 * (0.13 + 0.15) + 0.2])
    read = BOARD.read(np.stack([lip, opened], 1), BOARD_NAMES)
    seen = visible_motion(Motion(at, jaw), BOARD_NAMES, BOARD.sums)
    assert pack(seen) == pytest.approx(pack(read), abs=1e-5)


def test_a_face_with_everything_shows_a_motion_as_it_is_and_what_has_no_keys_rests():
    assert shows_all(NAMES, FULL.sums) and not shows_all(NAMES, VOWELS.sums)
    assert pack(visible_motion(moving(), NAMES, FULL.sums)) == pytest.approx(
        pack(moving()), abs=1e-6
    )
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


CHANNELS = ["mouthClose", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft"]
KEYS = ["jawOpen", *CHANNELS]
# Millimetres by which each key opens a mouth; mouthClose takes the jaw back.
OPENS = dict(
    jawOpen=26.0,
    mouthClose=-26.0,
    mouthUpperUpLeft=3.0,
    mouthLowerDownLeft=13 / LOWER_PER_JAW,
    mouthLowerDownRight=13 / LOWER_PER_JAW,
)
PLAN = Mapping("Hero", tuple(Rule(name, Target("KEY", name)) for name in KEYS))


def driver(plan):
    plan = apply_balance(plan)
    return Driver(
        [Track(0, name) for name in KEYS],
        [(rule.source, KEYS.index(rule.target.name), rule.weight) for rule in plan.rules],
    )


def motion():
    """Open by the jaw, by all, and shut over a half-open jaw."""
    expression = np.array([[0, 0, 0, 0], [0, 0.4, 0.3, 0.2], [0.5, 0, 0, 0]], np.float32)
    return Motion(expression, np.array([[0.15, 0, 0], [0.1, 0, 0], [0.15, 0, 0]], np.float32))


@pytest.mark.parametrize("balance", [-1.0, -0.4, 0.3, 1.0])
def test_the_lips_open_as_far_and_the_jaw_more_or_less(balance):
    plain, other = (
        driver(Mapping("Hero", PLAN.rules, balance=b)).drive(motion(), CHANNELS)
        for b in (0.0, balance)
    )
    opens = np.array([OPENS[name] for name in KEYS])
    assert np.allclose(plain @ opens, other @ opens, atol=1e-6)
    assert np.allclose(other[:, 0], plain[:, 0] * (1 + balance / 2))
    assert other.min() > -1e-6, "no key is driven below its rest"


@pytest.mark.parametrize("balance", [-1.0, 1.0])
def test_shut_lips_are_shut_by_mouth_close_alone(balance):
    values = driver(Mapping("Hero", PLAN.rules, balance=balance)).drive(motion(), CHANNELS)[2]
    assert values[1] == pytest.approx(values[0]) and np.abs(values[2:]).max() < 1e-6


@pytest.mark.parametrize("balance", [-1.0, 0.3, 1.0])
def test_a_balanced_animation_is_read_back(balance):
    rig = driver(Mapping("Hero", PLAN.rules, balance=balance))
    back = rig.read(rig.drive(motion(), CHANNELS), CHANNELS)
    assert (
        np.abs(back.expression - motion().expression).max() < 0.01
        and np.abs(back.jaw - motion().jaw).max() < 0.003
    )


def test_a_jaw_of_bone_is_balanced_too():
    plan = Mapping("Hero", PLAN.rules[1:], (JointRule("jaw", "Jaw"),), balance=1.0)
    made = apply_balance(plan)
    assert (
        made.joints[0].scale == 1.5
        and Rule("jawOpen", Target("KEY", "mouthClose"), 0.5) in made.rules
    )


def face():
    """(lips and chin [V, 3] …): an upper lip, a lower lip, a chin, and a brow."""
    return np.zeros((8, 3)), slice(0, 2), slice(2, 4), slice(4, 6)


def test_what_a_characters_keys_do_is_measured():
    rest, upper, lower, chin = face()
    jaw, close, down = rest.copy(), rest.copy(), rest.copy()
    jaw[lower, 1], jaw[chin, 1], jaw[upper, 1] = -32.0, -34.0, -2.0
    close[lower, 1], close[upper, 1] = 24.0, -12.0
    down[lower, 1] = -6.0
    funnel = rest.copy()
    funnel[lower, 1], funnel[upper, 1] = -6.0, 6.0
    shrug = rest.copy()
    shrug[lower, 1] = 7.5
    measured = measure_response(jaw, close, down, {"mouthFunnel": funnel, "mouthShrugLower": shrug})
    assert measured.close == pytest.approx(30 / 36) and measured.lower == pytest.approx(5.0)
    assert measured.further == pytest.approx(
        {"mouthFunnel": 12 / 30 - 0.23, "mouthShrugLower": -7.5 / 30}
    ), "one parts the lips further than it should, the other shuts them"
    assert measure_response(jaw) == Response()
    with np.errstate(divide="raise"):  # a key that moves the chin alone closes no lips
        lips = np.array([0, 1]), np.array([2, 3]), np.array([0.0, 1.0, 0.0])
        only_chin = rest.copy()
        only_chin[chin, 1] = 5.0
        assert measure_response(jaw, only_chin, lips=lips).close == 1.0
    vowel = 0.45 * jaw
    vowel[upper, 2] = 5.0
    assert jaw_share(vowel, jaw) == pytest.approx(0.45) and jaw_share(close, jaw) < 0.1


@pytest.mark.parametrize("raises", [False, True])
def test_f_shuts_a_jaw_that_stands_in_for_the_upper_lip(raises):
    rest, upper, lower, chin = face()
    moved = {name: rest.copy() for name in ("viseme_aa", "viseme_FF", "viseme_TH", "lip")}
    moved["viseme_aa"][lower, 1], moved["viseme_aa"][chin, 1], moved["viseme_aa"][upper, 1] = (
        -32.0,
        -34.0,
        -2.0,
    )
    moved["viseme_FF"][lower, 2] = -6.0
    moved["viseme_TH"][lower, 1], moved["viseme_TH"][chin, 1] = -10.0, -8.0
    moved["lip"][upper, 1] = 5.0
    moved = {Target("KEY", name): offset for name, offset in moved.items()}
    jaw, roll, tongue, lip = moved
    raised = [
        (f"mouthUpperUp{side}", lip if raises else jaw, 0.5 if raises else 0.13)
        for side in ("Left", "Right")
    ]
    rules = [
        ("jawOpen", jaw, 1.0),
        ("mouthRollLower", roll, 1.0),
        ("tongueOut", tongue, 2.0),
        *raised,
    ]
    plan = fit_to_keys(Mapping("Hero", tuple(Rule(*rule) for rule in rules)), moved)
    shuts = [rule for rule in plan.rules if rule.source == "mouthRollLower" and rule.target == jaw]
    assert len(shuts) == (not raises) and all(rule.weight < 0 for rule in shuts)
    assert next(rule.weight for rule in plan.rules if rule.target == roll) == (
        1.0 if raises else pytest.approx(1.15)
    )
    opens = sum(
        rule.weight * moved[rule.target][chin, 1].mean()
        for rule in plan.rules
        if rule.source == "tongueOut"
    )
    assert abs(opens) < 4.0, (
        "most of the 16 mm by which the key for th drops the chin is left to the jaw"
    )
    # as takes drive the jaw's key on f
    driven = 0.85 * shuts[0].weight + 0.05 + 2 * 0.13 * 0.23 if shuts else 0.0
    assert driven <= 0.0
