# SPDX-License-Identifier: GPL-3.0-or-later
"""The track of words and sounds in a real window: at every zoom, over an hour of dialogue."""

import bpy
from commit_scenarios import lay, timed_draws
from scenarios import SAMPLE, scene_with_voice_and_head, until
from thunder.scene.host import compat
from thunder.scene.host.jobs import session
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


def look_at(hand, area, first, last):
    """Show a range of frames in a dope sheet or sequencer."""
    region = hand.region(area)
    with hand.context(area):
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
    """A redraw over an hour of dialogue is soon done, at each zoom, while it is moved along."""
    yield from scene_with_voice_and_head(hand)
    yield from found(hand)
    strips = compat.strips(hand.scene.sequence_editor)
    every = 300
    for number in range(1, LINES):
        strips.new_sound(f"line {number}", SAMPLE, 1, 1 + every * number)
    hand.scene.frame_end = every * LINES
    area = hand.viewport
    yield from lay(hand, area, "DOPESHEET_EDITOR")
    yield 2.0
    with timed_draws() as spent:
        for name, seconds in ZOOMS.items():
            far = min(hand.scene.render.fps * seconds, hand.scene.frame_end - 30000)
            look_at(hand, area, 30000, 30000 + far)
            yield 1.5
            spent.clear()
            for _ in range(12):
                with hand.context(area):
                    bpy.ops.view2d.pan(deltax=7, deltay=0)
                area.tag_redraw()
                yield 0.15
            assert len(spent) > 5
            hand.keeps(0.004, sorted(spent)[len(spent) // 2][0], f"a redraw at {name}, median")
    assert len(word_track.tracks.tracks[hand.scene.name].sounds) > 10000
    overlay.register()
    area.type = "VIEW_3D"
    yield 0.5
