# SPDX-License-Identifier: GPL-3.0-or-later
"""How tall the sidebar is with everything open that a usual day needs."""

import bpy
from scenarios import only_open, SAMPLE, scene_with_voice_and_head
from take_scenarios import list_takes
from thunder.scene.voice import strip

DAY = ("main", "takes", "mix", "shape", "listen", "commit")


def open_by_itself(hand):
    """What is open until somebody folds it."""
    yield from measure(hand)


def of_a_day(hand):
    """Every panel of a day open."""
    only_open(*DAY)  # before the sidebar is there: panels that were drawn remember how they were
    yield from measure(hand)


def together(hand):
    """Sliders of the direction, list of takes and Commit, of one line."""
    only_open("main", "direction", "takes", "commit")
    yield from scene_with_voice_and_head(hand)
    hand.photograph("before")
    yield from list_takes(hand, count=8)
    hand.scene.thunder.active_take = 0
    yield from hand.settle()
    hand.photograph("together")
    hand.seen["height"] = yield from height(hand)


def measure(hand):
    """Steps that show several lines, takes, a score with drifts, and note how tall the sidebar
    is."""
    yield from scene_with_voice_and_head(hand)
    for number in (2, 3):
        strip.add(hand.scene, SAMPLE, f"line {number}", 1 + 250 * (number - 1))
    hand.scene.thunder.strip = "dialogue"
    yield from list_takes(hand, count=8)
    hand.scene.thunder.active_take = 0
    yield from hand.settle()
    hand.photograph("top")
    hand.seen["height"] = yield from height(hand)
    hand.photograph("end")


def height(hand):
    """Steps that scroll the sidebar to its end; gives its height in pixels at interface scale 1."""
    region = hand.sidebar
    for _ in range(80):
        with bpy.context.temp_override(window=hand.window, area=hand.viewport, region=region):
            bpy.ops.view2d.scroll_down(deltax=0, deltay=-60)
        yield 0.02
    yield 0.7
    return -region.view2d.region_to_view(0, 0)[1] / bpy.context.preferences.system.ui_scale
