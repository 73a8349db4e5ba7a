# SPDX-License-Identifier: GPL-3.0-or-later
"""An animator speaks lines into a microphone, which plays a file: what is laid where, and how soon
takes follow."""

import os
import time

import bpy
from played_microphone import engine_with
from scenarios import done, only_open, SAMPLE, until
from thunder.scene.engine import connection
from thunder.scene.host import compat
from thunder.scene.host.session import session
from thunder.scene.voice import recording, strip

PYTHON = os.environ["THUNDER_PYTHON"]


def booth(hand, fault=""):
    """Use a microphone in which the sample is spoken."""
    connection.stop()
    os.environ["THUNDER_PYTHON"] = engine_with(hand.folder, SAMPLE, fault, real=PYTHON)


def shot(hand, saved=True):
    """Steps that make a shot with a head, saved in a folder of its own."""
    with hand.context():
        bpy.ops.object.select_all(action="SELECT")
        bpy.ops.object.delete()
        bpy.ops.thunder.first_head()
    hand.scene.render.fps, hand.scene.frame_end = 25, 200
    hand.scene.thunder.count, hand.scene.thunder.seed = 2, 11
    if saved:
        bpy.ops.wm.save_as_mainfile(filepath=os.path.join(hand.folder, "shot.blend"))
    yield from hand.open_tab("Thunder")


def strips(scene):
    """What plays: name, channel, span, file, whether it is muted and packed."""
    return [
        [
            each.name,
            each.channel,
            *compat.strip_span(each),
            each.sound.filepath,
            each.mute,
            each.sound.packed_file is not None,
        ]
        for each in strip.sound_strips(scene)
    ]


def press_record(hand):
    assert hand.button(bpy.ops.thunder.record) == ["RUNNING_MODAL"]


def speaks(hand, seconds, picture=""):
    """Steps that press Record, speak for so long and press Space. Notes by how many frames the
    picture is behind, where it is least."""
    scene, spoken = hand.scene, []
    press_record(hand)
    took = recording._under_way.recording
    yield from until(lambda: took.spoken > 0)
    hand.seen.setdefault("messages", []).append(session.job.step.message)
    while took.spoken < seconds:
        spoken.append(time.perf_counter() - scene.frame_current / took.fps)
        yield 0.02
    hand.seen.setdefault("behind", []).append((min(spoken) - took.started) * took.fps + took.first)
    if picture:
        hand.photograph(picture)
    hand.press("SPACE")
    yield from until(lambda: not recording.is_on())


def records(hand):
    """Lines with a countdown, over a marked range, and one that is cancelled before it counts."""
    only_open("main", "takes")
    booth(hand)
    yield from shot(hand)
    scene = hand.scene
    scene.frame_set(40)
    timeline = next(area for area in hand.window.screen.areas if area.type == "DOPESHEET_EDITOR")
    timeline.type = "SEQUENCE_EDITOR"  # whose header has the button, too
    hand.call(bpy.ops.wm.call_panel, name="THUNDER_PT_record", keep_open=True)
    yield from until(lambda: connection.microphones.names)
    yield 1.0
    hand.photograph("settings")
    hand.press("ESC")
    yield 0.5
    hand.seen["microphones"] = list(connection.microphones.names)
    scene.thunder.recording.countdown = 1
    yield from speaks(hand, 4.0, "speaking")
    released = time.perf_counter()
    yield from until(lambda: len(scene.thunder.takes) > 0)
    hand.seen["first_take"] = time.perf_counter() - released
    yield from done()
    hand.seen["strips"], hand.seen["chosen"], hand.seen["frame"] = (
        strips(scene),
        scene.thunder.voice,
        scene.frame_current,
    )
    hand.seen["takes"] = [[take.voice, take.first, take.last] for take in scene.thunder.takes]
    yield 0.5
    hand.photograph("takes")

    press_record(hand)  # and thought better of it
    yield 0.6
    hand.press("ESC")
    yield from until(lambda: session.job is None)
    yield 0.5
    hand.seen["after_esc"] = [
        len(strips(scene)),
        sorted(each for each in os.listdir(hand.folder) if each.endswith(".wav")),
    ]

    scene.use_preview_range, scene.frame_preview_start, scene.frame_preview_end = True, 60, 99
    scene.thunder.recording.punch_in = scene.thunder.recording.mute_beneath = True
    press_record(hand)
    yield from until(lambda: not recording.is_on())
    yield from done()
    hand.seen["punched"] = strips(scene)
    hand.seen["wavs"] = sorted(each for each in os.listdir(hand.folder) if each.endswith(".wav"))
    hand.call(bpy.ops.ed.undo)
    yield 0.5
    hand.call(bpy.ops.ed.undo)
    yield 0.5
    hand.seen["undone"] = strips(hand.scene)


def films_speaking(hand):
    """A line is spoken and committed: pictures film_NNN.png, and in `hand.seen["film"]`
    milliseconds and a caption of each."""
    only_open("main", "takes", "commit")
    booth(hand)
    yield from shot(hand)
    scene, shots = hand.scene, hand.seen.setdefault("film", [])
    next(
        area for area in hand.window.screen.areas if area.type == "DOPESHEET_EDITOR"
    ).type = "SEQUENCE_EDITOR"
    scene.thunder.recording.countdown, scene.thunder.count = 1, 4

    def photograph(milliseconds, caption):
        hand.photograph(f"film_{len(shots):03d}")
        shots.append([milliseconds, caption])

    yield 1.0
    photograph(1500, "Record, beside the voice")
    press_record(hand)
    took = recording._under_way.recording
    yield 0.4
    photograph(800, "It counts")
    yield from until(lambda: took.spoken > 0)
    while took.spoken < 4.0:
        photograph(450, "Speak; Space ends it")
        yield 0.2
    hand.press("SPACE")
    yield from until(lambda: len(scene.thunder.takes) > 0)
    yield 0.3
    photograph(1200, "The line is a strip, its takes arrive")
    yield from done()
    yield 0.5
    entry = scene.thunder.takes[0]
    for frame in range(entry.first, min(entry.last, entry.first + 60), 6):
        scene.frame_set(frame)
        yield 0.3
        photograph(240, "The best one is on the head")
    hand.call(bpy.ops.thunder.commit_take, "INVOKE_DEFAULT")
    yield from done()
    yield 0.7
    photograph(2500, "Committed: keys of your own")
