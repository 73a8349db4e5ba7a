# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes beside each other: the contact sheet shows all at the same key moments, Play All a head for
each; nothing of either is left in the file but the picture."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from characters import deform, grid_mesh, rig_with
from mathutils import Vector
from performances import list_take, performance
from thunder.scene.heads import head
from thunder.scene.media import contact_sheet, grid, puppets
from thunder.thunder_core import errors, progress
from thunder.thunder_core.animation import activity
from thunder.thunder_core.face.moving.lips import opening_mm

CELL = 150


@pytest.fixture
def stage(stage):
    stage[0].render.fps = 25
    yield stage
    grid.leave()


def drawn(blender, name="sheet") -> np.ndarray:
    """The sheet that was made, from its top: [height, width, 3]."""
    image = next(image for image in blender.data.images if image.name.startswith(name))
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(image.size[1], image.size[0], image.channels)[::-1, :, :3]


def make(stage, path, *more, entries=None):
    scene, rig = stage
    progress.result(
        contact_sheet.make(scene, rig, entries or list(scene.thunder.takes), str(path), *more)
    )


def enter(stage, jaw, start=1.0, **how):
    """A take whose jaw is given, [T] radians."""
    made = performance(seconds=len(jaw) / 25, closed_at=(), **how)
    made.motion.jaw[:, 0] = jaw
    made.motion.head[:] = made.motion.expression[:] = 0.0  # the jaw alone moves
    return list_take(stage, replace(made, opening=opening_mm(made.motion)), start)


def syllables(phase=0.0, wide=0.3):
    return wide * np.clip(np.sin(np.arange(50) / 50 * 8 * np.pi + phase), 0, None)


def everything(bpy):
    """Names of what neither sheet nor grid may leave behind."""
    kinds = (
        *("objects", "meshes", "armatures", "actions", "scenes", "worlds", "cameras", "materials"),
        *("curves", "fonts", "shape_keys", "collections", "node_groups", "texts"),
    )
    return {name: sorted(block.name for block in getattr(bpy.data, name)) for name in kinds}


@pytest.mark.slow
def test_the_sheet_has_a_row_for_each_take_and_a_face_in_each_cell(blender, stage, tmp_path):
    scene, rig = stage
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    scene, rig = stage = blender.context.scene, head.find(blender.context.scene)
    for seed, jaw in ((1, syllables()), (2, syllables(wide=0.15)), (3, np.zeros(50))):
        enter(stage, jaw, seed=seed, score=90 - seed)
    blender.ops.thunder.select_take(index=0)
    scene.frame_set(7)
    before = everything(blender)
    assert blender.ops.thunder.contact_sheet() == {"FINISHED"}
    assert everything(blender) == before
    assert (
        scene.frame_current == 7
        and scene.thunder.active_take == 0
        and blender.context.scene == scene
    )
    assert os.path.exists(tmp_path / "voice_takes.png")
    pixels = drawn(blender, "voice_takes")
    top = round(contact_sheet.HEAD_CELLS * CELL)
    assert pixels.shape[0] == top + 3 * CELL
    left = round((contact_sheet.LABEL_CELLS + contact_sheet.CURVE_CELLS) * CELL)
    cells = np.stack(
        [
            [
                pixels[
                    top + row * CELL : top + (row + 1) * CELL,
                    left + column * CELL : left + (column + 1) * CELL,
                ]
                for column in range(6)
            ]
            for row in range(3)
        ]
    )
    assert (cells.std(axis=(2, 3, 4)) > 0.05).all()  # a face in each
    # the heads are the same at a moment but for the mouth, and the take that stays shut looks the
    # same all the time
    shut = np.abs(np.diff(cells[2], axis=0)).mean(axis=(1, 2, 3))
    moving = np.abs(np.diff(cells[0], axis=0)).mean(axis=(1, 2, 3))
    assert moving.max() > 0.01 and moving.max() > 5 * shut.max()
    faces = np.abs(cells - pixels[2, 2]).max(axis=-1) > 0.1
    for row in range(3):
        for column in range(6):
            rows, columns = np.nonzero(faces[row, column])
            # in the middle, and close
            assert abs(columns.mean() - CELL / 2) < 12 and np.ptp(rows) > 0.9 * CELL
    # the takes' mouths reach as high as they open, and those of the take that stays shut do not
    # rise
    reach = [
        heights(pixels[top + row * CELL : top + (row + 1) * CELL], "mouth") for row in range(3)
    ]
    assert reach[0] > 0.95 and 0.1 < reach[1] < 0.8 * reach[0] and reach[2] < 0.05


@pytest.mark.slow
def test_words_that_a_take_hits_are_marked_and_a_pause_has_a_column(blender, stage, tmp_path):
    for seed, at in ((1, 0.5), (2, 1.5)):
        choice = {"hits": [[at - 0.1, at + 0.1, "eight"]], "aside": [],
                  "pauses": [[1.0, "looks away"]], "ideas": ["nods"]}  # fmt: skip
        made = enter(stage, syllables(), seed=seed)
        made.action["thunder"]["choice"] = json.dumps(choice)
    rows = [contact_sheet._row(entry) for entry in stage[0].thunder.takes]
    full = activity.full_heights([row.tracks for row in rows])
    times = {why: seconds for seconds, why in contact_sheet._moments(rows, None, full)}
    assert times["pause"] == pytest.approx(rows[0].start + 1.0 + contact_sheet.IN_PAUSE, abs=0.04)
    make(stage, tmp_path / "sheet.png")
    pixels, head = drawn(blender), round(contact_sheet.HEAD_CELLS * CELL)
    left = round((contact_sheet.LABEL_CELLS + contact_sheet.NAMES_CELLS) * CELL)
    wide = round((contact_sheet.CURVE_CELLS - contact_sheet.NAMES_CELLS - 0.15) * CELL)
    between = head + round(CELL * (1 - 0.5))  # above the mouth, below the head
    for row, at in ((0, 0.5), (1, 1.5)):
        line = pixels[between + row * CELL, left : left + wide]
        [first, *_, last] = np.flatnonzero(np.abs(line - pixels[2, 2]).max(axis=-1) > 0.1)
        assert abs(first - at / 2.0 * wide) <= 2 and last - first <= 2


def heights(row, track):
    """How high a track of a row's pixels reaches, 0 … 1 of its space."""
    low, high = contact_sheet.TRACKS[track]
    left = round((contact_sheet.LABEL_CELLS + contact_sheet.NAMES_CELLS) * CELL)
    part = row[
        round(CELL * (1 - high)) : round(CELL * (1 - low)),
        left : round((contact_sheet.LABEL_CELLS + contact_sheet.CURVE_CELLS) * CELL),
    ]
    drawn = np.flatnonzero(
        (np.abs(part - np.float32(activity.COLOURS[track])).max(axis=-1) < 0.02).any(axis=1)
    )
    return 1 - drawn[0] / len(part)


def test_the_voice_fills_its_place_in_the_title(stage):
    entry = enter(stage, syllables(), seed=1)
    row = contact_sheet._row(entry)
    width = round((contact_sheet.LABEL_CELLS + contact_sheet.CURVE_CELLS) * CELL)
    title, below = np.zeros((2, CELL, width, 3), np.float32)
    full = activity.full_heights([row.tracks])
    contact_sheet._draw_curves([title, below], [row], full, np.full(50, 0.4))
    rows = CELL - np.flatnonzero(title.any(axis=(1, 2)))
    low, high = contact_sheet.VOICE
    assert (rows[-1], rows[0]) == pytest.approx((low * CELL, high * CELL), abs=2)


def test_a_sheet_that_cannot_be_written_says_so_and_leaves_nothing(blender, stage, tmp_path):
    enter(stage, syllables(), seed=1)
    before = everything(blender)
    with pytest.raises(errors.BadRequest, match="cannot be written"):
        make(stage, tmp_path / "nowhere" / "sheet.png")
    assert everything(blender) == before and not len(list(tmp_path.iterdir()))


def test_links_that_somebody_laid_in_wait_are_not_followed(blender, stage, tmp_path):
    enter(stage, syllables(), seed=1)
    (tmp_path / "precious.txt").write_text("precious")
    links = [
        os.path.join(blender.app.tempdir, f"thunder_sheet_{number}.png") for number in (0, 1)
    ] + [str(tmp_path / "sheet.png.part")]
    for link in links:
        os.symlink(tmp_path / "precious.txt", link)
    try:
        make(stage, tmp_path / "sheet.png")
        assert (tmp_path / "precious.txt").read_text() == "precious" and (
            tmp_path / "sheet.png"
        ).stat().st_size > 1000
        assert sorted(os.listdir(tmp_path)) == ["precious.txt", "sheet.png", "sheet.png.part"]
    finally:
        for link in links:
            os.remove(link)
    assert not [
        name for name in os.listdir(blender.app.tempdir) if name.startswith("thunder_sheet")
    ]


def test_a_second_sheet_does_not_overwrite_the_first(blender, stage, tmp_path):
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    enter((blender.context.scene, head.find(blender.context.scene)), syllables(), seed=1)
    for _ in range(2):
        blender.ops.thunder.contact_sheet()
    assert {name for name in os.listdir(tmp_path) if name.endswith(".png")} == {
        "voice_takes.png",
        "voice_takes_2.png",
    }


def test_a_portrait_is_of_its_own_scenes_frame(stage):
    scene, rig = stage
    entry = enter(stage, syllables(), seed=1)
    with puppets.Portrait(scene, rig) as portrait:
        puppets.play(portrait.copy, rig, entry)
        portrait.scene.frame_set(1)
        shut = portrait.take(*puppets.FACE)
        portrait.scene.frame_set(4)
        assert np.abs(portrait.take(*puppets.FACE) - shut).mean() > 1e-3


# ---- Play All


def open_to(stage, angle, seed, start=1.0):
    """A take of two seconds whose jaw stands at an angle."""
    return enter(stage, np.full(50, angle), start, seed=seed, score=100 - seed)


@pytest.fixture
def before(blender, stage):
    """The grid of two takes plays: what was in the file before."""
    for seed in (1, 2):
        open_to(stage, 0.1 * seed, seed)
    blender.ops.ed.undo_push(message="takes")
    before = everything(blender)
    blender.ops.thunder.play_grid()
    return before


def copies(bpy):
    mark = head.PUPPET_MARK
    return [obj for obj in bpy.data.objects if mark in obj]


def jaws(bpy):
    """How far each head of the grid opens its jaw now, from left to right."""
    graph = bpy.context.evaluated_depsgraph_get()
    rigs = [obj for obj in copies(bpy) if obj.type == "ARMATURE"]
    rigs.sort(key=lambda obj: obj.matrix_world.translation.x)
    return [rig.evaluated_get(graph).pose.bones["jaw"].matrix_basis.to_euler().x for rig in rigs]


def test_every_take_has_a_head_of_its_own_that_plays_it(blender, stage, scene, rig):
    for seed, angle in ((1, 0.1), (2, 0.2), (3, 0.3)):
        open_to(stage, angle, seed)
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
    open_to(stage, 0.1, 1)
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
        open_to(stage, 0.15 * seed, seed)
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
    open_to(stage, 0.1, 1, start=11.0)
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
