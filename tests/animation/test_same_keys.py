# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that a commit makes of a performance, in every way it can, once and again, are what is
stored."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from stored import compare, drawn

from thunder_core.animation import (
    gaze,
    keyframes,
    keys,
    placing,
    pose_fit,
    pose_thinning,
    poses,
)  # fmt: skip
from thunder_core.animation.commit import curves, fitting, planning
from thunder_core.animation.commit.before import (
    Block,
    CommitChoice,
    CommittedTake,
    Curve,
    StateBefore,
    Strip,
    StripCurve,
)
from thunder_core.animation.keyframes import Cycles
from thunder_core.animation.keys import SAMPLES
from thunder_core.face import mapping
from thunder_core.face.head import load_head
from thunder_core.face.moving.displacement import RigMeter
from thunder_core.face.moving.driving import BoneTurn, Driver, Track
from thunder_core.progress import map_progress, result
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
    turn = BoneTurn(
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
    take = CommittedTake("line", FIRST, LAST, LEAD, LEAD, score=80.0)
    return StateBefore(
        take, blocks, meter, ("QUATERNION",), REGIONS, limits, tuple(rest), {}, 1, 250, 24.0
    )


WAYS = {
    "poses": {},
    "poses that are exact": {"error": 0.2},
    "few poses": {"error": 1.5, "blend": 8},
    "added": {"how": "ADD", "to": "OWN"},
    "inserted": {"how": "INSERT", "error": 0.0},
    "a new action": {"to": "NEW"},
    "a strip": {"to": "STRIP", "how": "ADD", "error": 0.0},
    "only the mouth": {"regions": frozenset({"Mouth", "Jaw"})},
    "in twos": {"step": 2},
    "part of it": {"first": FIRST + 9, "last": LAST - 20},
    "blocked": {"keys": "BLOCKING"},
    "blocked with breakdowns": {"keys": "BLOCKING", "breakdowns": True},
    "blocked in threes": {"keys": "BLOCKING", "step": 3, "error": 0.3},
    "every key": {"error": 0.0, "blend": 1},
    "every key added": {"error": 0.0, "how": "ADD"},
}


def finished(stage):
    """What a stage returns; its progress is 0 … 1."""
    told = [0.0]
    value = result(map_progress(stage, told.append))
    assert min(told) >= 0.0 and max(told) <= 1.0
    return value


def commit(state, how):
    """(plan, sampled, fitted, drawing) of a commit of its whole take, or as chosen."""
    whole = {"first": state.take.first, "last": state.take.last, "backup": False}
    planned = finished(planning.plan(state, CommitChoice(**whole | how)))
    sampled = finished(fitting.sample(state, planned))
    fitted = finished(fitting.fit(state, planned, sampled))
    return planned, sampled, fitted, finished(curves.draw(state, planned, sampled, fitted))


# Ways that look for frames to key.
SEARCHED = ("poses", "poses that are exact", "few poses", "in twos", "blocked")


@pytest.mark.parametrize(
    "act, way", [*((usual, way) for way in WAYS), *((restless, way) for way in SEARCHED)]
)
def test_a_commit_draws_the_keys_that_it_drew(meter, act, way):
    state = before(meter, values_of(meter, act()))
    *_, made = commit(state, WAYS[way])
    found = {}
    for where in ("curves", "above"):
        for block, new_curves in enumerate(getattr(made, where)):
            for curve in new_curves:
                at = f"{where} {block} {curve.path} {curve.index}"
                # handles that are level to the last digit differ between processors
                found |= drawn(at, curve.keys, curve.path != NECK)
    found["score"] = -1.0 if made.score is None else made.score.take
    found["names"] = " ".join(sorted({key.partition(":")[0] for key in found}))
    compare(f"commit of a {act.__name__} take: {way}", found)


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


# ---- lines that are committed again, and beside strips

SMILE, BROW = ((TRACKS[PARTS.index(name)].path, 0) for name in ("mouthSmileLeft", "browInnerUp"))
LENGTH = LAST - FIRST + 1
EVERY, BLOCKED = {"error": 0.0}, {"keys": "BLOCKING"}  # both are quick
# Of each scenario the commits: (line, frames by which it is later, choices).
SCENARIOS = {
    "the same place": [("a", 0, {}), ("a", 0, {})],
    "moved a little": [("a", 0, BLOCKED), ("a", 7, EVERY)],
    "moved away": [("a", 0, EVERY), ("a", 90, {"blend": 6, **BLOCKED})],
    "another line beside it": [("a", 0, BLOCKED), ("b", LENGTH + 4, {}), ("a", 3, BLOCKED)],
    "another line in it": [("a", 0, {}), ("b", 30, EVERY), ("a", 0, {})],
    "inserted before it": [("a", 20, BLOCKED), ("b", 0, {"how": "INSERT"}), ("a", 110, BLOCKED)],
    "inserted into it": [("a", 0, EVERY), ("b", 25, {"how": "INSERT", **BLOCKED})],
    "added to itself": [("a", 0, {}), ("a", 0, {"how": "ADD"})],
    "only the mouth again": [("a", 0, BLOCKED), ("a", 2, {**WAYS["only the mouth"], **EVERY})],
    "part of it again": [("a", 0, EVERY), ("a", 0, {"first": FIRST + 15, "last": LAST - 9})],
    "in threes": [("a", 0, {"step": 3}), ("a", 4, {"step": 3})],
    "as poses after Blocking": [("a", 0, BLOCKED), ("a", 1, {"error": 1.2})],
}


@pytest.fixture(scope="module")
def values(meter):
    return values_of(meter, usual())


def moved(curve, by):
    """A curve of the take, `by` frames later."""
    later = keyframes.move(curve.keys, by)
    return replace(
        Curve.of_keys(later), sampled=lambda times: curve.sampled(np.asarray(times) - by)
    )


def state_of(meter, values, line, by, **more):
    """The state before a line is committed, `by` frames later than the stored one."""
    state = before(meter, values)
    take = replace(
        state.take, line=line, first=FIRST + by, last=LAST + by, voice=f"voice of {line}"
    )
    blocks = tuple(
        replace(block, take={place: moved(curve, by) for place, curve in block.take.items()})
        for block in state.blocks
    )
    return replace(state, take=replace(take, **more), blocks=blocks)


def then(state, planned, made):
    """What a later commit finds: the curves that were drawn, of which the animator has raised one
    key each and deleted the next."""
    blocks = []
    for block, of_block in zip(state.blocks, made.curves):
        curves = dict(block.curves)
        for one in of_block:
            middle = len(one.keys["co"]) // 2
            keys = keyframes.select(one.keys, np.arange(len(one.keys["co"])) != middle + 1)
            keys["co"][middle, 1] += 0.1
            curves[one.path, one.index] = Curve.of_keys(keys)
        lines = planned.names.lines
        blocks.append(replace(block, action="Acting", lines=lines, curves=curves))
    return {"blocks": tuple(blocks), "line_keys": made.line_keys}


def told(planned, sampled, fitted, made, state):
    """What a commit planned, drew and reports, in numbers and texts."""
    said = curves.report(state, planned, sampled, fitted, made, ("Acting",), 999, "Earlier")
    found = {
        "names": " | ".join(
            f"{line.name} {line.first} {line.last} {line.start} {line.end} "
            f"{' '.join(sorted(line.regions))} {line.voice} {line.late}"
            for line in planned.names.lines.lines
        ),
        "called": f"{planned.names.of_copy('Acting')}, {planned.names.in_place('Acting.001')}",
        "how": f"{planned.choice.to} {planned.choice.how} {planned.takes_part}",
        "spans": [[span.first, span.last, span.blend] for span in planned.spans],
        "chosen": [*planned.is_chosen, *planned.is_above],
        "still": " ".join(f"{track.path} {track.index} {value:.3f}" for track, value in made.still),
        "counts": [said.keys, said.key_frames, said.first, said.frames, said.edited, *made.edited],
        "error": -1.0 if said.error is None else said.error,
        "warnings": " ".join(said.warnings),
    }
    for line, known in made.line_keys.items():
        sizes = [len(known.curves[name]) for name in sorted(known.curves)]
        found[f"keys of {line}"] = [known.shift, *sizes]
    for one in itertools.chain(*made.curves, *made.above):
        found |= drawn(f"{one.path} {one.index}", one.keys, False)
        found[f"{one.path} {one.index}: of the take"] = (one.of_take or one.keys)["co"][:, 0]
    return found


@pytest.mark.parametrize(
    "scenario, unique", [*((name, False) for name in SCENARIOS), ("moved away", True)]
)
def test_lines_that_are_committed_again_have_the_keys_that_they_had(
    meter, values, scenario, unique
):
    there = {}
    for line, by, how in SCENARIOS[scenario]:
        state = state_of(meter, values, line, by, is_unique=unique, change="It is older")
        if there:
            pairs = zip(there["blocks"], state.blocks)
            there["blocks"] = tuple(replace(block, take=new.take) for block, new in pairs)
            state = replace(state, **there)
        made = commit(state, how)
        there = then(state, made[0], made[-1])
    name = f"committed again, {scenario}" + (" as its own strip" if unique else "")
    compare(name, told(*made, state))


@pytest.mark.parametrize("to", ["COPY", "NEW", "STRIP"])
@pytest.mark.parametrize("how", ["REPLACE", "ADD"])
@pytest.mark.parametrize("has_action", [True, False])
def test_takes_over_strips_have_the_keys_that_they_had(meter, values, to, how, has_action):
    strips = (
        Strip(FIRST + 30.0, LAST + 100.0, 0.0, 35.0),
        Strip(-90.0, FIRST - 4.0, 5.0, 60.0, 2.0, is_reversed=True),
    )
    plays = [
        {place: StripCurve(strip, np.arange(0.0, 61.0, 12.0), lambda time: 0.01 * time)}
        for strip, place in zip(strips, (SMILE, BROW))
    ]
    state = state_of(meter, values, "a", 0)
    block = replace(state.blocks[0], strips=tuple(zip(strips, plays)))
    if not has_action:
        block = replace(block, action=None, curves={})
    state = replace(state, blocks=(block, state.blocks[1]))
    found = told(*commit(state, {"to": to, "how": how, **EVERY}), state)
    compare(f"over strips: {to} {how}" + (" beside an action" if has_action else ""), found)


@pytest.mark.parametrize(
    "regions, is_said", [({"Brows"}, False), ({"Jaw"}, True), ({"Mouth"}, True)]
)
def test_an_error_of_lips_is_said_where_they_are_committed(meter, values, regions, is_said):
    state = state_of(meter, values, "a", 0)
    made = commit(state, BLOCKED | {"regions": frozenset(regions)})
    said = curves.report(state, *made, ("Acting",), 999, "")
    assert (said.error is not None) == is_said


# ---- the steps from curves to keys, alone

FRAMES = 60


def made_curves(seed):
    """Curves [S, 6] that move at their own paces, with a hold, a jump and one that never moves; a
    gap of lips [S] that meet twice; and what the curves do to points."""
    rng, at = np.random.default_rng(seed), np.arange((FRAMES - 1) * SAMPLES + 1) / SAMPLES
    points = rng.uniform(0, 1, (FRAMES // 3 + 1, 6))
    points[7:12], points[15:, 1], points[:, 5] = points[7], points[15:, 1] + 0.5, 0.3
    curves = np.stack([np.interp(at, np.arange(len(points)) * 3, each) for each in points.T], 1)
    pulls = rng.normal(0, 3, (6, 8, 3)), rng.uniform(0.5, 1.5, 8), rng.normal(0, 2, 6)
    return curves, 3.0 + 3.0 * np.cos(at / 3.2), keys.Measure(*pulls)


def made_region(seed, weight=1.0):
    """Three of these curves, to be keyed together."""
    curves, gap, measure = made_curves(seed)
    low, high = curves[:, :3].min(0), curves[:, :3].max(0)
    weight = weight * np.stack([np.ones(len(curves)), (gap < 0.5) / 0.2], 1)
    flat = measure.flat(np.arange(3))
    return pose_fit.Region(curves[:, :3], flat, weight, 0.02 * (high - low), low, high)


def fields(name, made):
    return {f"{name}: {part}": value for part, value in vars(made).items()}


def of_poses(name, fitted):
    """Poses in numbers and texts."""
    found = {f"{name}: off": max(part[2].off.max() for part in fitted.parts if part)}
    for place, curve in enumerate(fitted.curves[:5]):  # the last one never moves
        found |= fields(f"{name} {place}", curve)
    for place, columns in enumerate(fitted.columns):
        said = (f"{each.index} {each.kind} {each.pose}" for each in columns)
        found[f"{name}: columns {place}"] = " ".join(said)
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_curves_become_poses_and_are_mended_as_before(seed):
    curves, gap, measure = made_curves(seed)
    regions = ("Mouth", "Jaw", "Brows", "Eyes", "Head", "Brows")
    fitted = finished(poses.fit(curves, regions, measure, gap, 0.5, 0.3, np.array([12, 40])))
    found, off = (
        of_poses("fitted", fitted),
        0.5 + np.exp(-(((np.arange(len(curves)) - 104) / 5) ** 2)),
    )
    found |= of_poses("mended", finished(fitted.mend(off, [10, 29])))
    compare(f"poses of made curves {seed}", found)


@pytest.mark.parametrize("seed", [3, 4])
def test_frames_of_keys_are_chosen_and_fitted_as_before(seed):
    region, rng = made_region(seed), np.random.default_rng(seed)
    of_region = region.curves, region.flat
    cost = finished(pose_fit.find_segments(*of_region, region.weight, region.slack, 24))
    price = np.where(rng.uniform(size=FRAMES) < 0.3, 0.05, 1.0)
    level, stay = {10, 11, 30}, {0, 10, 11, FRAMES - 1}
    piece, of_piece = finished(pose_fit.fit_piece(region, cost, price, 0, FRAMES - 1, level))
    columns = pose_fit.RegionKeys(piece, of_piece.value, of_piece.out, of_piece.into)
    wanted, slack = rng.normal(size=(3, 7, 4)), rng.uniform(0, 0.3, (7, 4))
    slopes = rng.uniform(size=(8, 4)), *rng.normal(size=(2, 7, 4))
    off = np.abs(rng.normal(0, 0.8, 30 * SAMPLES + 1))
    found = {
        "cost": np.where(np.isfinite(cost), cost, -1.0),
        "path": finished(pose_fit.cheapest_path(cost, price, 3, 51, 1.3)),
        "holds": pose_fit.find_holds(*of_region),
        "extremes": pose_fit.find_extremes(*of_region),
        "piece": piece,
        "begins and ends": region.level_ends,
        "nearest": pose_fit._nearest_segments(wanted, slack),
        "bounded": pose_fit.bound_slopes(*slopes, slack, np.zeros(4), np.ones(4)),
        "more": sorted(pose_fit._more([20, 25, 26, 27, 38, 50], off)),
    } | fields("of the piece", of_piece)
    few = [0, 6, 14, 25, 40, 59]
    for name, *given in (
        ("fitted", few, level),
        ("tried", few, set(), True),
        ("between", few[1:4], {8}, False, region.curves[[0, 200]]),
    ):
        found |= fields(name, finished(region.fit(*given)))
    finished(columns.remove_spare(region, cost, price, level, stay))
    found |= fields("spared", columns)
    finished(columns.snap(region, set(range(0, FRAMES, 4)), level, stay))
    compare(f"frames of made curves {seed}", found | fields("snapped", columns))


@pytest.mark.parametrize("seed", [5, 6])
def test_keys_of_each_curve_are_thinned_as_before(seed):
    region, rng, curves = made_region(seed, 0.15), np.random.default_rng(seed), []
    frames = sorted({0, FRAMES - 1, 20, 21, 40, 41, *range(2, FRAMES, 3)})
    for channel in range(3):
        value = region.curves[np.array(frames) * SAMPLES, channel]
        value[5:8] = value[5] + np.array([0.0, 1e-3, -1e-3])
        slopes = rng.normal(0, 0.1, (2, len(frames) - 1))
        curves.append(pose_thinning.ThinnedCurve(frames, value, *slopes))
    made = pose_thinning.Thinning(region, curves, {20, 21})
    only, found = rng.uniform(size=FRAMES) < 0.7, {}
    finished(made.measure())
    for name, step in {
        "aligned": lambda channel: made.align(channel, only),
        "evened": made.even_out,
        "thinned in part": lambda channel: made.thin(channel, 0.02, only),
        "joined": lambda channel: made.join(channel, {20, 40}),
        "set": lambda channel: made.set_keys(13 + channel),
        "thinned": lambda channel: made.thin(channel, 0.1),
        "joined in part": lambda channel: made.join(channel, {20}, only),
        "aligned again": made.align,
    }.items():
        for channel in range(3):
            finished(step(channel))
            found |= fields(f"{name} {channel}", made.curves[channel])
        found[f"{name}: off"] = made.off.copy()
    compare(f"thinned keys of made curves {seed}", found | {"errors": made.errors_on(30)})


def made_keys(seed, count=9):
    """Keys of all interpolations that can be evaluated, with handles that reach far."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.integers(2, 9, count)).astype(float)
    points = np.stack([times, rng.uniform(0, 1, count)], 1)
    reach = np.stack([rng.uniform(0.3, 6, count), rng.normal(0, 0.3, count)], 1)
    made = keyframes.bezier_keys(points, points - reach, points + 0.8 * reach, keyframes.ALIGNED)
    made["interpolation"][3:4], made["interpolation"][6:7] = keyframes.CONSTANT, keyframes.LINEAR
    return made


@pytest.mark.parametrize("seed", [9, 10, 11])
def test_keys_are_cut_joined_repeated_and_placed_as_before(seed):
    made, inner, base = made_keys(seed), made_keys(seed + 30, 4), np.sin(np.arange(80) / 5)
    times, frames = made["co"][:, 0].astype(float), np.arange(60.0)

    def value_at(frame):
        return float(keyframes.evaluate(made, np.array([frame]))[0])

    apart = keyframes.to_relative(made, np.arange(80.0), base, 3)
    changed = np.arange(20.0, 24.0), frames, base[:60], np.full(4, 0.3), slice(20, 24)
    both, once, none = ("REPEAT_OFFSET", 0), ("REPEAT_OFFSET", 1), ("NONE", 0)
    cycles = (
        Cycles(both, once),
        Cycles(none, both),
        Cycles(("MIRROR", 0), none),
        Cycles(both, none, False),
    )
    shape, results = placing.CurveShape(made, value_at), {
        "between": keyframes.keys_between(made, times[1] + 1, times[7] - 1, value_at),
        "joined": keyframes.join_at_key(made, keyframes.move(made, 40.0, 0.2)),
        "apart": apart,
        "back": keyframes.to_absolute(apart, np.arange(80.0), base + 0.1, 5),
        "set between": keyframes.set_values(made, *changed),
        "set": keyframes.set_values(keyframes.on_every_frame(frames, base[:60]), *changed),
    }  # fmt: skip
    for at in (times[1] + 1.3, times[3] + 0.9, times[6] + 0.5, times[2]):
        results[f"cut {at:.1f}"] = keyframes.cut(made, at, value_at)
    for number, each in enumerate(cycles):
        results[f"cycles {number}"] = keyframes.repeat(made, each, -30.5, 110.0, value_at)
    for start in (-20.0, times[2] + 1, times[4], 80.0):
        moved = keyframes.move(inner, start - inner["co"][0, 0])
        for blend in (2, 5):
            span = placing.Span(int(start), int(moved["co"][-1, 0]), blend)
            results |= {
                f"placed {start} {blend}": placing.place_keys(span, moved, shape),
                f"inserted {start} {blend}": placing.place_keys(span, moved, shape, True),
                f"held {start} {blend}": placing.hold_around(span, moved, 0.4),
                f"gap {start} {blend}": placing.open_gap(span, shape),
            }
    for mask in ("010000000", "001110000", "000001111", "111111111", "110000011"):
        for name, ours in (("all", np.ones(9, bool)), ("some", np.arange(9) % 3 > 0)):
            gone = np.array(list(mask)) == "1"
            results[f"without {mask} {name}"] = placing.remove_keys(made, gone, ours, 3.0)
    found = {"values": keyframes.evaluate(made, np.linspace(-3, 60, 200))}
    for name, each in results.items():
        found |= drawn(name, each)
    compare(f"made keys {seed}", found)


def test_a_curve_is_level_where_both_keys_and_the_handles_between_them_have_its_value():
    points = np.array([(10, 0.5), (20, 0.5), (30, 0.5), (40, 0.9)])
    made = keyframes.bezier_keys(points, points - [2, 0], points + [2, 0], keyframes.ALIGNED)
    made["handle_right"][1, 1] += 0.1
    ramp = [0, 5, 10, 40, 1500], [0.3, 0.5, 0.5, 0.9, 0.9]
    shape = placing.CurveShape(made, lambda frame: float(np.interp(frame, *ramp)))
    level = [frame for frame in (2, 10, 15, 19.9, 20, 25, 30, 35, 40) if shape.is_level(frame, 0.5)]
    assert level == [10, 15, 19.9] and shape.is_level(45, 0.9) and not shape.is_level(2, 0.3)
