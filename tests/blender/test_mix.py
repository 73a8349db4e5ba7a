# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes are mixed by parts of the face and by cuts over time; what is kept of a take stays bit for bit
while the rest is sampled again (that it flows into it: test_engine_around_takes.py)."""

from dataclasses import replace

import numpy as np
import pytest
from performances import enter, keys_of, same, speak, tracks, values_of
from thunder.scene.animation import keying
from thunder.scene.takes import keep as keep_module, take_record
from thunder.scene.takes.shape.applying import is_shaped
from thunder.thunder_core import types


@pytest.fixture
def entries(stage, scene, rig):
    """A list of three takes, the first of them shown; the second is at another place in the
    list."""
    for seed in range(3):
        enter(stage, seed=seed, closed=((0.6, 1.3, 2.4), (0.9, 1.3, 2.9), (1.3, 2.0))[seed])
    scene.thunder.active_take = 0
    return scene.thunder.takes


def choose(blender, entries, **parts):
    for part, index in parts.items():
        blender.ops.thunder.choose_part(part=part, take=entries[index].action.name)


def test_each_part_is_of_the_take_that_was_chosen(blender, entries, scene, rig):
    before = [keys_of(rig, entry) for entry in entries]
    choose(blender, entries, mouth=0, upper_face=1, eyes=2, head=1)
    assert blender.ops.thunder.mix_takes() == {"FINISHED"}
    assert len(entries) == 4 and scene.thunder.active_take == 3
    made = entries[3]
    assert (
        made.kind == "MIXED"
        and made.name == "Mix"
        and made.head == rig.mesh
        and made.voice == "voice"
    )
    assert dict(made.action["thunder"]["mixed"]) == {
        "mouth": "Take 1",
        "upper_face": "Take 2",
        "eyes": "Take 3",
        "head": "Take 2",
    }
    now = keys_of(rig, made)
    for names, of in (
        (("mouthSmile", "mouthClose", "mouthPucker", '"jaw"'), 0),
        (("browInnerUp", "browDown", '"neck"'), 1),
        (("eyeBlink", "eye_left", "eye_right"), 2),
    ):
        for place in tracks(rig, *names):
            assert same([now[place]], [before[of][place]]), rig.driver.tracks[place].path

    # The takes it is made of are as they were.
    assert all(same(keys, keys_of(rig, entry)) for keys, entry in zip(before, entries))
    # A take like any other: its source says what its keys say.
    source = take_record.load(made.action)
    assert not take_record.is_edited(made)
    brow = source.channels.index("browInnerUp")
    brows = take_record.load(entries[1].action).motion.expression[:, brow]
    assert np.abs(source.motion.expression[:, brow] - brows)[2:-2].max() < 0.02


def test_a_cut_goes_from_take_to_take(blender, entries, scene, rig):
    before = [keys_of(rig, entry) for entry in entries]
    choose(blender, entries, mouth=0, upper_face=0, eyes=0, head=0)
    for frame, index in ((40, 1), (70, 2)):
        scene.thunder.active_take = index
        scene.frame_set(frame)
        assert blender.ops.thunder.add_cut(part="ALL") == {"FINISHED"}
    assert blender.ops.thunder.mix_takes() == {"FINISHED"}
    now = keys_of(rig, entries[3])
    jaw = next(p for p in tracks(rig, '"jaw"') if rig.driver.tracks[p].index == 0)
    for place in (jaw, *tracks(rig, "browInnerUp", "mouthSmileLeft")):
        for of, first, last in ((0, 1, 37), (1, 43, 67), (2, 73, 97)):
            inside = (now[place]["co"][:, 0] >= first) & (now[place]["co"][:, 0] <= last)
            was = before[of][place]["co"]
            assert (
                now[place]["co"][inside] == was[(was[:, 0] >= first) & (was[:, 0] <= last)]
            ).all()


def test_a_shaped_and_edited_take_is_mixed_as_it_is_seen(blender, entries, scene, rig):
    scene.thunder.active_take = 1
    entries[1].action.thunder_shape.upper_face = 2.0
    brow = tracks(rig, "browInnerUp")[0]
    curve = keying.curves_of_tracks(rig, entries[1])[brow]
    curve.keyframe_points[50].co[1] = 0.99
    curve.update()
    choose(blender, entries, mouth=0, upper_face=1, eyes=0, head=0)
    blender.ops.thunder.mix_takes()
    mixed, seen = keys_of(rig, entries[3])[brow], keys_of(rig, entries[1])[brow]
    handles = ("handle_left", "handle_right")
    assert all(np.array_equal(mixed[part], seen[part]) for part in seen if part not in handles)
    assert all(np.abs(mixed[part] - seen[part]).max() <= 2**-13 for part in handles), (
        "rounded in takes, exact where they were edited"
    )
    assert not is_shaped(entries[3].action)


def keep_of(stage, entry):
    return keep_module.masks_of(*stage, entry, take_record.load(entry.action).motion.frames)


def as_an_engine_would(entry, keep, seed=50):
    """Another performance of the same length that keeps what it must."""
    old = take_record.load(entry.action)
    free = types.pack(speak(seed=seed, closed=(0.8, 2.0)).motion)
    kept = np.where(keep.mask, types.pack(old.motion), free)
    return replace(old, motion=types.unpack(kept, len(old.channels)), seed=seed, score=77.0)


def put_in(stage, entry, keep, new):
    scene, rig = stage
    list(keep_module.list_around(scene, rig, entry, keep, new))
    return scene.thunder.takes[-1]


def test_kept_frames_are_bit_for_bit_the_takes_own(blender, stage, scene, rig, entry):
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
    now, frames = keys_of(rig, made), keying.frames_of(entry)
    was, is_now = (values_of(rig, each, frames) for each in (entry, made))
    inside = (frames >= 30) & (frames <= 55)
    assert (was[inside] == is_now[inside]).all()
    changed = 0
    for place, (a, b) in enumerate(zip(before, now)):
        if len(a["co"]) == len(b["co"]) == len(frames):
            assert (a["co"][inside] == b["co"][inside]).all()
            changed += (a["co"][~inside] != b["co"][~inside]).any()
    assert changed > 10  # and the rest is another performance
    assert same(before, keys_of(rig, entry))


def test_a_part_of_the_face_is_kept_all_along(blender, stage, scene, rig, entry):
    scene.thunder_keep.upper_face = scene.thunder_keep.head = True
    before, keep = keys_of(rig, entry), keep_of(stage, entry)
    now = keys_of(rig, put_in(stage, entry, keep, as_an_engine_would(entry, keep)))
    for place in tracks(rig, "brow", "noseSneer", '"neck"'):
        assert same([before[place]], [now[place]]), rig.driver.tracks[place].path
    assert not same(
        [before[p] for p in tracks(rig, '"jaw"')], [now[p] for p in tracks(rig, '"jaw"')]
    )


def test_selected_keys_are_kept(blender, stage, scene, rig, entry):
    curves = keying.curves_of_tracks(rig, entry)
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
    assert values_of(rig, made, np.arange(1, 98))[:, brow][44] == np.float32(0.95)


def test_ranges_from_the_timeline(blender, stage, scene):
    enter(stage)
    scene.frame_set(40)
    with pytest.raises(RuntimeError, match="no preview range"):
        blender.ops.thunder.keep_frames(which="PREVIEW")
    keep_module.add_range(scene, 35, 50)
    scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = True, 70, 140
    blender.ops.thunder.keep_frames(which="PREVIEW")
    assert [(each.first, each.last) for each in scene.thunder_keep.ranges] == [(35, 50), (70, 97)]
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
    clock = take_record.clock_of(entry.action)
    rows = np.flatnonzero(keep.mask.any(axis=1))
    at = clock.seconds(np.array([first, last])) * 25
    assert (
        rows[0] <= at[0] + 1e-6
        and rows[-1] >= at[1] - 1e-6
        and rows[0] > at[0] - 1
        and rows[-1] < at[1] + 1
    )
    assert (np.diff(rows) == 1).all() and keep.mask[rows].all()
