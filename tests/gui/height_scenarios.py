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
        heights = hand.seen[name] = {}
        region = hand.sidebar
        with bpy.context.temp_override(window=hand.window, area=hand.viewport, region=region):
            bpy.ops.view2d.reset()
        yield from hand.settle()
        hand.photograph(name)
        view = region.view2d
        bottom = view.region_to_view(0, 0)[1]
        heights["region"] = region.height
        for _ in range(40):  # scrolled to its end
            with bpy.context.temp_override(window=hand.window, area=hand.viewport, region=region):
                bpy.ops.view2d.scroll_down(deltay=-0)
        heights["bottom"] = bottom
        heights["scale"] = bpy.context.preferences.system.ui_scale
