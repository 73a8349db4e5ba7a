# SPDX-License-Identifier: GPL-3.0-or-later
"""Shape keys made on a face that has none, by dots on it."""

import json
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
from drawing import draw
from file_state import differences, state_of_file
from makers import MAKERS, read_anatomy
from mathutils import Matrix, Vector
from running_engine import connection, find_or_skip, stop_engine  # noqa: F401
from thunder.operators.base import SlicedWork
from thunder.scene.heads import (
    character as character_module,
    detection,
    family,
    head,
    head_state,
    new_shapes,
)
from thunder.scene.host import jobs
from thunder.scene.review import fault_marks
from thunder.scene.takes import mouth_pictures
from thunder.thunder_core import errors
from thunder.thunder_core.face.head import load_head
from thunder.thunder_core.face.making import dots, judging
from thunder.thunder_core.face.making.laying import model

BROAD, SIZE = np.array([1.07, 0.94, 1.04]), 11.0  # of a stranger made of the bundled head


def bare_face(moved=0.0):
    """The bundled head's mesh, whose vertices may be moved [V, 3], metres, broader and eleven times
    as large, without keys."""
    head = load_head()
    points = (head.v_template + moved) * BROAD * SIZE
    places = np.stack([points[:, 0], -points[:, 2], points[:, 1]], 1)
    mesh = bpy.data.meshes.new("Stranger")
    mesh.from_pydata(places.tolist(), [], head.f.tolist())
    face = bpy.data.objects.new("Stranger", mesh)
    bpy.context.collection.objects.link(face)
    face.location, face.rotation_euler = (1.0, 2.0, 3.0), (0.0, 0.0, 0.0)
    bpy.context.view_layer.objects.active = face
    face.select_set(True)
    bpy.context.view_layer.update()
    return face


def wanted_places():
    """Where the dots belong, [24, 3] in the axes of the face from its origin."""
    head = load_head()
    return head.v_template[dots.vertices_of(head)] * BROAD * SIZE


@pytest.fixture
def face(blender, connection, monkeypatch):  # noqa: F811
    monkeypatch.setenv("THUNDER_TRACKER", "/nowhere")  # it takes seconds to start
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    return bare_face()


@pytest.fixture
def told(monkeypatch):
    """What the buttons say."""
    said = []
    monkeypatch.setattr(SlicedWork, "tell", lambda self, kind, text: said.append(text))
    return said


@pytest.fixture
def marked(face):
    """The face with dots that were dragged where they belong."""
    return mark(face)


def mark(face):
    assert bpy.ops.thunder.mark_face() == {"FINISHED"}
    root, places = new_shapes.dots_of(face), wanted_places()
    inward = (root.matrix_world.inverted() @ face.matrix_world).to_translation()
    for dot in root.children:
        dot.location = inward + Vector(places[dot[new_shapes.DOTS]])
    bpy.context.view_layer.update()
    return face


@pytest.fixture(scope="module")
def file(stop_engine, tmp_path_factory):  # noqa: F811
    """A file in which shapes were made for a face."""
    find_or_skip()
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THUNDER_TRACKER", "/nowhere")
        mark(bare_face())
    assert bpy.ops.thunder.make_shapes() == {"FINISHED"}
    path = str(tmp_path_factory.mktemp("made") / "stranger.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    return path


@pytest.fixture
def made(file):
    bpy.ops.wm.open_mainfile(filepath=file)
    return bpy.data.objects["Stranger"]


def moved(face, name):
    """How far a key moves the vertices, mm of the bundled head, in its axes, [V, 3]."""
    blocks = face.data.shape_keys.key_blocks
    by = family.points_of(blocks[name].data) - family.points_of(blocks["Basis"].data)
    return 1e3 / SIZE * np.stack([by[:, 0], by[:, 2], -by[:, 1]], 1)


def test_dots_lie_about_where_they_belong_and_the_right_follows_the_left(face):
    """Though the object is turned, and the face looks along its X."""
    face.rotation_euler = (0.0, 0.2, 2.0)
    face.data.transform(Matrix.Rotation(np.pi / 2, 4, "Z"))
    bpy.context.view_layer.update()
    assert bpy.ops.thunder.mark_face() == {"FINISHED"}
    root = new_shapes.dots_of(face)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    places = new_shapes._marks(root, depsgraph)
    wanted = wanted_places()
    off = np.linalg.norm(places - places.mean(0) - (wanted - wanted.mean(0)), axis=1)
    assert np.median(off) < 0.006 * SIZE
    left = next(dot for dot in root.children if dot.name == "Mouth corner, left")
    left.location.x += 0.05
    bpy.context.view_layer.update()
    again = new_shapes._marks(root, bpy.context.evaluated_depsgraph_get())
    number = dots.NAMES.index("mouth corner, right")
    assert again[number, 0] < places[number, 0] - 0.02
    right = next(dot for dot in root.children if dot.name == "Mouth corner, right")
    right.constraints[new_shapes.MIRROR].enabled = False
    bpy.context.view_layer.update()
    free = new_shapes._marks(root, bpy.context.evaluated_depsgraph_get())
    assert np.allclose(free[number], places[number], atol=1e-3 * SIZE)


def test_a_tracker_sees_the_face_and_a_broken_one_leaves_dots_to_proportions(
    face, monkeypatch, told
):
    for place in (Path(sys.prefix).parent / "tracker", Path(sys.executable)):
        monkeypatch.setenv("THUNDER_TRACKER", str(place))
        assert bpy.ops.thunder.mark_face() == {"FINISHED"}
        bpy.data.objects.remove(bpy.data.objects["Chin"])
    assert "a picture of the face" in told[0] and "by proportions alone" in told[1]


def test_the_sidebar_has_a_sketch_of_the_dot_that_is_dragged(face):
    panel = bpy.types.THUNDER_PT_main
    assert "Make Shapes" not in str(draw(panel, bpy.context).notes)
    assert bpy.ops.thunder.mark_face() == {"FINISHED"}
    drawn = draw(panel, bpy.context)
    assert "Upper lid, left" in drawn.texts() and "thunder.make_shapes" in drawn.of("operator")
    number = dots.NAMES.index("upper lid, left")
    pictures = [mouth_pictures.face_with_dots(each) for each in (number, None)]
    row, column = np.nonzero((pictures[0] != pictures[1]).any(2))
    # on the right of who looks, above the middle; rows begin at the bottom
    middle = np.array([column.mean(), row.mean()]) / mouth_pictures.FACE
    assert (middle > 0.6).all() and (middle < 0.7).all()
    root = new_shapes.dots_of(face)
    bpy.context.view_layer.objects.active = bpy.data.objects["Brow, right"]
    assert "enabled" in draw(panel, bpy.context).of("prop")
    assert "thunder.add_head" not in draw(panel, bpy.context).of("operator")
    root.hide_set(True)
    drawn = draw(panel, bpy.context)
    assert {"thunder.make_shapes", "thunder.add_head"} <= set(drawn.of("operator"))
    assert "Show Dots" in str(drawn.notes)


def test_a_face_without_keys_gets_all_of_them_its_basis_stays_and_it_passes_the_last_look(made):
    head = load_head()
    before = (head.v_template * BROAD * SIZE)[:, [0, 2, 1]] * [1, -1, 1]
    names = made.data.shape_keys.key_blocks.keys()
    assert set(head.expression_names) | {"jawOpen", "eyeLookUpLeft"} <= set(names)
    assert np.allclose(before, [each.co for each in made.data.vertices], atol=1e-5)
    blocks = made.data.shape_keys.key_blocks
    assert np.allclose(family.points_of(blocks["Basis"].data), before, atol=1e-5)
    assert all(block.value == 0 for block in blocks[1:])
    jaw, chin = moved(made, "jawOpen"), dots.MIDDLE["chin"]
    assert -32 < jaw[chin, 1] < -18
    # the lower lip goes down, the upper one stays
    assert jaw[head.inner_lip_upper_mid, 1] - jaw[head.inner_lip_lower_mid, 1] > 15
    close = jaw + moved(made, "mouthClose")
    assert abs(close[head.inner_lip_upper_mid, 1] - close[head.inner_lip_lower_mid, 1]) < 2
    # a lower incisor goes with the jaw, an upper one stays
    teeth = head.polygons[head.polygon_material == head.material_names.index("Teeth")][:, 0]
    rises = jaw[teeth, 1]
    is_lower = head.weights[teeth, 2] > 0.5
    assert rises[is_lower].max() < -10 and np.abs(rises[~is_lower]).max() < 0.5
    # lids hide the eye
    places, balls = 1e3 * head.v_template * BROAD, (head.weights[:, 3:5] > 0.9).any(1)
    ball = places[head.weights[:, 3] > 0.9]
    is_bare = balls.copy()
    is_bare[model().ids] = True
    of_eye = head.f[is_bare[head.f].all(1)], balls, (ball.min(0) + ball.max(0)) / 2, 12.5
    assert judging.left_open(places, *of_eye) > 7
    assert judging.left_open(places + moved(made, "eyeBlinkLeft"), *of_eye) < 0.5
    seen = detection.reach_of(made, character_module.plan_of(made))
    assert bpy.context.scene.thunder.head == made
    assert not seen.faults and seen.shown["open"][0] > 10


def test_what_was_sculpted_stays_and_the_rest_is_made_again(made):
    blocks = made.data.shape_keys.key_blocks
    blocks["mouthPucker"].data[5306].co.x += 0.1
    sculpted = family.points_of(blocks["mouthPucker"].data)
    blocks["jawOpen"].value = 0.5
    jaw = family.points_of(blocks["jawOpen"].data)
    assert bpy.ops.thunder.make_shapes() == {"FINISHED"}
    assert np.array_equal(family.points_of(blocks["mouthPucker"].data), sculpted)
    # dots stick to the open mouth, and are read where it is shut
    assert np.allclose(family.points_of(blocks["jawOpen"].data), jaw, atol=1e-3 * SIZE)
    assert new_shapes._kept(made) == {"Basis", "mouthPucker"}


@pytest.mark.parametrize(
    "kept, sentence",
    [
        (["jawOpen", "mouthPucker"], "Torn skin: jawOpen, mouthPucker."),  # as 0.4.0 kept it
        ({"open": ["mouthPucker", "jawOpen"]}, "stays open: jawOpen, mouthPucker."),
        ({"hole": ["jawOpen", "mouthPucker"]}, "inside of a lip shows: jawOpen, mouthPucker."),
    ],
)
def test_keys_that_are_not_good_are_named_until_they_are_sculpted(made, kept, sentence):
    made.data[new_shapes.TORN] = json.dumps(kept)
    assert sentence in new_shapes.say_faults(made)[0]
    for name in ("jawOpen", "mouthPucker"):
        made.data.shape_keys.key_blocks[name].data[5306].co.x += 0.1
    assert not new_shapes.say_faults(made)


def test_a_posed_character_is_read_at_rest_and_its_dots_lie_on_the_pose(face):
    """Its head is turned by a bone; Subdivision lies over it."""
    bpy.ops.object.armature_add(location=face.location)
    rig = bpy.context.object
    bpy.ops.object.mode_set(mode="EDIT")
    rig.data.edit_bones[0].tail = (0, 0, SIZE * 0.2)
    bpy.ops.object.mode_set(mode="OBJECT")
    face.vertex_groups.new(name="Bone").add(range(len(face.data.vertices)), 1.0, "REPLACE")
    face.modifiers.new("Armature", "ARMATURE").object = rig
    face.modifiers.new("Subdivision", "SUBSURF")
    rig.pose.bones[0].rotation_mode = "XYZ"
    rig.pose.bones[0].rotation_euler = (-0.3, 0.6, 0.1)
    bpy.context.view_layer.objects.active = face
    face.select_set(True)
    bpy.context.view_layer.update()
    assert bpy.ops.thunder.mark_face() == {"FINISHED"}
    root = new_shapes.dots_of(face)
    bpy.context.view_layer.update()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    turn = rig.matrix_world @ rig.pose.bones[0].matrix @ rig.data.bones[0].matrix_local.inverted()
    spots = np.array([
        turn @ rig.matrix_world.inverted() @ face.matrix_world @ Vector((x, -z, y))
        for x, y, z in wanted_places()
    ])  # fmt: skip
    seen = {
        dot[new_shapes.DOTS]: np.array(dot.evaluated_get(depsgraph).matrix_world.translation)
        for dot in root.children
    }
    off = [np.linalg.norm(seen[number] - spot) for number, spot in enumerate(spots)]
    assert np.median(off) < 0.006 * SIZE
    for dot in root.children:
        dot.location = root.matrix_world.inverted() @ Vector(spots[dot[new_shapes.DOTS]])
    bpy.context.view_layer.update()
    marks = new_shapes._marks(root, bpy.context.evaluated_depsgraph_get())
    apart = np.linalg.norm(np.diff(marks, axis=0), axis=1)
    assert np.allclose(apart, np.linalg.norm(np.diff(wanted_places(), axis=0), axis=1), atol=0.05)
    assert [each.show_viewport for each in face.modifiers] == [True, True]
    assert tuple(rig.pose.bones[0].rotation_euler) != (0, 0, 0)


@pytest.mark.parametrize("maker", ["VRoid", "ARKit behind a prefix", "Ready Player Me (Oculus)"])
def test_a_character_that_has_shapes_is_mapped_by_one_press(
    blender,
    connection,
    monkeypatch,
    maker,  # noqa: F811
    told,
):
    """Of either button, and gets dots by another."""
    monkeypatch.setenv("THUNDER_TRACKER", "/nowhere")
    face = MAKERS[maker](blender, read_anatomy())
    scene, press = bpy.context.scene, bpy.ops.thunder
    bpy.context.view_layer.objects.active = face
    face.select_set(True)
    names = face.data.shape_keys.key_blocks.keys()
    for button in (press.mark_face, press.make_shapes):
        scene.thunder.head, told[:] = None, []
        assert button() == {"FINISHED"}
        assert scene.thunder.head == face and head_state.mapping(face)
        assert "has shapes already and is mapped by them" in told[0]
        assert new_shapes.dots_of(face) is None
    assert not press.make_shapes.poll() and press.mark_face() == {"FINISHED"}
    assert new_shapes.is_marked(face) and names == face.data.shape_keys.key_blocks.keys()


def mouth_of_pieces():
    """The bundled head's skin as VRoid's: one mesh with two shells of teeth above and below and a
    tongue, pieces of their own close behind the lips; A lifts the upper lip as far as it lowers the
    other, I makes no mouth wider."""
    body = read_anatomy()
    skin = body.parts["head"]
    lips = body.points[list(body.lips)].mean(0)
    near = np.exp(-((np.linalg.norm(body.points - lips, axis=1) / 0.012) ** 2))[skin]
    across, rows = np.meshgrid(np.linspace(-0.024, 0.024, 49), np.arange(11))
    grid = np.stack([across, 8 * across**2, 0.002 * rows], 2).reshape(-1, 3)
    number = np.arange(len(grid)).reshape(across.shape)
    squares = np.stack([number[:-1, :-1], number[:-1, 1:], number[1:, 1:], number[1:, :-1]], 2)
    points, polygons = [body.points[skin]], []
    lowered = 0.0081 - 0.0187 * body.weights["jaw"][skin]
    opened = [near * lowered]
    for back, low, by in [(8, -2, 7), (11, -2, 7), (8, -20, -11), (11, -20, -11), (13, -12, -10)]:
        polygons += (squares.reshape(-1, 4) + sum(map(len, points))).tolist()
        points.append(lips + grid + [0.0, 1e-3 * back, 1e-3 * low])
        opened.append(np.full(len(grid), 1e-3 * by))
    a = np.outer(np.concatenate(opened), [0.0, 0.0, 1.0])
    place = np.full(len(body.points), -1)
    place[skin] = np.arange(len(skin))
    own = place[body.polygons]
    polygons = own[(own >= 0).all(1)].tolist() + polygons
    places, inside = np.concatenate(points), np.zeros((len(a) - len(skin), 3))
    pucker, blink = (
        np.concatenate([body.mix(**{name: 1.0 for name in names})[skin], inside])
        for names in (["mouthPucker"], ["eyeBlinkLeft", "eyeBlinkRight"])
    )
    keys = {"A": a, "I": 0.2 * a, "U": 0.2 * a + pucker, "E": 0.5 * a, "O": 0.6 * a + pucker / 2}
    mesh = bpy.data.meshes.new("Avatar")
    mesh.from_pydata(places.tolist(), [], polygons)
    face = bpy.data.objects.new("Avatar", mesh)
    bpy.context.collection.objects.link(face)
    face.shape_key_add(name="Basis", from_mix=False)
    for name, by in (keys | {"Blink": blink * [0.0, 0.0, 1.0]}).items():
        block = face.shape_key_add(name=name, from_mix=False)
        block.points.foreach_set("co", (places + by).astype(np.float32).ravel())
        block.value = 0.0
    bpy.context.view_layer.objects.active = face
    face.select_set(True)
    bpy.context.view_layer.update()
    return face, [int(place[each]) for each in body.lips]


def test_lips_are_found_before_teeth_and_tongue_of_one_mesh_and_shapes_join_its_mapping(
    blender,
    connection,
    monkeypatch,  # noqa: F811
    told,
):
    """As of VRoid's faces, whose I makes no mouth wider, which is said; by the buttons that the
    sentence names."""
    monkeypatch.setenv("THUNDER_TRACKER", "/nowhere")
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    face, lips = mouth_of_pieces()
    assert bpy.ops.thunder.make_shapes() == {"FINISHED"}
    assert "press Mark the Face, then Make Shapes" in told[0]
    plan = character_module.plan_of(face)
    seen = detection.reach_of(face, plan)
    opened = [face.data.shape_keys.key_blocks["A"].data[each].co.z for each in lips]
    rest = [face.data.vertices[each].co.z for each in lips]
    parted = 1e3 * (np.subtract(*opened) - np.subtract(*rest))
    assert set(seen.faults) == {"wide"} and seen.shown["open"][0] == pytest.approx(parted, rel=0.1)
    assert abs(seen.shown["closed"][0]) < 0.5
    count = len(read_anatomy().parts["head"])
    assert max(seen.upper + seen.lower) < count  # on the skin
    box = draw(bpy.types.THUNDER_PT_character, bpy.context)
    assert "Nothing makes the mouth wider" in " ".join(box.texts())
    assert bpy.ops.thunder.mark_face() == {"FINISHED"}
    told.clear()
    assert bpy.ops.thunder.make_shapes() == {"FINISHED"}
    joined = character_module.plan_of(face)
    assert "kept 6 of your own" in told[0] and set(plan.used) < set(joined.used)
    assert {"mouthPressLeft", "browDownLeft"} <= set(joined.used)
    assert {rule for rule in plan.rules if rule.source == "jawOpen"} <= set(joined.rules)
    assert "mouthRollLower" in {row.source for row in bpy.context.scene.thunder.table if row.target}
    found = detection.detect(face, anew=True)
    assert set(found.used) == set(joined.used)


def test_a_dot_stands_for_its_face(marked):
    assert new_shapes.number_of(bpy.context.object) is not None
    texts = draw(bpy.types.THUNDER_PT_character, bpy.context).texts()
    assert any(text.startswith("Stranger:") for text in texts)
    assert not any("lid" in text for text in texts)


def test_where_a_key_is_not_good_the_face_is_red_until_it_is_sculpted(
    blender,
    connection,
    monkeypatch,
    tmp_path,  # noqa: F811
):
    """A left eye that is shut at rest; nothing of it is stored."""
    monkeypatch.setenv("THUNDER_TRACKER", "/nowhere")
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    own = model()
    shut = np.zeros((len(own.points), 3))
    shut[own.ids] = 1e-3 * own.lids[0].shut(own.skin.points, own.skin)
    face = mark(bare_face(shut))
    assert bpy.ops.thunder.make_shapes() == {"FINISHED"}
    assert "No eye opens between its dots: eyeBlinkLeft." in new_shapes.say_faults(face)[0]
    graph = bpy.context.evaluated_depsgraph_get()
    red = fault_marks.corners_of(face, graph)
    eye = to_world(face, own.eyes[0] / 1e3)
    far = np.linalg.norm(red - eye, axis=2) / SIZE
    assert 20 < len(red) and far.max() < 0.035
    face.location.x += 5.0
    face.modifiers.new("Subdivision", "SUBSURF")
    bpy.context.view_layer.update()
    assert np.allclose(fault_marks.corners_of(face, graph) - red, [5, 0, 0], atol=0.01 * SIZE)
    assert "show_faults" in draw(bpy.types.THUNDER_PT_character, bpy.context).of("prop")
    path = str(tmp_path / "red.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path, copy=True)
    face.data.shape_keys.key_blocks["eyeBlinkLeft"].data[0].co.x += 0.1
    assert not len(fault_marks.corners_of(face, graph)) and not new_shapes.say_faults(face)
    bpy.ops.wm.open_mainfile(filepath=path)
    face, graph = bpy.data.objects["Stranger"], bpy.context.evaluated_depsgraph_get()
    assert new_shapes.say_faults(face) and not len(fault_marks.corners_of(face, graph))
    box = draw(bpy.types.THUNDER_PT_character, bpy.context)
    assert "Press Make Shapes to see in red where" in " ".join(box.texts())
    assert bpy.ops.thunder.make_shapes() == {"FINISHED"}
    assert len(fault_marks.corners_of(face, bpy.context.evaluated_depsgraph_get()))


def to_world(face, place):
    """A place of the bundled head, metres, on a face made of it."""
    x, y, z = place * BROAD * SIZE
    return np.array(face.matrix_world @ Vector((x, -z, y)))


def separate():
    """Make each loose part of the face an object of its own, selected; the skin, then the others."""
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.mesh.separate(type="LOOSE")
    bpy.ops.object.mode_set(mode="OBJECT")
    parts = sorted(bpy.context.selected_objects, key=lambda obj: -len(obj.data.vertices))
    bpy.context.view_layer.objects.active = parts[0]
    return parts


def test_each_object_of_a_face_gets_the_keys_that_it_lacks_and_that_move_it(face, monkeypatch):
    """And a face whose voice is there speaks."""
    speaking = []
    monkeypatch.setattr(
        bpy.types.THUNDER_OT_generate, "execute",
        lambda self, context: speaking.append(head.current(context)) or {"FINISHED"},
    )  # fmt: skip
    assert bpy.ops.thunder.sample_voice() == {"FINISHED"}
    skin, *others = parts = separate()
    mark(skin)
    assert not any(obj.select_get() for obj in parts)  # dragged dots would take them along
    skin.shape_key_add(name="Basis", from_mix=False)
    own = skin.shape_key_add(name="mouthPucker", from_mix=False)
    for vertex in own.data[:100]:
        vertex.co.z -= 0.1
    before = family.points_of(own.data)
    assert bpy.ops.thunder.make_shapes() == {"FINISHED"}
    assert np.array_equal(family.points_of(own.data), before) and speaking == [skin]
    assert "mouthClose" in skin.data.shape_keys.key_blocks
    tongue = max(others, key=lambda obj: len(obj.data.vertices))
    assert {"jawOpen", "tongueOut"} <= set(tongue.data.shape_keys.key_blocks.keys())


def test_dots_that_lie_there_stay_and_are_shown_again_unless_one_was_deleted(marked, told):
    root, told[:] = new_shapes.dots_of(marked), []
    for each in (root, *root.children):
        each.hide_set(True)
    chin, brow = (bpy.data.objects[name] for name in ("Chin", "Brow, left"))
    chin.location.y, brow.location.z = -7.5, 1.25
    assert bpy.ops.thunder.mark_face() == {"FINISHED"}
    assert new_shapes.dots_of(marked) == root and root.visible_get() and chin.visible_get()
    assert (chin.location.y, brow.location.z) == (-7.5, 1.25) and "as they did" in told[0]
    bpy.data.objects.remove(brow)
    assert bpy.ops.thunder.mark_face() == {"FINISHED"}
    assert bpy.data.objects["Chin"].location.y != -7.5 and new_shapes.is_marked(marked)


def test_a_mesh_of_few_vertices_gets_no_dots_and_is_told_how_many_it_has(face):
    bpy.ops.mesh.primitive_monkey_add()
    with pytest.raises(RuntimeError, match="“Suzanne” has 507 vertices, too few"):
        bpy.ops.thunder.mark_face()
    assert new_shapes.dots_of(bpy.context.object) is None


def test_what_is_selected_elsewhere_is_no_part_of_the_face(face):
    far, twin = face.copy(), face.copy()
    for other, place in ((far, (90.0, 20.0, 50.0)), (twin, (6.0, 2.0, 3.0))):
        bpy.context.collection.objects.link(other)
        other.location = place
        other.select_set(True)
    assert mark(face).select_get() is False
    assert not new_shapes.parts_of(new_shapes.dots_of(face))


@pytest.mark.parametrize(
    "spoil, sentence",
    [
        (lambda face: face.modifiers.new("Mirror", "MIRROR"), "half a face"),
        (lambda face: setattr(face, "scale", (1, 0, 1)), "scaled to nothing"),
        (lambda face: new_shapes.dots_of(face).children[0], None),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(marked, spoil, sentence):
    spoiled = spoil(marked)
    bpy.context.view_layer.update()
    if sentence is None:
        bpy.data.objects.remove(spoiled)
        sentence = "was deleted"
    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.thunder.make_shapes()
    if sentence != "was deleted":
        bpy.data.objects.remove(bpy.data.objects["Chin"])
        with pytest.raises(RuntimeError, match=sentence):
            bpy.ops.thunder.mark_face()
    assert marked.data.shape_keys is None


@pytest.fixture
def stop_after(monkeypatch):
    """`stop_after(count, what)` does something when the next work has written so many keys."""

    def arrange(count, what):
        def run(title, steps, on_step=None):
            job = jobs.begin(title, steps)
            try:
                written = 0
                while not job.advance(0.0):
                    written += job.step.message == "Writing shape keys"
                    if written == count:
                        what(job)
                return job.value
            finally:
                jobs.end_job()

        monkeypatch.setattr(jobs, "run_through", run)

    return arrange


def stop(job):
    job.stop_requested = True


def test_esc_while_a_face_is_marked_leaves_no_dots(face, stop_after):
    before = state_of_file()
    stop_after(0, stop)
    assert bpy.ops.thunder.mark_face() == {"CANCELLED"}
    assert not differences(before, state_of_file())


def test_esc_while_keys_are_written_leaves_the_face_as_it_was(face, stop_after):
    """And its eyes, teeth and tongue; and all are made afterwards."""
    marked = mark(separate()[0])
    before = state_of_file()
    for count in (19, 70):
        stop_after(count, stop)
        assert bpy.ops.thunder.make_shapes() == {"CANCELLED"}
        assert not differences(before, state_of_file())
    stop_after(-1, stop)
    assert bpy.ops.thunder.make_shapes() == {"FINISHED"}
    assert new_shapes._kept(marked) == {"Basis"}


def test_esc_gives_back_keys_that_would_be_made_again(made, stop_after):
    blocks = made.data.shape_keys.key_blocks
    blocks["mouthPucker"].data[5306].co.x += 0.1
    blocks["jawOpen"].value = 0.5
    next(iter(new_shapes.dots_of(made).children)).location.x += 0.02 * SIZE
    del made.data[new_shapes.TORN]
    made.shape_key_remove(blocks["eyeBlinkLeft"])
    before = state_of_file()
    stop_after(30, stop)
    assert bpy.ops.thunder.make_shapes() == {"CANCELLED"}
    assert not differences(before, state_of_file())


def test_keys_that_are_saved_half_way_count_as_made(marked, stop_after, tmp_path):
    path = str(tmp_path / "half.blend")
    stop_after(19, lambda job: bpy.ops.wm.save_as_mainfile(filepath=path, copy=True))
    assert bpy.ops.thunder.make_shapes() == {"FINISHED"}
    bpy.ops.wm.open_mainfile(filepath=path)
    half = bpy.data.objects["Stranger"]
    assert len(half.data.shape_keys.key_blocks) == 20 and new_shapes._kept(half) == {"Basis"}


@pytest.mark.parametrize(
    "clear",
    [
        lambda face: face.shape_key_clear(),
        lambda face: bpy.data.objects.remove(face),
        lambda face: bpy.data.meshes.remove(face.data),
    ],
)
def test_what_is_deleted_while_keys_are_written_ends_in_a_sentence(marked, stop_after, told, clear):
    told.clear()
    stop_after(19, lambda job: clear(marked))
    assert bpy.ops.thunder.make_shapes() == {"CANCELLED"}
    why = "something that it works on was deleted"
    assert told == [f"Making shapes was cancelled, because {why}: start it again"]
    assert not any(mesh.shape_keys for mesh in bpy.data.meshes if mesh.users)


@pytest.mark.parametrize(
    "change",
    [
        lambda face: bpy.data.objects.remove(new_shapes.dots_of(face)),
        lambda face: setattr(face, "name", "Somebody"),
    ],
    ids=["without dots", "renamed"],
)
def test_shapes_are_made_and_told_where_dots_are_deleted_or_the_face_renamed_meanwhile(
    marked, stop_after, told, change
):
    stop_after(19, lambda job: change(marked))
    assert bpy.ops.thunder.make_shapes() == {"FINISHED"}
    assert told[-1].startswith("Made ") and marked.data.shape_keys is not None
    assert bpy.context.scene.thunder.head == marked


def test_a_face_of_very_many_vertices_is_refused_at_once(face):
    face.data.vertices.add(new_shapes._MOST)
    with pytest.raises(
        RuntimeError, match="more than 300,000, which would take gigabytes: use its"
    ):
        bpy.ops.thunder.mark_face()
    assert new_shapes.dots_of(face) is None


def test_only_meshes_count_as_parts_of_a_face(marked):
    """Whatever a file names as such."""
    root = new_shapes.dots_of(marked)
    for number, data in enumerate(
        (bpy.data.cameras.new("x"), bpy.data.lights.new("x", "SUN"), None)
    ):
        root[f"{new_shapes._PART}{number}"] = other = bpy.data.objects.new("Other", data)
        bpy.context.collection.objects.link(other)
    assert new_shapes.parts_of(root) == []
    assert bpy.ops.thunder.make_shapes() == {"FINISHED"}


def test_an_undo_meanwhile_ends_the_work_and_nothing_is_made(marked, connection):  # noqa: F811
    name = marked.name
    work = new_shapes.make(
        connection.start_client(), connection.ask, marked, [], bpy.context.evaluated_depsgraph_get()
    )
    for message in ("dots", "more"):
        bpy.ops.ed.undo_push(message=message)
    job = jobs.begin("Making shapes", work)
    job.step = next(job.steps)
    bpy.ops.ed.undo()
    with pytest.raises(errors.CancelledByUndo, match="Making shapes was cancelled"):
        job.advance()
    jobs.end_job()
    assert bpy.data.objects[name].data.shape_keys is None
