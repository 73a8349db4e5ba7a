# SPDX-License-Identifier: GPL-3.0-or-later
"""Around takes: long work, dialogue of several heads, a voice that moves, the engine's setup."""

import os
import time
from types import SimpleNamespace

import addon_utils
import bpy
import numpy as np
from performances import read_wav, write_wav
from scenarios import done, only_open, SAMPLE, scene_with_voice_and_head, time_slices, until
from take_scenarios import list_takes
from thunder.scene.engine import connection, install
from thunder.scene.heads import head
from thunder.scene.host import compat
from thunder.scene.host.jobs import session
from thunder.scene.takes.commit import following
from thunder.scene.voice import changes, fingerprint, strip
from thunder.thunder_core import errors


def long_voice(hand, seconds):
    """A WAV file of so many seconds that says the sample again and again."""
    samples, rate = read_wav(SAMPLE)
    return write_wav(
        os.path.join(hand.folder, "long.wav"), np.resize(samples, seconds * rate), rate
    )


def works_long(hand):
    yield from works_on(hand, 16, 60, "sixteen takes of a minute")


def works_a_while(hand):
    yield from works_on(hand, 6, 15, "six takes of fifteen seconds")


def works_on(hand, count, seconds, name):
    """Takes come one after the other while the animator scrubs, and Esc stops them soon; a timer
    that asks for the window every 10 ms notes when it gets it."""
    hand.clear()
    hand.scene.render.fps = 25
    assert hand.call(bpy.ops.thunder.add_head) == {"FINISHED"}
    assert hand.call(bpy.ops.thunder.own_voice, filepath=long_voice(hand, seconds)) == {"FINISHED"}
    hand.scene.thunder.count = count
    only_open("main", "takes")
    yield from hand.open_tab("Thunder")
    yield 0.5
    held, log, watching = time_slices(), [], [True]

    def tick():
        log.append(time.thread_time())
        return 0.01 if watching[0] else None

    bpy.app.timers.register(tick)
    for _ in range(20):  # how the window answers when nothing runs
        hand.press("RIGHT_ARROW")
        yield 0.25
    idle = np.median(np.diff(log))
    yield from hand.click_main_button()
    log.clear()
    yield from until(lambda: session.job is not None, "the click", 60)
    end = time.monotonic() + 900
    counts, left, frames = set(), [], set()
    while session.job is not None:
        assert time.monotonic() < end, f"still at {session.job.step}"
        counts.add(len(hand.scene.thunder.takes))
        if session.job.time_left:
            left.append(session.job.time_left)
        if len(hand.scene.thunder.takes) == count // 3:
            hand.photograph("arriving")
        if not session.job.step.busy:
            hand.press("RIGHT_ARROW")  # the animator goes on working
        frames.add(hand.scene.frame_current)
        yield 0.25
    scores = [entry.score for entry in hand.scene.thunder.takes]
    assert len(scores) == count and scores == sorted(scores, reverse=True)
    assert len(counts - {0}) >= 3, counts  # one after the other, not all at the end
    assert len(frames) > 5 and left and all(text.endswith("left") for text in left)
    hand.keeps(0.05, held, f"slices of {name}")
    # The window's own drawing lies between two ticks as well: while takes are made it may not take
    # much longer than without.
    assert np.median(np.diff(log)) < 1.5 * idle + 0.05
    # And once more, to be stopped when some have come.
    hand.scene.thunder.seed, hand.scene.thunder.count = 100, 16
    hand.button(bpy.ops.thunder.generate)
    yield from until(lambda: len(hand.scene.thunder.takes) >= count + 2, "two more takes", 600)
    yield from until(lambda: not session.job.step.busy, "a moment in which one can click")
    pressed = time.monotonic()
    hand.press("ESC")
    yield from until(lambda: session.job is None, "Esc", 20)
    hand.keeps(0.5, time.monotonic() - pressed, "Esc")
    yield 1.0
    watching[0] = False
    assert len(hand.scene.thunder.takes) >= count + 2


def moves_a_voice(hand):
    """The strip of takes, one of them committed, is moved: the panel says so, Re-sync moves takes
    and keys, and one undo takes it all back."""
    yield from scene_with_voice_and_head(hand, "main", "takes")
    yield from list_takes(hand, count=3)
    voice = strip.by_name(hand.scene, "dialogue")
    for entry in hand.scene.thunder.takes:
        fingerprint.remember(entry.action, strip.of_strip(hand.scene, voice).state)
    hand.scene.frame_set(60)
    hand.button(bpy.ops.thunder.commit_take)
    yield from done(60)
    strip.move(voice, 13)
    hand.call(bpy.ops.ed.undo_push, message="The animator moves the strip")
    hand.sidebar.tag_redraw()
    yield 2.0  # until the panels have slid to their places
    hand.photograph("moved")

    def firsts():
        return [entry.first for entry in hand.scene.thunder.takes]

    def committed():
        rig = head.find(hand.scene)
        (line,) = following.lines_of(rig.mesh)
        curve = compat.curves_for(rig.keys)[0]
        return line.first, curve.keyframe_points[0].co[0]

    def face():
        """What the viewport shows, [H, W, 3]."""
        region, height = hand.region(), hand.window.height
        rows = slice(height - region.y - region.height, height - region.y)
        return hand.photograph("face")[rows, region.x + 100 : hand.sidebar.x - 100]

    before, here = committed(), hand.scene.frame_current
    stale = changes.stale_takes(hand.scene)
    assert firsts() == [1] * 3 and [changed.kind for _, changed in stale] == ["MOVED"] * 3
    hand.button(bpy.ops.thunder.resync)
    yield 0.5
    yield from done(60)
    at_once = face()
    for frame in (here + 1, here):
        hand.scene.frame_set(frame)
        yield 1.0
    assert (np.abs(at_once - face()) > 0.05).sum() < 30, "the head has its old pose"
    assert firsts() == [13] * 3 and not changes.stale_takes(hand.scene)
    assert committed() == tuple(each + 12 for each in before)
    yield from hand.undo()
    assert firsts() == [1] * 3 and committed() == before


def sets_up_the_engine(hand):
    """The preferences tell that the engine is absent, how far an installation is, and what answers."""
    python = os.environ.pop("THUNDER_PYTHON", "")
    there = connection.find_engine_python

    def nothing(*_):
        raise errors.NoEngine("The engine is not installed: install it in the preferences")

    connection.find_engine_python = nothing
    if hasattr(addon_utils, "_extensions_warnings_get"):
        # else the tests' short names of modules (extension.py) stand there as warnings
        addon_utils._extensions_warnings_get._is_first = False
        addon_utils._extensions_warnings.clear()
    yield from hand.open_tab("Thunder")
    assert hand.call(bpy.ops.preferences.addon_show, module=connection.PACKAGE) == {"FINISHED"}
    yield 1.5
    window = next(
        w
        for w in bpy.context.window_manager.windows
        if any(a.type == "PREFERENCES" for a in w.screen.areas)
    )
    area = next(a for a in window.screen.areas if a.type == "PREFERENCES")

    def picture(name):
        for region in area.regions:
            region.tag_redraw()
        yield 1.0
        hand.photograph(name)

    yield from picture("absent_offline")
    bpy.context.preferences.system.use_online_access = True
    yield from picture("absent")
    # an installation that stands still, for its picture
    install.installing.running = SimpleNamespace(
        fraction=0.42,
        message="Downloading onnxruntime · 0.02 of about 0.05 GB",
        time_left="10 s left",
        over=False,
        error="",
    )
    yield from picture("installing")
    assert not bpy.ops.thunder.install_engine.poll()
    install.installing.running = None
    connection.find_engine_python = there
    connection.preferences().engine_python = python
    yield from picture("own_python")
    with bpy.context.temp_override(window=window, area=area):
        bpy.ops.thunder.check_engine("INVOKE_DEFAULT")
    yield 0.5
    yield from done()
    assert connection.running_engine()["device"].startswith(("cpu", "cuda"))
    assert connection.running_engine()["memory"] > 5e7
    yield from picture("checked")
