# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured on a character is what Blender shows of it, however it is driven.

What is then found on it is tested in tests/face/test_character.py.
"""

import time

import numpy as np
import pytest
from characters import add_mesh, bare_face, drive, gap_at, rig_with, seen_points, skin, small_face
from drawing import Context, Shown
from few_points import BONES, KEYS, mirrored, PLACES, POINTS, without
from mathutils import Matrix, Vector
from thunder.scene.heads import character, detection, head as head_module, reading, rna_paths, trial
from thunder.scene.media import export
from thunder.scene.takes import mouth_pictures
from thunder.thunder_core import errors, progress, types
from thunder.thunder_core.face import mapping
from thunder.thunder_core.face.reading import conventions
from thunder.thunder_core.face.reading.character import PointMeter
from thunder.thunder_core.face.reading.measured_face import Face
from timing import keeps

ROTATION = 'pose.bones["jaw"].rotation_euler'
CONTROL = ((0, -0.2, 1.6), (0, -0.25, 1.6), "head")  # a bone 10 cm before the mouth


def reach_of(face):
    return detection.reach_of(face, character.plan_of(face))


# ---- what is measured is what Blender shows


def test_measured_moves_are_those_of_the_evaluated_mesh(blender):
    """With vertex groups, a key relative to another, bones, drivers, and objects that are scaled."""
    face = small_face(blender, KEYS)
    armature = skin(blender, face)
    armature.scale, armature.location = (0.5, 0.5, 0.5), (1, 2, 3)
    blocks = face.data.shape_keys.key_blocks
    face.vertex_groups.new(name="half").add([PLACES.index("lid_l")], 0.25, "REPLACE")
    blocks["eyeBlinkLeft"].vertex_group = "half"
    for close, opened, rest in zip(*(blocks[n].data for n in ("mouthClose", "jawOpen", "Basis"))):
        close.co += opened.co - rest.co
    blocks["mouthClose"].relative_key = blocks["jawOpen"]
    armature.pose.bones["jaw"].rotation_mode = "XYZ"
    path = rna_paths.key_path("jawOpen")
    drive(armature, ROTATION, face.data.shape_keys, path, "v * 0.4", 0)
    blender.context.view_layer.update()
    meter, plan = PointMeter(reading.read([face], [armature])), mapping.Mapping("")
    still = seen_points(blender, face)
    for name in KEYS:
        blocks[name].value = 1.0
        seen = seen_points(blender, face) - still
        blocks[name].value = 0.0
        measured = meter.offsets(0, {mapping.Target("KEY", name): 1.0}, plan)
        assert np.abs(measured - seen).max() < 1e-5, name
    half_a_metre = Face(meter, character.plan_of(face)).mm
    assert half_a_metre == pytest.approx(500.0, rel=1e-4)


def test_measuring_changes_nothing_and_is_quick_on_a_heavy_face(blender):
    blender.ops.mesh.primitive_grid_add(x_subdivisions=250, y_subdivisions=250, size=np.pi)
    face = blender.context.object
    x, y, _ = seen_points(blender, face).T.astype(np.float32)
    points = 0.1 * np.stack([np.cos(y) * np.cos(2 * x), np.cos(y) * np.sin(2 * x), np.sin(y)], 1)
    face.data.vertices.foreach_set("co", points.ravel())  # a ball
    names = [*conventions.conventions()[0].keys][:150]
    face.shape_key_add(name="Basis")
    for i, name in enumerate(names + [f"extra {i}" for i in range(150 - len(names))]):
        block = face.shape_key_add(name=name)
        block.value = 0.25
        near = np.linalg.norm(points - points[(i * 397) % len(points)], axis=1) < 0.06
        moved = points - np.outer(near, np.float32([0, 0, 0.01]))
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
    turns = np.outer(jaws, [types.JAW_OPEN_RADIANS, 0, 0])
    motion = types.Motion(np.zeros((4, len(names))), turns)
    gaps = progress.result(rig.meter.lip_gap(rig.driver.drive(motion, names)))
    wanted = [gap_at(blender, face, jaw=jaw) for jaw in jaws]
    assert wanted[-1] > 5 and gaps == pytest.approx(wanted, abs=0.08 * wanted[-1])


def test_a_mesh_that_was_changed_is_measured_again(blender):
    face = small_face(blender, KEYS)
    keys = face.data.shape_keys.key_blocks
    assert reach_of(face).shown["open"][0] == pytest.approx(22.0, abs=0.1)
    keys["jawOpen"].data[PLACES.index("chin")].co.z += 0.004
    keys["jawOpen"].data[PLACES.index("lower")].co.z += 0.01
    assert reach_of(face).shown["open"][0] == pytest.approx(12.0, abs=0.1)
    keys["jawOpen"].mute = True
    with pytest.raises(errors.BadHead, match="no jaw .“jawOpen” of “Face” is muted"):
        head_module.resolve(face)
    keys["jawOpen"].mute = False
    assert "jawOpen" in character.plan_of(face).used


def limited(face, armature):
    limit = armature.pose.bones["jaw"].constraints.new("LIMIT_ROTATION")
    limit.owner_space, limit.use_limit_x, limit.min_x, limit.max_x = "LOCAL", True, -0.1, 0.1


def corrected(face, armature, **how):
    """A key that lowers the lip further follows the jaw's turn."""
    armature.pose.bones["jaw"].rotation_mode = "XYZ"
    fix = face.shape_key_add(name="fix", from_mix=False)
    fix.data[PLACES.index("lower")].co.z -= 0.006
    drive(fix, "value", armature, f"{ROTATION}[0]", "abs(v) / 0.3", **how)


def corrected_by_its_turn(face, armature):
    places = {"transform_type": "ROT_X", "transform_space": "LOCAL_SPACE", "bone_target": "jaw"}
    corrected(face, armature, kind="TRANSFORMS", **places)


def turned_by_influence(face, armature):
    """A key that moves no point: no second jaw is added, and none is missed."""
    face.shape_key_add(name="jawOpen", from_mix=False)
    turn = armature.pose.bones["jaw"].constraints.new("TRANSFORM")
    turn.target, turn.subtarget = armature, "head"
    turn.owner_space = turn.target_space = "LOCAL"
    turn.map_to, turn.mix_mode_rot = "ROTATION", "ADD"
    turn.to_min_x_rot = turn.to_max_x_rot = 0.3
    drive(turn, "influence", face.data.shape_keys, rna_paths.key_path("jawOpen"))


@pytest.mark.parametrize(
    "change, least, most",
    [
        (limited, 5, 15),
        (corrected, 30, 40),
        (corrected_by_its_turn, 30, 40),
        (turned_by_influence, 15, 40),
    ],
)
def test_a_jaw_opens_as_far_as_is_measured_whatever_else_moves_it(blender, change, least, most):
    face = small_face(blender, without("jawOpen"))
    change(face, skin(blender, face))
    blender.context.view_layer.update()
    seen, opened = reach_of(face), gap_at(blender, face, jaw=1.0)
    assert least < opened < most and seen.shown["open"][0] == pytest.approx(opened, rel=0.05)
    assert "open" not in seen.faults
    assert sum(rule.joint == "jaw" for rule in character.plan_of(face).joints) == (
        change is not turned_by_influence
    )
    assert change is limited or abs(gap_at(blender, face, jaw=0.5, mouthClose=0.5)) < 1.0
    blender.context.view_layer.objects.active = face
    blender.ops.object.mode_set(mode="EDIT")  # which shows no drivers
    assert "open" not in detection.reach_of(face, detection.detect(face, anew=True)).faults
    blender.ops.object.mode_set(mode="OBJECT")
    while detection.look_on.due is not None:
        detection.look_on.tick()


LOCAL = {"owner_space": "LOCAL", "target_space": "LOCAL"}


@pytest.mark.parametrize(
    "kind, change, tail",
    [
        ("COPY_ROTATION", LOCAL, (0, -0.29, 1.53)),
        ("COPY_ROTATION", LOCAL, (0, -0.2, 1.7)),
        ("COPY_ROTATION", LOCAL, (0.1, -0.2, 1.6)),
        ("COPY_ROTATION", LOCAL | {"invert_x": True}, (0, -0.3, 1.6)),
        ("COPY_TRANSFORMS", LOCAL, (0, -0.3, 1.6)),
        ("COPY_ROTATION", {}, (0, -0.29, 1.53)),
        ("COPY_ROTATION", LOCAL | {"target_space": "LOCAL_OWNER_ORIENT"}, (0.1, -0.2, 1.6)),
    ],
)
def test_a_jaw_turns_as_its_control_elsewhere_turns_it(blender, kind, change, tail):
    """About its own hinge and axes, not those of the control."""
    face = small_face(blender, without("jawOpen"))
    armature = skin(blender, face, CTRL_jaw=((0, -0.2, 1.6), tail, "head"))
    copy = armature.pose.bones["jaw"].constraints.new(kind)
    copy.target, copy.subtarget = armature, "CTRL_jaw"
    for name, value in change.items():
        setattr(copy, name, value)
    plan = character.plan_of(face)
    assert (plan.forward, plan.up) == ("-Y", "Z")
    assert [joint.bone for joint in plan.joints if joint.joint == "jaw"] == ["CTRL_jaw"]
    seen, opened = reach_of(face), gap_at(blender, face, jaw=1.0)
    assert not seen.faults
    assert opened > 15 and seen.shown["open"][0] == pytest.approx(opened, abs=0.1)


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
def test_a_constraint_that_overrides_a_jaw_is_noticed_when_it_comes(blender, kind, change, is_free):
    face = small_face(blender, without("jawOpen"))
    jaw = skin(blender, face).pose.bones["jaw"]
    assert "jaw" in {joint.joint for joint in character.plan_of(face).joints}
    constraint = jaw.constraints.new(kind)
    if hasattr(constraint, "target"):
        constraint.target = add_mesh(blender, "Aim", [(0, 0, 0)])
    for name, value in change.items():
        setattr(constraint, name, value)
    blender.context.view_layer.update()
    assert ("jaw" in {joint.joint for joint in character.plan_of(face).joints}) == is_free
    if not is_free:
        with pytest.raises(errors.BadHead, match=f"“jaw” is turned by .*“{constraint.name}”"):
            head_module.resolve(face)


@pytest.mark.parametrize("is_bound", [True, False], ids=["the jaw alone", "all of it"])
def test_a_jaw_that_is_an_object_of_its_own_parts_the_lips(blender, is_bound):
    """As of robots and puppets, whose parts hang on bones: no mesh need be bound to their rig."""
    face = bare_face(blender)
    armature = skin(blender, face, jaw=()) if is_bound else rig_with(blender, BONES)
    points = [POINTS["lower"], POINTS["chin"], (0.02, -0.1, 1.5997), (-0.02, -0.1, 1.5997)]
    part = add_mesh(blender, "Jaw", points, (), [(0, 1, 2), (0, 1, 3)])
    part.shape_key_clear()
    for obj, bone in [(part, "jaw")] + [(face, "head")] * (not is_bound):
        obj.parent, obj.parent_type, obj.parent_bone = armature, "BONE", bone
        blender.context.view_layer.update()
        obj.matrix_world = Matrix.Identity(4)
    assert head_module.in_scene(blender.context.scene) == [armature]
    assert head_module.guess(blender.context.scene, face) == armature
    whole = export.objects_of(blender.context.scene, head_module.resolve(armature))
    assert {armature, face, part} <= set(whole), "exports have its parts"
    found = reach_of(armature)
    assert set(found.parts) == {"Face", "Jaw"} and "open" not in found.faults
    armature.pose.bones["jaw"].rotation_mode = "XYZ"
    armature.pose.bones["jaw"].rotation_euler.x = types.JAW_OPEN_RADIANS
    blender.context.view_layer.update()
    opened = 1000 * (POINTS["lower"][2] - (part.matrix_world @ Vector(points[0])).z)
    assert found.shown["open"][0] == pytest.approx(abs(opened), abs=1.0) and abs(opened) > 15


def test_a_character_that_means_the_viewers_left_is_swapped(blender):
    face = small_face(blender, {mirrored(name): moves for name, moves in KEYS.items()})
    blender.context.scene.thunder.head = face
    assert reach_of(face).is_mirrored
    blender.ops.thunder.swap_sides()
    assert not reach_of(face).is_mirrored
    rules = {rule.source: rule.target.name for rule in character.plan_of(face).rules}
    assert rules["eyeBlinkLeft"] == "eyeBlinkRight"


# ---- what the panel shows of it


def test_the_panel_shows_the_mouths_of_a_character_and_what_is_wrong_with_it(blender):
    """Before its first take."""
    upside = {place: tuple(-x for x in move) for place, move in KEYS["mouthPucker"].items()}
    folds = {"corner_l": (0, 0, -0.002), "corner_r": (0, 0, -0.002)}
    shown = []
    for name, keys in (
        ("Right", KEYS),
        ("Wrong", KEYS | {"mouthPucker": upside, "jawOpen": folds}),
    ):
        blender.context.scene.thunder.head = small_face(blender, keys, name=name)
        panel = Shown(blender.types.THUNDER_PT_character)
        panel.draw(Context(blender.context))
        shown.append(panel.layout.texts())
    right, wrong = shown
    assert {"Rest", "Open", "Wide", "Round", "Closed", "Blink"} & {*right}
    assert not any("does not part" in text or "Not used" in text for text in right)
    wrong = " ".join(wrong)
    assert "The jaw does not part the lips" in wrong and "widens the mouth" in wrong
    assert "Nothing makes the mouth narrower" in wrong


def test_mouths_are_drawn_as_measured_and_red_where_wrong():
    still, opened, wrong = (
        mouth_pictures.mouth(*how) for how in ((44, 0), (44, 20), (44, 20, True))
    )
    assert (opened != still).sum() > 100
    assert wrong[0, 0, 0] > 3 * opened[0, 0, 0] and (wrong[16, 16] == opened[16, 16]).all()


# ---- drivers


DIALS = ("ring", "pin", "knob", "lever")  # properties whose names say nothing
FIRST, SECOND = (f'["{name}"]' for name in DIALS[:2])


def driven_face(bpy, kind):
    """(a face, its keys, the rig) whose jaw key is driven in a way of this kind: by an expression
    of a property, or as below."""
    face = small_face(bpy, KEYS)
    armature = skin(bpy, face, jaw=(), ctl=CONTROL, ctl2=CONTROL)
    armature.data.bones["jaw"].name = "spare"
    blocks, bone = face.data.shape_keys.key_blocks, armature.pose.bones["ctl"]
    for name in DIALS:
        armature[name] = armature.data[name] = 0.0
    for each in armature.pose.bones:
        each.rotation_mode = "XYZ"
    board = bpy.data.objects.new("Board", None)
    bpy.context.collection.objects.link(board)
    board.location.z = 1.5
    other = small_face(bpy, {"talk": {}}, name="Other")
    other.location.x = 3.0
    jaw, turn = (blocks["jawOpen"], "value"), "TRANSFORM_SPACE"

    def seen(source, expression, way, space, **places):
        how = {"kind": "TRANSFORMS", "transform_type": way, "transform_space": space}
        return *jaw, source, "", expression, -1, how | places

    ctl = {"bone_target": "ctl"}
    row = [
        (armature, f'["{one}"]', armature, f'["{two}"]', "v / 2")
        for one, two in zip(DIALS, DIALS[1:])
    ]
    pair = {"kind": "ROTATION_DIFF", "bone_target": ["ctl", "ctl2"]}
    ways = {
        "four in a row": [(*jaw, armature, FIRST), *row],
        "by the armature's data": [
            (*jaw, armature.data, FIRST),
            (armature.data, FIRST, armature, SECOND),
        ],
        "a bone that a property moves": [
            seen(armature, "20 * v", "LOC_Y", "LOCAL_SPACE", **ctl),
            (bone, "location", armature, FIRST, "v / 20", 1),
        ],
        "an object's place": [(*jaw, board, "location[2]", "10 * (1.5 - v)")],
        "an object's turn": [seen(board, "v", "ROT_X", turn)],
        "a bone's place in the world": [
            seen(armature, "10 * (1.6 - v)", "LOC_Z", "WORLD_SPACE", **ctl)
        ],
        "an angle between bones": [(*jaw, armature, "", "v", -1, pair)],
        "a key of another mesh": [(*jaw, other.data.shape_keys, rna_paths.key_path("talk"))],
    }
    for way in ways.get(kind, [(*jaw, armature, FIRST, kind)]):
        drive(*way[:6], **dict(*way[6:]))
    bpy.context.view_layer.update()
    return face, blocks, armature


def numbers_of(bpy, armature):
    """What a trial may change: properties, places, and which drivers work."""
    board, keys = bpy.data.objects["Board"], bpy.data.shape_keys
    data = [block.animation_data for block in (*keys, armature, armature.data)]
    return (
        [armature[name] for name in DIALS],
        [tuple(map(tuple, bone.matrix_basis)) for bone in armature.pose.bones],
        [block.value for key in keys for block in key.key_blocks],
        [curve.driver.is_valid for each in data if each for curve in each.drivers],
        (*board.location, *board.rotation_euler, *board.scale),
    )


@pytest.mark.parametrize(
    "kind",
    [
        *("v % 3", "log(1 + v)", "[v][0]", "tried(v)", "four in a row", "by the armature's data"),
        *("a bone that a property moves", "an object's place", "an object's turn"),
        *("a bone's place in the world", "an angle between bones", "a key of another mesh"),
    ],
)
def test_a_jaw_opens_however_its_key_is_driven(blender, kind):
    """Followed where the driver can be read, else by what Blender shows; nothing stays moved."""
    blender.app.driver_namespace["tried"] = lambda value: (value + value * value) / 2
    face, _, armature = driven_face(blender, kind)
    before = numbers_of(blender, armature)
    seen = reach_of(face)
    assert numbers_of(blender, armature) == before
    assert "open" not in seen.faults and not detection.unused_of(face)
    assert seen.shown["open"][0] == pytest.approx(22, abs=0.5)
    assert gap_at(blender, face, jaw=1.0) == pytest.approx(22, abs=0.5)


def test_muted_drivers_move_nothing_so_the_keys_themselves_are_taken(blender):
    face, blocks, armature = driven_face(blender, "[v][0]")
    assert armature in head_module.resolve(face).targets
    face.data.shape_keys.animation_data.drivers[0].mute = True
    rig = head_module.resolve(face)
    head_module.check_animatable(rig)
    paths = {track.path for _, track in rig.tracks_of(face.data.shape_keys)}
    assert rna_paths.key_path("jawOpen") in paths


def test_a_driver_whose_values_fail_on_the_way_goes_on_working(blender):
    blender.app.driver_namespace["tried"] = lambda value: value
    face, blocks, armature = driven_face(blender, "tried(v)")
    drive(blocks["mouthPucker"], "value", armature, FIRST, "sqrt(1 + v) - 1")
    assert {"jawOpen"} <= character.plan_of(face).used
    armature["ring"] = 0.5
    armature.update_tag()
    shown = face.data.shape_keys.evaluated_get(blender.context.evaluated_depsgraph_get())
    assert shown.key_blocks["mouthPucker"].value == pytest.approx(1.5**0.5 - 1, abs=1e-3)


@pytest.mark.parametrize("why", ["a panel", "an overlay", "no time"])
def test_a_driver_that_may_not_be_tried_yet_is_tried_soon(blender, monkeypatch, why):
    """While Blender draws nothing may be moved; and a slice of looks takes a fifth of a second."""
    face, *_ = driven_face(blender, "[v][0]")

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


def test_drivers_that_need_scripts_say_so(blender):
    face, *_ = driven_face(blender, "of_a_script(v)")
    with pytest.raises(errors.BadHead, match="^Drivers of this character need scripts: allow them"):
        head_module.resolve(face)
    skin(blender, face)  # another jaw
    assert any("need scripts" in sentence for sentence in character.faults_of(face))
