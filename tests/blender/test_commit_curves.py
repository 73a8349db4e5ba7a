# SPDX-License-Identifier: GPL-3.0-or-later
"""What a committed take's curves look like in the graph editor: exact ends, no keys for what nobody
sees, short level handles; on twos and threes constant keys on one grid, with no closure of the lips
and no blink lost between them."""

from dataclasses import replace

import numpy as np
import pytest
from commit_stage import animate, choose, curves_of, numbers, path_of, seen, show, spoken, stage  # noqa: F401
from performances import set_keys, show_take
from thunder.scene.animation import display
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.takes.commit import committing
from thunder.scene.takes.commit.committing import choice_of
from thunder.thunder_core import progress, types
from thunder.thunder_core.face.lips import CLOSED_MM

pytestmark = pytest.mark.one_blender
LONGEST = 3.0  # frames of a handle that shapes nothing
NOISE, DRIFT, TWITCH = "cheekPuff", "cheekSquintLeft", "noseSneerRight"


def rough(seconds=2.0, seed=5):
    """A spoken performance with what sampled takes have: a channel of noise, one that drifts by
    little, one that twitches."""
    made = spoken(seconds=seconds, seed=seed)
    expression = made.motion.expression.copy()
    rng, t = np.random.default_rng(seed), np.arange(len(expression)) / 25
    expression[:, made.channels.index(NOISE)] = 1e-4 + 1e-4 * rng.uniform(-1, 1, len(t))
    expression[:, made.channels.index(DRIFT)] = 0.004 + 0.003 * np.sin(t)
    expression[:, made.channels.index(TWITCH)] = 0.03 + 0.02 * np.sin(9 * t)
    return replace(
        made, motion=types.Motion(expression, made.motion.jaw, made.motion.head, made.motion.eyes)
    )


@pytest.fixture
def committed(stage):
    """Commits a rough take to an action of its own: (the report, its curves by path and index, what
    the take had at a frame)."""

    def done(error=0.6):
        scene, rig = stage
        entry = show_take(stage, rough(), 21.0)
        had = {
            (c.data_path, c.array_index): c
            for part in display.actions_of(entry)
            for c in compat.all_curves(part)
        }
        choose(scene, error=error, to="NEW")
        report = progress.result(committing.commit(rig, entry, "line", choice_of(scene, entry)))
        return report, curves_of(rig), lambda path, frame: had[path].evaluate(frame)

    return done


def test_a_line_ends_exactly_as_the_take_does_whatever_action_is_left_behind(committed):
    """At both ends of its leads the take is at rest; whatever the line ends with is held for ever
    after."""
    reports = []
    for _ in range(2):
        report, curves, take = committed()
        first, last = report.first, report.first + report.frames - 1
        reports.append((first, last))
        for path, curve in curves.items():
            assert curve.evaluate(first) == curve.evaluate(first - 50) == take(path, first), path
            assert curve.evaluate(last) == curve.evaluate(last + 500) == take(path, last), path
        assert (path_of(NOISE), 0) not in curves, "what nobody sees move has no keys to move it"
    assert reports[0] == reports[1]


def test_handles_are_short_and_level_where_they_shape_nothing(committed):
    _, curves, _ = committed()
    holds = 0
    for path, curve in curves.items():
        keys = [
            [np.array(part) for part in (p.co, p.handle_left, p.handle_right)]
            for p in curve.keyframe_points
        ]
        into, out = keys[0][1] - keys[0][0], keys[-1][2] - keys[-1][0]
        assert max(-into[0], out[0]) <= LONGEST + 1e-3 and abs(into[1]) + abs(out[1]) < 1e-6
        for (a, _, out), (b, into, _) in zip(keys[:-1], keys[1:]):
            longest = max(out[0] - a[0], b[0] - into[0])
            level = abs(out[1] - a[1]) < 1e-6 and abs(into[1] - b[1]) < 1e-6
            assert longest <= (b[0] - a[0]) / 3 + 1e-3, path
            assert level or a[1] != b[1], path
            if level and a[1] == b[1]:
                holds += 1
                assert longest <= LONGEST + 1e-3, path
    assert holds


STEPS = [("TWOS", 2), ("THREES", 3)]
BLINK = 0.3


def runs(mask):
    """First and last index of each run of True."""
    places = np.flatnonzero(mask)
    return [
        (run[0], run[-1])
        for run in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
        if len(run)
    ]


def kept(before, after, spread):
    """(runs of `before`, those with a True in `after` up to `spread` samples away)."""
    all_runs = runs(before)
    return len(all_runs), sum(after[max(0, a - spread) : b + spread + 1].any() for a, b in all_runs)


def lids(motion, channels):
    return motion.expression[
        :, [channels.index(f"eyeBlink{side}") for side in ("Left", "Right")]
    ].mean(1)


def new_keys(rig, first, last):
    """(frame, interpolation) of the keys on a take's frames, of each curve that moves."""
    for curve in curves_of(rig).values():
        keys = [
            (point.co[0], point.interpolation)
            for point in curve.keyframe_points
            if first <= point.co[0] <= last
        ]
        if len(keys) > 1:
            yield keys


@pytest.mark.parametrize("name, step", STEPS)
def test_poses_are_held_on_one_grid_and_keep_closures_and_blinks(
    blender, stage, scene, rig, name, step
):
    entry = show(stage, seconds=6.0, start=22.0)
    times = entry.first + np.arange((entry.last - entry.first) * 8 + 1) / 8
    _, motion, gap = numbers(rig, times)
    choose(scene, to="NEW", step=name, error=0.6)
    assert blender.ops.thunder.commit_take() == {"FINISHED"}
    frames = set()
    for of_curve in new_keys(rig, entry.first - 30, entry.last + 30):
        inner = [(frame, kind) for frame, kind in of_curve if entry.first <= frame <= entry.last]
        assert {kind for _, kind in inner} <= {"CONSTANT"}
        frames |= {frame for frame, _ in inner}
    assert frames and all((frame - scene.frame_start) % step == 0 for frame in frames)
    _, after, gap_after = numbers(rig, times)
    count, still = kept(gap < CLOSED_MM, gap_after < CLOSED_MM, 8 * step)
    assert count == still >= 3
    count, still = kept(
        lids(motion, head.channel_names()) >= BLINK,
        lids(after, head.channel_names()) >= BLINK,
        8 * step,
    )
    assert count == still >= 1
    held = [
        np.ptp(gap_after[8 * at : 8 * (at + step) - 1])
        for at in range((1 - entry.first) % step, len(times) // 8 - step, step)
    ]
    assert max(held) < 1e-3


def test_committed_again_on_ones_the_animators_edits_stay_and_nothing_of_the_steps(
    blender, stage, scene, rig
):
    animate(rig)
    entry = show(stage, start=31.0)
    choose(scene, to="OWN", step="THREES")
    blender.ops.thunder.commit_take()
    smile = rig.keys.key_blocks["mouthSmileLeft"]
    set_keys(smile, "value", {entry.last + 40: 0.9})
    for step in ("THREES", "ONES"):
        scene.thunder.active_take = 0
        choose(scene, step=step)
        blender.ops.thunder.commit_take()
        scene.frame_set(entry.last + 40)
        assert smile.value == pytest.approx(0.9, abs=1e-5)
    keys = new_keys(rig, entry.first - 9, entry.last + 9)
    assert "CONSTANT" not in {kind for of_curve in keys for _, kind in of_curve}
