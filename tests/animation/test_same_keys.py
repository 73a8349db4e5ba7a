# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that a commit makes of a performance, in every way it can, are what is stored."""

from dataclasses import replace

import numpy as np
import pytest
from stored import compare

from thunder_core.animation import gaze, keyframes, posing, reduction
from thunder_core.animation.commit import drawing, fitting, planning
from thunder_core.animation.commit.before import Block, Choice, Curve, StateBefore, Take
from thunder_core.animation.keyframes import Cycles
from thunder_core.animation.keys import times_of
from thunder_core.face import mapping
from thunder_core.face.displacement import RigMeter
from thunder_core.face.head import load_head
from thunder_core.face.mapping import Driver, Track, Turn
from thunder_core.progress import result
from thunder_core.types import Motion

FIRST, LAST, LEAD = 11, 71, 6  # frames of the take in the scene
NECK = 'pose.bones["neck"].rotation_quaternion'
PARTS = (
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthSmileLeft", "mouthSmileRight", "browInnerUp",
    "eyeBlinkLeft", "eyeBlinkRight",
)  # fmt: skip
TRACKS = [
    *(Track(0, f'key_blocks["{name}"].value', 0) for name in PARTS),
    Track(1, '["jaw"]', 0),
    *(Track(1, NECK, index, rest=float(index == 0)) for index in range(4)),
]
REGIONS = ("Mouth",) * 5 + ("Brows", "Eyes", "Eyes", "Jaw") + ("Head",) * 4


@pytest.fixture(scope="module")
def meter():
    """Measures a rig of eight shape keys, a jaw and a neck."""
    parts = [(name, place, 1.0) for place, name in enumerate(PARTS)]
    parts.append(("jaw.x", len(PARTS), 1.0))
    turn = Turn(
        len(PARTS) + 1,
        "QUATERNION",
        np.eye(3),
        tuple((f"neck.{axis}", place, 1.0) for place, axis in enumerate("xyz")),
    )
    neck = tuple(range(len(PARTS) + 1, len(TRACKS)))
    return RigMeter(Driver(TRACKS, parts, [turn]), load_head().expression_names, (neck,))


def usual(frames=LAST - FIRST + 1):
    """A mouth that opens and shuts, with rounding, smiles, two blinks and a head that nods."""
    t = np.arange(frames)
    shut = np.isin(t % 21, (7, 8, 9))
    jaw = np.where(shut, 0.06, 0.05 + 0.09 * (1 - np.cos(t / 3.1)))
    made = {
        "mouthClose": np.where(shut, 0.06 / 0.3, 0.02),
        "mouthFunnel": 0.3 + 0.25 * np.sin(t / 4.0),
        "mouthPucker": np.clip(0.5 * np.sin(t / 6.3), 0, 1),
        "mouthSmileLeft": 0.2 + 0.2 * np.sin(t / 9.0),
        "mouthSmileRight": 0.25 + 0.2 * np.sin(t / 9.0),
        "browInnerUp": np.clip(np.sin(t / 12.0), 0, 1) ** 2,
    }
    for side in ("Left", "Right"):
        made["eyeBlink" + side] = np.exp(-(((t[:, None] - [17, 49]) / 1.6) ** 2)).sum(1)
    names = load_head().expression_names
    expression = np.stack([made.get(name, 0.0 * t) for name in names], 1)
    still = np.zeros((frames, 3))
    head = np.stack([0.1 * np.sin(t / 7), 0.15 * np.sin(t / 11), 0.0 * t], 1)
    return Motion(expression, np.stack([jaw, 0 * t, 0 * t], 1), head, still)


def restless(frames=LAST - FIRST + 1):
    """A performance in which everything changes at its own pace, with holds and jumps."""
    rng, motion = np.random.default_rng(4), usual(frames)
    at = np.linspace(0, frames - 1, 20)

    def curve(low, high):
        points = rng.uniform(low, high, len(at))
        points[4:7], points[12:14] = points[4], points[12]
        return np.interp(np.arange(frames), at, points)

    names = list(load_head().expression_names)
    for name in PARTS:
        motion.expression[:, names.index(name)] = curve(0.0, 0.7)
    motion.jaw[:, 0] = np.clip(curve(-0.08, 0.25), 0, None)
    head = np.stack([curve(-0.2, 0.2) for _ in range(3)], 1)
    return replace(motion, head=head)


def values_of(meter, motion):
    """Values [T, tracks] of the rig on each frame of a take."""
    rows = []
    for place, name in enumerate(PARTS):
        rows.append(motion.expression[:, list(meter.channels).index(name)])
    neck = mapping.rotation_values(motion.head, "QUATERNION")
    return np.column_stack([*rows, motion.jaw[:, 0], neck])


def before(meter, values):
    """The state before a commit: an animator's curves, one of them with cycles."""
    rest = np.array([track.rest for track in TRACKS])
    frames = np.arange(FIRST - LEAD, LAST + LEAD + 1.0)
    inside = np.clip(frames - FIRST, 0, len(values) - 1)
    ease = np.clip(np.minimum(frames - frames[0], frames[-1] - frames) / LEAD, 0, 1)[:, None]
    eased = rest + ease * (values[inside.astype(int)] - rest)

    def sampled(place):
        return lambda times: np.interp(np.asarray(times, float), frames, eased[:, place])

    of_take = [{}, {}]
    for place, track in enumerate(TRACKS):
        keys = keyframes.on_every_frame(frames, eased[:, place])
        curve = replace(Curve.of_keys(keys), sampled=sampled(place))
        of_take[track.block][track.path, track.index] = curve

    def keys(*points):
        points = np.array(points, float)
        level = [1.5, 0.0]
        return keyframes.bezier_keys(points, points - level, points + level, keyframes.ALIGNED)

    smile, brow = (TRACKS[PARTS.index(name)].path for name in ("mouthSmileLeft", "browInnerUp"))
    animators = {
        (smile, 0): Curve.of_keys(keys((1, 0.0), (8, 0.4), (30, 0.8), (66, 0.1), (80, 0.5))),
        (brow, 0): replace(
            Curve.of_keys(keys((3, 0.1), (20, 0.6))),
            cycles=Cycles(("REPEAT", 0), ("MIRROR", 0)),
            is_plain=False,
        ),
    }
    blocks = Block("Acting", None, animators, of_take[0], ()), Block(None, None, {}, of_take[1])
    limits = ((0.0, 1.0),) * len(PARTS) + (None,) * 5
    take = Take("line", FIRST, LAST, LEAD, LEAD, score=80.0)
    return StateBefore(
        take, blocks, meter, ("QUATERNION",), REGIONS, limits, tuple(rest), {}, 1, 250, 24.0
    )


WAYS = {
    "poses": {},
    "poses that are exact": {"error": 0.2, "markers": True},
    "few poses": {"error": 1.5, "blend": 8},
    "dense": {"keys": "DENSE"},
    "added": {"how": "ADD", "to": "OWN"},
    "inserted": {"how": "INSERT", "keys": "DENSE"},
    "a new action": {"to": "NEW"},
    "a strip": {"to": "STRIP", "how": "ADD", "keys": "DENSE"},
    "only the mouth": {"regions": frozenset({"Mouth", "Jaw"})},
    "in twos": {"step": 2},
    "part of it": {"first": FIRST + 9, "last": LAST - 20},
}


# Ways that look for frames to key.
SEARCHED = ("poses", "poses that are exact", "few poses", "dense", "in twos")


@pytest.mark.parametrize(
    "act, way", [*((usual, way) for way in WAYS), *((restless, way) for way in SEARCHED)]
)
def test_a_commit_draws_the_keys_that_it_drew(meter, act, way):
    state = before(meter, values_of(meter, act()))
    how = {"first": FIRST, "last": LAST, "backup": False} | WAYS[way]
    choice = Choice(**how)
    planned = result(planning.plan(state, choice))
    sampled = result(fitting.sample(state, planned))
    fitted = result(fitting.fit(state, planned, sampled))
    made = result(drawing.draw(state, planned, sampled, fitted))
    found = {}
    for where in ("curves", "above"):
        for block, curves in enumerate(getattr(made, where)):
            for curve in curves:
                at = f"{where} {block} {curve.path} {curve.index}"
                found |= {
                    f"{at}: {name}": part
                    for name, part in curve.keys.items()
                    # types of handles that are level to the last digit differ between processors
                    if curve.path != NECK or not name.startswith("handle")
                }
    found["score"] = -1.0 if made.score is None else made.score.take
    found["labels"] = " ".join(f"{frame} {name}" for frame, name in made.labels)
    found["names"] = " ".join(sorted({key.partition(":")[0] for key in found}))
    compare(f"commit of a {act.__name__} take: {way}", found)


@pytest.mark.parametrize("act", [usual, restless])
def test_keys_that_are_reduced_and_their_labels_are_what_they_were(meter, act):
    values = values_of(meter, act())
    frames = np.arange(len(values))
    times = times_of(frames)
    fine = np.stack([np.interp(times, frames, column) for column in values.T], 1)
    reduced = result(reduction.fit(meter, frames, fine, 0.4))
    found = {"error": reduced.error}
    for place, keys in enumerate(reduced.keys):
        found |= {f"{name} {place}": part for name, part in vars(keys).items()}
    chosen = np.ones(len(TRACKS), bool)
    posed = result(posing.fit(meter, frames, fine, chosen, list(REGIONS), 0.6))
    (columns, *_) = posed.columns
    labels = posing.labels(meter, frames, fine, columns, 24.0, (FIRST, LAST))
    found["labels"] = " ".join(f"{frame} {name}" for frame, name in labels)
    compare(f"reduced keys of a {act.__name__} take", found)


def test_eyes_look_at_a_target_and_away_as_they_did():
    rng, length = np.random.default_rng(2), 120
    gaze_of_take = np.repeat(rng.normal(0, 0.15, (12, 3)), 10, 0)
    neck = 0.1 * np.sin(np.arange(length)[:, None] / [9.0, 14.0, 20.0])
    points = np.stack([np.linspace(-0.8, 1.4, length), *np.ones((2, length))], 1)
    joint, between = np.zeros(3), np.array([0.0, 0.1, 0.1])
    found = {}
    for share in (0.0, 0.5, 1.0):
        turned = gaze.turn_head(points, neck, joint, between, share)
        wanted = gaze.directions(points, turned, joint, between)
        found[f"neck {share}"] = turned
        for leaves in (0.0, 0.3, 0.6):
            eyes = gaze.look_at(gaze_of_take, turned, wanted, leaves)
            found[f"eyes {share} {leaves}"] = eyes
    compare("eyes at a target", found)
