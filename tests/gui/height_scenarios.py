# SPDX-License-Identifier: GPL-3.0-or-later
"""How tall the sidebar is with everything open that a usual day needs."""

import bpy
from scenarios import only_open, scene_with_voice_and_head
from take_scenarios import list_takes
from thunder.scene.voice import strip

DAY = ("main", "dialogue", "takes", "mix", "keep", "shape", "transcript", "listen", "commit", "commit_regions")


def measures_a_day(hand):
    """Several lines, takes, a score with drifts; every panel of a day open, then those that are open unless folded."""
    panels = [getattr(bpy.types, name) for name in dir(bpy.types) if name.startswith("THUNDER_PT_")]
    default = [panel.bl_idname.removeprefix("THUNDER_PT_") for panel in panels if "DEFAULT_CLOSED" not in getattr(panel, "bl_options", ())]
    yield from scene_with_voice_and_head(hand)
    scene = hand.window.scene
    for number in (2, 3):
        strip.add(scene, bpy.path.abspath(strip.sound_strips(scene)[0].sound.filepath), f"line {number}", 1 + 250 * (number - 1))
    scene.thunder.strip = "dialogue"
    yield from list_takes(hand, count=8)
    scene.thunder.active_take = 0
    for name, panels in (("default", default), ("day", DAY)):
        only_open(*panels)
        yield 1.0
        yield from hand.settle()
        hand.photograph(name)
        hand.seen[name] = yield from height(hand)
        hand.photograph(f"{name}_end")


def height(hand):
    """Steps that scroll the sidebar to its end; gives its height in pixels at interface scale 1."""
    region = hand.sidebar
    for _ in range(80):
        with bpy.context.temp_override(window=hand.window, area=hand.viewport, region=region):
            bpy.ops.view2d.scroll_down(deltax=0, deltay=-60)
        yield 0.02
    yield 0.7
    return -region.view2d.region_to_view(0, 0)[1] / bpy.context.preferences.system.ui_scale
