# SPDX-License-Identifier: GPL-3.0-or-later
"""What an animator does in a window, step by step: each yields the seconds to wait, and notes in `hand.seen` what it saw."""

import importlib
import time
from pathlib import Path

import bpy

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = str(ROOT / "assets" / "sample.wav")
MODULE = "bl_ext.user_default.thunder"
PATIENCE = 240  # seconds for the takes of the sample, on two busy cores
TAKES, SEED = 8, 11


def room(name):
    return importlib.import_module(f"{MODULE}.{name}")


def scene_with_voice_and_head(hand):
    """An empty shot with the sample in the sequencer and the bundled head, looked at from the front."""
    with hand.context():
        bpy.ops.object.select_all(action="SELECT")
        bpy.ops.object.delete()
    scene = hand.window.scene
    scene.render.fps = 25
    editor = scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    strip = strips.new_sound("dialogue", SAMPLE, 1, 1)
    scene.frame_end = int(strip.frame_final_end)
    with hand.context():
        assert bpy.ops.thunder.add_head() == {"FINISHED"}
        bpy.ops.view3d.view_axis(type="FRONT")
        bpy.ops.view3d.view_selected()
        bpy.ops.object.select_all(action="DESELECT")
    overlay = hand.viewport.spaces.active.overlay
    overlay.show_bones = overlay.show_cursor = overlay.show_object_origins = False
    scene.thunder.count = TAKES
    scene.thunder.seed = SEED
    yield 0.5
    yield from hand.open_tab("Thunder")


def takes_of(scene):
    return [
        {"score": take.score, "seed": take.seed, "action": take.action.name if take.action else None, "curve": take.curve}
        for take in scene.thunder.takes
    ]


def generate(hand):
    """Steps that click the main button and wait until nothing runs any more, noting how long the window was held."""
    work = room("scene.work")
    held = time_slices(work)
    x, y = hand.main_button(hand.photograph("ready"))
    yield from hand.click(x, y)
    end = time.monotonic() + PATIENCE
    while work.running is None:
        assert time.monotonic() < end, "the click started nothing"
        yield 0.1
    hand.seen["pid"] = room("scene.engine_session").client().pid
    messages, half_way = [], False
    while work.running is not None:
        assert time.monotonic() < end, f"still at {work.running.step}"
        step = work.running.step
        if not messages or messages[-1] != step.message:
            messages.append(step.message)
        if step.fraction > 0.4 and not half_way:
            half_way = True
            hand.photograph("working")
        yield 0.02
    hand.seen["messages"] = messages
    hand.seen["held"] = held
    yield 1.0


def time_slices(work):
    """Lets every slice of our work be timed; the list fills with (processor seconds, message)."""
    held, advance = [], work.Work.advance

    def timed(self, *arguments):
        before = time.thread_time()  # not the clock: on a busy machine that counts what others do
        try:
            return advance(self, *arguments)
        finally:
            held.append((time.thread_time() - before, self.step.message))

    work.Work.advance = timed
    return held


def pose(scene, frame):
    """How far the jaw is open at a frame, radians, and the values of all shape keys."""
    scene.frame_set(frame)
    rig = next(o for o in scene.objects if o.type == "ARMATURE")
    jaw = rig.pose.bones["jaw"].matrix_basis.to_quaternion().angle
    mesh = next(o for o in scene.objects if o.type == "MESH" and o.data.shape_keys)
    return [jaw, *(key.value for key in mesh.data.shape_keys.key_blocks)]


def generates_takes(hand):
    yield from scene_with_voice_and_head(hand)
    scene = hand.window.scene
    yield from generate(hand)
    hand.seen["takes"] = takes_of(scene)
    hand.seen["shown"] = scene.thunder.active_take
    hand.seen["provenance"] = [dict(take.action["thunder"]) for take in scene.thunder.takes]
    frames = range(scene.frame_start, scene.frame_end + 1, 2)
    hand.seen["best"] = [pose(scene, frame) for frame in frames]
    # The frame with the widest mouth makes the picture that shows most.
    widest = frames[max(range(len(frames)), key=lambda i: hand.seen["best"][i][0])]
    scene.frame_set(widest)
    yield 1.0
    hand.photograph("takes")
    scene.thunder.active_take = 2
    yield 0.5
    hand.seen["third"] = [pose(scene, frame) for frame in frames]
    scene.frame_set(widest)
    yield 0.5
    hand.photograph("third_take")


def cancels_with_escape(hand):
    yield from scene_with_voice_and_head(hand)
    scene, work = hand.window.scene, room("scene.work")
    before = {name: len(getattr(bpy.data, name)) for name in ("actions", "objects", "sounds", "scenes")}
    scene.thunder.count, scene.thunder.steps = 64, 100  # minutes, if nobody stopped it
    x, y = hand.main_button(hand.photograph("ready"))
    yield from hand.click(x, y)
    end = time.monotonic() + PATIENCE
    while work.running is None or work.running.step.fraction < 0.06:
        assert time.monotonic() < end, "the click started nothing"
        yield 0.1
    hand.seen["pid"] = room("scene.engine_session").client().pid
    pressed = time.monotonic()
    hand.press("ESC")
    while work.running is not None:
        assert time.monotonic() < pressed + 20, "Esc was not heard"
        yield 0.02
    hand.seen["seconds_to_stop"] = time.monotonic() - pressed
    hand.seen["takes"] = takes_of(scene)
    hand.seen["left"] = {name: len(getattr(bpy.data, name)) - count for name, count in before.items()}
    yield 0.5
    hand.photograph("cancelled")


def undoes_a_commit(hand):
    yield from scene_with_voice_and_head(hand)
    scene = hand.window.scene
    scene.thunder.count = 2
    yield from generate(hand)
    hand.seen["generated"] = sorted(action.name for action in bpy.data.actions)
    with hand.context():
        assert bpy.ops.thunder.commit_take("INVOKE_DEFAULT", True) == {"FINISHED"}  # True: an undo step, as from a button
    yield 0.5
    hand.seen["committed"] = sorted(action.name for action in bpy.data.actions)
    hand.seen["shown_after_commit"] = scene.thunder.active_take
    hand.photograph("committed")
    hand.press("Z", ctrl=True)
    yield 1.5
    scene = hand.window.scene
    hand.seen["undone"] = sorted(action.name for action in bpy.data.actions)
    hand.seen["takes"] = takes_of(scene)
    hand.seen["shown"] = scene.thunder.active_take


def complains(hand):
    """Generate with nothing there: the sidebar says what is missing, the operator greys out or reports, nothing changes."""
    with hand.context():
        bpy.ops.object.select_all(action="SELECT")
        bpy.ops.object.delete()
    yield from hand.open_tab("Thunder")
    hand.photograph("nothing_there")
    with hand.context():
        try:
            hand.seen["answer"] = sorted(bpy.ops.thunder.generate("INVOKE_DEFAULT"))
        except RuntimeError as error:
            hand.seen["answer"] = str(error)
    yield 0.5
    hand.seen["objects"] = len(bpy.data.objects)
    hand.seen["actions"] = len(bpy.data.actions)
