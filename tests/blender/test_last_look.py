# SPDX-License-Identifier: GPL-3.0-or-later
"""After keys were written the lips that Blender shows are looked at once: a mouth that does not
follow its take is said in the panel, in the report, and by the exit code."""

import json
from dataclasses import replace

import numpy as np
import pytest
from mathutils import Matrix, Quaternion
from performances import performance, show_take
from test_bake import bake, engine, short_voice  # noqa: F401
from test_reach import KEYS, skin, small_face, without
from thunder.scene.heads import character, detection, family, head as head_module, head_state
from thunder.scene.host import compat
from thunder.scene.takes import last_look
from thunder.scene.takes.commit import committing
from thunder.thunder_core import progress
from thunder.thunder_core.animation import timing

pytestmark = pytest.mark.one_blender


@pytest.fixture
def scene(blender):
    blender.context.scene.render.fps = 25
    return blender.context.scene


def speak(scene, face):
    """A take of lips that open and close, shown on a face: (rig, its opening, its entry)."""
    rig = head_module.resolve(face)
    made = performance(closed_at=())
    made.motion.jaw[:, 0] = 0.15 + 0.15 * np.sin(np.arange(made.motion.frames) / 4)
    made = replace(made, opening=made.motion.jaw[:, 0] / 0.3 * 30)
    entry = show_take((scene, rig), made)
    return rig, made.opening, entry


def look(scene, rig, opening):
    return progress.result(last_look.look(scene.name, rig, timing.Clock.of(scene, 1.0), opening))


@pytest.mark.parametrize("keyed", [True, False], ids=["jaw by key", "jaw by bone"])
def test_lips_that_follow_are_not_spoken_of(blender, scene, keyed):
    face = small_face(blender, KEYS if keyed else without("jawOpen"))
    skin(blender, face)
    rig, opening, _ = speak(scene, face)
    scene.frame_set(33)
    assert look(scene, rig, opening) == "" and scene.frame_current == 33
    assert head_state.fault(rig.owner) == ""


def test_a_character_of_bones_alone_speaks_with_its_jaw(blender, scene):
    """Without any shape key: found by its jaw bone, its lips part and close by that."""
    face = small_face(blender, {})
    face.shape_key_clear()
    armature = skin(blender, face)
    assert head_module.in_scene(scene) == [armature]
    assert head_module.guess(scene, face) == armature
    rig, opening, _ = speak(scene, armature)
    assert look(scene, rig, opening) == ""
    assert "jaw.x" in rig.driver.used
    names = head_module.channel_names()
    made = performance(closed_at=())
    made.motion.jaw[:, 0] = 0.15
    made.motion.expression[:, names.index("mouthClose")] = 0.5
    values = rig.driver.drive(made.motion, made.channels)
    gaps = progress.result(rig.meter.lip_gap(values))
    assert np.abs(gaps).max() < 0.3, "m, b and p shut the jaw"


def test_keys_of_unknown_names_are_not_passed_by_for_a_jaw_bone(blender, scene):
    face = small_face(blender, {f"Shape {i}": {"chin": (0, 0, -0.01)} for i in range(4)})
    skin(blender, face)
    assert head_module.in_scene(scene) == [] and family.find_unknown(scene) == face


def test_a_key_that_is_muted_is_seen_by_its_lips(blender, scene):
    face = small_face(blender, KEYS)
    rig, opening, _ = speak(scene, face)
    face.data.shape_keys.key_blocks["jawOpen"].mute = True
    wrong = look(scene, rig, opening)
    assert "The lips of “Face” part by 0.0 mm where the take opens them by 30" in wrong
    assert head_state.fault(rig.owner) == wrong
    face.data.shape_keys.key_blocks["jawOpen"].mute = False
    assert look(scene, rig, opening) == "" and head_state.fault(rig.owner) == ""


def test_lips_that_do_the_opposite_do_not_follow(blender, scene):
    face = small_face(blender, without("jawOpen"))
    armature = skin(blender, face)
    rig, opening, _ = speak(scene, face)
    action = armature.animation_data.action
    for curve in compat.curves_of(action, compat.slot_for(action, armature)):
        if "jaw" in curve.data_path and curve.array_index > 0:
            for point in curve.keyframe_points:
                point.co.y = -point.co.y
            curve.update()
    assert "do not follow the take (r -" in look(scene, rig, opening)


def test_a_head_that_is_turned_and_scaled_is_looked_at_as_well(blender, scene):
    face = small_face(blender, KEYS)
    armature = skin(blender, face)
    rig, opening, _ = speak(scene, face)
    armature.rotation_mode = "QUATERNION"
    armature.rotation_quaternion = Quaternion((1, 0, 0), 2.5)
    armature.scale = (3, 3, 3)
    bone = armature.pose.bones["hips"]  # lies on its back by its body
    bone.rotation_mode = "QUATERNION"
    bone.rotation_quaternion = Quaternion((1, 0, 0), 1.5)
    assert look(scene, rig, opening) == ""


def test_a_rig_in_other_units_than_its_mesh_is_looked_at_as_well(blender, scene):
    """As FBX files have it: an armature of centimetres, scaled, and a mesh of metres."""
    face = small_face(blender, without("jawOpen"))
    armature = skin(blender, face)
    armature.data.transform(Matrix.Scale(100, 4))
    armature.scale = (0.01, 0.01, 0.01)
    face.matrix_parent_inverse = Matrix.Scale(100, 4)
    blender.context.view_layer.update()
    rig, opening, _ = speak(scene, face)
    seen = detection.reach_of(face, character.plan_of(face))
    assert seen.mm == pytest.approx(10.0) and seen.shown["open"][0] > 15
    assert look(scene, rig, opening) == ""


def test_what_cannot_be_seen_is_not_judged(blender, scene):
    face = small_face(blender, KEYS)
    rig, opening, _ = speak(scene, face)
    face.data.shape_keys.key_blocks["jawOpen"].mute = True
    assert look(scene, rig, np.zeros(75)) == ""  # nobody speaks
    face.hide_viewport = True
    assert look(scene, rig, opening) == ""


def test_a_commit_says_that_the_lips_do_not_follow(blender, scene):
    face = small_face(blender, KEYS)
    rig, opening, entry = speak(scene, face)
    face.data.shape_keys.key_blocks["jawOpen"].mute = True
    steps = committing.commit(rig, entry, "voice", committing.choice_of(scene, entry))
    report = progress.result(steps)
    assert report.wrong in report.warnings and "The lips of “Face” part by" in report.wrong


# ---- bakes


def saved(blender, tmp_path, name="shot.blend"):
    path = tmp_path / name
    blender.ops.wm.save_as_mainfile(filepath=str(path))
    return path


def test_a_bake_whose_lips_do_not_follow_is_written_and_ends_with_1(
    blender,
    scene,
    short_voice,
    tmp_path,  # noqa: F811
):
    face = small_face(blender, KEYS)
    face.data.shape_keys.key_blocks["jawOpen"].mute = True
    path = saved(blender, tmp_path)
    done = bake("--blend", path, "--audio", short_voice, "--takes", 1, "--out", tmp_path / "o")
    report = json.loads((tmp_path / "o" / "report.json").read_text())
    assert done.returncode == 1 and "The lips of “Face” do" in done.stderr
    assert report["unseen"] in report["warnings"] and report["head"] == "Face"
    assert (tmp_path / "o" / "shot.blend").exists()


def test_a_bake_does_not_put_a_head_beside_a_character_that_it_does_not_know(
    blender,
    scene,
    short_voice,
    tmp_path,  # noqa: F811
):
    small_face(blender, {"Pose 1": KEYS["jawOpen"], "Pose 2": KEYS["mouthPucker"]}, name="Toon")
    path = saved(blender, tmp_path)
    options = ("--blend", path, "--audio", short_voice, "--takes", 1, "--out", tmp_path / "o")
    done = bake(*options)
    assert done.returncode == 1 and "“Toon” looks like a character" in done.stderr
    assert "--new-head" in done.stderr and not (tmp_path / "o").exists()
    done = bake(*options, "--new-head")
    assert done.returncode == 0
    report = json.loads((tmp_path / "o" / "report.json").read_text())
    assert report["head"].startswith("Thunder Head")


def test_a_thing_with_a_key_is_no_character(blender, scene):
    small_face(blender, {"Squash": KEYS["jawOpen"]}, name="Ball")
    assert family.find_unknown(scene) is None
