# SPDX-License-Identifier: GPL-3.0-or-later
"""How tall the sidebar is with what choosing a take needs."""

import bpy
from scenarios import scene_with_voice_and_head
from take_scenarios import list_takes

# pixels that the sidebar has in a window of 1920 × 1080, of Blender's default layout at interface
# scale 1
SCREEN = 909
CLOSED = 2 * 28  # pixels of the headers of two closed panels below Commit, Listen and Words


def together(hand):
    """Sliders of the direction, list of takes and Commit, of one line, fit one screen."""
    yield from scene_with_voice_and_head(hand, "main", "direction", "takes", "commit")
    yield from list_takes(hand, count=8)
    yield from hand.settle()
    hand.photograph("together")
    tall = (yield from height(hand)) - CLOSED
    assert 600 < tall < SCREEN, tall


def height(hand):
    """Steps that scroll the sidebar to its end; gives its height in pixels at interface scale 1."""
    region = hand.sidebar
    for _ in range(80):
        with bpy.context.temp_override(window=hand.window, area=hand.viewport, region=region):
            bpy.ops.view2d.scroll_down(deltax=0, deltay=-60)
        yield 0.02
    yield 0.7
    return -region.view2d.region_to_view(0, 0)[1] / bpy.context.preferences.system.ui_scale
