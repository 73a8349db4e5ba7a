# SPDX-License-Identifier: GPL-3.0-or-later
"""A head's eyes look at a target, measured on its evaluated bones, and go their own way again when
they are freed."""

import numpy as np
import pytest
from characters import deform, grid_mesh, rig_with
from drawing import draw
from mathutils import Matrix, Vector
from performances import keys_of, same, set_keys
from test_directing import client, direction, following, scene  # noqa: F401
from thunder.scene.heads import character, family, head
from thunder.scene.heads.detection import reach_of
from thunder.scene.takes import take_record
from thunder.scene.takes.direction import head_direction, sliders
from thunder.scene.voice import changes
from thunder.thunder_core import progress

pytestmark = pytest.mark.one_blender

FRAMES = range(15, 90, 15)


def add(blender, scene, name, place, data=None):
    obj = blender.data.objects.new(name, data)
    obj.location = place
    scene.collection.objects.link(obj)
    return obj


def off_target(blender, scene, rig, target, frames=FRAMES):
    """Degrees between where the eyes look, from the middle between them, and where a target is, at
    each frame."""
    angles = []
    for frame in frames:
        scene.frame_set(frame)
        armature = rig.armature.evaluated_get(blender.context.evaluated_depsgraph_get())
        place = target.evaluated_get(
            blender.context.evaluated_depsgraph_get()
        ).matrix_world.translation
        bones = [
            armature.matrix_world @ armature.pose.bones[name].matrix
            for name in ("eye_left", "eye_right")
        ]
        middle = (bones[0].translation + bones[1].translation) / 2
        for bone in bones:
            angles.append(np.degrees((bone.to_3x3() @ Vector((0, 0, 1))).angle(place - middle)))
    return np.array(angles)


def look(blender, scene, rig, entry, **how):
    direction = sliders.ensure(rig.owner)
    for name, value in how.items():
        setattr(direction, name, value)
    return progress.result(head_direction.update_eyes(scene, rig, entry.voice))


@pytest.mark.parametrize("moves", ["nothing", "target", "head"])
def test_eyes_aim_at_an_object_from_where_the_head_really_is(blender, scene, rig, moves, entry):
    own = keys_of(rig, entry)
    target = add(blender, scene, "target", (0.25, -1.2, 0.15))
    rig.armature.rotation_euler.z = 0.2
    # The head shows a take, whose action is its own: what moves the head as a whole is its parent.
    body = rig.armature.parent = add(blender, scene, "body", (0, 0, 0))
    if moves == "head":
        set_keys(body, "rotation_euler", {1: -0.15, 97: 0.15}, 2)
    elif moves == "target":
        set_keys(target, "location", {1: 0.1, 97: 0.25}, 0)
    blender.context.view_layer.update()
    before = off_target(blender, scene, rig, target)
    scene.frame_set(33)
    how = {"look_object": target, "looks_away": 0.0, "head_follows": 0.0}
    assert look(blender, scene, rig, entry, look_at="OBJECT", **how) == (1, 0)
    assert scene.frame_current == 33 and not take_record.is_edited(entry)
    assert off_target(blender, scene, rig, target).max() < 2.0 < before.max()
    changed = zip(rig.driver.tracks, own, keys_of(rig, entry))
    assert all("eye" in track.path.lower() for track, a, b in changed if not same([a], [b]))


def test_the_head_turns_part_of_the_way_and_eyes_still_meet_the_target(blender, scene, rig, entry):
    own, head_before = keys_of(rig, entry), take_record.load(entry.action).motion.head
    target = add(blender, scene, "target", (1.0, -1.1, 0.0))  # 42° to its left
    look(
        blender,
        scene,
        rig,
        entry,
        look_at="OBJECT",
        look_object=target,
        looks_away=0.0,
        head_follows=0.5,
    )
    turned = np.degrees(take_record.load(entry.action).motion.head[:, 1] - head_before[:, 1])
    assert 9 < turned.mean() < 18 and np.ptp(turned) < 4
    assert off_target(blender, scene, rig, target).max() < 2.0
    # from the take's own head again, not from the turned one
    look(blender, scene, rig, entry, head_follows=1.0)
    assert np.degrees(
        take_record.load(entry.action).motion.head[:, 1] - head_before[:, 1]
    ).mean() == pytest.approx(2 * turned.mean(), abs=1)
    look(blender, scene, rig, entry, look_at="NONE")
    assert take_record.LOOK not in entry.action
    assert same(own, keys_of(rig, entry)) and np.array_equal(
        take_record.load(entry.action).motion.head, head_before
    )


def test_each_other_head_is_offered_to_be_looked_at(blender, scene, rig, entry):
    def text():
        panel = draw(blender.types.THUNDER_PT_direction, blender.context)
        return next(how["text"] for kind, words, how in panel.notes if "thunder.look_at" in words)

    scene.thunder.head = rig.mesh
    direction = sliders.ensure(rig.owner)
    direction.look_at = "NONE"
    assert text() == "No Target"
    with pytest.raises(TypeError):
        blender.ops.thunder.look_at(target=f"HEAD {rig.mesh.name}")
    other = head.build(scene.collection, blender.context.view_layer, (1, 0, 0)).mesh
    other.name = "Ben"
    scene.thunder.head = rig.mesh
    assert blender.ops.thunder.look_at(target="HEAD Ben") == {"FINISHED"}
    assert (direction.look_at, direction.look_object) == ("OBJECT", other)
    assert text() == "Look at Ben"
    for kind, said in (("CAMERA", "Look at the Camera"), ("OBJECT", "Look at an Object")):
        assert blender.ops.thunder.look_at(target=kind) == {"FINISHED"}
        assert direction.look_at == kind and text() == said
    assert direction.look_object is None
    direction.look_at = "NONE"


def test_takes_that_were_edited_keep_their_eyes(blender, scene, rig, entry):
    target = add(blender, scene, "target", (0.3, -1.0, 0.0))
    entry.action.thunder_shape.jaw = 0.5
    before = keys_of(rig, entry)
    assert look(blender, scene, rig, entry, look_at="OBJECT", look_object=target) == (0, 1)
    assert same(before, keys_of(rig, entry))


def test_a_head_looks_where_the_eyes_of_another_are_in_its_animation(blender, scene, rig, entry):
    blender.ops.thunder.add_head()
    other = next(head.resolve(obj) for obj in head.in_scene(scene) if obj != rig.mesh).armature
    other.location = (0.2, -0.5, -0.1)
    other.pose.bones["neck"].rotation_mode = "XYZ"
    leans = {frame: (lean, 0.0, lean) for frame, lean in ((1, -0.6), (97, 0.6))}
    set_keys(other.pose.bones["neck"], "rotation_euler", leans)
    eyes = add(blender, scene, "eyes", (0.0, 0.0, 0.0))
    for name in ("eye_left", "eye_right"):
        constraint = eyes.constraints.new("COPY_LOCATION")
        constraint.target, constraint.subtarget = other, name
    constraint.influence = 0.5
    look(blender, scene, rig, entry, look_at="OBJECT", look_object=other, looks_away=0.0)
    assert off_target(blender, scene, rig, eyes).max() < 3.0


def test_a_head_looks_between_the_eyes_of_a_character_not_at_its_origin(blender, scene, rig, entry):
    """Its origin is on the floor, as that of every character; its rig bends it."""
    hero = grid_mesh(blender, "Hero", [*head.channel_names(), "jawOpen"], at=(0.0, 0.0, 1.7))
    bones = {"spine": ((0, 0, 1.0), (0, 0, 1.5), None)}
    body = rig_with(blender, bones)
    deform(hero, body)
    hero.vertex_groups.new(name="spine").add(range(len(hero.data.vertices)), 1.0, "REPLACE")
    body.location = (0.2, -0.6, -1.7)
    between = add(blender, scene, "between", (0.0, 0.0, 0.0))
    between.parent, between.parent_type, between.parent_bone = body, "BONE", "spine"
    blender.context.view_layer.update()
    lids = character.lids_of(hero, character.plan_of(hero))
    at = (lids @ family.points_of(hero.data.vertices)).mean(axis=0)
    between.matrix_world = body.matrix_world @ Matrix.Translation(at)
    body.pose.bones["spine"].rotation_mode = "XYZ"
    set_keys(body.pose.bones["spine"], "rotation_euler", {1: -0.2, 97: 0.2}, 2)
    look(blender, scene, rig, entry, look_at="OBJECT", look_object=hero, looks_away=0.0)
    assert off_target(blender, scene, rig, hero).min() > 20.0
    assert off_target(blender, scene, rig, between).max() < 2.0


def test_a_head_looks_at_the_camera_that_markers_bind(blender, scene, rig, entry, direction):
    left, right = (
        add(blender, scene, name, (x, -1.5, 0.2), blender.data.cameras.new(name))
        for name, x in (("left", 0.4), ("right", -0.4))
    )
    scene.camera, direction.look_at = left, "CAMERA"
    for frame, camera in ((entry.first - 5, left), (entry.first + 10, right)):
        scene.timeline_markers.new(camera.name, frame=frame).camera = camera
    clock = take_record.clock_of(entry.action)
    points = progress.result(head_direction.target_of(scene, rig, clock, 20)).points
    sides = np.sign(points[:, 0] - points[:, 0].mean())
    assert (sides[:9] == sides[0]).all() and (sides[11:] == -sides[0]).all()
    assert scene.camera == left, "which stays the scene's"


def test_generated_takes_look_at_the_camera_and_go_on_when_they_follow_a_slider(
    blender, scene, client, direction, following
):  # noqa: F811
    camera = add(blender, scene, "camera", (0.3, -1.5, 0.2), blender.data.cameras.new("camera"))
    scene.camera, direction.look_at, direction.looks_away = camera, "CAMERA", 0.0
    blender.ops.thunder.generate()
    assert blender.ops.thunder.update_eyes() == {"FINISHED"}
    assert all(head_direction.is_aimed(entry) for entry in scene.thunder.takes)
    rig = head.find(scene)
    assert off_target(blender, scene, rig, camera, range(10, 40, 10)).max() < 2.0
    shown = scene.thunder.takes[scene.thunder.active_take]
    assert changes.change(scene, shown) is None
    direction.energy = 1.5
    following()
    assert take_record.load(shown.action).look is not None
    assert off_target(blender, scene, rig, camera, range(10, 40, 10)).max() < 2.0
    rig.armature.data.bones["eye_left"].name = "unknown"
    assert not blender.ops.thunder.update_eyes.poll(), "which is greyed, not refused after a click"


def test_a_character_whose_blinks_are_unknown_is_looked_at_in_its_face(blender, scene, rig, entry):
    """Between the eyes of the bundled head, which is given shapes of another naming that lack
    blinks, and whose origin is on the floor."""
    mesh = rig.mesh.copy()
    mesh.data = rig.mesh.data.copy()
    mesh.parent, mesh.name = None, "Hero"
    mesh.modifiers.clear()
    scene.collection.objects.link(mesh)
    for key in [key for key in mesh.data.shape_keys.key_blocks if "eye" in key.name.lower()]:
        mesh.shape_key_remove(key)
    jaw = mesh.shape_key_add(name="jawOpen", from_mix=False)
    known = reach_of(rig.mesh, character.plan_of(rig.mesh))
    points = family.points_of(jaw.data)
    mouth = points[[*known.upper, *known.lower]].mean(axis=0)
    below = (points[:, 2] < mouth[2]) & (points[:, 1] < 0.0)
    jaw.data.foreach_set("co", np.where(below[:, None], points - (0, 0, 0.015), points).ravel())
    plan = character.plan_of(mesh)
    assert character.lids_of(mesh, plan) is None
    part, weights = character.between_eyes(mesh, plan)
    at = weights @ family.points_of(part.data.shape_keys.reference_key.data)
    bones = rig.armature.data.bones
    expected = (bones["eye_left"].head_local + bones["eye_right"].head_local) / 2
    off = Vector(at) - expected
    assert abs(off.z) < 0.02 and abs(off.x) < 0.01, off  # metres
    mesh.location = (0.3, -1.0, 0.2)
    place = add(blender, scene, "place", mesh.location + Vector(at))
    look(blender, scene, rig, entry, look_at="OBJECT", look_object=mesh, looks_away=0.0)
    assert off_target(blender, scene, rig, place).max() < 3.0
