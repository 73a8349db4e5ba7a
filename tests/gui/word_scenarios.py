# SPDX-License-Identifier: GPL-3.0-or-later
"""The track of words and sounds in a real window: at every zoom, over an hour of dialogue; and a
line mended by its words."""

import time

import bpy
import numpy as np
from commit_scenarios import lay, timed_draws
from scenarios import SAMPLE, scene_with_voice_and_head, until
from thunder.scene.host import compat
from thunder.scene.host.jobs import session
from thunder.scene.review import overlay, word_track
from thunder.scene.takes import mouth_pictures, take_list, transcript, word_places

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


# ---- a line mended by its words


def call(hand, operator, **arguments):
    """Steps that call an operator as a button does, and wait for its work; seconds that it took."""
    begun = time.monotonic()
    assert hand.call(operator, "INVOKE_DEFAULT", **arguments) <= {"FINISHED", "RUNNING_MODAL"}
    yield from until(lambda: session.job is None, str(operator))
    return time.monotonic() - begun


def mends_a_line(hand):
    """A word is marked, retaken, said by another take's mouth and heard at once; a click on the
    track loops its word."""
    yield from scene_with_voice_and_head(hand, "words")
    scene = hand.scene
    yield from found(hand)
    scene.thunder.count = 3
    yield from call(hand, bpy.ops.thunder.generate)
    context = bpy.context
    there = word_places.line(context).words
    scene.frame_set(there[5].frames[0])
    yield 1.0
    assert word_places.current(context).text
    yield from call(hand, bpy.ops.thunder.mark_word, kind="stressed")
    yield 2.0
    yield from call(hand, bpy.ops.thunder.retake, what="WORD")
    assert [entry.kind for entry in scene.thunder.takes].count("RESAMPLED") == 8
    shown = take_list.shown_take(scene.thunder)
    other = next(
        entry for entry in scene.thunder.takes if entry.kind == "SAMPLED" and entry != shown
    )
    yield from call(hand, bpy.ops.thunder.use_mouth, take=other.action.name)
    assert take_list.shown_take(scene.thunder).name.startswith("Mix")
    yield from call(hand, bpy.ops.thunder.hear_word)
    hand.keeps(0.7, (yield from call(hand, bpy.ops.thunder.hear_word)), "hearing a word")
    yield 1.0
    pixels, region = hand.photograph("mended"), hand.sidebar
    near = np.abs(pixels[:, region.x : region.x + region.width] - mouth_pictures.LIPS).max(axis=2)
    hand.seen["lips"] = rows = int((near < 0.15).any(axis=1).sum())
    assert rows >= 30, "mouths of takes are seen"
    area = hand.viewport
    yield from lay(hand, area, "DOPESHEET_EDITOR")
    look_at(hand, area, 20, 120)
    yield 0.7
    hand.photograph("track")
    yield from click_word(hand, area, there[3])
    looped = range(scene.frame_preview_start, scene.frame_preview_end + 1)
    first, last = there[3].frames
    assert scene.use_preview_range and first in looped and last in looped
    assert len(looped) < last - first + 20
    area.type = "VIEW_3D"
    yield 0.5
    assert hand.window.screen.is_animation_playing
    hand.press("ESC")
    yield 1.0
    assert not hand.window.screen.is_animation_playing and not scene.use_preview_range
    assert word_places.current(bpy.context).frames == there[3].frames


def split(hand):
    """Steps that lay a dope sheet under the viewport; its area."""
    before = set(hand.window.screen.areas)
    hand.call(bpy.ops.screen.area_split, direction="HORIZONTAL", factor=0.25)
    (new,) = set(hand.window.screen.areas) - before
    area = min(new, hand.viewport, key=lambda each: each.y)
    yield from lay(hand, area, "DOPESHEET_EDITOR")
    area.spaces.active.show_region_ui = False
    return area


def click_word(hand, area, place):
    """Steps that click a word on the track of an area."""
    region = hand.region(area)
    band = word_track.tracks.pictures[region.as_pointer()][1]
    middle = sum(place.frames) / 2
    yield from hand.click(
        region.x + round((middle - band.start) * band.per_frame), region.y + round(band.bottom) + 6
    )
    yield 1.0
