# SPDX-License-Identifier: GPL-3.0-or-later
"""The contact sheet shows every take at the same key moments, and leaves nothing behind but the
picture."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from performances import list_take, performance
from thunder.scene.heads import head as head_module
from thunder.scene.media import contact_sheet, puppets
from thunder.thunder_core import errors, progress
from thunder.thunder_core.animation import activity
from thunder.thunder_core.face.lips import opening_mm

CELL = 150


@pytest.fixture
def stage(stage):
    stage[0].render.fps = 25
    return stage


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


def counts(bpy):
    kinds = (
        "objects",
        "meshes",
        "armatures",
        "actions",
        "scenes",
        "worlds",
        "cameras",
        "materials",
        "curves",
        "fonts",
        "shape_keys",
    )
    return {
        name: len(getattr(bpy.data, name))
        for name in (*kinds, "collections", "node_groups", "texts")
    }


@pytest.mark.slow
def test_the_sheet_has_a_row_for_each_take_and_a_face_in_each_cell(blender, stage, tmp_path):
    scene, rig = stage
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    scene, rig = stage = blender.context.scene, head_module.find(blender.context.scene)
    for seed, jaw in ((1, syllables()), (2, syllables(wide=0.15)), (3, np.zeros(50))):
        enter(stage, jaw, seed=seed, score=90 - seed)
    blender.ops.thunder.select_take(index=0)
    scene.frame_set(7)
    before = counts(blender)
    assert blender.ops.thunder.contact_sheet() == {"FINISHED"}
    assert counts(blender) == before
    assert (
        scene.frame_current == 7
        and scene.thunder.active_take == 0
        and blender.context.scene == scene
    )
    assert os.path.exists(tmp_path / "voice_takes.png")
    pixels = drawn(blender, "voice_takes")
    head = round(contact_sheet.HEAD_CELLS * CELL)
    assert pixels.shape[0] == head + 3 * CELL
    left = round((contact_sheet.LABEL_CELLS + contact_sheet.CURVE_CELLS) * CELL)
    cells = np.stack(
        [
            [
                pixels[
                    head + row * CELL : head + (row + 1) * CELL,
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
        heights(pixels[head + row * CELL : head + (row + 1) * CELL], "mouth") for row in range(3)
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
    before = counts(blender)
    with pytest.raises(errors.BadRequest, match="cannot be written"):
        make(stage, tmp_path / "nowhere" / "sheet.png")
    assert counts(blender) == before and not len(list(tmp_path.iterdir()))


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
    enter((blender.context.scene, head_module.find(blender.context.scene)), syllables(), seed=1)
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
