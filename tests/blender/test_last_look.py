# SPDX-License-Identifier: GPL-3.0-or-later
"""After keys were written the lips that Blender shows are looked at once: a mouth that does not
follow its take is said in the panel, in the report, and by the exit code."""

import json
from dataclasses import replace

import numpy as np
import pytest
from characters import bare_face, dead, gap_at, skin, small_face, stick
from few_points import KEYS, mirrored, without
from makers import add_control
from mathutils import Matrix, Quaternion
from performances import performance, show_take, walks
from thunder.cli import opening
from thunder.cli.line import choose_head, say_passed_by
from thunder.scene.heads import character, detection, family, head as head_module, head_state
from thunder.scene.host import compat
from thunder.scene.takes import last_look, take_record
from thunder.scene.takes.commit import committing
from thunder.thunder_core import progress
from thunder.thunder_core.animation import timing
from thunder.thunder_core.errors import BadHead, Cancelled

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


def skinned(blender, scene, keyed=False):
    """A take on a face with a jaw bone, and where it is keyed a key for it: (face, its armature, rig,
    opening)."""
    face = small_face(blender, KEYS if keyed else without("jawOpen"))
    armature = skin(blender, face)
    rig, opening, _ = speak(scene, face)
    return face, armature, rig, opening


def look(scene, rig, opening):
    return progress.result(last_look.look(scene.name, rig, timing.Clock.of(scene, 1.0), opening))


@pytest.mark.parametrize("keyed", [True, False], ids=["jaw by key", "jaw by bone"])
def test_lips_that_follow_are_not_spoken_of(blender, scene, keyed):
    _, _, rig, opening = skinned(blender, scene, keyed)
    scene.frame_set(33)
    with walks() as walked:
        assert look(scene, rig, opening) == "" and scene.frame_current == 33
    assert walked and scene.name not in walked and len(blender.data.scenes) == 1
    assert head_state.fault(rig.owner) == ""


@pytest.mark.parametrize("keyed", [True, False], ids=["jaw by key", "jaw by bone"])
@pytest.mark.parametrize("mode", ["EDIT", "SCULPT", "WEIGHT_PAINT", "EDIT rig", "POSE rig"])
def test_a_face_is_looked_at_in_every_mode_that_shows_all_of_a_take(blender, scene, mode, keyed):
    face, armature, rig, opening = skinned(blender, scene, keyed)
    blender.context.view_layer.objects.active = armature if " " in mode else face
    blender.ops.object.mode_set(mode=mode.partition(" ")[0])
    said = look(scene, rig, opening)
    is_edited = mode.startswith("EDIT")
    assert said == is_edited * "“Face” is in Edit Mode, which does not show all of a take: leave it"
    assert head_state.fault(rig.owner) == ""
    blender.ops.object.mode_set(mode="OBJECT")
    assert look(scene, rig, opening) == ""


def test_a_bake_leaves_the_edit_mode_of_all_objects_of_its_file(blender, scene, tmp_path):
    faces = [small_face(blender, KEYS), small_face(blender, KEYS)]
    armature = skin(blender, faces[0])
    for obj in faces:
        obj.select_set(True)
    blender.context.view_layer.objects.active = faces[1]
    blender.ops.object.mode_set(mode="EDIT")
    blender.context.view_layer.objects.active = armature
    path = str(tmp_path / "edited.blend")
    blender.ops.wm.save_as_mainfile(filepath=path)
    opening.open_file(path)
    objects = blender.data.objects
    assert {obj.mode for obj in objects} == {"OBJECT"} and len(objects) == 3
    assert blender.context.view_layer.objects.active.type == "ARMATURE"


def test_a_character_of_bones_alone_speaks_with_its_jaw(blender, scene):
    """Without any shape key: found by its jaw bone, its lips part and close by that."""
    face = bare_face(blender)
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


def test_a_mesh_whose_points_were_all_deleted_has_no_jaw_to_open(blender, scene):
    face = bare_face(blender)
    armature = skin(blender, face)
    face.data.clear_geometry()
    with pytest.raises(BadHead, match="has no jaw"):
        head_module.resolve(armature)


def test_keys_of_unknown_names_are_not_passed_by_for_a_jaw_bone(blender, scene):
    face = small_face(blender, {f"Shape {i}": {"chin": (0, 0, -0.01)} for i in range(4)})
    skin(blender, face)
    assert head_module.in_scene(scene) == [] and family.find_unknown(scene) == face


def stuck(blender):
    """A face whose jaw bone is held by a constraint that leaves keys visible."""
    face = small_face(blender, without("jawOpen"))
    stick(skin(blender, face))
    return face


def test_a_jaw_that_is_held_is_seen_by_its_lips(blender, scene):
    face = stuck(blender)
    rig, opening, _ = speak(scene, face)
    wrong = look(scene, rig, opening)
    assert "The lips of “Face” part by 0.0 mm where the take opens them by 30" in wrong
    assert head_state.fault(rig.owner) == wrong
    assert look(scene, rig, np.zeros(75)) == "", "these lips need not move"
    face.parent.pose.bones["jaw"].constraints[0].mute = True
    assert look(scene, rig, opening) == "" and head_state.fault(rig.owner) == ""


@pytest.mark.parametrize("works", [True, False])
def test_a_jaw_on_a_rig_that_is_not_followed_is_looked_at(blender, scene, works):
    """A deforming bone goes nine tenths with its control: only Blender knows what the lips do."""
    face = small_face(blender, without("jawOpen"))
    armature = skin(blender, face, jaw=("lower", "chin") if works else ())
    armature.data.bones["jaw"].name = "skin"
    add_control(blender, armature, "skin", "jaw_master").influence = 0.9
    blender.context.view_layer.update()
    rig, opening, _ = speak(scene, face)
    found = detection.reach_of(face, character.plan_of(face))
    assert not found.upper and "open" not in found.faults, "before keys it is not known"
    wrong = look(scene, rig, opening)
    assert wrong == "" if works else "The jaw does not part the lips" in wrong
    scene.frame_set(33)  # the take is still what is shown
    assert armature.pose.bones["jaw_master"].rotation_quaternion.angle > 0.01


def test_lips_that_do_the_opposite_do_not_follow(blender, scene):
    _, armature, rig, opening = skinned(blender, scene)
    action = armature.animation_data.action
    for curve in compat.curves_of(action, compat.slot_for(action, armature)):
        if "jaw" in curve.data_path and curve.array_index > 0:
            for point in curve.keyframe_points:
                point.co.y = -point.co.y
            curve.update()
    assert "do not follow the take (r -" in look(scene, rig, opening)


def test_a_head_that_is_turned_and_scaled_is_looked_at_as_well(blender, scene):
    _, armature, rig, opening = skinned(blender, scene, keyed=True)
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


HIDES = ["MASK", "WELD", "DECIMATE", "REMESH", "SUBSURF", "object", "eye", "collection"]


@pytest.mark.parametrize("hides", HIDES)
def test_lips_are_looked_at_though_they_are_hidden_or_remade(blender, scene, hides):
    face, armature, rig, opening = skinned(blender, scene)
    if hides == "object":
        face.hide_viewport = True
    elif hides == "eye":
        face.hide_set(True)
    elif hides == "collection":
        apart = blender.data.collections.new("Apart")
        scene.collection.children.link(apart)
        for obj in (face, armature):
            blender.context.collection.objects.unlink(obj)
            apart.objects.link(obj)
        blender.context.view_layer.layer_collection.children["Apart"].exclude = True
    else:
        modifier = face.modifiers.new("Made", hides)
        if hides == "MASK":
            modifier.vertex_group = "jaw"
        if hides == "WELD":
            modifier.merge_threshold = 0.02
    objects, modifiers = set(blender.data.objects), len(face.modifiers)
    assert look(scene, rig, opening) == ""
    stick(armature)
    assert "The lips of “Face” part by" in look(scene, rig, opening)
    assert set(blender.data.objects) == objects and len(face.modifiers) == modifiers


@pytest.mark.parametrize("by", ["key", "bone"])
def test_lips_that_something_holds_open_are_said(blender, scene, by):
    """A key of no known name stands at 1, or the jaw's bone was left open beside its key."""
    face = small_face(blender, KEYS | {"Gasp": {"lower": (0, 0, -0.012), "chin": (0, 0, -0.012)}})
    bone = skin(blender, face).pose.bones["jaw"]
    rig, opening, _ = speak(scene, face)
    assert look(scene, rig, opening) == ""
    if by == "key":
        face.data.shape_keys.key_blocks["Gasp"].value = 1.0
    else:
        bone.rotation_mode = "XYZ"
        bone.rotation_euler.x = 0.2
        upside = gap_at(blender, face, jaw=0.0) < 0
        bone.rotation_euler.x = -0.2 if upside else 0.2
    said = look(scene, rig, opening)
    assert "The lips of “Face” stay 1" in said and "where the take shuts them" in said
    assert head_state.fault(rig.owner) == said


def test_lips_that_the_animator_keyed_need_not_follow_the_take(blender, scene):
    face = small_face(blender, KEYS)
    skin(blender, face)
    rig, _, entry = speak(scene, face)
    assert progress.result(last_look.look_at(rig, entry)) == ""
    for curve in compat.all_curves(entry.action):
        for point in curve.keyframe_points if "jawOpen" in curve.data_path else ():
            point.co.y = 0.0
    assert progress.result(last_look.look_at(rig, entry)) == ""
    assert "The lips of “Face” part by" in look(scene, rig, take_record.opening_of(entry.action))


def test_a_commit_says_that_the_lips_do_not_follow(blender, scene):
    _, _, entry = speak(scene, stuck(blender))
    done = committing.CommitLog()
    progress.result(committing.commit_line(scene, entry, done))
    (wrong,) = done.wrong
    assert wrong in done.warnings and "The lips of “Face” part by" in wrong


def test_a_commit_that_is_stopped_at_its_last_look_says_what_was_committed(
    blender, scene, monkeypatch
):
    speak(scene, stuck(blender))

    def stop(*given):
        yield 0.0
        raise Cancelled("Stopped")

    monkeypatch.setattr(last_look, "look_at", stop)
    # with what was committed, so that it is one undo step
    assert blender.ops.thunder.commit_take() == {"FINISHED"}
    assert head_state.of(head_module.in_scene(scene)[0]).shown is None


# ---- bakes


def saved(blender, tmp_path):
    path = tmp_path / "shot.blend"
    blender.ops.wm.save_as_mainfile(filepath=str(path))
    return path


@pytest.mark.parametrize(
    "build, code, said",
    [
        (lambda bpy: dead(bpy, "keys"), 1, ["The jaw does not part the lips"]),
        (lambda bpy: odd(bpy), 0, ["Left and right appear to be swapped", "opens the eye, so"]),
        (lambda bpy: muted(bpy), 1, ["has no jaw (“jawOpen” of “Face” is muted)"]),
    ],
    ids=["dead jaw bone", "swapped and inverted", "muted jaw"],
)
def test_a_bake_says_what_the_panel_says(blender, bake, tmp_path, build, code, said):
    build(blender)
    path, out = saved(blender, tmp_path), tmp_path / "o"
    found, complaints = bake("--blend", path, "--takes", 1, "--out", out, warns=None)
    assert found == code and all(sentence in complaints for sentence in said)
    assert (out / "shot.blend").exists() == ("has no jaw" not in said[0])
    if (out / "report.json").exists():
        report = json.loads((out / "report.json").read_text())
        assert all(sentence in " ".join(report["warnings"]) for sentence in said)
        assert ("unseen" in report) == bool(code)


def odd(bpy):
    """A face named from the viewer's side, whose blinks open its eyes."""
    opens = {"eyeBlinkLeft": {"lid_l": (0, 0, 0.012)}, "eyeBlinkRight": {"lid_r": (0, 0, 0.012)}}
    return small_face(bpy, {mirrored(name): moves for name, moves in (KEYS | opens).items()})


def muted(bpy):
    small_face(bpy, KEYS).data.shape_keys.key_blocks["jawOpen"].mute = True


def test_a_bake_does_not_put_a_head_beside_a_character_that_it_does_not_know(
    blender, scene, bake, tmp_path
):
    small_face(blender, {"Pose 1": KEYS["jawOpen"], "Pose 2": KEYS["mouthPucker"]}, name="Toon")
    options = ("--blend", saved(blender, tmp_path), "--takes", 1, "--out", tmp_path / "o")
    code, said = bake(*options)
    assert code == 1 and "“Toon” looks like a character" in said and "--new-head" in said
    assert not (tmp_path / "o").exists()
    assert bake(*options, "--new-head")[0] == 0
    report = json.loads((tmp_path / "o" / "report.json").read_text())
    assert report["head"].startswith("Thunder Head")


def test_a_rig_of_unknown_names_is_a_character(blender, scene):
    """In another language, or Bone.001: a head beside it would be animated unnoticed."""
    armature = skin(blender, bare_face(blender))
    for bone, name in zip(armature.data.bones, ("Becken", "Kopf", "Unterkiefer")):
        bone.name = name
    assert head_module.in_scene(scene) == [] and family.find_unknown(scene) == armature


def test_a_bake_says_that_it_took_nothing_of_a_file_for_a_character(blender, scene):
    bare_face(blender, "Toon")
    present = [obj.name for obj in scene.objects]
    rig = choose_head(scene, None)
    said = say_passed_by(rig, present)
    assert "No object of this file (“Toon” …) is a character" in said and "--head" in said
    assert say_passed_by(rig, []) == ""
    present = [obj.name for obj in scene.objects]
    assert say_passed_by(choose_head(scene, None), present) == ""


def test_a_thing_with_a_key_is_no_character(blender, scene):
    small_face(blender, {"Squash": KEYS["jawOpen"]}, name="Ball")
    assert family.find_unknown(scene) is None
