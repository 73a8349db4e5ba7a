# SPDX-License-Identifier: GPL-3.0-or-later
"""A take is shaped by sliders, edited by hand and shaped again: nothing of the edits is lost,
closed lips stay closed; also on an own character and on a FLAME file's head."""

import numpy as np
import pytest
from characters import grid_mesh
from made_flame import made_flame
from performances import enter, keys_of, opening_of, reopen, same, tracks
from thunder.scene.animation import display, fcurves, keying
from thunder.scene.heads import head
from thunder.scene.takes import take_record
from thunder.scene.takes.shape.applying import is_shaped, move
from thunder.thunder_core import progress
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


def test_keys_edited_on_a_shaped_take_come_back_exactly(blender, rig, entry):
    shape = entry.action.thunder_shape
    plain = keys_of(rig, entry)
    shape.jaw = 0.5
    jaw = curve_of(rig, entry, 'pose.bones["jaw"].rotation_euler')
    brow = curve_of(rig, entry, 'key_blocks["browInnerUp"].value')
    jaw.keyframe_points[30].co[1] += 0.1
    jaw.update()
    brow.keyframe_points.insert(20.5, 0.77)
    brow.keyframe_points.remove(brow.keyframe_points[50])
    brow.update()
    edited = keys_of(rig, entry)
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


def test_the_shape_goes_with_the_file(blender, rig, tmp_path, entry):
    plain = keys_of(rig, entry)
    entry.action.thunder_shape.jaw = 0.3
    entry.action.thunder_shape.emotion = "FEAR"
    jaw = curve_of(rig, entry, 'pose.bones["jaw"].rotation_euler')
    jaw.keyframe_points[30].co[1] += 0.1
    jaw.update()
    edited = keys_of(rig, entry)
    scene = reopen(blender, tmp_path)
    rig, entry = head.find(scene), scene.thunder.takes[0]
    assert same(edited, keys_of(rig, entry))
    assert entry.action.thunder_shape.jaw == pytest.approx(0.3)
    entry.action.thunder_shape.jaw = 1.0
    blender.ops.thunder.reset_shape()
    now = keys_of(rig, entry)
    assert sum(not same([a], [b]) for a, b in zip(plain, now)) == 1


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


def test_an_emotion_is_added_by_its_strength(blender, stage, scene, rig):
    enter(stage, seed=1)
    display.show(rig, scene.thunder.takes[0])
    entry = scene.thunder.takes[0]
    plain = keys_of(rig, entry)
    brow = next(i for i, t in enumerate(rig.driver.tracks) if "browDownLeft" in t.path)
    entry.action.thunder_shape.emotion = "ANGER"
    entry.action.thunder_shape.strength = 1.0
    assert (keys_of(rig, entry)[brow]["co"][:, 1] - plain[brow]["co"][:, 1]).min() > 0.4
    entry.action.thunder_shape.emotion = "NONE"
    assert same(plain, keys_of(rig, entry))


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
