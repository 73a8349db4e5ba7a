# SPDX-License-Identifier: GPL-3.0-or-later
"""How tall the sidebar is with what choosing a take needs."""

import bpy
from scenarios import only_open, scene_with_voice_and_head
from take_scenarios import list_takes


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


def height(hand):
    """Steps that scroll the sidebar to its end; gives its height in pixels at interface scale 1."""
    region = hand.sidebar
    for _ in range(80):
        with bpy.context.temp_override(window=hand.window, area=hand.viewport, region=region):
            bpy.ops.view2d.scroll_down(deltax=0, deltay=-60)
        yield 0.02
    yield 0.7
    return -region.view2d.region_to_view(0, 0)[1] / bpy.context.preferences.system.ui_scale
