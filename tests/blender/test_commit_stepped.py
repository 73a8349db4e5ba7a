# SPDX-License-Identifier: GPL-3.0-or-later
"""Commits on twos and threes: constant keys on one grid of frames, no closure of the lips and no
blink lost between them."""

import numpy as np
import pytest
from commit_stage import animate, choose, curves_of, numbers, seen, show, stage  # noqa: F401
from thunder.scene.heads import head
from thunder.scene.takes.commit import committing
from thunder.thunder_core.face.lips import CLOSED_MM

pytestmark = pytest.mark.one_blender

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


@pytest.mark.parametrize("keys", ["POSES", "DENSE"])
@pytest.mark.parametrize("name, step", STEPS)
def test_poses_are_held_on_one_grid_and_keep_closures_and_blinks(
    blender, stage, scene, rig, name, step, keys
):
    entry = show(stage, seconds=6.0, start=22.0)
    times = entry.first + np.arange((entry.last - entry.first) * 8 + 1) / 8
    _, motion, gap = numbers(rig, times)
    choose(scene, to="NEW", keys=keys, step=name, error=0.6)
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


@pytest.mark.parametrize(
    "to, how", [("COPY", "REPLACE"), ("OWN", "ADD"), ("OWN", "INSERT"), ("STRIP", "REPLACE")]
)
def test_what_the_animator_has_outside_stays(blender, stage, scene, rig, to, how):
    animate(rig)
    scene.frame_end = 250
    outside = [*range(1, 9), *range(120, 150, 7)]
    before = seen(blender, scene, outside)
    entry = show(stage, start=31.0)
    choose(scene, to=to, how=how, step="TWOS")
    was = committing.choice_of(scene, entry)
    assert (was.step, was.blend) == (2, 1)
    blender.ops.thunder.commit_take()
    if how == "INSERT":
        later = was.span.end - was.first
        outside = [frame if frame < 31 else frame + later for frame in outside]
        tolerance = 0.05  # rests on the grid, up to a frame beside
    else:
        tolerance = 1e-4
    assert np.abs(seen(blender, scene, outside)[:, :-1] - before[:, :-1]).max() < tolerance


def test_committed_again_on_ones_the_animators_edits_stay_and_nothing_of_the_steps(
    blender, stage, scene, rig
):
    animate(rig)
    entry = show(stage, start=31.0)
    choose(scene, to="OWN", step="THREES")
    blender.ops.thunder.commit_take()
    smile = rig.keys.key_blocks["mouthSmileLeft"]
    smile.value = 0.9
    smile.keyframe_insert("value", frame=entry.last + 40)
    for step in ("THREES", "ONES"):
        scene.thunder.active_take = 0
        choose(scene, step=step)
        blender.ops.thunder.commit_take()
        scene.frame_set(entry.last + 40)
        assert smile.value == pytest.approx(0.9, abs=1e-5)
    keys = new_keys(rig, entry.first - 9, entry.last + 9)
    assert "CONSTANT" not in {kind for of_curve in keys for _, kind in of_curve}
