# SPDX-License-Identifier: GPL-3.0-or-later
"""An animator speaks lines into a microphone, which plays a file: what is laid where, and how soon
takes follow; and files that are dropped."""

import os
import time

import bpy
from bpy_extras import view3d_utils
from played_microphone import engine_with
from scenarios import done, only_open, SAMPLE, until
from thunder.scene.engine import connection
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.host.jobs import session
from thunder.scene.takes import dialogue, take_list
from thunder.scene.voice import recording, strip

PYTHON = os.environ["THUNDER_PYTHON"]


def booth(hand):
    """Use a microphone in which the sample is spoken."""
    connection.stop()
    os.environ["THUNDER_PYTHON"] = engine_with(hand.folder, SAMPLE, "", real=PYTHON)


def shot(hand):
    """Steps that make a shot with a head, saved in a folder of its own."""
    hand.clear()
    hand.call(bpy.ops.thunder.add_head)
    hand.scene.render.fps, hand.scene.frame_end = 25, 200
    hand.scene.thunder.count, hand.scene.thunder.seed = 2, 11
    bpy.ops.wm.save_as_mainfile(filepath=os.path.join(hand.folder, "shot.blend"))
    yield from hand.open_tab("Thunder")


def strips(scene):
    """What plays: name, channel, span, file, whether it is muted and packed."""
    return [
        [
            each.name,
            each.channel,
            *compat.strip_span(each),
            each.sound.filepath,
            each.mute,
            each.sound.packed_file is not None,
        ]
        for each in strip.sound_strips(scene)
    ]


def press_record(hand):
    assert hand.button(bpy.ops.thunder.record) == ["RUNNING_MODAL"]


def records(hand):
    """A line lies where it was spoken and is the voice, and takes follow at once."""
    only_open("main", "takes")
    booth(hand)
    yield from shot(hand)
    scene = hand.scene
    scene.frame_set(40)
    timeline = next(area for area in hand.window.screen.areas if area.type == "DOPESHEET_EDITOR")
    timeline.type = "SEQUENCE_EDITOR"  # whose header has the button, too
    hand.call(bpy.ops.wm.call_panel, name="THUNDER_PT_record", keep_open=True)
    yield 1.0
    hand.press("ESC")
    yield 0.5
    scene.thunder.recording.countdown = 1
    press_record(hand)
    took, spoken = recording.Recording.running, []
    yield from until(lambda: took.spoken > 0)
    while took.spoken < 4.0:
        spoken.append(time.perf_counter() - scene.frame_current / took.fps)
        yield 0.02
    hand.press("SPACE")
    yield from until(lambda: not recording.is_on())
    # frames that the picture is behind, where it is least
    behind = (min(spoken) - took.started) * took.fps + took.first
    assert -1 <= behind <= 2, "the sound is a frame or more off the picture"
    released = time.perf_counter()
    yield from until(lambda: len(scene.thunder.takes) > 0)
    hand.keeps(1.0, time.perf_counter() - released, "the first take after a line of four seconds")
    yield from done()
    ((name, channel, first, last, *rest),) = strips(scene)
    assert [name, channel, first] == ["shot_voice_01", 1, 40] and 40 + 4 * 25 <= last <= 200
    assert rest == ["//shot_voice_01.wav", False, False]
    assert scene.thunder.voice == name and scene.frame_current == 40
    assert [[take.voice, take.first] for take in scene.thunder.takes] == [[name, 40]] * 2


def performs_live(hand):
    """The head moves while somebody speaks, the window stays alive; Esc ends it, the head is as it
    was, the line is a strip and takes of it follow."""
    only_open("main", "takes")
    booth(hand)
    yield from shot(hand)
    scene = hand.scene
    scene.frame_set(40)
    keys = scene.thunder.head.data.shape_keys.key_blocks
    names = [key.name for key in keys]
    before = [key.value for key in keys]
    assert hand.button(bpy.ops.thunder.perform_live) == ["RUNNING_MODAL"]
    took = recording.Recording.running
    yield from until(lambda: took.motion.delay)
    seen, longest, last = [], 0.0, time.perf_counter()
    while took.spoken < 5.0:
        seen.append([key.value for key in keys])
        yield 0.02
        longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
    moved = [name for name, *values in zip(names, *seen) if max(values) - min(values) > 0.1]
    assert len(moved) > 5, f"only {moved} moved"
    hand.seen["live"] = [took.motion.delay, longest]
    hand.press("ESC")
    yield from until(lambda: not recording.is_on())
    assert [key.value for key in keys] == before
    yield from until(lambda: len(scene.thunder.takes) > 0)
    yield from done()
    assert [each[:3] for each in strips(scene)] == [["shot_voice_01", 1, 40]]
    yield from gives_way_to_a_render(hand, keys)


def gives_way_to_a_render(hand, keys):
    """A render in the middle shows the head's own pose; the line until then becomes a strip above
    the first, which is muted, and takes follow."""
    scene = hand.scene
    scene.render.engine, scene.render.resolution_percentage = "BLENDER_WORKBENCH", 10
    hand.call(bpy.ops.object.camera_add)
    scene.camera = bpy.context.object or scene.objects["Camera"]
    scene.frame_set(40)
    before, takes = [key.value for key in keys], len(scene.thunder.takes)
    assert hand.button(bpy.ops.thunder.perform_live) == ["RUNNING_MODAL"]
    took = recording.Recording.running
    yield from until(lambda: took.motion.delay and took.spoken > 2)
    assert [key.value for key in keys] != before
    hand.call(bpy.ops.render.render, "INVOKE_DEFAULT")
    yield from until(lambda: not recording.is_on())
    assert [key.value for key in keys] == before
    yield from until(lambda: len(scene.thunder.takes) > takes)
    yield from done()
    lines = {each[0]: each[1:3] + [each[5]] for each in strips(scene)}
    assert lines == {"shot_voice_01": [1, 40, True], "shot_voice_02": [2, 40, False]}


# ---- dropped files


def place_of(hand, mesh):
    """Where a head's face is in the window, pixels."""
    region = hand.region()
    middle = sum(
        (mesh.matrix_world @ vertex.co for vertex in mesh.data.vertices), start=mesh.location * 0
    ) / len(mesh.data.vertices)
    point = view3d_utils.location_3d_to_region_2d(
        region, hand.viewport.spaces.active.region_3d, middle
    )
    return region.x + round(point.x), region.y + round(point.y)


def drop(hand, x, y, *paths):
    """Steps that drop files at a place of the viewport, as Blender does when it is given them by
    the desktop."""
    hand.window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=x, y=y)
    yield 0.3
    files = [{"name": os.path.basename(path)} for path in paths]
    hand.call(
        bpy.ops.wm.drop_import_file,
        "INVOKE_DEFAULT",
        directory=os.path.dirname(paths[0]),
        files=files,
    )
    yield 1.5


def two_heads(hand):
    """Two heads, seen from the front, and an empty sequencer."""
    hand.clear()
    for _ in range(2):
        assert hand.call(bpy.ops.thunder.add_head) == {"FINISHED"}
    hand.call(bpy.ops.object.select_all, action="SELECT")
    hand.look_from_the_front()
    hand.scene.render.fps, hand.scene.thunder.count = 25, 2
    hand.scene.frame_set(30)
    yield from hand.open_tab("Thunder")
    return head.in_scene(hand.scene)


def drops(hand):
    """A sound dropped on a head becomes its line; a capture dropped on the same head becomes its
    take, in sync."""
    only_open("takes")
    one, two = yield from two_heads(hand)
    hand.scene.thunder.head = one
    x, y = place_of(hand, two)
    yield from drop(hand, x, y, SAMPLE)
    (line,) = strip.sound_strips(hand.scene)
    assert line.name == "sample" and dialogue.speaker_of(hand.scene, "sample") == two
    assert session.job is None and hand.scene.thunder.head == two
    hand.call(bpy.ops.thunder.generate, "INVOKE_DEFAULT")
    yield from done()
    path = os.path.join(hand.folder, "Slate_4.csv")
    hand.call(bpy.ops.thunder.export_performance, filepath=path, form="ARKIT", frames="TAKE")
    with open(path) as file:
        lines = file.readlines()
    with open(path, "w") as file:
        file.writelines([lines[0], *lines[31:]])  # half a second later
    yield from drop(hand, x, y, path)
    yield from done()
    made = take_list.shown_take(hand.scene.thunder)
    assert (made.name, made.kind, made.head) == ("Slate_4", "CAPTURED", two)
    assert made.score > 60, "it was cut half a second: out of sync it has less"
