# SPDX-License-Identifier: GPL-3.0-or-later
"""Files dropped in a window: a sound on a head, and a capture."""

import os

import bpy
from bpy_extras import view3d_utils
from scenarios import done, only_open, SAMPLE
from thunder.scene.heads import head
from thunder.scene.host.jobs import session
from thunder.scene.takes import dialogue, take_list
from thunder.scene.voice import strip


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
