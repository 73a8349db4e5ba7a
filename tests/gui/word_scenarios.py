# SPDX-License-Identifier: GPL-3.0-or-later
"""The track of words and sounds in a real window: at every zoom, over an hour of dialogue."""

import time

import bpy
from commit_scenarios import lay
from scenarios import SAMPLE, scene_with_voice_and_head, until
from thunder.scene.host.session import session
from thunder.scene.review import overlay, word_track
from thunder.scene.takes import transcript

SAID = (
    "My brother moves both big blue boxes from the front room. Who can forgive such a foolish "
    "thief, and put up with his thunder?"
)
ZOOMS = {"1_s": 1.0, "4_s": 4.0, "line": 12.0, "minute": 60.0, "ten_minutes": 600.0, "hour": 3600.0}
LINES = 300


def found(hand):
    """Steps that find the words of the sample."""
    transcript.ensure(hand.scene, "dialogue").text = SAID
    assert hand.call(bpy.ops.thunder.find_words, "INVOKE_DEFAULT") <= {"FINISHED", "RUNNING_MODAL"}
    yield from until(lambda: session.job is None, "no words are found")
    record = transcript.of(hand.scene, "dialogue")
    hand.seen["found"] = record.spoken


def look_at(area, first, last):
    """Show a range of frames in a dope sheet or sequencer."""
    region = next(each for each in area.regions if each.type == "WINDOW")
    with bpy.context.temp_override(
        window=bpy.context.window_manager.windows[0], area=area, region=region
    ):
        for _ in range(3):
            left, right = (
                region.view2d.view_to_region(frame, 0, clip=False)[0] for frame in (first, last)
            )
            bpy.ops.view2d.zoom_border(
                xmin=left,
                xmax=right,
                ymin=0,
                ymax=region.height,
                wait_for_input=False,
                zoom_out=False,
            )
    return region


def draws_an_hour(hand):
    """How long a redraw takes over an hour of dialogue, at each zoom, while it is moved along."""
    yield from scene_with_voice_and_head(hand)
    yield from found(hand)
    first = (
        hand.scene.sequence_editor.strips_all["dialogue"]
        if hasattr(hand.scene.sequence_editor, "strips_all")
        else None
    )
    strips = (
        hand.scene.sequence_editor.strips
        if first is not None
        else hand.scene.sequence_editor.sequences
    )
    every = 300
    for number in range(1, LINES):
        strips.new_sound(f"line {number}", SAMPLE, 1, 1 + every * number)
    hand.scene.frame_end = every * LINES
    area = hand.viewport
    yield from lay(hand, area, "DOPESHEET_EDITOR")
    yield 2.0
    spent, draw = [], overlay.draw

    def timed(name):
        before = time.thread_time()
        draw(name)
        spent.append(time.thread_time() - before)

    overlay.unregister()
    overlay.draw = timed
    overlay.register()
    hand.seen["spent"] = {}
    for name, seconds in ZOOMS.items():
        region = look_at(
            area, 30000, 30000 + min(hand.scene.render.fps * seconds, hand.scene.frame_end - 30000)
        )
        yield 1.5
        spent.clear()
        for _ in range(12):
            with bpy.context.temp_override(window=hand.window, area=area, region=region):
                bpy.ops.view2d.pan(deltax=7, deltay=0)
            area.tag_redraw()
            yield 0.15
        hand.seen["spent"][name] = list(spent)
        hand.photograph(f"hour_{name}")
    track = word_track.tracks.tracks[hand.scene.name]
    hand.seen["words"], hand.seen["sounds"] = len(track.words), len(track.sounds)
    overlay.unregister()
    overlay.draw = draw
    overlay.register()
    area.type = "VIEW_3D"
    yield 0.5
