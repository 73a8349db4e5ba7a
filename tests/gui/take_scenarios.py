# SPDX-License-Identifier: GPL-3.0-or-later
"""What an animator does with takes that are there: goes through them, marks them, compares them,
sees them side by side."""

import sys
import time
from pathlib import Path

import bpy
import numpy as np
from scenarios import only_open, ROOT, scene_with_voice_and_head, time_slices, until
from thunder.scene.animation import keying as keying_module
from thunder.scene.heads import head
from thunder.scene.host.session import session
from thunder.scene.media import grid
from thunder.scene.takes import take_list
from thunder.thunder_core.animation import timing
from thunder.thunder_core.face.lips import opening_mm, width_mm


def performance(seconds, seed, score):
    """A made performance that babbles: syllables of the jaw, lips that round and close, brows, a
    moving head."""
    sys.path.append(str(ROOT / "tests" / "blender"))
    import performances

    made = performances.performance(seconds=seconds, seed=seed, score=score, closed_at=())
    rng = np.random.default_rng(seed)
    count = made.motion.frames
    smooth = np.hanning(7) / np.hanning(7).sum()

    def wander(low, high, slow=1):
        values = np.repeat(rng.random(count // slow + 2), slow)[:count]
        return low + (high - low) * np.convolve(values, smooth, "same")

    made.motion.jaw[:, 0] = wander(-0.08, 0.3, 3).clip(0)
    for name, high in (
        ("mouthPucker", 0.8),
        ("mouthFunnel", 0.5),
        ("mouthSmileLeft", 0.6),
        ("mouthSmileRight", 0.6),
        ("browInnerUp", 0.9),
        ("mouthStretchLeft", 0.4),
        ("mouthStretchRight", 0.4),
    ):
        made.motion.expression[:, made.channels.index(name)] = wander(-0.3 * high, high, 4).clip(0)
    made.motion.head[:, 1] = wander(-0.15, 0.15, 12)
    drift = 100 - 60 * np.convolve(rng.random(count) > 0.93, np.hanning(9), "same").clip(0, 1)
    return type(made)(
        **{
            **vars(made),
            "opening": opening_mm(made.motion),
            "width": width_mm(made.motion),
            "sync_per_frame": drift.astype(np.float32),
        }
    )


def list_takes(hand, count=6, seconds=None):
    """Steps that key and list takes made here on the head of the scene, a slice at a time."""
    rig = head.find(hand.scene)
    clock = timing.Clock.of(hand.scene, 1.0)
    seconds = seconds or (hand.scene.frame_end - 1) / 25
    for number in range(count):
        made = performance(seconds, 7301 + number, 92.4 - 3.7 * number)
        keying = keying_module.write_take(
            rig, made, clock, f"dialogue · take {number + 1} · seed {made.seed}"
        )
        actions = None
        while actions is None:
            try:
                next(keying)
            except StopIteration as end:
                actions = end.value
            if time.monotonic() % 1 < 0.01:
                yield 0.01
        take_list.add_to_list(hand.scene, rig, actions, made, "dialogue", clock)
        yield 0.05


def under_the_shown_row(hand, pixels):
    """Middle of the row under the highlighted one of the list, in the window's pixels (origin
    bottom left)."""
    region = hand.sidebar
    height = hand.window.height
    scale = bpy.context.preferences.system.ui_scale
    # right of the names
    column = pixels[
        height - region.y - region.height : height - region.y, region.x + round(200 * scale)
    ]
    blue = np.flatnonzero((column[:, 2] > 0.55) & (column[:, 0] < 0.4))
    runs = np.split(blue, np.flatnonzero(np.diff(blue) > 1) + 1)
    tall = [run for run in runs if len(run) > 10 * scale]
    assert tall, "no row is highlighted"
    middle = tall[-1].mean()
    return region.x + round(60 * scale), round(region.y + region.height - middle - 21 * scale)


def shown(scene):
    index = scene.thunder.active_take
    return scene.thunder.takes[index].seed if index >= 0 else None


def browses(hand):
    """A click on a row, keys of the keyboard, and undo of both."""
    only_open("takes")
    yield from scene_with_voice_and_head(hand)
    yield from list_takes(hand)
    hand.scene.thunder.active_take = 0
    hand.scene.frame_set(40)
    yield 1.0
    hand.call(bpy.ops.ed.undo_push, message="Takes")
    x, y = under_the_shown_row(hand, hand.photograph("list"))
    yield from hand.click(x, y)
    yield 1.0
    hand.seen["clicked"] = shown(hand.scene)
    hand.press("Z", ctrl=True)
    yield 1.5
    hand.seen["click_undone"] = shown(hand.scene)
    visited = []
    for key in ("DOWN_ARROW", "DOWN_ARROW", "UP_ARROW", "X", "X", "Y"):
        hand.press(key, alt=True)
        yield 0.6
        visited.append(shown(hand.scene))
    hand.seen["visited"], hand.seen["starred"] = (
        visited,
        [entry.seed for entry in hand.scene.thunder.takes if entry.star],
    )
    hand.press("Z", ctrl=True)
    yield 1.5
    hand.seen["star_undone"] = [entry.seed for entry in hand.scene.thunder.takes if entry.star]


def debris(scene):
    """Names of what must not be left after a grid or a sheet."""
    mark = head.PUPPET_MARK
    return sorted(
        [obj.name for obj in bpy.data.objects if mark in obj]
        + [group.name for group in bpy.data.collections if mark in group]
        + [other.name for other in bpy.data.scenes if other != scene]
    )


def plays_all(hand, takes=list_takes):
    """Play All: the heads beside each other, playing; one is clicked; Esc ends it. Then again, and
    an undo ends it."""
    only_open("takes")
    yield from scene_with_voice_and_head(hand)
    yield from takes(hand)
    hand.scene.thunder.active_take = 0
    hand.scene.thunder.takes[1].star = True
    # a line is a small part of a scene
    hand.scene.frame_end = max(entry.last for entry in hand.scene.thunder.takes) + 1000
    yield 0.5
    view = hand.viewport.spaces.active.region_3d
    before = [*view.view_location, view.view_distance, *view.view_rotation]
    held = time_slices()
    for turn in ("chosen", "undone"):
        hand.call(bpy.ops.thunder.play_grid, "INVOKE_DEFAULT")
        yield from until(
            lambda: grid.is_running() and hand.window.screen.is_animation_playing,
            "the grid does not come",
            patience=240,
        )
        yield 4.0
        if turn == "chosen":
            entries = hand.scene.thunder.takes
            hand.seen["line"] = (
                min(entry.first for entry in entries),
                max(entry.last for entry in entries),
            )
            hand.scene.frame_current = hand.seen["line"][1] - 3
            hand.seen["frames"] = []
            for _ in range(30):
                yield 0.1
                hand.seen["frames"].append(hand.scene.frame_current)
            hand.scene.frame_set(104)  # in the middle of a sentence of the sample
            yield 0.3
            hand.photograph("grid")
            hand.seen["heads"] = sum(obj.type == "ARMATURE" for obj in bpy.data.objects) - 1
            third = hand.scene.thunder.takes[2].action.name
            mesh = next(
                obj
                for obj in bpy.data.objects
                if grid.state.grid.takes.get(obj.name) == third and obj.type == "MESH"
            )
            x, y = on_screen(hand, mesh)
            yield from hand.click(x, y)
            yield 1.0
            hand.photograph("grid_clicked")
            hand.press("ESC")
        else:
            hand.press("Z", ctrl=True)
        end = time.monotonic() + 60
        while grid.is_running() and time.monotonic() < end:
            yield 0.3
        yield 1.5
        hand.seen[f"shown_{turn}"], hand.seen[f"debris_{turn}"] = (
            shown(hand.scene),
            debris(hand.scene),
        )
        hand.seen[f"preview_{turn}"] = hand.scene.use_preview_range
        hand.seen[f"local_{turn}"] = hand.viewport.spaces.active.local_view is not None
        with hand.context():
            if hand.window.screen.is_animation_playing:
                bpy.ops.screen.animation_cancel()
        view = hand.viewport.spaces.active.region_3d
        after = [*view.view_location, view.view_distance, *view.view_rotation]
        hand.seen[f"view_{turn}"] = max(abs(a - b) for a, b in zip(before, after))
        if turn == "chosen":
            hand.photograph("after_grid")
    hand.seen["held"] = held


def on_screen(hand, obj):
    """Where the middle of an object is in the window, pixels."""
    from bpy_extras.view3d_utils import location_3d_to_region_2d
    from mathutils import Vector

    region = next(region for region in hand.viewport.regions if region.type == "WINDOW")
    middle = obj.matrix_world @ (sum((Vector(corner) for corner in obj.bound_box), Vector()) / 8)
    place = location_3d_to_region_2d(region, hand.viewport.spaces.active.region_3d, middle)
    return int(region.x + place.x), int(region.y + place.y)


def draws_a_sheet(hand, takes=list_takes):
    """A contact sheet from the button's operator, with its progress, shown in an editor."""
    only_open("takes")
    yield from scene_with_voice_and_head(hand)
    yield from takes(hand, count=4)
    hand.scene.thunder.active_take = 1
    hand.scene.thunder.takes[0].star = True
    hand.scene.frame_set(33)
    yield 0.5
    held = time_slices()
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(hand.folder) / "shot.blend"))
    hand.call(bpy.ops.thunder.contact_sheet, "INVOKE_DEFAULT")
    began, pictured = time.monotonic(), False
    while session.job is not None:
        assert time.monotonic() - began < 400, session.job.step
        if session.job.step.fraction > 0.3 and not pictured:
            pictured = True
            hand.photograph("drawing")
        yield 0.1
    yield 2.0
    hand.seen["held"], hand.seen["debris"] = held, debris(hand.scene)
    hand.seen["frame"], hand.seen["shown"] = hand.scene.frame_current, shown(hand.scene)
    hand.seen["files"] = sorted(
        path.name for path in Path(hand.folder).iterdir() if "takes" in path.name
    )
    hand.seen["editors"] = [
        area.spaces.active.image.name
        for window in bpy.context.window_manager.windows
        for area in window.screen.areas
        if area.type == "IMAGE_EDITOR" and area.spaces.active.image
    ]
    yield 1.0
    hand.photograph("sheet")
