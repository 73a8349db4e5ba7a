# SPDX-License-Identifier: GPL-3.0-or-later
"""A take is shaped by sliders, edited by hand and shaped again: nothing of the edits is lost,
closed lips stay closed; also on an own character and on a FLAME file's head."""

from dataclasses import replace

import numpy as np
import pytest
from characters import grid_mesh
from drawing import draw
from made_flame import made_flame
from performances import (
    enter,
    keys_of,
    opening_of,
    reopen,
    same,
    set_keys,
    speak,
    tracks,
    values_of,
)
from thunder.scene.animation import display, fcurves, keying
from thunder.scene.heads import head
from thunder.scene.takes import keep as keep_module, take_record
from thunder.scene.takes.shape import applying
from thunder.scene.takes.shape.applying import is_shaped, move
from thunder.thunder_core import progress, types
from thunder.thunder_core.errors import BadRequest
from thunder.thunder_core.face import head as face_head, mapping

SLIDERS = ("mouth", "jaw", "upper_face", "head", "blinks")


def gap_on_the_mesh(bpy, scene, rig, frame):
    """Height of the gap between the inner lips' middles on the evaluated mesh, as the head stands,
    millimetres."""
    head = face_head.load_head()
    scene.frame_set(int(frame))
    mesh = rig.mesh.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    up, low = (
        np.array(mesh.vertices[i].co) for i in (head.inner_lip_upper_mid, head.inner_lip_lower_mid)
    )
    neck = rig.armature.pose.bones["neck"]
    turned = np.array((neck.matrix @ neck.bone.matrix_local.inverted()).to_3x3())
    return 1e3 * abs(float((turned.T @ (up - low))[2]))


def curve_of(rig, entry, path, index=0):
    return next(
        c
        for c in keying.curves_of_tracks(rig, entry)
        if c is not None and c.data_path == path and c.array_index == index
    )


@pytest.mark.parametrize("name", SLIDERS)
def test_a_slider_to_zero_and_back_restores_every_key(blender, name, rig, entry):
    shape = entry.action.thunder_shape
    before = keys_of(rig, entry)
    for amount in (0.0, 0.37, 2.0):
        setattr(shape, name, amount)
        assert not same(before, keys_of(rig, entry))
    setattr(shape, name, 1.0)
    assert same(before, keys_of(rig, entry))
    assert not is_shaped(entry.action) and not take_record.is_edited(entry)


def test_eased_keys_are_read_as_blender_plays_them(blender, rig, entry):
    jaw = curve_of(rig, entry, 'pose.bones["jaw"].rotation_euler')
    for _ in range(9):
        jaw.keyframe_points.remove(jaw.keyframe_points[20])
    jaw.keyframe_points[19].interpolation = "ELASTIC"
    jaw.update()
    frames, actions = np.arange(entry.first, entry.last + 1.0), len(blender.data.actions)
    values = fcurves.evaluate_keys(fcurves.read(jaw), rig.armature, frames)
    assert np.array_equal(values, [jaw.evaluate(frame) for frame in frames])
    assert len(blender.data.actions) == actions


def test_hand_edited_keys_survive_all_sliders(blender, rig, entry):
    """Keys moved, added, removed, handles pulled: before the take is shaped, they are of the
    base."""
    shape = entry.action.thunder_shape
    jaw = curve_of(rig, entry, 'pose.bones["jaw"].rotation_euler')
    jaw.keyframe_points[30].co[1] = 0.31
    point = jaw.keyframe_points[31]
    point.handle_left_type = point.handle_right_type = "FREE"
    point.handle_right = (point.co[0] + 0.4, 0.02)
    smile = curve_of(rig, entry, 'key_blocks["mouthSmileLeft"].value')
    for _ in range(9):
        smile.keyframe_points.remove(smile.keyframe_points[40])
    smile.keyframe_points.insert(44.5, 0.9)
    smile.keyframe_points[5].interpolation = "CONSTANT"
    for curve in (jaw, smile):
        curve.update()
    before = keys_of(rig, entry)
    for step in (
        {"jaw": 0.0},
        {"mouth": 0.0},
        {"smoothing": 5},
        {"offset": 3.4},
        {"emotion": "JOY"},
        {"jaw": 1.7, "mouth": 0.2},
    ):
        for name, value in step.items():
            setattr(shape, name, value)
    blender.ops.thunder.reset_shape()
    assert same(before, keys_of(rig, entry))
    assert (entry.first, entry.last) == (1, 97)


def test_keys_edited_on_a_shaped_take_come_back_exactly_and_go_with_the_file(
    blender, rig, entry, tmp_path
):
    shape = entry.action.thunder_shape
    plain = keys_of(rig, entry)
    shape.jaw, shape.emotion = 0.5, "FEAR"
    jaw = curve_of(rig, entry, 'pose.bones["jaw"].rotation_euler')
    brow = curve_of(rig, entry, 'key_blocks["browInnerUp"].value')
    jaw.keyframe_points[30].co[1] += 0.1
    jaw.update()
    brow.keyframe_points.insert(20.5, 0.77)
    brow.keyframe_points.remove(brow.keyframe_points[50])
    brow.update()
    edited, scene = keys_of(rig, entry), reopen(blender, tmp_path)
    rig, entry = head.find(scene), scene.thunder.takes[0]
    shape = entry.action.thunder_shape
    assert shape.jaw == 0.5 and same(edited, keys_of(rig, entry))
    for amount in (0.0, 2.0, 0.0, 1.3):
        shape.jaw = amount
        shape.upper_face = 2.0 - amount
    shape.jaw, shape.upper_face = 0.5, 1.0
    assert same(edited, keys_of(rig, entry))
    # With the sliders where they were the take is itself again, and the edits lie on it.
    blender.ops.thunder.reset_shape()
    now = keys_of(rig, entry)
    assert len([i for i, (a, b) in enumerate(zip(plain, now)) if not same([a], [b])]) == 2
    jaw = curve_of(rig, entry, 'pose.bones["jaw"].rotation_euler')
    track = next(
        i
        for i, t in enumerate(rig.driver.tracks)
        if t.path.endswith('"jaw"].rotation_euler') and t.index == 0
    )
    moved = now[track]["co"][:, 1].astype(float) - plain[track]["co"][:, 1].astype(float)
    assert moved[30] == pytest.approx(0.1, abs=1e-6) and np.abs(np.delete(moved, 30)).max() < 1e-6


def test_an_edit_where_the_slider_is_at_zero_is_not_lost(blender, rig, entry):
    shape = entry.action.thunder_shape
    shape.upper_face = 0.0
    brow = curve_of(rig, entry, 'key_blocks["browInnerUp"].value')
    assert brow.evaluate(40) == pytest.approx(0.0, abs=1e-6)
    brow.keyframe_points[39 + entry.lead_in].co[1] = 0.25
    brow.update()
    shape.upper_face = 1.0
    shape.upper_face = 0.0
    assert brow.evaluate(40) == pytest.approx(0.25, abs=1e-6) and brow.evaluate(
        50
    ) == pytest.approx(0.0, abs=1e-6)


def test_intensity_scales_what_is_seen(blender, scene, rig, entry):
    brow = rig.keys.key_blocks["browInnerUp"]
    neck = rig.armature.pose.bones["neck"]
    scene.frame_set(33)
    was = brow.value, np.array(neck.rotation_euler)
    entry.action.thunder_shape.upper_face = 0.5
    entry.action.thunder_shape.head = 0.0
    scene.frame_set(33)
    assert brow.value == pytest.approx(0.5 * was[0], abs=1e-5)
    assert np.abs(np.array(neck.rotation_euler)).max() < 1e-6 < np.abs(was[1]).max()


def test_undo_takes_a_shape_back(blender, rig, entry):
    blender.ops.ed.undo_push(message="before")
    before = keys_of(rig, entry)
    entry.action.thunder_shape.jaw = 0.2
    blender.ops.ed.undo_push(message="shaped")
    assert not same(before, keys_of(rig, entry))
    blender.ops.ed.undo()
    scene = blender.context.scene
    rig, entry = head.find(scene), scene.thunder.takes[0]
    assert same(before, keys_of(rig, entry)) and entry.action.thunder_shape.jaw == 1.0
    entry.action.thunder_shape.jaw = 0.5  # another way from here
    entry.action.thunder_shape.jaw = 1.0
    assert same(before, keys_of(rig, entry))
    blender.ops.ed.redo()


# ---- emotion


def test_an_emotions_strength_is_a_curve_of_the_take(blender, stage, scene, rig):
    for seed in (1, 2):
        enter(stage, seed=seed)
    display.show(rig, scene.thunder.takes[0])
    entry = scene.thunder.takes[0]
    plain = keys_of(rig, entry)
    entry.action.thunder_shape.emotion = "ANGER"
    blender.ops.thunder.animate_emotion()
    curve = applying.strength_curve(rig, entry)
    assert [point.co[1] for point in curve.keyframe_points] == [
        0.0,
        pytest.approx(entry.action.thunder_shape.strength),
    ]
    # As an animator keys it: on the property itself.
    set_keys(rig.targets[0], applying.STRENGTH, {1: 0.0, 48: 0.0, 72: 1.0, 97: 1.0})
    curve = applying.strength_curve(rig, entry)
    assert len(curve.keyframe_points) == 4 and applying.is_outdated(rig, entry)
    blender.ops.thunder.apply_shape()
    assert not applying.is_outdated(rig, entry)
    brow = next(i for i, t in enumerate(rig.driver.tracks) if "browDownLeft" in t.path)
    now = keys_of(rig, entry)
    added = now[brow]["co"][:, 1] - plain[brow]["co"][:, 1]
    assert np.abs(added[:47]).max() < 1e-6 and added[75:].min() > 0.5
    # The other take has neither the emotion nor its curve; the curve comes back with its take.
    display.show(rig, scene.thunder.takes[1])
    assert applying.strength_curve(rig, scene.thunder.takes[1]) is None
    display.show(rig, scene.thunder.takes[0])
    assert len(applying.strength_curve(rig, scene.thunder.takes[0]).keyframe_points) == 4
    entry.action.thunder_shape.emotion = "NONE"
    assert same(plain, keys_of(rig, entry))
    # it survives, for another emotion
    assert len(applying.strength_curve(rig, entry).keyframe_points) == 4
    entry.action.thunder_shape.emotion = "ANGER"
    blender.ops.thunder.still_emotion()
    assert applying.strength_curve(rig, entry) is None
    now = keys_of(rig, entry)
    assert (now[brow]["co"][:, 1] - plain[brow]["co"][:, 1]).min() > 0.2


# ---- closures by hand


@pytest.mark.parametrize(
    "shape", [{}, {"jaw": 1.6, "mouth": 1.4}, {"jaw": 0.5, "offset": 3.0}], ids=str
)
def test_a_closure_is_added_and_taken_away_at_a_frame(blender, stage, scene, rig, shape):
    entry = enter(stage, closed=(1.5,))
    before = keys_of(rig, entry)
    for name, value in shape.items():
        setattr(entry.action.thunder_shape, name, value)
    frame = 62
    assert gap_on_the_mesh(blender, scene, rig, frame) > 2
    assert blender.ops.thunder.add_closure() == {"FINISHED"}
    assert gap_on_the_mesh(blender, scene, rig, frame) <= 0.3
    entry.action.thunder_shape.jaw = 2.0
    # it is of the take: no slider opens it
    assert gap_on_the_mesh(blender, scene, rig, frame) <= 0.3
    entry.action.thunder_shape.jaw = shape.get("jaw", 1.0)
    assert blender.ops.thunder.remove_closure() == {"FINISHED"}
    assert gap_on_the_mesh(blender, scene, rig, frame) > 1.0
    blender.ops.thunder.reset_shape() if shape else None
    after = keys_of(rig, entry)
    far = np.abs(before[0]["co"][:, 0] + shape.get("offset", 0) - frame) > 16
    for a, b in zip(before, after):
        if len(a["co"]) == len(b["co"]) == len(far):
            assert (a["co"][far] == b["co"][far]).all()


def test_a_closure_that_keys_opened_on_a_shaped_take_is_restored_and_other_edits_stay(
    blender, stage, scene, rig
):
    entry = enter(stage, closed=(2.4,))
    entry.action.thunder_shape.upper_face = 0.5
    jaw = curve_of(rig, entry, 'pose.bones["jaw"].rotation_euler')
    kept = next(point for point in jaw.keyframe_points if round(point.co[0]) == 20)
    for point in [p for p in jaw.keyframe_points if 56 <= p.co[0] <= 62] + [kept]:
        point.co[1] += 0.12
    jaw.update()
    here = kept.co[1]
    assert gap_on_the_mesh(blender, scene, rig, 59) > 1.0
    assert blender.ops.thunder.add_closure() == {"FINISHED"}
    assert gap_on_the_mesh(blender, scene, rig, 59) <= 0.3
    jaw = curve_of(rig, entry, 'pose.bones["jaw"].rotation_euler')
    assert jaw.evaluate(20) == pytest.approx(here, abs=1e-6)
    assert jaw.evaluate(21) != pytest.approx(here, abs=1e-3)


@pytest.mark.parametrize("frames", [12.0, -3.0, 7.4])
def test_a_shaped_take_that_moves_with_its_sound_is_still_shaped(blender, rig, frames, entry):
    """As Re-sync moves it: its keys, and before them what the sliders need."""
    plain = keys_of(rig, entry)
    entry.action.thunder_shape.jaw = 0.4
    curve = curve_of(rig, entry, 'key_blocks["browInnerUp"].value')
    curve.keyframe_points[30].co[1] = 0.9
    curve.update()
    progress.result(move(rig, entry, frames))
    moved = keys_of(rig, entry)
    entry.action.thunder_shape.jaw = 1.5
    entry.action.thunder_shape.jaw = 0.4
    assert all(np.abs(a["co"] - b["co"]).max() < 1e-5 for a, b in zip(moved, keys_of(rig, entry)))
    blender.ops.thunder.reset_shape()
    for track, a, b in zip(rig.driver.tracks, plain, keys_of(rig, entry)):
        off = np.abs(a["co"] + np.array([frames, 0], np.float32) - b["co"])
        if "browInnerUp" in track.path:
            assert off[30, 1] > 0.1 and np.delete(off, 30, axis=0).max() < 1e-4  # the edit is there
        else:
            assert off.max() < 1e-4, track.path


def test_a_copy_of_a_shaped_take_has_sliders_of_its_own(blender, scene, rig, entry):
    entry.action.thunder_shape.jaw = 0.5
    shaped = keys_of(rig, entry)
    assert blender.ops.thunder.duplicate_take() == {"FINISHED"}
    copy = next(each for each in scene.thunder.takes if each.kind == "DUPLICATED")
    first = next(each for each in scene.thunder.takes if each.kind == "SAMPLED")
    copy.action.thunder_shape.jaw = 2.0
    assert same(shaped, keys_of(rig, first)) and not same(shaped, keys_of(rig, copy))
    copy.action.thunder_shape.jaw = 0.5
    assert same(shaped, keys_of(rig, copy))


# ---- an animator's own character and a FLAME file's head


def own_character(blender, folder):
    """A face of shape keys with ARKit's names that stop at 1, as most do; the jaw and the eyes are
    keys too."""
    names = (*head.channel_names(), *mapping.DERIVED)
    hero = grid_mesh(blender, "Hero", [name for name in names if not name.startswith("tongue")])
    for block in hero.data.shape_keys.key_blocks:
        block.slider_min, block.slider_max = 0.0, 1.0


def flame_head(blender, folder):
    with np.load(head.ASSET) as asset:
        made_flame({name: asset[name] for name in asset.files}, seed=11, own=0.0004).write(
            folder / "flame.npz"
        )
    blender.ops.thunder.add_flame_head(filepath=str(folder / "flame.npz"))


@pytest.fixture(
    params=[own_character, pytest.param(flame_head, marks=pytest.mark.slow)], ids=["own", "flame"]
)
def other(request, blender, tmp_path):
    """Another head than ours, at 24 fps: (scene, rig)."""
    request.param(blender, tmp_path)
    scene = blender.context.scene
    scene.render.fps = 24
    return scene, head.find(scene)


def closed_and_open(rig, entry):
    gap = opening_of(rig, entry, np.arange(entry.first, entry.last + 1))
    return gap, gap <= 0.3


def test_sliders_restore_every_key_and_open_no_lips(blender, other):
    rig, entry = other[1], enter(other, seconds=3.0, closed=(0.8, 1.5, 2.2))
    before = keys_of(rig, entry)
    gap, closed = closed_and_open(rig, entry)
    assert closed.sum() > 5 and gap.max() > 8
    shape = entry.action.thunder_shape
    for values in ({"jaw": 1.8}, {"jaw": 0.4, "mouth": 1.6, "emotion": "DISGUST"}):
        for name, value in values.items():
            setattr(shape, name, value)
        now, _ = closed_and_open(rig, entry)
        assert now[closed].max() <= 0.35, values
        assert np.abs(now - gap).max() > 1
    blender.ops.thunder.reset_shape()
    assert same(before, keys_of(rig, entry))


# FLAME's own directions have no ends that a face has.
@pytest.mark.parametrize("other", [own_character], indirect=True, ids=["own"])
def test_keys_of_a_character_stay_within_its_sliders_at_closures(blender, other):
    rig, entry = other[1], enter(other, seconds=3.0, closed=(0.8, 1.5, 2.2))
    _, closed = closed_and_open(rig, entry)
    entry.action.thunder_shape.jaw = 2.0
    close = keys_of(rig, entry)[tracks(rig, "mouthClose")[0]]["co"][entry.lead_in :, 1]
    # a slider that stops at 1 would leave the lips open
    assert close[: len(closed)][closed].max() <= 1.0 + 1e-5


# ---- mixed by parts and cuts; what is kept stays


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


def test_an_emotion_that_is_not_known_is_said_and_changes_no_key(blender, rig, entry):
    shape, before = entry.action.thunder_shape, keys_of(rig, entry)
    shape["emotion"] = 77
    assert shape.emotion == ""
    with applying._addon_changes:
        shape.jaw = 1.5
    with pytest.raises(BadRequest, match="is not known on this machine .its number is 77.: choose"):
        applying.follow(entry)
    assert same(before, keys_of(rig, entry))
    labels = draw(blender.types.THUNDER_PT_shape, blender.context).texts()
    assert "This emotion is not on this machine" in str(labels)
    shape.emotion = "NONE"
    assert not same(before, keys_of(rig, entry)) and shape.jaw == 1.5
