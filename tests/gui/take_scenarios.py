# SPDX-License-Identifier: GPL-3.0-or-later
"""What an animator does with takes that are there: goes through them, marks them, compares them,
sees them side by side, and shapes, mixes and keeps what is shown."""

import os
import time
from pathlib import Path

import bpy
import numpy as np
from bpy_extras.view3d_utils import location_3d_to_region_2d
from mathutils import Vector
from performances import list_take, performance
from scenarios import scene_with_voice_and_head, time_slices, until
from thunder.scene.animation import keying
from thunder.scene.heads import head
from thunder.scene.host.jobs import session
from thunder.scene.media import grid
from thunder.scene.takes import take_list
from thunder.scene.takes.shape import applying
from thunder.thunder_core import progress


def list_takes(hand, count=6):
    """Steps that key and list takes made here on the head of the scene, a slice at a time, and show
    the first; for a picture those that the engine generates."""
    if os.environ.get("THUNDER_SAMPLED"):
        yield from sampled(hand, count)
        return
    stage, seconds = (hand.scene, head.find(hand.scene)), (hand.scene.frame_end - 1) / 25
    for number in range(count):
        closed_at = np.arange(0.3 + 0.05 * number, seconds - 0.1, 0.4)
        made = performance(seconds, closed_at, 7301 + number, 92.4 - 3.7 * number)
        made.provenance["read"] = 1.0 - 0.11 * number
        list_take(stage, made, voice="dialogue")
        yield 0.05
    hand.scene.thunder.active_take = 0
    yield 1.0


def sampled(hand, count):
    """Steps that have the engine generate takes and wait for them."""
    hand.scene.thunder.count = count
    bpy.context.preferences.view.show_playback_fps = (
        False  # in red where the window is drawn without a graphics card
    )
    hand.button(bpy.ops.thunder.generate)
    yield from until(
        lambda: session.job is None and len(hand.scene.thunder.takes) >= count,
        "the takes do not come",
    )
    yield 1.0


SECOND_LINE = 17  # pixels of a row's second line, which is not highlighted


def under_the_shown_row(hand, pixels):
    """Middle of the row under the highlighted one of the list, in the window's pixels (origin
    bottom left)."""
    region = hand.sidebar
    height = hand.window.height
    scale = bpy.context.preferences.system.ui_scale
    # between names and pictures
    column = pixels[
        height - region.y - region.height : height - region.y, region.x + round(160 * scale)
    ]
    blue = np.flatnonzero((column[:, 2] > 0.55) & (column[:, 0] < 0.4))
    runs = np.split(blue, np.flatnonzero(np.diff(blue) > 1) + 1)
    tall = [run for run in runs if len(run) > 10 * scale]
    assert tall, "no row is highlighted"
    middle = tall[-1].mean()
    line = round(SECOND_LINE * scale)
    return region.x + round(60 * scale), round(
        region.y + region.height - middle - 21 * scale - line
    )


def shown(scene):
    index = scene.thunder.active_take
    return scene.thunder.takes[index].seed if index >= 0 else None


def debris(scene):
    """Names of what must not be left after a grid or a sheet."""
    mark = head.PUPPET_MARK
    return sorted(
        [obj.name for obj in bpy.data.objects if mark in obj]
        + [group.name for group in bpy.data.collections if mark in group]
        + [other.name for other in bpy.data.scenes if other != scene]
    )


def plays_all(hand):
    """Play All repeats the line with the heads beside each other; one is clicked, and it is the
    take that is shown. After Esc, and after an undo, all is as before."""
    yield from scene_with_voice_and_head(hand, "takes")
    yield from list_takes(hand)
    entries = hand.scene.thunder.takes
    entries[1].star = True
    first, last = min(entry.first for entry in entries), max(entry.last for entry in entries)
    hand.scene.frame_end = last + 1000  # a line is a small part of a scene

    def view():
        region = hand.viewport.spaces.active.region_3d
        return np.array([*region.view_location, region.view_distance, *region.view_rotation])

    before, held = view(), time_slices()
    for ended_by in ("Esc", "undo"):
        hand.call(bpy.ops.thunder.play_grid, "INVOKE_DEFAULT")
        yield from until(
            lambda: grid.is_running() and hand.window.screen.is_animation_playing,
            "the grid does not come",
            patience=240,
        )
        yield 4.0
        if ended_by == "Esc":
            yield from choose_in_the_grid(hand, first, last)
            hand.press("ESC")
        else:
            hand.press("Z", ctrl=True)
        yield from until(lambda: not grid.is_running(), "the end of the grid", 60)
        yield 1.5
        assert ended_by == "undo" or hand.scene.thunder.active_take == 2
        assert debris(hand.scene) == [] and not hand.scene.use_preview_range
        assert hand.viewport.spaces.active.local_view is None
        if hand.window.screen.is_animation_playing:
            hand.call(bpy.ops.screen.animation_cancel)
        assert np.abs(view() - before).max() < 1e-4
    hand.keeps(0.05, held, "slices of setting a grid up")


def choose_in_the_grid(hand, first, last):
    """Steps that see the line from its first to its last frame repeated, and click the third
    head."""
    hand.scene.frame_current = last - 3
    frames = []
    for _ in range(30):
        yield 0.1
        frames.append(hand.scene.frame_current)
    assert first <= min(frames) < last - 3 and max(frames) <= last, frames
    hand.scene.frame_set(104)  # in the middle of a sentence of the sample
    yield 0.3
    hand.photograph("grid")
    assert sum(obj.type == "ARMATURE" for obj in bpy.data.objects) - 1 == 6
    third = hand.scene.thunder.takes[2].action.name
    mesh = next(
        obj
        for obj in bpy.data.objects
        if grid.state.grid.takes.get(obj.name) == third and obj.type == "MESH"
    )
    yield from hand.click(*on_screen(hand, mesh))
    yield 1.0


def on_screen(hand, obj):
    """Where the middle of an object is in the window, pixels."""
    region = hand.region()
    middle = obj.matrix_world @ (sum((Vector(corner) for corner in obj.bound_box), Vector()) / 8)
    place = location_3d_to_region_2d(region, hand.viewport.spaces.active.region_3d, middle)
    return int(region.x + place.x), int(region.y + place.y)


def draws_a_sheet(hand):
    """The contact sheet opens in an editor and in a file, and nothing else has changed."""
    yield from scene_with_voice_and_head(hand, "takes")
    yield from list_takes(hand, count=4)
    hand.scene.thunder.active_take = 1
    hand.scene.thunder.takes[0].star = True
    hand.scene.frame_set(33)
    yield 0.5
    held = time_slices()
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(hand.folder) / "shot.blend"))
    hand.call(bpy.ops.thunder.contact_sheet, "INVOKE_DEFAULT")
    yield from until(lambda: session.job is None, "the sheet", 400)
    yield 2.0
    # a row is rendered in one go: with a graphics card in some ten milliseconds, without one in
    # less than an operator's time
    hand.keeps(0.3, max(held)[0], "a row of the contact sheet")
    assert debris(hand.scene) == []
    assert hand.scene.frame_current == 33 and hand.scene.thunder.active_take == 1
    assert [path.name for path in Path(hand.folder).glob("*takes*")] == ["dialogue_takes.png"]
    areas = [area for window in bpy.context.window_manager.windows for area in window.screen.areas]
    editors = [area.spaces.active.image for area in areas if area.type == "IMAGE_EDITOR"]
    assert [image.name for image in editors if image] == ["dialogue_takes"]
    assert not any(window.modal_operators for window in bpy.context.window_manager.windows)


# ---- shapes and mixes of a shown take


def brow(scene, frame):
    """How far a brow of the shown take is down at a frame."""
    entry = take_list.shown_take(scene.thunder)
    rig = take_list.rig_of(scene, entry)
    values = keying.values_at(rig, keying.curves_of_tracks(rig, entry), np.array([frame]))
    motion = progress.result(keying.shown_motion(rig, values, 25.0))
    return float(motion.expression[0, head.channel_names().index("browDownLeft")])


def shapes(hand):
    """A slider is live, and a take follows the curve of its emotion by itself."""
    yield from scene_with_voice_and_head(hand, "shape")
    yield from list_takes(hand, 2)
    entry = hand.scene.thunder.takes[0]
    hand.scene.frame_set(40)
    yield 1.0
    shape = entry.action.thunder_shape
    took = []
    for amount in (0.9, 0.7, 1.8, 1.5, 1.2):
        before = time.process_time()
        shape.jaw = amount
        took.append(time.process_time() - before)
        yield 0.2
    hand.keeps(0.1, min(took), "a slider in the window")
    shape.mouth, shape.emotion = 1.3, "ANGER"
    assert hand.button(bpy.ops.thunder.animate_emotion) == ["FINISHED"]
    yield 0.5
    rig = take_list.rig_of(hand.scene, entry)
    for frame, value in ((1, 0.0), (40, 0.0), (60, 1.0)):
        rig.targets[0].thunder_emotion = value
        rig.targets[0].keyframe_insert("thunder_emotion", frame=frame)
    # Nobody presses anything: the take follows the curve by itself.
    yield from until(
        lambda: not applying.is_outdated(rig, hand.scene.thunder.takes[0]), "the emotion", 20
    )
    yield 1.0
    assert brow(hand.scene, 80) > brow(hand.scene, 20) + 0.3
    hand.scene.frame_set(80)
    yield 1.0
    hand.photograph("animated")
