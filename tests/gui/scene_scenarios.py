# SPDX-License-Identifier: GPL-3.0-or-later
"""Around takes: long work, dialogue of several heads, a voice that moves, the engine's setup."""

import os
import time
import wave
from pathlib import Path

import bpy
import numpy as np
from scenarios import done, only_open, SAMPLE, scene_with_voice_and_head, time_slices, until
from take_scenarios import list_takes
from thunder.scene.engine import connection, install
from thunder.scene.heads import head
from thunder.scene.host.session import session
from thunder.scene.voice import fingerprint, strip
from thunder.thunder_core import errors, installer


def empty(hand):
    with hand.context():
        bpy.ops.object.select_all(action="SELECT")
        bpy.ops.object.delete()


def long_voice(hand, seconds):
    """A WAV file of so many seconds that says the sample again and again."""
    with wave.open(SAMPLE) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        rate = file.getframerate()
    path = os.path.join(hand.folder, "long.wav")
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.resize(samples, seconds * rate).tobytes())
    return path


def gaps_of(log):
    """Of (clock, processor seconds of this thread) at each tick of a timer: how long it had to wait
    for the window."""
    gaps, spent = (np.diff(column) for column in np.transpose(log))
    return {
        "count": len(gaps),
        "median": float(np.median(gaps)),
        "p99": float(np.percentile(gaps, 99)),
        "max": float(gaps.max()),
        "processor_median": float(np.median(spent)),
        "processor_max": float(spent.max()),
        "processor_max_at": float(log[int(spent.argmax())][0] - log[0][0]),
    }


def works_long(hand):
    """16 takes of a minute."""
    yield from works_on(hand, 16, 60)


def works_a_while(hand):
    """Six takes of fifteen seconds."""
    yield from works_on(hand, 6, 15)


def works_on(hand, count, seconds):
    """Takes while the animator scrubs; a timer that asks for the window every 10 ms notes when it
    gets it."""
    empty(hand)
    hand.scene.render.fps = 25
    with hand.context():
        assert bpy.ops.thunder.first_head() == {"FINISHED"}
        assert bpy.ops.thunder.own_voice(filepath=long_voice(hand, seconds)) == {"FINISHED"}
    hand.scene.thunder.count = count
    only_open("main", "takes")
    yield from hand.open_tab("Thunder")
    yield 0.5
    held, log, watching = time_slices(), [], [True]
    x, y = hand.main_button(hand.photograph("ready"))

    def tick():
        log.append((time.monotonic(), time.thread_time()))
        return 0.01 if watching[0] else None

    bpy.app.timers.register(tick)
    for _ in range(20):  # how the window answers when nothing runs
        hand.press("RIGHT_ARROW")
        yield 0.25
    hand.seen["idle_gaps"] = gaps_of(log)
    log.clear()
    yield from hand.click(x, y)
    started = time.monotonic()
    yield from until(lambda: session.job is not None, "the click", 60)
    arrivals, left, frames, messages, seen_half = [], [], set(), [], False
    while session.job is not None:
        assert time.monotonic() < started + 900, f"still at {session.job.step}"
        while len(arrivals) < len(hand.scene.thunder.takes):
            arrivals.append(round(time.monotonic() - started, 2))
        if session.job.time_left and (not left or left[-1] != session.job.time_left):
            left.append(session.job.time_left)
        if not messages or messages[-1] != session.job.step.message:
            messages.append(session.job.step.message)
        if len(arrivals) >= count // 3 and not seen_half:
            seen_half = True
            hand.photograph("arriving")
        if not session.job.step.busy:
            hand.press("RIGHT_ARROW")  # the animator goes on working
        frames.add(hand.scene.frame_current)
        yield 0.25
    # with the end
    arrivals += [round(time.monotonic() - started, 2)] * (
        len(hand.scene.thunder.takes) - len(arrivals)
    )
    hand.seen |= {
        "arrivals": arrivals,
        "left": left,
        "scrubbed": len(frames),
        "messages": messages,
        "held": held,
        "seconds": time.monotonic() - started,
    }
    hand.seen["gaps"] = gaps_of(log)
    yield 1.0
    hand.seen["scores"] = [entry.score for entry in hand.scene.thunder.takes]
    hand.photograph("done")
    # And once more, to be stopped when some have come.
    hand.scene.thunder.seed, hand.scene.thunder.count = 100, 16
    before = len(hand.scene.thunder.takes)
    hand.button(bpy.ops.thunder.generate)
    end = time.monotonic() + 600
    while len(hand.scene.thunder.takes) < before + 2:
        assert time.monotonic() < end and session.job is not None
        yield 0.05
    while session.job.step.busy:
        yield 0.01
        assert session.job is not None, "the work was over before anything could be clicked"
    pressed = time.monotonic()
    hand.call(bpy.ops.thunder.cancel, "INVOKE_DEFAULT")
    yield from until(lambda: session.job is None, "the cancellation", 20)
    hand.seen["seconds_to_stop"] = time.monotonic() - pressed
    yield 1.0
    watching[0] = False
    hand.seen["kept"] = len(hand.scene.thunder.takes) - before
    hand.photograph("stopped")


def casts_dialogue(hand):
    """Two heads, three strips: who speaks what, and takes for all of it."""
    empty(hand)
    hand.scene.render.fps = 25
    with hand.context():
        assert bpy.ops.thunder.add_head() == {"FINISHED"}
        hand.scene.cursor.location.x = 0.3
        assert bpy.ops.thunder.add_head() == {"FINISHED"}
        bpy.ops.view3d.view_axis(type="FRONT")
        bpy.ops.object.select_all(action="SELECT")
        bpy.ops.view3d.view_selected()
        bpy.ops.object.select_all(action="DESELECT")
    heads = head.in_scene(hand.scene)
    for obj, name in zip(heads, ("Anna", "Ben")):
        obj.name = name
    for name, start in (("Anna asks", 1), ("Ben answers", 100), ("Rain", 1)):
        strip.add(hand.scene, SAMPLE, name, start)
    hand.scene.thunder.head = heads[0]
    only_open("main")
    yield from hand.open_tab("Thunder")
    yield 0.5
    hand.photograph("uncast")
    for name, speaker in (("Anna asks", "Anna"), ("Ben answers", "Ben"), ("Rain", "NO_SPEAKER")):
        assert hand.call(bpy.ops.thunder.cast_strip, strip=name, speaker=speaker) == {"FINISHED"}
    yield 2.0  # until the panels have slid to their places
    hand.photograph("cast")
    hand.scene.thunder.count = 2
    hand.button(bpy.ops.thunder.generate_all)
    yield 2.0
    hand.photograph("all_working")
    yield from done()
    yield 1.0
    hand.seen["takes"] = sorted(
        (entry.voice, entry.head.name) for entry in hand.scene.thunder.takes
    )
    hand.photograph("all_done")


def moves_a_voice(hand, takes=list_takes):
    """The strip of a take is moved, then trimmed: the panel says so, Re-sync mends it."""
    yield from scene_with_voice_and_head(hand)
    yield from takes(hand, count=3)
    voice = strip.by_name(hand.scene, "dialogue")
    for entry in hand.scene.thunder.takes:
        fingerprint.remember(
            entry.action, fingerprint.of_voice(hand.scene, strip.of_strip(hand.scene, voice))
        )
    hand.scene.thunder.active_take = 0
    only_open("main", "takes")
    strip.move(voice, 13)
    hand.call(bpy.ops.ed.undo_push, message="The animator moves the strip")
    yield 2.0  # until the panels have slid to their places
    hand.photograph("moved")
    hand.seen["before"] = [
        (changed.kind, entry.first) for entry, changed in fingerprint.stale_takes(hand.scene)
    ]
    hand.button(bpy.ops.thunder.resync)
    yield 0.5
    yield from done(60)
    hand.seen["after"] = [entry.first for entry in hand.scene.thunder.takes]
    hand.seen["stale"] = len(fingerprint.stale_takes(hand.scene))
    yield 0.5
    hand.photograph("resynced")
    hand.press("Z", ctrl=True)
    yield 1.5
    hand.seen["undone"] = [entry.first for entry in hand.scene.thunder.takes]


class _Pretended:
    """An installation that stands still, for its picture."""

    fraction = 0.42
    message = "Downloading torch · 1.01 of about 2.4 GB"
    time_left = "3 min left"
    over = False
    error = ""

    def stop(self):
        pass

    def wait(self, seconds=None):
        return True


def sets_up_the_engine(hand):
    """The preferences with the engine in each of its states."""
    python = os.environ.pop("THUNDER_PYTHON", "")
    there = connection.find_engine_python

    def nothing(*_):
        raise errors.NoEngine("The engine is not installed: install it in the preferences")

    connection.find_engine_python = nothing
    yield from hand.open_tab("Thunder")
    hand.photograph("sidebar_without_engine")
    assert hand.call(bpy.ops.thunder.open_preferences, "INVOKE_DEFAULT") == {"FINISHED"}
    yield 1.5
    window = next(
        w
        for w in bpy.context.window_manager.windows
        if any(a.type == "PREFERENCES" for a in w.screen.areas)
    )
    area = next(a for a in window.screen.areas if a.type == "PREFERENCES")
    preferences = connection.preferences()

    def picture(name):
        for region in area.regions:
            region.tag_redraw()
        yield 1.0
        hand.photograph(name)

    hand.seen["online"] = bpy.app.online_access
    yield from picture("absent_offline")
    bpy.context.preferences.system.use_online_access = True
    yield from picture("absent")
    install.installing.running = _Pretended()
    yield from picture("installing")
    hand.seen["refused_meanwhile"] = not bpy.ops.thunder.install_engine.poll()
    install.installing.running = None
    place = Path(install.folder())
    (place / "bin").mkdir(parents=True)
    # as the installer marks a folder of its own
    (place / installer.LOCK).write_bytes(installer.MARK)
    install.installing.error = (
        "The packages cannot be reached: check the connection and install again, downloads are kept"
    )
    yield from picture("unfinished")
    install.installing.error = ""
    (place / "bin" / "python").write_text("")
    (place / "thunder-engine.json").write_text(
        f'{{"lock": "{install.lock_hash(install.LOCK, 0)}", "python": "3.13.2"}}'
    )
    info = place / "lib" / "python3.13" / "site-packages" / "torch-2.11.0.dist-info"
    info.mkdir(parents=True)
    install.versions_in.cache_clear()
    connection.find_engine_python = there
    yield from picture("ready")
    hand.seen["kind"] = install.state().kind
    hand.call(bpy.ops.thunder.install_flame_extra, "INVOKE_DEFAULT")
    yield from picture("flame_licence")
    hand.press("ESC")
    yield 0.5
    hand.seen["nothing_installed"] = install.installing.running is None and not install.has("smplx")
    install.remove()
    preferences.engine_python = python
    yield from picture("own_python")
    with bpy.context.temp_override(window=window, area=area):
        bpy.ops.thunder.check_engine("INVOKE_DEFAULT")
    yield 0.5
    yield from done()
    hand.seen["told"], hand.seen["memory"] = connection.running_engine(), connection.memory_used()
    yield from picture("checked")
    preferences.weights = hand.folder
    yield from picture("weights")
    preferences.weights = ""
