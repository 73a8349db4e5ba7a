# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside a windowed Blender: acts out a scenario of scenarios.py (or FILE.SCENARIO) in steps
of a timer, as a hand at the mouse would.

    blender --enable-event-simulate --python in_blender.py -- SCENARIO FOLDER smooth|jagged

Writes FOLDER/result.json: {"error": str | null, "seen": {…}}. Pictures go to FOLDER/NAME.png. The
last word says whether the edges in the viewport are smooth.
"""

import importlib
import json
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

import bpy
import numpy as np

HERE = Path(__file__).resolve().parent
SCENARIO, FOLDER, EDGES = sys.argv[sys.argv.index("--") + 1 :][:3]

bpy.context.preferences.view.show_splash = (
    False  # before it opens: it would swallow the first clicks
)
if EDGES == "jagged":
    bpy.context.preferences.system.viewport_aa = "OFF"


class Hand:
    """Eyes and a mouse: what a scenario uses of the window."""

    def __init__(self):
        self.seen = {"promises": []}
        self.folder = FOLDER

    @property
    def window(self):
        return bpy.context.window_manager.windows[0]

    @property
    def scene(self):
        return self.window.scene

    @property
    def viewport(self):
        return next(area for area in self.window.screen.areas if area.type == "VIEW_3D")

    @property
    def sidebar(self):
        return next(region for region in self.viewport.regions if region.type == "UI")

    def region(self, area=None):
        """Where an area, else the viewport, shows its content."""
        return next(each for each in (area or self.viewport).regions if each.type == "WINDOW")

    def context(self, area=None):
        """A context as if the mouse were over an area, else the viewport."""
        return bpy.context.temp_override(
            window=self.window, area=area or self.viewport, region=self.region(area)
        )

    def clear(self):
        """Delete every object of the scene."""
        self.call(bpy.ops.object.select_all, action="SELECT")
        self.call(bpy.ops.object.delete)

    def look_from_the_front(self):
        """Turn to the front of what is selected, and select nothing."""
        self.call(bpy.ops.view3d.view_axis, type="FRONT")
        self.call(bpy.ops.view3d.view_selected)
        self.call(bpy.ops.object.select_all, action="DESELECT")

    def keeps(self, promise, spent, what):
        """Note times for the test to hold against what is promised: see `timing.keeps`."""
        self.seen["promises"].append((promise, spent, what))

    def call(self, operator, *arguments, **options):
        with self.context():
            return operator(*arguments, **options)

    def button(self, operator, **options):
        """Press a button: the operator with its window and an undo step."""
        return sorted(self.call(operator, "INVOKE_DEFAULT", True, **options))

    def open_tab(self, name):
        """Steps that show a tab of the sidebar."""
        self.viewport.spaces.active.show_region_ui = True
        yield 0.7
        self.sidebar.active_panel_category = name
        self.sidebar.tag_redraw()
        yield 0.7

    def photograph(self, name):
        """A picture of the whole screen as its viewer sees it; [height, width, 3] of 0..1, first
        row on top."""
        path = os.path.join(FOLDER, f"{name}.png")
        subprocess.run(["import", "-window", "root", path], check=True, timeout=30)
        image = bpy.data.images.load(path)
        pixels = np.empty(len(image.pixels), np.float32)
        image.pixels.foreach_get(pixels)
        pixels = pixels.reshape(image.size[1], image.size[0], image.channels)[::-1, :, :3]
        bpy.data.images.remove(image)
        return pixels

    def settle(self, seconds=30):
        """Steps that wait until two pictures in a row are the same: panels slide to their places,
        slowly on a busy machine."""
        before, end = None, time.monotonic() + seconds
        while time.monotonic() < end:
            now = self.photograph("settling")
            if before is not None and (before == now).all():
                return
            before = now
            yield 0.7

    def main_button(self, pixels):
        """Centre of the tallest button of the sidebar in a picture, in the window's pixels (origin
        bottom left).

        No call of Blender's tells where a button is, but the one that matters is drawn half as tall
        again.
        """
        region, height = self.sidebar, self.window.height
        left = region.x + region.width // 5
        rows = slice(height - region.y - region.height, height - region.y)
        column = pixels[rows, left].sum(axis=1)
        # A run of one brightness is the inside of a button; panels are taller than any button and
        # darker.
        runs, start = [], 0
        for row in range(1, len(column) + 1):
            if row == len(column) or abs(column[row] - column[row - 1]) > 0.02:
                runs.append((row - start, start, column[start]))
                start = row
        scale = bpy.context.preferences.system.ui_scale
        tall = [run for run in runs if 24 * scale <= run[0] <= 34 * scale and run[2] > 0.75]
        assert tall, "no main button is to be seen in the sidebar"
        size, top, _ = tall[0]
        return region.x + region.width // 2, region.y + region.height - (top + size // 2)

    def click_main_button(self):
        """Steps that click it where it is seen, in the part of the tab that has it."""
        bpy.context.window_manager.thunder_part = "DIRECT"
        self.sidebar.tag_redraw()
        yield 0.7
        yield from self.click(*self.main_button(self.photograph("ready")))

    def click(self, x, y):
        """Steps that move the mouse to a place and click it."""
        self.window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=x, y=y)
        yield 0.3
        self.window.event_simulate(type="LEFTMOUSE", value="PRESS", x=x, y=y)
        self.window.event_simulate(type="LEFTMOUSE", value="RELEASE", x=x, y=y)
        yield 0.1

    def undo(self):
        """Steps that press Ctrl-Z and wait until it is done."""
        self.press("Z", ctrl=True)
        yield 1.5

    def press(self, key, **modifiers):
        region = self.region()
        x, y = region.x + region.width // 3, region.y + region.height // 2
        self.window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=x, y=y)
        self.window.event_simulate(type=key, value="PRESS", x=x, y=y, **modifiers)
        self.window.event_simulate(type=key, value="RELEASE", x=x, y=y, **modifiers)

    def press_escape_on_screen(self):
        """Press Esc as a keyboard does, in a Blender whose events are not simulated: only then does
        it set Blender's break flag."""
        subprocess.run(["xdotool", "key", "Escape"], check=True)


def finish(hand, error):
    if error:
        hand.photograph("failed")
    path = os.path.join(FOLDER, "result.json")
    with open(path + ".part", "w") as file:
        json.dump({"error": error, "seen": hand.seen}, file, indent=1)
    os.replace(path + ".part", path)
    # The window closes as it does for a person, so that the add-on's own end is part of the test.
    bpy.ops.wm.quit_blender()


def main():
    import addon_utils

    # beside these scenarios those of the tests that run without a window, and of a folder named
    # outside
    more = filter(None, [os.environ.get("SCENARIOS")])
    sys.path[:0] = map(str, (HERE, HERE.parent, HERE.parent / "blender", *more))
    from extension import install_alias, NAME

    if "THUNDER_PACKAGE" not in os.environ:  # which a scenario installs itself
        addon_utils.enable(NAME, default_set=True)
    install_alias()  # scenarios import the extension's modules by name
    # of scenarios.py, or of another file named before a dot
    module, _, name = SCENARIO.rpartition(".")
    hand = Hand()
    steps = getattr(importlib.import_module(module or "scenarios"), name)(hand)

    def tick():
        try:
            return next(steps)
        except StopIteration:
            finish(hand, None)
        except BaseException:
            traceback.print_exc()
            finish(hand, traceback.format_exc())
        return None

    bpy.app.timers.register(tick, first_interval=1.0, persistent=True)


started = time.monotonic()
try:
    main()
except BaseException:
    traceback.print_exc()
    os._exit(3)
