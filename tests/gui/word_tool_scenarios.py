# SPDX-License-Identifier: GPL-3.0-or-later
"""A line mended by its words in a real window: a word is clicked, marked, retaken, heard, and said by another take's mouth."""

import time

import bpy
from commit_scenarios import lay
from scenarios import only_open, PATIENCE, scene_with_voice_and_head
from thunder.scene.host.session import session
from thunder.scene.review import word_track
from thunder.scene.takes import take_list, word_places
from word_scenarios import found, look_at


def done(hand, what):
    """Steps that wait until no work is under way."""
    end = time.monotonic() + PATIENCE
    while session.job is not None:
        assert time.monotonic() < end, what
        yield 0.1


def call(hand, operator, **arguments):
    """Steps that call an operator as a button does, and wait for its work; seconds that it took."""
    begun = time.monotonic()
    with hand.context():
        assert operator("INVOKE_DEFAULT", **arguments) <= {"FINISHED", "RUNNING_MODAL"}
    yield from done(hand, str(operator))
    return time.monotonic() - begun


def mends_a_line(hand):
    """The panel of words, a click on the track, marks, readings of a word, another take's mouth, and what the lips say."""
    only_open("words")
    yield from scene_with_voice_and_head(hand)
    scene = hand.window.scene
    yield from found(hand)
    scene.thunder.count = 3
    yield from call(hand, bpy.ops.thunder.generate)
    context = bpy.context
    there = word_places.places(context)
    scene.frame_set(there[5].frames[0])
    yield 1.0
    hand.photograph("words")
    hand.seen["word"] = word_places.current(context).text
    yield from call(hand, bpy.ops.thunder.mark_word, kind="stressed")
    yield 2.0
    yield from call(hand, bpy.ops.thunder.retake, what="WORD")
    hand.seen["readings"] = sum(entry.kind == "RESAMPLED" for entry in scene.thunder.takes)
    other = next(entry for entry in scene.thunder.takes if entry.kind == "SAMPLED" and entry != take_list.shown_take(scene.thunder))
    yield from call(hand, bpy.ops.thunder.use_mouth, take=other.action.name)
    hand.seen["mixed"] = take_list.shown_take(scene.thunder).name
    yield from call(hand, bpy.ops.thunder.hear_word)
    hand.seen["heard"] = yield from call(hand, bpy.ops.thunder.hear_word)
    yield 1.0
    hand.photograph("mended")
    area = hand.viewport
    yield from lay(hand, area, "DOPESHEET_EDITOR")
    region = look_at(area, 20, 120)
    yield 0.7
    hand.photograph("track")
    _, band = word_track.tracks.pictures[region.as_pointer()]
    middle = sum(word_places.places(context)[3].frames) / 2
    x, y = region.x + round((middle - band.start) * band.per_frame), region.y + round(band.bottom) + 6
    yield from hand.click(x, y)
    yield 1.0
    looped, (first, last) = range(scene.frame_preview_start, scene.frame_preview_end + 1), there[3].frames
    hand.seen["looped"] = scene.use_preview_range and first in looped and last in looped and len(looped) < last - first + 20
    hand.photograph("clicked")
    area.type = "VIEW_3D"
    yield 0.5
