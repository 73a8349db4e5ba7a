# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept of a take stays bit for bit while the rest is sampled again and flows into it."""

from dataclasses import replace

import numpy as np
import pytest
from speaking import enter, keys_of, same, speak, tracks, values_of
from thunder.scene.takes import keep as keep_module, provenance, track_values
from thunder.thunder_core import types
from thunder.thunder_core.face.lips import bundled_lips


def keep_of(stage, entry):
    frames = provenance.load(entry.action).motion.frames
    return keep_module.masks_of(*stage, entry, frames)


def as_an_engine_would(entry, keep, seed=50):
    """Another performance of the same length that keeps what it must and flows into it over six of
    its frames."""
    old = provenance.load(entry.action)
    free = types.pack(speak(seed=seed, closed=(0.8, 2.0)).motion)
    kept, mask = types.pack(old.motion), keep.mask
    result = np.where(mask, kept, free)
    for column in range(result.shape[1]):
        for at in np.flatnonzero(np.diff(mask[:, column].astype(int))):
            inside, step = (at, 1) if mask[at, column] else (at + 1, -1)
            off = kept[inside, column] - free[inside, column]
            slope = (kept[inside, column] - kept[inside - step, column]) - (
                free[inside, column] - free[inside - step, column]
            )
            for away in range(1, 7):
                row = inside + step * away
                if 0 <= row < len(result) and not mask[row, column]:
                    x = away / 7
                    result[row, column] += (1 - x * x * (3 - 2 * x)) * (off + slope * away)
    motion = types.unpack(result, len(old.channels))
    return replace(
        old,
        motion=motion,
        opening=bundled_lips().opening(motion, old.channels),
        seed=seed,
        score=77.0,
    )


def put_in(stage, entry, keep, new):
    scene, rig = stage
    list(keep_module.list_around(scene, rig, entry, keep, provenance.load(entry.action), new))
    return scene.thunder.takes[-1]


def flows(values, was, kept, most=1.6):
    """Whether numbers [S] go on across each border of what is kept without a step in place or in
    speed.

    A step is more than the fastest change of speed that either performance has inside itself.
    """
    wild = max(
        np.abs(np.diff(was, 2)).max(),
        np.abs(np.diff(values[~kept], 2)).max() if (~kept).sum() > 2 else 0.0,
        0.01,
    )
    for at in np.flatnonzero(np.diff(kept.astype(int))):
        near = values[max(at - 1, 0) : at + 3]
        if np.abs(np.diff(near, 2)).max(initial=0) > most * wild:
            return False
    return True


def test_kept_frames_are_bit_for_bit_the_takes_own(blender, stage, scene, rig):
    entry = enter(stage)
    keep_module.add_range(scene, 30, 55)
    before = keys_of(rig, entry)
    keep = keep_of(stage, entry)
    made = put_in(stage, entry, keep, as_an_engine_would(entry, keep))
    entry = scene.thunder.takes[0]
    assert (
        made.kind == "RESAMPLED"
        and made.score == pytest.approx(77.0)
        and len(scene.thunder.takes) == 2
    )
    now, frames = keys_of(rig, made), track_values.frames_of(entry)
    was, is_now = (values_of(rig, each, frames) for each in (entry, made))
    inside = (frames >= 30) & (frames <= 55)
    assert (was[inside] == is_now[inside]).all()
    changed = 0
    for place, (a, b) in enumerate(zip(before, now)):
        if len(a["co"]) == len(b["co"]) == len(frames):
            assert (a["co"][inside] == b["co"][inside]).all()
            changed += (a["co"][~inside] != b["co"][~inside]).any()
        assert flows(is_now[:, place], was[:, place], inside), rig.driver.tracks[place].path
    assert changed > 10  # and the rest is another performance
    assert same(before, keys_of(rig, entry))


def test_a_part_of_the_face_is_kept_all_along(blender, stage, scene, rig):
    entry = enter(stage)
    scene.thunder_keep.upper_face = scene.thunder_keep.head = True
    before, keep = keys_of(rig, entry), keep_of(stage, entry)
    made = put_in(stage, entry, keep, as_an_engine_would(entry, keep))
    now = keys_of(rig, made)
    for place in tracks(rig, "brow", "noseSneer", '"neck"'):
        assert same([before[place]], [now[place]]), rig.driver.tracks[place].path
    assert not same(
        [before[p] for p in tracks(rig, '"jaw"')], [now[p] for p in tracks(rig, '"jaw"')]
    )


def test_selected_keys_are_kept_and_the_rest_flows_into_them(blender, stage, scene, rig):
    entry = enter(stage)
    curves = track_values.curves(rig, entry)
    brow = tracks(rig, "browInnerUp")[0]
    for curve in curves:
        for point in curve.keyframe_points:
            point.select_control_point = False
    point = curves[brow].keyframe_points[44 + entry.lead_in]
    point.co[1], point.select_control_point = 0.95, True  # an accent set by hand
    curves[brow].update()
    scene.thunder_keep.selected = True
    assert {
        place: list(times) for place, times in keep_module.selected_keys(rig, entry).items()
    } == {brow: [45.0]}
    keep = keep_of(stage, entry)
    assert (
        keep.keys.sum() == 1 and keep.keys[44 + entry.lead_in, brow] and 2 <= keep.mask.sum() <= 3
    )
    made = put_in(stage, entry, keep, as_an_engine_would(entry, keep))
    values = values_of(rig, made, np.arange(1, 98))[:, brow]
    assert values[44] == np.float32(0.95)
    # no spike of one frame: the curve comes and goes
    assert np.abs(np.diff(values[38:52])).max() < 0.3
    blender.ops.thunder.keep_frames(which="SELECTED")
    assert [(each.first, each.last) for each in scene.thunder_keep.ranges] == [(45, 45)]


def test_ranges_from_the_timeline(blender, stage, scene):
    enter(stage)
    scene.frame_set(40)
    with pytest.raises(RuntimeError, match="no markers"):
        blender.ops.thunder.keep_frames(which="MARKERS")
    with pytest.raises(RuntimeError, match="no preview range"):
        blender.ops.thunder.keep_frames(which="PREVIEW")
    scene.timeline_markers.new("a", frame=20)
    scene.timeline_markers.new("b", frame=35)
    scene.timeline_markers.new("c", frame=50)
    blender.ops.thunder.keep_frames(which="MARKERS")
    scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = True, 70, 140
    blender.ops.thunder.keep_frames(which="PREVIEW")
    ranges = [(each.first, each.last) for each in scene.thunder_keep.ranges]
    assert ranges == [(35, 50), (70, 97)]
    keep_module.add_range(scene, 48, 72)
    assert [(each.first, each.last) for each in scene.thunder_keep.ranges] == [(35, 97)]
    blender.ops.thunder.free_frames(index=0)
    assert not scene.thunder_keep.ranges


@pytest.mark.parametrize("fps, base", [(24, 1.0), (30, 1.001), (60, 1.0)])
@pytest.mark.parametrize("start", [1.0, 10.37])
def test_the_engine_keeps_all_that_kept_keys_are_made_of(blender, stage, scene, fps, base, start):
    """Whatever the rates: every kept frame lies between two kept frames of the performance."""
    scene.render.fps, scene.render.fps_base = fps, base
    entry = enter(stage, start=start)
    first, last = entry.first + 20, entry.first + 33
    keep_module.add_range(scene, first, last)
    keep = keep_of(stage, entry)
    clock = provenance.clock_of(entry.action)
    rows = np.flatnonzero(keep.mask.any(axis=1))
    at = clock.seconds(np.array([first, last])) * 25
    assert (
        rows[0] <= at[0] + 1e-6
        and rows[-1] >= at[1] - 1e-6
        and rows[0] > at[0] - 1
        and rows[-1] < at[1] + 1
    )
    assert (np.diff(rows) == 1).all() and keep.mask[rows].all()
