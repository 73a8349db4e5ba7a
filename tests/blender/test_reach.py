# SPDX-License-Identifier: GPL-3.0-or-later
"""A character is believed by what its keys and bones do to its face, not by what they are called."""

import math
import time
from dataclasses import replace

import bmesh
import numpy as np
import pytest
from characters import add_mesh, deform, rig_with, seen_points
from drawing import Context, Shown
from makers import add_control, drive
from mathutils import Matrix, Vector
from thunder.scene.heads import (
    character,
    detection,
    family,
    head as head_module,
    head_state,
    reading,
    rna_paths,
    trial,
)
from thunder.scene.media import export
from thunder.scene.takes import word_places
from thunder.thunder_core import errors, progress, types
from thunder.thunder_core.face import conventions, mapping
from thunder.thunder_core.face.character import PointMeter
from thunder.thunder_core.face.measured_face import Face
from timing import keeps

POINTS = {
    "upper": (0, -0.1, 1.6003),
    "lower": (0, -0.1, 1.5997),
    "corner_l": (0.03, -0.09, 1.6),
    "corner_r": (-0.03, -0.09, 1.6),
    "chin": (0, -0.09, 1.55),
    "nose": (0, -0.12, 1.65),
    "lid_l": (0.03, -0.09, 1.672),
    "lid_r": (-0.03, -0.09, 1.672),
    "under_l": (0.03, -0.09, 1.66),
    "under_r": (-0.03, -0.09, 1.66),
    "top": (0, 0, 1.8),
    "back": (0, 0.09, 1.65),
    "neck": (0, 0.03, 1.5),
}
PLACES = list(POINTS)
KEYS = {
    "jawOpen": {"lower": (0, 0.004, -0.022), "chin": (0, 0.006, -0.028)},
    "mouthClose": {"lower": (0, -0.002, 0.012), "upper": (0, 0, -0.010)},
    "mouthPucker": {"corner_l": (-0.012, -0.006, 0), "corner_r": (0.012, -0.006, 0)},
    "mouthStretchLeft": {"corner_l": (0.009, 0, 0)},
    "mouthStretchRight": {"corner_r": (-0.009, 0, 0)},
    "eyeBlinkLeft": {"lid_l": (0, 0, -0.012)},
    "eyeBlinkRight": {"lid_r": (0, 0, -0.012)},
}
BONES = {
    "hips": ((0, 0, 1), (0, 0, 1.2), None),
    "head": ((0, 0.02, 1.58), (0, 0.02, 1.8), "hips"),
    "jaw": ((0, 0, 1.62), (0, -0.09, 1.55), "head"),
}
JAW = ("lower", "chin")


def small_face(bpy, keys, turn=None, name="Face"):
    """A face of few points that looks along −Y, or is turned, with keys {name: {place: move}}."""
    turn = turn or Matrix.Identity(3)
    faces = [(i, i + 1, i + 2) for i in range(len(PLACES) - 2)]
    obj = add_mesh(bpy, name, [turn @ Vector(p) for p in POINTS.values()], keys, faces)
    for key, moves in keys.items():
        block = obj.data.shape_keys.key_blocks[key]
        block.slider_min, block.slider_max = 0.0, 1.0
        for place, move in moves.items():
            block.data[PLACES.index(place)].co += turn @ Vector(move)
    return obj


def mirrored(name):
    """The name of a key's counterpart on the other side."""
    return name.replace("Left", "*").replace("Right", "Left").replace("*", "Right")


def drive_jaw(armature, face):
    """Turn the jaw bone by .4 rad per unit of jawOpen."""
    bone = armature.pose.bones["jaw"]
    bone.rotation_mode = "XYZ"
    driver = bone.driver_add("rotation_euler", 0).driver
    variable = driver.variables.new()
    variable.name = "v"
    variable.targets[0].id_type, variable.targets[0].id = "KEY", face.data.shape_keys
    variable.targets[0].data_path = 'key_blocks["jawOpen"].value'
    driver.expression = "v * 0.4"


def bare_face(bpy, name="Face"):
    """A small face without shape keys."""
    face = small_face(bpy, {}, name=name)
    face.shape_key_clear()
    return face


def bind(armature, obj, jaw=JAW):
    """Let head and jaw of a rig deform the points of a small face."""
    for bone, places in (("jaw", jaw), ("head", [p for p in PLACES if p not in jaw])):
        ids = [PLACES.index(place) for place in places]
        obj.vertex_groups.new(name=bone).add(ids, 1.0, "REPLACE")
    deform(obj, armature)


def inside(obj):
    """The same face 2 cm further back: what stands for teeth."""
    obj.data.transform(Matrix.Translation((0, 0.02, 0)), shape_keys=True)
    return obj


def stick(armature, bone="jaw"):
    """Stop a bone from turning, as only Blender shows."""
    limit = armature.pose.bones[bone].constraints.new("LIMIT_ROTATION")
    limit.use_limit_x = limit.use_limit_y = limit.use_limit_z = True
    limit.owner_space = "LOCAL_WITH_PARENT"


def skin(bpy, obj, turn=None, jaw=JAW):
    """A rig of hips, head and jaw that deforms a small face; the armature."""
    turn = turn or Matrix.Identity(3)
    bones = {
        bone: (turn @ Vector(start), turn @ Vector(end), parent)
        for bone, (start, end, parent) in BONES.items()
    }
    armature = rig_with(bpy, bones)
    bind(armature, obj, jaw)
    bpy.context.view_layer.update()
    return armature


def without(*names):
    return {name: moves for name, moves in KEYS.items() if name not in names}


def gap_at(bpy, obj, **values):
    """How far the evaluated lips part beyond rest, mm, where channels and the jaw have values."""
    rig = head_module.resolve(obj)
    names = head_module.channel_names()
    jaw = values.pop("jaw", 0.0) * types.JAW_OPEN_RADIANS
    motion = types.Motion(np.zeros((1, len(names)), np.float32), np.array([[jaw, 0, 0]]))
    for name, value in values.items():
        motion.expression[0, names.index(name)] = value
    for track, value in zip(rig.driver.tracks, rig.driver.drive(motion, names)[0]):
        block = rig.targets[track.block]
        rna_paths.set_value(block, track.path, track.index, value)
        block.update_tag()
    seen = seen_points(bpy, obj)
    apart = seen[PLACES.index("upper")] - seen[PLACES.index("lower")]
    rest = np.array(POINTS["upper"]) - np.array(POINTS["lower"])
    return 1000 * (apart @ (0, 0, 1) - rest[2])


# ---- what is measured is what Blender shows


def test_measured_moves_are_those_of_the_evaluated_mesh(blender):
    """With vertex groups, a key relative to another, bones, drivers, and objects that are scaled."""
    face = small_face(blender, KEYS)
    armature = skin(blender, face)
    armature.scale = (0.5, 0.5, 0.5)
    armature.location = (1, 2, 3)
    blocks = face.data.shape_keys.key_blocks
    half = face.vertex_groups.new(name="half")
    half.add([PLACES.index("lid_l")], 0.25, "REPLACE")
    blocks["eyeBlinkLeft"].vertex_group = "half"
    for i in range(len(PLACES)):
        blocks["mouthClose"].data[i].co += blocks["jawOpen"].data[i].co - blocks["Basis"].data[i].co
    blocks["mouthClose"].relative_key = blocks["jawOpen"]
    drive_jaw(armature, face)
    blender.context.view_layer.update()
    meter, plan = PointMeter(reading.read([face], [armature])), mapping.Mapping("")
    still = seen_points(blender, face)
    for name in KEYS:
        blocks[name].value = 1.0
        seen = seen_points(blender, face) - still
        blocks[name].value = 0.0
        measured = meter.offsets(0, {mapping.Target("KEY", name): 1.0}, plan)
        assert np.abs(measured - seen).max() < 1e-5, name
    assert Face(meter, character.plan_of(face)).mm == pytest.approx(
        500.0, rel=1e-4
    )  # of half a metre a unit


def test_measuring_changes_nothing_and_is_quick_on_a_heavy_face(blender):
    blender.ops.mesh.primitive_uv_sphere_add(segments=300, ring_count=201, radius=0.1)
    face = blender.context.object
    points = np.empty(3 * len(face.data.vertices), np.float32)
    face.data.vertices.foreach_get("co", points)
    names = list(conventions.conventions()[0].keys)
    face.shape_key_add(name="Basis")
    for i in range(150):
        block = face.shape_key_add(name=names[i] if i < len(names) else f"extra {i}")
        block.value = 0.25
        moved = points.reshape(-1, 3).copy()
        near = np.linalg.norm(moved - moved[(i * 397) % len(moved)], axis=1) < 0.06
        moved[near, 2] -= 0.01
        block.points.foreach_set("co", moved.ravel())
    began = time.process_time()
    detection.detect(face, anew=True)
    spent = time.process_time() - began
    assert len(face.data.vertices) > 60000
    keeps(1.0, spent, "measuring a heavy face")
    began = time.process_time()
    detection.detect(face)
    assert time.process_time() - began < 0.1 * spent
    assert all(block.value == 0.25 for block in face.data.shape_keys.key_blocks[1:])


@pytest.mark.parametrize("size", [1.0, 0.4])
def test_lips_are_measured_in_the_characters_own_millimetres(blender, size):
    """What Commit and Check say of a gap is what Blender's mesh shows, on a small mouth too."""
    smaller = {
        name: {p: tuple(size * x for x in by) for p, by in k.items()} for name, k in KEYS.items()
    }
    face = small_face(blender, smaller)
    rig, names = head_module.resolve(face), head_module.channel_names()
    jaws = np.array([0.0, 0.25, 0.5, 1.0])
    turns = np.stack([jaws * types.JAW_OPEN_RADIANS, 0 * jaws, 0 * jaws], 1)
    motion = types.Motion(np.zeros((4, len(names))), turns)
    gaps = progress.result(rig.meter.lip_gap(rig.driver.drive(motion, names)))
    wanted = [gap_at(blender, face, jaw=jaw) for jaw in jaws]
    assert wanted[-1] > 5 and gaps == pytest.approx(wanted, abs=0.08 * wanted[-1])


def test_a_mesh_that_was_changed_is_measured_again(blender):
    face = small_face(blender, KEYS)
    plan = character.plan_of(face)
    before = detection.reach_of(face, plan).shown["open"][0]
    assert before == pytest.approx(22.0, abs=0.1)
    face.data.shape_keys.key_blocks["jawOpen"].data[PLACES.index("chin")].co.z += 0.004
    face.data.shape_keys.key_blocks["jawOpen"].data[PLACES.index("lower")].co.z += 0.01
    assert detection.reach_of(face, plan).shown["open"][0] == pytest.approx(12.0, abs=0.1)


def own_head(bpy):
    """The bundled head as a character of its own: one mesh of skin, teeth and tongue with ARKit's
    keys and a jaw by key; (object, (upper, lower) inner lips' middles)."""
    rig = head_module.build(bpy.context.collection, bpy.context.view_layer)
    still, names = seen_points(bpy, rig.mesh), head_module.channel_names()
    rest = family.points_of(rig.mesh.data.vertices)
    motion = types.Motion(
        np.zeros((1, len(names))),
        np.array([[types.JAW_OPEN_RADIANS, 0, 0]]),
        *(np.zeros((1, 3)) for _ in range(2)),
    )
    for track, value in zip(rig.driver.tracks, rig.driver.drive(motion, names)[0]):
        rna_paths.set_value(rig.targets[track.block], track.path, track.index, value)
    rna_paths.tag(rig.targets)
    moved = {"jawOpen": rest + seen_points(bpy, rig.mesh) - still}
    blocks = rig.mesh.data.shape_keys.key_blocks
    moved |= {name: family.points_of(blocks[name].data) for name in names if name in blocks}
    faces = [tuple(polygon.vertices) for polygon in rig.mesh.data.polygons]
    for other in list(bpy.data.objects):
        bpy.data.objects.remove(other)
    obj = add_mesh(bpy, "Own", rest.tolist(), moved, faces)
    for name, points in moved.items():
        block = obj.data.shape_keys.key_blocks[name]
        block.points.foreach_set("co", points.astype(np.float32).ravel())
    with np.load(head_module.ASSET) as asset:
        middles = [int(asset[f"inner_lip_{side}_mid"]) for side in ("upper", "lower")]
    return obj, middles


def test_the_lips_of_a_real_head_are_found_before_its_teeth(blender):
    own, middles = own_head(blender)
    plan = character.plan_of(own)
    seen = detection.reach_of(own, plan)
    blocks = own.data.shape_keys.key_blocks
    rest, opened = (family.points_of(blocks[name].data) for name in ("Basis", "jawOpen"))
    for found, middle in zip((seen.upper, seen.lower), middles):
        assert np.linalg.norm(rest[list(found)].mean(0) - rest[middle]) < 0.002
    gap = 1000 * ((opened - rest)[middles[0]] - (opened - rest)[middles[1]])[2]
    assert seen.shown["open"][0] == pytest.approx(gap, abs=1.5) and gap > 20
    assert (plan.forward, plan.up, seen.is_mirrored) == ("-Y", "Z", False)
    assert not seen.faults and not detection.unused_of(own)
    # a jaw that goes back as much as down still closes where the lips are
    assert abs(seen.shown["closed"][0]) < 0.5


# ---- the jaw


def test_a_fold_of_skin_is_no_jaw_where_a_bone_opens_the_mouth(blender):
    keys = KEYS | {"jawOpen": {"corner_l": (0, 0, -0.002), "corner_r": (0, 0, -0.002)}}
    face = small_face(blender, keys)
    skin(blender, face)
    plan = character.plan_of(face)
    assert [joint.bone for joint in plan.joints if joint.joint == "jaw"] == ["jaw"]
    assert "jawOpen" in {rule.source for rule in plan.rules}  # the fold goes with it
    opened = gap_at(blender, face, jaw=1.0)
    assert opened > 15
    assert abs(gap_at(blender, face, jaw=0.5, mouthClose=0.5)) < 0.1 * opened


def test_a_slider_that_turns_a_bone_counts_by_what_the_face_does(blender):
    keys = KEYS | {"jawOpen": {"corner_l": (0, 0, -0.002), "corner_r": (0, 0, -0.002)}}
    face = small_face(blender, keys)
    armature = skin(blender, face)
    drive_jaw(armature, face)
    plan = character.plan_of(face)
    assert not [joint for joint in plan.joints if joint.joint == "jaw"]
    opened = gap_at(blender, face, jaw=1.0)
    assert opened > 15
    assert abs(gap_at(blender, face, jaw=0.5, mouthClose=0.5)) < 0.1 * opened
    assert detection.reach_of(face, plan).shown["open"][0] == pytest.approx(opened, rel=0.05)


def test_a_jaw_key_that_opens_is_not_helped_by_a_bone(blender):
    face = small_face(blender, KEYS)
    skin(blender, face)
    assert not [j for j in character.plan_of(face).joints if j.joint == "jaw"]


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("keyed", [True, False], ids=["jaw by key", "jaw by bone"])
def test_a_face_is_told_by_its_lips_before_the_jaw_whichever_way_it_looks(blender, degrees, keyed):
    turn = Matrix.Rotation(math.radians(degrees), 3, "Z")
    face = small_face(blender, KEYS if keyed else without("jawOpen"), turn)
    skin(blender, face, turn)
    plan = character.plan_of(face)
    assert (plan.forward, plan.up) == ({0: "-Y", 90: "X", 180: "Y", 270: "-X"}[degrees], "Z")
    assert gap_at(blender, face, jaw=1.0) > 15


def test_a_face_that_lies_on_its_back_stands_by_its_eyes_above_its_mouth(blender):
    turn = Matrix.Rotation(math.radians(-90), 3, "X")  # Y up, as files of other programs have it
    face = small_face(blender, KEYS, turn)
    armature = rig_with(blender, {"root": ((0, 0, 0), (0, 0, 1), None)})
    face.parent = armature
    face.modifiers.new("Armature", "ARMATURE").object = armature
    plan = character.plan_of(face)
    assert (plan.forward, plan.up) == ("Z", "Y")


@pytest.mark.parametrize("degrees", [-60, -35, 0, 35, 60])
@pytest.mark.parametrize("keyed", [True, False], ids=["jaw by key", "jaw by bone"])
def test_the_lips_of_a_head_that_is_modelled_bent_part_and_meet(blender, degrees, keyed):
    """A face that looks down or up: its own up tells, not that of the file."""
    turn = Matrix.Rotation(math.radians(degrees), 3, "X")
    face = small_face(blender, KEYS if keyed else without("jawOpen"), turn)
    skin(blender, face, turn)
    found = detection.reach_of(face, character.plan_of(face))
    assert not found.faults
    assert found.shown["open"][0] == pytest.approx(22.0 if keyed else 28.6, abs=0.1)
    assert found.shown["closed"][0] == pytest.approx(0.0 if keyed else 0.7, abs=0.1)


@pytest.mark.parametrize("axis, degrees", [("Z", 0), ("Z", 15), ("Z", 35), ("Y", 15), ("Y", 35)])
def test_a_face_that_its_bones_turn_askew_is_said(blender, axis, degrees):
    turn = Matrix.Rotation(math.radians(degrees), 3, axis)
    face = small_face(blender, without("jawOpen"), turn)
    skin(blender, face, turn)
    found = detection.reach_of(face, character.plan_of(face))
    said = f"The face looks {degrees}° past an axis"
    assert any(said in fault for fault in found.faults.values()) == (degrees == 35)
    assert not {"wide", "round"} & set(found.faults) and not detection.unused_of(face)


# ---- what is no key


def test_dead_and_inverted_keys_are_no_keys(blender):
    upside = {place: tuple(-x for x in move) for place, move in KEYS["mouthPucker"].items()}
    opens = {"lid_l": (0, 0, 0.008)}
    face = small_face(
        blender, KEYS | {"mouthPucker": upside, "eyeBlinkLeft": opens, "mouthFunnel": {}}
    )
    used = character.plan_of(face).used
    assert {"jawOpen", "mouthClose", "eyeBlinkRight"} <= used
    assert not {"mouthPucker", "eyeBlinkLeft", "mouthFunnel"} & used
    said = " ".join(detection.unused_of(face))
    assert "“mouthPucker” widens the mouth" in said and "“eyeBlinkLeft” opens the eye" in said
    assert "“mouthFunnel” moves nothing" in said


LOOKS = {
    "eyeLookOutLeft": {"lid_l": (0.004, 0, 0)},
    "eyeLookInLeft": {"lid_l": (-0.004, 0, 0)},
    "eyeLookUpLeft": {"lid_l": (0, 0, 0.004)},
}


@pytest.mark.parametrize("degrees", [0, 90, 180])
def test_eyes_turn_as_they_are_asked_or_not_by_these_keys(blender, degrees):
    turn = Matrix.Rotation(math.radians(degrees), 3, "Z")
    face = small_face(blender, KEYS | LOOKS, turn)
    assert set(LOOKS) <= character.plan_of(face).used
    blender.data.objects.remove(face)
    wrong = {name: {"lid_l": tuple(-x for x in moves["lid_l"])} for name, moves in LOOKS.items()}
    face = small_face(blender, KEYS | wrong, turn)
    assert not set(LOOKS) & character.plan_of(face).used
    assert "“eyeLookOutLeft” turns the eye the other way" in detection.unused_of(face)


def test_a_face_named_from_the_viewers_side_keeps_its_eyes(blender):
    face = small_face(blender, {mirrored(name): moves for name, moves in (KEYS | LOOKS).items()})
    plan = character.plan_of(face)
    assert detection.reach_of(face, plan).is_mirrored
    assert {mirrored(name) for name in LOOKS} <= plan.used


def test_a_jaw_that_goes_up_is_refused_with_the_reason(blender):
    shuts = {place: tuple(-x for x in move) for place, move in KEYS["jawOpen"].items()}
    face = small_face(blender, KEYS | {"jawOpen": shuts})
    with pytest.raises(errors.BadHead, match="no jaw .“jawOpen” goes up and parts no lips"):
        head_module.resolve(face)
    skin(blender, face)
    assert gap_at(blender, face, jaw=1.0) > 15  # by the bone


def test_keys_that_only_drive_something_are_alive(blender):
    """A mesh whose keys are sliders for what they drive, on a face where others move points."""
    face = small_face(blender, KEYS | {"mouthFunnel": {}})
    curve = face.data.shape_keys.key_blocks["mouthPucker"].driver_add("value")
    variable = curve.driver.variables.new()
    variable.name = "v"
    variable.targets[0].id_type, variable.targets[0].id = "KEY", face.data.shape_keys
    variable.targets[0].data_path = 'key_blocks["mouthFunnel"].value'
    curve.driver.expression = "v"
    assert "mouthFunnel" in character.plan_of(face).used


def test_reach_names_what_is_missing(blender):
    face = small_face(blender, without("mouthPucker", "eyeBlinkLeft", "eyeBlinkRight"))
    found = detection.reach_of(face, character.plan_of(face))
    assert set(found.faults) == {"round", "blink"}
    assert found.shown["wide"][1] == pytest.approx(18.0, abs=0.1)
    assert abs(found.shown["closed"][0]) < 0.5


def drawn(bpy, face):
    """What the character's panel shows of a face: its layout's labels."""
    bpy.context.scene.thunder.head = face
    panel = Shown(bpy.types.THUNDER_PT_character)
    panel.draw(Context(bpy.context))
    return panel.layout.texts()


def test_the_panel_shows_the_mouths_of_a_character_before_its_first_take(blender):
    face = small_face(blender, KEYS)
    texts = drawn(blender, face)
    assert [text for text in texts if text in ("Rest", "Open", "Wide", "Round", "Closed", "Blink")]
    assert not any("does not part" in text or "Not used" in text for text in texts)


def test_the_panel_says_what_is_wrong_with_a_face(blender):
    upside = {place: tuple(-x for x in move) for place, move in KEYS["mouthPucker"].items()}
    folds = {"corner_l": (0, 0, -0.002), "corner_r": (0, 0, -0.002)}
    face = small_face(blender, KEYS | {"mouthPucker": upside, "jawOpen": folds})
    texts = " ".join(drawn(blender, face))
    assert "The jaw does not part the lips" in texts and "widens the mouth" in texts
    assert "Nothing makes the mouth narrower" in texts


def test_mouths_are_drawn_as_measured_and_red_where_wrong():
    still, opened, wrong = (word_places.mouth(*how) for how in ((44, 0), (44, 20), (44, 20, True)))
    assert (opened != still).sum() > 100
    assert wrong[0, 0, 0] > 3 * opened[0, 0, 0] and (wrong[16, 16] == opened[16, 16]).all()


def test_a_slider_that_stops_at_0_pulls_nothing_back(blender):
    """Faces of vowels close by taking their keys back, of which the sliders show nothing."""

    def part(name, share):
        return {place: tuple(share * x for x in move) for place, move in KEYS[name].items()}

    keys = {
        "Fcl_MTH_A": KEYS["jawOpen"],
        "Fcl_MTH_U": KEYS["mouthPucker"],
        "Fcl_MTH_O": part("jawOpen", 0.5) | part("mouthPucker", 0.6),
    }
    face = small_face(blender, keys)
    seen = detection.reach_of(face, character.plan_of(face))
    closed = gap_at(blender, face, jaw=0.5, mouthClose=0.5)
    assert abs(closed) < 0.1 and seen.shown["closed"][0] == pytest.approx(closed, abs=0.1)
    assert "closed" not in seen.faults


# ---- odd faces


def dead(bpy, kind):
    """A face whose jaw bone parts no lips; the object to select."""
    face = bare_face(bpy) if kind != "keys" else small_face(bpy, without("jawOpen"))
    jaw = tuple(p for p in PLACES if p != "neck") if kind == "all" else ()
    armature = skin(bpy, face, jaw=jaw)
    if kind == "teeth":  # 2 cm behind the lips
        points = [(x, -0.08, z) for z in (1.6003, 1.5997) for x in (-0.005, 0.0, 0.005)]
        teeth = add_mesh(bpy, "Teeth", points, (), [(0, 1, 2), (3, 4, 5)])
        teeth.shape_key_clear()
        for bone, ids in (("head", [0, 1, 2]), ("jaw", [3, 4, 5])):
            teeth.vertex_groups.new(name=bone).add(ids, 1.0, "REPLACE")
        deform(teeth, armature)
        bpy.context.view_layer.update()
    return face if kind == "keys" else armature


@pytest.mark.parametrize("kind", ["none", "all", "teeth", "keys"])
def test_a_jaw_bone_that_parts_no_lips_is_said(blender, kind):
    face = dead(blender, kind)
    assert "jaw" in character.plan_of(face).used
    assert "The jaw does not part the lips" in " ".join(head_module.resolve(face).warnings)
    assert any("The jaw does not part the lips" in text for text in drawn(blender, face))


def test_a_jaw_that_is_an_object_of_its_own_parts_the_lips(blender):
    """As of robots and puppets: hung on a bone, or bound to it."""
    face = bare_face(blender)
    armature = skin(blender, face, jaw=())
    points = [POINTS["lower"], POINTS["chin"], (0.02, -0.1, 1.5997), (-0.02, -0.1, 1.5997)]
    part = add_mesh(blender, "Jaw", points, (), [(0, 1, 2), (0, 1, 3)])
    part.shape_key_clear()
    part.parent, part.parent_type, part.parent_bone = armature, "BONE", "jaw"
    blender.context.view_layer.update()
    part.matrix_world = Matrix.Identity(4)
    found = detection.reach_of(armature, character.plan_of(armature))
    assert set(found.parts) == {"Face", "Jaw"} and "open" not in found.faults
    armature.pose.bones["jaw"].rotation_mode = "XYZ"
    armature.pose.bones["jaw"].rotation_euler.x = types.JAW_OPEN_RADIANS
    lower = part.matrix_world @ seen_points_of(blender, part, 0)
    opened = 1000 * (POINTS["lower"][2] - lower.z)
    assert found.shown["open"][0] == pytest.approx(abs(opened), abs=1.0) and abs(opened) > 15


@pytest.mark.parametrize("has_face", [True, False], ids=["keys of both", "keys of its own"])
def test_a_jaw_that_is_an_object_with_keys_parts_the_lips(blender, has_face):
    """The face has more keys of the mouth, but of the lower lip only a rim."""
    keys = KEYS if has_face else without("jawOpen")
    face = small_face(blender, keys)
    if has_face:
        face.data.shape_keys.key_blocks["jawOpen"].data[PLACES.index("lower")].co.z += 0.021
    for points in (face.data.vertices, *(key.data for key in face.data.shape_keys.key_blocks)):
        points[PLACES.index("lower")].co.y += 0.02  # behind the lip
    points = [POINTS["lower"], POINTS["chin"], (0.02, -0.1, 1.5997), (-0.02, -0.1, 1.5997)]
    part = add_mesh(blender, "Jaw", points, ("jawOpen",), [(0, 1, 2), (0, 1, 3)])
    for point in part.data.shape_keys.key_blocks["jawOpen"].data:
        point.co.z -= 0.022
    armature = rig_with(blender, {"head": BONES["head"][:2] + (None,)})
    for obj in (face, part):
        obj.vertex_groups.new(name="head").add(range(len(obj.data.vertices)), 1.0, "REPLACE")
        deform(obj, armature)
    blender.context.view_layer.update()
    found = detection.reach_of(face, character.plan_of(face))
    assert set(found.parts) == {"Face", "Jaw"} and "open" not in found.faults
    assert found.shown["open"][0] == pytest.approx(22.0, abs=1.0)


def test_a_puppet_whose_parts_hang_on_bones_speaks(blender):
    """No mesh is bound to its rig: head and jaw are objects, each on a bone."""
    face = bare_face(blender)
    armature = rig_with(blender, BONES)
    part = add_mesh(blender, "Jaw", [POINTS["lower"], POINTS["chin"], (0.02, -0.1, 1.5997)])
    for obj, bone in ((face, "head"), (part, "jaw")):
        obj.shape_key_clear() if obj.data.shape_keys else None
        obj.parent, obj.parent_type, obj.parent_bone = armature, "BONE", bone
        blender.context.view_layer.update()
        obj.matrix_world = Matrix.Identity(4)
    assert head_module.in_scene(blender.context.scene) == [armature]
    whole = export.objects_of(blender.context.scene, head_module.resolve(armature))
    assert {armature, face, part} <= set(whole), "exports have its parts"
    assert head_module.guess(blender.context.scene, face) == armature
    assert detection.reach_of(armature, character.plan_of(armature)).shown["open"][0] > 15


@pytest.mark.parametrize("x, y", [(0.5, 0.0), (0.0, 0.4)], ids=["spear", "wings"])
@pytest.mark.parametrize("keyed", [True, False])
def test_what_stands_up_beside_a_head_does_not_make_it_higher(blender, keyed, x, y):
    """A jaw that turns stays one, whatever wings or weapons the character has."""
    face = small_face(blender, without("jawOpen")) if keyed else bare_face(blender)
    armature = skin(blender, face)
    points = [(x - 0.02, y, 0.6), (x + 0.02, y, 0.6), (x, y, 2.8)]
    spear = add_mesh(blender, "Spear", points, ("Sway",) * keyed, [(0, 1, 2)])
    if keyed:
        spear.data.shape_keys.key_blocks["Sway"].data[2].co.x += 0.05
    else:
        spear.shape_key_clear()
    spear.vertex_groups.new(name="hips").add(range(len(points)), 1.0, "REPLACE")
    deform(spear, armature)
    blender.context.view_layer.update()
    plan = character.plan_of(face if keyed else armature)
    assert "jaw" in {joint.joint for joint in plan.joints} and "jawOpen" not in plan.used
    assert detection.reach_of(face if keyed else armature, plan).mm == 1000.0


def seen_points_of(bpy, obj, vertex):
    bpy.context.view_layer.update()
    return Vector(seen_points(bpy, obj)[vertex])


@pytest.mark.parametrize("y", [-0.115, -0.16], ids=["mask", "visor"])
def test_what_is_worn_before_the_mouth_does_not_make_teeth_of_lips(blender, y):
    face = bare_face(blender)
    armature = skin(blender, face)
    rows = [(x / 100, y, z / 100) for x in range(-8, 9, 2) for z in range(150, 176, 2)]
    worn = add_mesh(blender, "Worn", rows, (), [(i, i + 1, i + 13) for i in range(len(rows) - 14)])
    worn.shape_key_clear()
    worn.vertex_groups.new(name="head").add(range(len(rows)), 1.0, "REPLACE")
    deform(worn, armature)
    blender.context.view_layer.update()
    found = detection.reach_of(armature, character.plan_of(armature))
    assert found.parts == ("Face",) and found.shown["open"][0] > 15


@pytest.mark.parametrize("with_bone", [False, True])
def test_a_jaw_key_of_the_teeth_alone_is_no_jaw(blender, with_bone):
    face = small_face(blender, without("jawOpen"))
    armature = skin(blender, face, jaw=JAW if with_bone else ())
    bind(armature, inside(small_face(blender, {"jawOpen": KEYS["jawOpen"]}, name="Teeth")), ())
    if not with_bone:
        armature.data.bones["jaw"].name = "other"
    blender.context.view_layer.update()
    plan = character.plan_of(face)
    found = detection.reach_of(face, plan)
    assert "jawOpen" in {rule.source for rule in plan.rules}  # the teeth go with it
    assert ("open" in found.faults) != with_bone and found.parts == ("Face",)
    assert not {"wide", "round", "closed"} & set(found.faults)


def test_a_muted_key_is_no_key(blender):
    face = small_face(blender, KEYS)
    keys = face.data.shape_keys.key_blocks
    assert not detection.unused_of(face)
    for name in ("eyeBlinkLeft", "jawOpen"):
        keys[name].mute = True
    with pytest.raises(errors.BadHead, match="no jaw .“jawOpen” of “Face” is muted"):
        head_module.resolve(face)
    skin(blender, face)
    plan = character.plan_of(face)
    assert not {"jawOpen", "eyeBlinkLeft"} & {rule.source for rule in plan.rules}
    assert gap_at(blender, face, jaw=1.0) > 15, "by the bone"
    keys["jawOpen"].mute = False
    assert "jawOpen" in character.plan_of(face).used


def test_a_jaw_key_whose_driver_is_not_followed_is_named(blender):
    face = small_face(blender, KEYS | {"mouthFunnel": {}})
    driver = face.data.shape_keys.key_blocks["jawOpen"].driver_add("value").driver
    driver.expression = "sin(frame)"
    with pytest.raises(errors.BadHead, match="no jaw .“jawOpen” has a driver that is not followed"):
        head_module.resolve(face)


DIALS = ("ring", "pin", "knob", "lever")  # properties whose names say nothing


def drive_by(owner, path, expression, kind="SINGLE_PROP", index=-1, **places):
    """A driver of one variable v that reads (id, path or bone …); places: of its targets, lists."""
    curve = owner.driver_add(path, index) if index >= 0 else owner.driver_add(path)
    variable = curve.driver.variables.new()
    variable.name, variable.type = "v", kind
    for name in ("id", *sorted(set(places) - {"id"})):
        for target, value in zip(variable.targets, places[name]):
            if name == "id" and kind == "SINGLE_PROP":
                target.id_type = value.id_type
            setattr(target, name, value)
    curve.driver.expression = expression
    return curve


def driven_face(bpy, kind):
    """A face whose jaw key is driven in a way of this kind; the face."""
    face = small_face(bpy, KEYS)
    armature = skin(bpy, face, jaw=())
    armature.data.bones["jaw"].name = "spare"
    controls_before(bpy, armature, "ctl", "ctl2")
    for name in ("ctl", "ctl2"):
        armature.pose.bones[name].rotation_mode = "XYZ"
    jaw = face.data.shape_keys.key_blocks["jawOpen"]
    for name in DIALS:
        armature[name] = armature.data[name] = 0.0
    board = bpy.data.objects.new("Board", None)
    bpy.context.collection.objects.link(board)
    board.location.z = 1.5
    if kind in ("v % 3", "log(1 + v)", "[v][0]", "tried(v)"):
        drive_by(jaw, "value", kind, id=[armature], data_path=['["ring"]'])
    elif kind == "four in a row":
        drive_by(jaw, "value", "v", id=[armature], data_path=['["ring"]'])
        for one, two in zip(DIALS, DIALS[1:]):
            path = f'["{two}"]'
            drive_by(armature, f'["{one}"]', "v / 2", id=[armature], data_path=[path])
    elif kind == "by the armature's data":
        drive_by(jaw, "value", "v", id=[armature.data], data_path=['["ring"]'])
        drive_by(armature.data, '["ring"]', "v", id=[armature], data_path=['["pin"]'])
    elif kind == "a bone that a property moves":
        where = dict(bone_target=["ctl"], transform_type=["LOC_Y"], transform_space=["LOCAL_SPACE"])
        drive_by(jaw, "value", "20 * v", "TRANSFORMS", id=[armature], **where)
        bone = armature.pose.bones["ctl"]
        drive_by(bone, "location", "v / 20", index=1, id=[armature], data_path=['["ring"]'])
    elif kind == "an object's place":
        drive_by(jaw, "value", "10 * (1.5 - v)", id=[board], data_path=["location[2]"])
    elif kind == "an object's turn":
        where = dict(transform_type=["ROT_X"], transform_space=["TRANSFORM_SPACE"])
        drive_by(jaw, "value", "v", "TRANSFORMS", id=[board], **where)
    elif kind == "a bone's place in the world":
        where = dict(bone_target=["ctl"], transform_type=["LOC_Z"], transform_space=["WORLD_SPACE"])
        drive_by(jaw, "value", "10 * (1.6 - v)", "TRANSFORMS", id=[armature], **where)
    elif kind == "an angle between bones":
        places = dict(id=[armature] * 2, bone_target=["ctl", "ctl2"])
        drive_by(jaw, "value", "v", "ROTATION_DIFF", **places)
    elif kind == "a key of another mesh":
        other = small_face(bpy, {"talk": {}}, name="Other")
        other.location.x = 3.0
        path = rna_paths.key_path("talk")
        drive_by(jaw, "value", "v", id=[other.data.shape_keys], data_path=[path])
    bpy.context.view_layer.update()
    return face


DRIVEN = (
    *("v % 3", "log(1 + v)", "[v][0]", "tried(v)", "four in a row", "by the armature's data"),
    *("a bone that a property moves", "an object's place", "an object's turn"),
    *("a bone's place in the world", "an angle between bones", "a key of another mesh"),
)


def numbers_of(bpy):
    """What a trial may change: properties, places, and which drivers work."""
    armature, board = bpy.data.objects["Rig"], bpy.data.objects["Board"]
    bones = [tuple(map(tuple, bone.matrix_basis)) for bone in armature.pose.bones]
    keys = [block.value for key in bpy.data.shape_keys for block in key.key_blocks]
    working = [
        curve.driver.is_valid
        for block in (*bpy.data.shape_keys, armature, armature.data)
        for curve in (block.animation_data.drivers if block.animation_data else ())
    ]
    place = (*board.location, *board.rotation_euler, *board.scale)
    return [armature[name] for name in DIALS], bones, keys, working, place


@pytest.mark.parametrize("kind", DRIVEN)
def test_a_jaw_opens_however_its_key_is_driven(blender, kind):
    """Followed where the driver can be read, else by what Blender shows; nothing stays moved."""
    blender.app.driver_namespace["tried"] = lambda value: (value + value * value) / 2
    face = driven_face(blender, kind)
    before = numbers_of(blender)
    plan = character.plan_of(face)
    assert numbers_of(blender) == before
    seen = detection.reach_of(face, plan)
    assert "open" not in seen.faults and not detection.unused_of(face)
    assert seen.shown["open"][0] == pytest.approx(22, abs=0.5)
    assert gap_at(blender, face, jaw=1.0) == pytest.approx(22, abs=0.5)


def test_a_driver_whose_values_fail_on_the_way_goes_on_working(blender):
    blender.app.driver_namespace["tried"] = lambda value: value
    face = driven_face(blender, "tried(v)")
    keys, armature = face.data.shape_keys, blender.data.objects["Rig"]
    pucker = keys.key_blocks["mouthPucker"]
    drive_by(pucker, "value", "sqrt(1 + v) - 1", id=[armature], data_path=['["ring"]'])
    assert {"jawOpen"} <= character.plan_of(face).used
    armature["ring"] = 0.5
    armature.update_tag()
    blender.context.view_layer.update()
    shown = keys.evaluated_get(blender.context.evaluated_depsgraph_get()).key_blocks
    assert shown["mouthPucker"].value == pytest.approx(1.5**0.5 - 1, abs=1e-3)


@pytest.mark.parametrize("why", ["a panel", "an overlay", "no time"])
def test_a_driver_that_may_not_be_tried_yet_is_tried_soon(blender, monkeypatch, why):
    """While Blender draws nothing may be moved; and a slice of looks takes a fifth of a second."""
    face = driven_face(blender, "[v][0]")

    def refuse(*_):
        raise AttributeError("Writing to ID classes in this context is not allowed")

    with monkeypatch.context() as patch:
        if why == "an overlay":
            patch.setattr(trial.drawing, "active", True)
        elif why == "no time":
            patch.setattr(trial.time, "monotonic", lambda at=iter(range(10**6)): float(next(at)))
            patch.setattr(trial, "is_waited_for", lambda: True)
        else:
            patch.setattr(rna_paths, "set_value", refuse)
        assert "jawOpen" not in character.plan_of(face).used
    assert detection.look_on.due is not None
    detection.look_on.tick()
    assert "jawOpen" in character.plan_of(face).used and detection.look_on.due is None


def test_an_own_control_of_a_constraint_is_measured_on_the_face(blender):
    """A key that moves no point turns the jaw by a constraint's influence: no second jaw is added,
    and none is missed."""
    face = small_face(blender, without("jawOpen") | {"jawOpen": {}})
    armature = skin(blender, face)
    turn = armature.pose.bones["jaw"].constraints.new("TRANSFORM")
    turn.target, turn.subtarget = armature, "head"
    turn.owner_space = turn.target_space = "LOCAL"
    turn.map_to, turn.mix_mode_rot = "ROTATION", "ADD"
    turn.to_min_x_rot = turn.to_max_x_rot = 0.3
    path = rna_paths.key_path("jawOpen")
    drive_by(turn, "influence", "v", id=[face.data.shape_keys], data_path=[path])
    blender.context.view_layer.update()
    plan = character.plan_of(face)
    seen = detection.reach_of(face, plan)
    opened = gap_at(blender, face, jaw=1.0)
    assert not plan.joints or {joint.joint for joint in plan.joints} == {"neck"}
    assert opened > 15 and seen.shown["open"][0] == pytest.approx(opened, rel=0.05)
    assert "open" not in seen.faults
    blender.context.view_layer.objects.active = face
    blender.ops.object.mode_set(mode="EDIT")  # which shows no drivers
    assert "open" not in detection.reach_of(face, detection.detect(face, anew=True)).faults
    blender.ops.object.mode_set(mode="OBJECT")


def test_one_control_of_two_keys_is_measured_either_way(blender):
    """A face board whose drivers cannot be read: up purses the lips, down widens them."""
    face = driven_face(blender, "[v][0]")
    blocks, armature = face.data.shape_keys.key_blocks, blender.data.objects["Rig"]
    for name, expression in (("mouthStretchLeft", "max([-v][0], 0)"), ("mouthPucker", "[v][0]")):
        drive_by(blocks[name], "value", expression, id=[armature], data_path=['["pin"]'])
    blender.context.view_layer.update()
    seen = detection.reach_of(face, character.plan_of(face))
    assert not {"wide", "round", "open"} & set(seen.faults)
    assert seen.shown["round"][1] == pytest.approx(-24, abs=0.5)
    assert seen.shown["wide"][1] == pytest.approx(18, abs=0.5)


def test_drivers_that_need_scripts_say_so(blender):
    face = driven_face(blender, "of_a_script(v)")
    keys, armature = face.data.shape_keys, blender.data.objects["Rig"]
    jaw = keys.key_blocks["jawOpen"]
    drive_by(jaw, "value", "of_a_script(v)", id=[armature], data_path=['["ring"]'])
    blender.context.view_layer.update()
    with pytest.raises(errors.BadHead, match="^Drivers of this character need scripts: allow them"):
        head_module.resolve(face)
    skin(blender, face)  # another jaw
    assert any("need scripts" in sentence for sentence in character.faults_of(face))


@pytest.mark.parametrize("name, least, apart", [("jawOpen", 0.2, 4.4), ("eyeBlinkLeft", 0.5, 0.0)])
def test_lips_that_a_slider_keeps_open_are_said(blender, name, least, apart):
    face = small_face(blender, KEYS)
    face.data.shape_keys.key_blocks["eyeBlinkRight"].slider_min = 0.7
    face.data.shape_keys.key_blocks[name].slider_min = least
    found = detection.reach_of(face, character.plan_of(face))
    assert found.shown["rest"][0] == pytest.approx(gap_at(blender, face), abs=0.01)
    assert found.shown["rest"][0] == pytest.approx(apart, abs=0.01)
    wanted = ["The lips are 4.4 mm apart at rest: set the Range Min of “jawOpen” from 0.2 to 0"]
    assert list(found.faults.values()) == (wanted if apart else [])


# ---- constraints


@pytest.mark.parametrize(
    "kind, change, is_free",
    [
        ("LIMIT_ROTATION", {}, True),
        ("CHILD_OF", {}, True),
        ("COPY_ROTATION", {"mix_mode": "ADD"}, True),
        ("COPY_ROTATION", {"influence": 0.4}, True),
        ("COPY_ROTATION", {"mute": True}, True),
        ("COPY_ROTATION", {}, False),
        ("COPY_TRANSFORMS", {}, False),
        ("COPY_LOCATION", {}, True),
        ("DAMPED_TRACK", {}, False),
    ],
)
def test_only_a_constraint_that_overrides_rules_a_jaw(blender, kind, change, is_free):
    face = small_face(blender, without("jawOpen"))
    armature = skin(blender, face)
    target = add_mesh(blender, "Aim", [(0, 0, 0)])
    constraint = armature.pose.bones["jaw"].constraints.new(kind)
    if hasattr(constraint, "target"):
        constraint.target = target
    for name, value in change.items():
        setattr(constraint, name, value)
    blender.context.view_layer.update()
    if is_free:
        assert "jaw" in {joint.joint for joint in character.plan_of(face).joints}
    else:
        with pytest.raises(errors.BadHead, match=f"“jaw” is turned by .*“{constraint.name}”"):
            head_module.resolve(face)


@pytest.mark.parametrize("degrees", [0, 180])
def test_a_jaw_that_copies_a_control_tells_where_a_face_looks(blender, degrees):
    """As on control rigs: what deforms is ruled by a constraint, what is keyed deforms nothing."""
    turn = Matrix.Rotation(math.radians(degrees), 3, "Z")
    face = small_face(blender, without("jawOpen"), turn)
    armature = skin(blender, face, turn)
    armature.data.bones["jaw"].name = "DEF-jaw"
    add_control(blender, armature, "DEF-jaw", "jaw_master")
    blender.context.view_layer.update()
    plan = character.plan_of(face)
    assert plan.forward == {0: "-Y", 180: "Y"}[degrees]
    assert [joint.bone for joint in plan.joints if joint.joint == "jaw"] == ["jaw_master"]
    assert gap_at(blender, face, jaw=1.0) > 15
    assert not detection.unused_of(face)


def controls_before(bpy, armature, *names, tail=(0, -0.25, 1.6)):
    """Add bones to a rig that stand 10 cm before the mouth, as children of its head."""
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    for name in names:
        bone = armature.data.edit_bones.new(name)
        bone.head, bone.tail, bone.parent = (0, -0.2, 1.6), tail, armature.data.edit_bones["head"]
    bpy.ops.object.mode_set(mode="OBJECT")


@pytest.mark.parametrize("mode", ["XYZ", "QUATERNION"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_control_of_a_jaw_key_tells_not_where_a_face_looks(blender, mode, sign):
    face = small_face(blender, KEYS)
    armature = skin(blender, face)
    armature.data.bones["jaw"].name = "spare"
    controls_before(blender, armature, "ctl_jaw")
    armature.pose.bones["ctl_jaw"].rotation_mode = mode
    drive(face.data.shape_keys.key_blocks["jawOpen"], "value", armature, "", f"{2.3 * sign} * v")
    variable = rna_paths.drivers_of(face.data.shape_keys)[rna_paths.key_path("jawOpen")]
    variable = variable.driver.variables[0]
    variable.type = "TRANSFORMS"
    variable.targets[0].id, variable.targets[0].bone_target = armature, "ctl_jaw"
    variable.targets[0].transform_type = "ROT_X"
    variable.targets[0].transform_space = "LOCAL_SPACE"
    plan = character.plan_of(face)
    assert (plan.forward, plan.up) == ("-Y", "Z")
    assert gap_at(blender, face, jaw=1.0) == pytest.approx(22.0, abs=0.2)
    assert not detection.reach_of(face, plan).faults


@pytest.mark.parametrize(
    "kind, change, tail",
    [
        ("COPY_ROTATION", {"owner_space": "LOCAL", "target_space": "LOCAL"}, (0, -0.29, 1.53)),
        ("COPY_ROTATION", {"owner_space": "LOCAL", "target_space": "LOCAL"}, (0, -0.2, 1.7)),
        ("COPY_ROTATION", {"owner_space": "LOCAL", "target_space": "LOCAL"}, (0.1, -0.2, 1.6)),
        (
            "COPY_ROTATION",
            {"owner_space": "LOCAL", "target_space": "LOCAL", "invert_x": True},
            (0, -0.3, 1.6),
        ),
        ("COPY_TRANSFORMS", {"owner_space": "LOCAL", "target_space": "LOCAL"}, (0, -0.3, 1.6)),
        ("COPY_ROTATION", {}, (0, -0.29, 1.53)),
        ("COPY_ROTATION", {"target_space": "LOCAL_OWNER_ORIENT", "owner_space": "LOCAL"}, None),
    ],
)
def test_a_jaw_turns_as_its_control_elsewhere_turns_it(blender, kind, change, tail):
    """About its own hinge and axes, not those of the control."""
    face = small_face(blender, without("jawOpen"))
    armature = skin(blender, face)
    controls_before(blender, armature, "CTRL_jaw", tail=tail or (0.1, -0.2, 1.6))
    copy = armature.pose.bones["jaw"].constraints.new(kind)
    copy.target, copy.subtarget = armature, "CTRL_jaw"
    for name, value in change.items():
        setattr(copy, name, value)
    plan = character.plan_of(face)
    assert (plan.forward, plan.up) == ("-Y", "Z")
    assert [joint.bone for joint in plan.joints if joint.joint == "jaw"] == ["CTRL_jaw"]
    seen = detection.reach_of(face, plan)
    assert not seen.faults
    opened = gap_at(blender, face, jaw=1.0)
    assert opened > 15 and seen.shown["open"][0] == pytest.approx(opened, abs=0.1)


def test_a_jaw_that_copies_only_a_twist_turns_by_itself(blender):
    face = small_face(blender, without("jawOpen"))
    armature = skin(blender, face)
    controls_before(blender, armature, "twist")
    copy = armature.pose.bones["jaw"].constraints.new("COPY_ROTATION")
    copy.target, copy.subtarget = armature, "twist"
    copy.owner_space = copy.target_space = "LOCAL"
    copy.use_x = copy.use_z = False
    assert not detection.reach_of(face, character.plan_of(face)).faults
    assert gap_at(blender, face, jaw=1.0) > 15


def test_keys_behind_sliders_close_the_lips_as_far_as_they_open(blender):
    """A control may have a way of millimetres, and another at whose default the mouth is open."""
    face = small_face(blender, KEYS)
    armature = skin(blender, face)
    blocks = face.data.shape_keys.key_blocks
    controls_before(blender, armature, "c_lips")
    armature["shut"] = 1.0  # its default is 0
    drive(blocks["jawOpen"], "value", armature, '["shut"]', "1 - v")
    drive(blocks["mouthClose"], "value", armature, 'pose.bones["c_lips"].location[1]', "50 * v")
    assert not detection.reach_of(face, character.plan_of(face)).faults
    for jaw in (0.0, 0.3, 0.6):
        assert abs(gap_at(blender, face, jaw=jaw, mouthClose=jaw)) < 0.5
        assert armature["shut"] == pytest.approx(1.0 - jaw)
    assert gap_at(blender, face, jaw=0.8) == pytest.approx(0.8 * 22, abs=0.1)


def test_what_is_worn_far_before_the_face_does_not_turn_it_round(blender):
    face = small_face(blender, KEYS)
    for points in (face.data.vertices, *(key.data for key in face.data.shape_keys.key_blocks)):
        points[PLACES.index("top")].co.y = -0.5  # the brim of a hat
    plan = character.plan_of(face)
    assert (plan.forward, plan.up) == ("-Y", "Z")
    assert not detection.reach_of(face, plan).is_mirrored


@pytest.mark.parametrize("far", [5, 10])
@pytest.mark.parametrize("by", ["mouthClose", "jaw bone", "both", "nothing", "skin"])
def test_lips_that_are_modelled_apart_meet_where_those_of_a_take_do(blender, by, far):
    """Where an edge joins them they are skin, which is not apart."""
    keys = {
        "jaw bone": without("jawOpen", "mouthClose"),
        "both": without("jawOpen"),
        "nothing": without("mouthClose"),
    }
    face = small_face(blender, keys.get(by, KEYS))
    if by != "skin":
        mesh = bmesh.new()
        mesh.from_mesh(face.data)
        bmesh.ops.delete(mesh, geom=mesh.edges[:], context="EDGES_FACES")
        mesh.to_mesh(face.data)
    for points in (face.data.vertices, *(key.data for key in face.data.shape_keys.key_blocks)):
        for place in JAW:
            points[PLACES.index(place)].co.z -= far / 1000
    if by in ("jaw bone", "both"):
        skin(blender, face)
    plan = character.plan_of(face)
    said = detection.reach_of(face, plan).faults
    if by == "nothing":
        assert list(said.values()) == [
            "The lips do not meet over an open jaw: m, b and p stay open. Map mouthClose, to the "
            "jaw itself at −1 if nothing else closes them"
        ]
        return
    assert not said
    if by == "skin":
        assert gap_at(blender, face) == pytest.approx(far, abs=0.01)
        return
    assert abs(gap_at(blender, face)) < 0.7
    assert abs(gap_at(blender, face, jaw=0.2, mouthClose=0.2)) < 0.7
    rig, names = head_module.resolve(face), head_module.channel_names()
    motion = types.Motion(np.zeros((1, len(names)), np.float32), np.array([[0.1, 0, 0]]))
    read = rig.driver.read(rig.driver.drive(motion, names), names)
    assert np.abs(read.jaw - motion.jaw).max() < 1e-5 and np.abs(read.expression).max() < 1e-5
    assert all(track.rest in (0.0, 1.0) for track in rig.driver.tracks)  # hidden takes leave it


@pytest.mark.parametrize("keyed", [True, False], ids=["jaw by key", "jaw by bone"])
def test_half_a_face_with_a_mirror_widens_its_mouth(blender, keyed):
    face = small_face(blender, KEYS if keyed else without("jawOpen"))
    skin(blender, face)
    keys = face.data.shape_keys.key_blocks
    for key in keys:  # skin beyond the middle of the half goes inwards as well
        key.data[PLACES.index("nose")].co.x = 0.012 - 0.02 * (key.name == "mouthPucker")
    face.data.vertices[PLACES.index("nose")].co.x = 0.012
    blender.context.view_layer.objects.active = face
    mesh = bmesh.new()
    mesh.from_mesh(face.data)
    bmesh.ops.delete(mesh, geom=[each for each in mesh.verts if each.co.x < -1e-6])
    mesh.to_mesh(face.data)
    face.modifiers.new("Mirror", "MIRROR")
    assert len(face.data.vertices) < len(PLACES) == len(POINTS) and "mouthStretchLeft" in keys
    plan = character.plan_of(face)
    assert not detection.reach_of(face, plan).faults and "mouthPucker" in plan.used


def test_a_constraint_that_is_added_later_is_noticed(blender):
    face = small_face(blender, without("jawOpen"))
    armature = skin(blender, face)
    assert "jaw" in {joint.joint for joint in character.plan_of(face).joints}
    constraint = armature.pose.bones["jaw"].constraints.new("COPY_ROTATION")
    constraint.target = add_mesh(blender, "Aim", [(0, 0, 0)])
    blender.context.view_layer.update()
    assert "jaw" not in {joint.joint for joint in character.plan_of(face).joints}


# ---- names


def test_the_jaw_is_found_beside_keys_of_another_family(blender):
    """Plain English: none of the conventions has all four."""
    keys = {"Mouth Open": "jawOpen", "Oo": "mouthPucker", "Blink": "eyeBlinkLeft"}
    face = small_face(blender, {name: KEYS[like] for name, like in keys.items()})
    targets = {rule.source: rule.target.name for rule in character.plan_of(face).rules}
    assert (targets["jawOpen"], targets["mouthPucker"]) == ("Mouth Open", "Oo")
    assert targets["eyeBlinkLeft"] == "Blink"


def test_two_families_on_one_character_are_both_used():
    names = (
        *("browInnerUp", "browDownLeft", "browDownRight", "eyeBlinkLeft", "eyeBlinkRight"),
        *("cheekPuff", "noseSneerLeft", "noseSneerRight", "eyeWideLeft", "eyeWideRight"),
        *("vrc.v_aa", "vrc.v_ou", "vrc.v_oh", "vrc.v_pp"),
    )
    shapes = conventions.find(names).shapes
    assert shapes["jawOpen"] == {"vrc.v_aa": 1.0} and shapes["mouthPucker"] == {"vrc.v_ou": 1.0}
    assert shapes["browInnerUp"] == {"browInnerUp": 1.0}
    # what stands in for a missing key is that of the whole
    assert shapes["mouthClose"] == {"vrc.v_aa": -1.0}


def test_a_shape_means_one_thing():
    """An E of Rhubarb's is not another chart's E as well."""
    shapes = conventions.find(("A", "B", "C", "D", "E", "F", "G", "H", "X")).shapes
    own = [name for channel in shapes.values() for name in channel]
    assert shapes["jawOpen"] == {"D": 1.0} and shapes["mouthFunnel"] == {"E": 1.0}
    assert own.count("E") == 1 and own.count("F") == 1


@pytest.mark.parametrize(
    "names, wanted",
    [
        (
            "G9__facs_jnt_JawOpen G9__facs_bs_MouthClose_div2 G9__facs_bs_MouthPucker_div2 "
            "G9__facs_bs_MouthFunnel_div2 G9__facs_bs_MouthSmileLeft_div2 "
            "G9__facs_jnt_EyeBlinkLeft G9__facs_jnt_EyeBlinkRight G9__facs_bs_TongueOut "
            "G9__facs_ctrl_CheekPuff",
            "jawOpen mouthClose mouthPucker mouthFunnel mouthSmileLeft eyeBlinkLeft tongueOut "
            "cheekPuff",
        ),
        (
            "eCTRLMouthOpen eCTRLvUW eCTRLvOW eCTRLvM eCTRLvF eCTRLMouthSmileSimpleL "
            "eCTRLEyesClosedL eCTRLBrowInnerUp-Down",
            "jawOpen mouthPucker mouthFunnel mouthPressLeft mouthRollLower mouthSmileLeft "
            "eyeBlinkLeft browInnerUp",
        ),
        (
            "mouth-open mouth-protusion mouth-eversion mouth-pursing mouth-compression "
            "mouth-corner-puller mouth-retraction eye-left-closure",
            "jawOpen mouthFunnel mouthPucker mouthPressLeft mouthSmileLeft mouthStretchLeft "
            "eyeBlinkLeft",
        ),
        (
            "Avatar_JawOpen_blend Avatar_LipPuckerUpperLeft_blend Avatar_LipPuckerUpperRight_blend "
            "Avatar_LipPuckerLowerLeft_blend Avatar_LipPuckerLowerRight_blend "
            "Avatar_MouthClosed_blend Avatar_EyeClosedLeft_blend",
            "jawOpen mouthPucker mouthClose eyeBlinkLeft",
        ),
        (
            "MouthOpen MouthNarrow_Left MouthNarrow_Right Smile_Left Frown_Right Blink_Left "
            "BrowsDown_Left UpperLipUp_Left LowerLipDown_Right LowerLipIn",
            "jawOpen mouthPucker mouthSmileLeft mouthFrownRight eyeBlinkLeft browDownLeft "
            "mouthUpperUpLeft mouthLowerDownRight mouthRollLower",
        ),
        (
            "AU01 AU2_L AU_4_R AU10 AU12L L_AU12_Smile AU18_LipPucker AU_20_R_LipStretcher "
            "facs22 AU26_JawDrop AU45",
            "browInnerUp browOuterUpLeft browDownRight mouthUpperUpLeft mouthSmileLeft mouthPucker "
            "mouthStretchRight mouthFunnel jawOpen eyeBlinkRight",
        ),
        (
            "jawDrop lipsToward lipPuckerL lipPuckerR lipFunnelerLB lipFunnelerRB lipCornerPullerL "
            "lipStretcherR lowerLipDepressorL upperLipRaiserR eyesClosedL browLowererR eyesLookLeftL",
            "jawOpen mouthClose mouthPucker mouthFunnel mouthSmileLeft mouthStretchRight "
            "mouthLowerDownLeft mouthUpperUpRight eyeBlinkLeft browDownRight eyeLookOutLeft",
        ),
        (
            "sil_00 aa_ah_ax_01 aa_02 ao_03 ey_eh_uh_04 y_iy_ih_ix_06 w_uw_07 ow_08 l_14 s_z_15 "
            "sh_ch_jh_zh_16 th_dh_17 f_v_18 d_t_n_19 k_g_ng_20 p_b_m_21",
            "jawOpen mouthFunnel mouthPucker mouthStretchLeft mouthLowerDownLeft mouthPressRight "
            "mouthRollLower tongueTipUp tongueOut tongueBack",
        ),
        (
            "h_expressions.AE_AA_h h_expressions.AO_a_h h_expressions.UW_U_h h_expressions.FV_h "
            "h_expressions.MPB_Up_h h_expressions.MPB_Down_h h_expressions.MouthOpen_h "
            "h_expressions.LsmileOpen_h h_expressions.ReyeClose_h",
            "jawOpen mouthFunnel mouthPucker mouthRollLower mouthPressLeft mouthSmileLeft "
            "eyeBlinkRight",
        ),
        (
            "Phoneme_aah Phoneme_B,M,P Phoneme_ch,J,sh Phoneme_ee Phoneme_F,V Phoneme_oh "
            "Phoneme_ooh,Q Phoneme_th Modifier_BlinkLeft",
            "jawOpen mouthPressLeft mouthFunnel mouthStretchLeft mouthRollLower mouthPucker "
            "tongueOut eyeBlinkLeft",
        ),
        (
            "JawOpen LipsFunnel LipsPucker LowerLipClose LowerLipDownLeft UpperLipUpRight "
            "BrowsUpCenter BrowsDownLeft EyeBlinkLeft",
            "jawOpen mouthFunnel mouthPucker mouthRollLower mouthLowerDownLeft mouthUpperUpRight "
            "browInnerUp browDownLeft eyeBlinkLeft",
        ),
    ],
    ids=[
        "Daz FACS",
        "Daz Genesis 8",
        "MPFB",
        "with a prefix and a suffix",
        "Mixamo Fuse",
        "action units",
        "Meta Movement",
        "Microsoft",
        "Autodesk",
        "FaceGen",
        "Snap",
    ],  # fmt: skip
)
def test_names_of_other_makers_are_found(names, wanted):
    found = conventions.find(("Basis", *names.split()))
    assert set(wanted.split()) <= set(found.shapes) - set(found.fallbacks)


@pytest.mark.parametrize(
    "form, numbers, jaw, pucker",
    [
        ("viseme_{:02d}", range(15), "viseme_10", "viseme_14"),
        ("Viseme {}", range(1, 15), "Viseme 10", "Viseme 14"),
        ("vis_{:02d}", range(1, 16), "vis_11", "vis_15"),
        ("Head.Viseme{}", range(22), "Head.Viseme2", "Head.Viseme7"),
        ("viseme.{}", range(1, 23), "viseme.3", "viseme.8"),
    ],
)
def test_numbered_mouths_are_those_of_the_list_that_they_fit(form, numbers, jaw, pucker):
    shapes = conventions.find(("Basis", *map(form.format, numbers))).shapes
    assert jaw in shapes["jawOpen"] and pucker in shapes["mouthPucker"]


def test_numbers_that_fit_no_list_are_no_mouths():
    assert conventions.find(("Basis", *map("viseme_{}".format, range(1, 11)))) is None
    named = conventions.find(("AA_VI_00_Sil", "AA_VI_10_aa", "AA_VI_14_U", "AA_VI_01_PP"))
    assert named.shapes["jawOpen"] == {"AA_VI_10_aa": 1.0}, "what is said besides counts"


def test_what_two_action_units_do_together_is_neither():
    shapes = conventions.find(("AU12", "AU26", "AU06_AU12", "AU12_AU25", "AU01_AU02")).shapes
    assert {name for shape in shapes.values() for name in shape} == {"AU12", "AU26"}


def test_a_jaw_alone_behind_a_prefix_is_found_beside_plain_names():
    shapes = conventions.find(("Smile", "Blink", "CH01_MouthOpen_v2", "Hand Open")).shapes
    assert shapes["jawOpen"] == {"CH01_MouthOpen_v2": 1.0}
    assert "jawOpen" not in conventions.find(("Smile", "Blink", "Hand Open")).shapes


def test_letters_and_numbers_that_say_nothing_are_no_face():
    assert conventions.find(("Basis", "Key 1", "A", "Tall")) is None


@pytest.mark.parametrize("names", [("jaw_upper", "jaw_lower"), ("Jaw_Top", "Jaw_Bottom")])
def test_of_an_upper_and_a_lower_jaw_the_one_that_opens_the_mouth_turns(blender, names):
    face = bare_face(blender)
    above, below = names
    bones = {
        "head": BONES["head"][:2] + (None,),
        above: ((0, 0, 1.63), (0, -0.09, 1.62), "head"),
        below: ((0, 0, 1.62), (0, -0.09, 1.55), "head"),
    }
    armature = rig_with(blender, bones)
    for bone, places in (
        (above, ["upper", "nose"]),
        (below, list(JAW)),
        ("head", [p for p in PLACES if p not in (*JAW, "upper", "nose")]),
    ):
        face.vertex_groups.new(name=bone).add([PLACES.index(p) for p in places], 1.0, "REPLACE")
    deform(face, armature)
    blender.context.view_layer.update()
    plan = character.plan_of(face)
    assert [joint.bone for joint in plan.joints if joint.joint == "jaw"] == [below]
    assert gap_at(blender, face, jaw=1.0) > 10


@pytest.mark.parametrize("is_locked", [True, False])
@pytest.mark.parametrize("degrees", [0, 180])
def test_a_jaw_bone_at_the_chin_is_moved_where_turning_it_opens_nothing(
    blender, is_locked, degrees
):
    turn = Matrix.Rotation(math.radians(degrees), 3, "Z")
    face = small_face(blender, {}, turn)
    face.shape_key_clear()
    bones = {
        "head": (*(turn @ Vector(p) for p in BONES["head"][:2]), None),
        "jaw": (turn @ Vector((0, -0.1, 1.5997)), turn @ Vector((0, -0.12, 1.59)), "head"),
    }
    armature = rig_with(blender, bones)
    bind(armature, face, ("lower",))
    armature.pose.bones["jaw"].lock_rotation = (is_locked,) * 3
    armature.pose.bones["jaw"].lock_rotation_w = is_locked
    blender.context.view_layer.update()
    assert not detection.reach_of(face, character.plan_of(face)).faults.get("open")
    assert 15 < gap_at(blender, face, jaw=1.0) < 45
    assert gap_at(blender, face, jaw=0.5, mouthClose=0.5) == pytest.approx(0, abs=1.0)


def test_a_beak_that_opens_straight_down_looks_ahead(blender):
    ahead = Vector((0, -0.2, 0))
    face = small_face(blender, KEYS | {"jawOpen": {"lower": (0, 0, -0.03), "chin": (0, 0, -0.03)}})
    for points in (face.data.vertices, *(key.data for key in face.data.shape_keys.key_blocks)):
        for place in ("upper", "lower", "chin", "nose"):
            points[PLACES.index(place)].co += ahead
    plan = character.plan_of(face)
    assert (plan.forward, plan.up) == ("-Y", "Z")
    assert "jawOpen" in plan.used and not detection.reach_of(face, plan).faults


@pytest.mark.parametrize("head", [(0, -0.1, 1.5997), (0, -0.088, 1.6)], ids=["nothing", "4 mm"])
@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_a_jaw_bone_that_opens_little_as_it_turns_is_moved(blender, head, scale):
    face = bare_face(blender)
    bones = {
        name: (Vector(start) / scale, Vector(end) / scale, parent)
        for name, (start, end, parent) in {
            "head": (*BONES["head"][:2], None),
            "jaw": (head, (0.03, -0.12, 1.62), "head"),
        }.items()
    }
    armature = rig_with(blender, bones)
    armature.scale = (scale,) * 3
    blender.context.view_layer.update()
    bind(armature, face, ("lower",))
    face.matrix_parent_inverse = armature.matrix_world.inverted()
    blender.context.view_layer.update()
    assert 15 < gap_at(blender, face, jaw=1.0) < 45
    assert "jaw" not in {joint.joint for joint in character.plan_of(face).joints}


def limited(armature, kind="LIMIT_ROTATION", least=0.0, most=0.0):
    """Let a jaw bone turn or move no further than this."""
    limit = armature.pose.bones["jaw"].constraints.new(kind)
    limit.owner_space = "LOCAL"
    for axis in "xyz":
        for used in (f"use_limit_{axis}", f"use_min_{axis}", f"use_max_{axis}"):
            if hasattr(limit, used):
                setattr(limit, used, True)
        setattr(limit, f"min_{axis}", least)
        setattr(limit, f"max_{axis}", most)


def test_a_jaw_is_measured_as_far_as_its_limits_let_it_go(blender):
    face = small_face(blender, without("jawOpen"))
    armature = skin(blender, face)
    limited(armature, least=-0.1, most=0.1)
    opened = gap_at(blender, face, jaw=1.0)
    assert 5 < opened < 15
    found = detection.reach_of(face, character.plan_of(face))
    assert found.shown["open"][0] == pytest.approx(opened, abs=0.2)


def test_a_jaw_that_may_not_turn_is_moved(blender):
    face = bare_face(blender)
    limited(skin(blender, face))
    assert gap_at(blender, face, jaw=1.0) > 15


def test_a_jaw_that_may_neither_turn_nor_move_is_said(blender):
    face = bare_face(blender)
    armature = skin(blender, face)
    limited(armature)
    limited(armature, "LIMIT_LOCATION")
    assert abs(gap_at(blender, face, jaw=1.0)) < 0.1
    assert "open" in detection.reach_of(face, character.plan_of(face)).faults


def test_a_mouth_that_its_jaw_may_not_shut_is_said(blender):
    face = bare_face(blender)
    mesh = bmesh.new()
    mesh.from_mesh(face.data)
    bmesh.ops.delete(mesh, geom=mesh.edges[:], context="EDGES_FACES")
    for place in JAW:
        mesh.verts.ensure_lookup_table()
        mesh.verts[PLACES.index(place)].co.z -= 0.01
    mesh.to_mesh(face.data)
    armature = skin(blender, face)
    assert abs(gap_at(blender, face)) < 1.0
    assert "closed" not in detection.reach_of(face, character.plan_of(face)).faults
    limited(armature, most=1.0)  # no further than it was modelled
    assert gap_at(blender, face) == pytest.approx(10.0, abs=0.1)
    assert "closed" in detection.reach_of(face, character.plan_of(face)).faults


@pytest.mark.parametrize("by", ["bone", "key"])
def test_the_upper_half_of_a_puppets_head_opens_its_mouth(blender, by):
    upper = tuple(place for place in PLACES if place not in (*JAW, "neck"))
    if by == "bone":
        face = bare_face(blender)
        skin(blender, face, jaw=upper)
    else:
        face = small_face(blender, KEYS | {"jawOpen": dict.fromkeys(upper, (0, 0.004, 0.022))})
    opened = gap_at(blender, face, jaw=1.0)
    assert opened > 15 and gap_at(blender, face, jaw=0.5, mouthClose=0.5) < 1
    plan = character.plan_of(face)
    assert (plan.forward, plan.up) == ("-Y", "Z")
    assert detection.reach_of(face, plan).shown["open"][0] == pytest.approx(opened, abs=0.5)


@pytest.mark.parametrize("kind", ["SINGLE_PROP", "TRANSFORMS"])
def test_a_key_that_corrects_a_turned_jaw_is_measured_with_it(blender, kind):
    more = {"lower": (0, 0, -0.006), "chin": (0, 0, -0.004)}
    face = small_face(blender, without("jawOpen") | {"fix": more})
    armature = skin(blender, face)
    armature.pose.bones["jaw"].rotation_mode = "XYZ"
    path = 'pose.bones["jaw"].rotation_euler[0]'
    drive(face.data.shape_keys.key_blocks["fix"], "value", armature, path, "abs(v) / 0.3")
    if kind == "TRANSFORMS":
        driver = rna_paths.drivers_of(face.data.shape_keys)[rna_paths.key_path("fix")].driver
        driver.variables[0].type = kind
        target = driver.variables[0].targets[0]
        target.id, target.bone_target, target.transform_type = armature, "jaw", "ROT_X"
        target.transform_space = "LOCAL_SPACE"
    opened = gap_at(blender, face, jaw=1.0)
    found = detection.reach_of(face, character.plan_of(face))
    assert found.shown["open"][0] == pytest.approx(opened, abs=0.2)
    assert abs(gap_at(blender, face, jaw=0.5, mouthClose=0.5)) < 1.0


@pytest.mark.parametrize("scale", [(-1, 1, 1), (1, -1, 1), (1, 1, -1)])
def test_a_face_that_is_mirrored_by_its_scale_keeps_its_sides(blender, scale):
    face = small_face(blender, KEYS)
    face.data.transform(Matrix.Diagonal((*scale, 1)), shape_keys=True)
    face.scale = scale
    blender.context.view_layer.update()
    assert not detection.reach_of(face, character.plan_of(face)).is_mirrored


def test_a_transformation_that_replaces_a_turn_rules_a_jaw(blender):
    face = small_face(blender, without("jawOpen"))
    constraint = skin(blender, face).pose.bones["jaw"].constraints.new("TRANSFORM")
    constraint.target = add_mesh(blender, "Aim", [(0, 0, 0)])
    constraint.map_to, constraint.mix_mode_rot = "ROTATION", "REPLACE"
    with pytest.raises(errors.BadHead, match="“jaw” is turned by its constraint"):
        head_module.resolve(face)


@pytest.mark.parametrize("kind", ["right", "swapped", "open smile"])
def test_a_smile_lifts_the_corners_and_a_frown_lowers_them_or_is_no_key(blender, kind):
    way = -1 if kind == "swapped" else 1
    keys = dict(KEYS)
    for side in ("Left", "Right"):
        corner = f"corner_{side[0].lower()}"
        keys[f"mouthSmile{side}"] = {corner: (0, 0, way * 0.008)}
        keys[f"mouthFrown{side}"] = {corner: (0, 0, -way * 0.006)}
        if kind == "open smile":  # as of drawn faces, whose lower lip goes down
            keys[f"mouthSmile{side}"] |= KEYS["jawOpen"]
    face = small_face(blender, keys)
    used, unused = character.plan_of(face).used, detection.unused_of(face)
    names = {f"mouth{what}{side}" for what in ("Smile", "Frown") for side in ("Left", "Right")}
    if kind != "swapped":
        assert names <= used and not unused
        return
    assert not names & used
    assert "“mouthSmileLeft” lowers the corner of the mouth" in unused
    assert "“mouthFrownRight” raises the corner of the mouth" in unused
    said = character.say_unused(face)
    assert said.endswith("so it is not used (3 more): look in Thunder Character")
    rules = [mapping.Rule(name, mapping.Target("KEY", name), 1.0) for name in sorted(names)]
    plan = character.plan_of(face)
    by_hand = replace(plan, rules=(*plan.rules, *rules))
    head_state.keep_mapping(face, by_hand.to_json())
    faults = detection.reach_of(face, by_hand).faults
    assert faults["mouthSmile"] == "mouthSmile lowers the corner of the mouth: change its target"
    assert character.say_unused(face).startswith("mouthFrown raises the corner of the mouth")
    turned = [replace(rule, weight=-1.0) for rule in rules]
    head_state.keep_mapping(face, replace(plan, rules=(*plan.rules, *turned)).to_json())
    assert character.say_unused(face) == ""


@pytest.mark.parametrize("far, said", [(0, "Nothing closes"), (3, "down by 3 mm only"), (12, "")])
def test_a_blink_that_hardly_moves_the_lids_is_said(blender, far, said):
    lids = {"Left": "lid_l", "Right": "lid_r"}
    blinks = {f"eyeBlink{side}": {lid: (0, 0, -far / 1000)} for side, lid in lids.items()}
    face = small_face(blender, KEYS | blinks)
    found = detection.reach_of(face, character.plan_of(face)).faults
    assert said in found["blink"] if said else not found


def test_a_drawn_mouth_that_is_a_line_of_some_width_meets(blender):
    """As of cartoons: a dark ellipse on a plane, which a key makes higher."""
    around = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    points = np.stack([0.04 * np.cos(around), np.full(32, -0.001), 0.002 * np.sin(around)], 1)
    mouth = add_mesh(blender, "Mouth", points.tolist(), ("MouthOpen",), [range(32)])
    points[:, 2] *= 12
    block = mouth.data.shape_keys.key_blocks["MouthOpen"]
    block.points.foreach_set("co", points.astype(np.float32).ravel())
    block.slider_min, block.slider_max = 0.0, 1.0
    found = detection.reach_of(mouth, character.plan_of(mouth))
    assert found.upper and not {"open", "closed"} & set(found.faults)
