# SPDX-License-Identifier: GPL-3.0-or-later
"""Play All: a head for each take, side by side, each with its own take, and nothing of it left in
the file."""

import numpy as np
import pytest
from characters import deform, grid_mesh, rig_with
from mathutils import Vector
from performances import list_take, performance
from thunder.scene.heads import head
from thunder.scene.media import grid


@pytest.fixture
def stage(stage):
    stage[0].render.fps = 25
    yield stage
    grid.leave()


def enter(stage, angle, seed, start=1.0):
    made = performance(seconds=2.0, closed_at=(), seed=seed, score=100 - seed)
    made.motion.jaw[:, 0] = angle
    return list_take(stage, made, start)


@pytest.fixture
def before(blender, stage):
    """The grid of two takes plays: what was in the file before."""
    for seed in (1, 2):
        enter(stage, 0.1 * seed, seed)
    blender.ops.ed.undo_push(message="takes")
    before = everything(blender)
    blender.ops.thunder.play_grid()
    return before


def everything(bpy):
    return {
        name: sorted(block.name for block in getattr(bpy.data, name))
        for name in (
            "objects",
            "meshes",
            "armatures",
            "actions",
            "scenes",
            "materials",
            "curves",
            "fonts",
            "shape_keys",
            "collections",
        )
    }


def copies(bpy):
    mark = head.PUPPET_MARK
    return [obj for obj in bpy.data.objects if mark in obj]


def from_left(things):
    return sorted(things, key=lambda obj: obj.matrix_world.translation.x)


def jaws(bpy):
    """How far each head of the grid opens its jaw now, from left to right."""
    graph = bpy.context.evaluated_depsgraph_get()
    rigs = from_left(obj for obj in copies(bpy) if obj.type == "ARMATURE")
    return [rig.evaluated_get(graph).pose.bones["jaw"].matrix_basis.to_euler().x for rig in rigs]


def test_every_take_has_a_head_of_its_own_that_plays_it(blender, stage, scene, rig):
    for seed, angle in ((1, 0.1), (2, 0.2), (3, 0.3)):
        enter(stage, angle, seed)
    before = everything(blender)
    blender.ops.thunder.select_take(index=2)
    scene.frame_set(33)
    assert blender.ops.thunder.play_grid() == {"FINISHED"}
    scene.frame_set(20)
    # keys are rounded to 1/4096 of 0.3
    assert jaws(blender) == pytest.approx([0.1, 0.2, 0.3], abs=4e-5)
    assert scene.thunder.active_take == 2 and head.find(scene).mesh == rig.mesh
    words = [obj.data.body for obj in copies(blender) if obj.type == "FONT"]
    # these takes were not directed: nothing more is said
    assert words == ["good  Take 1", "good  Take 2", "good  Take 3"]
    meshes = [obj for obj in copies(blender) if obj.type == "MESH" and obj.data.shape_keys]
    spans = sorted(
        (min(corner), max(corner))
        for corner in [
            [(mesh.matrix_world @ Vector(c)).x for c in mesh.bound_box] for mesh in meshes
        ]
    )
    assert all(left[1] < right[0] for left, right in zip(spans, spans[1:]))  # beside each other
    assert blender.ops.thunder.play_grid() == {"FINISHED"}  # leaves
    assert everything(blender) == before and not grid.is_running()
    assert scene.frame_current == 33


def test_a_head_of_no_size_is_not_played(blender, stage, rig):
    enter(stage, 0.1, 1)
    rig.mesh.parent.scale = rig.mesh.scale = (0.0, 0.0, 0.0)
    blender.context.view_layer.update()
    with pytest.raises(RuntimeError, match="has no size on this frame"):
        blender.ops.thunder.play_grid()


def test_it_goes_when_nothing_plays_whoever_stopped_it(before, blender):
    """No handler of Blender's is relied on: one that was lost, or that came too early, would leave
    the grid for good."""
    if not len(blender.context.window_manager.windows):
        # it looks again
        assert grid.leave_when_stopped() == grid.LOOK_SECONDS and grid.is_running()
        return
    assert grid.leave_when_stopped() is None
    assert (
        not grid.is_running()
        and everything(blender) == before
        and grid.leave_when_stopped() is None
    )


def test_it_is_never_saved(before, blender, tmp_path):
    assert everything(blender) != before
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "grid.blend"))
    assert everything(blender) == before and not grid.is_running()
    blender.ops.wm.open_mainfile(filepath=str(tmp_path / "grid.blend"))
    assert everything(blender) == before


def test_undo_and_redo_leave_nothing_of_it(before, blender):
    blender.context.scene.thunder.takes[0].star = True
    blender.ops.ed.undo_push(message="a star while it plays")
    blender.ops.ed.undo()
    assert everything(blender) == before and not grid.is_running()
    blender.ops.ed.redo()  # the step in which the heads were there
    assert everything(blender) == before and blender.context.scene.thunder.takes[0].star


def test_a_file_that_was_recovered_with_it_is_cleaned(before, blender, tmp_path):
    """And the scene's own preview range comes back."""
    assert blender.context.scene.use_preview_range
    grid.state.grid = None  # as if Blender had crashed: nobody knows of the heads
    handlers = blender.app.handlers.save_pre
    handlers.remove(grid.leave_for_file)
    try:
        blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "crashed.blend"))
    finally:
        handlers.append(grid.leave_for_file)
    assert copies(blender)
    blender.ops.wm.open_mainfile(filepath=str(tmp_path / "crashed.blend"))
    assert everything(blender) == before and not blender.context.scene.use_preview_range


def test_a_character_of_several_objects_with_drivers_is_copied_whole(blender):
    """Meshes that share an armature by a modifier, an empty above all, a key that a bone drives, a
    constraint between them."""
    scene = blender.context.scene
    scene.render.fps = 25
    bones = rig_with(
        blender,
        {
            name: ((place, 0, 0), (place, 0, 0.1), None)
            for name, place in (("jaw", 0.0), ("aim", 0.2))
        },
        "Bones",
    )
    bones.parent = top = blender.data.objects.new("Top", None)
    scene.collection.objects.link(top)
    top.location = (0.0, 0.0, 1.5)
    things = [
        grid_mesh(blender, name, ("jawOpen", "mouthPucker", "driven")) for name in ("Face", "Teeth")
    ]
    for obj in things:
        deform(obj, bones)
    curve = things[0].data.shape_keys.key_blocks["driven"].driver_add("value")
    curve.driver.expression = "x"
    variable = curve.driver.variables.new()
    variable.name, variable.type = "x", "TRANSFORMS"
    variable.targets[0].id, variable.targets[0].bone_target = bones, "aim"
    constraint = bones.pose.bones["aim"].constraints.new("COPY_LOCATION")
    constraint.target = bones
    constraint.subtarget = "jaw"
    scene.thunder.head = things[0]
    stage = scene, head.find(scene)
    for seed in (1, 2):
        enter(stage, 0.15 * seed, seed)
    before = everything(blender)
    blender.ops.thunder.play_grid()
    made = copies(blender)
    faces = [obj for obj in made if obj.type == "MESH" and obj.name.startswith("Face")]
    assert len(faces) == 2
    originals = {top, bones, *things}
    for obj in made:
        for modifier in obj.modifiers:
            assert modifier.object not in originals
        if obj.type == "MESH" and obj.parent is not None:
            assert obj.parent not in originals
    for face in faces:
        driver = face.data.shape_keys.animation_data.drivers[0].driver
        assert driver.variables[0].targets[0].id in made
    for rig_copy in (obj for obj in made if obj.type == "ARMATURE"):
        assert rig_copy.pose.bones["aim"].constraints[0].target == rig_copy
    scene.frame_set(20)
    graph = blender.context.evaluated_depsgraph_get()
    opened = sorted(
        face.evaluated_get(graph).data.shape_keys.key_blocks["jawOpen"].value for face in faces
    )
    assert opened == pytest.approx([0.5, 1.0], abs=1e-4) and np.ptp(opened) > 0.4
    blender.ops.thunder.play_grid()
    assert everything(blender) == before


@pytest.mark.parametrize("used", [None, (20, 30), (400, 500)])
def test_playing_repeats_the_frames_of_the_takes_and_gives_the_preview_range_back(
    blender, stage, scene, used
):
    """Takes are loops: the playhead must not run on to the end of a long scene, where every head is
    at rest."""
    scene.frame_end = 560
    enter(stage, 0.1, 1, start=11.0)
    if used:
        scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = True, *used
    before = scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end
    take = scene.thunder.takes[0]
    blender.ops.thunder.play_grid()
    assert scene.use_preview_range
    loop = (scene.frame_preview_start, scene.frame_preview_end)
    assert loop == (used if used == (20, 30) else (take.first, take.last))
    grid.leave()
    assert (scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end) == before
