# SPDX-License-Identifier: GPL-3.0-or-later
"""Mouths, moods and takes as assets: their pictures show what they do to a face, and catalogs keep
what users wrote in them."""

import os
import shutil

import bpy
import numpy as np
import pytest
from characters import deform, grid_mesh, rig_with, seen_points
from performances import list_take, performance
from thunder.scene.heads import head, mapping_table, rna_paths
from thunder.scene.host import compat
from thunder.scene.media import assets, puppets
from thunder.thunder_core import errors
from thunder.thunder_core.face import mouths

OTHER = "# mine\nVERSION 1\n\naaaaaaaa-0000-4000-8000-000000000000:Props/Hats:hats\n"


@pytest.fixture
def saved(stage, blender, tmp_path):
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    return blender, stage[1], tmp_path / assets.CATALOG_FILE


@pytest.fixture(scope="module")
def poses_file(tmp_path_factory):
    """The folder of a file with our head, whose poses are saved as assets: made once."""
    folder = tmp_path_factory.mktemp("poses")
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.ops.thunder.add_head()
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "shot.blend"))
    assert bpy.ops.thunder.save_poses() == {"FINISHED"}
    bpy.ops.wm.save_mainfile()
    return folder


@pytest.fixture
def posed(poses_file, blender, tmp_path):
    """The same, opened: (bpy, rig)."""
    shutil.copytree(poses_file, tmp_path, dirs_exist_ok=True)
    blender.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    return blender, head.find(blender.context.scene)


def picture_of(action):
    preview = action.preview
    buffer = np.empty(preview.image_size[0] * preview.image_size[1] * 4, np.float32)
    preview.image_pixels_float.foreach_get(buffer)
    return buffer.reshape(preview.image_size[1], preview.image_size[0], 4)


def numbers(rig):
    return [
        rna_paths.value(rig.targets[track.block], track.path, track.index)
        for track in rig.driver.tracks
    ]


def catalogs(path):
    lines = [
        line
        for line in path.read_text().splitlines()
        if line and not line.startswith(("#", "VERSION"))
    ]
    return {line.split(":")[0]: line.split(":")[1] for line in lines}


def test_an_unsaved_file_is_asked_for_and_a_shelf_refers_to_this_file_and_to_libraries(
    stage, blender, tmp_path
):
    with pytest.raises(RuntimeError, match="not saved yet: save it first"):
        blender.ops.thunder.save_poses()
    assert len(blender.data.actions) == 0 and len(blender.data.scenes) == 1
    libraries = blender.context.preferences.filepaths.asset_libraries
    library = libraries.new(name="Own", directory=str(tmp_path))
    (tmp_path / "shots").mkdir()
    try:
        assert assets.place_of("", "Action/AH · Thunder Head") == ("AH · Thunder Head", "")
        name, file = assets.place_of("Own", "faces/a.blend/Action/S/CH")
        assert name == "S/CH" and os.path.normpath(file) == str(tmp_path / "faces" / "a.blend")
        assert assets.place_of("Own", "faces\\a.blend\\Action\\AH")[0] == "AH"
        blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shots" / "a.blend"))
        assert assets.library_folder() == tmp_path, (
            "catalogs belong to the library that the file is in"
        )
    finally:
        libraries.remove(library)


def test_ten_mouths_and_all_moods_become_assets_that_look_different(posed, tmp_path):
    blender, _ = posed
    path = tmp_path / assets.CATALOG_FILE
    made = [action for action in blender.data.actions if action.asset_data is not None]
    assert len(mouths.MOUTHS) == 10 and len(mouths.MOOD_FACES) >= 11
    there = catalogs(path)
    assert set(there.values()) == {"Thunder/Mouths", "Thunder/Moods", "Thunder/Takes"}
    assert {there[action.asset_data.catalog_id] for action in made} == {
        "Thunder/Mouths",
        "Thunder/Moods",
    }
    pictures = {action[assets.POSE]: picture_of(action) for action in made}
    names = sorted(pictures)
    assert len(names) == 10 + len(mouths.MOOD_FACES) and all(
        picture.std() > 0.05 for picture in pictures.values()
    )
    for place, one in enumerate(names):
        for other in names[:place]:
            assert np.abs(pictures[one] - pictures[other]).max() > 0.1, (one, other)
    assert (
        len(blender.data.scenes) == 1
        and [obj.name for obj in blender.data.objects if "thunder_stand_in" in obj] == []
    )


def test_a_second_save_makes_them_anew_and_keeps_what_the_user_arranged(posed, tmp_path):
    blender, _ = posed
    path, other = tmp_path / assets.CATALOG_FILE, "aaaaaaaa-0000-4000-8000-000000000000"
    path.write_bytes(OTHER.replace("\n", "\r\n").encode())
    assets.add_catalogs()
    first, count = path.read_bytes(), len(blender.data.actions)
    assert first.startswith(OTHER.replace("\n", "\r\n").encode()) and b"\n" not in first.replace(
        b"\r\n", b""
    )
    moved = blender.data.actions["AH · Thunder Head"]
    moved.asset_data.catalog_id = other
    curve = next(
        curve
        for curve in compat.all_curves(moved)
        if "mouthUpperUpLeft" in curve.data_path or "jaw" in curve.data_path
    )
    wanted = curve.evaluate(1.0)
    curve.keyframe_points[0].co.y = 9.0
    path.write_text(
        path.read_text("utf-8").replace("Thunder/Moods:Thunder-Moods", "Faces/Moods:faces"),
        "utf-8",
        newline="",
    )
    before = path.read_bytes()
    blender.ops.thunder.save_poses()
    assert path.read_bytes() == before and len(blender.data.actions) == count
    assert moved.asset_data.catalog_id == other and curve.evaluate(1.0) == pytest.approx(wanted)


def test_a_catalog_file_that_is_none_is_left_alone_with_a_sentence(saved):
    blender, _, path = saved
    version = "no catalog file of the version"
    for content, said in (
        (b"VERSION 2\n", version),
        (b"hello", version),
        (b"VERSION 1\n\xff\xfe", version),
    ):
        path.write_bytes(content)
        with pytest.raises(errors.BadRequest, match=said):
            assets.add_catalogs()
        assert path.read_bytes() == content
    path.unlink()
    path.mkdir()
    with pytest.raises(RuntimeError, match="cannot be read or written"):
        blender.ops.thunder.save_poses()
    assert path.is_dir() and len(blender.data.actions) == 0


def test_applying_a_pose_gives_the_face_of_its_picture(posed):
    blender, rig = posed
    channels = head.channel_names()
    for name in ("AH", "M B P", "OO", "Sad"):
        for block in rig.keys.key_blocks[1:]:
            if block.name.startswith("mouth"):
                block.value = 0.4  # whatever the mouth did before
        rig.armature.pose.bones["jaw"].rotation_euler[0] = 0.2
        assert blender.ops.thunder.apply_asset(action=f"{name} · Thunder Head") == {"FINISHED"}
        with puppets.Portrait(blender.context.scene, rig) as portrait:
            portrait.pose(numbers(rig))
            seen = portrait.take(*(puppets.MOUTH if name in mouths.MOUTHS else puppets.FACE))
        assert (
            np.abs(seen - picture_of(blender.data.actions[f"{name} · Thunder Head"])).max() < 0.01
        ), name
        moved = seen_points(blender, rig.mesh)
        motion = mouths.motion_of([{**mouths.MOUTHS, **mouths.MOOD_FACES}[name]], channels)
        for track, value in zip(rig.driver.tracks, rig.driver.drive(motion, channels)[0]):
            rna_paths.set_value(rig.targets[track.block], track.path, track.index, value)
        rig.keys.update_tag()
        assert np.abs(moved - seen_points(blender, rig.mesh)).max() < 1e-6, name


def test_a_pose_is_applied_by_half_keyed_where_auto_keying_is_on_and_on_any_head(posed):
    blender, rig = posed
    jaw = rig.armature.pose.bones["jaw"]
    blender.ops.thunder.apply_asset(action="AH · Thunder Head", strength=0.5)
    assert (
        jaw.rotation_euler[0] == pytest.approx(0.5 * mouths.MOUTHS["AH"]["jaw"])
        and rig.keys.animation_data.action is None
    )
    blender.context.scene.tool_settings.use_keyframe_insert_auto = True
    blender.context.scene.frame_set(7)
    blender.ops.thunder.apply_asset(action="AH · Thunder Head")
    curves = {curve.data_path: curve for curve in compat.curves_for(rig.keys)}
    assert curves['key_blocks["mouthUpperUpLeft"].value'].keyframe_points[0].co.x == 7.0
    blender.context.scene.tool_settings.use_keyframe_insert_auto = False
    blender.ops.thunder.add_head(person="WOMAN")
    other = head.find(blender.context.scene)
    blender.ops.thunder.apply_asset(action="OO · Thunder Head")
    assert other.mesh != rig.mesh and other.keys.key_blocks["mouthPucker"].value == pytest.approx(
        mouths.MOUTHS["OO"]["mouthPucker"]
    )


def test_a_pose_of_another_file_is_used_and_not_left_behind(posed, tmp_path):
    blender, _ = posed
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    blender.ops.thunder.add_head()
    blender.ops.thunder.apply_asset(
        action="AH · Thunder Head", library=str(tmp_path / "shot.blend")
    )
    rig = head.find(blender.context.scene)
    assert (
        rig.armature.pose.bones["jaw"].rotation_euler[0] == pytest.approx(0.25)
        and not blender.data.actions
    )
    blender.context.scene.thunder.head = grid_mesh(
        blender, "Hero", ("jawOpen2", "jawOpen"), at=(2, 0, 0)
    )
    other = blender.data.actions.new("Foreign")
    other.use_fake_user = True
    blender.data.libraries.write(str(tmp_path / "other.blend"), {other})
    blender.data.actions.remove(other)
    with pytest.raises(RuntimeError, match="moves nothing of"):
        blender.ops.thunder.apply_asset(action="Foreign", library=str(tmp_path / "other.blend"))
    assert not blender.data.actions
    for name, library in (
        ("None", str(tmp_path / "shot.blend")),
        ("AH", str(tmp_path / "gone.blend")),
        ("None", ""),
    ):
        with pytest.raises(RuntimeError, match="cannot be read|No pose or take is chosen"):
            blender.ops.thunder.apply_asset(action=name, library=library)


def test_a_take_is_an_asset_that_stays_when_it_leaves_the_list(saved, stage):
    blender, rig, path = saved
    list_take((blender.context.scene, rig), performance())
    settings = blender.context.scene.thunder
    with pytest.raises(RuntimeError, match="No take is shown"):
        blender.ops.thunder.save_take_asset()
    settings.active_take = 0
    assert blender.ops.thunder.save_take_asset() == {"FINISHED"}
    action = settings.takes[0].action
    assert (
        catalogs(path)[action.asset_data.catalog_id] == "Thunder/Takes"
        and picture_of(action).std() > 0.05
    )
    name = action.name
    blender.ops.thunder.delete_take()
    assert not settings.takes and name in blender.data.actions
    assert blender.ops.thunder.apply_asset(action=name) == {"FINISHED"}
    assert len(settings.takes) == 1 and settings.active_take == 0
    assert blender.ops.thunder.apply_asset(action=name) == {"FINISHED"} and len(settings.takes) == 1


# ---- a user's own poses as the targets of a mapping


def pose_asset(blender, name, targets):
    """A pose asset of the user's: targets {data-block: {(path, index): value}}."""
    actions, curves = compat.new_action(name, list(targets))
    for (_, values), collection in zip(targets.items(), curves):
        for (path, index), value in values.items():
            compat.new_curve(collection, path, index, "").keyframe_points.insert(1.0, value)
    for action in actions:
        action.asset_mark()


@pytest.fixture
def puppet(blender):
    """A character without known names: a jaw bone, a lip bone, keys K1 and K2; mouths posed as
    assets. (face, rig)."""
    bones = {
        "root": ((0, 0, 0), (0, 0, 0.1), ""),
        "hinge": ((0, 0, 0), (0, -0.1, 0), "root"),
        "pull": ((0, -0.1, 0), (0, -0.12, 0), "root"),
    }
    rig = rig_with(blender, bones)
    face = grid_mesh(blender, "Hero", ("K1", "K2"))
    deform(face, rig)
    rig.pose.bones["hinge"].rotation_mode = "XYZ"
    keys = face.data.shape_keys
    turned = 'pose.bones["hinge"].rotation_euler'
    along = 'pose.bones["pull"].location'
    pose_asset(blender, "AH", {rig: {(turned, 0): 0.4}, keys: {('key_blocks["K1"].value', 0): 0.2}})
    pose_asset(
        blender,
        "OO",
        {rig: {(turned, 0): 0.1, (along, 1): -0.02}, keys: {('key_blocks["K2"].value', 0): 1.0}},
    )
    pose_asset(blender, "EE", {keys: {('key_blocks["K2"].value', 0): -0.5}})
    pose_asset(
        blender,
        "Smile",
        {
            rig: {
                ('pose.bones["pull"].rotation_quaternion', 0): 0.98,
                ('pose.bones["pull"].rotation_quaternion', 2): 0.2,
            }
        },
    )
    return face, rig


def test_mouths_that_a_user_posed_are_driven_at_their_strength(blender, puppet):
    face, rig = puppet
    blender.context.scene.thunder.head = face
    assert blender.ops.thunder.map_by_poses() == {"FINISHED"}
    found = head.resolve(face)

    def shown(source, amount):
        values = mapping_table.pose(found, source, amount)
        return {
            (found.targets[track.block].name, track.path, track.index): value
            for track, value in zip(found.driver.tracks, values)
        }

    jaw = ("Rig", 'pose.bones["hinge"].rotation_euler', 0)
    half = shown("jawOpen", 0.5)
    assert half[jaw] == pytest.approx(0.2, abs=1e-6)
    rounded = shown("mouthPucker", 1.0)
    if compat.HAS_SLOTS:  # before, an action poses either bones or keys
        assert half["Key", 'key_blocks["K1"].value', 0] == pytest.approx(0.1)
        assert rounded["Key", 'key_blocks["K2"].value', 0] == pytest.approx(1.0)
    assert rounded[jaw] == pytest.approx(0.0, abs=1e-6)  # the jaw has a channel of its own
    assert rounded["Rig", 'pose.bones["pull"].location', 1] == pytest.approx(-0.02)
    turned = shown("mouthSmileLeft", 1.0)
    # half of it for each side
    assert turned["Rig", 'pose.bones["pull"].rotation_quaternion', 2] == pytest.approx(
        0.1, abs=0.01
    )
