# SPDX-License-Identifier: GPL-3.0-or-later
"""A character is believed by what its keys and bones do to its face, not by what they are called."""

import time
from dataclasses import replace

import bmesh
import numpy as np
import pytest
from characters import add_mesh, bare_face, gap_at, rig_with, seen_points, skin, small_face
from drawing import Context, Shown
from few_points import BONES, JAW, KEYS, PLACES, POINTS, without
from makers import drive
from mathutils import Matrix, Vector
from thunder.scene.heads import (
    character,
    detection,
    head as head_module,
    head_state,
    reading,
    rna_paths,
    trial,
)
from thunder.scene.media import export
from thunder.scene.takes import mouth_pictures
from thunder.thunder_core import errors, progress, types
from thunder.thunder_core.face import conventions, mapping
from thunder.thunder_core.face.character import PointMeter
from thunder.thunder_core.face.measured_face import Face
from timing import keeps


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


# ---- the jaw


# ---- what is no key


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
    still, opened, wrong = (
        mouth_pictures.mouth(*how) for how in ((44, 0), (44, 20), (44, 20, True))
    )
    assert (opened != still).sum() > 100
    assert wrong[0, 0, 0] > 3 * opened[0, 0, 0] and (wrong[16, 16] == opened[16, 16]).all()


# ---- odd faces


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


def seen_points_of(bpy, obj, vertex):
    bpy.context.view_layer.update()
    return Vector(seen_points(bpy, obj)[vertex])


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
        ("TRANSFORM", {"map_to": "ROTATION", "mix_mode_rot": "REPLACE"}, False),
        ("COPY_ROTATION", {"use_x": False, "use_z": False}, True),
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


def controls_before(bpy, armature, *names, tail=(0, -0.25, 1.6)):
    """Add bones to a rig that stand 10 cm before the mouth, as children of its head."""
    bpy.context.view_layer.objects.active = armature
    bpy.ops.object.mode_set(mode="EDIT")
    for name in names:
        bone = armature.data.edit_bones.new(name)
        bone.head, bone.tail, bone.parent = (0, -0.2, 1.6), tail, armature.data.edit_bones["head"]
    bpy.ops.object.mode_set(mode="OBJECT")


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


def test_lips_that_are_modelled_apart_meet_and_are_read_back(blender):
    """By the jaw past rest, which hidden takes leave."""
    face = small_face(blender, without("jawOpen"))
    mesh = bmesh.new()
    mesh.from_mesh(face.data)
    bmesh.ops.delete(mesh, geom=mesh.edges[:], context="EDGES_FACES")
    mesh.to_mesh(face.data)
    for points in (face.data.vertices, *(key.data for key in face.data.shape_keys.key_blocks)):
        for place in JAW:
            points[PLACES.index(place)].co.z -= 0.01
    skin(blender, face)
    assert abs(gap_at(blender, face)) < 0.7
    assert abs(gap_at(blender, face, jaw=0.2, mouthClose=0.2)) < 0.7
    rig, names = head_module.resolve(face), head_module.channel_names()
    motion = types.Motion(np.zeros((1, len(names)), np.float32), np.array([[0.1, 0, 0]]))
    read = rig.driver.read(rig.driver.drive(motion, names), names)
    assert np.abs(read.jaw - motion.jaw).max() < 1e-5 and np.abs(read.expression).max() < 1e-5
    assert all(track.rest in (0.0, 1.0) for track in rig.driver.tracks)


def test_a_constraint_that_is_added_later_is_noticed(blender):
    face = small_face(blender, without("jawOpen"))
    armature = skin(blender, face)
    assert "jaw" in {joint.joint for joint in character.plan_of(face).joints}
    constraint = armature.pose.bones["jaw"].constraints.new("COPY_ROTATION")
    constraint.target = add_mesh(blender, "Aim", [(0, 0, 0)])
    blender.context.view_layer.update()
    assert "jaw" not in {joint.joint for joint in character.plan_of(face).joints}


# ---- names


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


def test_channels_that_do_the_opposite_are_said_until_they_are_mended(blender):
    keys = dict(KEYS)
    for side in ("Left", "Right"):
        corner = f"corner_{side[0].lower()}"
        keys[f"mouthSmile{side}"] = {corner: (0, 0, -0.008)}
        keys[f"mouthFrown{side}"] = {corner: (0, 0, 0.006)}
    face = small_face(blender, keys)
    said = character.say_unused(face)
    assert said.endswith("so it is not used (3 more): look in Thunder Character")
    names = sorted(name for name in keys if name.startswith(("mouthSmile", "mouthFrown")))
    rules = [mapping.Rule(name, mapping.Target("KEY", name), 1.0) for name in names]
    plan = character.plan_of(face)
    head_state.keep_mapping(face, replace(plan, rules=(*plan.rules, *rules)).to_json())
    assert character.say_unused(face).startswith("mouthFrown raises the corner of the mouth")
    turned = [replace(rule, weight=-1.0) for rule in rules]
    head_state.keep_mapping(face, replace(plan, rules=(*plan.rules, *turned)).to_json())
    assert character.say_unused(face) == ""
