# SPDX-License-Identifier: GPL-3.0-or-later
"""What an animator does in a window, step by step, and what must then be so: each step yields the
seconds to wait, and `hand.seen` notes what is looked at from outside."""

import os
import time
from pathlib import Path

import bpy
from thunder.panels import modules as panel_modules
from thunder.scene.engine import connection
from thunder.scene.host import compat, jobs
from thunder.scene.host.jobs import classes_of, session
from thunder.scene.takes import transcript
from thunder.scene.voice import mixdown, strip as strip_module
from thunder.thunder_core.shipped import SAMPLE_TEXT

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = str(ROOT / "assets" / "sample.wav")
PATIENCE = 240  # seconds for the takes of the sample, on two busy cores
TAKES, SEED = 8, 11


def only_open(*names):
    """Leave the panels of these names open, and those they stand in, and fold the others, as clicks
    on their headers would; where the tab is divided show the part of the first after main."""
    # All are registered again, parents first: a panel whose parent goes stands beside it from then
    # on.
    panels = sorted(
        (
            each
            for module in panel_modules()
            for each in classes_of(module)
            if issubclass(each, bpy.types.Panel)
        ),
        key=lambda panel: hasattr(panel, "bl_parent_id"),
    )
    wanted = {f"THUNDER_PT_{name}" for name in names}
    for name in [name for name in reversed(names) if name != "main"]:
        # a popover is in no part of the tab
        if parts := getattr(getattr(bpy.types, f"THUNDER_PT_{name}"), "parts", ()):
            bpy.context.window_manager.thunder_part = parts[0]
    wanted |= {
        panel.bl_parent_id
        for panel in panels
        if panel.__name__ in wanted and hasattr(panel, "bl_parent_id")
    }
    for panel in reversed(panels):
        bpy.utils.unregister_class(panel)
    for panel in panels:
        options = set(getattr(panel, "bl_options", set()))
        if "HIDE_HEADER" not in options:
            panel.bl_options = options - {"DEFAULT_CLOSED"} | (
                set() if panel.__name__ in wanted else {"DEFAULT_CLOSED"}
            )
        bpy.utils.register_class(panel)


def scene_with_voice_and_head(hand, *panels, sound=SAMPLE, text=SAMPLE_TEXT):
    """Steps that make an empty shot with the sample, or another sound with its text, in the
    sequencer and the bundled head, looked at from the front, and open these panels alone."""
    if panels:
        only_open(*panels)
    hand.clear()
    hand.scene.render.fps = 25
    strip = compat.strips(hand.scene.sequence_editor_create()).new_sound("dialogue", sound, 1, 1)
    hand.scene.frame_end = int(strip.frame_final_end)
    if "THUNDER_SAMPLED" in os.environ:  # in pictures takes name the words that they hit
        transcript.ensure(hand.scene, strip.name).text = text
    assert hand.call(bpy.ops.thunder.add_head) == {"FINISHED"}
    hand.look_from_the_front()
    overlay = hand.viewport.spaces.active.overlay
    overlay.show_bones = overlay.show_cursor = overlay.show_object_origins = False
    hand.scene.thunder.count, hand.scene.thunder.seed = TAKES, SEED
    yield 0.5
    yield from hand.open_tab("Thunder")


def until(condition, what="this", patience=PATIENCE):
    """Steps that wait until something is so."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, (
            f"{what}: waited {patience} seconds, at {session.job and session.job.step}"
        )
        yield 0.005


def done(patience=PATIENCE):
    """Steps that wait until nothing runs any more."""
    yield 0.3
    yield from until(lambda: session.job is None, "work", patience)
    yield 0.7


def generate(hand):
    """Steps that click the main button and wait until nothing runs any more; the window is never
    held, and what is done is told."""
    held = time_slices()
    yield from hand.click_main_button()
    end = time.monotonic() + PATIENCE
    yield from until(lambda: session.job is not None, "the click started nothing")
    hand.seen["pid"] = connection.client().pid
    messages = []
    while session.job is not None:
        assert time.monotonic() < end, f"still at {session.job.step}"
        messages.append(session.job.step.message)
        yield 0.02
    # What is soon over may be so before anybody looks: each part of the engine's work, and on a
    # fast machine one take's keying.
    parts = ("Analyzing the voice", f"Sampling {hand.scene.thunder.count} takes")
    assert "Loading the engine" in messages, messages
    assert any(said in parts or said.endswith("takes sampled") for said in messages), messages
    assert any(said.startswith(("Writing keys", "Keyed")) for _, said in held), held
    assert len(held) > 20, held
    hand.keeps(0.05, held, "slices of generating")
    yield 1.0


def time_slices():
    """Lets every slice of our work be timed; the list fills with (processor seconds, message)."""
    held, advance = [], jobs.Job.advance

    def timed(self, *arguments):
        before = time.thread_time()  # not the clock: on a busy machine that counts what others do
        try:
            return advance(self, *arguments)
        finally:
            held.append((time.thread_time() - before, self.step.message))

    jobs.Job.advance = timed
    return held


def generates_after_escape(hand):
    """Esc, then Generate: with the strip as its file sounds, softer, and driven so that only
    Blender can mix it down."""
    yield from scene_with_voice_and_head(hand)
    hand.scene.thunder.count, hand.scene.thunder.quality = 1, "DRAFT"
    line = strip_module.by_name(hand.scene, "dialogue")
    mixed_down, by_blender = [], mixdown._mix_with_blender

    def mix_with_blender(*given):
        mixed_down.append(change)
        return by_blender(*given)

    mixdown._mix_with_blender = mix_with_blender
    for change in ("none", "softer", "driven"):
        if change == "softer":
            line.volume = 0.5
        elif change == "driven":
            line.driver_add("volume")
        hand.scene.thunder.takes.clear()
        hand.press_escape_on_screen()
        yield 1.0
        hand.call(bpy.ops.thunder.generate, "INVOKE_DEFAULT")
        yield from until(lambda: session.job is None)
        assert len(hand.scene.thunder.takes) == 1, change
    assert set(mixed_down) == {"driven"}, mixed_down


def open_popover(hand, name):
    """Steps that open a panel beside the sidebar, as its button does."""
    region = hand.sidebar
    x, y = region.x - region.width, region.y + region.height - 100
    hand.window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=x, y=y)
    yield 0.3
    hand.call(bpy.ops.wm.call_panel, name=name)
    yield 1.5
